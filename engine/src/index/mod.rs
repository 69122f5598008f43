//! What the last jobs left in place, so that a change made at the destination is seen as a conflict.
//!
//! A database file of the agent's state, one for a share; the key of a record is the bytes of a path below the share.
//! Deleting it loses that memory and never correctness: everything in it is checked against the disk before it is
//! believed.

mod record;
mod store;

pub use record::{Record, is_conflict};
pub use store::{Index, IndexError};
