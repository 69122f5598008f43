//! How many bytes the share has left, and promising them to the files that come in.
//!
//! Nothing is preallocated: which parts of a file are holes is known only as they come, and an allocation that is refused
//! half-way keeps what it got. Instead, what files in flight have yet to write is kept in one [`Ledger`], so that they cannot
//! all count on the same free bytes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::directory::DirHandle;

/// Bytes that stay free in any case, so that a full share does not take the agent's own records with it.
pub const FLOOR_BYTES_MAX: u64 = 64 << 20;
/// The floor's part of a small file system.
const FLOOR_PERCENT: u64 = 1;

/// Data that a file which cannot fit may bring before its holes must have made up for it.
///
/// How much of a file is holes is known only once it was read. A file that is larger than the free space is therefore taken on
/// trial: a disk image with large holes goes through, a dense file ends after this many bytes instead of filling the disk.
pub const TRIAL_BYTES: u64 = 16 << 20;

/// Bytes of a file system.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Space {
    /// Bytes in all.
    pub total_bytes: u64,
    /// Bytes that may still be written, without those kept for the super-user.
    pub free_bytes: u64,
}

impl Space {
    /// Asks the file system that holds `dir`.
    ///
    /// # Errors
    /// As `fstatvfs`.
    pub fn of(dir: &DirHandle) -> io::Result<Self> {
        let found = rustix::fs::fstatvfs(dir)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Self { total_bytes: bytes(found.f_blocks), free_bytes: bytes(found.f_bavail) })
    }

    /// Bytes that files may take: what is free less the floor.
    pub fn usable_bytes(&self) -> u64 {
        let floor = FLOOR_BYTES_MAX.min(self.total_bytes / 100 * FLOOR_PERCENT);
        self.free_bytes.saturating_sub(floor)
    }
}

/// What the files in flight have yet to write, in bytes; one for each job, clones are the same ledger.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    promised_bytes: Arc<AtomicU64>,
}

impl Ledger {
    /// Promises `bytes` to a file if they fit beside what others were promised, else takes it on trial.
    pub fn promise(&self, bytes: u64, space: Space) -> Promise {
        let others = self.promised_bytes.fetch_add(bytes, Ordering::Relaxed);
        let lacking_bytes = others.saturating_add(bytes).saturating_sub(space.usable_bytes());
        let mut promise =
            Promise { ledger: self.clone(), left_bytes: bytes, lacking_bytes, trial_bytes: 0 };
        if lacking_bytes > 0 {
            promise.release();
            promise.trial_bytes = TRIAL_BYTES.min(space.usable_bytes());
        }
        promise
    }
}

/// What one file was promised. Dropping it gives back what was not used.
#[derive(Debug)]
pub struct Promise {
    ledger: Ledger,
    left_bytes: u64,
    lacking_bytes: u64,
    trial_bytes: u64,
}

impl Promise {
    /// Takes `bytes` of data that are about to be written.
    ///
    /// # Errors
    /// The file was on trial and has used it up: the bytes that the file system lacked when it began.
    pub fn take(&mut self, bytes: u64) -> Result<(), u64> {
        if self.lacking_bytes == 0 {
            self.give_back(bytes);
            return Ok(());
        }
        self.trial_bytes = self.trial_bytes.checked_sub(bytes).ok_or(self.lacking_bytes)?;
        Ok(())
    }

    /// Notes that `bytes` turned out to be a hole. Once the holes make up for what was lacking, the trial is over.
    pub fn take_hole(&mut self, bytes: u64) {
        self.trial_bytes = self.trial_bytes.saturating_add(bytes);
        self.lacking_bytes = self.lacking_bytes.saturating_sub(bytes);
        self.give_back(bytes);
    }

    fn give_back(&mut self, bytes: u64) {
        let bytes = bytes.min(self.left_bytes);
        self.left_bytes -= bytes;
        self.ledger.promised_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn release(&mut self) {
        self.give_back(self.left_bytes);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const SPACE: Space = Space { total_bytes: 100 * MIB, free_bytes: 100 * MIB };

    #[test]
    fn two_files_cannot_count_on_the_same_bytes() {
        let ledger = Ledger::default();
        let mut first = ledger.promise(60 * MIB, SPACE);
        let mut second = ledger.promise(60 * MIB, SPACE);
        first.take(60 * MIB).unwrap();
        second.take(10 * MIB).unwrap();
        assert_eq!(second.take(10 * MIB), Err(21 * MIB));
    }

    #[test]
    fn what_a_file_does_not_use_goes_back() {
        let ledger = Ledger::default();
        drop(ledger.promise(90 * MIB, SPACE));
        let mut later = ledger.promise(90 * MIB, SPACE);
        later.take(90 * MIB).unwrap();
    }

    #[test]
    fn a_dense_file_larger_than_the_disk_ends_early() {
        let mut dump = Ledger::default().promise(200 * MIB, SPACE);
        dump.take(TRIAL_BYTES).unwrap();
        assert_eq!(dump.take(1), Err(101 * MIB));
    }

    #[test]
    fn a_sparse_file_larger_than_the_disk_fits_by_its_holes() {
        let mut image = Ledger::default().promise(1 << 40, SPACE);
        for _ in 0..50 {
            image.take_hole((1 << 40) / 50 - MIB);
            image.take(MIB).unwrap();
        }
    }
}
