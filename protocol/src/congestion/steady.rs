//! The window once the path is known: [`Steady`].

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

/// The queue budget and how it adapts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steady {
    policy: Policy,
    /// What the budget is multiplied with, while the queue stays empty.
    velocity: f64,
    hold: bool,
    paused_rounds: u32,
    /// Delay in seconds that our queue may cause at most: learned from overflow.
    delay_max: f64,
    /// Longest queue, in seconds, of the last rounds.
    peaks: [f64; 3],
    window: f64,
}

impl Steady {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            velocity: 1.0,
            hold: true,
            paused_rounds: 0,
            delay_max: f64::INFINITY,
            peaks: [0.0; 3],
            window: 0.0,
        }
    }

    /// Bytes that may wait in the queue.
    fn budget(&self, view: &View) -> f64 {
        let scale = match self.policy {
            Policy::Fair | Policy::Fixed(_) => 2.0,
            Policy::Low => 1.0,
        };
        let packets = scale * (view.product() / view.packet_bytes).sqrt();
        let bytes = (packets * view.packet_bytes).max(0.002 * view.rate);
        bytes.min(self.delay_max * view.rate).max(10.0 * view.packet_bytes)
    }

    /// The queue ran over in one of the last rounds.
    pub(super) fn handle_overflow(&mut self) {
        let peak = self.peaks.iter().copied().fold(0.0, f64::max);
        self.delay_max = (0.6 * peak).max(0.0005);
        self.velocity = 1.0;
    }

    pub(super) fn note_peak(&mut self, view: &View) {
        let peak = view.rtt_peak.saturating_sub(view.base).as_secs_f64();
        self.peaks = [peak, self.peaks[0], self.peaks[1]];
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
        if self.paused_rounds > 0 {
            self.paused_rounds -= 1;
        } else if queue < 0.4 * target {
            // What a step brings shows two rounds later.
            self.hold = !self.hold;
            if self.hold {
                let most = (0.5 * view.product() / budget).max(1.0);
                self.velocity = (2.0 * self.velocity).min(most);
            }
        } else {
            self.hold = true;
            self.velocity = 1.0;
        }
        self.window = self.full(view) + budget * self.velocity;
        self.window
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

    pub(super) fn velocity(&self) -> f64 {
        self.velocity
    }

    pub(super) fn delay_max(&self) -> f64 {
        self.delay_max
    }
}
