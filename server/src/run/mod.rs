//! One job, from its header to its exit code: attempts over links, until one reaches the end or none is worth making.
//!
//! A lost link, an agent that restarts or is busy: the job waits (`/R`, `/W`) and runs again with the same id. What was
//! copied is the same then, and what was interrupted goes on from its partial file, so that an attempt is all the
//! resuming there is. The count of retries begins anew whenever more became durable than before.
//!
//! - `attempt`: one link from hello to goodbye; `outlet`, `offers`, `serving`, `progress`, `throttle`: its parts
//! - `accounts`: from what the agent says to what the report shows; pure
//! - `local`, `remote`: where links come from

mod accounts;
mod attempt;
mod local;
mod moving;
mod offers;
mod outlet;
mod progress;
mod remote;
mod reporter;
mod serving;
mod throttle;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quicopy_agent::job::origin;
use quicopy_engine::filter::Filter;
use quicopy_engine::retry::RetryPolicy;
use quicopy_engine::source::{Source, StopFlag};
use quicopy_protocol::link::SenderLink;
use quicopy_protocol::message::{JobId, OpenJob, Origin};
use quicopy_protocol::path::RelPath;
use tokio::runtime::Handle;

use crate::cli::{Destination, Job};
use crate::history::{self, JobRecord};
use crate::report::{Ending, ExitCode, LogError, Report, ReportEvent, Summary, Times};

use attempt::{Attempted, Carried, End, Setting};
use moving::Mover;
use reporter::Reporter;
use throttle::Throttle;

/// Why there is no link.
enum NoLink {
    /// Trying again cannot help.
    Fatal(String),
    /// It may work later.
    Later(String),
}

/// Where links come from.
enum Dial {
    Local(local::Embedded),
    Remote(remote::Remote),
}

impl Dial {
    fn link(&self) -> Result<SenderLink, NoLink> {
        match self {
            Self::Local(embedded) => embedded.link(),
            Self::Remote(remote) => remote.link(),
        }
    }

    /// Waits until the other end has left everything in order, as far as it is this process's business.
    fn finish(&self) {
        match self {
            Self::Local(embedded) => embedded.finish(),
            Self::Remote(remote) => remote.finish(),
        }
    }

    /// The share and the path below it that the agent is asked for.
    fn folder(&self) -> (String, RelPath) {
        match self {
            Self::Local(embedded) => ("local".to_owned(), embedded.root()),
            Self::Remote(remote) => remote.folder(),
        }
    }
}

/// Carries out a job, reports it, and says what the program exits with. Call it within a tokio runtime, on a thread that
/// may block; `state` is the sender's own folder.
///
/// # Errors
/// The log cannot be opened. Nothing was done.
pub fn run(
    job: Job,
    state: &Path,
    runtime: &Handle,
    stop: &StopFlag,
) -> Result<ExitCode, LogError> {
    let started = jiff::Timestamp::now();
    let begin = Instant::now();
    let header = job.header.clone();
    let reporter = Reporter::new(Report::open(job.report.clone(), header.clone())?);
    let id = JobId(random_id());
    reporter.tell(ReportEvent::Started { job: id.to_string() });
    for notice in &job.notices {
        reporter.tell(ReportEvent::Notice(notice.clone()));
    }

    let mut course = Course::default();
    let ending = match carry_out(&job, id, state, runtime, stop, &reporter, &mut course) {
        Ok(ending) => ending,
        Err(reason) => {
            reporter.tell(ReportEvent::Fatal(reason));
            Ending::Fatal
        }
    };

    let total = begin.elapsed();
    let mut summary = course.summary;
    summary.times = Times {
        total,
        copying: course.copying,
        waiting: course.waiting,
        other: total.saturating_sub(course.copying + course.waiting),
    };
    let exit_code = ExitCode::of(&summary, ending);
    let record = JobRecord::new(id.to_string(), started, &header, &summary, exit_code);
    reporter.tell(ReportEvent::Finished { summary: Box::new(summary), exit_code });
    if let Err(error) = history::append(state, &record) {
        tracing::warn!(%error, "the job could not be noted in the history");
    }
    Ok(match reporter.into_inner().log_failure() {
        Some(error) => {
            tracing::error!(%error, "the log could not be written to its end");
            ExitCode::FATAL
        }
        None => exit_code,
    })
}

/// What the attempts of a job came to.
#[derive(Default)]
struct Course {
    summary: Summary,
    links: u64,
    durable_bytes: u64,
    copying: Duration,
    waiting: Duration,
}

fn carry_out(
    job: &Job,
    id: JobId,
    state: &Path,
    runtime: &Handle,
    stop: &StopFlag,
    reporter: &Reporter,
    course: &mut Course,
) -> Result<Ending, String> {
    let policy = &job.policy;
    let source = Source::open(&job.source, policy.selection.links).map_err(|error| {
        let failure = error.failure();
        let code = failure.windows_code;
        format!(
            "{code} (0x{code:08X}) {} {} : {}; nothing was changed",
            failure.operation.label(),
            job.header.source,
            failure.reason
        )
    })?;
    let filter = Filter::new(&policy.selection).map_err(|error| error.to_string())?;
    let chain = source.chain().unwrap_or_default();
    let dial = match &job.destination {
        Destination::Local(path) => Dial::Local(local::Embedded::new(
            path.clone(),
            policy.list_only,
            state,
            runtime.clone(),
        )),
        Destination::Remote(folder) => {
            Dial::Remote(remote::Remote::new(folder.clone(), state, runtime.clone())?)
        }
    };
    let (share, path) = dial.folder();
    let source = Arc::new(source);
    let setting = Setting {
        source: Arc::clone(&source),
        filter: &filter,
        open: OpenJob {
            job: id,
            attempt: 0,
            share,
            path,
            policy: policy.clone(),
            origin: Origin {
                machine: origin::machine(),
                chain: chain.iter().map(|id| (id.device, id.inode)).collect(),
            },
            label: label(job),
        },
        threads: job.threads.into(),
        throttle: Arc::new(Throttle::new(job.bandwidth, stop.clone())),
        mover: Mover(job.move_mode),
        reporter,
        stop,
    };
    let ending = attempts(&setting, &dial, course);
    dial.finish();
    let ending = ending?;
    if !policy.list_only {
        for (path, failure) in setting.mover.remove_emptied(&source, &filter, policy, stop) {
            course.summary.other_failures += 1;
            reporter.tell(ReportEvent::Error { failure, path, retries_exhausted: false });
        }
    }
    Ok(ending)
}

/// Makes attempts until one reaches the end.
///
/// # Errors
/// None does, for the reason given.
fn attempts(setting: &Setting<'_>, dial: &Dial, course: &mut Course) -> Result<Ending, String> {
    let mut retries = RetryPolicy::new(setting.open.policy.retry);
    let mut carried = Carried::default();
    let mut number = 0;
    loop {
        let reason = match dial.link() {
            Err(NoLink::Fatal(reason)) => return Err(reason),
            Err(NoLink::Later(reason)) => reason,
            Ok(link) => {
                let begin = Instant::now();
                let attempted = attempt::run(setting, link, number, std::mem::take(&mut carried));
                number += 1;
                let end = course.add(attempted, begin.elapsed(), &mut carried);
                retries.note_progress(course.durable_bytes);
                match end {
                    End::Complete { held_back: false } => return Ok(Ending::Complete),
                    End::Complete { held_back: true } => return Ok(Ending::HeldBack),
                    End::Stopped => {
                        return Err(
                            "stopped; what was copied stays, and the next run goes on from here"
                                .to_owned(),
                        );
                    }
                    End::SourceFailed(reason) => return Err(reason),
                    End::Refused(refused) if !refused.code.may_pass() => return Err(refused.reason),
                    End::Refused(refused) => refused.reason,
                    End::Lost(reason) => remote::not_known(&reason).map_or(Ok(reason), Err)?,
                }
            }
        };
        let Some(wait) = retries.next_wait() else {
            return Err(format!(
                "{reason}; given up after {} retries",
                setting.open.policy.retry.retries
            ));
        };
        setting.reporter.tell(ReportEvent::Reconnecting { reason, wait });
        let begin = Instant::now();
        let stopped = setting.stop.wait(wait);
        course.waiting += begin.elapsed();
        if stopped {
            return Err("stopped; the next run goes on from here".to_owned());
        }
    }
}

impl Course {
    /// Joins what an attempt came to, and says how it ended.
    fn add(&mut self, attempted: Attempted, took: Duration, carried: &mut Carried) -> End {
        let Attempted { end, summary, literal_bytes, durable_bytes, wire, carried: next } =
            attempted;
        let before = std::mem::take(&mut self.summary);
        let mut joined = accounts::join(before.clone(), summary);
        joined.literal_bytes = before.literal_bytes + literal_bytes;
        joined.wire_bytes_sent = before.wire_bytes_sent + wire.0;
        joined.wire_bytes_received = before.wire_bytes_received + wire.1;
        joined.reconnects = self.links;
        self.links += 1;
        self.summary = joined;
        self.durable_bytes += durable_bytes;
        if literal_bytes > 0 {
            self.copying += took;
        }
        *carried = next;
        end
    }
}

fn random_id() -> [u8; 16] {
    let mut id = [0; 16];
    // The kernel fills so few bytes whole, or not at all.
    let filled = rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty());
    assert_eq!(filled, Ok(id.len()), "the kernel gives random numbers");
    id
}

/// Host and folder of the source, for whoever finds the destination locked.
fn label(job: &Job) -> String {
    let name = rustix::system::uname();
    let mut label = format!("{}:{}", name.nodename().to_string_lossy(), job.header.source);
    quicopy_protocol::text::cut(&mut label, quicopy_protocol::limits::TEXT_BYTES_MAX);
    label
}
