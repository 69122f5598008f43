//! How far a job is, counted by all threads, shown by one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

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
    /// Bytes sent for files that are not done with.
    sent: HashMap<EntryId, u64>,
    literal_bytes: u64,
}

#[derive(Debug)]
struct Current {
    path: RelPath,
    size_bytes: u64,
    sent_bytes: u64,
}

impl Meter {
    /// A file or link is to be copied.
    pub(super) fn planned(&self, size_bytes: u64) {
        let mut counts = self.lock();
        counts.files_total += 1;
        counts.bytes_total += size_bytes;
    }

    pub(super) fn begin_file(&self, want: WantId, file: &OfferedFile) {
        let current =
            Current { path: file.path.clone(), size_bytes: file.meta.size_bytes, sent_bytes: 0 };
        self.lock().current.insert(want, current);
    }

    /// Content of a file left.
    pub(super) fn sent(&self, want: WantId, entry: EntryId, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let mut counts = self.lock();
        counts.literal_bytes += bytes;
        counts.bytes_under_way += bytes;
        *counts.sent.entry(entry).or_default() += bytes;
        if let Some(current) = counts.current.get_mut(&want) {
            current.sent_bytes += bytes;
        }
    }

    pub(super) fn end_file(&self, want: WantId) {
        self.lock().current.remove(&want);
    }

    /// An entry is done with, one way or the other. Returns the bytes that were sent for it.
    pub(super) fn done(&self, entry: EntryId, size_bytes: u64) -> u64 {
        let mut counts = self.lock();
        let sent = counts.sent.remove(&entry).unwrap_or(0);
        counts.bytes_under_way = counts.bytes_under_way.saturating_sub(sent);
        counts.files_done += 1;
        counts.bytes_done += size_bytes;
        sent
    }

    pub(super) fn scan_ended(&self) {
        self.lock().scan_ended = true;
    }

    /// Bytes of content that left.
    pub(super) fn literal_bytes(&self) -> u64 {
        self.lock().literal_bytes
    }

    /// Bytes sent for each entry that is not done with.
    pub(super) fn unfinished(&self) -> Vec<(EntryId, u64)> {
        self.lock().sent.iter().map(|(entry, bytes)| (*entry, *bytes)).collect()
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
