//! One job, from its header to its exit code: attempts over links, until one reaches the end or none is worth making.
//!
//! A lost link, an agent that restarts or is busy: the job waits (`/R`, `/W`) and runs again with the same id. What was
//! copied is the same then, and what was interrupted goes on from its partial file, so that an attempt is all the
//! resuming there is. The count of retries begins anew whenever more became durable than before.
//!
//! - `attempt`: one link from hello to goodbye, in its steps `opening`, `listing`, `hearing`, `parting`; `outlet`, `offers`,
//!   `serving`, `progress`, `throttle`: its parts; `carried`: what the next one needs of it
//! - `ending`: why it ends, for all its threads; `reporter`, `rereading`, `silence`: what is said meanwhile; `moving`: `/MOV`, `/MOVE`
//! - `outages`: how long there was no agent; pure
//! - `accounts`, `counted`: from what the agent says to what the report shows; pure
//! - `local`, `remote`: where links come from; `memory`: what they gave

mod accounts;
mod attempt;
mod carried;
mod counted;
mod ending;
mod hearing;
mod listing;
mod local;
mod memory;
mod moving;
mod offers;
mod opening;
mod outages;
mod outlet;
mod parting;
mod progress;
mod remote;
mod reporter;
mod rereading;
mod serving;
mod silence;
mod throttle;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quicopy_agent::job::origin;
use quicopy_engine::filter::Filter;
use quicopy_engine::retry::RetryPolicy;
use quicopy_engine::source::{Source, StopFlag};
use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::link::SenderLink;
use quicopy_protocol::message::{JobId, OpenJob, Origin};
use quicopy_protocol::path::RelPath;
use tokio::runtime::Handle;

use crate::cli::{Destination, Job};
use crate::history::{self, JobRecord};
use crate::report::{Ending, ExitCode, LogError, Report, ReportEvent, Summary, Times};

use attempt::{Attempted, Setting};
use carried::Carried;
use counted::Counted;
use ending::End;
use moving::Mover;
use outages::Outages;
use reporter::Reporter;
use throttle::Throttle;

/// How soon a task sees that the user asks to stop.
const STOP_INTERVAL: Duration = Duration::from_millis(50);

/// Windows error number: the network path was not found.
const NOT_REACHED: u32 = 53;
/// Windows error number: the network name is no longer available.
const LINK_LOST: u32 = 64;
/// Windows error number: the resource is in use.
const IN_USE: u32 = 170;

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
    Remote(Box<remote::Remote>),
}

impl Dial {
    fn link(&self, stop: &StopFlag) -> Result<SenderLink, NoLink> {
        match self {
            Self::Local(embedded) => Ok(embedded.link()),
            Self::Remote(remote) => remote.link(stop),
        }
    }

    /// Waits until the other end has left everything in order, as far as it is this process's business; `sent_bytes` went
    /// over its links.
    fn finish(&self, sent_bytes: u64) {
        match self {
            Self::Local(embedded) => embedded.finish(),
            Self::Remote(remote) => remote.finish(sent_bytes),
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
    let mut summary = course.summary();
    summary.times = Times {
        total,
        copying: course.copying,
        waiting: course.waiting,
        other: total.saturating_sub(course.copying + course.waiting),
        lost: course.link_lost + course.outages.total(Instant::now()),
    };
    let exit_code = ExitCode::of(&summary, ending);
    let record = JobRecord::new(id.to_string(), started, &header, &summary, exit_code);
    reporter.tell(ReportEvent::Finished { summary: Box::new(summary), exit_code });
    if let Err(error) = history::append(state, &record) {
        tracing::warn!(%error, "the job could not be noted in the history");
    }
    Ok(match reporter.log_failure() {
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
    counted: Counted,
    links: u64,
    literal_bytes: u64,
    wire: (u64, u64),
    copying: Duration,
    waiting: Duration,
    /// Outages that links outlived.
    link_lost: Duration,
    /// Outages between them.
    outages: Outages,
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
        let reason = format!(
            "{} {} : {}; nothing was changed",
            failure.operation.label(),
            job.header.source,
            failure.reason
        );
        let path = RelPath::ROOT;
        reporter.tell(ReportEvent::Error { failure, path, retries_exhausted: false });
        reason
    })?;
    let filter = Filter::new(&policy.selection).map_err(|error| error.to_string())?;
    let chain = source.chain().map_err(|error| {
        format!(
            "it cannot be told whether source and destination overlap: {error}; nothing was changed"
        )
    })?;
    let dial = match &job.destination {
        Destination::Local(path) => Dial::Local(local::Embedded::new(
            path.clone(),
            policy.list_only,
            state,
            runtime.clone(),
        )),
        Destination::Remote(folder) => {
            let way = remote::Way { policy: job.link_policy, compression: job.compression };
            let remote = remote::Remote::new(folder.clone(), way, state, runtime.clone())?;
            Dial::Remote(Box::new(remote))
        }
    };
    let (share, path) = dial.folder();
    let source = Arc::new(source);
    let mut setting = Setting {
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
        throttle: Arc::new(Throttle::new(job.pace)),
        mover: Mover(job.move_mode),
        reporter,
        runtime: runtime.clone(),
        stop,
    };
    let mut carried = Carried::default();
    let ending = attempts(&mut setting, &dial, course, &mut carried);
    dial.finish(course.wire.0);
    let ending = ending?;
    if !policy.list_only {
        for (path, failure) in setting.mover.remove_emptied(&source, &carried.moved) {
            course.counted.summary.other_failures += 1;
            reporter.tell(ReportEvent::Error { failure, path, retries_exhausted: false });
        }
    }
    Ok(ending)
}

/// Makes attempts until one reaches the end.
///
/// # Errors
/// None does, for the reason given.
fn attempts(
    setting: &mut Setting<'_>,
    dial: &Dial,
    course: &mut Course,
    carried: &mut Carried,
) -> Result<Ending, String> {
    let mut retries = RetryPolicy::new(setting.open.policy.retry);
    let mut number = 0;
    loop {
        let (code, reason) = match dial.link(setting.stop) {
            Err(NoLink::Fatal(reason)) => return Err(reason),
            Err(NoLink::Later(reason)) => (NOT_REACHED, reason),
            Ok(link) => {
                let begin = Instant::now();
                let attempted = attempt::run(setting, link, number, std::mem::take(carried));
                number += 1;
                let end = course.add(attempted, begin.elapsed(), setting, carried);
                course.outages.attempted(begin, &end, Instant::now());
                retries.note_progress(course.counted.in_place() + carried.held_bytes());
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
                    End::Refused(refused) => (IN_USE, refused.reason),
                    End::Lost(reason) => (LINK_LOST, reason),
                }
            }
        };
        if setting.stop.is_set() {
            return Err("stopped; the next run goes on from here".to_owned());
        }
        let Some(wait) = retries.next_wait() else {
            let failure = Failure::new(Operation::AccessDestinationDirectory, code, &*reason);
            let path = RelPath::ROOT;
            setting.reporter.tell(ReportEvent::Error { failure, path, retries_exhausted: true });
            return Err(format!(
                "{reason}; given up after {} retries",
                setting.open.policy.retry.retries
            ));
        };
        setting.reporter.tell(ReportEvent::Reconnecting { code, reason, wait });
        // What was moved is no longer at the source: the next attempt would take its copies for extras, and delete them.
        let moved_any = setting.mover.moves() && course.counted.summary.files.copied > 0;
        if moved_any && std::mem::take(&mut setting.open.policy.purge) {
            setting.reporter.tell(ReportEvent::Notice(
                "files were moved before the link was lost, so this run deletes no extras"
                    .to_owned(),
            ));
        }
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
    fn add(
        &mut self,
        attempted: Attempted,
        took: Duration,
        setting: &Setting<'_>,
        carried: &mut Carried,
    ) -> End {
        let Attempted { end, counted, literal_bytes, wire, carried: next } = attempted;
        let before = std::mem::take(&mut self.counted);
        self.counted = before.join(counted, &setting.open.policy, setting.mover.moves());
        self.links += 1;
        self.literal_bytes += literal_bytes;
        self.wire = (self.wire.0 + wire.sent(), self.wire.1 + wire.received());
        self.link_lost += wire.lost();
        if literal_bytes > 0 {
            self.copying += took;
        }
        *carried = next;
        end
    }

    fn summary(&self) -> Summary {
        Summary {
            literal_bytes: self.literal_bytes,
            wire_bytes_sent: self.wire.0,
            wire_bytes_received: self.wire.1,
            reconnects: self.links.saturating_sub(1),
            ..self.counted.clone().summary()
        }
    }
}

/// Waits until the user asks to stop.
async fn stopped(stop: &StopFlag) {
    while !stop.is_set() {
        tokio::time::sleep(STOP_INTERVAL).await;
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
