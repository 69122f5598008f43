//! Congestion control on a virtual clock: one bottleneck, several flows, no sockets.
//!
//! `model` reproduces what decides about a flow's fate in the real transport (the window check, the pacer with its bursts,
//! acknowledgements every ten packets, loss detection, probe timeouts) around the controller under test, and beside it flows
//! of TCP CUBIC and TCP BBR. Everything is exact and repeats itself: a figure that is asserted here is a figure.
//!
//! `single` tries one flow on the links the product is made for, `events` what happens to a link in the middle, `fairness` what
//! others get, `hostile` what no link would do. `series` prints a run second by second, for whoever tunes:
//! `LINK=100,100,1,0.5 FLOWS=fair,cubic@10 cargo test --release --test sim series -- --ignored --nocapture` is 100 Mbit/s, 100 ms,
//! 1 % loss, a queue of half a product, one flow of ours, and one of TCP CUBIC from second 10 on. A fifth figure is jitter in ms,
//! a sixth `r` (it reorders) or `b5` (losses in bursts of 5). `SECONDS`, `STEP`, `SEED`, `WARM` (a link that is remembered), `CAP` (Mbit/s)
//! and `CHANGES` (`4:20,100,1;8:up`, or `down`) say the rest.

mod events;
mod fairness;
mod hostile;
mod model;
mod series;
mod single;
