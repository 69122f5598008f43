//! The link laboratory: long, lossy links made to order, in virtual time or between two network namespaces.
//!
//! [`spec`] says what a link is like, [`link`] carries packets over one as a pure machine: no clock, no sockets, one
//! seed. Simulations of controllers and sessions run on it in virtual time, and the emulator between the namespaces runs
//! the same machine on the real clock.

pub mod link;
pub mod spec;
