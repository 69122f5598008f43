//! Directories that are made with the first entry that is copied into them.

use std::collections::{HashMap, HashSet};

use quicopy_protocol::path::RelPath;

use crate::report::Column;

/// Which directories wait for their first entry, and for which of them it is on its way.
#[derive(Debug, Default)]
pub(super) struct Making {
    /// Nothing is copied into them yet; and the column that counts them until then.
    deferred: HashMap<RelPath, Column>,
    /// Something is being copied into them, and nothing is in place.
    begun: HashSet<RelPath>,
}

impl Making {
    /// Notes a directory that waits for its first entry, and is counted in `column` until then.
    pub(super) fn defer(&mut self, dir: RelPath, column: Column) {
        self.deferred.insert(dir, column);
    }

    /// Something is to be copied there: a directory that waited for it is made after all, with those above it. Says how many
    /// of them were counted as skipped.
    pub(super) fn copy_into(&mut self, path: &RelPath) -> u64 {
        let mut made = 0;
        let mut path = path.clone();
        while let Some((dir, _)) = path.split_last()
            && let Some(column) = self.deferred.remove(&dir)
        {
            if column == Column::Skipped {
                made += 1;
                self.begun.insert(dir.clone());
            }
            path = dir;
        }
        made
    }

    /// Something is in place in `dir`: so are the directories that it is in.
    pub(super) fn copied_into(&mut self, dir: &RelPath) {
        let mut dir = dir.clone();
        while !self.begun.is_empty() {
            self.begun.remove(&dir);
            let Some((above, _)) = dir.split_last() else { return };
            dir = above;
        }
    }

    /// The directories of which nobody knows whether they were made.
    pub(super) fn into_begun(self) -> HashSet<RelPath> {
        self.begun
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
    fn the_first_entry_makes_all_directories_above_it_and_its_copy_proves_them() {
        let mut making = Making::default();
        ["a", "a/b", "c"].map(|dir| making.defer(path(dir), Column::Skipped));
        assert_eq!(making.copy_into(&path("a/b/f")), 2);
        assert_eq!(making.copy_into(&path("a/b/g")), 0);
        assert_eq!(making.copy_into(&path("c/f")), 1);
        making.copied_into(&path("a/b"));
        assert_eq!(making.into_begun(), HashSet::from([path("c")]));
    }
}
