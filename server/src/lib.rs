//! Quicopy's sender: the command line that people and schedulers run on the source's side.
//!
//! It turns Robocopy's switches into a job, runs that job against an agent, embedded or far away, and reports it as
//! Robocopy would. It decides nothing about a file: every such decision is the engine's, and the agent's.
//!
//! Read [`cli`] first, from arguments to a [`cli::Job`]; then [`report`], from events to lines and the exit code.
//! [`job_file`] reads and writes Robocopy's job files. [`config`] is what the user tells the sender once and for all;
//! [`paths`] says where the sender keeps its state, and [`history`] what it remembers of past jobs.

pub mod cli;
pub mod config;
pub mod history;
pub mod job_file;
pub mod pair;
pub mod paths;
pub mod regular_file;
pub mod report;
pub mod run;
