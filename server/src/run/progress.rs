//! How far a job is, counted by all threads, shown by one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use quicopy_engine::send::Lacking;
use quicopy_engine::source::OfferedFile;
use quicopy_protocol::meta::{EntryId, WantId};
use quicopy_protocol::path::RelPath;

use crate::report::{CurrentFile, Progress};

/// Files that are shown as on their way.
const SHOWN_MAX: usize = 4;

/// Counts what is sent, and what is done.
#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    scan_ended: bool,
    files_total: u64,
    files_done: u64,
    bytes_total: u64,
    /// Sizes of files that are done with.
    bytes_done: u64,
    /// Bytes of files that are on their way.
    bytes_under_way: u64,
    current: BTreeMap<WantId, Current>,
    /// Files that are not done with.
    unfinished: HashMap<EntryId, Share>,
    literal_bytes: u64,
}

/// What there is of a file that is not done with.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Share {
    /// Bytes sent for it.
    pub(super) sent_bytes: u64,
    /// Bytes that the agent had of it already: the chunks that were listed and that it did not lack.
    pub(super) held_bytes: u64,
}

#[derive(Debug)]
struct Current {
    entry: EntryId,
    path: RelPath,
    size_bytes: u64,
    sent_bytes: u64,
    /// Lengths of the chunks that were listed and are not answered.
    listed: VecDeque<u32>,
    /// How many chunks are answered.
    answered: u32,
}

impl Current {
    /// Takes an answer, and says how many bytes of its chunks the agent has.
    fn answer(&mut self, answer: &Lacking) -> u64 {
        let lacks = |index: u32| {
            answer.runs.iter().any(|&(first, count)| index.wrapping_sub(first) < count)
        };
        let mut held_bytes = 0;
        while self.answered < answer.answered
            && let Some(length) = self.listed.pop_front()
        {
            if !lacks(self.answered) {
                held_bytes += u64::from(length);
            }
            self.answered += 1;
        }
        held_bytes
    }
}

impl Meter {
    /// A file or link is to be copied.
    pub(super) fn planned(&self, size_bytes: u64) {
        let mut counts = self.lock();
        counts.files_total += 1;
        counts.bytes_total += size_bytes;
    }

    pub(super) fn begin_file(&self, want: WantId, entry: EntryId, file: &OfferedFile) {
        let current = Current {
            entry,
            path: file.path.clone(),
            size_bytes: file.meta.size_bytes,
            sent_bytes: 0,
            listed: VecDeque::new(),
            answered: 0,
        };
        let mut counts = self.lock();
        counts.current.insert(want, current);
        // A file that is asked for again is listed again from its beginning.
        counts.unfinished.entry(entry).or_default().held_bytes = 0;
    }

    /// Chunks of a file are listed, these many bytes each.
    pub(super) fn listed(&self, want: WantId, lengths: impl Iterator<Item = u32>) {
        if let Some(current) = self.lock().current.get_mut(&want) {
            current.listed.extend(lengths);
        }
    }

    /// The agent says what it lacks of the chunks that were listed.
    pub(super) fn answered(&self, want: WantId, answer: &Lacking) {
        let counts = &mut *self.lock();
        if let Some(current) = counts.current.get_mut(&want) {
            let held_bytes = current.answer(answer);
            counts.unfinished.entry(current.entry).or_default().held_bytes += held_bytes;
        }
    }

    /// Content of a file left.
    pub(super) fn sent(&self, want: WantId, entry: EntryId, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let mut counts = self.lock();
        counts.literal_bytes += bytes;
        counts.bytes_under_way += bytes;
        counts.unfinished.entry(entry).or_default().sent_bytes += bytes;
        if let Some(current) = counts.current.get_mut(&want) {
            current.sent_bytes += bytes;
        }
    }

    pub(super) fn end_file(&self, want: WantId) {
        self.lock().current.remove(&want);
    }

    /// An entry is done with, one way or the other.
    pub(super) fn done(&self, entry: EntryId, size_bytes: u64) {
        let mut counts = self.lock();
        let share = counts.unfinished.remove(&entry).unwrap_or_default();
        counts.bytes_under_way = counts.bytes_under_way.saturating_sub(share.sent_bytes);
        counts.files_done += 1;
        counts.bytes_done += size_bytes;
    }

    pub(super) fn scan_ended(&self) {
        self.lock().scan_ended = true;
    }

    /// Bytes of content that left.
    pub(super) fn literal_bytes(&self) -> u64 {
        self.lock().literal_bytes
    }

    /// What there is of each file that is not done with.
    pub(super) fn unfinished(&self) -> Vec<(EntryId, Share)> {
        self.lock().unfinished.iter().map(|(entry, share)| (*entry, *share)).collect()
    }

    /// Whether files were begun of which nothing has been heard since.
    pub(super) fn awaits_outcomes(&self) -> bool {
        !self.lock().unfinished.is_empty()
    }

    pub(super) fn snapshot(&self) -> Progress {
        let counts = self.lock();
        let shown = counts.current.values().take(SHOWN_MAX).map(|current| CurrentFile {
            path: current.path.clone(),
            bytes_done: current.sent_bytes.min(current.size_bytes),
            size_bytes: current.size_bytes,
        });
        Progress {
            scanning: !counts.scan_ended,
            files_done: counts.files_done,
            files_total: counts.files_total,
            bytes_done: (counts.bytes_done + counts.bytes_under_way).min(counts.bytes_total),
            bytes_total: counts.bytes_total,
            current: shown.collect(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use quicopy_protocol::meta::DirId;

    use super::*;

    #[test]
    fn what_the_agent_does_not_lack_of_the_listed_chunks_it_holds() {
        let mut current = Current {
            entry: EntryId { dir: DirId(0), index: 0 },
            path: RelPath::ROOT,
            size_bytes: 1111,
            sent_bytes: 0,
            listed: VecDeque::from([1, 10, 100]),
            answered: 0,
        };
        assert_eq!(current.answer(&Lacking { runs: vec![(1, 1)], answered: 2 }), 1);
        current.listed.push_back(1000);
        assert_eq!(current.answer(&Lacking { runs: vec![(3, 7)], answered: 4 }), 100);
        // More than was listed: the session lets no such answer pass.
        assert_eq!(current.answer(&Lacking { runs: vec![], answered: 9 }), 0);
    }
}
