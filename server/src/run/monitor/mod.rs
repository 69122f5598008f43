//! `/MON`, `/MOT`: one run after another, each after so many changes and so many minutes, until the user asks to stop.
//!
//! - `turn`: when the next run is due; pure
//! - `watch`: the source, by inotify; `tree`: what of it counts, `changes`: what was seen there; both pure
//!
//! Each run lists the whole source: that costs little beside copying, and no lost event costs a file.

mod changes;
mod tree;
mod turn;
mod watch;

use std::time::{Duration, Instant};

use quicopy_engine::filter::Filter;

use super::job::Run;
use crate::cli::{Job, Monitor};
use crate::report::{ExitCode, ReportEvent, Summary};
use changes::Seen;
use tree::Tree;
use turn::Turn;
use watch::Watch;

/// How often is looked whether a run is due.
const LOOK: Duration = Duration::from_secs(1);

/// Runs the job again and again, until the user asks to stop. Returns what the program exits with: 16 if the last run broke
/// off, as it does when it is asked to stop; otherwise what all runs came to.
pub(super) fn run(run: &Run<'_>, monitor: Monitor) -> ExitCode {
    let mut whole = Whole::default();
    let mut eyes = Eyes::new(run.job);
    loop {
        // What changes from here on may be seen by this run, or not: it counts for the next.
        eyes.open();
        let (summary, exit_code) = run.once(Some(whole.runs + 1));
        whole.add(&summary, exit_code);
        if !run.stop.is_set() {
            wait(run, monitor, &mut eyes, exit_code);
        }
        if run.stop.is_set() {
            let exit_code = match exit_code {
                ExitCode::FATAL => ExitCode::FATAL,
                _ => ExitCode::of_runs(whole.exit_codes.iter().copied()),
            };
            let Whole { summary, runs, .. } = whole;
            let summary = Box::new(summary);
            run.reporter.tell(ReportEvent::MonitorEnded { summary, exit_code, runs });
            return exit_code;
        }
    }
}

/// Waits until the run after one that ended so is due, or the user asks to stop.
fn wait(run: &Run<'_>, monitor: Monitor, eyes: &mut Eyes, last: ExitCode) {
    let Monitor { minutes, changes } = monitor;
    run.reporter.tell(ReportEvent::Monitoring { minutes, changes });
    let turn = Turn::new(monitor, Instant::now());
    let mut shown = None;
    loop {
        if let Some(reason) = eyes.news_of_blindness() {
            let text = format!("{reason}; until then runs follow each other by time alone");
            run.reporter.tell(ReportEvent::Notice(text));
        }
        let now = Instant::now();
        let seen = match last {
            // What it should have copied is still to be copied.
            ExitCode::FATAL => Seen::Unknown,
            _ => eyes.seen(),
        };
        if turn.is_due(now, seen) {
            return;
        }
        let status = (turn.minutes(now), seen.count());
        if shown.replace(status) != Some(status) {
            let (minutes, changes) = status;
            run.reporter.tell(ReportEvent::Watched { minutes, changes });
        }
        if run.stop.wait(LOOK) {
            return;
        }
    }
}

/// What all runs came to.
#[derive(Default)]
struct Whole {
    summary: Summary,
    /// Those of all runs, each once.
    exit_codes: Vec<ExitCode>,
    runs: u32,
}

impl Whole {
    fn add(&mut self, summary: &Summary, exit_code: ExitCode) {
        self.summary += summary;
        if !self.exit_codes.contains(&exit_code) {
            self.exit_codes.push(exit_code);
        }
        self.runs = self.runs.saturating_add(1);
    }
}

/// What sees changes, if anything does.
struct Eyes {
    watch: Result<Watch, String>,
    /// Why nothing is seen, as it was said last.
    told: Option<String>,
}

impl Eyes {
    fn new(job: &Job) -> Self {
        let selection = &job.policy.selection;
        let watch = Filter::new(selection).map_err(|error| error.to_string()).and_then(|filter| {
            let tree = Tree::new(&job.source, filter, selection);
            Watch::new(tree).map_err(|error| error.to_string())
        });
        Self { watch, told: None }
    }

    /// Begins to count anew.
    fn open(&self) {
        if let Ok(watch) = &self.watch {
            watch.begin();
        }
    }

    fn seen(&self) -> Seen {
        self.watch.as_ref().map_or(Seen::Unknown, Watch::seen)
    }

    /// Why nothing is seen, unless that was asked already.
    fn news_of_blindness(&mut self) -> Option<String> {
        let reason = match &self.watch {
            Ok(watch) => watch.failure(),
            Err(reason) => Some(reason.clone()),
        };
        if reason == self.told {
            return None;
        }
        self.told = reason;
        self.told.clone()
    }
}
