//! `/IORATE`, `/IPG`, `/BWLIMIT`, `/THRESHOLD`: content leaves no faster than asked for, where no link keeps the limit itself.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Zoned;
use quicopy_engine::send::Closed;
use quicopy_engine::source::StopFlag;

use super::hours::minute_of_day;
use crate::cli::Pace;

/// Paces bytes of content over all threads of a job: one bucket for all.
///
/// The limit is of content; headers and acknowledgements come on top, some 5 % of it.
pub(super) struct Throttle {
    pace: Pace,
    bucket: Mutex<Bucket>,
}

/// So soon another hour's limit is followed.
const LOOK: Duration = Duration::from_secs(1);

impl Throttle {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, bucket: Mutex::new(Bucket { owed_bytes: 0.0, at: Instant::now() }) }
    }

    /// Waits until so many bytes of a file may leave, or until the attempt is over: then they do not.
    pub(super) fn take(&self, bytes: u64, file_bytes: u64, over: &StopFlag) -> Result<(), Closed> {
        if self.pace.is_open() || !self.pace.bounds(file_bytes) {
            return Ok(());
        }
        loop {
            let rate = self.pace.limit_at(minute_of_day(&Zoned::now()));
            let wait = {
                let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
                bucket.take(bytes, rate.map(u64::from), Instant::now())
            };
            if wait.is_zero() {
                return Ok(());
            }
            if over.wait(wait.min(LOOK)) {
                return Err(Closed);
            }
        }
    }
}

/// What has left beyond what the rate allows, as a debt that time pays.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    owed_bytes: f64,
    at: Instant,
}

impl Bucket {
    /// Lets bytes leave, or says how long to wait before asking again. Whoever finds no debt makes the next one: so the rate
    /// holds over time, and no piece is too large for it.
    fn take(&mut self, bytes: u64, rate: Option<u64>, now: Instant) -> Duration {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        let Some(rate) = rate else {
            self.owed_bytes = 0.0;
            return Duration::ZERO;
        };
        self.owed_bytes = (self.owed_bytes - rate as f64 * since).max(0.0);
        // Less than a byte is what rounding leaves.
        if self.owed_bytes < 1.0 {
            self.owed_bytes += bytes as f64;
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(self.owed_bytes / rate as f64).unwrap_or(LOOK).max(TURN)
    }
}

/// No turn is shorter: nobody gains by it.
const TURN: Duration = Duration::from_micros(100);

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    const CHUNK: u64 = 1 << 16;

    /// Milliseconds until so many chunks have left, with the rate that holds at each millisecond.
    fn takes(chunks: u64, rate_at: impl Fn(u64) -> Option<u64>) -> u64 {
        let start = Instant::now();
        let mut bucket = Bucket { owed_bytes: 0.0, at: start };
        let mut millisecond = 0;
        for _ in 0..chunks {
            let now = |millisecond| start + Duration::from_millis(millisecond);
            while !bucket.take(CHUNK, rate_at(millisecond), now(millisecond)).is_zero() {
                millisecond += 1;
            }
        }
        millisecond
    }

    #[test]
    fn so_many_bytes_take_so_long_at_a_rate_but_for_the_first_piece() {
        assert_eq!(takes(11, |_| Some(CHUNK)), 10_000);
        assert_eq!(takes(101, |_| Some(100 * CHUNK)), 1000);
        assert_eq!(takes(1000, |_| None), 0);
    }

    #[test]
    fn a_new_limit_counts_at_once_even_for_who_waits_already() {
        // An hour's worth of waiting is forgiven when the limit goes, and shortened when it rises.
        assert_eq!(takes(2, |at| if at < 500 { Some(18) } else { None }), 500);
        let rises = takes(2, |at| if at < 500 { Some(18) } else { Some(CHUNK) });
        assert!((1499..=1501).contains(&rises), "{rises}");
    }

    fn throttle(threshold_bytes: u64) -> Throttle {
        let rate = NonZeroU64::new(1);
        Throttle::new(Pace { rate, threshold_bytes, ..Pace::default() })
    }

    #[test]
    fn a_file_below_the_threshold_leaves_at_once() {
        let (throttle, over) = (throttle(1000), StopFlag::default());
        over.set();
        assert!(throttle.take(1 << 20, 1000, &over).is_ok());
        assert!(throttle.take(999, 999, &over).is_ok());
        assert!(throttle.take(1 << 20, 1000, &over).is_err());
    }

    #[test]
    fn who_waits_when_the_attempt_ends_takes_no_time_from_the_next() {
        let (throttle, over) = (throttle(0), StopFlag::default());
        assert!(throttle.take(1024, 1024, &over).is_ok());
        over.set();
        assert!(throttle.take(1 << 30, 1 << 30, &over).is_err());
        let owed = throttle.bucket.lock().unwrap_or_else(PoisonError::into_inner).owed_bytes;
        assert!(owed <= 1024.0, "{owed}");
    }
}
