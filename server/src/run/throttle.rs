//! `/BWLIMIT`, `/IORATE`, `/IPG`, `/THRESHOLD`: no more leaves than asked for. Over a link that is what goes over it, and its
//! congestion control keeps it ([`LinkLimit`]). Where a link cannot know what is bounded, it is content ([`Throttle`]).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Zoned;
use quicopy_engine::send::Closed;
use quicopy_engine::source::StopFlag;
use quicopy_protocol::congestion::Gauge;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::hours::minute_of_day;
use crate::cli::{Destination, Job, Pace};

/// How soon a change of the hour's limit is followed.
const LOOK: Duration = Duration::from_secs(1);

/// Where a job's pace is kept.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Paces {
    pub(super) link: Pace,
    pub(super) content: Pace,
}

impl Paces {
    /// A job within this machine has no link, and a link does not know which files are below the threshold.
    pub(super) fn of(job: &Job) -> Self {
        let pace = job.pace;
        match job.destination {
            Destination::Remote(_) if pace.threshold_bytes == 0 => {
                Self { link: pace, ..Self::default() }
            }
            Destination::Remote(_) | Destination::Local(_) => {
                Self { content: pace, ..Self::default() }
            }
        }
    }
}

/// Caps the rate of all links of a gauge at what holds at the time, for as long as it is kept.
pub(super) struct LinkLimit {
    hours: Option<AbortHandle>,
}

impl LinkLimit {
    /// From now on. Only a limit with hours takes a task.
    pub(super) fn start(pace: Pace, gauge: &Arc<Gauge>, runtime: &Handle) -> Self {
        if pace.is_open() {
            return Self { hours: None };
        }
        let gauge = Arc::clone(gauge);
        let cap = move || {
            let rate = pace.limit_at(minute_of_day(&Zoned::now()));
            gauge.set_rate_max(rate.map(u64::from));
        };
        cap();
        let follow = async move {
            loop {
                tokio::time::sleep(LOOK).await;
                cap();
            }
        };
        let has_hours = pace.bandwidth.is_some_and(|bandwidth| bandwidth.hours.is_some());
        Self { hours: has_hours.then(|| runtime.spawn(follow).abort_handle()) }
    }
}

impl Drop for LinkLimit {
    fn drop(&mut self) {
        if let Some(task) = &self.hours {
            task.abort();
        }
    }
}

/// Paces bytes of content over all threads of a job: one bucket for all.
pub(super) struct Throttle {
    pace: Pace,
    bucket: Mutex<Bucket>,
}

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
#[allow(clippy::unwrap_used)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;
    use crate::cli::Bandwidth;

    #[tokio::test]
    async fn a_link_is_capped_while_the_hours_last() {
        let minute = minute_of_day(&Zoned::now());
        let hour = |minute: u16| format!("{:02}{:02}", minute / 60 % 24, minute % 60);
        let now = format!("2M@{}-{}", hour(minute + 1380), hour(minute + 60));
        let later = format!("2M@{}-{}", hour(minute + 60), hour(minute + 120));
        for (text, expected) in [("2M", Some(2 << 20)), (&now, Some(2 << 20)), (&later, None)] {
            let gauge = Arc::default();
            let bandwidth = Some(Bandwidth::parse(text.as_ref()).unwrap());
            let pace = Pace { bandwidth, ..Pace::default() };
            let _kept = LinkLimit::start(pace, &gauge, &Handle::current());
            assert_eq!(gauge.rate_max(), expected, "{text}");
        }
    }

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
