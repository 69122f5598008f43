//! Files on their way in.
//!
//! A [`Receiver`] serves one job. The coordinator tells it of every wish it makes ([`Receiver::begin`]), hands it the frames that
//! answer the wish in whatever order they come, from as many threads as it likes, and gets back an entry that is
//! [ready](crate::commit::Ready) to be committed once the last byte is there and the whole file's hash is right.
//!
//! A small file comes whole and is written at once. A large one is built in a partial file that survives a lost link, a killed
//! process and a power cut: what was durable at the last checkpoint is not sent again. It is built from what the sender sends,
//! from its own partial of an earlier try, and from the old version at the destination; where a byte comes from makes no
//! difference to how it is checked.
//!
//! - [`target`]: what is to be received, and into what place
//! - [`coverage`]: which parts of a file are there; pure
//! - [`lists`]: the order of chunk lists, and the answer to them; pure
//! - [`hashing`]: the hash of a file whose parts come in any order
//! - [`basis`]: bytes that the destination has already
//! - [`claimed`]: which parts of a partial an earlier try claims to be there; pure
//! - [`partial`]: the partial file, found again or made
//! - [`small`], [`large`]: one file each
//! - `slot`: one of them as a wish, its lock and its checkpoints; [`receiver`]: all files of a job
//! - [`error`]: what can go wrong, and whose fault it is

pub mod basis;
pub mod claimed;
pub mod coverage;
pub mod error;
pub mod hashing;
pub mod large;
pub mod lists;
mod on_disk;
pub mod partial;
pub mod receiver;
mod slot;
pub mod small;
pub mod target;

pub use error::{ReceiveError, Violation};
pub use lists::Lacking;
pub use receiver::{Answer, Receiver, Step};
pub use target::Target;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests set the stage with std")]
mod tests;
