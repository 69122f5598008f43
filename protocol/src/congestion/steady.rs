//! The window once the path is known: [`Steady`].

use std::fmt;
use std::time::Duration;

use super::policy::Policy;

/// What a round told.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// Delivery rate, bytes a second.
    pub(super) rate: f64,
    pub(super) base: Duration,
    /// Shortest round trip of the round.
    pub(super) rtt: Duration,
    /// The queue of the round at its longest, with the path.
    pub(super) rtt_peak: Duration,
    /// By how much the mean round trip of the round exceeds the shortest.
    pub(super) spread: Duration,
    /// Share lost by chance.
    pub(super) random_loss: f64,
    pub(super) packet_bytes: f64,
}

impl View {
    fn queue_seconds(&self) -> f64 {
        self.rtt.saturating_sub(self.base).as_secs_f64()
    }

    /// Bytes that fill the path and no more.
    fn product(&self) -> f64 {
        self.rate * self.base.as_secs_f64()
    }
}

/// The queue counts as empty below this share of what the budget makes.
const EMPTY_SHARE: f64 = 0.4;
/// Most that a step adds, as a share of what the path holds: it may overshoot by that much for two rounds.
const STEP_SHARE_MAX: f64 = 0.5;
/// Share of a step that must show in the rate; half of it would be ours on a link shared with one other.
const STEP_YIELD: f64 = 0.15;
/// Rounds without another step, where there is no queue to be seen.
const POLICED_ROUNDS: u32 = 10;

/// The queue budget and how it adapts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steady {
    policy: Policy,
    /// What the budget is multiplied with, while the queue stays empty.
    velocity: f64,
    hold: bool,
    /// Delivery rate at the last step.
    step_rate: f64,
    paused_rounds: u32,
    /// Delay in seconds that our queue may cause at most: learned from overflow.
    delay_max: f64,
    /// Delay in seconds that the budget makes.
    target: f64,
    /// Longest queue, in seconds, of the last rounds.
    peaks: [f64; 3],
    /// Spreads of the last rounds, in seconds.
    spreads: [f64; 4],
}

impl Steady {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            velocity: 1.0,
            hold: true,
            step_rate: 0.0,
            paused_rounds: 0,
            delay_max: f64::INFINITY,
            target: 0.0,
            peaks: [0.0; 3],
            spreads: [0.0; 4],
        }
    }

    /// Bytes that may wait in the queue.
    fn budget(&self, view: &View) -> f64 {
        let scale = match self.policy {
            Policy::Fair | Policy::Fixed(_) => 2.0,
            Policy::Low => 1.0,
        };
        let packets = scale * (view.product() / view.packet_bytes).sqrt();
        let bytes = (packets * view.packet_bytes).max(0.002 * view.rate) + self.noise(view);
        bytes.min(self.delay_max * view.rate).max(10.0 * view.packet_bytes)
    }

    /// The startup made the queue run over: it was this long.
    pub(super) fn handle_startup_overflow(&mut self, queue: Duration) {
        self.delay_max = (0.6 * queue.as_secs_f64()).max(0.0005);
    }

    /// The queue ran over in one of the last rounds.
    pub(super) fn handle_overflow(&mut self) {
        let peak = self.peaks.iter().copied().fold(0.0, f64::max);
        // Had the queue been shorter than our budget, it could not have run over.
        self.delay_max = 0.6 * peak.max(self.target).max(0.0005);
        self.velocity = 1.0;
    }

    /// Takes note of a round, also of one that does not decide the window.
    pub(super) fn note(&mut self, view: &View) {
        self.peaks.rotate_right(1);
        self.peaks[0] = view.rtt_peak.saturating_sub(view.base).as_secs_f64();
        self.spreads.rotate_right(1);
        self.spreads[0] = view.spread.as_secs_f64();
    }

    /// Bytes that jitter and waiting acknowledgements keep in flight: what lies between a packet's round trip and the shortest,
    /// round after round, is not our queue.
    fn noise(&self, view: &View) -> f64 {
        let mut spreads = self.spreads;
        spreads.sort_by(f64::total_cmp);
        let spread = spreads[1];
        (2.0 * spread).min(0.4 * view.base.as_secs_f64()) * view.rate
    }

    /// Bytes in flight that fill the path, lost ones included, and no more.
    pub(super) fn full(&self, view: &View) -> f64 {
        view.product() / (1.0 - view.random_loss.min(0.2))
    }

    /// The window for the next round.
    pub(super) fn handle_round(&mut self, view: &View) -> f64 {
        let queue = view.queue_seconds();
        self.delay_max *= 1.01;
        let budget = self.budget(view);
        let target = budget / view.rate;
        self.target = target;
        if self.paused_rounds > 0 {
            self.paused_rounds -= 1;
        } else if queue < EMPTY_SHARE * target {
            self.step(view, budget);
        } else {
            self.hold = true;
            self.velocity = 1.0;
        }
        self.full(view) + budget * self.velocity
    }

    /// The queue is empty: more may fit. What a step brings shows two rounds later.
    fn step(&mut self, view: &View, budget: f64) {
        self.hold = !self.hold;
        if !self.hold {
            return;
        }
        let expected = 1.0 + budget * self.velocity / view.product();
        if self.velocity > 1.0 && view.rate < self.step_rate * (1.0 + STEP_YIELD * (expected - 1.0)) {
            // More in flight brought no more: what does not queue is dropped, as by a policer.
            self.velocity = 1.0;
            self.paused_rounds = POLICED_ROUNDS;
            return;
        }
        let most = (STEP_SHARE_MAX * view.product() / budget).max(1.0);
        self.velocity = (2.0 * self.velocity).min(most);
        self.step_rate = view.rate;
    }

    /// Whether the queue is longer than ours can be, if `peak` is the rate that we lately had.
    pub(super) fn is_foreign(&self, view: &View, peak: f64) -> bool {
        let view = View { rate: peak.max(view.rate), ..*view };
        self.velocity == 1.0
            && view.queue_seconds() > 2.0 * self.budget(&view) / view.rate + 0.002
    }

    /// What was measured in the next two rounds is of a queue that was drained on purpose.
    pub(super) fn pause(&mut self) {
        self.paused_rounds = 2;
        self.velocity = 1.0;
    }
}

impl fmt::Display for Steady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "budget {:.1} of {:.1} ms × {:.0}", self.target * 1e3, self.delay_max * 1e3, self.velocity)
    }
}
