//! A rate that is never exceeded, whatever the path would take: [`Bucket`], and [`keep_awake`] for those who wait for it.
//!
//! A window alone cannot keep one: within a short round trip not a single packet may leave at a low rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quinn::Connection;
use tokio::time::sleep;

use super::controller::glance;

/// What may leave at once after a pause, as time at the rate ...
const BURST: Duration = Duration::from_millis(100);
/// ... and in packets at least: a handshake takes three, and quinn wants room for a little more than a packet before one leaves.
const BURST_PACKETS: f64 = 4.0;
/// How often a connection is woken that may wait for the bucket: often enough that the bucket never runs over meanwhile.
const WAKE_INTERVAL: Duration = Duration::from_millis(20);
/// How often it is asked whether there is a rate to keep.
const ASK_INTERVAL: Duration = Duration::from_millis(250);

/// Lets no more than a rate through, but for a moment. The rate may change at any time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// Bytes that might leave at `at`; less than none after what could not be held back.
    level: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(now: Instant) -> Self {
        Self { level: f64::INFINITY, at: now }
    }

    /// Bytes that may leave now, at a rate in bytes a second.
    pub(super) fn room(&self, now: Instant, rate: u64, packet_bytes: u16) -> u64 {
        self.level_at(now, rate, packet_bytes).max(0.0) as u64
    }

    /// So many bytes leave.
    pub(super) fn spend(&mut self, now: Instant, rate: u64, packet_bytes: u16, bytes: u64) {
        self.level = self.level_at(now, rate, packet_bytes) - bytes as f64;
        self.at = self.at.max(now);
    }

    fn level_at(&self, now: Instant, rate: u64, packet_bytes: u16) -> f64 {
        let rate = rate as f64;
        let most = (rate * BURST.as_secs_f64()).max(BURST_PACKETS * f64::from(packet_bytes));
        (self.level + rate * now.saturating_duration_since(self.at).as_secs_f64()).min(most)
    }
}

/// Wakes a connection whose rate is limited, for ever: quinn looks at its window again when packets arrive, and knows of no
/// time at which it will be larger. `send_window` is what the connection's is; to set it is what wakes.
pub(super) async fn keep_awake(connection: Connection, send_window: Arc<AtomicU64>) {
    loop {
        if glance(&connection).rate_max.is_some() {
            connection.set_send_window(send_window.load(Ordering::Relaxed));
            sleep(WAKE_INTERVAL).await;
        } else {
            sleep(ASK_INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const PACKET: u16 = 1452;

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    /// Takes all there is each time, and counts it. Steps in milliseconds, and the rate from then on.
    fn drain(bucket: &mut Bucket, begin: Instant, steps: &[(u32, u64)]) -> (u64, Duration) {
        let (mut total, mut passed) = (0, Duration::ZERO);
        for (step, rate) in steps {
            passed += *step * MS;
            let room = bucket.room(begin + passed, *rate, PACKET);
            bucket.spend(begin + passed, *rate, PACKET, room);
            total += room;
        }
        (total, passed)
    }

    #[test]
    fn the_rate_holds_over_seconds() {
        for rate in [20_000_u64, 250_000, 12_500_000] {
            let begin = now();
            let (total, passed) = drain(&mut Bucket::new(begin), begin, &vec![(20, rate); 250]);
            let due = rate as f64 * passed.as_secs_f64();
            assert!((0.99..1.07).contains(&(total as f64 / due)), "{rate}: {total} of {due}");
        }
    }

    #[test]
    fn after_a_pause_no_more_than_a_moments_worth_leaves_at_once() {
        let begin = now();
        let mut bucket = Bucket::new(begin);
        drain(&mut bucket, begin, &[(0, 1_000_000)]);
        assert_eq!(bucket.room(begin + 60_000 * MS, 1_000_000, PACKET), 100_000);
        // At a low rate a few packets, or none would ever leave.
        assert_eq!(bucket.room(begin + 60_000 * MS, 1000, PACKET), 4 * 1452);
    }

    #[test]
    fn what_could_not_be_held_back_is_paid_for() {
        let begin = now();
        let mut bucket = Bucket::new(begin);
        bucket.spend(begin, 1_000_000, PACKET, 200_000);
        assert_eq!(bucket.room(begin + 90 * MS, 1_000_000, PACKET), 0);
        assert_eq!(bucket.room(begin + 110 * MS, 1_000_000, PACKET), 10_000);
    }

    proptest! {
        #[test]
        fn whatever_the_rates_no_more_leaves_than_they_allow_and_one_burst(
            steps in prop::collection::vec((0..200_u32, 1..50_000_000_u64), 1..50),
        ) {
            let begin = now();
            let (total, _) = drain(&mut Bucket::new(begin), begin, &steps);
            let allowed: f64 = steps.iter().map(|(ms, rate)| f64::from(*ms) * 1e-3 * *rate as f64).sum();
            let burst = steps.iter().map(|(_, rate)| 0.1 * *rate as f64).fold(4.0 * 1452.0, f64::max);
            prop_assert!(total as f64 <= allowed + burst, "{total} of {allowed} and {burst}");
        }
    }
}
