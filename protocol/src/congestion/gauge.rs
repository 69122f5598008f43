//! What a controller shows, and what it is told while it runs: [`Gauge`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::policy::Estimate;

/// Shared between the controller, which writes once a round trip, and whoever shows or remembers the path.
///
/// It outlives the connection.
#[derive(Debug, Default)]
pub struct Gauge {
    estimate: Mutex<Option<Estimate>>,
    /// 0 for none.
    rate_max: AtomicU64,
}

impl Gauge {
    /// Caps the rate from now on, in bytes of UDP payload a second; `None` for no cap.
    ///
    /// The next packet heeds it. The controller alone exceeds a low cap on short round trips, since no window is smaller than four
    /// packets; the transport keeps any, but for bursts of 100 ms of it or four packets.
    pub fn set_rate_max(&self, rate: Option<u64>) {
        // It stands alone: nothing else is published with it.
        self.rate_max.store(rate.map_or(0, |rate| rate.max(1)), Ordering::Relaxed);
    }

    /// The cap that was set last.
    pub fn rate_max(&self) -> Option<u64> {
        Some(self.rate_max.load(Ordering::Relaxed)).filter(|rate| *rate > 0)
    }

    /// What the controller knew last; `None` until a full round trip of content was measured.
    pub fn read(&self) -> Option<Estimate> {
        *self.lock()
    }

    pub(super) fn write(&self, estimate: Option<Estimate>) {
        *self.lock() = estimate;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Estimate>> {
        // An estimate is whole at any time, so a writer's panic spoils nothing.
        self.estimate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
