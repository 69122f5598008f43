//! The agent: the daemon on the site where the data goes.
//!
//! It owns the folders that may be written, its *shares*, and serves jobs of the senders that it knows. It decides
//! nothing about a file: that is the engine's. What it knows is the process around a job: configuration, who may do
//! what where, how many at once, which trees are locked, and how to stop.
//!
//! ```text
//!   quicopy-agent run                         quicopy-agent invite, peers, jobs, adopt, trash
//!        |                                          |  if an agent runs: over its socket
//!   [daemon] listener -> gate -> link -> job  <-----+
//!        |                                          |  else: on the state itself
//!        +--------------> [office] <----------------+
//!                   identity, peers, invitations, history, share ids: the state folder
//! ```
//!
//! Reading order: [`cli`] and [`config`] (what was asked for), [`places`], [`state`] (where things are kept), [`share`]
//! and [`share_id`] (which folders, and are they still the same), [`office`] and [`request`] (what an administrator can
//! do), [`command`] (how the command line asks for it), [`control`] (the same through a socket), [`daemon`] (what runs), [`job`]
//! (what serves one), [`trash`], [`history`], [`log`].
//!
//! Without the feature `daemon` nothing is left but what serves one job over a link: [`job`], the embedded
//! agent of local copies.

#[cfg(feature = "daemon")]
pub mod cli;
#[cfg(feature = "daemon")]
pub mod command;
#[cfg(feature = "daemon")]
pub mod config;
#[cfg(feature = "daemon")]
pub mod control;
#[cfg(feature = "daemon")]
pub mod daemon;
#[cfg(feature = "daemon")]
pub mod history;
pub mod job;
#[cfg(feature = "daemon")]
pub mod log;
#[cfg(feature = "daemon")]
pub mod office;
#[cfg(feature = "daemon")]
pub mod places;
#[cfg(feature = "daemon")]
pub mod request;
#[cfg(feature = "daemon")]
pub mod share;
#[cfg(feature = "daemon")]
pub mod share_id;
#[cfg(feature = "daemon")]
pub mod state;
#[cfg(feature = "daemon")]
pub mod trash;
