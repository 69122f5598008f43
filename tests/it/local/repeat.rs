//! The second run, and the run that only lists.

use std::process::Command;

use quicopy_tests::{
    process::Running,
    programs::programs,
    sites::CALL,
    tree::{Snapshot, change_marks},
    world::World,
};

const TREE: &str = "a, b 3M, d/c @5.5 0600, d/e/f 0B, empty/, d/l 70K";

#[test]
fn a_second_run_finds_nothing_to_do_and_writes_nothing() {
    let world = World::new(TREE, "");
    world.copy("/MIR /DCOPY:DAT").exits(&[1]);
    world.share_now().must_equal(&world.source_now().without_directory_times(), "the share");
    let marks = change_marks(&world.share());
    for switches in ["/MIR /DCOPY:DAT", "/E", "/MIR /FFT /DST"] {
        let summary = world.copy(&format!("{switches} --json")).exits(&[0]).summary();
        assert_eq!((summary.literal_bytes, summary.files.copied), (0, 0), "{switches}");
        assert_eq!(marks, change_marks(&world.share()), "{switches}");
    }
}

#[test]
fn a_second_run_opens_no_file_of_either_tree() {
    let world = World::new(TREE, "");
    world.copy("/MIR").exits(&[1]);
    let trace = world.folder().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-e", "trace=open,openat,openat2", "-s", "4096", "-o"]).arg(&trace);
    let can_trace = Command::new("strace").args(["-o", "/dev/null", "true"]).status();
    if !can_trace.is_ok_and(|status| status.success()) {
        return; // Not installed, or not allowed in this container.
    }
    command.env("QUICOPY_HOME", world.sender().home());
    command.arg(&programs().sender);
    command.args(world.arguments(&world.share().display().to_string(), "/MIR"));
    Running::start(&mut command).finish(CALL).exits(&[0]);

    let trace = std::fs::read_to_string(trace).expect("strace wrote it");
    for name in ["a", "b", "c", "f", "l"] {
        let (alone, last) = (format!("\"{name}\""), format!("/{name}\""));
        let opened = trace.lines().find(|line| {
            (line.contains(&alone) || line.contains(&last)) && !line.contains("O_PATH")
        });
        assert_eq!(opened, None, "the second run opened {name}");
    }
}

#[test]
fn listing_reports_all_and_changes_nothing() {
    for (source, share, switches) in [
        (TREE, "", "/MIR"),
        ("a @20, b", "a @10, x, old/y", "/MIR"),
        ("a", "a/x", "/MIR"),
        ("d/a, e/b", "x", "/S"),
        ("a", "a", "/E"),
    ] {
        let world = World::new(source, share);
        let marks = change_marks(&world.share());
        let listed = world.copy(&format!("{switches} /L --json")).summary();
        assert_eq!(marks, change_marks(&world.share()), "{source} onto {share} {switches} /L");
        let done = world.copy(&format!("{switches} --json")).summary();
        assert_eq!(
            (listed.exit_code, listed.files, listed.dirs),
            (done.exit_code, done.files, done.dirs),
            "{source} onto {share} {switches}"
        );
    }
}

#[test]
fn listing_does_not_make_the_destination() {
    let world = World::new("a", "");
    let missing = world.share().join("missing");
    let arguments = world.arguments(&missing.display().to_string(), "/E /L");
    world.sender().run(&arguments).exits(&[1]);
    assert!(!missing.exists());
}

#[test]
fn a_job_leaves_no_folder_of_its_own_behind() {
    let world = World::new(TREE, "x");
    world.copy("/MIR").exits(&[3]);
    let now = Snapshot::of(&world.share()).without_directory_times();
    now.must_equal(&world.source_now(), "the share with all it holds");
}
