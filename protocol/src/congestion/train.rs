//! The first glance at what the path carries: [`Train`].
//!
//! The first packets of content leave at once. The bottleneck passes them one by one at its own rate, which their
//! acknowledgements show: a path that carries many times what is sent need not be approached in doublings. Source: Dovrolis,
//! Ramanathan, Moore, "What do packet dispersion techniques measure?" (2001).
//!
//! It is an upper bound of what is to be had, for others may use the path, and a buffer before the bottleneck or a radio that
//! sends many packets as one makes it look faster still. So nothing but the haste of the startup follows from it.

use std::time::Duration;

/// Packets in a train: six acknowledgements, and what a line of 20 Mbit/s takes 37 ms for.
const PACKETS: f64 = 64.0;
/// Packets between the first acknowledgement and one that tells the rate.
const COMPARED_PACKETS: f64 = 30.0;
/// Trains in all, one a round trip: what a busy processor holds up tells nothing.
const TRAINS: u32 = 3;
/// Packets further apart belong to another train.
const GAP_MAX: Duration = Duration::from_millis(5);
/// Shorter round trips see too few packets in the first window, and doubling takes them little time.
const RTT_MIN: Duration = Duration::from_millis(75);
/// quinn's pacer lets go at once what the window allows in this time; at most 256 packets.
const BURST: Duration = Duration::from_millis(2);

/// What had arrived when.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    at: Duration,
    bytes: u64,
}

/// How far the packets of a train came apart.
#[derive(Clone, Copy, Debug)]
struct Spread {
    bytes: f64,
    /// Between their acknowledgements, or their sendings if that is longer.
    apart: Duration,
    /// From the first sending to the last acknowledgement.
    whole: Duration,
}

impl Spread {
    /// Acknowledgements that were held up come together: then what the round trip exceeds the base by tells how long the
    /// train was.
    fn rate(&self, base: Duration) -> f64 {
        let span = self.whole.saturating_sub(base).max(self.apart).max(Duration::from_micros(1));
        self.bytes / span.as_secs_f64()
    }
}

/// What leaves at once, and what comes of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Train {
    /// How many there were before.
    number: u32,
    first_sent: Duration,
    last_sent: Duration,
    sent: u64,
    has_left: bool,
    arrived: u64,
    first: Option<Arrival>,
    /// That of the fastest: each may be held up, none comes early.
    spread: Option<Spread>,
}

impl Train {
    /// What the path was seen to carry, bytes a second. The base is not known for certain so early: ask anew each time.
    pub(super) fn rate(&self, base: Duration) -> Option<f64> {
        self.spread.map(|spread| spread.rate(base))
    }

    /// The window with which quinn lets it go, where `window` would have it paced; `None` if none is to leave.
    pub(super) fn window(
        &self,
        window: f64,
        in_flight: u64,
        rtt: Duration,
        packet_bytes: f64,
    ) -> Option<f64> {
        let is_due = !self.has_left && self.number < TRAINS;
        let has_room = rtt >= RTT_MIN && (in_flight as f64) < window;
        (is_due && has_room)
            .then(|| PACKETS * packet_bytes * rtt.as_secs_f64() / BURST.as_secs_f64())
    }

    pub(super) fn handle_sent(&mut self, now: Duration, bytes: u64, packet_bytes: f64) {
        if self.has_left {
            return;
        }
        if now.saturating_sub(self.last_sent) > GAP_MAX {
            self.first_sent = now;
            self.sent = 0;
        }
        self.last_sent = now;
        self.sent = self.sent.saturating_add(bytes);
        self.has_left = self.sent as f64 >= PACKETS * packet_bytes;
    }

    pub(super) fn handle_ack(&mut self, sent: Duration, bytes: u64) {
        if !self.has_left || sent < self.first_sent {
            return;
        }
        if sent <= self.last_sent {
            self.arrived = self.arrived.saturating_add(bytes);
        } else {
            *self = Self { number: self.number + 1, spread: self.spread, ..Self::default() };
        }
    }

    pub(super) fn handle_end_acks(&mut self, now: Duration, base: Duration, packet_bytes: f64) {
        if self.arrived == 0 {
            return;
        }
        let first = *self.first.get_or_insert(Arrival { at: now, bytes: self.arrived });
        let bytes = self.arrived.saturating_sub(first.bytes) as f64;
        if bytes < COMPARED_PACKETS * packet_bytes {
            return;
        }
        let sending = self.last_sent.saturating_sub(self.first_sent);
        let apart = now.saturating_sub(first.at).max(sending);
        let spread = Spread { bytes, apart, whole: now.saturating_sub(self.first_sent) };
        if self.spread.is_none_or(|fastest| fastest.rate(base) < spread.rate(base)) {
            self.spread = Some(spread);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: f64 = 1000.0;
    const BASE: Duration = Duration::from_millis(100);

    fn us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    /// A train whose packets leave `sent_every` µs apart and pass the bottleneck `passed_every` µs apart; one acknowledgement
    /// for ten packets, those of one moment if they are held up until `held` µs after the first could have come.
    fn rate(sent_every: u64, passed_every: u64, held: u64) -> Option<f64> {
        let mut train = Train::default();
        for packet in 0..64 {
            train.handle_sent(us(1_000_000 + packet * sent_every), 1000, PACKET);
        }
        for last in (9..64).step_by(10) {
            for packet in last - 9..=last {
                train.handle_ack(us(1_000_000 + packet * sent_every), 1000);
            }
            let passed = (last + 1) * passed_every.max(sent_every);
            train.handle_end_acks(us(1_100_000 + passed.max(held)), BASE, PACKET);
        }
        train.rate(BASE)
    }

    #[test]
    fn the_bottleneck_shows() {
        for every in [10, 100, 500] {
            let rate = rate(0, every, 0).expect("a rate");
            let exact = PACKET * 1e6 / every as f64;
            assert!((0.8 * exact..=exact).contains(&rate), "{rate} of {exact}");
        }
    }

    #[test]
    fn what_comes_or_leaves_late_does_not_pass_for_speed() {
        assert!(rate(0, 10, 2000).expect("a rate") <= 5e7);
        assert!(rate(200, 10, 0).expect("a rate") <= 5e6);
    }

    #[test]
    fn what_trickles_is_no_train() {
        assert_eq!(rate(6000, 10, 0), None);
    }

    #[test]
    fn trains_leave_a_few_times_and_only_where_they_save_time() {
        let mut train = Train::default();
        let window = |train: &Train, in_flight, rtt| train.window(1e5, in_flight, rtt, PACKET);
        assert_eq!(window(&train, 0, us(20_000)), None);
        assert_eq!(window(&train, 100_000, BASE), None);
        for second in 1..=u64::from(TRAINS) {
            assert_eq!(window(&train, 0, BASE), Some(32.0 * 1e5));
            (0..7).for_each(|_| train.handle_sent(us(1_000_000 * second), 10_000, PACKET));
            assert_eq!(window(&train, 0, BASE), None);
            train.handle_ack(us(1_000_000 * second + 1), 1000);
        }
        assert_eq!(window(&train, 0, BASE), None);
    }
}
