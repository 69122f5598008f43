//! `/BWLIMIT`: content leaves no faster than asked for.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use quicopy_engine::send::Closed;
use quicopy_engine::source::StopFlag;

use crate::cli::Bandwidth;

/// Paces bytes of content over all threads of a job.
///
/// The limit is of content; headers and acknowledgements come on top, some 5 % of it. Short pauses, so that a change of
/// the hour's limit is followed within a second.
pub(super) struct Throttle {
    limit: Option<Bandwidth>,
    stop: StopFlag,
    /// When the bytes that were let out so far will have left at the limit's rate.
    free_at: Mutex<Option<Instant>>,
}

const PAUSE_MAX: Duration = Duration::from_secs(1);

impl Throttle {
    pub(super) fn new(limit: Option<Bandwidth>, stop: StopFlag) -> Self {
        Self { limit, stop, free_at: Mutex::new(None) }
    }

    /// Waits until `bytes` more may leave.
    pub(super) fn take(&self, bytes: u64) -> Result<(), Closed> {
        let Some(limit) = self.limit else { return Ok(()) };
        let Some(rate) = limit.limit_at(minute_of_day()) else { return Ok(()) };
        let leaves_at = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let begin = free_at.map_or(now, |at| at.max(now));
            *free_at = Some(begin + Duration::from_secs_f64(bytes as f64 / rate.get() as f64));
            begin
        };
        loop {
            let left = leaves_at.saturating_duration_since(Instant::now());
            if left.is_zero() || limit.limit_at(minute_of_day()).is_none() {
                return Ok(());
            }
            if self.stop.wait(left.min(PAUSE_MAX)) {
                return Err(Closed);
            }
        }
    }
}

fn minute_of_day() -> u16 {
    let now = jiff::Zoned::now();
    u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs())
}
