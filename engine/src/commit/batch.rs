//! When a batch of finished files is due.

use std::time::{Duration, Instant};

/// Entries in one batch. Two syncs for 256 to 512 files were measured at 18,000 files a second on a quiet ext4, against 1,800 with
/// two syncs each; where others write to the same disk a sync takes ten times as long, and more files have to share it.
pub const BATCH_ITEMS_MAX: usize = 2048;
/// Bytes of content after which a batch is due, so that a sync has a bounded amount to write.
pub const BATCH_BYTES_AIM: u64 = 64 << 20;
/// Longest time that a finished entry waits for company.
pub const BATCH_WAIT_MAX: Duration = Duration::from_secs(2);

/// Entries that wait to be committed together.
#[derive(Debug)]
pub struct Batch<I> {
    items_max: usize,
    items: Vec<I>,
    bytes: u64,
    due_at: Option<Instant>,
    is_last: bool,
}

impl<I> Batch<I> {
    /// An empty batch that is due with `items_max` entries.
    pub fn new(items_max: usize) -> Self {
        Self { items_max, items: Vec::new(), bytes: 0, due_at: None, is_last: false }
    }

    /// Adds an entry with `bytes` of content.
    pub fn push(&mut self, item: I, bytes: u64, now: Instant) {
        self.items.push(item);
        self.bytes = self.bytes.saturating_add(bytes);
        self.due_at.get_or_insert(now + BATCH_WAIT_MAX);
    }

    /// Nothing else is on its way: what waits need not wait for company.
    pub fn flush(&mut self) {
        self.is_last = !self.items.is_empty();
    }

    /// Whether the batch should be committed now.
    pub fn is_due(&self, now: Instant) -> bool {
        self.is_last
            || self.items.len() >= self.items_max
            || self.bytes >= BATCH_BYTES_AIM
            || self.due_at.is_some_and(|due| due <= now)
    }

    /// When the batch becomes due by time alone; `None` while it is empty.
    pub fn due_at(&self) -> Option<Instant> {
        self.due_at
    }

    /// Takes the entries out, in the order they came.
    pub fn take(&mut self) -> Vec<I> {
        let empty = Self::new(self.items_max);
        std::mem::replace(self, empty).items
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_due_by_number_bytes_time_or_when_nothing_else_comes() {
        let now = Instant::now();
        let mut batch = Batch::new(BATCH_ITEMS_MAX);
        assert!(!batch.is_due(now) && batch.due_at().is_none());
        batch.push((), 1, now);
        assert!(!batch.is_due(now + BATCH_WAIT_MAX / 2));
        assert!(batch.is_due(now + BATCH_WAIT_MAX));
        batch.push((), BATCH_BYTES_AIM, now);
        assert!(batch.is_due(now));
        assert_eq!(batch.take().len(), 2);
        assert!(!batch.is_due(now + BATCH_WAIT_MAX));
        for _ in 0..BATCH_ITEMS_MAX {
            assert!(!batch.is_due(now));
            batch.push((), 0, now);
        }
        assert!(batch.is_due(now));
        batch.take();
        batch.flush();
        assert!(!batch.is_due(now), "nothing waits");
        batch.push((), 0, now);
        batch.flush();
        assert!(batch.is_due(now));
    }

    #[test]
    fn the_first_entry_sets_the_time() {
        let now = Instant::now();
        let mut batch = Batch::new(BATCH_ITEMS_MAX);
        batch.push((), 0, now);
        batch.push((), 0, now + Duration::from_secs(1));
        assert_eq!(batch.due_at(), Some(now + BATCH_WAIT_MAX));
    }
}
