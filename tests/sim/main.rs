//! Congestion control on a virtual clock: one bottleneck, several flows, no sockets.
//!
//! `model` reproduces what decides about a flow's fate in the real transport (the window check, the pacer with its bursts,
//! acknowledgements every ten packets, loss detection, probe timeouts) around the controller under test, and beside it flows
//! of TCP CUBIC and TCP BBR. Everything is exact and repeats itself: a figure that is asserted here is a figure.
//!
//! `single` tries one flow on the links the product is made for, `events` what happens to a link in the middle, `fairness` what
//! others get, `hostile` what no link would do. `series` prints a run second by second, for whoever tunes:
//! `LINK=100M,100ms,1% cargo test --release --test sim series -- --ignored --nocapture`.

mod events;
mod fairness;
mod hostile;
mod model;
mod series;
mod single;
