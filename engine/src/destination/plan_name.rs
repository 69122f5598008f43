//! The name of a plan: a hash of all that a job would do, in the order in which it would do it.

use quicopy_protocol::meta::{Entry, Kind, Timestamp};
use quicopy_protocol::options::PlanId;
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::{Action, DirState, FileClass, Verdict};

use crate::purge::{DirectoryRemovals, RemovalKind};

/// What the hash begins with. Another way to hash gets another number.
const VERSION: &[u8] = b"quicopy plan 1";

/// Takes a plan in, directory by directory.
///
/// What is left as it is does not count, nor does what a job itself changes while it is planned, such as the times of the
/// destination's directories: a job that only lists and one that acts give equal plans equal names.
#[derive(Debug)]
pub(super) struct PlanName(blake3::Hasher);

impl PlanName {
    pub(super) fn new() -> Self {
        let mut name = Self(blake3::Hasher::new());
        name.bytes(VERSION);
        name
    }

    /// A directory, and whether it is to be made.
    pub(super) fn directory(&mut self, path: &RelPath, state: &DirState) {
        let mark = match state {
            DirState::Existing => return,
            DirState::New | DirState::Deferred => b'N',
            DirState::Avoided => b'A',
            DirState::Failed(_) => b'F',
        };
        self.byte(mark);
        self.bytes(path.as_bytes());
    }

    /// What is done about the entries of a directory.
    pub(super) fn verdicts(&mut self, dir: &RelPath, entries: &[Entry], verdicts: &[Verdict]) {
        for verdict in verdicts {
            let action = match verdict.action {
                Action::Copy => b'c',
                Action::Restamp => b'r',
                Action::Check => b'k',
                Action::Fix => b'x',
                Action::Fail => b'f',
                Action::Skip | Action::SkipConflict | Action::Mismatch => continue,
            };
            let Some(entry) = entries.get(verdict.index as usize) else { continue };
            self.byte(action);
            self.byte(class_mark(verdict.class));
            self.bytes(dir.as_bytes());
            self.bytes(entry.name.as_bytes());
            match &entry.kind {
                Kind::File => self.byte(b'-'),
                Kind::Directory => self.byte(b'/'),
                Kind::Special => self.byte(b'|'),
                Kind::Link { target } => {
                    self.byte(b'@');
                    self.bytes(target);
                }
                Kind::HardLink { first } => {
                    self.byte(b'=');
                    self.bytes(first.as_bytes());
                }
            }
            self.size_and_time(entry.meta.size_bytes, entry.meta.modified);
        }
    }

    /// What is deleted from a directory.
    pub(super) fn removals(&mut self, removals: &DirectoryRemovals) {
        for entry in removals.entries.iter().filter(|entry| entry.kept.is_none()) {
            self.byte(b'd');
            self.bytes(removals.path.as_bytes());
            self.bytes(entry.name.as_bytes());
            match entry.kind {
                RemovalKind::Directory => self.byte(b'/'),
                RemovalKind::File => {
                    self.byte(b'-');
                    self.size_and_time(entry.size_bytes, entry.modified);
                }
                RemovalKind::Link => self.byte(b'@'),
                RemovalKind::Special => self.byte(b'|'),
            }
        }
    }

    pub(super) fn finish(&self) -> PlanId {
        let hash = self.0.finalize();
        PlanId(*hash.as_bytes().first_chunk().expect("a BLAKE3 hash has 32 bytes"))
    }

    fn size_and_time(&mut self, size_bytes: u64, Timestamp { seconds, nanos }: Timestamp) {
        self.0.update(&size_bytes.to_le_bytes());
        self.0.update(&seconds.to_le_bytes());
        self.0.update(&nanos.to_le_bytes());
    }

    fn byte(&mut self, byte: u8) {
        self.0.update(&[byte]);
    }

    /// With its length, so that no two lists of texts look alike.
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

fn class_mark(class: FileClass) -> u8 {
    match class {
        FileClass::Changed => b'C',
        FileClass::Lonely => b'L',
        FileClass::Mismatched => b'M',
        FileClass::Modified => b'D',
        FileClass::Newer => b'N',
        FileClass::Older => b'O',
        FileClass::Same => b'S',
        FileClass::Tweaked => b'T',
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::plan::sample::{entries, path};

    fn name(source: &str, action: Action, class: FileClass) -> PlanId {
        let entries = entries(source);
        let verdicts: Vec<_> = (0..entries.len() as u32)
            .map(|index| Verdict { index, class, action, conflict: false })
            .collect();
        let mut name = PlanName::new();
        name.directory(&path("d"), &DirState::Existing);
        name.verdicts(&path("d"), &entries, &verdicts);
        name.finish()
    }

    #[test]
    fn a_plan_is_what_is_done_and_to_what() {
        let plan = name("a@20 b", Action::Copy, FileClass::Newer);
        assert_eq!(plan, name("a@20 b", Action::Copy, FileClass::Newer));
        for (source, action, class) in [
            ("a@21 b", Action::Copy, FileClass::Newer),
            ("a@20 c", Action::Copy, FileClass::Newer),
            ("a@20", Action::Copy, FileClass::Newer),
            ("a@20 b", Action::Restamp, FileClass::Newer),
            ("a@20 b", Action::Copy, FileClass::Older),
        ] {
            assert_ne!(plan, name(source, action, class), "{source} {action:?} {class:?}");
        }
    }

    #[test]
    fn what_is_left_alone_is_no_part_of_it() {
        let nothing = PlanName::new().finish();
        assert_eq!(name("a b", Action::Skip, FileClass::Same), nothing);
        assert_eq!(name("a b", Action::Mismatch, FileClass::Mismatched), nothing);
        let mut made = PlanName::new();
        made.directory(&path("d"), &DirState::New);
        let mut deferred = PlanName::new();
        deferred.directory(&path("d"), &DirState::Deferred);
        assert_eq!(made.finish(), deferred.finish());
        assert_ne!(made.finish(), nothing);
    }
}
