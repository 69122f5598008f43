//! What one direction of a link is like: [`LinkSpec`].

use std::time::Duration;

/// How packets are lost behind the bottleneck, whatever the queue does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// None is.
    Never,
    /// Each with this probability, 0 to 1, whatever happens to the others.
    Random(f64),
    /// Runs of losses. Source: the two-state model of Gilbert (1960), all packets lost in the bad state.
    Bursts {
        /// Share of all packets, 0 to 1.
        share: f64,
        /// Mean length of a run in packets, at least 1.
        mean_packets: f64,
    },
}

/// One direction of a link: a queue that is served at a rate, then loss, then a delay.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkSpec {
    /// Bits of IP packets a second; `None` for no bottleneck.
    pub rate_bps: Option<u64>,
    /// Least time from the end of the queue to the other side.
    pub delay: Duration,
    /// Random time up to this on top of it, drawn evenly.
    pub jitter: Duration,
    /// Whether jitter lets a packet overtake another.
    pub reorders: bool,
    /// Loss behind the queue.
    pub loss: Loss,
    /// Probability, 0 to 1, that a packet arrives twice.
    pub duplicates: f64,
    /// What the queue holds, in bytes; a packet that finds no room is dropped.
    pub queue_bytes: usize,
    /// Largest packet that passes, in bytes; larger ones vanish without a word, as in a path MTU black hole.
    pub mtu: usize,
    /// Whether nothing passes at all.
    pub is_down: bool,
}

impl LinkSpec {
    /// One direction of a link of this rate and round trip, half of it each way, without loss, with a queue of one
    /// bandwidth × delay, but at least 32 packets.
    pub fn new(rate_bps: u64, round_trip: Duration) -> Self {
        Self {
            rate_bps: Some(rate_bps),
            delay: round_trip / 2,
            jitter: Duration::ZERO,
            reorders: false,
            loss: Loss::Never,
            duplicates: 0.0,
            queue_bytes: bandwidth_delay(rate_bps, round_trip).max(32 * 1500),
            mtu: 1500,
            is_down: false,
        }
    }

    /// The same with random loss of this probability.
    #[must_use]
    pub fn with_loss(self, probability: f64) -> Self {
        Self {
            loss: if probability > 0.0 { Loss::Random(probability) } else { Loss::Never },
            ..self
        }
    }

    /// The same with a queue of so many bandwidth × delay products.
    #[must_use]
    pub fn with_queue(self, products: f64) -> Self {
        let one = bandwidth_delay(self.rate_bps.unwrap_or(0), self.delay * 2) as f64;
        Self { queue_bytes: ((one * products) as usize).max(3 * 1500), ..self }
    }
}

/// Bytes that a link of `rate_bps` holds in one `round_trip`.
pub fn bandwidth_delay(rate_bps: u64, round_trip: Duration) -> usize {
    (rate_bps as f64 / 8.0 * round_trip.as_secs_f64()) as usize
}

/// Least seconds that `bytes` of content take over a link: share of a packet of 1480 bytes that is content, less what is
/// lost and sent again.
pub fn floor_seconds(bytes: u64, rate_bps: u64, loss: f64) -> f64 {
    bytes as f64 * 8.0 / (rate_bps as f64 * 0.958 * (1.0 - loss))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MBIT: u64 = 1_000_000;

    #[test]
    fn half_of_the_round_trip_is_spent_each_way() {
        let spec = LinkSpec::new(100 * MBIT, Duration::from_millis(100));
        assert_eq!(spec.delay, Duration::from_millis(50));
    }

    #[test]
    fn a_queue_holds_what_it_is_asked_for_in_bandwidth_delay_products() {
        let spec = LinkSpec::new(100 * MBIT, Duration::from_millis(100));
        assert_eq!(spec.queue_bytes, 1_250_000);
        assert_eq!(spec.clone().with_queue(0.1).queue_bytes, 125_000);
        assert_eq!(spec.with_queue(4.0).queue_bytes, 5_000_000);
    }

    #[test]
    fn a_queue_never_holds_less_than_a_few_packets() {
        let spec = LinkSpec::new(MBIT, Duration::from_millis(1));
        assert_eq!(spec.queue_bytes, 48_000);
        assert_eq!(spec.with_queue(0.1).queue_bytes, 4500);
    }

    #[test]
    fn no_loss_is_never() {
        let spec = LinkSpec::new(MBIT, Duration::ZERO);
        assert_eq!(spec.clone().with_loss(0.0).loss, Loss::Never);
        assert_eq!(spec.with_loss(0.01).loss, Loss::Random(0.01));
    }

    #[test]
    fn the_floor_counts_headers_and_what_is_sent_again() {
        let seconds = floor_seconds(256 << 20, 100 * MBIT, 0.01);
        assert!((seconds - 22.64).abs() < 0.01, "{seconds}");
    }
}
