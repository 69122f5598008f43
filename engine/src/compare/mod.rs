//! How the two sides differ: one name ([`classify`]), and two listings in step ([`merge()`]), once a destination that folds
//! names has been asked what it means by them ([`fold()`]).
//!
//! A quick check: kind, time, size and permission bits, as both sides listed them. Content is never read here.

mod class;
mod fold;
mod merge;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod sample;
mod times;

pub use class::classify;
pub use fold::{Folded, fold};
pub use merge::{NameKey, Pair, merge};
pub use times::Tolerances;

use quicopy_protocol::attributes::DosAttributes;
use quicopy_protocol::meta::{Kind, Timestamp};
use quicopy_protocol::path::Name;

/// What stands under a name at the destination, as it was listed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Present {
    /// What it is. A link whose text could not be read has an empty one, which no source link equals.
    pub kind: Kind,
    /// Size of a file in bytes; whatever the file system says of other kinds.
    pub size_bytes: u64,
    /// Last write time.
    pub modified: Timestamp,
    /// Permission bits with set-user-id, set-group-id and sticky.
    pub mode: u16,
    /// Owner's number.
    pub owner: u32,
    /// Group's number.
    pub group: u32,
    /// Number of the file system that holds it.
    pub device: u64,
    /// Its number in that file system.
    pub inode: u64,
    /// Change time (`ctime`), which nobody can set.
    pub changed: Timestamp,
    /// How many names it has.
    pub links: u32,
    /// Whether a file system of its own is mounted on it.
    pub mounted: bool,
    /// DOS attributes but read-only, which the mode says; of files, in jobs that compare them.
    pub attributes: Option<DosAttributes>,
}

impl Present {
    /// Whether it is a directory; a link to one is not.
    pub fn is_dir(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// Whether nobody changed it between two looks. To lose or gain another name is no change, though it moves the change time.
    pub fn is_unchanged(&self, now: &Self) -> bool {
        let times = match self.links == now.links {
            true => (self.changed, self.links),
            false => (now.changed, now.links),
        };
        let (changed, links) = times;
        // What their attributes are the change time says, too.
        Self { changed, links, attributes: now.attributes, ..self.clone() } == *now
    }
}

/// One line of a listing of the destination.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// Its name in the directory.
    pub name: Name,
    /// What stands there.
    pub present: Present,
}
