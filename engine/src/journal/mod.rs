//! The record that lets an interrupted large file go on where it stopped: one small sidecar for each partial file.
//!
//! A sidecar is found by its name, which follows from who sends what; nothing is scanned at start and no file is shared
//! between transfers. It says which chunks of the partial were on the disk at a checkpoint. What it says is a claim, not a
//! fact: every claimed chunk is hashed again before it is believed, so that a sidecar that lies costs time and nothing else.
//!
//! - [`record`]: the format, and reading it back; pure
//! - [`sidecar`]: the file
//!
//! The order of a checkpoint is the point of it: sync the partial, then append the claims, then sync the sidecar. In the
//! other order a power cut leaves claims of chunks that never reached the disk.

pub mod record;
pub mod sidecar;

pub use record::{Claim, Record, Replay, ReplayError, Start, replay};
pub use sidecar::Sidecar;
