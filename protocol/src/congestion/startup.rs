//! The first seconds: [`Startup`].

use std::time::Duration;

use super::policy::Estimate;
use super::train::Train;

/// A fresh path starts at this rate in bytes a second (10 Mbit/s), once its round trip is known ...
const INITIAL_RATE: f64 = 1.25e6;
/// ... but with no more than this in flight: ten times what RFC 6928 allows, spread over a round trip.
const INITIAL_BYTES_MAX: f64 = 256.0 * 1024.0;
/// Shortest round trip of so many packets is compared with the base. Source: HyStart++ (RFC 9406), `N_RTT_SAMPLE`.
const SAMPLES: u32 = 8;
/// ... and of so many acknowledgements, since all but the last packet of one waited for it.
const BATCHES: u32 = 3;
/// Packets that quinn's pacer lets go at once, and two more: they wait for each other.
const BURST_PACKETS: f64 = 12.0;
/// Lost packets, and their share of a round, beyond which the queue must be running over.
const LOST_PACKETS: f64 = 24.0;
const LOST_SHARE: f64 = 0.08;
/// Share of the remembered product that is in flight at once. Source: draft-ietf-tsvwg-careful-resume, section 3.
const JUMP_SHARE: f64 = 0.5;
/// Share of the jump that must have arrived without a queue before the rest is believed.
const CONFIRMING_SHARE: f64 = 0.25;

/// How fast the window may grow each round trip while a train of packets shows that the path carries much more. At 1 Gbit/s
/// and 200 ms half of the path is in use after two round trips of content, which are six by doubling.
const HASTE: f64 = 12.0;

/// What the startup has found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// There is more to find.
    Growing,
    /// The queue has begun to fill.
    Full,
    /// The queue runs over.
    Overflowing,
    /// The remembered rate holds.
    Confirmed,
}

/// A round so far, in bytes, and what it says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) base: Duration,
    /// Delivery rate, bytes a second; 0 if unknown.
    pub(super) rate: f64,
    pub(super) delivered: u64,
    pub(super) lost: u64,
    pub(super) packet_bytes: f64,
}

/// Bytes acknowledged since the window jumped to a part of what is remembered.
#[derive(Clone, Copy, Debug)]
struct Jump {
    from: Duration,
    bytes: f64,
    arrived: f64,
}

/// Doubles the window each round trip, or better, until the path shows that it is full.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Startup {
    remembered: Option<Estimate>,
    jump: Option<Jump>,
    shortest: Option<Duration>,
    /// When the first of these samples came.
    first_at: Duration,
    samples: u32,
    batches: u32,
    full_rate: f64,
    full_rounds: u32,
    train: Option<Train>,
}

impl Startup {
    pub(super) fn new(remembered: Option<Estimate>, train: Option<Train>) -> Self {
        Self { remembered, train, ..Self::default() }
    }

    /// The rate that is confirmed or doubted, if one is remembered.
    pub(super) fn remembered_rate(&self) -> f64 {
        self.remembered.map_or(0.0, |estimate| estimate.rate as f64)
    }

    /// The window to begin with, now that the round trip is known.
    ///
    /// What is remembered counts only if the round trip is about the remembered one: else it is another path.
    pub(super) fn handle_first_rtt(&mut self, now: Duration, rtt: Duration) -> f64 {
        let fresh = (INITIAL_RATE * rtt.as_secs_f64()).min(INITIAL_BYTES_MAX);
        self.remembered = self.remembered.filter(|estimate| {
            let saved = estimate.min_rtt;
            rtt >= saved / 2 && rtt <= 2 * saved + Duration::from_millis(10)
        });
        let Some(estimate) = self.remembered else { return fresh };
        let bytes = JUMP_SHARE * estimate.rate as f64 * estimate.min_rtt.min(rtt).as_secs_f64();
        if bytes <= fresh {
            self.remembered = None;
            return fresh;
        }
        self.train = None;
        self.jump = Some(Jump { from: now, bytes, arrived: 0.0 });
        bytes
    }

    /// Packets leave.
    pub(super) fn handle_sent(&mut self, now: Duration, bytes: u64, packet_bytes: f64) {
        if let Some(train) = &mut self.train {
            train.handle_sent(now, bytes, packet_bytes);
        }
    }

    /// The window while a train leaves, instead of `window`.
    pub(super) fn train_window(
        &self,
        window: f64,
        in_flight: u64,
        base: Duration,
        packet_bytes: f64,
    ) -> f64 {
        let train =
            self.train.and_then(|train| train.window(window, in_flight, base, packet_bytes));
        train.map_or(window, |train| train.max(window))
    }

    /// A packet arrived.
    pub(super) fn handle_ack(&mut self, sent: Duration, rtt: Duration, bytes: u64) {
        if self.shortest.is_none() {
            self.first_at = sent.saturating_add(rtt);
        }
        self.shortest = Some(self.shortest.map_or(rtt, |shortest| shortest.min(rtt)));
        self.samples += 1;
        if let Some(jump) = self.jump.as_mut().filter(|jump| sent >= jump.from) {
            jump.arrived += bytes as f64;
        }
        if let Some(train) = &mut self.train {
            train.handle_ack(sent, bytes);
        }
    }

    /// By how much a window grows that holds so much, now that `bytes` of it arrived.
    pub(super) fn growth(&self, window: f64, base: Duration, bytes: u64) -> f64 {
        let bytes = bytes as f64;
        let seen = self.train.and_then(|train| train.rate(base)).unwrap_or_default();
        let room = JUMP_SHARE * seen * base.as_secs_f64() - window;
        ((HASTE - 1.0) * bytes).min(room).max(bytes)
    }

    pub(super) fn handle_end_acks(&mut self, now: Duration, look: &Look) -> Progress {
        if let Some(train) = &mut self.train {
            train.handle_end_acks(now, look.base, look.packet_bytes);
        }
        let delivered = look.delivered as f64 / look.packet_bytes;
        let lost = look.lost as f64 / look.packet_bytes;
        if lost >= LOST_PACKETS && lost > LOST_SHARE * (delivered + lost) {
            return Progress::Overflowing;
        }
        self.batches += 1;
        let margin = (look.base / 16).clamp(Duration::from_millis(4), Duration::from_millis(16));
        // Those that come at once after a busy processor's pause were all late.
        let is_long = now.saturating_sub(self.first_at) >= margin;
        if self.samples < SAMPLES || self.batches < BATCHES || !is_long {
            return Progress::Growing;
        }
        let shortest = self.shortest.take().unwrap_or_default();
        (self.samples, self.batches) = (0, 0);
        let rate = look.rate.max(self.remembered_rate()).max(INITIAL_RATE);
        let burst = Duration::from_secs_f64((BURST_PACKETS * look.packet_bytes / rate).min(0.1));
        if shortest > look.base + margin + burst {
            return Progress::Full;
        }
        match self.jump {
            Some(jump) if jump.arrived >= CONFIRMING_SHARE * jump.bytes => Progress::Confirmed,
            Some(_) | None => Progress::Growing,
        }
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
