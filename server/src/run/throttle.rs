//! `/BWLIMIT`: no more leaves than asked for. Over a link that is what goes over it, and its congestion control keeps it
//! ([`LinkLimit`]); within this machine it is content ([`Throttle`]).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quicopy_engine::send::Closed;
use quicopy_engine::source::StopFlag;
use quicopy_protocol::congestion::Gauge;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::cli::Bandwidth;

/// How soon a change of the hour's limit is followed.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Caps the rate of all links of a gauge at what holds at the time, for as long as it is kept.
pub(super) struct LinkLimit {
    hours: Option<AbortHandle>,
}

impl LinkLimit {
    /// From now on. Only a limit with hours takes a task.
    pub(super) fn start(limit: Option<Bandwidth>, gauge: &Arc<Gauge>, runtime: &Handle) -> Self {
        let Some(limit) = limit else { return Self { hours: None } };
        let gauge = Arc::clone(gauge);
        let cap = move || gauge.set_rate_max(limit.limit_at(minute_of_day()).map(u64::from));
        cap();
        let follow = async move {
            loop {
                tokio::time::sleep(PAUSE_MAX).await;
                cap();
            }
        };
        Self { hours: limit.hours.map(|_| runtime.spawn(follow).abort_handle()) }
    }
}

impl Drop for LinkLimit {
    fn drop(&mut self) {
        if let Some(task) = &self.hours {
            task.abort();
        }
    }
}

/// Paces bytes of content over all threads of a job.
pub(super) struct Throttle {
    limit: Option<Bandwidth>,
    /// When the bytes that were let out so far will have left at the limit's rate.
    free_at: Mutex<Option<Instant>>,
}

impl Throttle {
    pub(super) fn new(limit: Option<Bandwidth>) -> Self {
        Self { limit, free_at: Mutex::new(None) }
    }

    /// Waits until `bytes` more may leave, or until the attempt is over: then they do not, and take nobody's turn.
    pub(super) fn take(&self, bytes: u64, over: &StopFlag) -> Result<(), Closed> {
        let Some(limit) = self.limit else { return Ok(()) };
        let Some(rate) = limit.limit_at(minute_of_day()) else { return Ok(()) };
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
            if left.is_zero() || limit.limit_at(minute_of_day()).is_none() {
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
    use super::*;

    #[tokio::test]
    async fn a_link_is_capped_while_the_hours_last() {
        let minute = minute_of_day();
        let hour = |minute: u16| format!("{:02}{:02}", minute / 60 % 24, minute % 60);
        let now = format!("2M@{}-{}", hour(minute + 1380), hour(minute + 60));
        let later = format!("2M@{}-{}", hour(minute + 60), hour(minute + 120));
        for (text, expected) in [("2M", Some(2 << 20)), (&now, Some(2 << 20)), (&later, None)] {
            let gauge = Arc::default();
            let limit = Bandwidth::parse(text.as_ref()).unwrap();
            let _kept = LinkLimit::start(Some(limit), &gauge, &Handle::current());
            assert_eq!(gauge.rate_max(), expected, "{text}");
        }
    }

    #[test]
    fn who_waits_when_the_attempt_ends_takes_no_time_from_the_next() {
        let limit = Bandwidth::parse("1K".as_ref()).unwrap();
        let throttle = Throttle::new(Some(limit));
        let over = StopFlag::default();
        assert!(throttle.take(1024, &over).is_ok());
        over.set();
        let free_at = *throttle.free_at();
        assert!(throttle.take(1 << 30, &over).is_err());
        assert_eq!(*throttle.free_at(), free_at);
    }
}
