//! Overwrites of files that are newer at the destination: held back until it is known that they are not most of all.

use quicopy_protocol::limits::{UNSETTLED_BYTES_MAX, UNSETTLED_ENTRIES_MAX};
use quicopy_protocol::meta::Entry;
use quicopy_protocol::verdict::{Action, FileClass, Verdict};

use super::work::{Task, Work};
use crate::fault::ACCESS_DENIED;
use crate::purge::{DefaultLimit, Overwrites, Ruling, wrong_way_round};

/// Holds back what would overwrite a newer file.
///
/// A sender lists no more than a window beyond the first directory that is not settled, and one with something held back is
/// not. So when half of that window is full, what is held back is judged by what is known so far. In a tree that fits the
/// window, which is 65,536 entries, nothing is overwritten before all is known; in a larger one no more than what was not most
/// of all until then. Once the answer is no, it is no for the rest of the job.
#[derive(Debug)]
pub(super) struct HeldBack {
    force: bool,
    limit: DefaultLimit,
    overwrites: Overwrites,
    works: Vec<Work>,
    /// What was listed since the first of them.
    entries: usize,
    bytes: usize,
    refused: Option<String>,
}

/// What an entry says that is not overwritten.
const REFUSED: &str = "newer at the destination, and held back by D8: source and destination may be the wrong way round; /FORCE overwrites";

impl HeldBack {
    /// `limit` is the destination's default for deletions: where a person sits before the job there is a warning, no more.
    pub(super) fn new(force: bool, limit: DefaultLimit) -> Self {
        let limit = match limit {
            DefaultLimit::Off | DefaultLimit::Warn => DefaultLimit::Warn,
            DefaultLimit::Refuse => DefaultLimit::Refuse,
        };
        Self {
            force,
            limit,
            overwrites: Overwrites::default(),
            works: Vec::new(),
            entries: 0,
            bytes: 0,
            refused: None,
        }
    }

    /// Counts a directory's verdicts, which ascend, and takes out of its work what is held back.
    pub(super) fn sift(&mut self, verdicts: &[Verdict], works: Vec<Work>) -> Vec<Work> {
        for verdict in verdicts.iter().filter(|verdict| verdict.action == Action::Copy) {
            match verdict.class {
                FileClass::Lonely | FileClass::Mismatched => continue,
                FileClass::Older => self.overwrites.older += 1,
                FileClass::Changed
                | FileClass::Modified
                | FileClass::Newer
                | FileClass::Same
                | FileClass::Tweaked => {}
            }
            self.overwrites.all += 1;
        }
        if self.force || self.limit != DefaultLimit::Refuse {
            return works;
        }
        let is_older = |work: &Work| {
            let at = verdicts.binary_search_by_key(&work.id.index, |verdict| verdict.index);
            let class = at.ok().map(|at| verdicts[at].class);
            class == Some(FileClass::Older) && matches!(work.task, Task::Copy(_))
        };
        let (older, mut rest): (Vec<_>, Vec<_>) = works.into_iter().partition(is_older);
        match self.refused {
            Some(_) => rest.extend(older.into_iter().map(refuse)),
            None => self.works.extend(older),
        }
        rest
    }

    /// Notes what was listed. Returns what need not, or must not, be held back any longer.
    pub(super) fn note_listed(&mut self, entries: &[Entry]) -> Vec<Work> {
        if self.works.is_empty() {
            (self.entries, self.bytes) = (0, 0);
        }
        self.entries += 1 + entries.len();
        self.bytes += entries.iter().map(Entry::listed_bytes).sum::<usize>();
        let is_over =
            self.entries >= UNSETTLED_ENTRIES_MAX / 2 || self.bytes >= UNSETTLED_BYTES_MAX / 2;
        if is_over && !self.works.is_empty() { self.judge() } else { Vec::new() }
    }

    /// Everything is listed: returns what was held back, to be carried out or to fail.
    pub(super) fn judge(&mut self) -> Vec<Work> {
        if let Ruling::Refuse(text) = self.ruling() {
            self.refused = Some(text);
        }
        let works = std::mem::take(&mut self.works);
        match self.refused {
            Some(_) => works.into_iter().map(refuse).collect(),
            None => works,
        }
    }

    /// What is said of it in the end.
    pub(super) fn ruling(&self) -> Ruling {
        match &self.refused {
            Some(text) => Ruling::Refuse(text.clone()),
            None => wrong_way_round(self.overwrites, self.force, self.limit),
        }
    }
}

fn refuse(work: Work) -> Work {
    Work { task: Task::refuse(ACCESS_DENIED, REFUSED), ..work }
}
