//! One attempt of a job: a link from hello to goodbye.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Zoned;
use quicopy_engine::filter::Filter;
use quicopy_engine::send::Context;
use quicopy_engine::source::{Source, StopFlag};
use quicopy_protocol::link::{SenderLink, WireStats};
use quicopy_protocol::message::{JobOpened, OpenJob};
use quicopy_protocol::meta::EntryId;
use quicopy_protocol::path::RelPath;
use quicopy_protocol::session::SenderSession;
use quicopy_protocol::version;
use tokio::runtime::Handle;

use super::accounts::Accounts;
use super::attempts::Relist;
use super::carried::Carried;
use super::counted::Counted;
use super::ending::{End, Ending};
use super::hours::minute_of_day;
use super::moving::{Moved, Mover, Standing};
use super::offers::Offers;
use super::outlet::Outlet;
use super::progress::{Meter, Share};
use super::reporter::Reporter;
use super::rereading::Rereading;
use super::serving::Desk;
use super::silence::Silence;
use super::throttle::Throttle;
use crate::cli::Hours;
use crate::report::ReportEvent;

/// How often progress is shown.
pub(super) const TICK: Duration = Duration::from_millis(200);

/// How long the agent may take to put in place what it has, before a pause begins. A file that it asks for again waits until then.
const PLACING_TIME: Duration = Duration::from_secs(30);
/// More than keeps an idle connection alive for that time.
const DELIVERING_BYTES: u64 = 32 << 10;

/// Everything that is the same for all attempts of a job.
pub(super) struct Setting<'a> {
    pub(super) source: Arc<Source>,
    pub(super) filter: &'a Filter,
    pub(super) open: OpenJob,
    pub(super) threads: usize,
    pub(super) throttle: Arc<Throttle>,
    pub(super) mover: Mover,
    /// `/M`: what is copied is not marked for archiving any more.
    pub(super) resets_archive: bool,
    /// Hours in which files may be begun, if others may follow (`/PF`).
    pub(super) hours: Option<Hours>,
    pub(super) relist: Relist,
    pub(super) reporter: &'a Reporter,
    pub(super) runtime: Handle,
    /// Set when the user asks to stop.
    pub(super) stop: &'a StopFlag,
}

/// What came of an attempt.
pub(super) struct Attempted {
    pub(super) end: End,
    pub(super) counted: Counted,
    pub(super) literal_bytes: u64,
    pub(super) wire: Arc<WireStats>,
    pub(super) carried: Carried,
    /// Files that failed because they were not any more what was listed.
    pub(super) changed_files: u64,
}

/// Makes one attempt over a fresh link.
pub(super) fn run(
    setting: &Setting<'_>,
    link: SenderLink,
    number: u32,
    carried: Carried,
) -> Attempted {
    let hello = version::hello(format!("quicopy {}", env!("CARGO_PKG_VERSION")));
    let session = SenderSession::new(hello.clone());
    let ending = Arc::new(Ending::new(&link));
    let throttle = Arc::clone(&setting.throttle);
    let outlet = Outlet::new(&link, session, throttle, Arc::clone(&ending));
    let Carried { told, mut moved, mut standing, unfinished } = carried;
    moved.begin_attempt();
    standing.begin_attempt();
    let attempt = Attempt {
        setting,
        link: &link,
        outlet: &outlet,
        offers: Offers::new(setting.mover.moves()),
        desk: Desk::default(),
        rereading: Rereading::default(),
        meter: Meter::default(),
        ending: &ending,
    };
    let mut books = Books {
        accounts: Accounts::new(setting.filter.clone(), &setting.open.policy, told),
        moved,
        standing,
        unfinished,
        changed_files: 0,
        unverified: HashSet::new(),
    };
    let end = std::thread::scope(|scope| {
        scope.spawn(|| ending.guard(|| attempt.watch_for_stop()));
        let end = ending.guard(|| {
            let scan = || drop(scope.spawn(|| ending.guard(|| attempt.scan())));
            match attempt.open(hello, number, scan) {
                Ok(opened) => attempt.carry_out(&opened, &mut books),
                // What this side found first counts more than what the agent says meanwhile.
                Err(end) => ending.take().unwrap_or(end),
            }
        });
        attempt.send_home();
        end.unwrap_or_else(|| attempt.end_of_link())
    });
    attempt.say_goodbye(&end);

    let Books { accounts, moved, standing, unfinished, changed_files, .. } = books;
    let (counted, told) = accounts.finish();
    let mut carried = Carried { told, moved, standing, unfinished };
    for (entry, share) in attempt.meter.unfinished() {
        if let Some(file) = attempt.offers.file(entry) {
            carried.leave(file.path, share);
        }
    }
    let literal_bytes = attempt.meter.literal_bytes();
    Attempted { end, counted, literal_bytes, wire: link.wire, carried, changed_files }
}

/// One attempt, as its threads share it. Its methods stand where their steps are: `opening`, `listing`, `hearing`, `parting`.
pub(super) struct Attempt<'a> {
    pub(super) setting: &'a Setting<'a>,
    pub(super) link: &'a SenderLink,
    pub(super) outlet: &'a Outlet,
    pub(super) offers: Offers,
    pub(super) desk: Desk,
    pub(super) rereading: Rereading,
    pub(super) meter: Meter,
    pub(super) ending: &'a Ending,
}

/// What the listening thread notes.
pub(super) struct Books {
    pub(super) accounts: Accounts,
    pub(super) moved: Moved,
    pub(super) standing: Standing,
    /// What earlier attempts brought of files that are not done.
    pub(super) unfinished: HashMap<RelPath, Share>,
    pub(super) changed_files: u64,
    /// Entries whose metadata alone is set, in a job that changes its source (`/MOV`, `/M`): they stay as they are at the source.
    pub(super) unverified: HashSet<EntryId>,
}

impl Attempt<'_> {
    /// Serves and reports, until the agent is done or the link is.
    fn carry_out(&self, opened: &JobOpened, books: &mut Books) -> End {
        let Setting { open, reporter, .. } = self.setting;
        books.accounts.opened(opened, &mut |event| reporter.tell(event));
        let context = Context {
            source: Arc::clone(&self.setting.source),
            copy: open.policy.copy,
            retry: open.policy.retry,
            unbuffered: open.policy.writing.unbuffered,
            stop: self.ending.over().clone(),
            on_retry: self.rereading.reporting_to(reporter),
        };
        let ending = self.ending;
        std::thread::scope(|scope| {
            for _ in 0..self.setting.threads {
                scope
                    .spawn(|| ending.guard(|| self.desk.serve(&context, self.outlet, &self.meter)));
            }
            scope.spawn(|| ending.guard(|| self.hear_control_lane()));
            scope.spawn(|| ending.guard(|| self.show_progress()));
            if let Some(hours) = self.setting.hours {
                self.desk.hold(!hours.contains(minute_of_day(&Zoned::now())));
                scope.spawn(move || ending.guard(|| self.keep_hours(hours)));
            }
            let end = ending.guard(|| self.listen(books));
            self.send_home();
            end.unwrap_or_else(|| self.end_of_link())
        })
    }

    /// Ends all threads: those that wait for the agent, for work or for room in a lane.
    fn send_home(&self) {
        self.ending.over().set();
        self.outlet.close();
        self.desk.close();
        self.link.listing_tx.close();
        self.link.content_tx.close();
        self.link.control_rx.close();
    }

    /// Begins no file outside the job's hours. Once there is nothing else to do, the link is given up, and with it the lock on
    /// the destination: others may need it meanwhile.
    fn keep_hours(&self, hours: Hours) {
        let mut idle: Option<(Instant, u64)> = None;
        while !self.ending.over().wait(TICK) {
            self.desk.hold(!hours.contains(minute_of_day(&Zoned::now())));
            if !self.desk.waits_for_release() {
                idle = None;
                continue;
            }
            let sent = self.link.wire.sent();
            let (since, before) = idle.get_or_insert((Instant::now(), sent));
            if sent - *before >= DELIVERING_BYTES {
                // What was begun is still on its way.
                (*since, *before) = (Instant::now(), sent);
            }
            if !self.meter.awaits_outcomes() || since.elapsed() > PLACING_TIME {
                return self.ending.give_up(End::Paused);
            }
        }
    }

    fn show_progress(&self) {
        let reporter = self.setting.reporter;
        let mut silence = Silence::default();
        while !self.ending.over().wait(TICK) {
            reporter.tell(ReportEvent::Progress(self.meter.snapshot()));
            if let Some(notice) = silence.notice(self.link.wire.outage()) {
                reporter.tell(ReportEvent::Notice(notice));
            }
        }
    }
}
