//! What `/PURGE` and `/MIR` delete, and what they never delete.

use super::check;
use quicopy_tests::{tree::Snapshot, world::World};

#[test]
fn a_mirror_removes_what_the_source_no_longer_has() {
    check("a", "a, old/deep/y, old/deep/z, old/e/", "/MIR", &[2], "a");
    check("a", "a, d/ 0500, d/x", "/MIR", &[2], "a");
}

#[test]
fn an_extra_link_is_removed_and_what_it_points_to_is_not() {
    check("a", "a, link -> ../share-2, l -> ../beside.txt, dangling -> nowhere", "/MIR", &[2], "a");
    check("a", "a, d/link -> ../../share-2", "/MIR", &[2], "a");
}

#[test]
fn an_empty_source_empties_nothing_unless_forced() {
    check("", "a, d/b", "/PURGE", &[16], "a, d/b");
    check("", "", "/MIR", &[0], "");
}

#[test]
fn a_bound_on_deletions_that_is_passed_stops_all_of_them() {
    check("a, b", "a, x, y", "/MIR /MAXDELETE:1", &[11], "a, b, x, y").says("MAXDELETE");
    check("a, b", "a, x, y", "/MIR /MAXDELETE:2", &[3], "a, b");
    check("a, b", "a, x, y", "/MIR /MAXDELETE:0", &[11], "a, b, x, y");
    check("a, b", "a, x, y", "/MIR /MAXDELETE:50%", &[11], "a, b, x, y");
    check("a, b", "a, x, y", "/MIR /MAXDELETE:100%", &[3], "a, b");
}

#[test]
fn nothing_is_deleted_below_a_directory_that_could_not_be_read() {
    let world = World::new("a, shut/x, open/y", "a, shut/x, shut/old, open/y, open/old, shut/d/z");
    let Some(sender) = world.without_privileges() else { return };
    world.set_mode("site-a/source/shut", 0o000);
    let finished = sender.run(&world.arguments(&world.share().display().to_string(), "/MIR"));
    world.set_mode("site-a/source/shut", 0o755);
    finished.exits(&[8, 10]).says("shut");
    let expected = "a, shut/x, shut/old, shut/d/z, open/y";
    world.share_now().must_equal(&Snapshot::described(expected), &finished.to_string());
}

#[test]
fn after_a_failed_copy_extras_of_that_directory_stay_and_the_others_go() {
    let world = World::new("bad/x, good/y", "bad/old, good/old");
    let Some(sender) = world.without_privileges() else { return };
    world.set_mode("site-a/source/bad/x", 0o000);
    let finished = sender.run(&world.arguments(&world.share().display().to_string(), "/MIR"));
    world.set_mode("site-a/source/bad/x", 0o644);
    finished.exits(&[11]).says("bad/x");
    world.share_now().must_equal(&Snapshot::described("bad/old, good/y"), &finished.to_string());
}
