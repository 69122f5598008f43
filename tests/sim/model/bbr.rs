//! A flow like TCP BBR, version 1. Source: draft-cardwell-iccrg-bbr-congestion-control-00, without its long-term sampling
//! of policers.

use std::collections::VecDeque;
use std::time::Duration;

use super::control::Control;
use super::pacer::Pacing;
use super::packet::DATAGRAM_BYTES;

const HIGH_GAIN: f64 = 2.885;
const CYCLE: [f64; 8] = [1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Startup,
    Drain,
    ProbeBw,
    ProbeRtt,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    sent: Duration,
    delivered: u64,
    delivered_at: Duration,
    first_sent: Duration,
}

#[derive(Debug)]
pub(crate) struct Bbr {
    mode: Mode,
    records: VecDeque<Record>,
    delivered: u64,
    delivered_at: Duration,
    first_sent: Duration,
    rates: VecDeque<(u64, f64)>,
    round: u64,
    round_end: u64,
    rtt_min: Duration,
    rtt_min_at: Duration,
    full_rate: f64,
    full_rounds: u32,
    cycle: usize,
    cycle_at: Duration,
    probe_until: Option<Duration>,
    in_flight: u64,
    window: f64,
}

impl Bbr {
    pub(crate) fn new() -> Self {
        Self {
            mode: Mode::Startup,
            records: VecDeque::new(),
            delivered: 0,
            delivered_at: Duration::ZERO,
            first_sent: Duration::ZERO,
            rates: VecDeque::new(),
            round: 0,
            round_end: 0,
            rtt_min: Duration::MAX,
            rtt_min_at: Duration::ZERO,
            full_rate: 0.0,
            full_rounds: 0,
            cycle: 2,
            cycle_at: Duration::ZERO,
            probe_until: None,
            in_flight: 0,
            window: 10.0 * DATAGRAM_BYTES as f64,
        }
    }

    fn rate(&self) -> f64 {
        self.rates.iter().map(|(_, rate)| *rate).fold(0.0, f64::max)
    }

    fn product(&self) -> f64 {
        if self.rtt_min == Duration::MAX { 0.0 } else { self.rate() * self.rtt_min.as_secs_f64() }
    }
}

impl Control for Bbr {
    fn on_sent(&mut self, now: Duration, _bytes: u64) {
        if self.in_flight == 0 {
            self.first_sent = now;
            self.delivered_at = now;
        }
        self.in_flight += 1;
        if self.records.back().is_none_or(|record| record.sent != now) {
            self.records.push_back(Record {
                sent: now,
                delivered: self.delivered,
                delivered_at: self.delivered_at,
                first_sent: self.first_sent,
            });
        }
    }

    fn on_ack(&mut self, now: Duration, sent: Duration, bytes: u64, _app_limited: bool) {
        self.delivered += bytes;
        self.delivered_at = now;
        let rtt = now - sent;
        if rtt <= self.rtt_min {
            self.rtt_min = rtt;
            self.rtt_min_at = now;
        }
        let at = self.records.partition_point(|record| record.sent < sent);
        let Some(record) = self.records.get(at).copied().filter(|record| record.sent == sent)
        else {
            return;
        };
        while self.records.front().is_some_and(|record| record.sent + 4 * rtt < now) {
            self.records.pop_front();
        }
        self.first_sent = sent;
        let span = (now - record.delivered_at).max(sent.saturating_sub(record.first_sent));
        if record.delivered >= self.round_end {
            self.round += 1;
            self.round_end = self.delivered;
            let rate = self.rate();
            if self.mode == Mode::Startup {
                if rate > 1.25 * self.full_rate {
                    self.full_rate = rate;
                    self.full_rounds = 0;
                } else {
                    self.full_rounds += 1;
                    if self.full_rounds >= 3 {
                        self.mode = Mode::Drain;
                    }
                }
            }
            while self.rates.front().is_some_and(|(round, _)| round + 10 < self.round) {
                self.rates.pop_front();
            }
        }
        if span >= self.rtt_min {
            let rate = (self.delivered - record.delivered) as f64 / span.as_secs_f64();
            while self.rates.back().is_some_and(|(_, other)| *other <= rate) {
                self.rates.pop_back();
            }
            self.rates.push_back((self.round, rate));
        }
    }

    fn on_end_acks(&mut self, now: Duration, in_flight: u64, _app_limited: bool) {
        self.in_flight = in_flight;
        let product = self.product();
        match self.mode {
            Mode::Drain if in_flight as f64 <= product => {
                self.mode = Mode::ProbeBw;
                self.cycle_at = now;
            }
            Mode::ProbeBw if now - self.cycle_at > self.rtt_min => {
                self.cycle = (self.cycle + 1) % CYCLE.len();
                self.cycle_at = now;
            }
            Mode::ProbeRtt if self.probe_until.is_some_and(|until| now >= until) => {
                self.rtt_min_at = now;
                self.mode = Mode::ProbeBw;
                self.probe_until = None;
            }
            Mode::ProbeRtt => {
                let small = in_flight <= 5 * DATAGRAM_BYTES;
                if small && self.probe_until.is_none() {
                    self.probe_until = Some(now + Duration::from_millis(200).max(self.rtt_min));
                }
            }
            Mode::Startup | Mode::Drain | Mode::ProbeBw => {}
        }
        if self.mode != Mode::ProbeRtt && now > self.rtt_min_at + Duration::from_secs(10) {
            self.mode = Mode::ProbeRtt;
            self.rtt_min = Duration::MAX;
            self.rtt_min_at = now;
        }
        let gain = if self.mode == Mode::Startup { HIGH_GAIN } else { 2.0 };
        let floor = 10.0 * DATAGRAM_BYTES as f64;
        self.window = match self.mode {
            Mode::ProbeRtt => 4.0 * DATAGRAM_BYTES as f64,
            _ if product == 0.0 => floor,
            _ => (gain * product).max(floor),
        };
    }

    fn on_loss(&mut self, _now: Duration, _sent: Duration, _persistent: bool, _bytes: u64) {}

    fn window(&self, _now: Duration) -> u64 {
        self.window as u64
    }

    fn pacing(&self) -> Pacing {
        let gain = match self.mode {
            Mode::Startup => HIGH_GAIN,
            Mode::Drain => 1.0 / HIGH_GAIN,
            Mode::ProbeBw => CYCLE[self.cycle],
            Mode::ProbeRtt => 1.0,
        };
        let rate = self.rate();
        if rate == 0.0 { Pacing::None } else { Pacing::Rate(gain * rate) }
    }

    fn describe(&self) -> String {
        format!("bbr {:?} rate {:.1} Mbit/s", self.mode, self.rate() * 8e-6)
    }
}
