//! A TCP CUBIC flow. Source: RFC 9438; slow start ends as in HyStart++ (RFC 9406), without its conservative phase.

use std::time::Duration;

use super::control::Control;
use super::pacer::Pacing;
use super::packet::DATAGRAM_BYTES;

const C: f64 = 0.4;
const BETA: f64 = 0.7;

/// The window in packets, and its history.
#[derive(Debug)]
pub(crate) struct Cubic {
    window: f64,
    threshold: f64,
    window_max: f64,
    epoch: Option<Duration>,
    k: f64,
    recovery_until: Duration,
    rtt_min: Duration,
    rtt: Duration,
    round_end: Duration,
    round_min: Duration,
    round_samples: u32,
}

impl Cubic {
    pub(crate) fn new() -> Self {
        Self {
            window: 10.0,
            threshold: f64::INFINITY,
            window_max: 0.0,
            epoch: None,
            k: 0.0,
            recovery_until: Duration::ZERO,
            rtt_min: Duration::MAX,
            rtt: Duration::ZERO,
            round_end: Duration::ZERO,
            round_min: Duration::MAX,
            round_samples: 0,
        }
    }

    fn slow_start(&mut self, now: Duration, sent: Duration) {
        if sent >= self.round_end {
            self.round_end = now;
            self.round_min = Duration::MAX;
            self.round_samples = 0;
        }
        self.round_min = self.round_min.min(self.rtt);
        self.round_samples += 1;
        let margin = (self.rtt_min / 8).clamp(Duration::from_millis(4), Duration::from_millis(16));
        if self.round_samples >= 8 && self.round_min > self.rtt_min + margin {
            self.threshold = self.window;
        }
    }
}

impl Control for Cubic {
    fn on_sent(&mut self, _now: Duration, _bytes: u64) {}

    fn on_ack(&mut self, now: Duration, sent: Duration, _bytes: u64, app_limited: bool) {
        self.rtt = now - sent;
        self.rtt_min = self.rtt_min.min(self.rtt);
        if app_limited {
            return;
        }
        if self.window < self.threshold {
            self.slow_start(now, sent);
            self.window += 1.0;
            return;
        }
        let epoch = *self.epoch.get_or_insert(now);
        if epoch == now && self.window_max < self.window {
            self.window_max = self.window;
        }
        self.k = ((self.window_max - self.window_max.min(self.window_max * BETA)) / C).cbrt();
        let t = (now - epoch + self.rtt_min).as_secs_f64();
        let cubic = C * (t - self.k).powi(3) + self.window_max;
        let reno = self.window_max * BETA
            + 3.0 * (1.0 - BETA) / (1.0 + BETA) * t / self.rtt.as_secs_f64().max(1e-6);
        let target = cubic.max(reno).min(1.5 * self.window);
        self.window += ((target - self.window) / self.window).max(0.01 / self.window);
    }

    fn on_end_acks(&mut self, _now: Duration, _in_flight: u64, _app_limited: bool) {}

    fn on_loss(&mut self, now: Duration, sent: Duration, persistent: bool, _bytes: u64) {
        if sent < self.recovery_until {
            return;
        }
        self.recovery_until = now;
        // Fast convergence.
        self.window_max = if self.window < self.window_max {
            self.window * (1.0 + BETA) / 2.0
        } else {
            self.window
        };
        self.window = (self.window * BETA).max(2.0);
        self.threshold = self.window;
        self.epoch = None;
        if persistent {
            self.window = 2.0;
        }
    }

    fn window(&self, _now: Duration) -> u64 {
        (self.window * DATAGRAM_BYTES as f64) as u64 + 1
    }

    fn pacing(&self) -> Pacing {
        Pacing::None
    }

    fn describe(&self) -> String {
        format!("cubic window {:.0}", self.window)
    }
}
