//! Which loss is chance and which is our own queue running over: [`LossMeter`].
//!
//! Chance does not care how much we send. So when more is lost than the path is known to lose, a trial tells: for a moment a
//! little less than the path holds is in flight, so that the queue is empty. If as much is lost then, it was chance, and
//! the known share rises; if not, it was our queue.

use std::time::Duration;

/// Packets in a judgement: at 1 % three losses are expected, and nine are no longer chance.
const JUDGED_PACKETS: f64 = 300.0;
/// Losses beyond what chance explains that are no alarm yet.
const SLACK_PACKETS: f64 = 4.0;
/// Standard deviations of chance that are no alarm.
const DEVIATIONS: f64 = 3.0;
/// Weight of a judgement in the mean share, once five were made.
const WEIGHT: f64 = 0.1;
/// Rounds that a trial lasts at most, on paths that hold few packets.
const TRIAL_ROUNDS: u32 = 4;

/// No link that is worth using loses more by chance.
const RANDOM_MAX: f64 = 0.5;

/// What a round of losses means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Nothing new.
    Chance,
    /// The queue runs over: it was too long before the trial began.
    Overflow,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    lost: f64,
    total: f64,
}

impl Tally {
    fn share(self) -> f64 {
        if self.total > 0.0 { self.lost / self.total } else { 0.0 }
    }
}

#[derive(Clone, Copy, Debug)]
struct Trial {
    /// Packets that left from then on count; `None` while the queue drains.
    from: Option<Duration>,
    rounds: u32,
    tally: Tally,
    suspected: Tally,
}

/// Follows the share of packets lost by chance.
#[derive(Clone, Copy, Debug)]
pub(super) struct LossMeter {
    /// At most [`RANDOM_MAX`].
    random: f64,
    judgements: u32,
    /// Packets that left earlier do not count.
    since: Duration,
    tally: Tally,
    trial: Option<Trial>,
}

impl LossMeter {
    pub(super) fn new(remembered: Option<f64>) -> Self {
        Self {
            random: remembered.filter(|share| (0.0..=RANDOM_MAX).contains(share)).unwrap_or(0.0),
            judgements: if remembered.is_some() { 5 } else { 0 },
            since: Duration::ZERO,
            tally: Tally::default(),
            trial: None,
        }
    }

    /// Share of packets lost by chance, 0 to 1.
    pub(super) fn random(&self) -> f64 {
        self.random
    }

    /// Whether the queue should be kept empty.
    pub(super) fn is_trying(&self) -> bool {
        self.trial.is_some()
    }

    pub(super) fn handle_ack(&mut self, sent: Duration) {
        self.count(sent, 0.0, 1.0);
    }

    pub(super) fn handle_loss(&mut self, sent: Duration, packets: f64) {
        self.count(sent, packets, packets);
    }

    fn count(&mut self, sent: Duration, lost: f64, total: f64) {
        let tally = match &mut self.trial {
            None if sent >= self.since => &mut self.tally,
            Some(trial) if trial.from.is_some_and(|from| sent >= from) => &mut trial.tally,
            None | Some(_) => return,
        };
        tally.lost += lost;
        tally.total += total;
    }

    /// The queue is drained: from now on the trial counts.
    pub(super) fn handle_drained(&mut self, now: Duration) {
        if let Some(trial) = &mut self.trial {
            trial.from.get_or_insert(now);
        }
    }

    /// A round of a flow that had enough to send is over.
    pub(super) fn handle_round(&mut self, now: Duration) -> Verdict {
        let Some(trial) = &mut self.trial else { return self.judge() };
        if trial.from.is_none() {
            return Verdict::Chance;
        }
        trial.rounds += 1;
        let is_enough = trial.tally.total >= JUDGED_PACKETS && trial.rounds >= 2;
        if !is_enough && trial.rounds < TRIAL_ROUNDS {
            return Verdict::Chance;
        }
        let trial = *trial;
        self.trial = None;
        self.restart(now);
        let excess = trial.suspected.share() - self.random;
        if trial.tally.share() - self.random >= 0.5 * excess {
            // Chance: the trial's share is the best that is known.
            self.random = trial.tally.share().min(RANDOM_MAX);
            self.judgements = 5;
            return Verdict::Chance;
        }
        self.random += 0.5 * (trial.tally.share() - self.random);
        Verdict::Overflow
    }

    fn judge(&mut self) -> Verdict {
        let Tally { lost, total } = self.tally;
        let expected = self.random * total;
        if lost - expected > SLACK_PACKETS + DEVIATIONS * expected.sqrt() {
            self.trial = Some(Trial {
                from: None,
                rounds: 0,
                tally: Tally::default(),
                suspected: self.tally,
            });
            return Verdict::Chance;
        }
        if total >= JUDGED_PACKETS {
            let weight = if self.judgements < 5 { 0.3 } else { WEIGHT };
            self.judgements = self.judgements.saturating_add(1);
            self.random += weight * (self.tally.share().min(RANDOM_MAX) - self.random);
            self.tally = Tally::default();
        }
        Verdict::Chance
    }

    /// Takes what was counted so far for chance.
    pub(super) fn learn(&mut self) {
        if self.tally.total >= JUDGED_PACKETS && self.judgements == 0 {
            self.random = self.tally.share().min(RANDOM_MAX);
            self.judgements = 1;
        }
    }

    /// Forgets what was counted: it is known to be something else.
    pub(super) fn restart(&mut self, now: Duration) {
        self.since = now;
        self.tally = Tally::default();
        self.trial = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Rounds of a thousand packets each 100 ms, of which `lost` are lost unless the trial keeps the queue empty, then
    /// `lost_when_empty`.
    fn verdicts(
        meter: &mut LossMeter,
        rounds: u64,
        lost: u32,
        lost_when_empty: u32,
    ) -> Vec<Verdict> {
        (1..=rounds)
            .map(|round| {
                let sent = ms(100 * round);
                meter.handle_drained(sent);
                let lost = if meter.is_trying() { lost_when_empty } else { lost };
                meter.handle_loss(sent, f64::from(lost));
                (lost..1000).for_each(|_| meter.handle_ack(sent));
                meter.handle_round(sent)
            })
            .filter(|verdict| *verdict != Verdict::Chance)
            .collect()
    }

    #[test]
    fn loss_that_an_empty_queue_has_too_is_chance() {
        let mut meter = LossMeter::new(None);
        assert_eq!(verdicts(&mut meter, 10, 30, 30), []);
        assert!((0.02..=0.04).contains(&meter.random()));
    }

    #[test]
    fn loss_that_goes_with_the_queue_is_overflow() {
        let mut meter = LossMeter::new(Some(0.01));
        assert_eq!(verdicts(&mut meter, 4, 60, 10), [Verdict::Overflow]);
        assert!((0.009..=0.011).contains(&meter.random()));
    }

    #[test]
    fn an_outage_during_a_trial_teaches_nothing() {
        let mut meter = LossMeter::new(Some(0.01));
        meter.handle_loss(ms(100), 300.0);
        (0..700).for_each(|_| meter.handle_ack(ms(100)));
        meter.handle_round(ms(100));
        meter.handle_drained(ms(200));
        assert!(meter.is_trying());
        meter.restart(ms(5000));
        meter.handle_loss(ms(300), 1000.0);
        assert!(!meter.is_trying());
        meter.handle_round(ms(5100));
        assert!((0.009..=0.011).contains(&meter.random()));
    }

    #[test]
    fn what_is_remembered_must_be_a_share() {
        for share in [f64::NAN, -1.0, 2.0, f64::INFINITY] {
            assert_eq!(LossMeter::new(Some(share)).random(), 0.0);
        }
    }
}
