//! Moving: the source gives away what has safely arrived.

use quicopy_tests::{tree::Snapshot, world::World};

/// Moves the tree `source` onto the tree `share`; requires what both hold afterwards.
#[track_caller]
fn check(source: &str, share: &str, switches: &str, code: i32, left: &str, after: &str) {
    let world = World::new(source, share);
    let around = world.around_now();
    let finished = world.copy(switches);
    finished.exits(&[code]);
    world.source_now().must_equal(&Snapshot::described(left), &format!("the source\n{finished}"));
    world.share_now().must_equal(&Snapshot::described(after), &format!("the share\n{finished}"));
    world.around_now().must_equal(&around, "around the share");
}

#[test]
fn what_was_copied_is_deleted_and_what_was_skipped_is_not() {
    check("a @20, b @10", "a @10, b @20", "/MOV /XO", 1, "b @10", "a @20, b @20");
}

#[test]
fn directories_stay_or_go() {
    check("d/a", "", "/MOV /E", 1, "d/", "d/a");
    check("d/a, d/b", "d/b", "/MOVE /E", 1, "d/b", "d/a, d/b");
}

#[test]
fn listing_moves_nothing() {
    check("d/a", "", "/MOVE /E /L", 1, "d/a", "");
}

#[test]
fn what_could_not_be_copied_stays() {
    let world = World::new("d/a, d/b", "");
    let Some(sender) = world.without_privileges() else { return };
    world.set_mode("site-a/source/d/a", 0o000);
    let finished = sender.run(&world.arguments(&world.share().display().to_string(), "/MOVE /E"));
    world.set_mode("site-a/source/d/a", 0o644);
    finished.exits(&[9]);
    world.source_now().must_equal(&Snapshot::described("d/a"), "the source");
    world.share_now().must_equal(&Snapshot::described("d/b"), "the share");
}
