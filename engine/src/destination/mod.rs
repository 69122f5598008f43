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
//! Reading order: `event`, `comparer` (with `arrival` before it, `assign`, `wrong_way` and `plan_name` after), `scheduler`, `writer`, `removal` (with
//! `spool`, `removing` and `aside`); `job` is what they share.

mod arrival;
mod aside;
mod assign;
mod checker;
mod comparer;
mod descriptors;
mod event;
mod finisher;
mod fix;
mod folder;
mod hard_links;
mod job;
mod ledger;
mod links;
mod listing;
mod plan_name;
mod presence;
mod removal;
mod removing;
mod scheduler;
mod setup;
mod space_floor;
mod spool;
mod stamp;
mod time_step;
mod tree_state;
mod window;
mod work;
mod writer;
mod wrong_way;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[allow(clippy::disallowed_methods, reason = "trees for tests")]
mod tests;

use std::sync::atomic::Ordering;

use async_channel::{Receiver, Sender};
use quicopy_protocol::code::RefusalCode;
use quicopy_protocol::options::JobPolicy;

use crate::commit::Order;
use crate::filter::Filter;
use crate::purge::Ruling;
use crate::source::StopFlag;
use checker::Checker;
use comparer::{Comparer, Planned};
use finisher::{Finisher, Try};
use job::{Job, ParkOnPanic};
use listing::Listing;
use removal::Removals;
use scheduler::Scheduler;

pub use event::{Content, Done, Event, Listed, PartEnd};
pub use setup::{Rights, Setup, TrashRules};
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
    let checker = Checker::new(&job, &finisher);

    let ended = std::thread::scope(|scope| {
        let (commits_tx, commits_rx) = crossbeam_channel::bounded(finisher::ready_max());
        let (job, finisher, checker) = (&job, &finisher, &checker);
        scope.spawn(move || {
            let _guard = ParkOnPanic(job);
            finisher.commit(&commits_rx);
        });
        let scheduler = Scheduler::new(job, finisher, checker, work_rx, commits_tx.clone());
        scope.spawn(move || {
            let _guard = ParkOnPanic(job);
            scheduler.run();
        });
        for flow in [&inputs.content; WRITERS].into_iter().chain([&inputs.lists]) {
            let commits = commits_tx.clone();
            scope.spawn(move || {
                let _guard = ParkOnPanic(job);
                writer::run(job, finisher, checker, flow, &commits);
            });
        }
        for _ in 0..checker::HASHERS {
            scope.spawn(move || {
                let _guard = ParkOnPanic(job);
                checker.run();
            });
        }
        scope.spawn(|| end_with(job, &inputs));
        let _guard = ParkOnPanic(job);

        let ended = plan_all(job, &inputs, work_tx, commits_tx).map(|planned| match planned {
            Some(planned) if job.wait_until_idle() => finish(job, planned),
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
) -> Result<Option<Planned>, Refusal> {
    job.tell_no_trash();
    let mut comparer = Comparer::new(job, work, Removals::new());
    let mut assembling = None;
    while let Ok(listed) = inputs.listed.recv_blocking() {
        if job.stop.is_set() {
            return Ok(None);
        }
        match listed {
            Listed::Part { dir, path, meta, attributes, entries, end } => {
                comparer.note_listed(&entries);
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
                return check_plan(&job.setup.policy, planned).map(Some);
            }
        }
    }
    Ok(None)
}

/// Compares a plan with the one that the job is to carry out: another one is refused before anything is done, in the job
/// that only lists and goes before. If the trees changed since, what is left to do is deletions, and they are not done.
fn check_plan(policy: &JobPolicy, mut planned: Planned) -> Result<Planned, Refusal> {
    let Some(asked) = policy.plan.filter(|asked| *asked != planned.name) else {
        return Ok(planned);
    };
    let now = planned.name;
    if policy.list_only {
        return Err(Refusal::new(
            RefusalCode::PlanChanged,
            format!(
                "D14: the plan has changed: it was {asked} and is {now}; nothing was changed; see it with /L, then pass /PLAN:{now}"
            ),
        ));
    }
    planned.removals.forbid(format!(
        "D14: the plan has changed since it was checked: it was {asked} and is {now}; nothing was deleted; see what is left with /L"
    ));
    Ok(planned)
}

/// Everything was copied: deletes what is to be deleted, and makes the last changes durable.
fn finish(job: &Job, planned: Planned) -> Ended {
    let Planned { removals, directories, name, overwrites } = planned;
    let policy = &job.setup.policy;
    let plan = (policy.list_only || policy.plan.is_some()).then_some(name);
    let mut done = Done { directories, plan, ..Done::default() };
    removals.carry_out(job, &mut done);
    match overwrites {
        Ruling::Pass => {}
        Ruling::Warn(text) => job.tell(Event::Notice(text)),
        Ruling::Refuse(text) => {
            done.guard = Some(done.guard.map_or(text.clone(), |guard| format!("{text}; {guard}")));
        }
    }
    done.deleted += job.displaced();
    done.trashed += job.trashed();
    if job.stop.is_set() {
        return Ended::Parked;
    }
    job.sync_last();
    job.tell(Event::Done(done));
    Ended::Complete
}
