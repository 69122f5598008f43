//! One run of a job, from its header to its summary: [`Run`].

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use quicopy_agent::job::origin;
use quicopy_engine::filter::Filter;
use quicopy_engine::source::{Source, StopFlag};
use quicopy_protocol::attributes::DosAttributes;
use quicopy_protocol::message::{JobId, OpenJob, Origin};
use quicopy_protocol::options::{AttributeFilter, Retry};
use quicopy_protocol::path::RelPath;
use tokio::runtime::Handle;

use super::attempt::Setting;
use super::attempts::{Attempts, Relist};
use super::carried::Carried;
use super::course::Course;
use super::dial::Dial;
use super::moving::Mover;
use super::own_log;
use super::reporter::Reporter;
use super::throttle::Throttle;
use crate::cli::Job;
use crate::history::{self, JobRecord};
use crate::report::{Ending, ExitCode, ReportEvent, Summary};

/// What a run works with.
pub(super) struct Run<'a> {
    pub(super) job: &'a Job,
    /// The sender's own folder.
    pub(super) state: &'a Path,
    pub(super) runtime: &'a Handle,
    pub(super) stop: &'a StopFlag,
    pub(super) reporter: &'a Reporter,
}

impl Run<'_> {
    /// Carries out the job once, reports it and notes it in the history. `number` is that of a monitor's run. A job whose log
    /// took no more has broken off for whoever reads the log.
    pub(super) fn once(&self, number: Option<u32>) -> (Summary, ExitCode) {
        let Self { job, state, reporter, .. } = *self;
        let started = jiff::Timestamp::now();
        let begin = Instant::now();
        let id = JobId(random_id());
        reporter.tell(ReportEvent::Started { job: id.to_string() });
        for notice in &job.notices {
            reporter.tell(ReportEvent::Notice(notice.clone()));
        }

        let mut course = Course::default();
        let ending = self.carry_out(id, &mut course).unwrap_or_else(|reason| {
            reporter.tell(ReportEvent::Fatal(reason));
            Ending::Fatal
        });

        let summary = course.summary(begin.elapsed());
        let exit_code = match reporter.log_is_whole() {
            true => ExitCode::of(&summary, ending),
            false => ExitCode::FATAL,
        };
        let record = JobRecord::new(id.to_string(), started, &job.header, &summary, exit_code);
        let finished = Box::new(summary.clone());
        reporter.tell(ReportEvent::Finished { summary: finished, exit_code, run: number });
        if let Err(error) = history::append(state, &record) {
            tracing::warn!(%error, "the job could not be noted in the history");
        }
        (summary, exit_code)
    }

    fn carry_out(&self, id: JobId, course: &mut Course) -> Result<Ending, String> {
        let Self { job, state, runtime, stop, reporter } = *self;
        let policy = &job.policy;
        let source = Arc::new(self.open_source()?);
        self.check_attributes(&source)?;
        let filter = Filter::new(&policy.selection).map_err(|error| error.to_string())?;
        let chain = source.chain().map_err(|error| {
            format!(
                "it cannot be told whether source and destination overlap: {error}; nothing was changed"
            )
        })?;
        let rehearses = policy.plan.is_some() && !policy.list_only;
        let dial = Dial::new(job, policy.list_only || rehearses, state, runtime)?;
        let (share, path) = dial.folder();
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
            throttle: Arc::new(Throttle::new(dial.content_pace(job))),
            mover: Mover(job.move_mode),
            resets_archive: job.reset_archive && !policy.list_only,
            hours: job.run_hours.filter(|hours| hours.per_file).map(|hours| hours.hours),
            relist: Relist::new(policy.retry),
            reporter,
            runtime: runtime.clone(),
            stop,
        };
        let dial = match rehearses {
            true => {
                self.rehearse(&mut setting, &dial, course)?;
                let dial = Dial::new(job, false, state, runtime)?;
                (setting.open.share, setting.open.path) = dial.folder();
                dial
            }
            false => dial,
        };
        let mut carried = Carried::default();
        let ending = self.attempt(&mut setting, &dial, course, &mut carried);
        dial.finish(course.sent_bytes());
        let ending = ending?;
        if !policy.list_only {
            for (path, failure) in setting.mover.remove_emptied(&source, &carried.moved) {
                course.counted.summary.other_failures += 1;
                reporter.tell(ReportEvent::Error { failure, path, retries_exhausted: false });
            }
        }
        Ok(ending)
    }

    fn attempt(
        &self,
        setting: &mut Setting<'_>,
        dial: &Dial,
        course: &mut Course,
        carried: &mut Carried,
    ) -> Result<Ending, String> {
        let (hours, awaits_share) = (self.job.run_hours, self.job.tbd);
        Attempts { setting, dial, course, carried, hours, awaits_share }.make()
    }

    /// Goes through the whole job without doing anything, so that the agent can compare its plan with the one of the name that
    /// is to be carried out (`/PLAN`).
    ///
    /// # Errors
    /// The plan is another one now, or cannot be made.
    fn rehearse(
        &self,
        setting: &mut Setting<'_>,
        dial: &Dial,
        course: &mut Course,
    ) -> Result<(), String> {
        let mut rehearsal = Course::default();
        let (policy, relist) = (setting.open.policy.clone(), setting.relist);
        setting.open.policy.list_only = true;
        // What changes meanwhile makes another plan, as it should.
        setting.relist = Relist::new(Retry { retries: 0, ..policy.retry });
        self.reporter.rehearse(true);
        let ended = self.attempt(setting, dial, &mut rehearsal, &mut Carried::default());
        self.reporter.rehearse(false);
        (setting.open.policy, setting.relist) = (policy, relist);
        dial.finish(rehearsal.sent_bytes());
        course.add_wire(&rehearsal);
        ended.map(drop)
    }

    fn open_source(&self) -> Result<Source, String> {
        let Self { job, reporter, .. } = self;
        let opened = Source::open(&job.source, job.policy.selection.links);
        opened.map(|source| source.without(own_log::identity(job))).map_err(|error| {
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
        })
    }

    /// Refuses to choose files by marks that the source's file system cannot keep: all or none would be chosen, in silence.
    /// What is to be left out for its mark is not there, and all the rest is copied.
    fn check_attributes(&self, source: &Source) -> Result<(), String> {
        let AttributeFilter { all_of, any_of, none_of } = self.job.policy.selection.attributes;
        let beyond_modes = |set: DosAttributes| !set.without(DosAttributes::READ_ONLY).is_empty();
        if ![all_of, any_of, none_of].into_iter().any(beyond_modes) || source.keeps_attributes() {
            return Ok(());
        }
        let why =
            "the source's file system keeps no user attributes, and so no DOS attributes but R";
        if beyond_modes(all_of) || beyond_modes(any_of) {
            return Err(format!(
                "/A, /M or /IA : {why}; mount it with user_xattr, or choose files another way; nothing was changed"
            ));
        }
        self.reporter
            .tell(ReportEvent::Notice(format!("/XA : {why}: nothing is left out for another")));
        Ok(())
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
