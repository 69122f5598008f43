//! Whole reports of one job with everything in it, to the column.

use super::*;

fn directory(name: &str, class: DirectoryClass, files: u64) -> ReportEvent {
    ReportEvent::Directory { path: path(name), class, files }
}

fn skipped(name: &str, is_dir: bool, reason: Skip) -> ReportEvent {
    let modified = FileTime { seconds: 1_724_137_476, nanos: 5 };
    ReportEvent::Skipped { path: path(name), is_dir, reason, size_bytes: 39, modified }
}

fn judged(name: &str, class: FileClass, action: Action) -> ReportEvent {
    ReportEvent::File(verdict(name, class, action, 39))
}

fn progress(bytes_done: u64, bytes_total: u64) -> ReportEvent {
    ReportEvent::Progress(Progress { bytes_done, bytes_total, ..Progress::default() })
}

/// A job with everything, as the agent tells it: a second from one event to the next.
fn job() -> Vec<ReportEvent> {
    let locked = || Failure::new(Operation::CopyFile, 32, "it is open in another program");
    let wait = Duration::from_secs(5);
    let mut summary = Summary {
        dirs: Counts { copied: 1, skipped: 2, extras: 2, ..Counts::default() },
        deleted: 2,
        conflicts: 1,
        reconnects: 1,
        wire_bytes_sent: 20 << 20,
        ..Summary::default()
    };
    for _ in 0..16 {
        summary.add_file(Column::Skipped, 39);
    }
    for size_bytes in [39, 18 << 20, 1_234_567_890, 39, 39, 39, 39] {
        summary.add_file(Column::Copied, size_bytes);
    }
    summary.add_file(Column::Failed, 39);
    summary.add_file(Column::Mismatched, 39);
    summary.add_file(Column::Extras, 12_288);
    summary.times = Times {
        total: Duration::from_secs(3_700),
        copying: Duration::from_secs(3_600),
        waiting: Duration::from_secs(10),
        other: Duration::from_secs(90),
        lost: Duration::from_secs(7),
    };
    let exit_code = ExitCode::of(&summary, Ending::Complete);
    vec![
        ReportEvent::Started { job: "1".into() },
        ReportEvent::Notice("a note".into()),
        directory("", DirectoryClass::Existing, 7),
        skipped("attrib", false, Skip::Attributes),
        skipped("archive", false, Skip::Archive),
        skipped("named", false, Skip::Named),
        skipped("large", false, Skip::Large),
        skipped("small", false, Skip::Small),
        skipped("too-new", false, Skip::TooNew),
        skipped("too-old", false, Skip::TooOld),
        skipped("link", false, Skip::Link),
        skipped(".git", true, Skip::Named),
        judged("fixed", FileClass::Same, Action::Fix),
        judged("lonely", FileClass::Lonely, Action::Skip),
        judged("mismatch", FileClass::Mismatched, Action::Mismatch),
        judged("modified", FileClass::Modified, Action::Copy),
        judged("new", FileClass::Lonely, Action::Copy),
        judged("newer", FileClass::Newer, Action::Copy),
        judged("older", FileClass::Older, Action::Copy),
        judged("same", FileClass::Same, Action::Skip),
        judged("tweaked", FileClass::Tweaked, Action::Restamp),
        extra("old", true, None),
        extra("old/.git", true, Some(Kept::Named)),
        extra("old/x.dll", false, None),
        extra("only.log", false, Some(Kept::Named)),
        directory("d", DirectoryClass::Existing, 2),
        copied("d/big.iso", FileClass::Changed, 18 << 20),
        ReportEvent::File(FileVerdict {
            conflict: true,
            ..verdict("d/huge.vhd", FileClass::Lonely, Action::Copy, 1_234_567_890)
        }),
        ReportEvent::Copied { path: path("new"), size_bytes: 39 },
        ReportEvent::Retrying { failure: locked(), path: path("d/big.iso"), wait },
        ReportEvent::Reconnecting { code: 64, reason: "the link was lost".into(), wait },
        progress(0, 1_000),
        progress(600, 1_000),
        directory("new", DirectoryClass::New, 1),
        judged("new/z", FileClass::Lonely, Action::Copy),
        ReportEvent::Error { failure: locked(), path: path("new/z"), retries_exhausted: true },
        ReportEvent::Finished { summary: Box::new(summary), exit_code, run: None },
    ]
}

/// What the console gets of the job.
fn shown(options: ReportOptions) -> String {
    let console = Console::default();
    let mut report = Report::new(text_report(options), console.clone()).unwrap();
    for (second, event) in (0..).zip(job()) {
        report.handle(at(NOW + second), &event);
    }
    console.text()
}

/// Compares from the first directory on; the header has a test of its own.
fn check(options: ReportOptions, expected: &str) {
    let options = ReportOptions { no_header: true, ..options };
    let shown = shown(options);
    assert_eq!(shown, expected.strip_prefix('\n').unwrap(), "{shown}");
}

const TABLE: &str = "
  Deleted : 2
Conflicts : 1
     Sent : 20.00 m
 Redialed : 1
  Outages : 0:00:07
     Exit : 15 - files copied, extra files or directories at the destination, files and directories of the same name, SOME FAILED

------------------------------------------------------------------------------

               Total    Copied   Skipped  Mismatch    FAILED    Extras
    Dirs :         3         1         2         0         0         2
   Files :        25         7        16         1         1         1
   Bytes :   1.167 g   1.167 g       624        39        39    12.0 k
   Times :   1:01:40   1:00:00                       0:00:10   0:01:30


   Speed :              348178 Bytes/sec.
   Speed :              19.923 MegaBytes/min.
   Ended : Monday, April 21, 2025 2:26:27 PM

";

#[test]
fn a_job_with_everything() {
    let lines = "
    NOTE : a note
\t                   7\t/src/
\t*EXTRA Dir        -1\t/dst/old/
\t*named dir        -1\t/dst/old/.git/
\t  *EXTRA File \t\t   12288\tx.dll
\t   *named file\t\t   12288\tonly.log
\t      fix same\t\t      39\tfixed
\t  *MISMATCH   \t\t      39\tmismatch
\t    Modified  \t\t      39\tmodified
\t    New File  \t\t      39\tnew
\t    Newer     \t\t      39\tnewer
\t    Older     \t\t      39\tolder
\t    Tweaked   \t\t      39\ttweaked
\t                   2\t/src/d/
\t    Changed   \t\t  18.0 m\tbig.iso
\t  *CONFLICT   \t\t   1.1 g\thuge.vhd
\t    New File  \t\t   1.1 g\thuge.vhd
2025/04/21 14:26:20 ERROR 32 (0x00000020) Copying File /src/d/big.iso
it is open in another program
Waiting 5 seconds... Retrying...
2025/04/21 14:26:21 ERROR 64 (0x00000040) Accessing Destination Directory /dst/
the link was lost
Waiting 5 seconds... Retrying...
\t  New Dir          1\t/src/new/
\t    New File  \t\t      39\tz
2025/04/21 14:26:26 ERROR 32 (0x00000020) Copying File /src/new/z
it is open in another program

ERROR: RETRY LIMIT EXCEEDED.

";
    check(ReportOptions::default(), &format!("{lines}{TABLE}"));
}

#[test]
fn a_job_with_everything_told() {
    let options = ReportOptions {
        verbose: true,
        timestamps: true,
        full_paths: true,
        bytes: true,
        no_summary: true,
        eta: true,
        ..ReportOptions::default()
    };
    let expected = "
    NOTE : a note
\t                   7\t/src/
\t   named dir      -1\t/src/.git/
\t*EXTRA Dir        -1\t/dst/old/
\t*named dir        -1\t/dst/old/.git/
\t  *EXTRA File \t\t   12288 1970/01/01 00:00:00\t/dst/old/x.dll
\t   *named file\t\t   12288 1970/01/01 00:00:00\t/dst/only.log
\t       archive\t\t      39 2024/08/20 07:04:36\t/src/archive
\t        attrib\t\t      39 2024/08/20 07:04:36\t/src/attrib
\t      fix same\t\t      39 2024/08/20 07:04:36\t/src/fixed
\t         large\t\t      39 2024/08/20 07:04:36\t/src/large
\t      junction\t\t      39 2024/08/20 07:04:36\t/src/link
\t        lonely\t\t      39 2024/08/20 07:04:36\t/src/lonely
\t  *MISMATCH   \t\t      39 2024/08/20 07:04:36\t/src/mismatch
\t    Modified  \t\t      39 2024/08/20 07:04:36\t/src/modified
\t         named\t\t      39 2024/08/20 07:04:36\t/src/named
\t    New File  \t\t      39 2024/08/20 07:04:36\t/src/new
\t    Newer     \t\t      39 2024/08/20 07:04:36\t/src/newer
\t    Older     \t\t      39 2024/08/20 07:04:36\t/src/older
\t          same\t\t      39 2024/08/20 07:04:36\t/src/same
\t         small\t\t      39 2024/08/20 07:04:36\t/src/small
\t       too new\t\t      39 2024/08/20 07:04:36\t/src/too-new
\t       too old\t\t      39 2024/08/20 07:04:36\t/src/too-old
\t    Tweaked   \t\t      39 2024/08/20 07:04:36\t/src/tweaked
\t                   2\t/src/d/
\t    Changed   \t\t18874368 2024/08/20 07:04:36\t/src/d/big.iso
\t  *CONFLICT   \t\t1234567890 2024/08/20 07:04:36\t/src/d/huge.vhd
\t    New File  \t\t1234567890 2024/08/20 07:04:36\t/src/d/huge.vhd
2025/04/21 14:26:20 ERROR 32 (0x00000020) Copying File /src/d/big.iso
it is open in another program
Waiting 5 seconds... Retrying...
2025/04/21 14:26:21 ERROR 64 (0x00000040) Accessing Destination Directory /dst/
the link was lost
Waiting 5 seconds... Retrying...
\t  New Dir          1\t/src/new/
\t    New File  \t\t      39 2024/08/20 07:04:36\t/src/new/z\t\t14:26 -> 14:26
2025/04/21 14:26:26 ERROR 32 (0x00000020) Copying File /src/new/z
it is open in another program

ERROR: RETRY LIMIT EXCEEDED.

";
    check(options, expected);
}

#[test]
fn a_job_with_threads_names_no_directories_but_extra_ones() {
    let options =
        ReportOptions { multi_threaded: true, no_summary: true, ..ReportOptions::default() };
    let shown = shown(ReportOptions { no_header: true, ..options });
    assert!(!shown.contains("\t/src/d/\n") && !shown.contains("New Dir"), "{shown}");
    assert!(shown.contains("\t*EXTRA Dir        -1\t/dst/old/\n"), "{shown}");
    assert!(shown.contains("\t  *EXTRA File \t\t   12288\t/dst/old/x.dll\n"), "{shown}");
    assert!(shown.contains("\t    New File  \t\t      39\t/src/new/z\n"), "{shown}");
}

#[test]
fn with_everything_left_out_only_what_needs_somebody_is_said() {
    let options = ReportOptions {
        no_files: true,
        no_dirs: true,
        no_summary: true,
        ..ReportOptions::default()
    };
    let expected = "
    NOTE : a note
\t  *CONFLICT   \t\t   1.1 g\t/src/d/huge.vhd
2025/04/21 14:26:20 ERROR 32 (0x00000020) Copying File /src/d/big.iso
it is open in another program
Waiting 5 seconds... Retrying...
2025/04/21 14:26:21 ERROR 64 (0x00000040) Accessing Destination Directory /dst/
the link was lost
Waiting 5 seconds... Retrying...
2025/04/21 14:26:26 ERROR 32 (0x00000020) Copying File /src/new/z
it is open in another program

ERROR: RETRY LIMIT EXCEEDED.

";
    check(options, expected);
}

#[test]
fn a_wide_log_has_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let log = LogFile { path: path.clone(), mode: LogMode::Append, encoding: LogEncoding::Utf16 };
    let options = ReportOptions { log: Some(log), tee: true, ..ReportOptions::default() };
    let once = shown(options.clone());
    assert_eq!(once, shown(options));
    let bytes = std::fs::read(path).unwrap();
    let units: Vec<_> =
        bytes.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let text = String::from_utf16(&units).unwrap();
    assert_eq!(text, format!("\u{feff}{0}{0}", once.replace('\n', "\r\n")));
}
