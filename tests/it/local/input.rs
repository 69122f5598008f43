//! What the user typed, right and wrong.

use std::fs;
use std::path::Path;

use rustix::fs::{CWD, Mode, mkfifoat};

use super::check;
use quicopy_tests::{tree::change_marks, world::World};

/// Calls the sender with `switches` after a source and a destination that hold something; requires the exit code 16, the
/// text, and an unchanged destination.
#[track_caller]
fn refuses(switches: &str, text: &str) {
    check("a @20", "a @10, x", switches, &[16], "a @10, x").says(text);
}

#[test]
fn help_exits_as_robocopys_or_as_a_unix_programs_does() {
    let sender = World::new("", "").sender();
    let nothing: [&str; 0] = [];
    sender.run(&nothing).exits(&[16]);
    sender.run(&["/?"]).exits(&[16]).says("/MIR").says("/BWLIMIT");
    sender.run(&["--help"]).exits(&[0]).says("--mirror");
    sender.run(&["--version"]).exits(&[0]).says("quicopy");
}

#[test]
fn an_unknown_switch_is_named_with_its_place() {
    refuses("/NOSUCH", "ERROR : Invalid Parameter #3 : \"/NOSUCH\"");
    refuses("/E /NOSUCH", "ERROR : Invalid Parameter #4 : \"/NOSUCH\"");
}

#[test]
fn a_value_out_of_range_is_refused() {
    refuses("/MT:0", "/MT:0");
    refuses("/MT:129", "/MT:129");
    refuses("/R:x", "/R:x");
    refuses("/LEV:-1", "/LEV:-1");
    refuses("/COPY:DATQ", "/COPY:DATQ");
    refuses("/MAXDELETE:101%", "/MAXDELETE:101%");
    refuses("/CONFLICT:maybe", "/CONFLICT:maybe");
    refuses("/BWLIMIT:fast", "/BWLIMIT:fast");
}

#[test]
fn switches_that_exclude_each_other_are_refused() {
    refuses("/MT:4 /IPG:5", "/IPG");
    refuses("/CREATE /NOCOPY", "/NOCOPY");
    refuses("/MOV /NOCOPY", "/MOV");
}

#[test]
fn a_switch_that_cannot_be_obeyed_is_refused_and_not_passed_over() {
    for switch in ["/EFSRAW", "/FAT", "/COPY:DATU", "/KEEPBASIS:1G", "/INPLACE"] {
        refuses(switch, switch.split(':').next().unwrap_or(switch));
    }
    refuses("/JOB:x", "Opening Job File");
}

#[test]
fn a_job_file_is_a_file_and_nothing_is_waited_for() {
    let world = World::new("a", "");
    let pipe = world.folder().join("pipe.rcj");
    mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).expect("a pipe");
    let folder = world.folder().join("site-a");
    for (file, kind) in
        [(pipe.as_path(), "a pipe"), (&folder, "a directory"), (Path::new("/dev/null"), "a device")]
    {
        let finished = world.copy(&format!("/JOB:{}", file.display()));
        finished.exits(&[16]).says("Opening Job File").says(&file.display().to_string()).says(kind);
    }
}

#[test]
fn garbage_in_a_job_file_is_quoted_in_part() {
    let world = World::new("a", "");
    let job = world.folder().join("garbage.rcj");
    for garbage in
        [vec![b'x'; 1 << 19], vec![0x1b; 1 << 19], [b"/R:", &[b'9'; 1 << 19][..]].concat()]
    {
        fs::write(&job, garbage).expect("a job file");
        let finished = world.copy(&format!("/JOB:{}", job.display()));
        finished.exits(&[16]).says("Invalid Job File, Line #1").hides("\u{1b}[");
        assert!(finished.stderr.len() < 4096, "{} bytes", finished.stderr.len());
    }
}

#[test]
fn a_file_pattern_is_no_path() {
    refuses("sub/x.txt", "sub/x.txt");
    refuses("sub\\x.txt", "sub\\x.txt");
}

#[test]
fn switches_are_blind_to_case_and_know_both_spellings() {
    for switches in ["/mir", "-MIR", "--mirror", "/e /Purge", "/s --purge"] {
        check("a, d/b", "a, x", switches, &[3], "a, d/b");
    }
}

#[test]
fn switches_may_stand_before_the_paths() {
    let world = World::new("a", "a, x");
    let (source, share) =
        (world.source().display().to_string(), world.share().display().to_string());
    world.sender().run(&["/MIR", source.as_str(), "/R:0", share.as_str()]).exits(&[2]);
}

#[test]
fn a_source_that_is_missing_or_no_directory_is_refused() {
    let world = World::new("a", "a, x");
    let marks = change_marks(&world.share());
    for source in ["missing", "a"] {
        let source = world.source().join(source).display().to_string();
        let share = world.share().display().to_string();
        let arguments = [source.as_str(), share.as_str(), "/MIR", "/R:0"];
        world.sender().run(&arguments).exits(&[16]).says(&source);
    }
    assert_eq!(marks, change_marks(&world.share()));
}

#[test]
fn a_destination_inside_the_source_or_around_it_is_refused() {
    let world = World::new("a, d/b", "");
    let before = world.source_now();
    let source = world.source().display().to_string();
    for (from, to) in [("", ""), ("", "/d"), ("/d", ""), ("", "/d/new"), ("/d", "/../source")] {
        let (from, to) = (format!("{source}{from}"), format!("{source}{to}"));
        world.sender().run(&[from.as_str(), to.as_str(), "/MIR", "/R:0"]).exits(&[16]);
        world.source_now().must_equal(&before, &format!("{from} onto {to}"));
    }
}

#[test]
fn a_remote_source_is_refused_with_what_to_do() {
    let world = World::new("", "");
    let share = world.share().display().to_string();
    let arguments = ["quicopy://example.invalid/data", share.as_str(), "/E"];
    world.sender().run(&arguments).exits(&[16]).says("run the sender there");
}

#[test]
fn an_agent_that_is_not_paired_is_refused_with_what_to_do() {
    let world = World::new("a", "");
    let arguments = world.arguments("quicopy://127.0.0.1:9/data", "/E");
    world.sender().run(&arguments).exits(&[16]).says("quicopy pair");
}
