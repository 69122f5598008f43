//! What was seen in the source since a run began: [`Changes`].

use std::collections::HashSet;

use quicopy_protocol::path::RelPath;

/// Paths that are told apart. What comes beyond counts each time.
const TOLD_APART_MAX: usize = 1 << 16;

/// How much has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Seen {
    /// So many entries.
    Changes(u64),
    /// Nobody knows.
    Unknown,
}

impl Seen {
    /// As a number that can be shown.
    pub(super) fn count(self) -> u64 {
        match self {
            Self::Changes(count) => count,
            Self::Unknown => 0,
        }
    }
}

/// Entries that have changed. One that changes again counts once: a program that saves a file makes several changes of it, and
/// one that writes a log makes thousands.
#[derive(Debug, Default)]
pub(super) struct Changes {
    entries: HashSet<RelPath>,
    more: u64,
    lost: bool,
}

impl Changes {
    /// An entry was made, written, renamed, removed, or got other metadata.
    pub(super) fn note(&mut self, path: RelPath) {
        if self.entries.len() < TOLD_APART_MAX {
            self.entries.insert(path);
        } else if !self.entries.contains(&path) {
            self.more = self.more.saturating_add(1);
        }
    }

    /// The kernel had more to say than it could keep.
    pub(super) fn lose(&mut self) {
        self.lost = true;
    }

    pub(super) fn seen(&self) -> Seen {
        match self.lost {
            true => Seen::Unknown,
            false => Seen::Changes((self.entries.len() as u64).saturating_add(self.more)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_entry_that_changes_again_counts_once() {
        let mut changes = Changes::default();
        for name in ["a", "a", "d/a", "a"] {
            changes.note(path(name));
        }
        assert_eq!(changes.seen(), Seen::Changes(2));
        changes.lose();
        assert_eq!(changes.seen(), Seen::Unknown);
    }

    #[test]
    fn what_is_told_apart_is_bounded_and_nothing_goes_uncounted() {
        let mut changes = Changes::default();
        for number in 0..TOLD_APART_MAX + 3 {
            changes.note(path(&format!("{number}")));
        }
        changes.note(path("0"));
        assert_eq!(changes.entries.len(), TOLD_APART_MAX);
        assert_eq!(changes.seen(), Seen::Changes(TOLD_APART_MAX as u64 + 3));
    }
}
