//! What the end of a round decides.

use std::time::Duration;

use super::super::base::Finding;
use super::super::filters::Peak;
use super::super::loss::Verdict;
use super::super::policy::Policy;
use super::super::round::Round;
use super::super::steady::View;
use super::{Controller, PEAK_LENGTH, Phase, RATE_ROUNDS, RATE_ROUNDS_FULL};

/// How much of that is taken back: a little less each time, should it belong to others now.
const RESTORED_SHARE: f64 = 0.85;
/// Rounds in a row with a queue that is not ours before the base is doubted: one may be somebody's burst.
const FOREIGN_ROUNDS: u32 = 2;
/// Rounds in a row that lost more than half before the window is halved, whatever the policy.
const HOPELESS_ROUNDS: u32 = 3;

impl Controller {
    pub(super) fn end_round(&mut self, now: Duration) {
        let round = self.round;
        self.round = Round::new(now, self.sampler.delivered());
        let (Some(rtt), Some(base)) = (round.rtt, self.base.rtt()) else { return };
        self.mean_rtt = round.rtt_mean();
        self.judge_hope(&round);
        let queue = rtt.saturating_sub(base);
        self.base.handle_round(now, queue);
        if round.is_app_limited || self.rate() <= 0.0 {
            return;
        }
        if let Phase::Startup(startup) = &mut self.phase {
            if !startup.handle_round(self.rates[0]) {
                return;
            }
            self.end_startup(now);
        }
        self.peak.insert(now, self.rates[0]);
        self.rates_count = RATE_ROUNDS;
        let mut view = View {
            rate: self.rate(),
            base,
            rtt,
            rtt_peak: round.rtt_peak,
            spread: round.rtt_spread(),
            unused: round.unused(),
            random_loss: self.loss.random(),
            packet_bytes: self.packet_bytes,
        };
        if self.settings.policy == Policy::Low || self.steady.is_full(&view) {
            self.rates_count = RATE_ROUNDS_FULL;
            view.rate = self.rate();
        }
        self.steady.note(&view);
        if round.is_marked {
            self.steady.handle_overflow();
        }
        if matches!(self.phase, Phase::Steady) {
            let was_trying = self.loss.is_trying();
            if self.loss.handle_round(now) == Verdict::Overflow {
                self.steady.handle_overflow();
            }
            if was_trying || self.loss.is_trying() {
                return;
            }
        }
        self.doubt_base(&view, queue);
        self.target = self.steady.handle_round(&view);
        self.follow_target(0.0);
        if self.steady.take_climb() {
            self.phase = Phase::Startup(Box::default());
        }
        self.settings.gauge.write(self.estimate());
    }

    fn doubt_base(&mut self, view: &View, queue: Duration) {
        if self.base.is_checking() {
            self.steady.pause();
            return;
        }
        if !self.steady.is_foreign(view, self.peak.get()) {
            self.foreign_rounds = 0;
            return;
        }
        self.foreign_rounds += 1;
        if self.foreign_rounds >= FOREIGN_ROUNDS {
            self.foreign_rounds = 0;
            self.base.doubt(queue);
        }
    }

    pub(super) fn handle_finding(&mut self, finding: Finding) {
        match (finding, self.settings.policy) {
            (Finding::Confirmed, _) | (Finding::Risen, Policy::Low) => {}
            (Finding::Risen, Policy::Fair | Policy::Fixed(_)) => {
                // We gave way to something that was not our queue: take back what we had.
                let rate = (RESTORED_SHARE * self.peak.get()).max(self.rate());
                self.peak = Peak::new(PEAK_LENGTH);
                self.rates = [rate; RATE_ROUNDS];
                self.target = self.target.max(self.product());
            }
        }
    }

    fn judge_hope(&mut self, round: &Round) {
        if round.lost <= round.delivered {
            self.hopeless_rounds = 0;
            self.hope = (1.25 * self.hope).min(1.0);
            return;
        }
        self.hopeless_rounds += 1;
        if self.hopeless_rounds >= HOPELESS_ROUNDS {
            self.hopeless_rounds = 0;
            self.hope *= 0.5;
        }
    }
}
