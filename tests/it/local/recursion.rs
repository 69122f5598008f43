//! How far down a job goes, and what becomes of directories.

use super::check;
use quicopy_tests::{tree::Snapshot, world::World};

#[test]
fn without_a_switch_only_the_root_takes_part() {
    check("a, sub/b", "", "", &[1], "a");
}

#[test]
fn empty_directories_are_made_only_if_asked_for() {
    check("sub/b, empty/", "", "/S", &[1], "sub/b");
    check("sub/b, empty/", "", "/E", &[1], "sub/b, empty/");
    check("empty/", "", "/E", &[0], "empty/");
}

#[test]
fn levels_count_from_the_root() {
    check("a, s1/b, s1/s2/c", "", "/E /LEV:2", &[1], "a, s1/b");
    check("a, s1/b, s1/s2/c", "", "/E /LEV:1", &[1], "a");
}

#[test]
fn a_deep_tree_is_copied() {
    let deep = format!("{}x", "d/".repeat(200));
    check(&deep, "", "/E", &[1], &deep);
}

#[test]
fn a_destination_that_is_missing_is_made_with_those_above_it() {
    let world = World::new("a, sub/b", "");
    let destination = world.share().join("one/two/three");
    let arguments = world.arguments(&destination.display().to_string(), "/E");
    world.sender().run(&arguments).exits(&[1]);
    Snapshot::of(&destination).must_equal(&Snapshot::described("a, sub/b"), "three deep");
}

#[test]
fn times_of_directories_are_copied_only_if_asked_for() {
    check("sub/ @10, sub/a", "", "/E /DCOPY:DAT", &[1], "sub/ @10, sub/a");
    check("sub/ @10, sub/a", "", "/E /DCOPY:DAT /MT:8", &[1], "sub/ @10, sub/a");
    let world = World::new("sub/ @10, sub/a", "");
    world.copy("/E").exits(&[1]);
    let now = world.share_now();
    let sub = now.entries.get(std::path::Path::new("sub")).expect("sub was copied");
    assert_ne!(sub.modified_ns, Some(10_000_000_000), "the time was copied without /DCOPY:T");
}

#[test]
fn a_directory_that_refuses_its_owner_is_filled_first() {
    check("sub/ 0500, sub/a", "", "/E", &[1], "sub/ 0500, sub/a");
}
