//! The counts of a job: [`Summary`].

use std::ops::AddAssign;
use std::time::Duration;

/// What a job did, or with `/L` would have done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Directories. Copied are those that were made; skipped are those that were there, and those a filter left out.
    pub dirs: Counts,
    /// Files and links.
    pub files: Counts,
    /// Bytes of these files.
    pub bytes: Counts,
    /// Entries deleted at the destination.
    pub deleted: u64,
    /// Failures of what stands in no row: deletions, and the removal of moved sources.
    pub other_failures: u64,
    /// Entries that were changed at the destination since the last job wrote them.
    pub conflicts: u64,
    /// Bytes of content that travelled, once each.
    pub literal_bytes: u64,
    /// Bytes taken from what the destination had.
    pub reused_bytes: u64,
    /// Bytes that an earlier attempt or job had brought.
    pub resumed_bytes: u64,
    /// Bytes of content that travelled again after a lost link.
    pub resent_bytes: u64,
    /// Bytes put on the network, handshakes included; 0 for a local destination.
    pub wire_bytes_sent: u64,
    /// Bytes taken from the network, handshakes included; 0 for a local destination.
    pub wire_bytes_received: u64,
    /// Connections after the first.
    pub reconnects: u64,
    /// Where the time went.
    pub times: Times,
}

/// One row of the summary table.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Copied, or made.
    pub copied: u64,
    /// Left alone.
    pub skipped: u64,
    /// A file here and a directory there.
    pub mismatched: u64,
    /// Not copied after all retries.
    pub failed: u64,
    /// Only at the destination; not part of the total.
    pub extras: u64,
}

/// A column of the summary table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Column {
    /// Copied, or made.
    Copied,
    /// Left alone.
    Skipped,
    /// A file here and a directory there.
    Mismatched,
    /// Not copied after all retries.
    Failed,
    /// Only at the destination.
    Extras,
}

/// Where a job's time went.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Times {
    /// From start to end.
    pub total: Duration,
    /// In which content was on its way.
    pub copying: Duration,
    /// Spent between a failure and its retry.
    pub waiting: Duration,
    /// Everything else: scanning, comparing, deleting.
    pub other: Duration,
    /// In which the link was silent, or was waited for after it had been lost. Part of the other times.
    pub lost: Duration,
}

impl Counts {
    /// All that the source has.
    pub fn total(&self) -> u64 {
        self.copied + self.skipped + self.mismatched + self.failed
    }

    /// Counts `amount` more in a column.
    pub fn add(&mut self, column: Column, amount: u64) {
        let cell = match column {
            Column::Copied => &mut self.copied,
            Column::Skipped => &mut self.skipped,
            Column::Mismatched => &mut self.mismatched,
            Column::Failed => &mut self.failed,
            Column::Extras => &mut self.extras,
        };
        *cell += amount;
    }
}

impl AddAssign<&Summary> for Summary {
    /// Adds what another run did.
    fn add_assign(&mut self, other: &Summary) {
        let Summary {
            dirs,
            files,
            bytes,
            deleted,
            other_failures,
            conflicts,
            literal_bytes,
            reused_bytes,
            resumed_bytes,
            resent_bytes,
            wire_bytes_sent,
            wire_bytes_received,
            reconnects,
            times,
        } = other;
        for (row, more) in
            [(&mut self.dirs, dirs), (&mut self.files, files), (&mut self.bytes, bytes)]
        {
            let Counts { copied, skipped, mismatched, failed, extras } = *more;
            row.copied += copied;
            row.skipped += skipped;
            row.mismatched += mismatched;
            row.failed += failed;
            row.extras += extras;
        }
        self.deleted += deleted;
        self.other_failures += other_failures;
        self.conflicts += conflicts;
        self.literal_bytes += literal_bytes;
        self.reused_bytes += reused_bytes;
        self.resumed_bytes += resumed_bytes;
        self.resent_bytes += resent_bytes;
        self.wire_bytes_sent += wire_bytes_sent;
        self.wire_bytes_received += wire_bytes_received;
        self.reconnects += reconnects;
        let Times { total, copying, waiting, other, lost } = *times;
        self.times.total += total;
        self.times.copying += copying;
        self.times.waiting += waiting;
        self.times.other += other;
        self.times.lost += lost;
    }
}

impl Summary {
    /// Counts one file or link.
    pub fn add_file(&mut self, column: Column, size_bytes: u64) {
        self.files.add(column, 1);
        self.bytes.add(column, size_bytes);
    }
}
