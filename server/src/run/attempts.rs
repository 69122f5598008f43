//! A job's attempts, until one reaches the end or none is worth making: [`Attempts`].
//!
//! What makes another one: a link that was lost, an agent that is busy or stops (`/R`, `/W`), with `/TBD` a share that is not
//! there; files that changed while they were read, which are listed anew (`/R`, `/W`, counted apart); the end of the job's hours
//! (`/PF`), which counts as no failure.

use std::time::{Duration, Instant};

use quicopy_engine::retry::RetryPolicy;
use quicopy_protocol::code::{Failure, Operation, RefusalCode};
use quicopy_protocol::options::{ContentCheck, Retry};
use quicopy_protocol::path::RelPath;

use super::attempt::{self, Setting};
use super::carried::Carried;
use super::course::Course;
use super::dial::{Dial, NoLink};
use super::ending::End;
use super::hours;
use crate::cli::RunHours;
use crate::report::{Ending, ReportEvent};

/// Windows error number: the network path was not found.
const NOT_REACHED: u32 = 53;
/// Windows error number: the network name is no longer available.
const LINK_LOST: u32 = 64;
/// Windows error number: the network name cannot be found.
const NO_SHARE: u32 = 67;
/// Windows error number: the resource is in use.
const IN_USE: u32 = 170;

const STOPPED: &str = "stopped; the next run goes on from here";

/// The attempts of one job.
pub(super) struct Attempts<'a, 'b> {
    pub(super) setting: &'a mut Setting<'b>,
    pub(super) dial: &'a Dial,
    pub(super) course: &'a mut Course,
    pub(super) carried: &'a mut Carried,
    /// When attempts may begin.
    pub(super) hours: Option<RunHours>,
    /// Whether a share that is not there is waited for.
    pub(super) awaits_share: bool,
}

/// Listing once more what changed while it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relist {
    /// How often that may still be.
    left: u32,
    wait: Duration,
    /// Whether it is being done.
    pub(super) is_under_way: bool,
}

impl Relist {
    pub(super) fn new(retry: Retry) -> Self {
        let wait = Duration::from_secs(retry.wait_seconds.into());
        Self { left: retry.retries, wait, is_under_way: false }
    }

    /// Time until a file that has changed is listed anew; `None` if it is not.
    pub(super) fn wait(&self) -> Option<Duration> {
        (self.left > 0).then_some(self.wait)
    }
}

/// Why an attempt is not the last.
enum Again {
    /// It failed so: Windows error number, and the reason.
    Failed(u32, String),
    /// Files changed while they were read. So long is waited before they are listed anew.
    Changed(Duration),
    /// It is none of the job's hours any more.
    Paused,
}

impl Attempts<'_, '_> {
    /// Makes attempts until one reaches the end.
    ///
    /// # Errors
    /// None does, for the reason given.
    pub(super) fn make(&mut self) -> Result<Ending, String> {
        let mut retries = RetryPolicy::new(self.setting.open.policy.retry);
        let mut number = 0;
        loop {
            self.keep_hours(number)?;
            let again = match self.dial.link(self.setting.stop) {
                Err(NoLink::Fatal(reason)) => return Err(reason),
                Err(NoLink::Later(reason)) => Again::Failed(NOT_REACHED, reason),
                Ok(link) => {
                    let begin = Instant::now();
                    let carried = std::mem::take(self.carried);
                    let attempted = attempt::run(self.setting, link, number, carried);
                    number += 1;
                    let changed_files = attempted.changed_files;
                    let Self { setting, course, carried, .. } = self;
                    let end = course.add(attempted, begin.elapsed(), setting, carried);
                    course.outages.attempted(begin, &end, Instant::now());
                    retries.note_progress(course.counted.in_place() + carried.held_bytes());
                    match self.judge(end, changed_files)? {
                        Ok(ending) => return Ok(ending),
                        Err(again) => again,
                    }
                }
            };
            if self.setting.stop.is_set() {
                return Err(STOPPED.to_owned());
            }
            match again {
                Again::Failed(code, reason) => {
                    let Some(wait) = retries.next_wait() else {
                        return Err(self.give_up(code, reason));
                    };
                    self.setting.reporter.tell(ReportEvent::Reconnecting { code, reason, wait });
                    self.spare_copies("before the link was lost");
                    self.wait(wait)?;
                }
                Again::Changed(wait) => {
                    self.course.further_links += 1;
                    self.relist();
                    self.spare_copies("before others were listed anew");
                    self.wait(wait)?;
                }
                Again::Paused => {
                    self.course.further_links += 1;
                    self.spare_copies("before the job paused");
                }
            }
        }
    }

    /// What follows from the end of an attempt: the end of the job, or another attempt.
    fn judge(&self, end: End, changed_files: u64) -> Result<Result<Ending, Again>, String> {
        let relist_after = self.setting.relist.wait().filter(|_| changed_files > 0);
        Ok(match end {
            End::Complete { held_back } => match (relist_after, held_back) {
                (Some(wait), _) => Err(Again::Changed(wait)),
                (None, false) => Ok(Ending::Complete),
                (None, true) => Ok(Ending::HeldBack),
            },
            End::Stopped => {
                let reason = "stopped; what was copied stays, and the next run goes on from here";
                return Err(reason.to_owned());
            }
            End::SourceFailed(reason) => return Err(reason),
            End::Refused(refused) if refused.code.may_pass() => {
                Err(Again::Failed(IN_USE, refused.reason))
            }
            End::Refused(refused)
                if self.awaits_share
                    && matches!(
                        refused.code,
                        RefusalCode::NotPermitted | RefusalCode::ShareOffline
                    ) =>
            {
                Err(Again::Failed(NO_SHARE, refused.reason))
            }
            End::Refused(refused) => return Err(refused.reason),
            End::Lost(reason) => Err(Again::Failed(LINK_LOST, reason)),
            End::Paused => Err(Again::Paused),
        })
    }

    /// Waits for the job's hours: before the first attempt, and with `/PF` before each.
    fn keep_hours(&mut self, number: u32) -> Result<(), String> {
        let Some(RunHours { hours, per_file }) = self.hours else { return Ok(()) };
        if number > 0 && !per_file {
            return Ok(());
        }
        let Setting { reporter, stop, .. } = &*self.setting;
        let begin = Instant::now();
        let stopped = hours::wait(hours, stop, |event| reporter.tell(event));
        self.course.waiting += begin.elapsed();
        if stopped { Err(STOPPED.to_owned()) } else { Ok(()) }
    }

    fn wait(&mut self, wait: Duration) -> Result<(), String> {
        let begin = Instant::now();
        let stopped = self.setting.stop.wait(wait);
        self.course.waiting += begin.elapsed();
        if stopped { Err(STOPPED.to_owned()) } else { Ok(()) }
    }

    fn give_up(&self, code: u32, reason: String) -> String {
        let Setting { reporter, open, .. } = &*self.setting;
        let failure = Failure::new(Operation::AccessDestinationDirectory, code, &*reason);
        let path = RelPath::ROOT;
        reporter.tell(ReportEvent::Error { failure, path, retries_exhausted: true });
        format!("{reason}; given up after {} retries", open.policy.retry.retries)
    }

    /// Makes the next attempt one for what has changed: nothing that is in place is copied or read once more.
    fn relist(&mut self) {
        let Setting { relist, open, .. } = &mut *self.setting;
        relist.left -= 1;
        relist.is_under_way = true;
        open.policy.classes.include_same = false;
        open.policy.content_check = ContentCheck::Never;
    }

    /// Deletes nothing any more if files were moved: they are no longer at the source, and the next attempt would take their
    /// copies for extras.
    fn spare_copies(&mut self, when: &str) {
        let Setting { mover, open, reporter, .. } = &mut *self.setting;
        let moved_any = mover.moves() && self.course.counted.summary.files.copied > 0;
        if moved_any && std::mem::take(&mut open.policy.purge) {
            let text = format!("files were moved {when}, so this run deletes no more extras");
            reporter.tell(ReportEvent::Notice(text));
        }
    }
}
