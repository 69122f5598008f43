//! What was deleted or overwritten, kept aside for a while.
//!
//! The trash lies in the share's own folder, on its file system: what goes there is renamed, never copied. All that is
//! known of a thing is said by where it lies, so that no record can be lost or be wrong, whenever a process or machine stops:
//!
//! ```text
//! .quicopy/trash/2026-11-22T03-45-12Z-JOB/      a batch: when its run of a job began, and the job
//!     about                                     who sent it, and for how many days it is kept; locked while the job runs
//!     count                                     what all of it comes to, once somebody has counted
//!     deleted/NAME                              was NAME in the share's root
//!     below/a/below/b/deleted/NAME              was a/b/NAME; a directory with all that it held, if nothing of it stayed
//!     below/a/overwritten/NAME                  a former version of a/NAME
//! ```
//!
//! A path that is deleted twice in one run lies in a second batch, `JOB.2`. A thing is in its place or in the trash, by one
//! rename. A version about to be overwritten gets its second name here just before it loses its first: a crash in between leaves
//! both, and one that still has its first name is not listed.
//!
//! - [`Bin`] fills the trash, for one run of a job
//! - [`items`], [`find`], [`restore()`] look into it and give back
//! - [`sweep`], [`give_back`], [`empty`] make room; which batches go is decided in `keeping`, which is pure

mod about;
mod batch;
mod bin;
mod damaged;
mod id;
mod item;
mod keeping;
mod name;
mod restore;
mod room;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "trees for tests")]
mod tests;

pub use about::{About, DAYS_DEFAULT};
pub use bin::Bin;
pub use damaged::Damaged;
pub use id::ItemId;
pub use item::{FindError, Finding, Found, Seen, Size, count, find, items};
pub use name::BatchName;
pub use restore::{RestoreError, restore};
pub use room::{Emptied, Sweep, Swept, capacity_bytes, empty, give_back, sweep};

/// Why something is in the trash.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Why {
    /// The source does not have it, or something of another kind took its place.
    Deleted,
    /// A newer version took its place.
    Overwritten,
}

impl Why {
    const ALL: [Self; 2] = [Self::Deleted, Self::Overwritten];

    /// The word for it, which is also the name of the folder.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Overwritten => "overwritten",
        }
    }
}
