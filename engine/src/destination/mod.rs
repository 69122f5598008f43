//! One job at the destination, from the first listing to the last deletion.
//!
//! [`run`] is given what the sender says ([`Inputs`]) and tells what is to be said back ([`Event`]); it knows neither
//! messages nor links. Inside, a few threads each do one thing:
//!
//! ```text
//! listings ─► comparer ──plan──► events            plans directories in order, makes them
//!                 │ work
//!                 ▼
//!             scheduler ──wish─► events            asks for content, within a window
//! content ─► writers ──ready──► committer ─► events   verify and write; sync, rename, sync
//!                                                   … then removals, and done
//! ```
//!
//! A ledger knows how far the job is settled. A stop, or inputs that end early, park the job: what is unfinished is made
//! durable and kept for the next attempt, and nothing is deleted.
//!
//! Reading order: `event`, `comparer` (with `arrival` before it and `assign` after), `scheduler`, `writer`, `removal`; `job`
//! is what they share.

mod arrival;
mod assign;
mod comparer;
mod descriptors;
mod event;
mod finisher;
mod folder;
mod job;
mod ledger;
mod links;
mod listing;
mod presence;
mod removal;
mod scheduler;
mod setup;
mod stamp;
mod time_step;
mod window;
mod work;
mod writer;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[allow(clippy::disallowed_methods, reason = "trees for tests")]
mod tests;

use std::sync::atomic::Ordering;

use async_channel::{Receiver, Sender};
use quicopy_protocol::code::RefusalCode;

use crate::commit::Order;
use crate::filter::Filter;
use crate::source::StopFlag;
use comparer::Comparer;
use finisher::{Finisher, Try};
use job::{Job, ParkOnPanic};
use listing::Listing;
use removal::Removals;
use scheduler::Scheduler;

pub use event::{Content, Done, Event, Listed, PartEnd};
pub use setup::{Rights, Setup};
pub use time_step::time_step_nanos;

/// Threads that verify and write content. Two saturate a disk's journal; four hide its waits.
const WRITERS: usize = 4;

/// What the sender says, in three flows that each keep their order.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// Directories of the source, then the end of the scan.
    pub listed: Receiver<Listed>,
    /// Chunk lists: those of one file in file order.
    pub lists: Receiver<Content>,
    /// Content in any order.
    pub content: Receiver<Content>,
}

/// How a job ended that was not refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// It reached its end; [`Event::Done`] was told.
    Complete,
    /// It was stopped or its inputs ended; what was unfinished is kept.
    Parked,
}

/// Why a job cannot go on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The kind of reason.
    pub code: RefusalCode,
    /// The reason in words, and what to do.
    pub reason: String,
}

impl Refusal {
    fn new(code: RefusalCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    fn protocol(reason: &str) -> Self {
        Self::new(RefusalCode::Protocol, reason)
    }

    fn from_spool(error: std::io::Error) -> Self {
        Self::new(
            RefusalCode::DestinationFailed,
            format!("the list of deletions cannot be written at the destination: {error}"),
        )
    }
}

/// Carries out one job, on this thread and some of its own; none is left when it returns.
///
/// # Errors
/// The job cannot go on and was parked: a guard forbids it, the destination cannot be opened, or the sender broke the rules.
pub fn run(
    setup: Setup,
    inputs: Inputs,
    events: Sender<Event>,
    stop: StopFlag,
) -> Result<Ended, Refusal> {
    let filter = Filter::new(&setup.policy.selection)
        .map_err(|error| Refusal::new(RefusalCode::Unsupported, error.to_string()))?;
    let job = Job::new(setup, filter, stop, events);
    let (work_tx, work_rx) = crossbeam_channel::unbounded();
    let finisher = Finisher::new(&job, work_rx.clone());

    let ended = std::thread::scope(|scope| {
        let (commits_tx, commits_rx) = crossbeam_channel::bounded(finisher::ready_max());
        let (job, finisher) = (&job, &finisher);
        scope.spawn(move || {
            let _guard = ParkOnPanic(job);
            finisher.commit(&commits_rx);
        });
        let scheduler = Scheduler::new(job, finisher, work_rx, commits_tx.clone());
        scope.spawn(move || {
            let _guard = ParkOnPanic(job);
            scheduler.run();
        });
        for flow in [&inputs.content; WRITERS].into_iter().chain([&inputs.lists]) {
            let commits = commits_tx.clone();
            scope.spawn(move || {
                let _guard = ParkOnPanic(job);
                writer::run(job, finisher, flow, &commits);
            });
        }
        scope.spawn(|| end_with(job, &inputs));
        let _guard = ParkOnPanic(job);

        let ended = plan_all(job, &inputs, work_tx, commits_tx).map(|planned| match planned {
            Some((removals, directories)) if job.wait_until_idle() => {
                finish(job, removals, directories)
            }
            Some(_) | None => Ended::Parked,
        });
        job.park();
        ended
    });
    job.keep_unfinished();
    job.leave_directories();
    match job.refusal() {
        Some(refusal) => Err(refusal),
        None => ended,
    }
}

/// Ends the job's flows when it is parked or over, so that nobody waits for more.
fn end_with(job: &Job, inputs: &Inputs) {
    while !job.stop.wait(std::time::Duration::from_secs(3600)) {}
    job.park();
    inputs.listed.close();
    inputs.lists.close();
    inputs.content.close();
}

/// Plans every directory of the source; `None` if the listings ended before their end.
fn plan_all(
    job: &Job,
    inputs: &Inputs,
    work: crossbeam_channel::Sender<work::Work>,
    commits: crossbeam_channel::Sender<Order<Try>>,
) -> Result<Option<(Removals, u64)>, Refusal> {
    let mut comparer = Comparer::new(job, work, Removals::new());
    let mut assembling = None;
    while let Ok(listed) = inputs.listed.recv_blocking() {
        if job.stop.is_set() {
            return Ok(None);
        }
        match listed {
            Listed::Part { dir, path, meta, attributes, entries, end } => {
                let part = Listing { dir, path, meta, attributes, entries, failure: None };
                if let Some(listing) = Listing::add(&mut assembling, part, end)? {
                    comparer.plan(&listing)?;
                }
            }
            Listed::End => {
                let planned = comparer.finish();
                job.scan_ended.store(true, Ordering::Release);
                // Whatever waits for company now waits for entries in work alone.
                let _ = commits.send(Order::Flush);
                return Ok(Some(planned));
            }
        }
    }
    Ok(None)
}

/// Everything was copied: deletes what is to be deleted, and makes the last changes durable.
fn finish(job: &Job, removals: Removals, directories: u64) -> Ended {
    let mut done = Done { directories, ..Done::default() };
    removals.carry_out(job, &mut done);
    done.deleted += job.displaced();
    if job.stop.is_set() {
        return Ended::Parked;
    }
    job.sync_last();
    job.tell(Event::Done(done));
    Ended::Complete
}
