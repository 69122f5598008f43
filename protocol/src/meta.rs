//! What is known of an entry without reading it: [`Entry`], [`Kind`], [`Meta`]; and [`Digest`], the name of content.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::attributes::DosAttributes;
use crate::limits::UNSETTLED_RECORD_BYTES;
use crate::path::{Name, RelPath};

/// A BLAKE3 hash, 32 bytes: of a chunk, or of a whole file in file order.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Hashes `bytes` in one go.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl From<blake3::Hash> for Digest {
    fn from(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A point in time as file systems keep it: seconds since 1970-01-01 UTC (negative before), and nanoseconds after that second.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
pub struct Timestamp {
    /// Whole seconds since the epoch, rounded down.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanos: u32,
}

impl Timestamp {
    /// The distance between two times in nanoseconds; no pair of times overflows it.
    pub fn abs_diff_nanos(self, other: Self) -> u128 {
        self.total_nanos().abs_diff(other.total_nanos())
    }

    fn total_nanos(self) -> i128 {
        i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos)
    }
}

/// Metadata that a listing carries for every entry.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// Size of the content in bytes; 0 for what is not a file.
    pub size_bytes: u64,
    /// Last write time.
    pub modified: Timestamp,
    /// Permission bits with set-user-id, set-group-id and sticky: `0o7777` at most.
    pub mode: u16,
    /// Owner's number at the source.
    pub owner: u32,
    /// Group's number at the source.
    pub group: u32,
    /// DOS attributes but read-only, which the mode says; of files, in jobs that
    /// [list](crate::options::JobPolicy::lists_attributes) them.
    pub attributes: Option<DosAttributes>,
}

/// What an entry is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link that is to be recreated, with its text as stored. A link that is followed is listed as what it points to.
    Link {
        /// The link's text, 1 to 4,095 bytes.
        target: Box<[u8]>,
    },
    /// A further name of a regular file that was listed before; only in jobs that keep hard links.
    HardLink {
        /// The name under which it was listed as a file.
        first: RelPath,
    },
    /// A FIFO, socket or device: listed so that its name is known, never copied or opened.
    Special,
}

/// Why the sender leaves an entry out. The name is listed all the same: what is left out is not extra at the destination.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub enum Skip {
    /// Its name is excluded (`/XF`, `/XD`) or not included (file patterns), or is a file system's own, such as `lost+found`.
    Named,
    /// Larger than `/MAX`.
    Large,
    /// Smaller than `/MIN`.
    Small,
    /// Its DOS attributes are not those that `/IA` and `/XA` ask for.
    Attributes,
    /// It is not marked for archiving (`/A`, `/M`).
    Archive,
    /// Written or read before `/MAXAGE` or `/MAXLAD`.
    TooOld,
    /// Written or read after `/MINAGE` or `/MINLAD`.
    TooNew,
    /// A link, or something reached only through one, that `/XJ`, `/XJD` or `/XJF` leaves out; also a mount point under those switches.
    Link,
    /// A directory that is an ancestor of itself through a link: entering it would never end.
    Loop,
    /// Below the last level of `/LEV`, or a directory in a job without `/S` and `/E`.
    TooDeep,
    /// A FIFO, socket or device.
    Special,
    /// A name that is kept for the agent.
    Reserved,
    /// The sender could not look at it, or it vanished behind a link; counted as failed.
    Unreadable,
}

/// One line of a listing.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name in the directory.
    pub name: Name,
    /// What it is at the source.
    pub kind: Kind,
    /// Size, times, mode and owner at the source.
    pub meta: Meta,
    /// Set when the sender leaves it out.
    pub skip: Option<Skip>,
}

impl Entry {
    /// What it counts for in the listing of a directory, in bytes: its record, its name and its link text. Bounded by
    /// [`UNSETTLED_BYTES_MAX`](crate::limits::UNSETTLED_BYTES_MAX) and
    /// [`DIRECTORY_BYTES_MAX`](crate::limits::DIRECTORY_BYTES_MAX).
    pub fn listed_bytes(&self) -> usize {
        let target_bytes = match &self.kind {
            Kind::Link { target } => target.len(),
            Kind::HardLink { first } => first.as_bytes().len(),
            Kind::File | Kind::Directory | Kind::Special => 0,
        };
        UNSETTLED_RECORD_BYTES + self.name.as_bytes().len() + target_bytes
    }
}

/// An extended attribute, or a POSIX access list in its extended-attribute form.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Attribute {
    /// Full name, such as `user.comment`; at most 255 bytes.
    pub name: Box<[u8]>,
    /// Value as stored.
    pub value: Box<[u8]>,
}

/// A directory of one attempt of a job, numbered from 0 (the root) in the order of the scan.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct DirId(pub u64);

/// An entry by its place: the directory, and the index in its listing counted over all of its parts.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct EntryId {
    /// The directory that lists it.
    pub dir: DirId,
    /// 0 for the first entry of the listing.
    pub index: u32,
}

/// One wish for one file's content. The agent numbers them from 0 within an attempt and never uses a number twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct WantId(pub u64);
