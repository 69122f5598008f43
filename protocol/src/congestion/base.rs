//! The round trip without a queue: [`Base`].

use std::time::Duration;

/// A measurement older than this is checked. Source: BBR's 10 s (draft-ietf-ccwg-bbr, `MinRTTFilterLen`).
const AGE_MAX: Duration = Duration::from_secs(10);
/// A check that did not bring the round trip all the way back is repeated after this.
const AGE_IN_DOUBT: Duration = Duration::from_secs(3);
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
enum Stage {
    /// Waiting for the bytes in flight to fall.
    Draining,
    /// What left between the two times met the drained queue.
    Measuring { from: Duration, until: Duration, shortest: Option<Duration> },
}

#[derive(Clone, Copy, Debug)]
struct Check {
    depth: Depth,
    stage: Stage,
    /// The queue before, as the round trip showed it.
    queue: Duration,
}

/// What a check found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Finding {
    /// The base holds.
    Confirmed,
    /// Draining our part did not shorten the round trip: the path is longer now, or others fill the queue. What the
    /// round trip fell to is the base from now on.
    Risen,
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
            Check { stage: Stage::Draining, depth: Depth::Shallow, .. } => Some(0.95),
            Check { stage: Stage::Draining, depth: Depth::Deep, .. } => Some(0.5),
            Check { stage: Stage::Measuring { .. }, .. } => None,
        }
    }

    pub(super) fn is_checking(&self) -> bool {
        self.check.is_some()
    }

    pub(super) fn handle_rtt(
        &mut self,
        now: Duration,
        sent: Duration,
        rtt: Duration,
    ) -> Option<Finding> {
        if self.rtt.is_none_or(|base| rtt <= base) {
            self.rtt = Some(rtt);
            self.seen_at = now;
        }
        let check = self.check.as_mut()?;
        let Stage::Measuring { from, until, shortest } = &mut check.stage else { return None };
        if sent < *from {
            return None;
        }
        if sent <= *until || shortest.is_none() {
            *shortest = Some(shortest.map_or(rtt, |before| before.min(rtt)));
            return None;
        }
        let shortest = shortest.unwrap_or(rtt);
        self.conclude(now, shortest)
    }

    fn conclude(&mut self, now: Duration, shortest: Duration) -> Option<Finding> {
        let (check, base) = (self.check?, self.rtt?);
        let rest = shortest.saturating_sub(base);
        let is_back = rest <= TOLERANCE + base / 50;
        if !is_back && check.depth == Depth::Shallow {
            self.check = Some(Check { depth: Depth::Deep, stage: Stage::Draining, ..check });
            return None;
        }
        self.check = None;
        self.seen_at = if is_back { now } else { now.saturating_sub(AGE_MAX - AGE_IN_DOUBT) };
        // Others may have kept a part of the queue. That we moved it at all shows that it is one.
        if is_back || rest < check.queue / 2 {
            return Some(Finding::Confirmed);
        }
        self.rtt = Some(shortest);
        Some(Finding::Risen)
    }

    /// Starts a check when it is due.
    pub(super) fn handle_round(&mut self, now: Duration, queue: Duration) {
        if now.saturating_sub(self.seen_at) > AGE_MAX {
            self.start(Depth::Shallow, queue);
        }
    }

    /// Starts a check: the startup has just filled the path.
    pub(super) fn check(&mut self, queue: Duration) {
        self.start(Depth::Shallow, queue);
    }

    /// Starts a check: the queue is longer than ours can be.
    pub(super) fn doubt(&mut self, queue: Duration) {
        self.start(Depth::Deep, queue);
    }

    fn start(&mut self, depth: Depth, queue: Duration) {
        self.check.get_or_insert(Check { depth, stage: Stage::Draining, queue });
    }

    /// Goes on to measure once the queue is drained. `product` is what the path holds.
    pub(super) fn handle_in_flight(&mut self, now: Duration, in_flight: u64, product: f64) {
        let Some(share) = self.drain_share() else { return };
        if in_flight as f64 > share * product {
            return;
        }
        let until = now + self.rtt.unwrap_or_default() / 4;
        if let Some(check) = &mut self.check {
            check.stage = Stage::Measuring { from: now, until, shortest: None };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A base of 100 ms is doubted at a round trip of `before`; drained, the round trip is `drained`.
    fn check(before: u64, drained: u64, finding: Finding, base: u64) {
        let mut state = Base::default();
        state.handle_rtt(ms(0), ms(0), ms(100));
        state.doubt(ms(before - 100));
        assert_eq!(state.drain_share(), Some(0.5));
        state.handle_in_flight(ms(1000), 500, 1000.0);
        assert_eq!(state.drain_share(), None);
        let mut found = None;
        for sent in [900, 1000, 1010, 1020, 1200] {
            let rtt = if sent < 1000 { before } else { drained };
            found = found.or(state.handle_rtt(ms(sent + rtt), ms(sent), ms(rtt)));
        }
        assert_eq!((found, state.rtt()), (Some(finding), Some(ms(base))));
    }

    #[test]
    fn a_queue_that_drains_leaves_the_base_alone() {
        check(150, 100, Finding::Confirmed, 100);
        check(150, 110, Finding::Confirmed, 100); // others keep the rest
    }

    #[test]
    fn a_round_trip_that_draining_does_not_shorten_is_the_base() {
        check(150, 150, Finding::Risen, 150);
        check(150, 140, Finding::Risen, 140);
    }
}
