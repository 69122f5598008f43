//! One attempt of a job: a link from hello to goodbye.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quicopy_engine::filter::Filter;
use quicopy_engine::scan::{self, Scan, ScannedDir};
use quicopy_engine::send::{Context, Lacking};
use quicopy_engine::source::{Source, StopFlag};
use quicopy_protocol::code::RefusalCode;
use quicopy_protocol::limits::{BATCH_BYTES_AIM, BATCH_ITEMS_MAX};
use quicopy_protocol::link::{Close, CloseCode, LinkClosed, SenderLink};
use quicopy_protocol::message::{
    Goodbye, JobOpened, Listing, ListingState, Message, OpenJob, Outcomes, Refused,
};
use quicopy_protocol::meta::{EntryId, Kind};
use quicopy_protocol::path::RelPath;
use quicopy_protocol::session::SenderSession;
use quicopy_protocol::version;

use super::accounts::{Accounts, Told};
use super::moving::Mover;
use super::offers::{Offer, Offers};
use super::outlet::Outlet;
use super::progress::Meter;
use super::reporter::Reporter;
use super::serving::Desk;
use super::throttle::Throttle;
use crate::report::{ReportEvent, Summary};

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(200);

/// Everything that is the same for all attempts of a job.
pub(super) struct Setting<'a> {
    pub(super) source: Arc<Source>,
    pub(super) filter: &'a Filter,
    pub(super) open: OpenJob,
    pub(super) threads: usize,
    pub(super) throttle: Arc<Throttle>,
    pub(super) mover: Mover,
    pub(super) reporter: &'a Reporter,
    /// Set when the user asks to stop.
    pub(super) stop: &'a StopFlag,
}

/// What attempts hand on to the next.
#[derive(Debug, Default)]
pub(super) struct Carried {
    pub(super) told: Told,
    /// Bytes sent for files that are not done, by their paths.
    pub(super) sent: HashMap<RelPath, u64>,
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum End {
    /// The job reached its end.
    Complete { held_back: bool },
    /// The link was lost: worth another attempt.
    Lost(String),
    /// The agent does not want this job, or not go on with it.
    Refused(Refused),
    /// The source's root cannot be read.
    SourceFailed(String),
    /// The user asked to stop.
    Stopped,
}

/// What came of an attempt.
pub(super) struct Attempted {
    pub(super) end: End,
    pub(super) summary: Summary,
    pub(super) literal_bytes: u64,
    /// Bytes that became durable: progress, for the count of retries.
    pub(super) durable_bytes: u64,
    pub(super) wire: (u64, u64),
    pub(super) carried: Carried,
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
    let outlet = Outlet::new(&link, session, Arc::clone(&setting.throttle));
    let Carried { told, sent } = carried;
    let attempt = Attempt {
        setting,
        link: &link,
        outlet: &outlet,
        offers: Offers::default(),
        desk: Desk::default(),
        meter: Meter::default(),
        over: StopFlag::default(),
        ended: Mutex::new(None),
        sent_before: sent,
    };
    let mut accounts = Accounts::new(setting.filter.clone(), setting.open.policy.list_only, told);
    let mut durable_bytes = 0;
    let end = std::thread::scope(|scope| {
        scope.spawn(|| attempt.watch_for_stop());
        let end = match attempt.open(hello, number) {
            Ok(opened) => attempt.carry_out(&opened, &mut accounts, &mut durable_bytes),
            Err(end) => end,
        };
        attempt.over.set();
        end
    });
    attempt.say_goodbye(&end);

    let mut sent = attempt.sent_before;
    for (entry, bytes) in attempt.meter.unfinished() {
        if let Some(file) = attempt.offers.file(entry) {
            *sent.entry(file.path).or_default() += bytes;
        }
    }
    let literal_bytes = attempt.meter.literal_bytes();
    let (summary, told, held_back) = accounts.finish();
    let end = match end {
        End::Complete { .. } => End::Complete { held_back },
        end => end,
    };
    let wire = (link.wire.sent(), link.wire.received());
    let carried = Carried { told, sent };
    Attempted { end, summary, literal_bytes, durable_bytes, wire, carried }
}

struct Attempt<'a> {
    setting: &'a Setting<'a>,
    link: &'a SenderLink,
    outlet: &'a Outlet,
    offers: Offers,
    desk: Desk,
    meter: Meter,
    /// Set when the attempt ends, for whatever reason.
    over: StopFlag,
    /// Why the attempt ends, when another thread than the listening one finds out.
    ended: Mutex<Option<End>>,
    sent_before: HashMap<RelPath, u64>,
}

impl Attempt<'_> {
    /// Says hello and asks for the job.
    fn open(&self, hello: quicopy_protocol::message::Hello, number: u32) -> Result<JobOpened, End> {
        let open = OpenJob { attempt: number, ..self.setting.open.clone() };
        self.say(hello.into())?;
        match self.hear_control()? {
            Message::Hello(_) => {}
            message => return Err(unexpected(&message)),
        }
        self.say(open.into())?;
        match self.hear_control()? {
            Message::JobOpened(opened) => Ok(opened),
            message => Err(unexpected(&message)),
        }
    }

    fn say(&self, message: Message) -> Result<(), End> {
        self.outlet.send(message).map_err(|_| self.end_of_link())
    }

    /// The next control message that is not a ping.
    fn hear_control(&self) -> Result<Message, End> {
        loop {
            let message = self.link.control_rx.recv_blocking().map_err(|_| self.end_of_link())?;
            self.outlet.hear(&message).map_err(|violation| End::Refused(violation.refusal()))?;
            match message {
                Message::Ping(ping) => self.say(Message::Pong(ping))?,
                Message::Refused(refused) => return Err(End::Refused(refused)),
                message => return Ok(message),
            }
        }
    }

    /// Why there is nothing more to hear.
    fn end_of_link(&self) -> End {
        if self.setting.stop.is_set() {
            return End::Stopped;
        }
        match self.link.end.closed_blocking() {
            LinkClosed::Peer(Close { code: CloseCode::Refused(code), reason }) => {
                End::Refused(Refused { code, reason })
            }
            closed => End::Lost(closed.to_string()),
        }
    }

    /// Scans, serves and reports, until the agent is done or the link is.
    fn carry_out(
        &self,
        opened: &JobOpened,
        accounts: &mut Accounts,
        durable_bytes: &mut u64,
    ) -> End {
        if !opened.conflicts_known && !opened.first_job {
            self.setting.reporter.tell(ReportEvent::Notice(
                "the agent has no memory of earlier jobs here: conflicts are not known".to_owned(),
            ));
        }
        let context = Context {
            source: Arc::clone(&self.setting.source),
            copy: self.setting.open.policy.copy,
            retry: self.setting.open.policy.retry,
            stop: self.over.clone(),
        };
        std::thread::scope(|scope| {
            scope.spawn(|| self.scan());
            for _ in 0..self.setting.threads {
                scope.spawn(|| self.desk.serve(&context, self.outlet, &self.meter));
            }
            scope.spawn(|| self.hear_control_lane());
            scope.spawn(|| self.show_progress());
            let end = self.listen(accounts, durable_bytes);
            // Everybody else goes home: threads that wait for the agent, for work or for room in a lane.
            self.over.set();
            self.outlet.close();
            self.desk.close();
            self.link.listing_tx.close();
            self.link.content_tx.close();
            self.link.control_rx.close();
            end
        })
    }

    /// Hears plans, wishes and outcomes, until the job is done.
    fn listen(&self, accounts: &mut Accounts, durable_bytes: &mut u64) -> End {
        let reporter = self.setting.reporter;
        while let Ok(message) = self.link.verdict_rx.recv_blocking() {
            if let Err(violation) = self.outlet.hear(&message) {
                return End::Refused(violation.refusal());
            }
            let tell = &mut |event| reporter.tell(event);
            match message {
                Message::Plan(plan) => {
                    if let Some(offer) = self.offers.find(plan.dir) {
                        let planned = &mut |bytes| self.meter.planned(bytes);
                        accounts.plan(&offer, &plan, planned, tell);
                    }
                }
                Message::Extras(extras) => {
                    if let Some(offer) = self.offers.find(extras.dir) {
                        for extra in extras.entries {
                            accounts.extra(&offer.scanned.path, extra, tell);
                        }
                    }
                }
                Message::Want(want) => {
                    if let Some(file) = self.offers.file(want.entry) {
                        self.desk.ask(want.want, want.entry, file, want.basis);
                    }
                }
                Message::Lack(lack) => {
                    self.desk
                        .answer(lack.want, Lacking { runs: lack.runs, answered: lack.answered });
                }
                Message::Cancel(cancel) => self.desk.cancel(cancel.want),
                Message::Outcomes(outcomes) => {
                    self.settle(outcomes, accounts, durable_bytes);
                }
                Message::Retrying(retrying) => {
                    accounts.retrying(retrying.entry);
                    if let Some(path) = self.path_of(retrying.entry) {
                        let wait = Duration::from_secs(retrying.wait_seconds.into());
                        tell(ReportEvent::Retrying { failure: retrying.failure, path, wait });
                    }
                }
                Message::Notice(notice) => tell(ReportEvent::Notice(notice.text)),
                Message::JobDone(done) => {
                    accounts.done(&done, tell);
                    return End::Complete { held_back: false };
                }
                // The session lets nothing else pass on this lane.
                _ => {}
            }
        }
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        ended.unwrap_or_else(|| self.end_of_link())
    }

    /// Ends the attempt from another thread than the listening one.
    fn give_up(&self, end: End) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(end);
        self.link.verdict_rx.close();
    }

    fn settle(&self, outcomes: Outcomes, accounts: &mut Accounts, durable_bytes: &mut u64) {
        let reporter = self.setting.reporter;
        let tell = &mut |event| reporter.tell(event);
        for outcome in &outcomes.entries {
            let Some(offer) = self.offers.find(outcome.entry.dir) else { continue };
            let Some(scanned) = offer.scanned.entries.get(outcome.entry.index as usize) else {
                continue;
            };
            let size_bytes = scanned.entry.meta.size_bytes;
            self.meter.done(outcome.entry, size_bytes);
            let path = offer.scanned.path.join(&scanned.entry.name).ok();
            let sent_before =
                path.as_ref().and_then(|path| self.sent_before.get(path)).copied().unwrap_or(0);
            accounts.outcome(&offer, outcome, sent_before, tell);
            if let quicopy_protocol::verdict::OutcomeResult::Done(_) = outcome.result {
                *durable_bytes += size_bytes + 1;
                if let Some(path) = path
                    && let Err(failure) =
                        self.setting.mover.remove(&self.setting.source, &path, scanned)
                {
                    accounts.other_failure(&failure, &path, tell);
                }
            }
        }
        for removal in outcomes.removals {
            accounts.removal(removal, tell);
        }
        self.offers.settle(outcomes.settled);
    }

    fn path_of(&self, entry: EntryId) -> Option<RelPath> {
        let offer = self.offers.find(entry.dir)?;
        let scanned = offer.scanned.entries.get(entry.index as usize)?;
        offer.scanned.path.join(&scanned.entry.name).ok()
    }

    /// Lists the source, as far ahead as the agent's credit reaches.
    fn scan(&self) {
        let policy = &self.setting.open.policy;
        let scan = Scan {
            source: &self.setting.source,
            filter: self.setting.filter,
            policy,
            stop: &self.over,
        };
        let mut directories = 0;
        let result = scan.run(scan::threads(), &mut |scanned| {
            directories += 1;
            match self.list(scanned) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        match result {
            Ok(summary) if summary.end == scan::ScanEnd::Complete => {
                self.meter.scan_ended();
                let end = quicopy_protocol::message::ScanEnd { directories };
                let _ = self.outlet.send(end.into());
            }
            Ok(_) => {}
            Err(failure) => {
                let reason = format!("{} : {}", failure.operation.label(), failure.reason);
                self.give_up(End::SourceFailed(reason));
            }
        }
    }

    /// Lists one directory, in as many parts as it takes.
    fn list(&self, scanned: ScannedDir) -> Result<(), quicopy_engine::send::Closed> {
        let offer = self.offers.add(scanned);
        let Offer { id, scanned } = &*offer;
        let mut entries = scanned.entries.iter().map(|scanned| &scanned.entry).peekable();
        let mut is_first = true;
        loop {
            let mut part = Vec::new();
            let mut bytes = 0;
            while let Some(entry) = entries.next_if(|entry| {
                part.is_empty()
                    || (part.len() < BATCH_ITEMS_MAX && bytes + weight(entry) <= BATCH_BYTES_AIM)
            }) {
                bytes += weight(entry);
                part.push(entry.clone());
            }
            let is_last = entries.peek().is_none();
            let state = match (&scanned.failure, is_last) {
                (_, false) => ListingState::More,
                (None, true) => ListingState::Complete,
                (Some(failure), true) => ListingState::Incomplete(failure.clone()),
            };
            let attributes = if is_first { scanned.attributes.clone() } else { Vec::new() };
            let (path, meta) = (scanned.path.clone(), scanned.meta);
            let listing = Listing { dir: *id, path, meta, attributes, entries: part, state };
            self.outlet.list(listing, is_first)?;
            if is_last {
                return Ok(());
            }
            is_first = false;
        }
    }

    /// Hears the control lane: pings, and a refusal to go on.
    fn hear_control_lane(&self) {
        while let Ok(message) = self.link.control_rx.recv_blocking() {
            if let Err(violation) = self.outlet.hear(&message) {
                return self.give_up(End::Refused(violation.refusal()));
            }
            match message {
                Message::Ping(ping) => drop(self.outlet.send(Message::Pong(ping))),
                Message::Refused(refused) => return self.give_up(End::Refused(refused)),
                // The session lets nothing else pass that matters here.
                _ => {}
            }
        }
    }

    fn show_progress(&self) {
        while !self.over.wait(TICK) {
            self.setting.reporter.tell(ReportEvent::Progress(self.meter.snapshot()));
        }
    }

    /// Ends the link when the user asks to stop: whatever waits for it comes to its end.
    fn watch_for_stop(&self) {
        while !self.over.wait(TICK / 4) {
            if self.setting.stop.is_set() {
                self.say_goodbye(&End::Stopped);
                return;
            }
        }
    }

    /// Ends the link in order: the agent learns whether the job is over or goes on another time.
    fn say_goodbye(&self, end: &End) {
        let close = match end {
            End::Complete { .. } => {
                quicopy_engine::crash_point!("sender_before_goodbye");
                let _ = self.link.control_tx.send_blocking(Goodbye { complete: true }.into());
                Close::finished()
            }
            End::Stopped | End::SourceFailed(_) => {
                let _ = self.link.control_tx.try_send(Goodbye { complete: false }.into());
                Close::abandoned()
            }
            End::Refused(refused) if refused.code == RefusalCode::Protocol => Close::from(refused),
            End::Refused(_) | End::Lost(_) => Close::abandoned(),
        };
        self.link.end.close(close);
        let _ = self.link.end.closed_blocking();
    }
}

fn unexpected(message: &Message) -> End {
    let reason = format!("the agent answered with {}", message.name());
    End::Refused(Refused { code: RefusalCode::Protocol, reason })
}

/// Bytes that an entry takes in a frame, at most.
fn weight(entry: &quicopy_protocol::meta::Entry) -> usize {
    let target = match &entry.kind {
        Kind::Link { target } => target.len(),
        Kind::File | Kind::Directory | Kind::Special => 0,
    };
    64 + entry.name.as_bytes().len() + target
}
