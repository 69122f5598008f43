//! The parts put together: [`Controller`]. What happens is here, what a round decides in `rounds`, what follows in `window`.

mod rounds;
mod window;

use std::fmt;
use std::time::Duration;

use super::base::Base;
use super::delivery::{Sample, Sampler};
use super::filters::Peak;
use super::loss::LossMeter;
use super::policy::{Estimate, Policy, Settings};
use super::round::Round;
use super::silence;
use super::startup::{Look, Progress, Startup};
use super::steady::Steady;
use super::train::Train;

/// Window before the first round trip is known, in packets: the handshake, and what goes with it.
const INITIAL_PACKETS: f64 = 32.0;
/// Rounds of which the best rate counts: a lower rate without a queue is not the link's doing, but a busy processor's ...
const RATE_ROUNDS: usize = 6;
/// ... and with a queue the link may have become slower, or shared: the latest counts, and the one before lest it met a gap.
const RATE_ROUNDS_FULL: usize = 2;
/// How long the highest rate is remembered that a longer queue may have taken from us.
const PEAK_LENGTH: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
enum Phase {
    Startup(Box<Startup>),
    /// The startup is over, its queue not yet drained: what is lost meanwhile says nothing new.
    Settling,
    Steady,
}

/// The congestion controller of one path.
///
/// Tell it what happened through `handle_*`, in the order of time, and ask for the [`window`](Self::window). Times are
/// since a start of the caller's choice.
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
    /// Delivery rates of the last rounds, the latest first.
    rates: [f64; RATE_ROUNDS],
    /// How many of them count now.
    rates_count: usize,
    /// The highest delivery rate of the last seconds.
    peak: Peak,
    foreign_rounds: u32,
    hopeless_rounds: u32,
    /// Halved for each run of hopeless rounds.
    hope: f64,
    /// When the last acknowledgement came, or the first packet left that none has answered.
    silent_since: Duration,
    latest_rtt: Duration,
    /// Mean of the last round.
    mean_rtt: Duration,
}

impl Controller {
    /// A controller for a fresh path. `packet_bytes` is the UDP payload of a packet.
    ///
    /// What the gauge holds, from the path before, counts more than what the settings remember.
    pub fn new(settings: Settings, packet_bytes: u16) -> Self {
        let packet_bytes = f64::from(packet_bytes.max(1));
        let remembered = settings.gauge.read().or(settings.remembered);
        // What gives way does not hurry, and what is fixed need not.
        let train = (settings.policy == Policy::Fair).then(Train::default);
        Self {
            loss: LossMeter::new(remembered.map(|estimate| estimate.loss)),
            steady: Steady::new(settings.policy),
            settings,
            packet_bytes,
            sampler: Sampler::default(),
            round: Round::new(Duration::ZERO, 0),
            base: Base::default(),
            phase: Phase::Startup(Box::new(Startup::new(remembered, train))),
            window: INITIAL_PACKETS * packet_bytes,
            target: INITIAL_PACKETS * packet_bytes,
            in_flight: 0,
            in_flight_at_ack: 0,
            rates: [0.0; RATE_ROUNDS],
            rates_count: RATE_ROUNDS_FULL,
            peak: Peak::new(PEAK_LENGTH),
            foreign_rounds: 0,
            hopeless_rounds: 0,
            hope: 1.0,
            silent_since: Duration::ZERO,
            latest_rtt: Duration::ZERO,
            mean_rtt: Duration::ZERO,
        }
    }

    /// Packets have another size now.
    pub fn handle_mtu(&mut self, packet_bytes: u16) {
        self.packet_bytes = f64::from(packet_bytes.max(1));
    }

    /// Packets left.
    pub fn handle_sent(&mut self, now: Duration, bytes: u64) {
        let is_idle = self.in_flight == 0;
        if is_idle {
            self.silent_since = self.silent_since.max(now);
        }
        self.sampler.handle_sent(now, is_idle);
        self.in_flight = self.in_flight.saturating_add(bytes);
        if let Phase::Startup(startup) = &mut self.phase {
            startup.handle_sent(now, bytes, self.packet_bytes);
        }
    }

    /// A packet that left at `sent` arrived. `app_limited` if there was too little to send before.
    pub fn handle_ack(&mut self, now: Duration, sent: Duration, bytes: u64, app_limited: bool) {
        if silence::is_outage(now.saturating_sub(self.silent_since), self.latest_rtt) {
            self.handle_end_of_silence(now);
        }
        let rtt = now.saturating_sub(sent).max(Duration::from_micros(1));
        let is_first = self.base.rtt().is_none();
        self.latest_rtt = rtt;
        self.silent_since = self.silent_since.max(now);
        self.sampler.handle_ack(now, sent, bytes);
        self.round.handle_ack(rtt, bytes);
        self.loss.handle_ack(sent);
        if let Some(finding) = self.base.handle_rtt(now, sent, rtt) {
            self.handle_finding(finding);
        }
        if let Phase::Startup(startup) = &mut self.phase {
            if is_first {
                self.window = self.window.max(startup.handle_first_rtt(now, rtt));
            }
            startup.handle_ack(sent, rtt, bytes);
            if !app_limited {
                let base = self.base.rtt().unwrap_or(rtt);
                self.window += startup.growth(self.window, base, bytes);
            }
        } else {
            self.follow_target(bytes as f64);
        }
    }

    /// A batch of acknowledgements is complete; so much is in flight now.
    pub fn handle_end_acks(&mut self, now: Duration, in_flight: u64, app_limited: bool) {
        self.round.handle_end_acks(self.window, [self.in_flight, in_flight]);
        self.in_flight = in_flight;
        self.in_flight_at_ack = in_flight;
        let Some(base) = self.base.rtt() else { return };
        self.base.handle_in_flight(now, in_flight, self.product());
        if matches!(self.phase, Phase::Settling) && in_flight as f64 <= self.target() {
            self.phase = Phase::Steady;
            self.loss.restart(now);
        }
        if self.loss.is_trying() && in_flight as f64 <= self.trial_window() {
            self.loss.handle_drained(now);
        }
        let sample = self.sampler.handle_end_acks(in_flight, app_limited, base);
        if let Some(sample) = sample {
            self.handle_sample(sample);
        }
        if self.try_to_end_startup(now, base) {
            self.end_round(now);
            return;
        }
        let Some(sample) = sample else { return };
        if self.round.is_over(now, sample.delivered_before) {
            if !self.round.is_app_limited && !self.loss.is_trying() {
                self.rates.rotate_right(1);
                self.rates[0] = sample.rate;
            }
            self.end_round(now);
        }
    }

    /// Packets were lost, the last of them sent at `sent`.
    pub fn handle_loss(&mut self, sent: Duration, bytes: u64) {
        self.in_flight = self.in_flight.saturating_sub(bytes);
        self.round.handle_loss(bytes);
        self.loss.handle_loss(sent, bytes as f64 / self.packet_bytes);
    }

    /// A router marked packets instead of dropping them: its queue is longer than it likes (RFC 3168, RFC 9002 section 7.1).
    pub fn handle_mark(&mut self) {
        self.round.is_marked = true;
    }

    /// What is known of the path; `None` until content was measured.
    pub fn estimate(&self) -> Option<Estimate> {
        let rate = self.rate() as u64;
        let min_rtt = self.base.rtt()?;
        (rate > 0).then_some(Estimate { rate, min_rtt, loss: self.loss.random() })
    }

    /// Bytes that may be in flight before anything is known.
    pub fn initial_window(&self) -> u64 {
        (INITIAL_PACKETS * self.packet_bytes) as u64
    }

    fn handle_sample(&mut self, sample: Sample) {
        self.round.is_app_limited |= sample.is_app_limited;
        // Within a round only a flow that is still growing, or that lacks content, is believed: upwards.
        let is_early = matches!(self.phase, Phase::Startup(_)) || sample.is_app_limited;
        if is_early && sample.rate > self.rate() {
            self.rates[0] = sample.rate;
        }
    }

    fn try_to_end_startup(&mut self, now: Duration, base: Duration) -> bool {
        let rate = self.rate();
        let Phase::Startup(startup) = &mut self.phase else { return false };
        let look = Look {
            base,
            rate,
            delivered: self.round.delivered,
            lost: self.round.lost,
            packet_bytes: self.packet_bytes,
        };
        let queue = self.round.rtt_peak.saturating_sub(base);
        let progress = match self.round.is_marked {
            true => Progress::Overflowing,
            false => startup.handle_end_acks(now, &look),
        };
        match progress {
            Progress::Growing => return false,
            Progress::Full => {
                // What is known to be lost by now left when the queue was empty.
                self.loss.learn();
            }
            Progress::Overflowing => self.steady.handle_startup_overflow(queue),
            Progress::Confirmed => {
                self.rates = [rate.max(startup.remembered_rate()); RATE_ROUNDS];
                self.window = self.window.max(self.product());
            }
        }
        self.end_startup(now);
        rate > 0.0
    }

    fn end_startup(&mut self, now: Duration) {
        self.phase = Phase::Settling;
        self.target = self.window;
        self.loss.restart(now);
        let rtt = self.round.rtt.unwrap_or(self.latest_rtt);
        self.base.check(rtt.saturating_sub(self.base.rtt().unwrap_or_default()));
    }

    /// The path answers after a silence: what was known still holds, what left before says nothing.
    fn handle_end_of_silence(&mut self, now: Duration) {
        self.sampler.restart(now);
        self.loss.restart(now);
        self.round = Round::new(now, self.sampler.delivered());
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let doing = match (&self.phase, self.base.is_checking(), self.loss.is_trying()) {
            (Phase::Startup(_), _, _) => "startup",
            (_, true, _) => "checks the base",
            (_, _, true) => "tries the loss",
            (Phase::Settling, _, _) => "settles",
            (Phase::Steady, _, _) => "steady",
        };
        write!(
            f,
            "window {:.0} packets, {:.1} Mbit/s, base {:.1} ms, round trip {:.1} ms, loss {:.2} %, {}, {doing}",
            self.window / self.packet_bytes,
            self.rate() * 8e-6,
            ms(self.base.rtt().unwrap_or_default()),
            ms(self.latest_rtt),
            self.loss.random() * 100.0,
            self.steady,
        )
    }
}
