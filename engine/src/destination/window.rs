//! How much content may be on its way: the look-ahead of wishes, in bytes, large files and directories.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Condvar, Mutex, PoisonError};

use quicopy_protocol::limits::{LARGE_WANTS_MAX, WANTS_MAX, WHOLE_FILE_BYTES_MAX};
use quicopy_protocol::meta::DirId;

/// Bytes that the wishes in flight may add up to: what a link of 1 Gbit/s and 250 ms holds, and small beside the memory a job may take.
const BYTES_MAX: u64 = 32 << 20;

/// What a large file counts, whatever its size: its chunks follow each other, and the link's own flow control holds them back.
const LARGE_FILE_BYTES: u64 = 4 << 20;

/// Smallest weight of a wish, so that empty files do not count as nothing.
const WISH_BYTES_MIN: u64 = 512;

/// Lets the scheduler ask for content only as fast as it is taken in.
#[derive(Debug)]
pub(super) struct Window {
    dirs_max: usize,
    used: Mutex<Used>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Used {
    bytes: u64,
    wants: usize,
    large: usize,
    /// How many of the wishes are in each directory.
    dirs: HashMap<DirId, usize>,
    closed: bool,
}

/// What one wish takes of the window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Weight {
    bytes: u64,
    large: bool,
    dir: DirId,
}

impl Weight {
    /// The weight of a wish for a file of `size_bytes` in `dir`.
    pub(super) fn of(size_bytes: u64, dir: DirId) -> Self {
        let large = size_bytes > WHOLE_FILE_BYTES_MAX;
        let bytes = if large { LARGE_FILE_BYTES } else { size_bytes.max(WISH_BYTES_MIN) };
        Self { bytes, large, dir }
    }
}

impl Window {
    /// A window that reaches over at most `dirs_max` directories: the wishes of each hold it open.
    pub(super) fn new(dirs_max: usize) -> Self {
        Self { dirs_max, used: Mutex::default(), freed: Condvar::new() }
    }

    /// Waits until the wish fits, and takes its place. False when the window was closed: nothing is to be asked any more.
    pub(super) fn acquire(&self, weight: Weight) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while !used.closed && !used.fits(weight, self.dirs_max) {
            used = self.freed.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        if used.closed {
            return false;
        }
        used.bytes += weight.bytes;
        used.wants += 1;
        used.large += usize::from(weight.large);
        *used.dirs.entry(weight.dir).or_default() += 1;
        true
    }

    /// Gives back what [`acquire`](Self::acquire) took.
    pub(super) fn release(&self, weight: Weight) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.bytes -= weight.bytes;
        used.wants -= 1;
        used.large -= usize::from(weight.large);
        if let Entry::Occupied(mut dir) = used.dirs.entry(weight.dir) {
            *dir.get_mut() -= 1;
            if *dir.get() == 0 {
                dir.remove();
            }
        }
        self.freed.notify_all();
    }

    /// Wakes whoever waits, and lets nobody in any more.
    pub(super) fn close(&self) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.freed.notify_all();
    }
}

impl Used {
    fn fits(&self, weight: Weight, dirs_max: usize) -> bool {
        self.wants == 0
            || (self.bytes + weight.bytes <= BYTES_MAX
                && self.wants < WANTS_MAX
                && (self.dirs.len() < dirs_max || self.dirs.contains_key(&weight.dir))
                && (!weight.large || self.large < LARGE_WANTS_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(size_bytes: u64) -> Weight {
        Weight::of(size_bytes, DirId(0))
    }

    #[test]
    fn small_files_are_bounded_by_bytes_and_large_ones_by_number() {
        let mut used = Used { wants: 1, ..Used::default() };
        assert!(used.fits(weight(WHOLE_FILE_BYTES_MAX), 1));
        used.bytes = BYTES_MAX - 100;
        assert!(!used.fits(weight(0), 1));
        used = Used { wants: 1, large: LARGE_WANTS_MAX, ..Used::default() };
        assert!(!used.fits(weight(WHOLE_FILE_BYTES_MAX + 1), 1));
        assert!(used.fits(weight(10), 1));
    }

    #[test]
    fn where_descriptors_are_scarce_few_directories_are_in_work_but_any_number_of_their_files() {
        let window = Window::new(128);
        let in_dir = |dir| Weight::of(10, DirId(dir));
        for dir in 0..128 {
            assert!(window.acquire(in_dir(dir)));
        }
        let fits = |dir| {
            let used = window.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.fits(in_dir(dir), window.dirs_max)
        };
        assert!(fits(0) && !fits(200));
        assert!(window.acquire(in_dir(0)));
        window.release(in_dir(0));
        assert!(!fits(200));
        window.release(in_dir(0));
        assert!(fits(200));
    }

    #[test]
    fn a_single_wish_always_fits() {
        assert!(Used { bytes: BYTES_MAX, ..Used::default() }.fits(weight(u64::MAX), 1));
    }

    #[test]
    fn a_closed_window_lets_nobody_in() {
        let window = Window::new(1024);
        assert!(window.acquire(weight(1)));
        window.release(weight(1));
        window.close();
        assert!(!window.acquire(weight(1)));
    }
}
