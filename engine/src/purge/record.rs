//! One record of the removal list: what is to be removed from one directory, and its encoding.

use quicopy_protocol::meta::{DirId, Kind, Timestamp};
use quicopy_protocol::path::{Name, RelPath};
use quicopy_protocol::verdict::Kept;

use crate::compare::Present;

/// Entries in one record; a directory with more has several.
pub(super) const RECORD_ENTRIES_MAX: usize = 4096;

/// What is to be removed from one directory, or a part of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DirectoryRemovals {
    /// The directory of the source under which it was found: if a copy failed there, this stays.
    pub found_under: DirId,
    /// The directory's path below the job's root.
    pub path: RelPath,
    /// The entries.
    pub entries: Vec<RemovalEntry>,
}

/// One entry of a directory as it was listed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RemovalEntry {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: RemovalKind,
    /// Number of its file system.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Last write time.
    pub modified: Timestamp,
    /// Set for a directory that is not removed because of something below it, which is to be reported.
    pub kept: Option<Kept>,
}

/// What an entry to be removed is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RemovalKind {
    /// A regular file.
    File,
    /// A directory; what it held has been removed before.
    Directory,
    /// A symbolic link, which goes itself.
    Link,
    /// A FIFO, socket or device.
    Special,
}

impl RemovalKind {
    const ALL: [Self; 4] = [Self::File, Self::Directory, Self::Link, Self::Special];
}

impl From<&Kind> for RemovalKind {
    fn from(kind: &Kind) -> Self {
        match kind {
            Kind::File | Kind::HardLink { .. } => Self::File,
            Kind::Directory => Self::Directory,
            Kind::Link { .. } => Self::Link,
            Kind::Special => Self::Special,
        }
    }
}

impl RemovalEntry {
    pub(super) fn new(name: &Name, present: &Present, kept: Option<Kept>) -> Self {
        Self {
            name: name.clone(),
            kind: RemovalKind::from(&present.kind),
            device: present.device,
            inode: present.inode,
            size_bytes: present.size_bytes,
            modified: present.modified,
            kept,
        }
    }
}

/// Whether an entry that is about to be removed is still what was listed: kind, file system, number, and for what is not
/// a directory size and time too. A directory's time changes as it is emptied; one that got new content cannot be removed.
pub fn still_as_listed(entry: &RemovalEntry, now: &Present) -> bool {
    let is_it = entry.kind == RemovalKind::from(&now.kind)
        && (entry.device, entry.inode) == (now.device, now.inode)
        && !now.mounted;
    is_it
        && (entry.kind == RemovalKind::Directory
            || (entry.size_bytes, entry.modified) == (now.size_bytes, now.modified))
}

pub(super) fn encode(removals: &DirectoryRemovals, out: &mut Vec<u8>) {
    out.extend(removals.found_under.0.to_le_bytes());
    put_bytes(out, removals.path.as_bytes());
    out.extend((removals.entries.len() as u32).to_le_bytes());
    for entry in &removals.entries {
        put_bytes(out, entry.name.as_bytes());
        out.push(match entry.kind {
            RemovalKind::File => 0,
            RemovalKind::Directory => 1,
            RemovalKind::Link => 2,
            RemovalKind::Special => 3,
        });
        out.extend(entry.device.to_le_bytes());
        out.extend(entry.inode.to_le_bytes());
        out.extend(entry.size_bytes.to_le_bytes());
        put_time(out, entry.modified);
        out.push(match entry.kept {
            None => 0,
            Some(Kept::Named) => 1,
            Some(Kept::HoldsKept) => 2,
            Some(Kept::NotIncluded) => 3,
            Some(Kept::Mount) => 4,
            Some(Kept::Conflict) => 5,
            Some(Kept::Unreadable) => 6,
        });
    }
}

// Names have at most 255 bytes and paths 4,096.
fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u16).to_le_bytes());
    out.extend(bytes);
}

fn put_time(out: &mut Vec<u8>, time: Timestamp) {
    out.extend(time.seconds.to_le_bytes());
    out.extend(time.nanos.to_le_bytes());
}

pub(super) fn decode(body: &[u8]) -> Option<DirectoryRemovals> {
    let mut body = Body(body);
    let found_under = DirId(u64::from_le_bytes(body.take()?));
    let path = RelPath::parse(body.take_bytes()?).ok()?;
    let count = u32::from_le_bytes(body.take()?) as usize;
    let mut entries = Vec::with_capacity(count.min(RECORD_ENTRIES_MAX));
    for _ in 0..count {
        entries.push(body.take_entry()?);
    }
    body.0.is_empty().then_some(DirectoryRemovals { found_under, path, entries })
}

/// What is left of a record's body.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn take_bytes(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_le_bytes(self.take()?).into();
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn take_time(&mut self) -> Option<Timestamp> {
        let seconds = i64::from_le_bytes(self.take()?);
        Some(Timestamp { seconds, nanos: u32::from_le_bytes(self.take()?) })
    }

    fn take_entry(&mut self) -> Option<RemovalEntry> {
        let name = Name::new(self.take_bytes()?).ok()?;
        let [kind] = self.take()?;
        Some(RemovalEntry {
            name,
            kind: *RemovalKind::ALL.get(usize::from(kind))?,
            device: u64::from_le_bytes(self.take()?),
            inode: u64::from_le_bytes(self.take()?),
            size_bytes: u64::from_le_bytes(self.take()?),
            modified: self.take_time()?,
            kept: match self.take()? {
                [0] => None,
                [1] => Some(Kept::Named),
                [2] => Some(Kept::HoldsKept),
                [3] => Some(Kept::NotIncluded),
                [4] => Some(Kept::Mount),
                [5] => Some(Kept::Conflict),
                [6] => Some(Kept::Unreadable),
                [_] => return None,
            },
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::sample::{item, path, present};

    pub(in super::super) fn entry(text: &str, kept: Option<Kept>) -> RemovalEntry {
        let (name, kind, meta) = item(text);
        RemovalEntry::new(&name, &present(kind, &meta), kept)
    }

    pub(in super::super) fn sample() -> Vec<DirectoryRemovals> {
        let all_kept = [
            Kept::Named,
            Kept::HoldsKept,
            Kept::NotIncluded,
            Kept::Mount,
            Kept::Conflict,
            Kept::Unreadable,
        ];
        let mut kept: Vec<_> = all_kept.map(|kept| entry("k/", Some(kept))).into();
        kept.extend(["f@20=5", "l->x", "p|", "d/"].map(|text| entry(text, None)));
        let record = |dir, at, entries| DirectoryRemovals {
            found_under: DirId(dir),
            path: path(at),
            entries,
        };
        vec![
            record(0, "old/sub", vec![entry("x", None)]),
            record(0, "old", kept),
            record(u64::MAX, "", vec![entry("old/", None)]),
            record(2, "a", vec![]),
        ]
    }

    #[test]
    fn an_entry_is_still_as_listed_while_kind_number_size_and_time_are() {
        let check = |text: &str, change: fn(&mut Present), expected| {
            let (name, kind, meta) = item(text);
            let mut now = present(kind, &meta);
            let entry = RemovalEntry::new(&name, &now, None);
            change(&mut now);
            assert_eq!(still_as_listed(&entry, &now), expected, "{text}: {now:?}");
        };
        check("f", |_| {}, true);
        check("f", |now| now.mode = 0o600, true);
        check("f", |now| now.changed.seconds += 1, true);
        check("f", |now| now.modified.nanos += 1, false);
        check("f", |now| now.size_bytes += 1, false);
        check("f", |now| now.inode += 1, false);
        check("f", |now| now.device += 1, false);
        check("f", |now| now.kind = Kind::Special, false);
        check("l->x", |now| now.modified.seconds += 1, false);
        check("d/", |now| now.modified.seconds += 1, true);
        check("d/", |now| now.inode += 1, false);
        check("d/", |now| now.mounted = true, false);
        check("d/", |now| now.kind = Kind::Link { target: (*b"/").into() }, false);
    }

    #[test]
    fn the_names_of_records_are_checked_like_any_other() {
        let mut bytes = Vec::new();
        encode(&sample()[0], &mut bytes);
        let at = bytes.windows(7).position(|window| window == b"old/sub").unwrap();
        bytes[at..at + 7].copy_from_slice(b"../sub/");
        assert_eq!(decode(&bytes), None);
    }

    #[test]
    fn a_record_comes_back_as_it_was_encoded() {
        for record in sample() {
            let mut bytes = Vec::new();
            encode(&record, &mut bytes);
            assert_eq!(decode(&bytes), Some(record));
        }
    }

    proptest! {
        #[test]
        fn decoding_any_bytes_returns(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
