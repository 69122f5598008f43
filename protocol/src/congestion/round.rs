//! One round trip's worth of acknowledgements: [`Round`].

use std::time::Duration;

/// A round lasts at least this long, else the rounds of a local network would be of a packet or two. quinn's pacer works in
/// steps of 2 ms.
const LENGTH_MIN: Duration = Duration::from_millis(2);

/// What is counted in a round. It begins when the one before ends, and ends with the acknowledgement of a packet that was
/// sent after it began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub(super) started: Duration,
    /// Ends with a packet that left when so much had been delivered.
    ends_at: u64,
    /// Shortest round trip in it.
    pub(super) rtt: Option<Duration>,
    /// Longest of the round trips that each was the shortest of its batch of acknowledgements: the queue at its longest, with
    /// the receiver's waiting left out.
    pub(super) rtt_peak: Duration,
    batch: Option<Duration>,
    /// Sum and number of its round trips.
    rtt_sum: Duration,
    rtt_count: u32,
    pub(super) delivered: u64,
    pub(super) lost: u64,
    /// Sum of what the window allowed beyond what was in flight, times the bytes that arrived meanwhile.
    unused: f64,
    /// Those bytes.
    acked: f64,
    /// Whether a router marked packets of it.
    pub(super) is_marked: bool,
    /// Whether a packet of it left while there was too little to send.
    pub(super) is_app_limited: bool,
}

impl Round {
    pub(super) fn new(now: Duration, delivered_total: u64) -> Self {
        Self {
            started: now,
            ends_at: delivered_total,
            rtt: None,
            rtt_peak: Duration::ZERO,
            batch: None,
            rtt_sum: Duration::ZERO,
            rtt_count: 0,
            delivered: 0,
            lost: 0,
            unused: 0.0,
            acked: 0.0,
            is_marked: false,
            is_app_limited: false,
        }
    }

    pub(super) fn handle_ack(&mut self, rtt: Duration, bytes: u64) {
        self.rtt = Some(self.rtt.map_or(rtt, |shortest| shortest.min(rtt)));
        self.batch = Some(self.batch.map_or(rtt, |shortest| shortest.min(rtt)));
        self.rtt_sum = self.rtt_sum.saturating_add(rtt);
        self.rtt_count = self.rtt_count.saturating_add(1);
        self.delivered = self.delivered.saturating_add(bytes);
    }

    /// The mean round trip.
    pub(super) fn rtt_mean(&self) -> Duration {
        self.rtt_sum / self.rtt_count.max(1)
    }

    /// By how much the mean round trip exceeds the shortest.
    pub(super) fn rtt_spread(&self) -> Duration {
        self.rtt_mean().saturating_sub(self.rtt.unwrap_or_default())
    }

    pub(super) fn handle_loss(&mut self, bytes: u64) {
        self.lost = self.lost.saturating_add(bytes);
    }

    /// A batch of acknowledgements took what is in flight from the one figure to the other.
    pub(super) fn handle_end_acks(&mut self, window: f64, in_flight: [u64; 2]) {
        self.rtt_peak = self.rtt_peak.max(self.batch.take().unwrap_or_default());
        let [before, after] = in_flight.map(|bytes| bytes as f64);
        self.unused += (window - (before + after) / 2.0) * (before - after).max(0.0);
        self.acked += (before - after).max(0.0);
    }

    /// Bytes that the window allowed beyond what was in flight, on average.
    pub(super) fn unused(&self) -> f64 {
        if self.acked > 0.0 { (self.unused / self.acked).max(0.0) } else { 0.0 }
    }

    /// Whether a packet that left when `delivered_before` had been delivered ends it.
    pub(super) fn is_over(&self, now: Duration, delivered_before: u64) -> bool {
        delivered_before >= self.ends_at && now.saturating_sub(self.started) >= LENGTH_MIN
    }
}
