//! [`congestion`](crate::congestion) as quinn drives it: [`Factory`].

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::Connection;
use quinn::congestion::{Controller as QuinnController, ControllerFactory};
use quinn_proto::RttEstimator;

use super::pacing::Bucket;
use crate::congestion::{Controller, Gauge, Settings};

/// Makes the controllers of a connection, one a path.
#[derive(Debug)]
pub(super) struct Factory {
    settings: Settings,
}

impl Factory {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl ControllerFactory for Factory {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn QuinnController> {
        let controller = Controller::new(self.settings.clone(), current_mtu);
        Box::new(Adapter {
            controller,
            started: now,
            traced_at: Duration::ZERO,
            heard_at: now,
            hungry: Duration::ZERO,
            is_hungry: false,
            gauge: Arc::clone(&self.settings.gauge),
            bucket: Bucket::new(now),
            packet_bytes: current_mtu,
            in_flight: 0,
        })
    }
}

/// What a connection's controller shows of its path.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Glance {
    /// Time since it began in which it would have taken more than there was to send.
    pub(super) hungry: Duration,
    /// Bytes a second that are not to be exceeded.
    pub(super) rate_max: Option<u64>,
}

pub(super) fn glance(connection: &Connection) -> Glance {
    let adapter = connection.congestion_state().into_any().downcast::<Adapter>();
    adapter.map_or(Glance::default(), |adapter| Glance {
        hungry: adapter.hungry_until(tokio::time::Instant::now().into_std()),
        rate_max: adapter.gauge.rate_max(),
    })
}

/// quinn tells of acknowledgements that it sends, too. Nobody acknowledges them, so that they would be in flight for ever; with 64
/// ranges one takes some 200 bytes. What else is as small does not count.
const ACK_BYTES_MAX: u64 = 256;

/// How often the log hears of a controller.
const TRACE_INTERVAL: Duration = Duration::from_millis(250);

/// Turns quinn's instants into times since the path began, and keeps to the rate that the gauge says.
#[derive(Clone, Debug)]
struct Adapter {
    controller: Controller,
    started: Instant,
    traced_at: Duration,
    /// When the last acknowledgement came.
    heard_at: Instant,
    /// Up to then, and whether it was hungry when that came.
    hungry: Duration,
    is_hungry: bool,
    gauge: Arc<Gauge>,
    bucket: Bucket,
    packet_bytes: u16,
    in_flight: u64,
}

impl Adapter {
    /// The path of a packet that left before this controller was made began at zero.
    fn since(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.started)
    }

    /// Where nothing is in flight no acknowledgement comes that would show it.
    fn hungry_until(&self, now: Instant) -> Duration {
        match self.is_hungry && self.in_flight == 0 {
            true => self.hungry + now.saturating_duration_since(self.heard_at),
            false => self.hungry,
        }
    }
}

impl QuinnController for Adapter {
    fn on_sent(&mut self, now: Instant, bytes: u64, _last_packet_number: u64) {
        if let Some(rate) = self.gauge.rate_max() {
            self.bucket.spend(now, rate, self.packet_bytes, bytes);
        }
        if bytes <= ACK_BYTES_MAX {
            return;
        }
        self.in_flight += bytes;
        self.controller.handle_sent(self.since(now), bytes);
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        app_limited: bool,
        _rtt: &RttEstimator,
    ) {
        if sent < self.started {
            // It went another way.
            return;
        }
        self.controller.handle_ack(self.since(now), self.since(sent), bytes, app_limited);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        _largest_packet_num_acked: Option<u64>,
    ) {
        if app_limited {
            self.hungry += now.saturating_duration_since(self.heard_at);
        }
        self.is_hungry = app_limited;
        self.heard_at = now;
        self.in_flight = in_flight;
        let now = self.since(now);
        self.controller.handle_end_acks(now, in_flight, app_limited);
        if now.saturating_sub(self.traced_at) >= TRACE_INTERVAL {
            self.traced_at = now;
            tracing::trace!("{}", self.controller);
        }
    }

    fn on_congestion_event(
        &mut self,
        _now: Instant,
        sent: Instant,
        _is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.in_flight = self.in_flight.saturating_sub(lost_bytes);
        // quinn tells of marked packets (ECN) as of a loss of nothing.
        match lost_bytes {
            0 => self.controller.handle_mark(),
            lost_bytes => self.controller.handle_loss(self.since(sent), lost_bytes),
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.packet_bytes = new_mtu;
        self.controller.handle_mtu(new_mtu);
    }

    fn window(&self) -> u64 {
        // Silence is measured by asking; tokio's clock, so that tests can stop it.
        let now = tokio::time::Instant::now().into_std();
        let window = self.controller.window(self.since(now));
        match self.gauge.rate_max() {
            None => window,
            Some(rate) => {
                window.min(self.in_flight + self.bucket.room(now, rate, self.packet_bytes))
            }
        }
    }

    fn clone_box(&self) -> Box<dyn QuinnController> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.controller.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
