//! When a packet that the window admits may leave: [`Pacer`].

use std::time::Duration;

use super::packet::DATAGRAM_BYTES;

/// How a flow spreads its packets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pacing {
    /// As quinn 0.11: 1.25 windows a smoothed round trip, in bursts of 2 ms, 10 to 256 packets.
    Window,
    /// At this rate in bytes a second, 2 packets at a time.
    Rate(f64),
    /// Not at all: acknowledgements clock the flow.
    None,
}

/// A token bucket with quinn's figures (quinn-proto 0.11, `connection/pacing.rs`).
#[derive(Debug, Default)]
pub(crate) struct Pacer {
    capacity: f64,
    last_window: u64,
    tokens: f64,
    at: Duration,
}

impl Pacer {
    pub(crate) fn on_sent(&mut self, bytes: u64) {
        self.tokens = (self.tokens - bytes as f64).max(0.0);
    }

    /// `None` if a packet may leave now, else when to ask again.
    pub(crate) fn delay(
        &mut self,
        now: Duration,
        pacing: Pacing,
        window: u64,
        smoothed: Duration,
    ) -> Option<Duration> {
        let packet = DATAGRAM_BYTES as f64;
        let srtt = smoothed.as_secs_f64().max(1e-9);
        let (rate, capacity) = match pacing {
            Pacing::None => return None,
            Pacing::Rate(rate) => (rate.max(packet), 2.0 * packet),
            Pacing::Window => {
                let burst = window as f64 * 0.002 / srtt;
                (1.25 * window as f64 / srtt, burst.clamp(10.0 * packet, 256.0 * packet))
            }
        };
        if self.last_window == 0 {
            self.tokens = capacity;
            self.at = now;
        }
        if window != self.last_window {
            self.capacity = capacity;
            self.tokens = self.tokens.min(capacity);
            self.last_window = window;
        }
        if self.tokens >= packet {
            return None;
        }
        let elapsed = now.saturating_sub(self.at).as_secs_f64();
        self.tokens = (self.tokens + rate * elapsed).min(self.capacity);
        self.at = now;
        if self.tokens >= packet {
            return None;
        }
        Some(now + Duration::from_secs_f64((self.capacity - self.tokens) / rate))
    }
}
