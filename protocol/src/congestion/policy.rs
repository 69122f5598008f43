//! What the caller decides: [`Settings`].

use std::sync::Arc;
use std::time::Duration;

use super::gauge::Gauge;

/// How much of a link to take.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Policy {
    /// A fair share, with a short queue.
    #[default]
    Fair,
    /// What others leave, with hardly any queue.
    Low,
    /// This many bytes of UDP payload a second, whatever others do: for a line of one's own.
    Fixed(u64),
}

/// What is known of a path, to be remembered until the next connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Delivery rate in bytes of UDP payload a second.
    pub rate: u64,
    /// Shortest round trip.
    pub min_rtt: Duration,
    /// Share of packets that is lost by chance, 0 to 1.
    pub loss: f64,
}

/// What a controller is made from.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// How much of the link to take.
    pub policy: Policy,
    /// What an earlier connection to this peer learned.
    pub remembered: Option<Estimate>,
    /// Where the controller shows what it knows, and finds it again when the path changes. It also caps the rate.
    pub gauge: Arc<Gauge>,
}
