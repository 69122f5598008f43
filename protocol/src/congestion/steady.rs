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
    /// Bytes that the window allowed beyond what was in flight, on average.
    pub(super) unused: f64,
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

/// Packets that wait in the queue, times the square root of those that the path holds. With the root a smaller flow claims
/// more for its size, which makes equal flows equal; with 2 a path of 100 Mbit/s and 100 ms keeps 58 packets or 7 ms waiting,
/// which a queue of a tenth of its product takes.
const FAIR_SCALE: f64 = 2.0;
/// Half of that yields to it.
const LOW_SCALE: f64 = 1.0;
/// Least budget as a time: the step of quinn's pacer, and what a busy receiver's scheduler takes.
const BUDGET_SECONDS_MIN: f64 = 0.002;
/// Least budget in packets: one burst of quinn's pacer, and one acknowledgement.
const BUDGET_PACKETS_MIN: f64 = 10.0;
/// After an overflow the queue is kept below this share of its length ...
const OVERFLOW_SHARE: f64 = 0.6;
/// ... but not shorter than this, in seconds ...
const DELAY_MIN: f64 = 0.0005;
/// ... and allowed to grow by a hundredth each round: 50 rounds until the brink is tried again.
const DELAY_GROWTH: f64 = 1.01;
/// Random losses beyond this share do not widen the window: whoever drops so much may mean it.
const REPAIRED_LOSS_MAX: f64 = 0.2;
/// Spreads that are taken for noise, and how much of the base round trip at most: the shortest round trip of a round is as far
/// from the least as the mean is from the shortest.
const NOISE_SPREADS: f64 = 2.0;
const NOISE_SHARE_MAX: f64 = 0.4;
/// What the window allows in vain at most, as a share of what the path holds.
const UNUSED_SHARE_MAX: f64 = 0.4;
/// What it allows in vain anyhow, in seconds: two steps of quinn's pacer.
const UNUSED_SECONDS: f64 = 0.004;
/// A queue so many times the budget's, and a timer's tick longer, is not ours: four equal newcomers make it twice.
const FOREIGN_BUDGETS: f64 = 2.0;
const FOREIGN_SECONDS: f64 = 0.002;
/// A queue so many times the budget's shows a path that is fuller than we want it.
const FULL_BUDGETS: f64 = 1.1;
/// The queue counts as empty below this share of what the budget makes.
const EMPTY_SHARE: f64 = 0.4;
/// ... and this share of what noise adds to it.
const EMPTY_NOISE_SHARE: f64 = 0.7;
/// Most that a step adds, as a share of what the path holds: it may overshoot by that much for two rounds.
const STEP_SHARE_MAX: f64 = 0.5;
/// Share of a step that must show in the rate; half of it would be ours on a link shared with one other.
const STEP_YIELD: f64 = 0.15;
/// Largest steps in a row after which the startup begins again: it ended too early, or the link has become much faster.
const CLIMBS: u32 = 1;
/// Rounds after a check whose figures are of a drained queue.
const DRAINED_ROUNDS: u32 = 2;
/// Rounds without another step, where there is no queue to be seen.
const POLICED_ROUNDS: u32 = 10;

/// The queue budget and how it adapts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steady {
    policy: Policy,
    /// What the budget is multiplied with, while the queue stays empty.
    velocity: f64,
    hold: bool,
    /// Largest steps in a row that the rate followed.
    climbs: u32,
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
    /// What the window allowed in vain in the last rounds, in bytes.
    unused: [f64; 4],
}

impl Steady {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            velocity: 1.0,
            hold: true,
            climbs: 0,
            step_rate: 0.0,
            paused_rounds: 0,
            delay_max: f64::INFINITY,
            target: 0.0,
            peaks: [0.0; 3],
            spreads: [0.0; 4],
            unused: [0.0; 4],
        }
    }

    /// Bytes in flight beyond what the path holds: our part of the queue, and what only looks like one.
    fn budget(&self, view: &View) -> f64 {
        (self.queue_budget(view) + self.noise(view))
            .min(self.most(view))
            .max(self.queue_budget(view))
    }

    /// Bytes that may wait in the queue.
    fn queue_budget(&self, view: &View) -> f64 {
        let scale = match self.policy {
            Policy::Fair | Policy::Fixed(_) => FAIR_SCALE,
            Policy::Low => LOW_SCALE,
        };
        let packets = scale * (view.product() / view.packet_bytes).sqrt();
        let bytes = (packets * view.packet_bytes).max(BUDGET_SECONDS_MIN * view.rate);
        bytes.min(self.most(view)).max(BUDGET_PACKETS_MIN * view.packet_bytes)
    }

    /// Bytes that the queue is known to take.
    fn most(&self, view: &View) -> f64 {
        self.delay_max * view.rate
    }

    /// The startup made the queue run over: it was this long.
    pub(super) fn handle_startup_overflow(&mut self, queue: Duration) {
        self.delay_max = (OVERFLOW_SHARE * queue.as_secs_f64()).max(DELAY_MIN);
    }

    /// The queue ran over in one of the last rounds.
    pub(super) fn handle_overflow(&mut self) {
        let peak = self.peaks.iter().copied().fold(0.0, f64::max);
        // Had the queue been shorter than our budget, it could not have run over.
        self.delay_max = (OVERFLOW_SHARE * peak.max(self.target)).max(DELAY_MIN);
        self.velocity = 1.0;
    }

    /// Takes note of a round, also of one that does not decide the window.
    pub(super) fn note(&mut self, view: &View) {
        self.peaks.rotate_right(1);
        self.peaks[0] = view.rtt_peak.saturating_sub(view.base).as_secs_f64();
        self.spreads.rotate_right(1);
        self.spreads[0] = view.spread.as_secs_f64();
        self.unused.rotate_right(1);
        self.unused[0] = view.unused;
    }

    /// Bytes that jitter and waiting acknowledgements keep in flight: what lies between a packet's round trip and the shortest,
    /// round after round, is not our queue.
    fn noise(&self, view: &View) -> f64 {
        let spread = second_smallest(self.spreads);
        (NOISE_SPREADS * spread).min(NOISE_SHARE_MAX * view.base.as_secs_f64()) * view.rate
    }

    /// Bytes that the window must allow in vain beside the budget: what is acknowledged in bunches is replaced at the pacer's
    /// rate, and the window is full only now and then. A queue that ran over has no room for it.
    fn unused(&self, view: &View, budget: f64) -> f64 {
        // One burst and one acknowledgement are nothing out of the ordinary.
        let usual = (UNUSED_SECONDS * view.rate).max(2.0 * BUDGET_PACKETS_MIN * view.packet_bytes);
        (second_smallest(self.unused) - usual)
            .min(UNUSED_SHARE_MAX * view.product())
            .min(self.most(view) - budget)
            .max(0.0)
    }

    /// Bytes in flight that fill the path, lost ones included, and no more.
    pub(super) fn full(&self, view: &View) -> f64 {
        view.product() / (1.0 - view.random_loss.min(REPAIRED_LOSS_MAX))
    }

    /// The window for the next round.
    pub(super) fn handle_round(&mut self, view: &View) -> f64 {
        let queue = view.queue_seconds();
        self.delay_max *= DELAY_GROWTH;
        let budget = self.budget(view);
        let target = budget / view.rate;
        self.target = target;
        if self.paused_rounds > 0 {
            self.paused_rounds -= 1;
        } else if queue < self.empty_seconds(view, budget) {
            self.step(view, budget);
        } else {
            self.hold = true;
            self.climbs = 0;
            self.velocity = 1.0;
        }
        self.full(view) + budget * self.velocity + self.unused(view, budget)
    }

    /// Whether step after step found room: then doubling is quicker, as at the start. Asking ends the climb.
    pub(super) fn take_climb(&mut self) -> bool {
        // What gives way does not hurry.
        let is_climbing = self.climbs >= CLIMBS && self.policy != Policy::Low;
        if is_climbing {
            self.climbs = 0;
            self.velocity = 1.0;
        }
        is_climbing
    }

    /// A round trip this little above the base means that the queue is empty.
    fn empty_seconds(&self, view: &View, budget: f64) -> f64 {
        let queue = self.queue_budget(view);
        (EMPTY_SHARE * queue + EMPTY_NOISE_SHARE * (budget - queue)) / view.rate
    }

    /// The queue is empty: more may fit. What a step brings shows two rounds later.
    fn step(&mut self, view: &View, budget: f64) {
        self.hold = !self.hold;
        if !self.hold {
            return;
        }
        let expected = 1.0 + budget * self.velocity / view.product();
        if self.velocity > 1.0 && view.rate < self.step_rate * (1.0 + STEP_YIELD * (expected - 1.0))
        {
            // More in flight brought no more: what does not queue is dropped, as by a policer.
            self.velocity = 1.0;
            self.paused_rounds = POLICED_ROUNDS;
            return;
        }
        let most = (STEP_SHARE_MAX * view.product() / budget).max(1.0);
        self.climbs = if self.velocity >= most && most > 1.0 { self.climbs + 1 } else { 0 };
        self.velocity = (2.0 * self.velocity).min(most);
        self.step_rate = view.rate;
    }

    /// Whether the queue is as long as the budget makes it, and a little more: the path is full.
    pub(super) fn is_full(&self, view: &View) -> bool {
        view.queue_seconds() > FULL_BUDGETS * self.budget(view) / view.rate
    }

    /// Whether the queue is longer than ours can be, if `peak` is the rate that we lately had.
    pub(super) fn is_foreign(&self, view: &View, peak: f64) -> bool {
        let view = View { rate: peak.max(view.rate), ..*view };
        self.velocity == 1.0
            && view.queue_seconds()
                > FOREIGN_BUDGETS * self.budget(&view) / view.rate + FOREIGN_SECONDS
    }

    /// What was measured in the next two rounds is of a queue that was drained on purpose.
    pub(super) fn pause(&mut self) {
        self.paused_rounds = DRAINED_ROUNDS;
        self.velocity = 1.0;
    }
}

/// What three of the last four rounds reach: one may be an accident.
fn second_smallest(mut values: [f64; 4]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[1]
}

impl fmt::Display for Steady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "budget {:.1} of {:.1} ms × {:.0}",
            self.target * 1e3,
            self.delay_max * 1e3,
            self.velocity
        )
    }
}
