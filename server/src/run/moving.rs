//! `/MOV` and `/MOVE`: sources go once their copies are durable.

use std::collections::{BTreeSet, HashSet};
use std::mem;

use quicopy_engine::scan::{ScannedDir, ScannedEntry};
use quicopy_engine::source::{Gone, Source};
use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::DirState;

use crate::cli::MoveMode;

/// Removes what was moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mover(pub(super) MoveMode);

impl Mover {
    /// Whether sources go at all.
    pub(super) fn moves(self) -> bool {
        self.0 != MoveMode::Keep
    }

    /// Whether directories go too.
    pub(super) fn empties(self) -> bool {
        self.0 == MoveMode::FilesAndDirectories
    }

    /// Removes a file or link whose copy is durable.
    pub(super) fn remove(
        self,
        source: &Source,
        path: &RelPath,
        scanned: &ScannedEntry,
    ) -> Result<Gone, Failure> {
        match self.0 {
            MoveMode::Keep => Ok(Gone::Gone),
            MoveMode::Files | MoveMode::FilesAndDirectories => {
                let link = scanned.link.as_deref();
                source.remove_file(path, &scanned.entry.meta, &scanned.identity, link)
            }
        }
    }

    /// Why a file stays whose copy was found in place after a lost link: nobody has said that it is durable.
    pub(super) fn spare(self) -> Option<Failure> {
        // Windows error 1237: a retry should be performed. Source: winerror.h.
        self.moves().then(|| {
            let reason = "copied, but the link was lost before the agent said that the copy is durable, so it was not \
                          removed; run again with /IS";
            Failure::new(Operation::DeleteSourceFile, 1237, reason)
        })
    }

    /// Removes directories that the job has emptied; those that hold anything stay, and the root does. Returns what could
    /// not be removed.
    pub(super) fn remove_emptied(self, source: &Source, moved: &Moved) -> Vec<(RelPath, Failure)> {
        if !self.empties() {
            return Vec::new();
        }
        let failed = |path: &RelPath| match source.remove_empty_dir(path) {
            // Windows errors 2 and 3: somebody else has removed it.
            Err(failure) if !matches!(failure.windows_code, 2 | 3) => Some((path.clone(), failure)),
            Ok(_) | Err(_) => None,
        };
        moved.bottom_up().filter_map(failed).collect()
    }
}

/// Files that were moved and still stand at the source. Kept over all attempts.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// The same file is listed under another name, which is still to be copied.
    awaited: Vec<(RelPath, ScannedEntry)>,
    /// Of earlier attempts: this one lists all names anew.
    earlier: Vec<(RelPath, ScannedEntry)>,
    /// Whether it was said that files behind links stay.
    told_of_links: bool,
}

impl Standing {
    pub(super) fn begin_attempt(&mut self) {
        self.earlier.append(&mut self.awaited);
    }

    /// Keeps a file until nothing else leads to it.
    pub(super) fn keep(&mut self, path: RelPath, scanned: ScannedEntry) {
        self.awaited.push((path, scanned));
    }

    /// Takes the files that nothing is to be copied from any more.
    pub(super) fn take(
        &mut self,
        is_awaited: impl Fn(&ScannedEntry) -> bool,
    ) -> Vec<(RelPath, ScannedEntry)> {
        self.awaited.extract_if(.., |(_, scanned)| !is_awaited(scanned)).collect()
    }

    /// Takes all files, at the end of the job.
    pub(super) fn take_all(&mut self) -> Vec<(RelPath, ScannedEntry)> {
        let mut all = mem::take(&mut self.earlier);
        all.append(&mut self.awaited);
        all
    }

    /// What to say, once, of a file that a link on the way keeps from going.
    pub(super) fn behind_link(&mut self) -> Option<&'static str> {
        let is_told = mem::replace(&mut self.told_of_links, true);
        (!is_told).then_some(
            "what links to directories lead to was copied and is not removed: it may lie outside the source",
        )
    }
}

/// The directories that a job has moved: those that are at the destination now, with all that was to be copied. Kept under
/// `/MOVE` only, over all attempts.
#[derive(Debug, Default)]
pub(super) struct Moved {
    there: BTreeSet<RelPath>,
    /// Something in them was not copied.
    incomplete: HashSet<RelPath>,
}

impl Moved {
    /// An attempt begins: it tries again what has failed.
    pub(super) fn begin_attempt(&mut self) {
        self.incomplete.clear();
    }

    /// Takes the plan of a directory.
    pub(super) fn planned(&mut self, scanned: &ScannedDir, state: &DirState) {
        let path = &scanned.path;
        match state {
            DirState::Existing | DirState::New => {
                self.there.insert(path.clone());
            }
            DirState::Deferred => {}
            DirState::Avoided | DirState::Failed(_) => {
                self.there.remove(path);
            }
        }
        if scanned.failure.is_some() || !scanned.failures.is_empty() {
            self.failed(path);
        }
    }

    /// Something was copied into a directory: it has been made by now, with those above it.
    pub(super) fn copied(&mut self, dir: &RelPath) {
        let mut dir = dir.clone();
        while self.there.insert(dir.clone())
            && let Some((above, _)) = dir.split_last()
        {
            dir = above;
        }
    }

    /// Something in a directory was not copied.
    pub(super) fn failed(&mut self, dir: &RelPath) {
        self.incomplete.insert(dir.clone());
    }

    /// What may go, each directory after those in it.
    fn bottom_up(&self) -> impl Iterator<Item = &RelPath> {
        self.there.iter().rev().filter(|path| !self.incomplete.contains(*path))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use quicopy_protocol::meta::Meta;

    use super::*;

    fn path(path: &str) -> RelPath {
        RelPath::parse(path.as_bytes()).unwrap()
    }

    fn failure() -> Failure {
        Failure::new(Operation::CopyFile, 5, "denied")
    }

    fn plan(moved: &mut Moved, dir: &str, state: DirState, failure: Option<Failure>) {
        let scanned = ScannedDir {
            path: path(dir),
            meta: Meta::default(),
            attributes: Vec::new(),
            entries: Vec::new(),
            failures: Vec::new(),
            failure,
        };
        moved.planned(&scanned, &state);
    }

    fn check(moved: &Moved, goes: &[&str]) {
        let goes: Vec<RelPath> = goes.iter().map(|dir| path(dir)).collect();
        assert_eq!(moved.bottom_up().cloned().collect::<Vec<_>>(), goes);
    }

    #[test]
    fn only_what_is_at_the_destination_goes_from_the_bottom_up() {
        let mut moved = Moved::default();
        plan(&mut moved, "a", DirState::New, None);
        plan(&mut moved, "a/b", DirState::Existing, None);
        plan(&mut moved, "c", DirState::Avoided, None);
        plan(&mut moved, "d", DirState::Failed(failure()), None);
        plan(&mut moved, "e", DirState::Deferred, None);
        plan(&mut moved, "f", DirState::New, Some(failure()));
        check(&moved, &["a/b", "a"]);
    }

    #[test]
    fn a_directory_that_was_made_late_goes_with_those_above_it() {
        let mut moved = Moved::default();
        plan(&mut moved, "", DirState::Existing, None);
        plan(&mut moved, "a", DirState::Deferred, None);
        plan(&mut moved, "a/b", DirState::Deferred, None);
        moved.copied(&path("a/b"));
        check(&moved, &["a/b", "a", ""]);
    }

    #[test]
    fn a_failed_copy_keeps_its_directory_until_an_attempt_without() {
        let mut moved = Moved::default();
        plan(&mut moved, "a", DirState::New, None);
        moved.failed(&path("a"));
        check(&moved, &[]);
        moved.begin_attempt();
        plan(&mut moved, "a", DirState::Existing, None);
        check(&moved, &["a"]);
    }
}
