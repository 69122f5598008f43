//! Robocopy's behaviour, case by case.
//!
//! `cases` is the reference's list of test cases, a line each; `trouble` and `monitor` are those of them that need a bad link,
//! a full disk or time; `folding` a destination that folds names; `scenarios` are what a widely read guide tells to type; `random` is any tree onto any other with any switches.

mod cases;
mod folding;
mod monitor;
mod random;
mod scenarios;
mod trouble;
