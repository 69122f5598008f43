//! How many bytes may be in flight now.

use std::time::Duration;

use super::super::policy::Policy;
use super::super::silence;
use super::{Controller, Phase};

/// The window is never smaller, in packets. Source: BBR's `MinPipeCwnd`; two acknowledgements stay under way.
const PACKETS_MIN: f64 = 4.0;
/// Nor is it larger than a gigabyte: products of hostile figures stay numbers.
const WINDOW_MAX: f64 = (1u64 << 30) as f64;
/// Share of what the path holds that is in flight while a trial of losses keeps the queue empty.
const TRIAL_SHARE: f64 = 0.95;
/// A line of one's own gets this much more than its product: acknowledgements that wait.
const FIXED_GAIN: f64 = 1.05;
const FIXED_PACKETS: f64 = 10.0;

impl Controller {
    /// Bytes that may be in flight.
    pub fn window(&self, now: Duration) -> u64 {
        let mut window = match (self.settings.policy, self.base.rtt()) {
            (Policy::Fixed(rate), Some(base)) => self.fixed_window(rate, base),
            (Policy::Fixed(_) | Policy::Fair | Policy::Low, _) => self.window,
        };
        if let (Phase::Startup(startup), Some(base)) = (&self.phase, self.base.rtt()) {
            window = startup.train_window(window, self.in_flight, base, self.packet_bytes);
        }
        if let Some(rate) = self.settings.gauge.rate_max() {
            // What is in flight arrives once a round trip, however long that is.
            let rtt = self.mean_rtt.max(self.base.rtt().unwrap_or_default());
            window = window.min(rate as f64 * rtt.as_secs_f64()).max(2.0 * self.packet_bytes);
        }
        window = (self.hope * window).clamp(PACKETS_MIN * self.packet_bytes, WINDOW_MAX);
        let silent = now.saturating_sub(self.silent_since);
        let credit = silence::credit_packets(silent, self.latest_rtt);
        if credit > 0.0 {
            window = window.max(self.in_flight_at_ack as f64) + credit * self.packet_bytes;
        }
        window as u64
    }

    fn fixed_window(&self, rate: u64, base: Duration) -> f64 {
        let product = rate as f64 * base.as_secs_f64() / (1.0 - self.loss.random());
        let window = FIXED_GAIN * product + FIXED_PACKETS * self.packet_bytes;
        self.base.drain_share().map_or(window, |share| window.min(share * self.product()))
    }

    /// Delivery rate in bytes a second: the best of the rounds that count.
    pub(super) fn rate(&self) -> f64 {
        self.rates[..self.rates_count].iter().copied().fold(0.0, f64::max)
    }

    /// Bytes that the path holds without a queue.
    pub(super) fn product(&self) -> f64 {
        self.rate() * self.base.rtt().unwrap_or_default().as_secs_f64()
    }

    /// The window that the present moment asks for.
    pub(super) fn target(&self) -> f64 {
        let mut target = self.target;
        if let Some(share) = self.base.drain_share() {
            target = target.min(share * self.product());
        }
        if self.loss.is_trying() {
            target = target.min(self.trial_window());
        }
        target
    }

    pub(super) fn trial_window(&self) -> f64 {
        TRIAL_SHARE * self.product() / (1.0 - self.loss.random())
    }

    /// Moves the window towards its target, now that so much has arrived.
    pub(super) fn follow_target(&mut self, bytes: f64) {
        let target = self.target();
        // Far above it, the queue itself is the trouble.
        let share = if self.window > 1.5 * target { 1.0 } else { 0.5 };
        self.window = (self.window - share * bytes).max(target);
    }
}
