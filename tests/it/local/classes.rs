//! Which class an entry has, and what is done with it, where no row of the table of cases says it.

use super::check;

#[test]
fn a_file_that_is_newer_by_a_nanosecond_is_copied() {
    check("a @10.000000001", "a @10", "", &[1], "a @10.000000001").says("Newer");
}

#[test]
fn an_extra_directory_is_reported_and_stays() {
    check("a", "a, d/x", "/E", &[2], "a, d/x").says("*EXTRA Dir");
}

#[test]
fn a_file_in_the_place_of_a_directory_gives_way_to_a_mirror() {
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
    check("a @12", "a @10", "/FFT", &[0], "a @10");
}
