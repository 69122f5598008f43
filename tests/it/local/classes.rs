//! Which class an entry has, and what is done with it.

use super::check;

#[test]
fn a_file_that_only_the_source_has_is_copied() {
    check("a", "", "", &[1], "a").says("New File");
    check("a", "", "/XL", &[0], "");
    check("a", "", "/XL /V", &[0], "").says("lonely");
    check("sub/a", "", "/E /XL", &[0], "");
}

#[test]
fn a_file_that_looks_the_same_is_skipped() {
    check("a", "a", "", &[0], "a");
    check("a", "a", "/V", &[0], "a").says("same");
    check("a", "a", "/IS", &[1], "a").says("Same");
}

#[test]
fn a_newer_file_is_copied() {
    check("a @20", "a @10", "", &[1], "a @20").says("Newer");
    check("a @20", "a @10", "/XN", &[0], "a @10");
    check("a @10.000000001", "a @10", "", &[1], "a @10.000000001").says("Newer");
}

#[test]
fn an_older_file_overwrites_a_newer_one() {
    check("a @10", "a @20", "", &[1], "a @10").says("Older");
    check("a @10", "a @20", "/XO", &[0], "a @20");
    check("a @10", "a @20", "/XO /V", &[0], "a @20").says("older");
}

#[test]
fn a_file_of_another_size_is_copied() {
    check("a 5B", "a 6B", "", &[1], "a 5B").says("Changed");
    check("a 5B", "a 6B", "/XC", &[0], "a 6B");
}

#[test]
fn a_file_of_another_mode_is_left_alone_unless_asked_for() {
    check("a 0444", "a 0644", "", &[0], "a 0644");
    check("a 0444", "a 0644", "/IT", &[1], "a 0444").says("Tweaked");
}

#[test]
fn content_is_not_looked_at() {
    check("a #1", "a #2", "", &[0], "a #2");
}

#[test]
fn excluding_all_classes_of_change_leaves_what_is_lonely() {
    check(
        "new, n @20, o @5, c 7B",
        "n @10, o @9, c 8B",
        "/XO /XN /XC",
        &[1],
        "new, n @10, o @9, c 8B",
    );
}

#[test]
fn an_extra_entry_is_reported_and_stays() {
    check("a", "a, x", "", &[2], "a, x").says("*EXTRA File");
    check("b", "x", "", &[3], "b, x").says("*EXTRA File");
    check("a", "a, d/x", "/E", &[2], "a, d/x").says("*EXTRA Dir");
}

#[test]
fn a_file_in_the_place_of_a_directory_is_a_mismatch() {
    check("a", "a/x", "", &[4], "a/x").says("*MISMATCH");
    check("a, b", "a/x", "", &[5], "a/x, b");
    check("d/x", "d", "/E", &[4], "d").says("*MISMATCH");
    check("a", "a/x", "/PURGE", &[1, 3, 5, 7], "a");
    check("d/x", "d", "/MIR", &[1, 3, 5, 7], "d/x");
}

#[test]
fn a_link_in_the_place_of_a_file_or_directory_is_never_written_through() {
    check("beside.txt", "beside.txt -> ../beside.txt", "", &[4], "beside.txt -> ../beside.txt");
    check("d/x", "d -> ../share-2", "/E", &[4], "d -> ../share-2");
    check("a", "a -> ../beside.txt", "/PURGE", &[1, 3, 5, 7], "a");
    check("d/x", "d -> ../share-2", "/MIR", &[1, 3, 5, 7], "d/x");
}

#[test]
fn two_seconds_are_nothing_to_fat() {
    check("a @10.9", "a @10", "/FFT", &[0], "a @10");
    check("a @12", "a @10", "/FFT", &[0], "a @10");
    check("a @13", "a @10", "/FFT", &[1], "a @13").says("Newer");
}

#[test]
fn one_hour_is_nothing_to_daylight_saving() {
    check("a @3610", "a @10", "/DST", &[0], "a @10");
    check("a @3615", "a @10", "/DST", &[1], "a @3615").says("Newer");
    check("a @3611", "a @10", "/DST /FFT", &[0], "a @10");
}
