//! One attempt of a job: a link from hello to goodbye.

use std::collections::HashMap;
use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use quicopy_engine::filter::Filter;
use quicopy_engine::scan::{self, Scan, ScannedDir};
use quicopy_engine::send::{Context, Lacking};
use quicopy_engine::source::{Source, StopFlag};
use quicopy_protocol::code::RefusalCode;
use quicopy_protocol::limits::{BATCH_BYTES_AIM, BATCH_ITEMS_MAX};
use quicopy_protocol::link::{Close, CloseCode, LinkClosed, SenderLink, WireStats};
use quicopy_protocol::message::{
    Goodbye, Hello, JobOpened, Listing, ListingState, Message, OpenJob, Outcomes, Plan, Refused,
};
use quicopy_protocol::meta::{EntryId, Kind};
use quicopy_protocol::options::Durability;
use quicopy_protocol::path::RelPath;
use quicopy_protocol::session::SenderSession;
use quicopy_protocol::verdict::OutcomeResult;
use quicopy_protocol::version;
use tokio::runtime::Handle;

use super::accounts::{Accounts, Told};
use super::counted::Counted;
use super::ending::{End, Ending};
use super::moving::{Moved, Mover};
use super::offers::{Offer, Offers};
use super::outlet::Outlet;
use super::progress::{Meter, Share};
use super::remote;
use super::reporter::Reporter;
use super::serving::Desk;
use super::silence::Silence;
use super::throttle::Throttle;
use crate::report::ReportEvent;

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(200);

/// How long the agent may take to answer, and to end the link once it says nothing more. As long as a silent link lasts.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything that is the same for all attempts of a job.
pub(super) struct Setting<'a> {
    pub(super) source: Arc<Source>,
    pub(super) filter: &'a Filter,
    pub(super) open: OpenJob,
    pub(super) threads: usize,
    pub(super) throttle: Arc<Throttle>,
    pub(super) mover: Mover,
    pub(super) reporter: &'a Reporter,
    pub(super) runtime: Handle,
    /// Set when the user asks to stop.
    pub(super) stop: &'a StopFlag,
}

/// What attempts hand on to the next.
#[derive(Debug, Default)]
pub(super) struct Carried {
    pub(super) told: Told,
    pub(super) moved: Moved,
    /// What there is of the files that are not done, by their paths.
    pub(super) unfinished: HashMap<RelPath, Share>,
}

impl Carried {
    /// Takes what an attempt leaves unfinished. Sent bytes add up; held ones are the same ones again, and may be more.
    fn leave(&mut self, path: RelPath, share: Share) {
        let left = self.unfinished.entry(path).or_default();
        left.sent_bytes += share.sent_bytes;
        left.held_bytes = left.held_bytes.max(share.held_bytes);
    }

    /// Bytes of unfinished files that are durable, as far as the agent has said so: those it did not ask for again.
    pub(super) fn held_bytes(&self) -> u64 {
        self.unfinished.values().map(|share| share.held_bytes).sum()
    }
}

/// What came of an attempt.
pub(super) struct Attempted {
    pub(super) end: End,
    pub(super) counted: Counted,
    pub(super) literal_bytes: u64,
    pub(super) wire: Arc<WireStats>,
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
    let ending = Arc::new(Ending::new(&link));
    let throttle = Arc::clone(&setting.throttle);
    let outlet = Outlet::new(&link, session, throttle, Arc::clone(&ending));
    let Carried { told, mut moved, unfinished } = carried;
    moved.begin_attempt();
    let attempt = Attempt {
        setting,
        link: &link,
        outlet: &outlet,
        offers: Offers::default(),
        desk: Desk::default(),
        meter: Meter::default(),
        ending: &ending,
    };
    let mut books = Books {
        accounts: Accounts::new(setting.filter.clone(), setting.open.policy.list_only, told),
        moved,
        unfinished,
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

    let Books { accounts, moved, unfinished } = books;
    let (counted, told, held_back) = accounts.finish();
    let mut carried = Carried { told, moved, unfinished };
    for (entry, share) in attempt.meter.unfinished() {
        if let Some(file) = attempt.offers.file(entry) {
            carried.leave(file.path, share);
        }
    }
    let literal_bytes = attempt.meter.literal_bytes();
    let end = match end {
        End::Complete { .. } => End::Complete { held_back },
        end => end,
    };
    Attempted { end, counted, literal_bytes, wire: link.wire, carried }
}

struct Attempt<'a> {
    setting: &'a Setting<'a>,
    link: &'a SenderLink,
    outlet: &'a Outlet,
    offers: Offers,
    desk: Desk,
    meter: Meter,
    ending: &'a Ending,
}

/// What the listening thread notes.
struct Books {
    accounts: Accounts,
    moved: Moved,
    /// What earlier attempts brought of files that are not done.
    unfinished: HashMap<RelPath, Share>,
}

impl Attempt<'_> {
    /// Says hello, asks for the job and begins to list, all at once, since each answer would cost a round trip; then hears the
    /// answers.
    fn open(&self, hello: Hello, number: u32, scan: impl Fn()) -> Result<JobOpened, End> {
        let Setting { open, mover, .. } = self.setting;
        self.say(hello.into())?;
        self.say(OpenJob { attempt: number, ..open.clone() }.into())?;
        // A move depends on what the agent promises: nothing may begin before that is known.
        let waits = mover.moves() && !open.policy.list_only;
        if !waits {
            scan();
        }
        let opened = self.hear_opened()?;
        if waits {
            refuse_move(&opened)?;
            scan();
        }
        Ok(opened)
    }

    fn hear_opened(&self) -> Result<JobOpened, End> {
        match self.hear_control()? {
            Message::Hello(_) => {}
            message => return Err(unexpected(&message)),
        }
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
            let message = match self.patiently(self.link.control_rx.recv()) {
                Some(Ok(message)) => message,
                Some(Err(_)) => return Err(self.end_of_link()),
                None => return Err(self.out_of_patience()),
            };
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
        if let Some(end) = self.ending.take() {
            return end;
        }
        if self.setting.stop.is_set() {
            return End::Stopped;
        }
        match self.patiently(self.link.end.closed()) {
            Some(LinkClosed::Peer(Close { code: CloseCode::Refused(code), reason })) => {
                End::Refused(Refused { code, reason })
            }
            Some(LinkClosed::Denied) => End::Refused(remote::not_known()),
            Some(closed) => End::Lost(closed.to_string()),
            None => self.out_of_patience(),
        }
    }

    fn out_of_patience(&self) -> End {
        match self.setting.stop.is_set() {
            true => End::Stopped,
            false => End::Lost(format!("the agent was silent for {} s", PATIENCE.as_secs())),
        }
    }

    /// Waits for the agent: not for ever, and no longer once the user asks to stop.
    fn patiently<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        self.setting.runtime.block_on(async {
            tokio::select! {
                biased;
                answer = answer => Some(answer),
                () = tokio::time::sleep(PATIENCE) => None,
                () = super::stopped(self.setting.stop) => None,
            }
        })
    }

    /// Serves and reports, until the agent is done or the link is.
    fn carry_out(&self, opened: &JobOpened, books: &mut Books) -> End {
        let Setting { open, reporter, .. } = self.setting;
        books.accounts.opened(opened, &mut |event| reporter.tell(event));
        let context = Context {
            source: Arc::clone(&self.setting.source),
            copy: open.policy.copy,
            retry: open.policy.retry,
            stop: self.ending.over().clone(),
        };
        let ending = self.ending;
        std::thread::scope(|scope| {
            for _ in 0..self.setting.threads {
                scope
                    .spawn(|| ending.guard(|| self.desk.serve(&context, self.outlet, &self.meter)));
            }
            scope.spawn(|| ending.guard(|| self.hear_control_lane()));
            scope.spawn(|| ending.guard(|| self.show_progress()));
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

    /// Hears plans, wishes and outcomes, until the job is done.
    fn listen(&self, books: &mut Books) -> End {
        let reporter = self.setting.reporter;
        while let Ok(message) = self.link.verdict_rx.recv_blocking() {
            if let Err(violation) = self.outlet.hear(&message) {
                return End::Refused(violation.refusal());
            }
            let tell = &mut |event| reporter.tell(event);
            match message {
                Message::Plan(plan) => {
                    if let Some(offer) = self.offers.find(plan.dir) {
                        self.plan(&offer, &plan, books);
                    }
                }
                Message::Extras(extras) => {
                    if let Some(offer) = self.offers.find(extras.dir) {
                        for extra in extras.entries {
                            books.accounts.extra(&offer.scanned.path, extra, tell);
                        }
                    }
                }
                Message::Want(want) => {
                    if let Some(file) = self.offers.file(want.entry) {
                        self.desk.ask(want.want, want.entry, file, want.basis);
                    }
                }
                Message::Lack(lack) => {
                    let answer = Lacking { runs: lack.runs, answered: lack.answered };
                    self.meter.answered(lack.want, &answer);
                    self.desk.answer(lack.want, answer);
                }
                Message::Cancel(cancel) => self.desk.cancel(cancel.want),
                Message::Outcomes(outcomes) => self.settle(outcomes, books),
                Message::Retrying(retrying) => {
                    books.accounts.retrying(retrying.entry);
                    if let Some(path) = self.path_of(retrying.entry) {
                        let wait = Duration::from_secs(retrying.wait_seconds.into());
                        tell(ReportEvent::Retrying { failure: retrying.failure, path, wait });
                    }
                }
                Message::Notice(notice) => tell(ReportEvent::Notice(notice.text)),
                Message::JobDone(done) => {
                    books.accounts.done(&done, tell);
                    return End::Complete { held_back: false };
                }
                // The session lets nothing else pass on this lane.
                _ => {}
            }
        }
        self.end_of_link()
    }

    fn plan(&self, offer: &Offer, plan: &Plan, books: &mut Books) {
        let Setting { mover, reporter, .. } = self.setting;
        let Books { accounts, moved, .. } = books;
        let tell = &mut |event| reporter.tell(event);
        let found = accounts.plan(offer, plan, &mut |bytes| self.meter.planned(bytes), tell);
        if mover.empties() {
            moved.planned(&offer.scanned, &plan.state);
        }
        for path in found {
            books.unfinished.remove(&path);
            if let Some(failure) = mover.spare() {
                accounts.other_failure(&failure, &path, tell);
            }
        }
    }

    fn settle(&self, outcomes: Outcomes, books: &mut Books) {
        let Setting { mover, reporter, source, .. } = self.setting;
        let Books { accounts, moved, unfinished } = books;
        let tell = &mut |event| reporter.tell(event);
        for outcome in &outcomes.entries {
            let Some(offer) = self.offers.find(outcome.entry.dir) else { continue };
            let dir = &offer.scanned.path;
            let Some(scanned) = offer.scanned.entries.get(outcome.entry.index as usize) else {
                continue;
            };
            let Ok(path) = dir.join(&scanned.entry.name) else { continue };
            self.meter.done(outcome.entry, scanned.entry.meta.size_bytes);
            let before = unfinished.remove(&path).unwrap_or_default();
            accounts.outcome(&offer, outcome, before.sent_bytes, tell);
            match &outcome.result {
                OutcomeResult::Done(_) => {
                    if mover.empties() {
                        moved.copied(dir);
                    }
                    if let Err(failure) = mover.remove(source, &path, scanned) {
                        accounts.other_failure(&failure, &path, tell);
                    }
                }
                OutcomeResult::Unchanged => {}
                OutcomeResult::Failed(_) => moved.failed(dir),
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
            stop: self.ending.over(),
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
                self.ending.give_up(End::SourceFailed(reason));
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
                return self.ending.give_up(End::Refused(violation.refusal()));
            }
            match message {
                Message::Ping(ping) => drop(self.outlet.send(Message::Pong(ping))),
                Message::Refused(refused) => return self.ending.give_up(End::Refused(refused)),
                // The session lets nothing else pass that matters here.
                _ => {}
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

    /// Ends the link when the user asks to stop: whatever waits for it comes to its end.
    fn watch_for_stop(&self) {
        while !self.ending.over().wait(TICK / 4) {
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
                let _ = self.link.control_tx.try_send(Goodbye { complete: true }.into());
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
        let closed = self.link.end.closed();
        let _ = self
            .setting
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, closed).await.ok() });
    }
}

/// Moves nothing to a destination that keeps no promise.
fn refuse_move(opened: &JobOpened) -> Result<(), End> {
    if opened.durability != Durability::None {
        return Ok(());
    }
    Err(End::Refused(Refused::new(
        RefusalCode::Unsupported,
        "/MOV and /MOVE delete sources once their copies are durable, and this destination makes nothing durable \
         (durability none); copy without them, or have the agent's durability changed; nothing was changed",
    )))
}

fn unexpected(message: &Message) -> End {
    End::protocol(format!("the agent answered with {}", message.name()))
}

/// Bytes that an entry takes in a frame, at most.
fn weight(entry: &quicopy_protocol::meta::Entry) -> usize {
    let target = match &entry.kind {
        Kind::Link { target } => target.len(),
        Kind::HardLink { first } => first.as_bytes().len(),
        Kind::File | Kind::Directory | Kind::Special => 0,
    };
    64 + entry.name.as_bytes().len() + target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_moved_to_where_nothing_is_durable() {
        let refuses = |durability| {
            let opened = JobOpened {
                time_step_nanos: 1,
                conflicts_known: true,
                first_job: true,
                durability,
                trash_days: None,
            };
            refuse_move(&opened).is_err()
        };
        assert!(refuses(Durability::None));
        assert!(!refuses(Durability::Group));
        assert!(!refuses(Durability::File));
    }

    #[test]
    fn an_unfinished_file_counts_as_progress_only_as_far_as_the_agent_holds_more_of_it() {
        let mut carried = Carried::default();
        let mut leave = |sent_bytes, held_bytes| {
            carried.leave(RelPath::ROOT, Share { sent_bytes, held_bytes });
            carried.held_bytes()
        };
        assert_eq!(leave(50, 0), 0);
        assert_eq!(leave(50, 40), 40);
        assert_eq!(leave(50, 10), 40);
        assert_eq!(leave(50, 80), 80);
    }
}
