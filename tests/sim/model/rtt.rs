//! Round-trip estimation as RFC 9002, section 5.3, and quinn do it.

use std::time::Duration;

/// What is known of the round trip.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rtt {
    latest: Duration,
    smoothed: Option<Duration>,
    variation: Duration,
    min: Duration,
}

impl Rtt {
    pub(crate) fn new(initial: Duration) -> Self {
        Self { latest: initial, smoothed: None, variation: initial / 2, min: initial }
    }

    pub(crate) fn smoothed(&self) -> Duration {
        self.smoothed.unwrap_or(self.latest)
    }

    pub(crate) fn conservative(&self) -> Duration {
        self.smoothed().max(self.latest)
    }

    pub(crate) fn probe_timeout(&self) -> Duration {
        self.smoothed() + (4 * self.variation).max(Duration::from_millis(1))
    }

    pub(crate) fn update(&mut self, ack_delay: Duration, rtt: Duration) {
        self.latest = rtt;
        let Some(smoothed) = self.smoothed else {
            self.smoothed = Some(rtt);
            self.variation = rtt / 2;
            self.min = rtt;
            return;
        };
        self.min = self.min.min(rtt);
        let adjusted = if self.min + ack_delay <= rtt { rtt - ack_delay } else { rtt };
        self.variation = (3 * self.variation + smoothed.abs_diff(adjusted)) / 4;
        self.smoothed = Some((7 * smoothed + adjusted) / 8);
    }
}
