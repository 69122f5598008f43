//! What is known of an entry of the destination without reading it.

use quicopy_protocol::meta::{Meta, Timestamp};

/// What an entry of the destination is. The text of a link is read on demand only.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum DiskKind {
    /// A regular file.
    #[default]
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A FIFO, socket or device.
    Special,
}

/// What the file system says of an entry; a link is described itself, not what it points to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stat {
    /// What the entry is.
    pub kind: DiskKind,
    /// Size in bytes: of a file its content, of a link its text.
    pub size_bytes: u64,
    /// Last write time.
    pub modified: Timestamp,
    /// Last change of content or metadata, by the file system's own clock.
    pub changed: Timestamp,
    /// Permission bits with set-user-id, set-group-id and sticky: `0o7777` at most.
    pub mode: u16,
    /// Owner's number.
    pub owner: u32,
    /// Group's number.
    pub group: u32,
    /// Number of the inode on its device.
    pub inode: u64,
    /// Number of the file system that holds it.
    pub device: u64,
    /// Names that the inode has.
    pub links: u32,
    /// Whether another file system is mounted on it, or the same one a second time.
    pub is_mount: bool,
}

impl Stat {
    /// The part that can be compared with what a listing carries; the size is 0 for what is not a file, as there.
    pub fn meta(&self) -> Meta {
        Meta {
            size_bytes: if self.kind == DiskKind::File { self.size_bytes } else { 0 },
            modified: self.modified,
            mode: self.mode,
            owner: self.owner,
            group: self.group,
            attributes: None,
        }
    }

    /// Whether both describe the same inode.
    pub fn is_same_inode(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Whether nobody wrote to the entry, or put another in its place, between the two looks.
    ///
    /// The change time counts as long as the number of names is equal: replacing one name of a hard-linked file moves the
    /// change time of the others, and that is no edit.
    pub fn is_same_version(&self, other: &Self) -> bool {
        self.is_same_inode(other)
            && self.kind == other.kind
            && self.size_bytes == other.size_bytes
            && self.modified == other.modified
            && (self.changed == other.changed || self.links != other.links)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Timestamp = Timestamp { seconds: 1, nanos: 0 };

    #[test]
    fn an_edit_that_restores_size_and_time_is_still_seen() {
        let before = Stat { inode: 1, links: 1, ..Stat::default() };
        assert!(before.is_same_version(&before));
        assert!(!before.is_same_version(&Stat { changed: SECOND, ..before }));
        assert!(!before.is_same_version(&Stat { modified: SECOND, ..before }));
        assert!(!before.is_same_version(&Stat { size_bytes: 1, ..before }));
        assert!(!before.is_same_version(&Stat { inode: 2, ..before }));
    }

    #[test]
    fn losing_another_name_is_no_edit() {
        let before = Stat { inode: 1, links: 2, ..Stat::default() };
        assert!(before.is_same_version(&Stat { links: 1, changed: SECOND, ..before }));
    }
}
