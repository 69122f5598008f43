//! What the two programs promise, tried on the two programs.
//!
//! `local` and `model` need the sender alone, `remote` both; `crash_points`, `resume` and `signals` end one of them in the middle.

mod crash_points;
mod local;
mod model;
mod remote;
mod resume;
mod signals;
