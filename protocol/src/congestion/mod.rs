//! Congestion control: how many bytes may be in flight.
//!
//! Long, lossy links are where this product is used, and where loss is a bad sign of congestion: at 1 % of random loss and
//! 100 ms a loss-based controller keeps to about 1.5 Mbit/s whatever the link. [`Controller`] instead follows a model of the path.
//! It measures how fast the path delivers and how long its shortest round trip is, and keeps
//!
//! ```text
//! window = delivery rate / (1 - random loss) × shortest round trip + queue budget
//! ```
//!
//! in flight. The first term fills the path and no more; the budget, about twice the square root of that in packets, waits in the
//! bottleneck's queue, keeps the link busy, finds a freed link, and makes equal flows equal. Random loss is repaired, not obeyed; loss
//! beyond it is our own queue running over, and lowers the budget.
//!
//! The core is pure: no sockets, no clock, no randomness. Time is a [`Duration`](std::time::Duration) since a start that the
//! caller chose; rates are bytes of UDP payload a second. `transport` carries it to quinn. `docs/congestion.md` has the reasons,
//! the figures reached and the weak spots.
//!
//! To read in order: `policy` (what the caller decides), `controller` (the parts put together), `delivery` (how fast), `base` (how
//! far), `loss` (chance or overflow), `startup` with its `train`s, `steady` (the window), `silence` (outages), `gauge` (what others may read).

mod base;
mod controller;
mod delivery;
mod filters;
mod gauge;
mod loss;
mod policy;
mod round;
mod silence;
mod startup;
mod steady;
mod train;

pub use controller::Controller;
pub use gauge::Gauge;
pub use policy::{Estimate, Policy, Settings};
