//! What only the destination has: finding it to the bottom, guarding against deleting too much, and the list of removals.
//!
//! Deletions come last and in three steps. While directories are compared, [`find`] walks what is extra, reports it and
//! spools what may go to a [`RemovalWriter`]. When every listing is known and every copy is durable, [`guard()`] looks at the
//! counts: it lets all pass or nothing. Then the spool is read back with a [`RemovalReader`], contents before their
//! directory, and each entry goes only if it is [`still_as_listed`]; or, into the trash, with a [`BackwardReader`], each
//! directory with all that it holds.

mod guard;
mod list;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod mirror;
mod record;
mod walk;

pub use guard::{
    Census, DefaultLimit, FileId, GuardRules, Overwrites, Ruling, empty_source, guard,
    missing_marker, overlaps, wrong_way_round,
};
pub use list::{BackwardReader, RemovalReader, RemovalWriter, ReplayError};
pub use record::{DirectoryRemovals, RemovalEntry, RemovalKind, still_as_listed};
pub use walk::{ExtraSink, Find, TreeLister, find, survey};
