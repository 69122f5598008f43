//! How much content may be on its way: the look-ahead of wishes, in bytes and in large files.

use std::sync::{Condvar, Mutex, PoisonError};

use quicopy_protocol::limits::{LARGE_WANTS_MAX, WANTS_MAX, WHOLE_FILE_BYTES_MAX};

/// Bytes that the wishes in flight may add up to: what a link of 1 Gbit/s and 250 ms holds, and small beside the memory a job may take.
const BYTES_MAX: u64 = 32 << 20;

/// What a large file counts, whatever its size: its chunks follow each other, and the link's own flow control holds them back.
const LARGE_FILE_BYTES: u64 = 4 << 20;

/// Wishes in flight where descriptors are scarce.
const WANTS_MIN: usize = 64;

/// Smallest weight of a wish, so that empty files do not count as nothing.
const WISH_BYTES_MIN: u64 = 512;

/// Lets the scheduler ask for content only as fast as it is taken in.
#[derive(Debug)]
pub(super) struct Window {
    wants_max: usize,
    used: Mutex<Used>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Used {
    bytes: u64,
    wants: usize,
    large: usize,
    closed: bool,
}

/// What one wish takes of the window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Weight {
    bytes: u64,
    large: bool,
}

impl Weight {
    /// The weight of a wish for a file of `size_bytes`.
    pub(super) fn of(size_bytes: u64) -> Self {
        let large = size_bytes > WHOLE_FILE_BYTES_MAX;
        let bytes = if large { LARGE_FILE_BYTES } else { size_bytes.max(WISH_BYTES_MIN) };
        Self { bytes, large }
    }
}

impl Window {
    /// A window for a process that may open `descriptors_max` descriptors: each wish may hold that of its directory.
    pub(super) fn new(descriptors_max: usize) -> Self {
        let wants_max = (descriptors_max / 8).clamp(WANTS_MIN, WANTS_MAX);
        Self { wants_max, used: Mutex::default(), freed: Condvar::new() }
    }

    /// Waits until the wish fits, and takes its place. False when the window was closed: nothing is to be asked any more.
    pub(super) fn acquire(&self, weight: Weight) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while !used.closed && !used.fits(weight, self.wants_max) {
            used = self.freed.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        if used.closed {
            return false;
        }
        used.bytes += weight.bytes;
        used.wants += 1;
        used.large += usize::from(weight.large);
        true
    }

    /// Gives back what [`acquire`](Self::acquire) took.
    pub(super) fn release(&self, weight: Weight) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.bytes -= weight.bytes;
        used.wants -= 1;
        used.large -= usize::from(weight.large);
        self.freed.notify_all();
    }

    /// Wakes whoever waits, and lets nobody in any more.
    pub(super) fn close(&self) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.freed.notify_all();
    }
}

impl Used {
    fn fits(&self, weight: Weight, wants_max: usize) -> bool {
        self.wants == 0
            || (self.bytes + weight.bytes <= BYTES_MAX
                && self.wants < wants_max
                && (!weight.large || self.large < LARGE_WANTS_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_are_bounded_by_bytes_and_large_ones_by_number() {
        let mut used = Used { wants: 1, ..Used::default() };
        assert!(used.fits(Weight::of(WHOLE_FILE_BYTES_MAX), WANTS_MAX));
        used.bytes = BYTES_MAX - 100;
        assert!(!used.fits(Weight::of(0), WANTS_MAX));
        used = Used { wants: 1, large: LARGE_WANTS_MAX, ..Used::default() };
        assert!(!used.fits(Weight::of(WHOLE_FILE_BYTES_MAX + 1), WANTS_MAX));
        assert!(used.fits(Weight::of(10), WANTS_MAX));
    }

    #[test]
    fn a_single_wish_always_fits() {
        assert!(Used { bytes: BYTES_MAX, ..Used::default() }.fits(Weight::of(u64::MAX), WANTS_MAX));
    }

    #[test]
    fn a_closed_window_lets_nobody_in() {
        let window = Window::new(1024);
        assert!(window.acquire(Weight::of(1)));
        window.release(Weight::of(1));
        window.close();
        assert!(!window.acquire(Weight::of(1)));
    }
}
