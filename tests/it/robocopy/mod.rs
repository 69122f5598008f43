//! Robocopy's behaviour, case by case.
//!
//! `cases` is the reference's list of test cases, a line each.

mod cases;
