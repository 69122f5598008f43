//! How far down a job goes, and what becomes of directories.

use super::check;

#[test]
fn a_deep_tree_is_copied() {
    let deep = format!("{}x", "d/".repeat(200));
    check(&deep, "", "/E", &[1], &deep);
}

#[test]
fn a_directory_that_refuses_its_owner_is_filled_first() {
    check("sub/ 0500, sub/a", "", "/E", &[1], "sub/ 0500, sub/a");
}
