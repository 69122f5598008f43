//! Which files take part.

use super::check;
use quicopy_tests::world::World;

#[test]
fn bounds_of_size_are_strict() {
    let source = "a 59B, b 60B, c 61B";
    check(source, "", "/MAX:60", &[1], "a 59B, b 60B");
    check(source, "", "/MIN:60", &[1], "b 60B, c 61B");
}

#[test]
fn file_patterns_choose_files_and_never_directories() {
    check("README, a.txt", "", "*.*", &[1], "README, a.txt");
    check("a.txt, b.doc, c.log", "", "*.txt *.doc", &[1], "a.txt, b.doc");
    check("a.TXT", "", "*.txt", &[1], "a.TXT");
    check("a1, a12, b", "", "a?", &[1], "a1");
    check("a.txt, d/b.txt, d/c.log", "", "*.txt /S", &[1], "a.txt, d/b.txt");
}

#[test]
fn a_file_must_match_a_pattern_and_no_exclusion() {
    check("ab.c, abc.cpp, d.cs", "", "*.c* /XF *.cpp", &[1], "ab.c, d.cs");
    check("a, b, c", "", "/XF a /COPY:DAT /XF b", &[1], "c");
    check("a, s/a, b", "", "/E /XF {SRC}/a", &[1], "s/a, b");
}

#[test]
fn an_exclusion_matches_whole_names_of_directories() {
    check("bar/x, barf/y", "", "/E /XD bar", &[1], "barf/y");
    check("s1/obj/x, obj/y", "", "/S /XD obj", &[0], "");
    check("s1/obj/x, obj/y", "", "/E /XD {SRC}/obj", &[1], "s1/obj/x");
    check("ab1/x, ab2/x, c/x", "", "/E /XD ab*", &[1], "c/x");
}

#[test]
fn excluded_files_count_as_skipped() {
    let files: Vec<_> = (0..40).map(|number| format!("f{number}")).collect();
    let world = World::new(&files.join(","), "");
    let summary = world.copy("/L /XF * --json").exits(&[0]).summary();
    assert_eq!((summary.files.total, summary.files.skipped), (40, 40));
}
