//! `/BWLIMIT`: content leaves no faster than asked for.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quicopy_engine::send::Closed;
use quicopy_engine::source::StopFlag;

use crate::cli::Pace;

/// Paces bytes of content over all threads of a job.
///
/// The limit is of content; headers and acknowledgements come on top, some 5 % of it. Short pauses, so that a change of
/// the hour's limit is followed within a second.
pub(super) struct Throttle {
    pace: Pace,
    /// When the bytes that were let out so far will have left at the limit's rate.
    free_at: Mutex<Option<Instant>>,
}

const PAUSE_MAX: Duration = Duration::from_secs(1);

impl Throttle {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, free_at: Mutex::new(None) }
    }

    /// Waits until `bytes` more may leave, or until the attempt is over: then they do not, and take nobody's turn.
    pub(super) fn take(&self, bytes: u64, over: &StopFlag) -> Result<(), Closed> {
        if self.pace.is_open() {
            return Ok(());
        }
        let Some(rate) = self.pace.limit_at(minute_of_day()) else { return Ok(()) };
        let takes = Duration::from_secs_f64(bytes as f64 / rate.get() as f64);
        let leaves_at = {
            let mut free_at = self.free_at();
            let now = Instant::now();
            let begin = free_at.map_or(now, |at| at.max(now));
            *free_at = Some(begin + takes);
            begin
        };
        loop {
            let left = leaves_at.saturating_duration_since(Instant::now());
            if left.is_zero() || self.pace.limit_at(minute_of_day()).is_none() {
                return Ok(());
            }
            if over.wait(left.min(PAUSE_MAX)) {
                let mut free_at = self.free_at();
                *free_at = free_at.and_then(|at| at.checked_sub(takes));
                return Err(Closed);
            }
        }
    }

    fn free_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.free_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn minute_of_day() -> u16 {
    let now = jiff::Zoned::now();
    u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    #[test]
    fn who_waits_when_the_attempt_ends_takes_no_time_from_the_next() {
        let rate = NonZeroU64::new(1024);
        let throttle = Throttle::new(Pace { rate, ..Pace::default() });
        let over = StopFlag::default();
        assert!(throttle.take(1024, &over).is_ok());
        over.set();
        let free_at = *throttle.free_at();
        assert!(throttle.take(1 << 30, &over).is_err());
        assert_eq!(*throttle.free_at(), free_at);
    }
}
