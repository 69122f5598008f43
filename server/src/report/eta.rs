//! When a file will be there, for `/ETA`: [`Arrivals`].

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::event::Progress;

/// Foresees when files begin and arrive, at the rate of the job so far.
///
/// Robocopy copies one file after the other and so begins a file when its line is written. Here files are named as soon as they
/// are compared, many travel at once, and their bytes leave about in that order: a file begins when all that was named before it
/// has left, and is there when it has left, too. Until something has arrived there is no rate and nothing is foreseen, as Robocopy
/// foresees nothing for the first file that it copies.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    begun: Option<Timestamp>,
    bytes_done: u64,
    /// Bytes of files that were named and are not done.
    bytes_ahead: u64,
}

impl Arrivals {
    /// Takes how far the job is.
    pub(super) fn progress(&mut self, at: Timestamp, progress: &Progress) {
        // A lost link begins the count anew.
        if progress.bytes_done < self.bytes_done {
            *self = Self::default();
        }
        self.begun.get_or_insert(at);
        self.bytes_done = progress.bytes_done;
        self.bytes_ahead = progress.bytes_total.saturating_sub(progress.bytes_done);
    }

    /// Takes a file that is to be copied, and foresees when it begins and when it is there.
    pub(super) fn expect(
        &mut self,
        at: Timestamp,
        size_bytes: u64,
    ) -> Option<(Timestamp, Timestamp)> {
        let before = self.bytes_ahead;
        self.bytes_ahead = before.saturating_add(size_bytes);
        let begins = self.after(at, before)?;
        Some((begins, self.after(at, self.bytes_ahead)?))
    }

    /// When these many more bytes have left; `None` beyond all reason.
    fn after(&self, at: Timestamp, bytes: u64) -> Option<Timestamp> {
        let elapsed = at.duration_since(self.begun?);
        if elapsed <= SignedDuration::ZERO || self.bytes_done == 0 {
            return None;
        }
        let seconds = bytes as f64 / self.bytes_done as f64 * elapsed.as_secs_f64();
        let wait = Duration::try_from_secs_f64(seconds).ok()?;
        at.checked_add(wait).ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn progress(bytes_done: u64, bytes_total: u64) -> Progress {
        Progress { bytes_done, bytes_total, ..Progress::default() }
    }

    #[test]
    fn nothing_is_foreseen_before_something_has_arrived() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.expect(at(0), 100), None);
        arrivals.progress(at(1), &progress(0, 100));
        assert_eq!(arrivals.expect(at(2), 100), None);
    }

    #[test]
    fn a_file_begins_when_all_before_it_has_left() {
        let mut arrivals = Arrivals::default();
        arrivals.progress(at(0), &progress(0, 50));
        // Ten bytes a second, and thirty are on their way.
        arrivals.progress(at(10), &progress(100, 130));
        assert_eq!(arrivals.expect(at(10), 20), Some((at(13), at(15))));
        assert_eq!(arrivals.expect(at(10), 10), Some((at(15), at(16))));
    }

    #[test]
    fn a_new_link_begins_anew_and_sizes_beyond_reason_foresee_nothing() {
        let mut arrivals = Arrivals::default();
        arrivals.progress(at(0), &progress(0, 0));
        arrivals.progress(at(10), &progress(1, 1));
        assert_eq!(arrivals.expect(at(20), u64::MAX), None);
        arrivals.progress(at(30), &progress(0, 10));
        assert_eq!(arrivals.expect(at(40), 1), None);
    }
}
