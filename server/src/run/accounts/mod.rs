//! From what the agent says to what the report shows: one attempt's events and counts.

mod directory;
mod making;
#[cfg(test)]
mod tests;
mod told;

use std::collections::{HashMap, HashSet};

use quicopy_engine::filter::Filter;
use quicopy_protocol::code::Failure;
use quicopy_protocol::message::{JobDone, JobOpened, Outcome, Plan};
use quicopy_protocol::meta::{DirId, Entry, EntryId, Kind};
use quicopy_protocol::options::JobPolicy;
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::{
    Action, DirState, ExtraEntry, FileClass, Origins, OutcomeResult, Removal, Verdict,
};

use super::counted::Counted;
use super::offers::Offer;
use crate::report::{Column, DirectoryClass, FileVerdict, ReportEvent};
use making::Making;
pub(super) use told::Told;
use told::Wished;

/// Takes the events of an attempt.
pub(super) type Tell<'a> = &'a mut dyn FnMut(ReportEvent);

/// An entry whose content may stay.
#[derive(Clone, Copy, Debug)]
struct Pending {
    verdict: Verdict,
    /// Whether an earlier attempt has told of its directory.
    known: bool,
}

/// Counts one attempt.
pub(super) struct Accounts {
    counted: Counted,
    filter: Filter,
    policy: JobPolicy,
    told: Told,
    /// The directory whose plan has begun and not ended.
    in_plan: Option<DirId>,
    /// What an earlier attempt began to copy there and this plan has not named yet.
    earlier: (RelPath, Wished),
    making: Making,
    /// Entries whose content may stay: what becomes of them decides what is told.
    pending: HashMap<EntryId, Pending>,
    /// Entries that were tried again.
    retried: HashSet<EntryId>,
}

impl Accounts {
    pub(super) fn new(filter: Filter, policy: &JobPolicy, told: Told) -> Self {
        Self {
            counted: Counted::default(),
            filter,
            policy: policy.clone(),
            told,
            in_plan: None,
            earlier: Default::default(),
            making: Making::default(),
            pending: HashMap::new(),
            retried: HashSet::new(),
        }
    }

    /// What was counted, and what the next attempt need not tell again.
    pub(super) fn finish(mut self) -> (Counted, Told) {
        let (dir, earlier) = self.earlier;
        if !earlier.is_empty() {
            self.told.unfinished.entry(dir).or_default().extend(earlier);
        }
        // Whether these were made, the next attempt sees.
        if !self.policy.list_only {
            let begun = self.making.into_begun();
            self.counted.summary.dirs.copied -= begun.len() as u64;
            self.counted.summary.dirs.skipped += begun.len() as u64;
            self.told.begun.extend(begun);
        }
        (self.counted, self.told)
    }

    /// Takes what the agent says of itself, and tells what the report should say of that, once.
    pub(super) fn opened(&mut self, opened: &JobOpened, tell: Tell<'_>) {
        for notice in self.told.opened(opened, self.policy.list_only) {
            tell(ReportEvent::Notice(notice.to_owned()));
        }
    }

    /// Takes a part of a directory's plan. Calls `planned` with the size of each file and link of which an outcome is to come.
    ///
    /// Returns what an earlier attempt began to copy and is in place now: only the word of it was lost with the link.
    pub(super) fn plan(
        &mut self,
        offer: &Offer,
        plan: &Plan,
        planned: &mut dyn FnMut(u64),
        tell: Tell<'_>,
    ) -> Vec<RelPath> {
        let dir = &offer.scanned.path;
        let known = self.told.covers(dir);
        if self.in_plan.replace(plan.dir) != Some(plan.dir) {
            self.earlier = self.told.unfinished.remove_entry(dir).unwrap_or_default();
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
            if self.owes_outcome(verdict.action) {
                let id = EntryId { dir: plan.dir, index: verdict.index };
                self.pending.insert(id, Pending { verdict: *verdict, known });
            }
            self.verdict(&scanned.entry, verdict, path, known, planned, tell);
        }
        self.counted.summary.files.add(Column::Skipped, plan.same.entries);
        self.counted.summary.bytes.add(Column::Skipped, plan.same.bytes);
        if !plan.last {
            return Vec::new();
        }
        self.in_plan = None;
        if !known {
            self.told.mark = Some(dir.clone());
        }
        let (_, earlier) = std::mem::take(&mut self.earlier);
        match plan.state {
            DirState::Existing => self.found_in_place(offer, earlier, tell),
            DirState::New | DirState::Deferred | DirState::Avoided | DirState::Failed(_) => {
                Vec::new()
            }
        }
    }

    /// Counts as copied what the plan took for the same.
    fn found_in_place(&mut self, offer: &Offer, earlier: Wished, tell: Tell<'_>) -> Vec<RelPath> {
        let scanned = &offer.scanned;
        let mut found = Vec::new();
        for (name, conflict) in earlier {
            // What is no longer at the source counts nowhere.
            let Ok(at) = scanned.entries.binary_search_by(|other| other.entry.name.cmp(&name))
            else {
                continue;
            };
            let entry = &scanned.entries[at].entry;
            let takes_part = is_file(&entry.kind) && entry.skip.is_none();
            let (true, Ok(path)) = (takes_part, scanned.path.join(&name)) else { continue };
            let size_bytes = entry.meta.size_bytes;
            self.counted.skipped_is_copied(size_bytes);
            self.counted.conflicts.overwritten += u64::from(conflict);
            tell(ReportEvent::Copied { path: path.clone(), size_bytes });
            found.push(path);
        }
        found
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
        let travels = matches!(action, Action::Copy | Action::Restamp | Action::Fail)
            && entry.kind != Kind::Directory
            && !self.policy.list_only;
        if !travels {
            self.counted.conflicts.left += u64::from(conflict);
        }
        if entry.kind == Kind::Directory {
            self.directory_verdict(class, action, path, known, tell);
            return;
        }
        let is_begun = match (class, action) {
            // Its plan's end tells whether it was being copied.
            (FileClass::Same, Action::Skip) => false,
            _ => self.earlier.1.remove(&entry.name).is_some(),
        };
        let is_told = match action {
            Action::Copy | Action::Restamp | Action::Fail => {
                if self.policy.list_only {
                    let column =
                        if action == Action::Fail { Column::Failed } else { Column::Copied };
                    self.counted.summary.add_file(column, size_bytes);
                } else {
                    planned(size_bytes);
                }
                let made = self.making.copy_into(&path);
                self.counted.summary.dirs.skipped -= made;
                self.counted.summary.dirs.add(Column::Copied, made);
                // What is the same is copied again with each attempt under `/IS`.
                !(is_begun || known && class == FileClass::Same)
            }
            Action::Skip | Action::SkipConflict => {
                self.counted.summary.add_file(Column::Skipped, size_bytes);
                !known
            }
            Action::Mismatch => {
                self.counted.summary.add_file(Column::Mismatched, size_bytes);
                !known
            }
            Action::Check | Action::Fix if self.owes_outcome(action) => {
                planned(size_bytes);
                false
            }
            Action::Check | Action::Fix => {
                self.counted.summary.add_file(Column::Skipped, size_bytes);
                !known
            }
        };
        if travels && let Some((dir, name)) = path.split_last() {
            self.told.unfinished.entry(dir).or_default().insert(name, conflict);
        }
        if is_told {
            tell(ReportEvent::File(FileVerdict::of(entry, path, class, action, conflict)));
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
                self.counted.summary.dirs.add(Column::Mismatched, 1);
                if !known {
                    tell(ReportEvent::Directory {
                        path,
                        class: DirectoryClass::Mismatched,
                        files: 0,
                    });
                }
            }
            Action::Skip | Action::SkipConflict | Action::Check | Action::Fix => {
                self.counted.summary.dirs.add(Column::Skipped, 1)
            }
            Action::Fail if self.policy.list_only => {
                self.counted.summary.dirs.add(Column::Failed, 1)
            }
            // Its outcome says why.
            Action::Fail => {}
            // Counted with its own plan.
            Action::Copy | Action::Restamp => debug_assert_ne!(class, FileClass::Same),
        }
    }

    /// Takes an entry that only the destination has.
    pub(super) fn extra(&mut self, under: &RelPath, extra: ExtraEntry, tell: Tell<'_>) {
        self.counted.conflicts.extra += u64::from(extra.conflict);
        let counts = !extra.is_left_out();
        if counts && extra.is_dir {
            self.counted.summary.dirs.add(Column::Extras, 1);
        } else if counts {
            self.counted.summary.add_file(Column::Extras, extra.size_bytes);
        }
        // The mark stands at this directory if it was the last to be told before the link was lost.
        if !self.told.covers(under) || self.told.mark.as_ref() == Some(under) {
            tell(ReportEvent::Extra(extra));
        }
    }

    /// Whether an entry's content may stay, and only its outcome will tell. With `/L` nothing is fixed, so nothing comes of that.
    fn owes_outcome(&self, action: Action) -> bool {
        match action {
            Action::Check => true,
            Action::Fix => !self.policy.list_only,
            Action::Copy
            | Action::Restamp
            | Action::Skip
            | Action::SkipConflict
            | Action::Mismatch
            | Action::Fail => false,
        }
    }

    /// Tells of an entry whose class, or whose treatment, only its outcome showed.
    fn came_out(
        entry: &Entry,
        path: RelPath,
        pending: Pending,
        result: &OutcomeResult,
        tell: Tell<'_>,
    ) {
        let Pending { verdict: Verdict { class, action, conflict, .. }, known } = pending;
        let (class, action) = match (action, result) {
            // An earlier attempt has found the same.
            (Action::Check, OutcomeResult::Unchanged) | (Action::Restamp, _) if known => return,
            (Action::Check, OutcomeResult::Unchanged) => (class, Action::Skip),
            (Action::Check, OutcomeResult::Done(_)) => (FileClass::Modified, Action::Copy),
            (Action::Check, OutcomeResult::Failed(_)) => (class, Action::Fail),
            (action, _) => (class, action),
        };
        let conflict = conflict && action != Action::Skip;
        tell(ReportEvent::File(FileVerdict::of(entry, path, class, action, conflict)));
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
        let conflict = u64::from(self.told.finish(&offer.scanned.path, &scanned.entry.name));
        let mut checked_conflict = 0;
        let mut result = &outcome.result;
        let restamped = OutcomeResult::Done(Origins::default());
        if let Some(mut pending) = self.pending.remove(&outcome.entry) {
            checked_conflict = u64::from(pending.verdict.conflict);
            let Verdict { class, action, .. } = &mut pending.verdict;
            let restamps = *action == Action::Check && self.policy.restamps(*class);
            if restamps && *result == OutcomeResult::Unchanged {
                // Its content is the same, and its attributes are set as of one that nobody compared.
                (*action, result) = (Action::Restamp, &restamped);
            }
            Self::came_out(&scanned.entry, path.clone(), pending, result, tell);
        }
        match result {
            OutcomeResult::Unchanged => {
                self.retried.remove(&outcome.entry);
                self.counted.conflicts.left += conflict;
                self.counted.summary.add_file(Column::Skipped, size_bytes);
            }
            OutcomeResult::Done(origins) => {
                self.retried.remove(&outcome.entry);
                self.making.copied_into(&offer.scanned.path);
                // Its plan left it.
                self.counted.conflicts.left -= checked_conflict;
                self.counted.conflicts.overwritten += conflict + checked_conflict;
                self.counted.summary.add_file(Column::Copied, size_bytes);
                self.counted.summary.reused_bytes += origins.reused_bytes;
                self.counted.summary.resumed_bytes += origins.resumed_bytes;
                // What an earlier attempt sent and this one could not resume went over the link again.
                let resent = sent_before.saturating_sub(origins.resumed_bytes);
                self.counted.summary.resent_bytes += resent.min(origins.literal_bytes);
                tell(ReportEvent::Copied { path, size_bytes });
            }
            OutcomeResult::Failed(failure) => {
                self.counted.conflicts.left += conflict;
                if scanned.entry.kind == Kind::Directory {
                    self.counted.summary.dirs.add(Column::Failed, 1);
                } else {
                    self.counted.summary.add_file(Column::Failed, size_bytes);
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
            None => self.counted.summary.deleted += 1,
            Some(_) => self.counted.removal_failures += 1,
        }
        tell(ReportEvent::Removed(removal));
    }

    /// Something failed that stands in no row of the summary.
    pub(super) fn other_failure(&mut self, failure: &Failure, path: &RelPath, tell: Tell<'_>) {
        self.counted.summary.other_failures += 1;
        tell(error(failure, path));
    }

    /// Takes the end of the job.
    pub(super) fn done(&self, done: &JobDone, tell: Tell<'_>) {
        if let Some(guard) = &done.guard {
            tell(ReportEvent::Fatal(guard.clone()));
        }
        if done.trashed > 0 {
            tell(ReportEvent::Notice(self.told.kept(done.trashed)));
        }
        if let Some(plan) = &done.plan {
            tell(ReportEvent::Notice(format!("Plan : {plan}")));
        }
        if done.protected_dirs > 0 {
            tell(ReportEvent::Notice(format!(
                "directories in which nothing was deleted, because they could not be read or copied in full: {}",
                done.protected_dirs
            )));
        }
    }
}

/// Whether an entry is counted among the files.
fn is_file(kind: &Kind) -> bool {
    match kind {
        Kind::File | Kind::Link { .. } | Kind::HardLink { .. } => true,
        Kind::Directory | Kind::Special => false,
    }
}

fn error(failure: &Failure, path: &RelPath) -> ReportEvent {
    ReportEvent::Error { failure: failure.clone(), path: path.clone(), retries_exhausted: false }
}
