//! The round trip without a queue: [`Base`].

use std::time::Duration;

/// A measurement older than this is checked. Source: BBR's 10 s (draft-ietf-ccwg-bbr, `MinRTTFilterLen`).
const AGE_MAX: Duration = Duration::from_secs(10);
/// A round trip this little above the base confirms it: a timer's tick.
const TOLERANCE: Duration = Duration::from_millis(1);

/// How deep a check drains our own part of the queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Depth {
    /// Just below what the path holds: costs nearly nothing, and is enough for a flow on its own.
    Shallow,
    /// Half of what the path holds: empties a queue that others fill too, so that they see the base as well.
    Deep,
}

#[derive(Clone, Copy, Debug)]
enum Check {
    /// Waiting for the bytes in flight to fall.
    Draining(Depth),
    /// What left between the two times met the emptied queue.
    Measuring { depth: Depth, from: Duration, until: Duration, shortest: Option<Duration> },
}

/// The shortest round trip, and how it is kept true.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Base {
    rtt: Option<Duration>,
    seen_at: Duration,
    check: Option<Check>,
}

impl Base {
    pub(super) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// What share of what the path holds may be in flight, while a check drains.
    pub(super) fn drain_share(&self) -> Option<f64> {
        match self.check? {
            Check::Draining(Depth::Shallow) => Some(0.95),
            Check::Draining(Depth::Deep) => Some(0.5),
            Check::Measuring { .. } => None,
        }
    }

    pub(super) fn is_checking(&self) -> bool {
        self.check.is_some()
    }

    pub(super) fn handle_rtt(&mut self, now: Duration, sent: Duration, rtt: Duration) {
        if self.rtt.is_none_or(|base| rtt <= base) {
            self.rtt = Some(rtt);
            self.seen_at = now;
        }
        let Some(Check::Measuring { depth, from, until, shortest }) = self.check else { return };
        if sent < from {
            return;
        }
        if sent <= until {
            let shortest = Some(shortest.map_or(rtt, |before| before.min(rtt)));
            self.check = Some(Check::Measuring { depth, from, until, shortest });
            return;
        }
        self.conclude(now, depth, shortest.unwrap_or(rtt));
    }

    fn conclude(&mut self, now: Duration, depth: Depth, shortest: Duration) {
        let base = self.rtt.unwrap_or(shortest);
        let is_confirmed = shortest <= base + TOLERANCE + base / 50;
        if !is_confirmed && depth == Depth::Shallow {
            self.check = Some(Check::Draining(Depth::Deep));
            return;
        }
        if !is_confirmed {
            self.rtt = Some(shortest);
        }
        self.seen_at = now;
        self.check = None;
    }

    /// Starts a check when it is due.
    pub(super) fn handle_round(&mut self, now: Duration) {
        if self.check.is_none() && now.saturating_sub(self.seen_at) > AGE_MAX {
            self.check = Some(Check::Draining(Depth::Shallow));
        }
    }

    /// Starts a check at once: the queue is longer than ours can be.
    pub(super) fn doubt(&mut self) {
        if self.check.is_none() {
            self.check = Some(Check::Draining(Depth::Deep));
        }
    }

    /// Goes on to measure once the queue is drained. `product` is what the path holds.
    pub(super) fn handle_in_flight(&mut self, now: Duration, in_flight: u64, product: f64) {
        let (Some(Check::Draining(depth)), Some(share)) = (self.check, self.drain_share()) else {
            return;
        };
        if in_flight as f64 <= share * product {
            let until = now + self.rtt.unwrap_or_default() / 4;
            self.check = Some(Check::Measuring { depth, from: now, until, shortest: None });
        }
    }
}
