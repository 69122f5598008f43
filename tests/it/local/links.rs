//! What becomes of links in the source. The matrix is that of an experiment with Robocopy, in which a junction's place is
//! taken by nothing: Linux has none.

use std::path::Path;

use super::check;
use quicopy_tests::{
    tree::{self, Snapshot},
    world::World,
};

const PLAIN: &str = "b/foo.txt #1, a/hardlink-file-absolute #1";
const DIRECTORIES: &str = "a/symlink-dir-absolute/foo.txt #1, a/symlink-dir-relative/foo.txt #1";
const FILES: &str = "a/symlink-file-absolute #1, a/symlink-file-relative #1";
const DIRECTORY_LINKS: &str = "a/symlink-dir-absolute -> {SRC}/b, a/symlink-dir-relative -> ../b";
const FILE_LINKS: &str =
    "a/symlink-file-absolute -> {SRC}/b/foo.txt, a/symlink-file-relative -> ../b/foo.txt";

/// Mirrors the experiment's source with `flags`; requires `expected` beside the plain files, and that a second run finds
/// nothing to do.
#[track_caller]
fn check_links(flags: &str, expected: &[&str]) {
    let world = World::new("b/foo.txt #1, a/hardlink-file-absolute = b/foo.txt", "");
    let located = |text: &str| text.replace("{SRC}", &world.source().display().to_string());
    tree::build(&world.source(), &located(&format!("{DIRECTORY_LINKS}, {FILE_LINKS}")));
    let switches = format!("/MIR /DCOPY:DAT {flags}");

    let first = world.copy(&switches);
    first.exits(&[1]);
    let expected = Snapshot::described(&located(&format!("{PLAIN}, {}", expected.join(","))));
    world.share_now().must_equal(&expected, &first.to_string());
    world.copy(&switches).exits(&[0]);
    world.share_now().must_equal(&expected, "after the second run");
}

#[test]
fn by_default_links_are_followed() {
    check_links("", &[DIRECTORIES, FILES]);
}

#[test]
fn links_are_recreated_if_asked_for() {
    check_links("/SL", &[DIRECTORY_LINKS, FILE_LINKS]);
}

#[test]
fn links_are_left_out_if_asked_for() {
    check_links("/XJ", &[]);
    check_links("/XJD", &[FILES]);
    check_links("/XJF", &[DIRECTORIES]);
    check_links("/XJ /SL", &[]);
}

#[test]
fn a_second_mirror_that_leaves_links_out_keeps_what_the_first_made_of_them() {
    let world = World::new("d/x #1, l -> d", "");
    world.copy("/MIR").exits(&[1]);
    world.copy("/MIR /XJ").exits(&[0, 2]);
    world.share_now().must_equal(&Snapshot::described("d/x #1, l/x #1"), "the share");
}

#[test]
fn a_link_with_another_text_is_made_anew() {
    check("l -> nowhere", "l -> elsewhere", "/SL /E", &[1], "l -> nowhere");
}

#[test]
fn links_in_a_circle_end() {
    let world = World::new("d/x, d/up -> .., me -> me", "");
    let finished = world.copy("/E");
    finished.exits(&[8, 9]);
    let copied = world.share_now();
    assert!(copied.entries.contains_key(Path::new("d/x")), "{finished}");
}

#[test]
fn what_is_neither_file_nor_directory_nor_link_is_skipped() {
    check("a, p |", "", "/E", &[1], "a").says("p");
}
