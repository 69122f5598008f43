//! Putting finished files in place: whole, checked, durable, and only then reported.
//!
//! [`Ready`] is an entry that is complete under a name of its own. The [`Committer`] gathers such entries into batches, syncs the
//! file system once for the data of all, renames them into place, syncs once more for the names, and says what became of each.
//! Until the rename the target is the old version; from the rename on it is the new one; never anything else, whenever
//! the machine stops.
//!
//! A failed sync is final (the kernel may drop the data and call the next sync a success): what it covered is thrown away,
//! nothing of the batch is reported as done, and the share is marked degraded.
//!
//! - [`batch`]: when a batch is due; pure
//! - [`place`]: how an entry takes its place; the decision is pure
//! - [`committer`]: the loop

pub mod batch;
pub mod committer;
pub mod error;
pub mod place;

pub use committer::{Clock, Committed, Committer, Item, Order, Outcome};
pub use error::CommitError;
pub use place::{Displaced, Place, Ready};
