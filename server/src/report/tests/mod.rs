//! Whole reports, compared with what Robocopy writes.
#![allow(clippy::unwrap_used)]

mod whole;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::meta::{Skip, Timestamp as FileTime};
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::{Action, ExtraEntry, FileClass, Kept, Removal};

use super::*;

/// Monday, April 21, 2025, 14:25:51 UTC.
const NOW: i64 = 1_745_245_551;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

fn text_report(options: ReportOptions) -> TextReport {
    let header = HeaderText {
        source: "/src/".into(),
        destination: "/dst/".into(),
        job_files: vec![],
        files: vec!["*.*".into()],
        exclude_files: vec!["*.tmp".into(), "*.bak".into()],
        exclude_dirs: vec![".git".into()],
        options: "*.* /S /E /DCOPY:DA /COPY:DAT /PURGE /MIR /R:3 /W:5".into(),
    };
    TextReport::new(options, header, TimeZone::UTC)
}

fn check_with(options: ReportOptions, event: &ReportEvent, expected: &str) {
    assert_eq!(text_report(options).render(at(NOW), event), expected);
}

fn check(event: &ReportEvent, expected: &str) {
    check_with(ReportOptions::default(), event, expected);
}

fn verdict(name: &str, class: FileClass, action: Action, size_bytes: u64) -> FileVerdict {
    let modified = FileTime { seconds: 1_724_137_476, nanos: 5 };
    FileVerdict { path: path(name), class, action, conflict: false, size_bytes, modified }
}

fn copied(name: &str, class: FileClass, size_bytes: u64) -> ReportEvent {
    ReportEvent::File(verdict(name, class, Action::Copy, size_bytes))
}

fn extra(name: &str, is_dir: bool, kept: Option<Kept>) -> ReportEvent {
    let (size_bytes, modified) = (12_288, FileTime::default());
    ReportEvent::Extra(ExtraEntry {
        path: path(name),
        is_dir,
        size_bytes,
        modified,
        kept,
        conflict: false,
    })
}

#[test]
fn the_header_stands_as_robocopys() {
    let expected = "
-------------------------------------------------------------------------------
   QUICOPY     ::     Robust File Copy between Sites                           \u{20}\u{20}\u{20}
-------------------------------------------------------------------------------

  Started : Monday, April 21, 2025 2:25:51 PM
   Source : /src/
     Dest : /dst/

    Files : *.*
\t    \u{20}
Exc Files : *.tmp
\t    *.bak
\t    \u{20}
 Exc Dirs : .git
\t    \u{20}
  Options : *.* /S /E /DCOPY:DA /COPY:DAT /PURGE /MIR /R:3 /W:5\u{20}

------------------------------------------------------------------------------

";
    let trimmed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    let started = ReportEvent::Started { job: "1".into() };
    let header = text_report(ReportOptions::default()).render(at(NOW), &started);
    assert_eq!(trimmed(&header), trimmed(expected));
    assert_eq!(header.lines().nth(2).unwrap().len(), 79);
    assert!(header.contains("/W:5 \n"));
    check_with(ReportOptions { no_header: true, ..ReportOptions::default() }, &started, "");
}

#[test]
fn directory_lines_stand_in_robocopys_columns() {
    let directory = |name, class, files| ReportEvent::Directory { path: path(name), class, files };
    check(&directory("", DirectoryClass::Existing, 2), "\t                   2\t/src/\n");
    check(&directory("empty", DirectoryClass::New, 0), "\t  New Dir          0\t/src/empty/\n");
    check(&extra("old", true, None), "\t*EXTRA Dir        -1\t/dst/old/\n");
    check(&extra("old/.git", true, Some(Kept::Named)), "\t*named dir        -1\t/dst/old/.git/\n");
    // What is not counted as extra is not called so.
    check(
        &extra("lost+found", true, Some(Kept::Mount)),
        "\t*named dir        -1\t/dst/lost+found/\n",
    );
    check(&extra("held", true, Some(Kept::HoldsKept)), "\t*EXTRA Dir        -1\t/dst/held/\n");
    let existing = directory("a", DirectoryClass::Existing, 2);
    let threads = || ReportOptions { multi_threaded: true, ..ReportOptions::default() };
    check_with(threads(), &existing, "");
    check_with(threads(), &extra("old", true, None), "\t*EXTRA Dir        -1\t/dst/old/\n");
    check_with(ReportOptions { no_dirs: true, ..ReportOptions::default() }, &existing, "");
}

#[test]
fn file_lines_stand_in_robocopys_columns() {
    check(&copied("x/a.txt", FileClass::Lonely, 39), "\t    New File  \t\t      39\ta.txt\n");
    check(
        &copied("big.iso", FileClass::Newer, 18 << 20),
        "\t    Newer     \t\t  18.0 m\tbig.iso\n",
    );
    check(&extra("old.dll", false, None), "\t  *EXTRA File \t\t   12288\told.dll\n");
    check(&extra("only.log", false, Some(Kept::Named)), "\t   *named file\t\t   12288\tonly.log\n");
    let mismatch = verdict("m", FileClass::Mismatched, Action::Mismatch, 1);
    check(&ReportEvent::File(mismatch), "\t  *MISMATCH   \t\t       1\tm\n");
    check(
        &copied("a\n\x1b[2J", FileClass::Lonely, 1),
        "\t    New File  \t\t       1\ta\\n\\u{1b}[2J\n",
    );
}

#[test]
fn switches_change_file_lines_as_they_do_in_robocopy() {
    let new = copied("x/f.txt", FileClass::Lonely, 1091);
    let with = |change: fn(&mut ReportOptions), expected: &str| {
        let mut options = ReportOptions::default();
        change(&mut options);
        check_with(options, &new, expected);
    };
    let times = |options: &mut ReportOptions| {
        options.timestamps = true;
        options.full_paths = true;
    };
    with(times, "\t    New File  \t\t    1091 2024/08/20 07:04:36\t/src/x/f.txt\n");
    with(|o| o.no_classes = true, "\t  \t\t    1091\tf.txt\n");
    with(|o| o.no_sizes = true, "\t    New File  \t\t\tf.txt\n");
    with(|o| o.no_dirs = true, "\t    New File  \t\t    1091\t/src/x/f.txt\n");
    with(|o| o.multi_threaded = true, "\t    New File  \t\t    1091\t/src/x/f.txt\n");
    with(|o| o.no_files = true, "");
    let options = ReportOptions { bytes: true, ..ReportOptions::default() };
    check_with(
        options,
        &copied("a", FileClass::Changed, 18_874_368),
        "\t    Changed   \t\t18874368\ta\n",
    );
}

#[test]
fn a_file_that_is_told_of_later_has_its_path() {
    let mut report = text_report(ReportOptions::default());
    let mut render = |event: &ReportEvent| report.render(at(NOW), event);
    let directory = |name| {
        let (path, class) = (path(name), DirectoryClass::Existing);
        ReportEvent::Directory { path, class, files: 1 }
    };
    render(&directory("x"));
    let modified = copied("x/a", FileClass::Modified, 1);
    assert_eq!(render(&modified), "\t    Modified  \t\t       1\ta\n");
    render(&directory("y"));
    assert_eq!(render(&modified), "\t    Modified  \t\t       1\t/src/x/a\n");
}

#[test]
fn skipped_files_are_named_with_v_only() {
    let same = ReportEvent::File(verdict("a", FileClass::Same, Action::Skip, 39));
    let skipped = |reason, is_dir| ReportEvent::Skipped {
        path: path("x/.git"),
        is_dir,
        reason,
        size_bytes: 39,
        modified: FileTime::default(),
    };
    let verbose = ReportOptions { verbose: true, ..ReportOptions::default() };
    check(&same, "");
    check(&skipped(Skip::Named, false), "");
    check_with(verbose.clone(), &same, "\t          same\t\t      39\ta\n");
    check_with(
        verbose.clone(),
        &skipped(Skip::Named, false),
        "\t         named\t\t      39\t.git\n",
    );
    check_with(verbose, &skipped(Skip::Named, true), "\t   named dir      -1\t/src/x/.git/\n");
    check(&skipped(Skip::Special, false), "\t       special\t\t      39\t.git\n");
}

#[test]
fn a_conflict_is_named_even_without_file_lines() {
    let file = FileVerdict { conflict: true, ..verdict("a", FileClass::Older, Action::Copy, 7) };
    let quiet = ReportOptions { no_files: true, ..ReportOptions::default() };
    check_with(quiet, &ReportEvent::File(file.clone()), "\t  *CONFLICT   \t\t       7\ta\n");
    check(
        &ReportEvent::File(file),
        "\t  *CONFLICT   \t\t       7\ta\n\t    Older     \t\t       7\ta\n",
    );
}

#[test]
fn errors_carry_windows_numbers_and_full_paths() {
    let failure = Failure::new(Operation::CopyFile, 32, "it is open in another program");
    let retrying = ReportEvent::Retrying {
        failure: failure.clone(),
        path: path("x/a"),
        wait: Duration::from_secs(5),
    };
    let error = "2025/04/21 14:25:51 ERROR 32 (0x00000020) Copying File /src/x/a\nit is open in another program\n";
    check(&retrying, &format!("{error}Waiting 5 seconds... Retrying...\n"));
    let event = |retries_exhausted| ReportEvent::Error {
        failure: failure.clone(),
        path: path("x/a"),
        retries_exhausted,
    };
    check(&event(true), &format!("{error}\nERROR: RETRY LIMIT EXCEEDED.\n\n"));
    check(&event(false), &format!("{error}\n"));
    let removal = Removal {
        path: path("old"),
        is_dir: true,
        failure: Some(Failure::new(Operation::DeleteExtraDirectory, 5, "no\x1b")),
    };
    let quiet = ReportOptions { no_files: true, no_dirs: true, ..ReportOptions::default() };
    check_with(
        quiet,
        &ReportEvent::Removed(removal),
        "2025/04/21 14:25:51 ERROR 5 (0x00000005) Deleting Extra Directory /dst/old\nno\\u{1b}\n\n",
    );
}

fn finished(change: impl FnOnce(&mut Summary)) -> ReportEvent {
    let mut summary = Summary::default();
    change(&mut summary);
    let exit_code = ExitCode::of(&summary, Ending::Complete);
    ReportEvent::Finished { summary: Box::new(summary), exit_code, run: None }
}

#[test]
fn the_summary_stands_in_robocopys_columns() {
    let event = finished(|summary| {
        summary.dirs = Counts { copied: 1, skipped: 3, ..Counts::default() };
        summary.files = Counts { copied: 101, extras: 1, ..Counts::default() };
        summary.bytes = Counts { copied: 18_761_490_498, extras: 28_774, ..Counts::default() };
        summary.times.total = Duration::from_secs(81);
        summary.times.copying = Duration::from_secs(81);
        summary.deleted = 1;
        summary.reused_bytes = 28_774;
    });
    check(
        &event,
        "
  Deleted : 1
   Reused : 28.1 k
     Exit : 3 - files copied, extra files or directories at the destination

------------------------------------------------------------------------------

               Total    Copied   Skipped  Mismatch    FAILED    Extras
    Dirs :         4         1         3         0         0         0
   Files :       101       101         0         0         0         1
   Bytes :  17.473 g  17.473 g         0         0         0    28.1 k
   Times :   0:01:21   0:01:21                       0:00:00   0:00:00


   Speed :           231623339 Bytes/sec.
   Speed :           13253.594 MegaBytes/min.
   Ended : Monday, April 21, 2025 2:25:51 PM

",
    );
}

#[test]
fn speed_is_shown_only_when_something_was_copied() {
    let nothing = text_report(ReportOptions::default()).render(at(NOW), &finished(|_| {}));
    assert!(nothing.contains("0:00:00   0:00:00\n   Ended : "), "{nothing}");
    let copied = finished(|summary| {
        summary.add_file(Column::Copied, 5);
        summary.times.copying = Duration::from_secs(1);
    });
    let list_only = ReportOptions { list_only: true, ..ReportOptions::default() };
    assert!(!text_report(list_only).render(at(NOW), &copied).contains("Speed"));
    check_with(ReportOptions { no_summary: true, ..ReportOptions::default() }, &copied, "");
}

/// A console that a test can read afterwards.
#[derive(Clone, Default)]
struct Console(Arc<Mutex<Vec<u8>>>);

impl Console {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

/// Runs a job of one file, and returns what the console got.
fn run(options: ReportOptions) -> String {
    let console = Console::default();
    let mut report = Report::new(text_report(options), console.clone()).unwrap();
    for event in [
        ReportEvent::Started { job: "1".into() },
        copied("a", FileClass::Lonely, 1),
        finished(|summary| summary.add_file(Column::Copied, 1)),
    ] {
        report.handle(at(NOW), &event);
    }
    console.text()
}

fn log_in(dir: &tempfile::TempDir, mode: LogMode) -> Option<LogFile> {
    Some(LogFile { path: dir.path().join("log"), mode, encoding: LogEncoding::Utf8 })
}

#[test]
fn with_a_log_the_console_learns_only_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let options =
        ReportOptions { log: log_in(&dir, LogMode::Overwrite), ..ReportOptions::default() };
    let console = run(options.clone());
    assert_eq!(console, format!("\n Log File : {}\n", dir.path().join("log").display()));
    let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
    assert!(log.contains("QUICOPY") && log.contains("New File") && log.contains("Exit : 1"));
    assert_eq!(run(ReportOptions { tee: true, ..options }), log);
}

#[test]
fn a_log_is_replaced_or_grows() {
    let dir = tempfile::tempdir().unwrap();
    for (mode, headers) in [(LogMode::Append, 1), (LogMode::Append, 2), (LogMode::Overwrite, 1)] {
        run(ReportOptions { log: log_in(&dir, mode), ..ReportOptions::default() });
        let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
        assert_eq!(log.matches("QUICOPY").count(), headers);
    }
}

#[test]
fn without_the_folder_of_the_log_no_report_begins() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mode) = (dir.path().join("no/log"), LogMode::Append);
    let log = Some(LogFile { path, mode, encoding: LogEncoding::Utf8 });
    let options = ReportOptions { log, ..ReportOptions::default() };
    assert!(Report::new(text_report(options), io::sink()).is_err());
}

#[test]
fn json_takes_the_console_and_ends_with_the_summary() {
    let console = run(ReportOptions { json: true, ..ReportOptions::default() });
    let types: Vec<_> = console
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].clone())
        .collect();
    assert_eq!(types, ["started", "file", "summary"]);
}

#[test]
fn a_console_that_goes_away_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = ReportOptions {
        log: log_in(&dir, LogMode::Overwrite),
        tee: true,
        ..ReportOptions::default()
    };
    let mut report = Report::new(text_report(options), Closed).unwrap();
    report.handle(at(NOW), &ReportEvent::Notice("one".into()));
    report.handle(at(NOW), &ReportEvent::Notice("two".into()));
    assert_eq!(std::fs::read_to_string(dir.path().join("log")).unwrap().lines().count(), 2);
    assert!(report.log_failure().is_none());
}

#[test]
fn with_everything_switched_off_only_errors_remain() {
    let options = ReportOptions {
        no_header: true,
        no_summary: true,
        no_files: true,
        no_dirs: true,
        no_progress: true,
        ..ReportOptions::default()
    };
    assert_eq!(run(options), "");
}

#[test]
fn hours_and_monitors_are_told_in_robocopys_words() {
    let until = at(NOW + 3600);
    check(&ReportEvent::Paused { until }, "    Hours : Paused at 14:25 until 15:25...\n");
    let waits = ReportEvent::Monitoring { minutes: 5, changes: 3 };
    check(&waits, "  Monitor : Waiting for 5 minutes and 3 changes...\n");
    check(&ReportEvent::Watched { minutes: 5, changes: 3 }, "");
}

#[test]
fn a_monitor_on_a_terminal_counts_on_one_line_until_another_follows() {
    let shown = Console::default();
    let mut report = Report::new(text_report(ReportOptions::default()), shown.clone()).unwrap();
    report.status = Status::Clear;
    for (minutes, changes) in [(0, 0), (12, 3)] {
        report.handle(at(NOW), &ReportEvent::Watched { minutes, changes });
    }
    report.handle(at(NOW), &ReportEvent::Notice("x".into()));
    report.handle(at(NOW), &ReportEvent::Notice("y".into()));
    let line = "\r   0 mins : 0 changes.\r  12 mins : 3 changes.\n";
    assert_eq!(shown.text(), format!("{line}    NOTE : x\n    NOTE : y\n"));
}
