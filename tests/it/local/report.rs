//! The report as scripts read it: the cases of Robocopy's output, through a reader of its logs.

use std::fs;

use quicopy_tests::{
    robolog::{self, RoboLog, Row},
    world::World,
};

use super::check;

/// Copies, and reads what standard output got.
#[track_caller]
fn report(source: &str, share: &str, switches: &str, codes: &[i32]) -> RoboLog {
    let world = World::new(source, share);
    let finished = world.copy(switches);
    finished.exits(codes);
    let log = RoboLog::parse(&finished.stdout);
    assert_eq!(log.exit_code.map(i32::from), finished.status.code(), "{finished}");
    assert_eq!(log.exit_code_by_table(), log.exit_code, "{finished}");
    let summary = log.summary.as_ref().expect("a summary that scripts can read");
    for row in [summary.dirs, summary.files, summary.bytes] {
        assert!(row.adds_up(), "{finished}");
    }
    log
}

#[track_caller]
fn files(log: &RoboLog) -> Row {
    log.summary.as_ref().expect("a summary").files
}

#[test]
fn speed_stands_there_only_when_something_was_copied() {
    let has_speed = |log: RoboLog| log.summary.expect("a summary").speed.is_some();
    assert!(has_speed(report("a 100000B", "", "", &[1])));
    assert!(!has_speed(report("a", "a", "", &[0])));
    assert!(!has_speed(report("a 100000B", "", "/L", &[1])));
}

#[test]
fn a_list_counts_as_if_it_had_been_done_and_changes_nothing() {
    let world = World::new("a, d/b", "x");
    let before = world.share_now();
    let finished = world.copy("/MIR /L");
    let log = RoboLog::parse(&finished.exits(&[3]).stdout);
    assert_eq!((files(&log).copied, files(&log).extras), (2, 1));
    assert_eq!(log.labelled("New File"), ["a", "b"]);
    assert_eq!(log.labelled("*EXTRA File"), ["x"]);
    world.share_now().must_equal(&before, "the share after a list");
}

#[test]
fn a_directory_line_comes_first_then_extras_then_files_by_name() {
    let world = World::new("a, b.tmp, c, d/e", "c, x, old/y");
    let finished = world.copy("/E /V /XF *.tmp");
    let lines: Vec<&str> = finished.exits(&[3]).stdout.lines().collect();
    let at = |text: &str| {
        let found = lines.iter().position(|line| line.starts_with('\t') && line.ends_with(text));
        found.unwrap_or_else(|| panic!("{text:?} in\n{finished}"))
    };
    let places = ["/source/", "/old/", "\tx", "\ta", "\tb.tmp", "\tc", "/d/", "\te"].map(at);
    assert!(places.is_sorted(), "{finished}");
}

#[test]
fn the_header_is_that_of_robocopy() {
    let log = report("a, b.tmp", "", "/MIR /XF *.tmp *.bak /XD .git", &[1]);
    let header = &log.header;
    assert!(header.source.as_ref().is_some_and(|path| path.ends_with("/source/")), "{header:?}");
    assert!(header.destination.as_ref().is_some_and(|path| path.ends_with("/share/")));
    assert_eq!(header.files, ["*.*"]);
    assert_eq!(header.exclude_files, ["*.tmp", "*.bak"]);
    assert_eq!(header.exclude_dirs, [".git"]);
    let expected = ["*.*", "/S", "/E", "/DCOPY:DA", "/COPY:DAT", "/PURGE", "/MIR", "/R:0", "/W:0"];
    assert_eq!(header.options, expected);
    let log = report("x.txt, y", "", "x.txt", &[1]);
    assert_eq!(log.header.files, ["x.txt"]);
    assert!(!log.header.options.contains(&"*.*".to_owned()));
}

#[test]
fn switches_shape_the_lines() {
    let dirs = |log: &RoboLog| log.directories.len();
    let name = |log: &RoboLog| log.files[0].name.clone();
    let plain = report("d/a", "", "/E", &[1]);
    assert_eq!((dirs(&plain), name(&plain)), (2, "a".to_owned()));
    assert_eq!(plain.directories[1].label, "New Dir");
    for switches in ["/E /MT", "/E /NDL"] {
        let log = report("d/a", "", switches, &[1]);
        assert_eq!(dirs(&log), 0);
        assert!(name(&log).ends_with("/source/d/a"), "{log:?}");
    }
    let bare = report("a", "x", "/NC /NS", &[3]);
    assert!(bare.files.iter().all(|file| file.label.is_empty() && file.size_bytes.is_none()));
    assert_eq!(bare.files.len(), 2);
    let timed = report("a @1724137476", "", "/TS /FP", &[1]);
    assert_eq!(timed.files[0].time.as_deref(), Some("2024/08/20 07:04:36"));
    assert!(name(&timed).ends_with("/source/a"));
}

#[test]
fn sizes_are_short_or_plain_bytes() {
    for (switches, on_line, in_table) in
        [("", "\t\t  18.0 m\t", "  18.00 m"), ("/BYTES", "\t\t18874368\t", "  18874368")]
    {
        let world = World::new("a 18874368B", "");
        let finished = world.copy(switches);
        finished.exits(&[1]).says(on_line).says(in_table);
    }
}

#[test]
fn only_errors_are_left_when_all_is_switched_off() {
    let finished = check("a, l -> nowhere", "", "/NJH /NJS /NFL /NDL /NP", &[9], "a");
    let log = RoboLog::parse(&finished.stdout);
    assert_eq!((log.errors.len(), log.errors[0].code), (1, 2), "{finished}");
    assert_eq!(finished.stdout.trim().lines().count(), 2, "{finished}");
}

#[test]
fn a_failed_file_is_an_error_line_and_counts_once() {
    let log = report("a, l -> nowhere", "", "", &[9]);
    assert_eq!((files(&log).copied, files(&log).failed, files(&log).total), (1, 1, 2));
    assert!(log.errors[0].what.ends_with("/source/l"), "{log:?}");
}

#[test]
fn a_missing_source_is_error_2_and_a_file_267() {
    for (source, code) in [("missing", 2), ("a", 267)] {
        let world = World::new("a", "x");
        let source = world.source().join(source);
        let arguments = [source.display().to_string(), world.share().display().to_string()];
        let finished = world.sender().run(&[&arguments[..], &["/MIR".to_owned()]].concat());
        let log = RoboLog::parse(&finished.exits(&[16]).stdout);
        let [error] = &log.errors[..] else { panic!("{finished}") };
        assert_eq!(error.code, code);
        assert!(error.what.starts_with("Accessing Source Directory /"), "{finished}");
        assert_eq!(log.exit_code, Some(16));
        world.share_now().must_equal(&quicopy_tests::tree::Snapshot::described("x"), "the share");
    }
}

#[test]
fn appended_logs_are_two_whole_reports() {
    let world = World::new("a", "");
    let log = world.folder().join("log");
    let switches = format!("/LOG+:{}", log.display());
    world.copy(&switches).exits(&[1]);
    world.copy(&switches).exits(&[0]);
    let text =
        fs::read(&log).map(|bytes| robolog::decode(&bytes)).expect("the log").expect("UTF-8");
    let copied: Vec<_> = RoboLog::parse_all(&text).iter().map(|log| files(log).copied).collect();
    assert_eq!(copied, [1, 0]);
}

#[test]
fn a_log_in_a_missing_folder_is_error_3() {
    let finished = check("a", "", "/LOG:{SRC}/no/x", &[16], "");
    finished.says("ERROR 3 (0x00000003) Opening Log File ").says("/no/x");
}

#[test]
fn what_is_no_switch_gets_a_header_without_folders() {
    let finished = check("a", "x", "/NOSUCH", &[16], "x");
    finished.says("ERROR : Invalid Parameter #3 : \"/NOSUCH\"").says("/MIR can DELETE");
    let header = RoboLog::parse(&finished.stderr).header;
    assert_eq!((header.source, header.destination), (None, None));
    assert_eq!(header.options, ["/DCOPY:DA", "/COPY:DAT", "/R:3", "/W:5"]);
}
