//! What the two programs promise, tried on the two programs.
//!
//! `local`, `mirrors` and most of `robocopy` and `monitor` need the sender alone, `remote` both; `crash_points`, `resume` and
//! `signals` end one of them in the middle; `trash` gives back what the agent deleted; `hostile` speaks to the agent as no sender
//! would. `laboratory` tries the link that benchmarks run on.

mod crash_points;
mod hostile;
mod laboratory;
mod local;
mod mirrors;
mod monitor;
mod remote;
mod resume;
mod robocopy;
mod signals;
mod trash;
