//! The first seconds: [`Startup`].

use std::time::Duration;

/// Shortest round trip of so many packets is compared with the base. Source: HyStart++ (RFC 9406), `N_RTT_SAMPLE`.
const SAMPLES: u32 = 8;
/// ... and of so many acknowledgements, since all but the last packet of one waited for it.
const BATCHES: u32 = 3;
/// Lost packets, and their share of a round, beyond which the queue must be running over.
const LOST_PACKETS: f64 = 24.0;
const LOST_SHARE: f64 = 0.08;

/// Doubles the window each round trip until the path shows that it is full.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Startup {
    shortest: Option<Duration>,
    samples: u32,
    batches: u32,
    full_rate: f64,
    full_rounds: u32,
}

impl Startup {
    pub(super) fn handle_rtt(&mut self, rtt: Duration) {
        self.shortest = Some(self.shortest.map_or(rtt, |shortest| shortest.min(rtt)));
        self.samples += 1;
    }

    /// Whether the queue has begun to fill. `burst` is the time that our own bursts may wait.
    pub(super) fn handle_end_acks(&mut self, base: Duration, burst: Duration) -> bool {
        self.batches += 1;
        if self.samples < SAMPLES || self.batches < BATCHES {
            return false;
        }
        let margin = (base / 16).clamp(Duration::from_millis(4), Duration::from_millis(16));
        let shortest = self.shortest.take();
        (self.samples, self.batches) = (0, 0);
        shortest.is_some_and(|rtt| rtt > base + margin + burst)
    }

    /// Whether the queue overflows.
    pub(super) fn is_overflowing(delivered: u64, lost: u64, packet_bytes: f64) -> bool {
        let (delivered, lost) = (delivered as f64 / packet_bytes, lost as f64 / packet_bytes);
        lost >= LOST_PACKETS && lost > LOST_SHARE * (delivered + lost)
    }

    /// Whether the rate has stopped growing: less than a quarter in three rounds, as in BBR.
    pub(super) fn handle_round(&mut self, rate: f64) -> bool {
        if rate > 1.25 * self.full_rate {
            self.full_rate = rate;
            self.full_rounds = 0;
            return false;
        }
        self.full_rounds += 1;
        self.full_rounds >= 3
    }
}
