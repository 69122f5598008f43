//! What is done for a connection while it lives, from how its counters move: [`Care`].
//!
//! Two things that quinn does not do by itself: its windows are fixed, and on a long, fast link they have to grow; and
//! nobody learns that a link was silent. Being looked after also wakes a connection: after an outage quinn would stay
//! silent for as long again, since its probe timeout doubles without a bound.

use std::time::Duration;

use tokio::time::Instant;

/// How often a connection is looked after, and woken: short beside the time in which a user would notice.
pub(super) const CARE_INTERVAL: Duration = Duration::from_millis(250);
/// A silence from which on it counts as an outage: longer than a loss repaired by a probe takes on any usable link.
const OUTAGE: Duration = Duration::from_secs(2);
/// Over what time the rate of arrival is taken: long enough that a burst does not count as a rate.
const RATE_SPAN: Duration = Duration::from_secs(1);

/// Receive window of a connection that has not shown what it needs: fills 250 Mbit/s over 1 s.
pub(super) const RECEIVE_BYTES_MIN: u32 = 32 << 20;
/// Send window of one: what is in flight on most links, and little to have waiting on a slow one. It follows the
/// congestion window; one that begins with a remembered rate waits for it once.
pub(super) const SEND_BYTES_MIN: u32 = 16 << 20;
/// Largest window of a connection: 1 Gbit/s over 200 ms needs 25 MB in flight, as much again behind gaps that are
/// repaired in one round trip, and as much again behind those that take two. What one peer can make us hold.
pub(super) const WINDOW_BYTES_MAX: u32 = 128 << 20;
/// Windows as a multiple of what is in flight, for the same reason, with some room for jitter.
const WINDOW_ROUNDS: u64 = 4;
/// A link that is this fast, in bytes a second (1 Gbit/s), does not wait until the receiver has measured it.
const FAST_RATE: f64 = 125e6;

/// Counters of a connection at one moment, all since its beginning.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    /// Frames that the peer must acknowledge: content and pings.
    pub(super) sent_frames: u64,
    pub(super) received_datagrams: u64,
    pub(super) received_bytes: u64,
    /// Whether this side has opened the peer's job: before that it reads nothing, and keeps no more than it must.
    pub(super) is_opened: bool,
    /// Bytes that the congestion controller lets be in flight.
    pub(super) congestion_window: u64,
    /// Smoothed.
    pub(super) round_trip: Duration,
}

/// Windows of a connection, in bytes. They never fall.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Windows {
    /// What may be sent and not acknowledged.
    pub(super) send: u32,
    /// What may have arrived and not been read.
    pub(super) receive: u32,
}

/// Follows a connection's counters.
#[derive(Debug)]
pub(super) struct Care {
    last: Reading,
    /// When the peer was spoken to first since, as far as was seen.
    asked_at: Option<Instant>,
    /// Outages that are over.
    lost: Duration,
    span_from: Instant,
    span_bytes: u64,
    windows: Windows,
}

impl Care {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            last: Reading::default(),
            asked_at: None,
            lost: Duration::ZERO,
            span_from: now,
            span_bytes: 0,
            windows: Windows { send: SEND_BYTES_MIN, receive: RECEIVE_BYTES_MIN },
        }
    }

    /// Takes in the counters, and says what the windows shall be.
    pub(super) fn look(&mut self, now: Instant, reading: Reading) -> Windows {
        if reading.received_datagrams > self.last.received_datagrams {
            self.lost += self.outage(now);
            self.asked_at = None;
        } else if reading.sent_frames > self.last.sent_frames {
            self.asked_at.get_or_insert(now);
        }
        self.last = reading;
        self.windows.send =
            self.windows.send.max(window_for(reading.congestion_window, SEND_BYTES_MIN));
        if reading.is_opened {
            self.widen(now, &reading);
        }
        self.windows
    }

    /// Follows what arrives with the receive window.
    fn widen(&mut self, now: Instant, reading: &Reading) {
        let mut rate = FAST_RATE;
        let span = now.saturating_duration_since(self.span_from);
        if span >= RATE_SPAN {
            rate = rate.max((reading.received_bytes - self.span_bytes) as f64 / span.as_secs_f64());
            self.span_from = now;
            self.span_bytes = reading.received_bytes;
        }
        let in_flight = (rate * reading.round_trip.as_secs_f64()) as u64;
        self.windows.receive = self.windows.receive.max(window_for(in_flight, RECEIVE_BYTES_MIN));
    }

    /// How long the peer has not answered; zero while that is not long enough to matter.
    pub(super) fn outage(&self, now: Instant) -> Duration {
        let Some(asked_at) = self.asked_at else { return Duration::ZERO };
        let silent = now.saturating_duration_since(asked_at);
        if silent >= OUTAGE { silent } else { Duration::ZERO }
    }

    /// Time of all outages so far, the present one included.
    pub(super) fn lost(&self, now: Instant) -> Duration {
        self.lost + self.outage(now)
    }
}

fn window_for(in_flight_bytes: u64, least: u32) -> u32 {
    let wanted = u32::try_from(in_flight_bytes.saturating_mul(WINDOW_ROUNDS)).unwrap_or(u32::MAX);
    wanted.clamp(least, WINDOW_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Looks every 250 ms; each row says how many frames were sent and datagrams received meanwhile.
    fn follow(rows: &[(u64, u64)]) -> (Care, Instant) {
        let mut now = Instant::now();
        let mut care = Care::new(now);
        let mut reading = Reading::default();
        for (sent, received) in rows {
            now += CARE_INTERVAL;
            reading.sent_frames += sent;
            reading.received_datagrams += received;
            care.look(now, reading);
        }
        (care, now)
    }

    #[test]
    fn an_outage_is_a_silence_of_a_peer_that_was_spoken_to() {
        let mut rows = vec![(5, 5), (1, 0)];
        rows.extend([(0, 0); 19]);
        let (care, now) = follow(&rows);
        assert_eq!(care.outage(now), 4750 * MS);
        rows.push((1, 1));
        let (care, now) = follow(&rows);
        assert_eq!((care.outage(now), care.lost(now)), (Duration::ZERO, 5000 * MS));
    }

    #[test]
    fn a_pause_in_which_nothing_is_said_is_no_outage() {
        let mut rows = vec![(5, 5)];
        rows.extend([(0, 0); 40]);
        rows.push((1, 1));
        let (care, now) = follow(&rows);
        assert_eq!(care.lost(now), Duration::ZERO);
        // Nor if the answer to what ends it takes its time.
        rows.pop();
        rows.extend([(1, 0), (0, 0), (0, 1)]);
        let (care, now) = follow(&rows);
        assert_eq!(care.lost(now), Duration::ZERO);
    }

    #[test]
    fn a_long_link_has_a_window_for_a_fast_one_once_the_job_is_open_and_not_before() {
        let receives = |is_opened, millis| {
            let round_trip = millis * MS;
            let reading = Reading { is_opened, round_trip, ..Reading::default() };
            Care::new(Instant::now()).look(Instant::now(), reading).receive
        };
        let opened = [1, 50, 100, 1000].map(|millis| receives(true, millis));
        assert_eq!(opened, [RECEIVE_BYTES_MIN, RECEIVE_BYTES_MIN, 50_000_000, WINDOW_BYTES_MAX]);
        assert_eq!(receives(false, 1000), RECEIVE_BYTES_MIN);
    }

    #[test]
    fn a_peer_whose_job_is_not_open_cannot_widen_the_window_by_sending() {
        let begin = Instant::now();
        let mut care = Care::new(begin);
        let flood =
            Reading { received_bytes: 1 << 30, round_trip: 1000 * MS, ..Reading::default() };
        assert_eq!(care.look(begin + 2 * RATE_SPAN, flood).receive, RECEIVE_BYTES_MIN);
    }

    #[test]
    fn windows_follow_what_is_in_flight_within_their_bounds_and_never_fall() {
        let begin = Instant::now();
        let mut care = Care::new(begin);
        let mut look = |second: u32, received_bytes, congestion_window| {
            let round_trip = 20 * MS;
            let reading = Reading {
                received_bytes,
                congestion_window,
                round_trip,
                is_opened: true,
                ..Reading::default()
            };
            let windows = care.look(begin + second * RATE_SPAN, reading);
            (windows.send, windows.receive)
        };
        assert_eq!(look(1, 1 << 20, 1 << 20), (SEND_BYTES_MIN, RECEIVE_BYTES_MIN));
        // 1000 MiB in a second are 20 MiB in a round trip.
        assert_eq!(look(2, 1001 << 20, 20 << 20), (80 << 20, 80 << 20));
        assert_eq!(look(3, 1002 << 20, 1 << 20), (80 << 20, 80 << 20));
        assert_eq!(look(4, 1 << 40, u64::MAX), (WINDOW_BYTES_MAX, WINDOW_BYTES_MAX));
    }
}
