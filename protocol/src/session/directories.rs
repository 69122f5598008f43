//! Listings, plans and outcomes in step: what is listed and not settled yet.

use std::collections::VecDeque;

use super::Violation;
use crate::limits::{
    DIRECTORY_BYTES_MAX, DIRECTORY_ENTRIES_MAX, UNSETTLED_BYTES_MAX, UNSETTLED_ENTRIES_MAX,
    UNSETTLED_RECORD_BYTES,
};
use crate::message::{Extras, JobDone, Listing, ListingState, Outcomes, Plan, ScanEnd};
use crate::meta::{DirId, Entry, EntryId, Kind};
use crate::path::{Name, RelPath};
use crate::verdict::{Action, OutcomeResult};

/// What a part of a listing counts for until its directory is settled.
///
/// A directory may be listed beyond the window while all directories before it are settled: a large one could not be
/// listed otherwise, since nothing is planned, and so nothing settled, before its listing is complete.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ListingCost {
    /// Entries, and one for the directory itself with its first part.
    pub entries: usize,
    /// Bytes of names and link texts, of the path and attributes with the first part, and
    /// [`UNSETTLED_RECORD_BYTES`] for each of `entries`.
    pub bytes: usize,
}

impl ListingCost {
    /// What `part` costs; `is_first` when no part of that directory came before.
    pub fn of(part: &Listing, is_first: bool) -> Self {
        let mut cost: Self = part.entries.iter().map(Self::of_entry).sum();
        if is_first {
            let attributes = part.attributes.iter();
            cost.entries += 1;
            cost.bytes += UNSETTLED_RECORD_BYTES + part.path.as_bytes().len();
            cost.bytes += attributes.map(|a| a.name.len() + a.value.len()).sum::<usize>();
        }
        cost
    }

    /// What one entry costs.
    pub fn of_entry(entry: &Entry) -> Self {
        Self { entries: 1, bytes: entry.listed_bytes() }
    }

    /// Whether a credit of `self` is enough for `cost`.
    pub fn covers(self, cost: Self) -> bool {
        cost.entries <= self.entries && cost.bytes <= self.bytes
    }
}

impl std::iter::Sum for ListingCost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), |sum, cost| Self {
            entries: sum.entries + cost.entries,
            bytes: sum.bytes + cost.bytes,
        })
    }
}

/// The directories that are listed and not settled, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Directories {
    unsettled: VecDeque<Directory>,
    /// Number of the first of them; all before are settled.
    settled: u64,
    /// Number of the next directory to be planned.
    planned: u64,
    cost: ListingCost,
    /// Path and last name of the directory that was listed last.
    last_path: RelPath,
    last_name: Option<Name>,
}

#[derive(Clone, Debug)]
struct Directory {
    listing: Progress,
    plan: Progress,
    is_incomplete: bool,
    /// Entries whose plan demands an outcome that has not come.
    due: usize,
    /// Smallest index that the next verdict may have.
    next_verdict: u32,
    cost: ListingCost,
    flags: Vec<u8>,
    sizes: Vec<u64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Progress {
    Open,
    Complete,
}

/// A file that the sender does not leave out.
const FILE: u8 = 1;
/// The sender leaves it out.
const SKIPPED: u8 = 2;
/// Its plan demands an outcome.
const DUE: u8 = 4;
/// That outcome may be that it was copied.
const COPIES: u8 = 8;
/// That outcome may be that its content stays.
const STAYS: u8 = 16;
/// Its outcome came.
const DONE: u8 = 32;

impl Directories {
    fn next(&self) -> u64 {
        self.settled + self.unsettled.len() as u64
    }

    fn open_listing(&self) -> Option<&Directory> {
        self.unsettled.back().filter(|last| last.listing == Progress::Open)
    }

    /// What may be listed now.
    pub(super) fn credit(&self) -> ListingCost {
        match (self.unsettled.len(), self.open_listing()) {
            (0, _) => ListingCost { entries: DIRECTORY_ENTRIES_MAX, bytes: DIRECTORY_BYTES_MAX },
            (1, Some(open)) => ListingCost {
                entries: DIRECTORY_ENTRIES_MAX - open.flags.len(),
                bytes: DIRECTORY_BYTES_MAX - open.cost.bytes,
            },
            // A large directory may have gone beyond the window.
            _ => ListingCost {
                entries: UNSETTLED_ENTRIES_MAX.saturating_sub(self.cost.entries),
                bytes: UNSETTLED_BYTES_MAX.saturating_sub(self.cost.bytes),
            },
        }
    }

    pub(super) fn list(&mut self, part: &Listing) -> Result<(), Violation> {
        let broken =
            |rule: &str| Err(Violation::named("Listing", format!("{}: {rule}", part.path)));
        let is_first = self.open_listing().is_none();
        let cost = ListingCost::of(part, is_first);
        if !self.credit().covers(cost) {
            return broken("more is listed than is settled in time");
        }
        if is_first {
            if part.dir.0 != self.next() {
                return broken("the directory's number is not the next");
            }
            if !self.may_follow(&part.path) {
                return broken("the directory does not follow the one before it");
            }
            self.last_path = part.path.clone();
            self.last_name = None;
            self.unsettled.push_back(Directory::new());
        } else {
            if part.dir.0 != self.next() - 1 || part.path != self.last_path {
                return broken("the directory before it is not listed to its end");
            }
            if !part.attributes.is_empty() {
                return broken("attributes after the first part");
            }
        }
        if let (Some(last), Some(first)) = (&self.last_name, part.entries.first())
            && first.name <= *last
        {
            return broken("names do not ascend over its parts");
        }
        if let Some(last) = part.entries.last() {
            self.last_name = Some(last.name.clone());
        }
        let directory = self.unsettled.back_mut().expect("it was there or pushed above");
        if directory.flags.len() + part.entries.len() > DIRECTORY_ENTRIES_MAX {
            return broken("more entries than a directory may have");
        }
        directory.add(part, cost);
        self.cost = [self.cost, cost].into_iter().sum();
        Ok(())
    }

    /// Whether a directory may be listed after the last one: it comes later in the order, and its parent was listed.
    fn may_follow(&self, path: &RelPath) -> bool {
        match path.split_last() {
            None => self.next() == 0,
            // In depth-first order the last directory's ancestors are the only ones that are not over.
            Some((parent, _)) => {
                self.next() > 0 && *path > self.last_path && self.last_path.is_at_or_below(&parent)
            }
        }
    }

    pub(super) fn end_scan(&self, end: &ScanEnd) -> Result<(), Violation> {
        let broken = |rule: String| Err(Violation::named("ScanEnd", rule));
        if self.open_listing().is_some() {
            return broken("a directory is not listed to its end".into());
        }
        if self.next() == 0 {
            return broken("the root was not listed".into());
        }
        if end.directories != self.next() {
            return broken(format!("{} directories were listed", self.next()));
        }
        Ok(())
    }

    pub(super) fn plan(&mut self, plan: &Plan, list_only: bool) -> Result<(), Violation> {
        let broken =
            |rule: &str| Err(Violation::named("Plan", format!("directory {}: {rule}", plan.dir.0)));
        if plan.dir.0 != self.planned {
            return broken("not the next to be planned");
        }
        let Some(directory) = self.listed_mut(plan.dir) else {
            return broken("not listed to its end");
        };
        for verdict in &plan.verdicts {
            let Some(flags) = directory.flags.get_mut(verdict.index as usize) else {
                return broken("a verdict on an entry that is not there");
            };
            if verdict.index < directory.next_verdict {
                return broken("verdicts do not ascend over its parts");
            }
            if *flags & SKIPPED != 0 {
                return broken("a verdict on an entry that the sender leaves out");
            }
            directory.next_verdict = verdict.index + 1;
            match verdict.action {
                Action::Check => *flags |= DUE | COPIES | STAYS,
                // What would be done has no outcome, unless it has to be found out.
                _ if list_only => continue,
                Action::Copy | Action::Restamp => *flags |= DUE | COPIES,
                Action::Fix => *flags |= DUE | STAYS,
                Action::Fail => *flags |= DUE,
                Action::Skip | Action::SkipConflict | Action::Mismatch => continue,
            }
            directory.due += 1;
        }
        if plan.last {
            directory.plan = Progress::Complete;
            self.planned += 1;
        }
        Ok(())
    }

    pub(super) fn extras(&self, extras: &Extras) -> Result<(), Violation> {
        let broken = |rule: &str| {
            Err(Violation::named("Extras", format!("directory {}: {rule}", extras.dir.0)))
        };
        match self.get(extras.dir) {
            Some(directory) if directory.plan == Progress::Open => broken("not planned"),
            Some(directory) if directory.is_incomplete && !extras.entries.is_empty() => {
                broken("what it lacks is not known, it was not read in full")
            }
            Some(_) => Ok(()),
            None => broken("not listed, or settled"),
        }
    }

    /// The size of a file, if the agent may want its content.
    pub(super) fn wanted_size(&self, entry: EntryId) -> Result<u64, Violation> {
        let broken = |rule: &str| Err(Violation::named("Want", format!("{}: {rule}", show(entry))));
        let listed = self.get(entry.dir).filter(|dir| dir.listing == Progress::Complete);
        let Some((directory, flags)) = listed.and_then(|dir| Some((dir, dir.flag(entry)?))) else {
            return broken("not listed, or settled");
        };
        if flags & FILE == 0 {
            return broken("not a file that the sender offers");
        }
        if flags & DONE != 0 {
            return broken("done with");
        }
        Ok(directory.sizes[entry.index as usize])
    }

    pub(super) fn retrying(&self, entry: EntryId) -> Result<(), Violation> {
        if self
            .get(entry.dir)
            .and_then(|dir| dir.flag(entry))
            .is_some_and(|flags| flags & DONE == 0)
        {
            return Ok(());
        }
        Err(Violation::named("Retrying", format!("{}: not listed, or done with", show(entry))))
    }

    pub(super) fn settle(&mut self, outcomes: &Outcomes) -> Result<(), Violation> {
        let broken = |rule: String| Err(Violation::named("Outcomes", rule));
        for outcome in &outcomes.entries {
            let at = outcome.entry;
            let needed = match &outcome.result {
                OutcomeResult::Done(_) => DUE | COPIES,
                OutcomeResult::Unchanged => DUE | STAYS,
                OutcomeResult::Failed(_) => DUE,
            };
            let directory = self.listed_mut(at.dir);
            let flags = directory
                .and_then(|dir| Some((&mut dir.due, dir.flags.get_mut(at.index as usize)?)));
            match flags {
                Some((due, flags)) if *flags & needed == needed => {
                    *flags = (*flags & !DUE) | DONE;
                    *due -= 1;
                }
                _ => return broken(format!("{}: no such outcome is due", show(at))),
            }
        }
        if outcomes.settled.0 < self.settled || outcomes.settled.0 > self.planned {
            return broken(format!(
                "settled before directory {}: out of range",
                outcomes.settled.0
            ));
        }
        while self.settled < outcomes.settled.0 {
            let Some(directory) = self.unsettled.front().filter(|dir| dir.due == 0) else {
                return broken(format!("directory {}: settled, with outcomes due", self.settled));
            };
            self.cost.entries -= directory.cost.entries;
            self.cost.bytes -= directory.cost.bytes;
            self.unsettled.pop_front();
            self.settled += 1;
        }
        Ok(())
    }

    pub(super) fn finish(&self, done: &JobDone) -> Result<(), Violation> {
        if !self.unsettled.is_empty() {
            return Err(Violation::named("JobDone", "directories are not settled"));
        }
        if done.directories.0 != self.settled - 1 {
            let rule = format!("the last directory is {}", self.settled - 1);
            return Err(Violation::named("JobDone", rule));
        }
        Ok(())
    }

    fn get(&self, dir: DirId) -> Option<&Directory> {
        let at = dir.0.checked_sub(self.settled)?;
        self.unsettled.get(usize::try_from(at).ok()?)
    }

    fn listed_mut(&mut self, dir: DirId) -> Option<&mut Directory> {
        let at = dir.0.checked_sub(self.settled)?;
        let directory = self.unsettled.get_mut(usize::try_from(at).ok()?)?;
        Some(directory).filter(|directory| directory.listing == Progress::Complete)
    }
}

impl Directory {
    fn new() -> Self {
        Self {
            listing: Progress::Open,
            plan: Progress::Open,
            is_incomplete: false,
            due: 0,
            next_verdict: 0,
            cost: ListingCost::default(),
            flags: Vec::new(),
            sizes: Vec::new(),
        }
    }

    fn add(&mut self, part: &Listing, cost: ListingCost) {
        self.cost = [self.cost, cost].into_iter().sum();
        self.flags.extend(part.entries.iter().map(|entry| match (&entry.kind, entry.skip) {
            (_, Some(_)) => SKIPPED,
            (Kind::File, None) => FILE,
            (Kind::Directory | Kind::Link { .. } | Kind::HardLink { .. } | Kind::Special, None) => {
                0
            }
        }));
        self.sizes.extend(part.entries.iter().map(|entry| entry.meta.size_bytes));
        self.listing = match part.state {
            ListingState::More => Progress::Open,
            ListingState::Complete | ListingState::Incomplete(_) => Progress::Complete,
        };
        self.is_incomplete = matches!(part.state, ListingState::Incomplete(_));
    }

    fn flag(&self, entry: EntryId) -> Option<u8> {
        self.flags.get(entry.index as usize).copied()
    }
}

fn show(entry: EntryId) -> String {
    format!("directory {} entry {}", entry.dir.0, entry.index)
}
