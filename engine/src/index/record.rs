//! One remembered entry.

use quicopy_protocol::meta::{Kind, Timestamp};

use crate::compare::Present;
use crate::disk::Stat;

/// Bytes of an encoded record, all numbers little-endian: size (8), modified seconds (8) and nanoseconds (4), inode (8),
/// changed seconds (8) and nanoseconds (4).
pub(super) const RECORD_BYTES: usize = 40;

/// A file as the destination's file system showed it right after it was committed.
///
/// It holds what was read back, not what was asked for, so that a file system that rounds times causes no conflict.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Record {
    /// Size in bytes.
    pub size_bytes: u64,
    /// Last write time.
    pub modified: Timestamp,
    /// Number in its file system.
    pub inode: u64,
    /// Change time.
    pub changed: Timestamp,
}

impl From<&Present> for Record {
    fn from(present: &Present) -> Self {
        Self {
            size_bytes: present.size_bytes,
            modified: present.modified,
            inode: present.inode,
            changed: present.changed,
        }
    }
}

impl From<&Stat> for Record {
    fn from(stat: &Stat) -> Self {
        Self {
            size_bytes: stat.size_bytes,
            modified: stat.modified,
            inode: stat.inode,
            changed: stat.changed,
        }
    }
}

impl Record {
    pub(super) fn encode(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        bytes[..8].copy_from_slice(&self.size_bytes.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.modified.seconds.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.modified.nanos.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.inode.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.changed.seconds.to_le_bytes());
        bytes[36..].copy_from_slice(&self.changed.nanos.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; RECORD_BYTES]) -> Self {
        let (head, bytes) = take(bytes);
        let size_bytes = u64::from_le_bytes(head);
        let (modified, bytes) = take_time(bytes);
        let (head, bytes) = take(bytes);
        let inode = u64::from_le_bytes(head);
        let (changed, _) = take_time(bytes);
        Self { size_bytes, modified, inode, changed }
    }
}

fn take_time(bytes: &[u8]) -> (Timestamp, &[u8]) {
    let (seconds, bytes) = take(bytes);
    let (nanos, bytes) = take(bytes);
    (Timestamp { seconds: i64::from_le_bytes(seconds), nanos: u32::from_le_bytes(nanos) }, bytes)
}

fn take<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    let (head, rest) = bytes.split_first_chunk().expect("a record has RECORD_BYTES bytes");
    (*head, rest)
}

/// Whether somebody changed what the last job left: other size, other time, or not a file any more.
///
/// Inode and change time do not count by themselves: a restored backup, another hard link or a changed mode would make
/// every file a conflict whose content nobody touched.
pub fn is_conflict(record: &Record, present: &Present) -> bool {
    present.kind != Kind::File
        || (record.size_bytes, record.modified) != (present.size_bytes, present.modified)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RECORD: Record = Record {
        size_bytes: 5,
        modified: Timestamp { seconds: 10, nanos: 1 },
        inode: 7,
        changed: Timestamp { seconds: 20, nanos: 2 },
    };

    fn present() -> Present {
        Present {
            kind: Kind::File,
            size_bytes: RECORD.size_bytes,
            modified: RECORD.modified,
            mode: 0o644,
            owner: 0,
            group: 0,
            device: 1,
            inode: RECORD.inode,
            changed: RECORD.changed,
            links: 1,
            mounted: false,
            attributes: None,
        }
    }

    #[test]
    fn only_another_size_time_or_kind_is_a_conflict() {
        let check = |present: Present, expected| {
            assert_eq!(is_conflict(&RECORD, &present), expected, "{present:?}");
        };
        let later = Timestamp { seconds: 10, nanos: 2 };
        check(present(), false);
        check(Present { size_bytes: 6, ..present() }, true);
        check(Present { modified: later, ..present() }, true);
        check(Present { kind: Kind::Directory, ..present() }, true);
        check(Present { inode: 8, changed: later, mode: 0o600, ..present() }, false);
    }

    proptest! {
        #[test]
        fn a_record_comes_back_as_it_was_written(size_bytes: u64, inode: u64, a: (i64, u32), b: (i64, u32)) {
            let time = |(seconds, nanos)| Timestamp { seconds, nanos };
            let record = Record { size_bytes, modified: time(a), inode, changed: time(b) };
            prop_assert_eq!(Record::decode(&record.encode()), record);
        }
    }
}
