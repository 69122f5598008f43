//! What decides how much a flow has in flight: [`Control`], and ours behind it.

use std::time::Duration;

use quicopy_protocol::congestion::Controller;

use super::pacer::Pacing;

/// A congestion controller, as quinn calls it. `now` and `sent` are times since the start of the world.
pub(crate) trait Control {
    fn on_sent(&mut self, now: Duration, bytes: u64);
    fn on_ack(&mut self, now: Duration, sent: Duration, bytes: u64, app_limited: bool);
    fn on_end_acks(&mut self, now: Duration, in_flight: u64, app_limited: bool);
    fn on_loss(&mut self, now: Duration, sent: Duration, persistent: bool, bytes: u64);
    fn window(&self, now: Duration) -> u64;
    fn pacing(&self) -> Pacing;
    /// For whoever prints a run.
    fn describe(&self) -> String {
        String::new()
    }
}

impl Control for Controller {
    fn on_sent(&mut self, now: Duration, bytes: u64) {
        self.handle_sent(now, bytes);
    }

    fn on_ack(&mut self, now: Duration, sent: Duration, bytes: u64, app_limited: bool) {
        self.handle_ack(now, sent, bytes, app_limited);
    }

    fn on_end_acks(&mut self, now: Duration, in_flight: u64, app_limited: bool) {
        self.handle_end_acks(now, in_flight, app_limited);
    }

    fn on_loss(&mut self, _now: Duration, sent: Duration, _persistent: bool, bytes: u64) {
        self.handle_loss(sent, bytes);
    }

    fn window(&self, now: Duration) -> u64 {
        Controller::window(self, now)
    }

    fn pacing(&self) -> Pacing {
        Pacing::Window
    }

    fn describe(&self) -> String {
        format!("{self}")
    }
}
