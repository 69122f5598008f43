//! Both programs from outside: what a user could observe, and nothing that only we could see.
//!
//! The crate is the tools of the tests; the tests themselves are the one binary in `it/`. What it leaves out is
//! every private item of the other crates: whoever reads a test here learns what the programs promise.
//!
//! ```text
//! World ─┬─ source tree          Sender ── Relay ── Agent
//!        ├─ share, canaries             loses, delays, cuts
//!        └─ state of each program
//!                 └────────── Oracle: what must hold after any fault
//! ```
//!
//! To read in order: [`tree`] (trees as text), [`world`] (two sites in a temporary folder), [`sites`] and [`connected`] (the two
//! programs at work), [`oracle`] (the rules a fault may not break), [`relay`] (a bad link), [`json`] (the summary), [`robolog`] (a log
//! as scripts read it).

pub mod connected;
pub mod json;
pub mod lab;
pub mod oracle;
pub mod poll;
pub mod process;
pub mod programs;
pub mod random;
pub mod relay;
pub mod robolog;
pub mod sites;
pub mod tree;
pub mod world;
