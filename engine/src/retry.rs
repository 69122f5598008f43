//! Again, and when: one answer for files (`/R`, `/W`) and for the link.

use std::time::Duration;

use quicopy_protocol::options::Retry;

/// Time before the try that follows progress: a peer that falls over after each file is not pressed.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Counts the tries of one operation, or of one link.
///
/// Holds no clock: ask [`next_wait`](Self::next_wait) after each failure, and wait that long before the next try.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    retry: Retry,
    // At most `retry.retries`.
    used: u32,
    progress_bytes: u64,
    // Whether there was progress since the last retry.
    progressed: bool,
}

impl RetryPolicy {
    /// A fresh count.
    pub fn new(retry: Retry) -> Self {
        Self { retry, used: 0, progress_bytes: 0, progressed: false }
    }

    /// Takes one retry and says how long to wait before it; `None` when all are used up.
    ///
    /// After progress there is a try before those that count, almost at once: what broke off had worked, and may work again.
    pub fn next_wait(&mut self) -> Option<Duration> {
        if self.used >= self.retry.retries {
            return None;
        }
        let wait = Duration::from_secs(self.retry.wait_seconds.into());
        if std::mem::take(&mut self.progressed) {
            return Some(wait.min(FIRST_WAIT));
        }
        self.used += 1;
        Some(wait)
    }

    /// Starts the count anew: what is counted works again.
    pub fn note_success(&mut self) {
        self.used = 0;
    }

    /// Starts the count anew if more is durable than ever before: a link that gets on, however slowly, is not given up.
    ///
    /// `durable_bytes` counts from the beginning of the job, over all of its attempts.
    pub fn note_progress(&mut self, durable_bytes: u64) {
        if durable_bytes > self.progress_bytes {
            self.progress_bytes = durable_bytes;
            self.used = 0;
            self.progressed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(retries: u32) -> RetryPolicy {
        RetryPolicy::new(Retry { retries, wait_seconds: 5 })
    }

    fn waits(policy: &mut RetryPolicy) -> usize {
        std::iter::from_fn(|| policy.next_wait()).take(100).count()
    }

    #[test]
    fn so_many_retries_are_given_and_then_none() {
        assert_eq!(waits(&mut policy(0)), 0);
        assert_eq!(waits(&mut policy(2)), 2);
        let mut two = policy(2);
        assert_eq!(two.next_wait(), Some(Duration::from_secs(5)));
        assert_eq!(waits(&mut two), 1);
    }

    #[test]
    fn the_count_starts_anew_only_when_more_is_durable_than_before() {
        let mut link = policy(2);
        assert_eq!(waits(&mut link), 2);
        link.note_progress(0);
        assert_eq!(link.next_wait(), None);
        link.note_progress(10);
        assert_eq!(waits(&mut link), 1 + 2);
        link.note_progress(10);
        link.note_progress(9);
        assert_eq!(link.next_wait(), None);
        link.note_progress(11);
        assert_eq!(waits(&mut link), 1 + 2);
    }

    #[test]
    fn a_success_starts_the_count_anew() {
        let mut disk = policy(2);
        assert_eq!(waits(&mut disk), 2);
        assert_eq!(waits(&mut disk), 0);
        disk.note_success();
        assert_eq!(waits(&mut disk), 2);
    }

    #[test]
    fn what_had_worked_is_tried_again_soon_but_only_once_and_not_where_nothing_is_retried() {
        let mut link = policy(3);
        link.note_progress(10);
        assert_eq!(link.next_wait(), Some(FIRST_WAIT));
        assert_eq!(link.next_wait(), Some(Duration::from_secs(5)));
        link.note_progress(10);
        assert_eq!(link.next_wait(), Some(Duration::from_secs(5)));
        let mut none = policy(0);
        none.note_progress(10);
        assert_eq!(none.next_wait(), None);
    }
}
