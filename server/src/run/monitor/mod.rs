//! `/MON`, `/MOT`: one run after another, each after so many changes and so many minutes, until the user asks to stop.
//!
//! - `turn`: when the next run is due; pure
//! - `watch`: the source, by inotify; `changes`: what was seen there; pure
//!
//! Each run lists the whole source: that costs little beside copying, and no lost event costs a file.

mod changes;
mod turn;
mod watch;

use std::time::{Duration, Instant};

use quicopy_engine::filter::Filter;

use super::job::Run;
use crate::cli::Monitor;
use crate::report::{ExitCode, ReportEvent, Summary};
use changes::Seen;
use turn::Turn;
use watch::{Tree, Watch};

/// How often is looked whether a run is due.
const LOOK: Duration = Duration::from_secs(1);

/// Runs the job again and again, until the user asks to stop. Returns what the program exits with: 16 if the last run broke
/// off, as it does when it is asked to stop; otherwise what all runs came to.
pub(super) fn run(run: &Run<'_>, monitor: Monitor) -> ExitCode {
    let mut whole = Whole::default();
    let mut eyes = Eyes::new(run);
    loop {
        // What changes from here on may be seen by this run, or not: it counts for the next.
        let is_watched = eyes.open(run);
        let (summary, exit_code) = run.once(Some(whole.runs + 1));
        whole.add(&summary, exit_code);
        if !run.stop.is_set() {
            wait(run, monitor, &mut eyes, is_watched);
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

/// Waits until the next run is due, or the user asks to stop.
fn wait(run: &Run<'_>, monitor: Monitor, eyes: &mut Eyes, mut is_watched: bool) {
    let Monitor { minutes, changes } = monitor;
    run.reporter.tell(ReportEvent::Monitoring { minutes, changes });
    let turn = Turn::new(monitor, Instant::now());
    let mut shown = None;
    loop {
        is_watched = is_watched && eyes.still_see(run);
        let seen = if is_watched { eyes.seen() } else { Seen::Unknown };
        let now = Instant::now();
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
    watch: Option<Watch>,
    /// What was said of why not.
    told: Option<String>,
}

impl Eyes {
    fn new(run: &Run<'_>) -> Self {
        let policy = &run.job.policy;
        // A pattern that is none ends each run with the same words.
        let watch = Filter::new(&policy.selection)
            .ok()
            .map(|filter| Watch::new(Tree::new(&run.job.source, filter, &policy.selection)));
        match watch {
            Some(Ok(watch)) => Self { watch: Some(watch), told: None },
            Some(Err(error)) => {
                let mut eyes = Self { watch: None, told: None };
                eyes.tell(run, error.to_string());
                eyes
            }
            None => Self { watch: None, told: None },
        }
    }

    /// Begins to count anew; whether anything is seen.
    fn open(&mut self, run: &Run<'_>) -> bool {
        let begun = match &self.watch {
            Some(watch) => watch.begin(),
            None => return false,
        };
        match begun {
            Ok(()) => true,
            Err(error) => {
                self.tell(run, error.to_string());
                false
            }
        }
    }

    fn still_see(&mut self, run: &Run<'_>) -> bool {
        match self.watch.as_ref().and_then(Watch::failure) {
            Some(reason) => {
                self.tell(run, reason);
                false
            }
            None => true,
        }
    }

    fn seen(&self) -> Seen {
        self.watch.as_ref().map_or(Seen::Unknown, Watch::seen)
    }

    fn tell(&mut self, run: &Run<'_>, reason: String) {
        if self.told.as_ref() != Some(&reason) {
            let text = format!("{reason}; until then runs follow each other by time alone");
            run.reporter.tell(ReportEvent::Notice(text));
            self.told = Some(reason);
        }
    }
}
