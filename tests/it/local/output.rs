//! The report, the log and the summary.

use std::fs;

use super::check;
use quicopy_tests::{json, world::World};

#[test]
fn every_run_under_json_ends_with_a_summary() {
    for (source, share, switches, code) in [
        ("a, b 3B", "b 4B, x", "/E", 3),
        ("a", "a", "/E", 0),
        ("", "x", "/MIR", 16),
        ("a", "", "/NOSUCH", 16),
    ] {
        let world = World::new(source, share);
        let finished = world.copy(&format!("{switches} --json"));
        let summary = finished.exits(&[code]).summary();
        assert_eq!(summary.exit_code, code);
        for counts in [summary.files, summary.dirs, summary.bytes] {
            let parts = counts.copied + counts.skipped + counts.mismatched + counts.failed;
            assert_eq!(counts.total, parts, "{finished}");
        }
        assert_eq!((summary.wire_bytes_sent, summary.wire_bytes_received), (0, 0), "{finished}");
    }
}

#[test]
fn the_summary_counts_what_was_done() {
    let world = World::new("a 10B, b 20B @20, c 30B", "b 20B @10, c 30B, x 7B");
    let summary = world.copy("/MIR --json").exits(&[3]).summary();
    let expected =
        json::Counts { total: 3, copied: 2, skipped: 1, mismatched: 0, failed: 0, extras: 1 };
    assert_eq!(summary.files, expected);
    let expected =
        json::Counts { total: 60, copied: 30, skipped: 30, mismatched: 0, failed: 0, extras: 7 };
    assert_eq!(summary.bytes, expected);
    assert_eq!(summary.deleted, 1);
}

#[test]
fn a_log_takes_the_report_from_the_console() {
    let world = World::new("a.txt", "");
    let log = world.folder().join("log");
    let console = world.copy(&format!("/LOG:{}", log.display()));
    console.exits(&[1]).says("Log File :").hides("a.txt");
    let text = fs::read_to_string(&log).expect("the log was written");
    assert!(text.contains("a.txt") && text.contains("New File"), "{text}");

    world.copy(&format!("/LOG+:{} /TEE /V", log.display())).exits(&[0]).says("a.txt");
    let both = fs::read_to_string(&log).expect("the log was written");
    assert!(both.starts_with(&text) && both.len() > text.len(), "{both}");
}

#[test]
fn a_log_that_cannot_be_written_stops_the_run() {
    check("a", "", "/LOG:{SRC}/no/such/log", &[16], "");
}

#[test]
fn a_log_that_takes_no_line_is_named_with_the_reason() {
    for (switch, after) in [("/LOG", "a"), ("/LOG+", "a"), ("/UNILOG", "")] {
        let finished = check("a", "", &format!("{switch}:/dev/full"), &[16], after);
        let said = finished.stderr.matches("Writing Log File /dev/full\nno space left").count();
        assert_eq!(said, 1, "{finished}");
    }
}

#[test]
fn a_job_whose_log_broke_is_said_to_have_broken_off_wherever_it_is_told_of() {
    let world = World::new("a", "");
    let finished = world.copy("/LOG:/dev/full --json");
    finished.exits(&[16]);
    assert_eq!(finished.summary().exit_code, 16, "{finished}");
    world.copy("/LOG:/dev/full /TEE").exits(&[16]).says("Exit : 16");
    let jobs = world.sender().run(&["jobs", "--json"]);
    let codes = jobs.stdout.matches("\"exit_code\":16").count();
    assert_eq!(codes, 2, "{jobs}");
}

#[test]
fn the_header_names_the_switches_in_force() {
    check("a", "", "/MIR", &[1], "a").says("/S /E").says("/PURGE").says("/MIR").says("/R:0 /W:0");
}

#[test]
fn parts_of_the_report_can_be_left_out() {
    let finished = check("a.txt", "", "/NJH /NJS /NFL /NDL /NP", &[1], "a.txt");
    assert_eq!(finished.stdout.trim(), "", "{finished}");
}
