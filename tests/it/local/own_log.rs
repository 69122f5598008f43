//! A log that lies in one of the trees of its own job.

use std::fs;
use std::os::unix::fs::symlink;

use quicopy_tests::{tree::Snapshot, world::World};

/// Copies the first of two trees onto the second with `switches`, a log among them; requires the exit code, what both trees
/// hold then, and that the log at `log`, below the world's folder, is whole and names itself once.
#[track_caller]
fn check(trees: [&str; 2], switches: &str, code: i32, log: &str, after: [&str; 2]) {
    let [source, share] = trees;
    let world = World::new(source, share);
    let finished = world.copy(&format!("{switches} /R:1 /W:0"));
    finished.exits(&[code]);
    let text = must_be_whole(&world, log, &finished.to_string());
    assert_eq!(text.matches("the log of this job").count(), 1, "{text}");
    let names = |snapshot: Snapshot| snapshot.entries.into_keys().collect::<Vec<_>>();
    for (now, after) in [(world.source_now(), after[0]), (world.share_now(), after[1])] {
        assert_eq!(names(now), names(Snapshot::described(after)), "{finished}");
    }
}

/// The text of a log that nothing was tried twice for, and that has its end.
#[track_caller]
fn must_be_whole(world: &World, log: &str, finished: &str) -> String {
    let text = fs::read_to_string(world.folder().join(log)).unwrap_or_default();
    assert_eq!(text.matches("   Ended : ").count(), 1, "{text}\n{finished}");
    assert!(!text.contains("Retrying"), "{text}");
    text
}

#[test]
fn a_log_in_the_source_is_no_file_of_the_job() {
    for switch in ["/LOG", "/LOG+"] {
        check(
            ["a, logs/b", ""],
            &format!("/E {switch}:{{SRC}}/logs/job"),
            1,
            "site-a/source/logs/job",
            ["a, logs/b, logs/job", "a, logs/b"],
        );
    }
}

#[test]
fn a_log_in_the_source_is_not_moved_away() {
    for (switch, source) in [("/MOV", "job, d/"), ("/MOVE", "job")] {
        check(
            ["a, d/b", ""],
            &format!("/E {switch} /LOG:{{SRC}}/job"),
            1,
            "site-a/source/job",
            [source, "a, d/b"],
        );
    }
}

#[test]
fn a_link_to_the_log_that_was_named_as_the_log_is_not_purged() {
    let world = World::new("a", "a");
    let log = world.folder().join("elsewhere");
    symlink(&log, world.share().join("job")).expect("a link is made");
    world.copy("/MIR /LOG:{DST}/job /R:1 /W:0").exits(&[0]);
    assert!(world.share().join("job").is_symlink());
    must_be_whole(&world, "elsewhere", "");
}

#[test]
fn a_log_in_the_destination_is_not_purged() {
    check(
        ["a", "old/x, old/job, y"],
        "/MIR /LOG:{DST}/old/job",
        3,
        "site-b/share/old/job",
        ["a", "a, old/job"],
    );
}

#[test]
fn a_log_in_the_destination_is_not_overwritten() {
    check(["a, job", ""], "/E /LOG:{DST}/job", 1, "site-b/share/job", ["a, job", "a, job"]);
}

#[test]
fn a_log_is_known_through_links() {
    let world = World::new("a, d/b", "");
    let around = world.folder().join("site-a");
    fs::create_dir(around.join("elsewhere")).expect("a folder for logs");
    symlink("../../elsewhere", world.source().join("d/logs")).expect("a link to it");
    let log = around.join("elsewhere/job");
    fs::write(&log, "").expect("a log");
    fs::hard_link(&log, world.source().join("again")).expect("another name for it");
    let finished = world.copy(&format!("/E /R:1 /W:0 /LOG:{}", log.display()));
    finished.exits(&[1]);
    must_be_whole(&world, "site-a/elsewhere/job", &finished.to_string());
    Snapshot::of(&world.share()).must_equal(&Snapshot::described("a, d/b, d/logs/"), "the share");
}
