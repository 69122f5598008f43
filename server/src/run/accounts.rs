//! From what the agent says to what the report shows: one attempt's events and counts.

use std::collections::HashSet;

use quicopy_engine::filter::Filter;
use quicopy_protocol::code::Failure;
use quicopy_protocol::message::{JobDone, Outcome, Plan};
use quicopy_protocol::meta::{DirId, Entry, EntryId, Kind, Skip};
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::{
    Action, DirState, ExtraEntry, FileClass, Kept, OutcomeResult, Removal, Verdict,
};

use super::offers::Offer;
use crate::report::{Column, DirectoryClass, FileVerdict, ReportEvent, Summary};

/// Takes the events of an attempt.
pub(super) type Tell<'a> = &'a mut dyn FnMut(ReportEvent);

/// What an earlier attempt has told already, so that a reconnect does not tell it again.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The last directory whose plan was told in full.
    mark: Option<RelPath>,
    /// Files and links whose copy was told and is not done.
    unfinished: HashSet<RelPath>,
}

impl Told {
    fn covers(&self, dir: &RelPath) -> bool {
        self.mark.as_ref().is_some_and(|mark| dir <= mark)
    }
}

/// Counts one attempt.
pub(super) struct Accounts {
    summary: Summary,
    filter: Filter,
    list_only: bool,
    told: Told,
    /// The directory whose plan has begun and not ended.
    in_plan: Option<DirId>,
    /// Directories that will be made with the first entry that is copied into them.
    deferred: HashSet<RelPath>,
    /// Entries that were tried again.
    retried: HashSet<EntryId>,
    held_back: bool,
}

impl Accounts {
    pub(super) fn new(filter: Filter, list_only: bool, told: Told) -> Self {
        Self {
            summary: Summary::default(),
            filter,
            list_only,
            told,
            in_plan: None,
            deferred: HashSet::new(),
            retried: HashSet::new(),
            held_back: false,
        }
    }

    /// What was counted, and what the next attempt need not tell again.
    pub(super) fn finish(self) -> (Summary, Told, bool) {
        (self.summary, self.told, self.held_back)
    }

    /// Takes a part of a directory's plan. Calls `planned` with the size of each file and link that is to be copied.
    pub(super) fn plan(
        &mut self,
        offer: &Offer,
        plan: &Plan,
        planned: &mut dyn FnMut(u64),
        tell: Tell<'_>,
    ) {
        let dir = &offer.scanned.path;
        let known = self.told.covers(dir);
        if self.in_plan.replace(plan.dir) != Some(plan.dir) {
            self.enter(offer, &plan.state, &mut |event| {
                // A failure is told each time: it may be another one.
                if !known || matches!(event, ReportEvent::Error { .. }) {
                    tell(event);
                }
            });
        }
        for verdict in &plan.verdicts {
            let Some(scanned) = offer.scanned.entries.get(verdict.index as usize) else { continue };
            let Ok(path) = dir.join(&scanned.entry.name) else { continue };
            self.verdict(&scanned.entry, verdict, path, known, planned, tell);
        }
        self.summary.files.add(Column::Skipped, plan.same.entries);
        self.summary.bytes.add(Column::Skipped, plan.same.bytes);
        if plan.last {
            self.in_plan = None;
            if !known {
                self.told.mark = Some(dir.clone());
            }
        }
    }

    /// Counts a directory itself, and what its sender leaves out.
    fn enter(&mut self, offer: &Offer, state: &DirState, tell: Tell<'_>) {
        let scanned = &offer.scanned;
        let class = match state {
            DirState::Existing => {
                self.summary.dirs.add(Column::Skipped, 1);
                DirectoryClass::Existing
            }
            DirState::New => {
                self.summary.dirs.add(Column::Copied, 1);
                DirectoryClass::New
            }
            DirState::Deferred => {
                self.summary.dirs.add(Column::Skipped, 1);
                self.deferred.insert(scanned.path.clone());
                DirectoryClass::New
            }
            // Counted with its name in the directory above.
            DirState::Avoided => return,
            DirState::Failed(failure) => {
                self.summary.dirs.add(Column::Failed, 1);
                tell(error(failure, &scanned.path));
                return;
            }
        };
        let files = scanned.entries.iter().filter(|scanned| {
            matches!(scanned.entry.kind, Kind::File | Kind::Link { .. })
                && self.filter.file_included(&scanned.entry.name)
        });
        let files = files.count() as u64;
        tell(ReportEvent::Directory { path: scanned.path.clone(), class, files });
        if let Some(failure) = &scanned.failure {
            self.summary.dirs.add(Column::Failed, 1);
            tell(error(failure, &scanned.path));
        }
        for scanned_entry in &scanned.entries {
            let entry = &scanned_entry.entry;
            if let (Some(skip), Ok(path)) = (entry.skip, scanned.path.join(&entry.name)) {
                self.skipped(entry, skip, path, tell);
            }
        }
        for (index, failure) in &scanned.failures {
            let entry = scanned.entries.get(*index as usize);
            if let Some(Ok(path)) = entry.map(|entry| scanned.path.join(&entry.entry.name)) {
                tell(error(failure, &path));
            }
        }
    }

    fn skipped(&mut self, entry: &Entry, reason: Skip, path: RelPath, tell: Tell<'_>) {
        let is_dir = entry.kind == Kind::Directory;
        let column = match reason {
            Skip::Unreadable => Column::Failed,
            // Without /S and /E, and below the last level, directories take no part.
            Skip::TooDeep => return,
            Skip::Named if !is_dir && !self.filter.file_included(&entry.name) => return,
            Skip::Special => {
                return tell(ReportEvent::Notice(format!(
                    "{path}: a device, socket or pipe is not copied"
                )));
            }
            Skip::Reserved => {
                return tell(ReportEvent::Notice(format!(
                    "{path}: the name is kept for quicopy's own files and is not copied"
                )));
            }
            Skip::Loop => {
                tell(ReportEvent::Notice(format!(
                    "{path}: leads back to a directory above it and is not entered"
                )));
                Column::Skipped
            }
            Skip::Named | Skip::Large | Skip::Small | Skip::Link => Column::Skipped,
        };
        if is_dir {
            self.summary.dirs.add(column, 1);
        } else {
            self.summary.add_file(column, entry.meta.size_bytes);
        }
        if reason != Skip::Unreadable {
            let size_bytes = if is_dir { 0 } else { entry.meta.size_bytes };
            let modified = entry.meta.modified;
            tell(ReportEvent::Skipped { path, is_dir, reason, size_bytes, modified });
        }
    }

    fn verdict(
        &mut self,
        entry: &Entry,
        verdict: &Verdict,
        path: RelPath,
        known: bool,
        planned: &mut dyn FnMut(u64),
        tell: Tell<'_>,
    ) {
        let Verdict { class, action, conflict, .. } = *verdict;
        let size_bytes = entry.meta.size_bytes;
        self.summary.conflicts += u64::from(conflict);
        if entry.kind == Kind::Directory {
            self.directory_verdict(class, action, path, known, tell);
            return;
        }
        let is_told = match action {
            Action::Copy | Action::Restamp | Action::Fail => {
                if self.list_only {
                    let column =
                        if action == Action::Fail { Column::Failed } else { Column::Copied };
                    self.summary.add_file(column, size_bytes);
                } else {
                    planned(size_bytes);
                }
                self.note_copy_into(&path);
                !self.told.unfinished.contains(&path)
            }
            Action::Skip | Action::SkipConflict => {
                self.summary.add_file(Column::Skipped, size_bytes);
                !known
            }
            Action::Mismatch => {
                self.summary.add_file(Column::Mismatched, size_bytes);
                !known
            }
        };
        if is_told {
            if matches!(action, Action::Copy | Action::Restamp | Action::Fail) && !self.list_only {
                self.told.unfinished.insert(path.clone());
            }
            let modified = entry.meta.modified;
            tell(ReportEvent::File(FileVerdict {
                path,
                class,
                action,
                conflict,
                size_bytes,
                modified,
            }));
        }
    }

    fn directory_verdict(
        &mut self,
        class: FileClass,
        action: Action,
        path: RelPath,
        known: bool,
        tell: Tell<'_>,
    ) {
        match action {
            Action::Mismatch => {
                self.summary.dirs.add(Column::Mismatched, 1);
                if !known {
                    tell(ReportEvent::Directory {
                        path,
                        class: DirectoryClass::Mismatched,
                        files: 0,
                    });
                }
            }
            Action::Skip | Action::SkipConflict => self.summary.dirs.add(Column::Skipped, 1),
            Action::Fail if self.list_only => self.summary.dirs.add(Column::Failed, 1),
            // Its outcome says why.
            Action::Fail => {}
            // Counted with its own plan.
            Action::Copy | Action::Restamp => debug_assert_ne!(class, FileClass::Same),
        }
    }

    /// A directory that waited for its first entry is made after all, with those above it.
    fn note_copy_into(&mut self, path: &RelPath) {
        let mut path = path.clone();
        while let Some((dir, _)) = path.split_last() {
            if !self.deferred.remove(&dir) {
                return;
            }
            self.summary.dirs.skipped -= 1;
            self.summary.dirs.add(Column::Copied, 1);
            path = dir;
        }
    }

    /// Takes an entry that only the destination has.
    pub(super) fn extra(&mut self, under: &RelPath, extra: ExtraEntry, tell: Tell<'_>) {
        self.summary.conflicts += u64::from(extra.conflict);
        let counts = match extra.kept {
            // Left out of the job: named in the report, and neither extra nor missing.
            Some(Kept::Named | Kept::Mount) => false,
            Some(Kept::HoldsKept | Kept::NotIncluded | Kept::Conflict | Kept::Unreadable)
            | None => true,
        };
        if counts && extra.is_dir {
            self.summary.dirs.add(Column::Extras, 1);
        } else if counts {
            self.summary.add_file(Column::Extras, extra.size_bytes);
        }
        // The mark stands at this directory if it was the last to be told before the link was lost.
        if !self.told.covers(under) || self.told.mark.as_ref() == Some(under) {
            tell(ReportEvent::Extra(extra));
        }
    }

    /// Takes what became of an entry. `sent_before` are bytes that earlier attempts sent for it.
    pub(super) fn outcome(
        &mut self,
        offer: &Offer,
        outcome: &Outcome,
        sent_before: u64,
        tell: Tell<'_>,
    ) {
        let Some(scanned) = offer.scanned.entries.get(outcome.entry.index as usize) else { return };
        let Ok(path) = offer.scanned.path.join(&scanned.entry.name) else { return };
        let size_bytes = scanned.entry.meta.size_bytes;
        self.told.unfinished.remove(&path);
        match &outcome.result {
            OutcomeResult::Done(origins) => {
                self.retried.remove(&outcome.entry);
                self.summary.add_file(Column::Copied, size_bytes);
                self.summary.reused_bytes += origins.reused_bytes;
                self.summary.resumed_bytes += origins.resumed_bytes;
                // What an earlier attempt sent and this one could not resume went over the link again.
                let resent = sent_before.saturating_sub(origins.resumed_bytes);
                self.summary.resent_bytes += resent.min(origins.literal_bytes);
                tell(ReportEvent::Copied { path, size_bytes });
            }
            OutcomeResult::Failed(failure) => {
                if scanned.entry.kind == Kind::Directory {
                    self.summary.dirs.add(Column::Failed, 1);
                } else {
                    self.summary.add_file(Column::Failed, size_bytes);
                }
                let retries_exhausted = self.retried.remove(&outcome.entry);
                let failure = failure.clone();
                tell(ReportEvent::Error { failure, path, retries_exhausted });
            }
        }
    }

    /// Notes that an entry will be tried again.
    pub(super) fn retrying(&mut self, entry: EntryId) {
        self.retried.insert(entry);
    }

    /// Takes what became of a deletion.
    pub(super) fn removal(&mut self, removal: Removal, tell: Tell<'_>) {
        match &removal.failure {
            None => self.summary.deleted += 1,
            Some(_) => self.summary.other_failures += 1,
        }
        tell(ReportEvent::Removed(removal));
    }

    /// Something failed that stands in no row of the summary.
    pub(super) fn other_failure(&mut self, failure: &Failure, path: &RelPath, tell: Tell<'_>) {
        self.summary.other_failures += 1;
        tell(error(failure, path));
    }

    /// Takes the end of the job.
    pub(super) fn done(&mut self, done: &JobDone, tell: Tell<'_>) {
        if let Some(guard) = &done.guard {
            self.held_back = true;
            tell(ReportEvent::Fatal(guard.clone()));
        }
        if done.protected_dirs > 0 {
            tell(ReportEvent::Notice(format!(
                "directories in which nothing was deleted, because they could not be read or copied in full: {}",
                done.protected_dirs
            )));
        }
    }
}

fn error(failure: &Failure, path: &RelPath) -> ReportEvent {
    ReportEvent::Error { failure: failure.clone(), path: path.clone(), retries_exhausted: false }
}

/// Joins the counts of two attempts of one job: what the first copied stood there for the second, which took it for the same.
pub(super) fn join(before: Summary, mut after: Summary) -> Summary {
    for (before, after) in [
        (before.dirs, &mut after.dirs),
        (before.files, &mut after.files),
        (before.bytes, &mut after.bytes),
    ] {
        after.skipped = after.skipped.saturating_sub(before.copied);
        after.copied += before.copied;
    }
    after.deleted += before.deleted;
    after.other_failures += before.other_failures;
    after.reused_bytes += before.reused_bytes;
    after.resumed_bytes += before.resumed_bytes;
    after.resent_bytes += before.resent_bytes;
    after
}
