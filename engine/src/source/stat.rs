//! What the file system says about an entry.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use quicopy_protocol::meta::{Meta, Timestamp};
use rustix::fs::{AtFlags, FileType, Statx, StatxAttributes, StatxFlags, StatxTimestamp};

/// What tells one file from another, and one state of it from the next, besides its [`Meta`].
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Identity {
    /// Number of the file system.
    pub device: u64,
    /// Number of the file in it.
    pub inode: u64,
    /// Last change of content or metadata, which no program can set.
    pub changed: Timestamp,
}

impl Identity {
    /// Whether both are the same file, in whatever state.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// A link that was followed, as it was found: what was copied under its name is what it led to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FollowedLink {
    /// The link itself.
    pub identity: Identity,
    /// When it was made: nobody writes to a link.
    pub modified: Timestamp,
}

impl FollowedLink {
    pub(crate) fn new(link: &Stat) -> Self {
        Self { identity: link.identity, modified: link.meta.modified }
    }

    /// Whether this is the same link. To lose or gain another name is no change, though it moves the change time.
    pub(super) fn is_same(&self, found: &Stat) -> bool {
        self.identity.is_same_file(&found.identity) && self.modified == found.meta.modified
    }
}

/// What an entry is, before the job's rules say what it counts as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Type {
    File,
    Directory,
    Link,
    Special,
}

impl Type {
    pub(crate) fn from_rustix(file_type: FileType) -> Self {
        match file_type {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Link,
            _ => Self::Special,
        }
    }
}

/// One answer of the file system.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stat {
    pub(crate) entry_type: Type,
    pub(crate) meta: Meta,
    pub(crate) identity: Identity,
    /// Last access.
    pub(crate) accessed: Timestamp,
    /// How many names it has in its file system.
    pub(crate) names: u32,
    /// Whether a file system is mounted here; `None` when the kernel cannot say (before Linux 5.8).
    pub(crate) mount_root: Option<bool>,
}

impl Stat {
    /// Looks at the entry `name` of `dir`; `links` says whether at a link itself or at what it points to.
    pub(crate) fn of_entry(dir: BorrowedFd<'_>, name: &[u8], links: Links) -> io::Result<Self> {
        let flags = match links {
            Links::Follow => AtFlags::NO_AUTOMOUNT,
            Links::Refuse => AtFlags::NO_AUTOMOUNT | AtFlags::SYMLINK_NOFOLLOW,
        };
        Ok(Self::from_statx(&rustix::fs::statx(dir, name, flags, FIELDS)?))
    }

    /// Looks at what is open.
    pub(crate) fn of_handle(handle: impl AsFd) -> io::Result<Self> {
        Ok(Self::from_statx(&rustix::fs::statx(handle, c"", AtFlags::EMPTY_PATH, FIELDS)?))
    }

    fn from_statx(statx: &Statx) -> Self {
        let mode = u32::from(statx.stx_mode);
        let entry_type = Type::from_rustix(FileType::from_raw_mode(mode));
        let size_bytes = if entry_type == Type::File { statx.stx_size } else { 0 };
        let knows_mounts = statx.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT);
        Self {
            entry_type,
            meta: Meta {
                size_bytes,
                modified: timestamp(&statx.stx_mtime),
                mode: statx.stx_mode & 0o7777,
                owner: statx.stx_uid,
                group: statx.stx_gid,
                attributes: None,
            },
            identity: Identity {
                device: rustix::fs::makedev(statx.stx_dev_major, statx.stx_dev_minor),
                inode: statx.stx_ino,
                changed: timestamp(&statx.stx_ctime),
            },
            accessed: timestamp(&statx.stx_atime),
            names: statx.stx_nlink,
            mount_root: knows_mounts
                .then(|| statx.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)),
        }
    }
}

/// What becomes of symbolic links on the way to an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Links {
    Follow,
    Refuse,
}

const FIELDS: StatxFlags = StatxFlags::TYPE
    .union(StatxFlags::MODE)
    .union(StatxFlags::SIZE)
    .union(StatxFlags::NLINK)
    .union(StatxFlags::ATIME)
    .union(StatxFlags::MTIME)
    .union(StatxFlags::CTIME)
    .union(StatxFlags::INO)
    .union(StatxFlags::UID)
    .union(StatxFlags::GID);

fn timestamp(time: &StatxTimestamp) -> Timestamp {
    // A file system may claim anything; the wire promises less than a second.
    Timestamp { seconds: time.tv_sec, nanos: time.tv_nsec.min(999_999_999) }
}
