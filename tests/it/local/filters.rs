//! Which files take part.

use std::os::unix::fs::symlink;

use quicopy_tests::{tree::Snapshot, world::World};

use super::check;

#[test]
fn file_patterns_choose_files_and_never_directories() {
    check("a1, a12, b", "", "a?", &[1], "a1");
    check("a.txt, d/b.txt, d/c.log", "", "*.txt /S", &[1], "a.txt, d/b.txt");
}

#[test]
fn an_excluded_path_is_one_file() {
    check("a, s/a, b", "", "/E /XF {SRC}/a", &[1], "s/a, b");
}

#[test]
fn what_is_excluded_by_another_name_of_a_tree_is_not_purged() {
    let world = World::new("a, obj/x", "a, keep/y");
    for (link, tree) in [("to-source", world.source()), ("to-share", world.share())] {
        symlink(tree, world.folder().join(link)).expect("nothing stands there");
    }
    let below = world.folder().display();
    let switches = format!("/MIR /XD {below}/to-share/keep {below}/to-source/obj");
    let finished = world.copy(&switches);
    finished.exits(&[0]);
    world.share_now().must_equal(&Snapshot::described("a, keep/y"), &finished.to_string());
}

#[test]
fn a_directory_that_would_hold_only_what_is_excluded_is_not_made() {
    check("s1/obj/x, obj/y", "", "/S /XD obj", &[0], "");
}
