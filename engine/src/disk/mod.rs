//! The destination's disk: the one door to the file system on the receiving side.
//!
//! A [`Share`] is opened once; from then on everything is done through held directory handles ([`DirHandle`]) and single
//! names. No path text is resolved below the share, no link is followed, nothing outside can be reached, whatever a peer
//! sends and whatever other programs do inside the share meanwhile (safety rule 5).
//!
//! - [`share`]: the root, and the roots of jobs below it
//! - [`private`]: the folder that is ours alone, its lock, and the sweep of what dead jobs left there
//! - [`identity`]: what tells one share from another
//! - [`directory`]: handles of directories: listing, looking, making and removing entries
//! - `other_name`: what a file system that folds names takes for another one
//! - `rename`: moving entries, also where the file system cannot exchange two
//! - `setting`: giving entries their metadata
//! - `file`: what is done with open files
//! - [`metadata`]: what is set on an entry, and what of it is refused
//! - [`space`]: how many bytes are left, and promising them to files that come in
//! - [`sync`]: making data and names durable, behind a trait so that tests can let it fail
//! - [`stat`]: what is known of an entry
//! - `unix`: the system calls

pub mod directory;
pub(crate) mod file;
pub mod identity;
pub mod metadata;
mod other_name;
pub mod private;
mod rename;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod sample;
mod setting;
pub mod share;
pub mod space;
pub mod stat;
pub mod sync;
mod unix;

pub use directory::{DirHandle, DiskEntry, NewDirMode, Placement};
pub use identity::ShareId;
pub use metadata::{Ignored, MetaChange};
pub use private::PrivateDir;
pub use rename::RenameMode;
pub use share::{Share, ShareError, Tree};
pub use stat::{DiskKind, Stat};
pub use sync::{Durable, advised};
