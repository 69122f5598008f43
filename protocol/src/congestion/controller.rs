//! The parts put together: [`Controller`].

use std::fmt;
use std::time::Duration;

use super::base::{Base, Finding};
use super::delivery::Sampler;
use super::filters::Peak;
use super::gauge::Reading;
use super::loss::{LossMeter, Verdict};
use super::policy::{Estimate, Policy, Settings};
use super::round::Round;
use super::startup::Startup;
use super::steady::{Steady, View};

/// Window before the first round trip is known, in packets: the handshake, and what goes with it.
const INITIAL_PACKETS: f64 = 32.0;
/// Once it is known, a fresh path starts at this rate in bytes a second (10 Mbit/s) ...
const INITIAL_RATE: f64 = 1.25e6;
/// ... but with no more than this in flight.
const INITIAL_BYTES_MAX: f64 = 256.0 * 1024.0;

/// How long the highest rate is remembered that a longer queue may have taken from us.
const PEAK_LENGTH: Duration = Duration::from_secs(10);
/// How much of that is taken back: a little less each time, should it belong to others now.
const RESTORED_SHARE: f64 = 0.85;

#[derive(Clone, Copy, Debug)]
enum Phase {
    Startup(Startup),
    Steady,
}

/// The congestion controller of one path.
#[derive(Clone, Debug)]
pub struct Controller {
    settings: Settings,
    packet_bytes: f64,
    sampler: Sampler,
    round: Round,
    base: Base,
    loss: LossMeter,
    phase: Phase,
    steady: Steady,
    /// Bytes that may be in flight; falls to `target` by half of what is acknowledged, so that sending thins out rather than
    /// stops: a gap would come back as a gap in the acknowledgements, round after round.
    window: f64,
    target: f64,
    in_flight: u64,
    /// The same after the last acknowledgement.
    in_flight_at_ack: u64,
    /// Delivery rates of this round and the one before.
    rates: [f64; 2],
    /// The highest delivery rate of the last seconds.
    peak: Peak,
    /// Rounds in a row with a queue that is not ours.
    foreign_rounds: u32,
    last_ack: Duration,
    latest_rtt: Duration,
}

impl Controller {
    /// A controller for a fresh path. `packet_bytes` is the UDP payload of a packet.
    pub fn new(settings: Settings, packet_bytes: u16) -> Self {
        let packet_bytes = f64::from(packet_bytes.max(1));
        Self {
            loss: LossMeter::new(settings.remembered.map(|estimate| estimate.loss)),
            steady: Steady::new(settings.policy),
            settings,
            packet_bytes,
            sampler: Sampler::default(),
            round: Round::new(Duration::ZERO, 0),
            base: Base::default(),
            phase: Phase::Startup(Startup::default()),
            window: INITIAL_PACKETS * packet_bytes,
            target: INITIAL_PACKETS * packet_bytes,
            in_flight: 0,
            in_flight_at_ack: 0,
            rates: [0.0; 2],
            peak: Peak::new(PEAK_LENGTH),
            foreign_rounds: 0,
            last_ack: Duration::ZERO,
            latest_rtt: Duration::ZERO,
        }
    }

    fn rate(&self) -> f64 {
        self.rates[0].max(self.rates[1])
    }

    fn product(&self) -> f64 {
        self.rate() * self.base.rtt().unwrap_or_default().as_secs_f64()
    }

    /// Packets left.
    pub fn handle_sent(&mut self, now: Duration, bytes: u64) {
        self.sampler.handle_sent(now, self.in_flight == 0);
        self.in_flight = self.in_flight.saturating_add(bytes);
    }

    /// A packet that left at `sent` arrived.
    pub fn handle_ack(&mut self, now: Duration, sent: Duration, bytes: u64) {
        if now.saturating_sub(self.last_ack) > self.patience() {
            self.resume(now);
        }
        let rtt = now.saturating_sub(sent).max(Duration::from_micros(1));
        self.latest_rtt = rtt;
        self.last_ack = now;
        let is_first = self.base.rtt().is_none();
        if let Some(finding) = self.base.handle_rtt(now, sent, rtt) {
            self.handle_finding(finding);
        }
        self.sampler.handle_ack(now, sent, bytes);
        self.round.handle_ack(rtt, bytes);
        self.loss.handle_ack(sent);
        if is_first {
            let initial = (INITIAL_RATE * rtt.as_secs_f64()).min(INITIAL_BYTES_MAX);
            self.window = self.window.max(initial);
        }
        if let Phase::Startup(startup) = &mut self.phase {
            self.window += bytes as f64;
            self.target = self.window;
            startup.handle_rtt(rtt);
        } else {
            let target = self.target();
            if self.window > target {
                let share = if self.window > 1.5 * target { 1.0 } else { 0.5 };
                self.window = (self.window - share * bytes as f64).max(target);
            } else {
                self.window = target;
            }
        }
    }

    /// A batch of acknowledgements is complete.
    pub fn handle_end_acks(&mut self, now: Duration, in_flight: u64, app_limited: bool) {
        self.in_flight = in_flight;
        self.in_flight_at_ack = in_flight;
        self.round.handle_end_acks();
        let Some(base) = self.base.rtt() else { return };
        let product = self.product();
        self.base.handle_in_flight(now, in_flight, product);
        if self.loss.is_trying() && in_flight as f64 <= self.trial_window() {
            self.loss.handle_drained(now);
        }
        let sample = self.sampler.handle_end_acks(in_flight, app_limited, base);
        if let Some(sample) = sample {
            self.round.is_app_limited |= sample.is_app_limited;
            let may_raise = matches!(self.phase, Phase::Startup(_)) || sample.is_app_limited;
            if may_raise && sample.rate > self.rate() {
                self.rates[0] = sample.rate;
            }
        }
        if let Phase::Startup(startup) = &mut self.phase {
            let burst =
                if self.rates[0] > 0.0 { 12.0 * self.packet_bytes / self.rates[0] } else { 0.1 };
            if startup.handle_end_acks(base, Duration::from_secs_f64(burst.min(0.1))) {
                // What is known to be lost by now left when the queue was empty.
                self.loss.learn();
                self.end_startup(now);
                self.end_round(now);
                return;
            }
            if Startup::is_overflowing(self.round.delivered, self.round.lost, self.packet_bytes) {
                self.end_startup(now);
                self.end_round(now);
                return;
            }
        }
        let Some(sample) = sample else { return };
        if self.round.is_over(now, sample.delivered_before) {
            if !self.round.is_app_limited && !self.loss.is_trying() {
                self.rates = [sample.rate, self.rates[0]];
            }
            self.end_round(now);
        }
    }

    fn end_round(&mut self, now: Duration) {
        let round = self.round;
        self.round = Round::new(now, self.sampler.delivered());
        let (Some(rtt), Some(base)) = (round.rtt, self.base.rtt()) else { return };
        self.base.handle_round(now, rtt.saturating_sub(base));
        if let Phase::Startup(startup) = &mut self.phase {
            if round.is_app_limited || !startup.handle_round(self.rates[0]) {
                return;
            }
            self.end_startup(now);
        }
        if self.rate() <= 0.0 || round.is_app_limited {
            return;
        }
        let view = View {
            rate: self.rate(),
            base,
            rtt,
            rtt_peak: round.rtt_peak,
            spread: round.rtt_spread(),
            random_loss: self.loss.random(),
            packet_bytes: self.packet_bytes,
        };
        self.steady.note_peak(&view);
        let was_trying = self.loss.is_trying();
        let verdict = self.loss.handle_round(now);
        if verdict == Verdict::Overflow {
            self.steady.handle_overflow();
        }
        if was_trying || self.loss.is_trying() {
            return;
        }
        self.peak.insert(now, self.rates[0]);
        if self.steady.is_foreign(&view, self.peak.get()) && !self.base.is_checking() {
            self.foreign_rounds += 1;
            if self.foreign_rounds >= 2 {
                self.foreign_rounds = 0;
                self.base.doubt(rtt.saturating_sub(base));
            }
        } else {
            self.foreign_rounds = 0;
        }
        if self.base.is_checking() {
            self.steady.pause();
        }
        self.target = self.steady.handle_round(&view);
        self.settings
            .gauge
            .write(Reading { estimate: self.estimate(), window_bytes: self.window as u64 });
    }

    fn end_startup(&mut self, now: Duration) {
        self.phase = Phase::Steady;
        self.loss.restart(now);
        self.base.check(self.latest_rtt.saturating_sub(self.base.rtt().unwrap_or_default()));
    }

    /// Silence longer than this is an outage.
    fn patience(&self) -> Duration {
        (3 * self.latest_rtt).max(Duration::from_secs(1))
    }

    /// The path answers after a silence: what was known still holds, what left before says nothing.
    fn resume(&mut self, now: Duration) {
        self.sampler.restart(now);
        self.loss.restart(now);
        self.round = Round::new(now, self.sampler.delivered());
    }

    fn handle_finding(&mut self, finding: Finding) {
        match finding {
            Finding::Confirmed => {}
            Finding::Risen if self.settings.policy == Policy::Low => {}
            Finding::Risen => {
                // We gave way to something that was not our queue: take back what we had.
                let base = self.base.rtt().unwrap_or_default();
                let peak = (RESTORED_SHARE * self.peak.get()).max(self.rate());
                self.peak = Peak::new(PEAK_LENGTH);
                self.rates = [peak; 2];
                self.target = self.target.max(peak * base.as_secs_f64());
            }
        }
    }

    fn target(&self) -> f64 {
        let mut target = self.target;
        if let Some(share) = self.base.drain_share() {
            target = target.min(share * self.product());
        }
        if self.loss.is_trying() {
            target = target.min(self.trial_window());
        }
        target
    }

    fn trial_window(&self) -> f64 {
        0.95 * self.product() / (1.0 - self.loss.random())
    }

    /// Packets were lost.
    pub fn handle_loss(&mut self, _now: Duration, sent: Duration, bytes: u64) {
        self.in_flight = self.in_flight.saturating_sub(bytes);
        self.round.lost += bytes;
        self.loss.handle_loss(sent, bytes as f64 / self.packet_bytes);
    }

    /// Packets have another size now.
    pub fn handle_mtu(&mut self, packet_bytes: u16) {
        self.packet_bytes = f64::from(packet_bytes.max(1));
    }

    /// What is known of the path.
    pub fn estimate(&self) -> Option<Estimate> {
        let rate = self.rate();
        Some(Estimate { rate: rate as u64, min_rtt: self.base.rtt()?, loss: self.loss.random() })
            .filter(|estimate| estimate.rate > 0)
    }

    /// Bytes that may be in flight before anything is known.
    pub fn initial_window(&self) -> u64 {
        (INITIAL_PACKETS * self.packet_bytes) as u64
    }

    /// Bytes that may be in flight.
    pub fn window(&self, now: Duration) -> u64 {
        let mut window = self.window;
        let silent = now.saturating_sub(self.last_ack);
        let patience = self.patience();
        let mut credit = 0.0;
        if silent > patience {
            let quarters = (silent - patience).as_millis() as f64 / 250.0;
            credit = 2.0 * quarters * self.packet_bytes;
            window = window.max(self.in_flight_at_ack as f64);
        }
        if let Policy::Fixed(rate) = self.settings.policy
            && let Some(base) = self.base.rtt()
        {
            window = 1.05 * rate as f64 * base.as_secs_f64();
        }
        (window.max(4.0 * self.packet_bytes) + credit) as u64
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} W {:.0} pk, x {:.1} Mbit/s, base {:.1} ms, rtt {:.1}, p {:.4}, v {:.1}, dmax {:.1} ms{}",
            if matches!(self.phase, Phase::Steady) { "steady" } else { "startup" },
            self.window / self.packet_bytes,
            self.rate() * 8e-6,
            self.base.rtt().unwrap_or_default().as_secs_f64() * 1e3,
            self.latest_rtt.as_secs_f64() * 1e3,
            self.loss.random(),
            self.steady.velocity(),
            self.steady.delay_max() * 1e3,
            match (self.base.is_checking(), self.loss.is_trying()) {
                (true, _) => " checking",
                (_, true) => " trying",
                _ => "",
            },
        )
    }
}
