//! Which files take part.

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
fn a_directory_that_would_hold_only_what_is_excluded_is_not_made() {
    check("s1/obj/x, obj/y", "", "/S /XD obj", &[0], "");
}
