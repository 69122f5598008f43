//! One job, from its header to its exit code: attempts over links, until one reaches the end or none is worth making.
//!
//! A lost link, an agent that restarts or is busy: the job waits (`/R`, `/W`) and runs again with the same id. What was
//! copied is the same then, and what was interrupted goes on from its partial file, so that an attempt is all the
//! resuming there is. The count of retries begins anew whenever more became durable than before.
//!
//! - `job`: one run, from its header to its summary; `monitor`: one after another (`/MON`, `/MOT`); `hours`: when (`/RH`, `/PF`)
//! - `attempts`: until one reaches the end; `course`: what they came to; `carried`: what one hands on to the next
//! - `attempt`: one link from hello to goodbye, in its steps `opening`, `listing`, `hearing`, `parting`; `outlet`, `offers`,
//!   `serving`, `progress`, `throttle`: its parts
//! - `own_log`: the log, where it lies in one of the job's own trees
//! - `ending`: why it ends, for all its threads; `reporter`, `rereading`, `silence`: what is said meanwhile; `moving`: `/MOV`, `/MOVE`
//! - `outages`: how long there was no agent; pure
//! - `accounts`, `counted`: from what the agent says to what the report shows; pure
//! - `dial`, `local`, `remote`: where links come from; `memory`: what they gave

mod accounts;
mod attempt;
mod attempts;
mod carried;
mod counted;
mod course;
mod dial;
mod ending;
mod hearing;
mod hours;
mod job;
mod link_limit;
mod listing;
mod local;
mod memory;
mod monitor;
mod moving;
mod offers;
mod opening;
mod outages;
mod outlet;
mod own_log;
mod parting;
mod progress;
mod remote;
mod reporter;
mod rereading;
mod serving;
mod silence;
mod throttle;

use std::path::Path;
use std::time::Duration;

use quicopy_engine::source::StopFlag;
use tokio::runtime::Handle;

use crate::cli::Job;
use crate::report::{ExitCode, LogError, Report};

use job::Run;
use reporter::Reporter;

/// How soon a task sees that the user asks to stop.
const STOP_INTERVAL: Duration = Duration::from_millis(50);

/// Carries out a job, reports it, and says what the program exits with. A monitor goes on until `stop` is set. Call it within
/// a tokio runtime, on a thread that may block; `state` is the sender's own folder.
///
/// # Errors
/// The log cannot be opened. Nothing was done.
pub fn run(
    job: &Job,
    state: &Path,
    runtime: &Handle,
    stop: &StopFlag,
) -> Result<ExitCode, LogError> {
    let reporter = Reporter::new(Report::open(job.report.clone(), job.header.clone())?);
    let job = &own_log::leave_out(job.clone());
    let run = Run { job, state, runtime, stop, reporter: &reporter };
    let exit_code = match job.monitor {
        None => run.once(None).1,
        Some(monitor) => monitor::run(&run, monitor),
    };
    Ok(if reporter.log_is_whole() { exit_code } else { ExitCode::FATAL })
}

/// Waits until the user asks to stop.
async fn stopped(stop: &StopFlag) {
    while !stop.is_set() {
        tokio::time::sleep(STOP_INTERVAL).await;
    }
}
