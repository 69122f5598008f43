//! Trees as text, on the disk, and as a snapshot that can be compared.
//!
//! A tree is items between commas or line ends; the directories that a path needs come by themselves:
//!
//! ```text
//! a.txt                  a file of 5 bytes, written at second 1,000,000,000, mode 0644
//! a.txt 10B @20 0600     size (B, K or M), time (seconds since 1970, with a fraction if need be), mode
//! a.txt #2               other content: it follows from the seed, or from the path if none is given
//! a.txt ~RHS             attributes of Windows, kept as Samba keeps them; `~` alone for none of them
//! d/ @20 0700            a directory
//! l -> a.txt             a symbolic link
//! h = a.txt              a hard link to an earlier file
//! p |                    a FIFO
//! ```

mod attributes;
mod build;
mod parse;
mod snapshot;

pub use attributes::{attributes, set_attributes};
pub use build::build;
pub use parse::{Content, Item, ItemKind, parse};
pub use snapshot::{Entry, Kind, Snapshot, change_marks};
