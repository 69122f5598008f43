//! Who may say what, and when: [`SenderSession`], [`AgentSession`], and [`PairingSession`] for pairings.
//!
//! A session holds no socket, file or clock. Every message that arrives goes through `handle_message` before anybody acts
//! on it, and every message of our own through `handle_send` before it leaves, so that both directions keep one set of
//! rules and a bug of ours shows as plainly as a peer's. A [`Violation`] ends the connection.
//!
//! ```text
//! Greeting -> Ready -> Opening -> Running -> Scanned -> Done -> Ended
//!    Hello    OpenJob   JobOpened   Listing...  ScanEnd   JobDone  Goodbye
//! ```
//!
//! `order` says which message belongs to which phase; `directories` keeps listings, plans and outcomes in step,
//! `wishes` what is asked for and what answers it. What they keep is bounded by the unsettled directories
//! ([`UNSETTLED_ENTRIES_MAX`](crate::limits::UNSETTLED_ENTRIES_MAX), nine bytes an entry) and by the open wishes.

mod directories;
mod order;
mod pairing;
mod pings;
mod violation;
mod wishes;

#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;

pub use directories::ListingCost;
pub use order::Phase;
pub use pairing::PairingSession;
pub use violation::Violation;

use crate::code::Failure;
use crate::limits::CHUNK_LIST_AHEAD_MAX;
use crate::message::{FileFailed, Goodbye, Hello, Lack, Lane, Message, OpenJob};
use crate::meta::WantId;
use crate::verdict::Basis;
use crate::version::{Agreed, Role, negotiate};
use directories::Directories;
use order::phases_of;
use pings::Pings;
use wishes::Wishes;

/// The sender's view of one connection.
#[derive(Clone, Debug)]
pub struct SenderSession(Session);

/// The agent's view of one connection.
#[derive(Clone, Debug)]
pub struct AgentSession(Session);

impl SenderSession {
    /// A connection on which nothing was said. `hello` is what this side will say first.
    pub fn new(hello: Hello) -> Self {
        Self(Session::new(Role::Sender, hello))
    }

    /// Takes note of a message from the agent.
    ///
    /// # Errors
    /// The agent may not say that now.
    pub fn handle_message(&mut self, message: &Message) -> Result<(), Violation> {
        self.0.handle_message(message)
    }

    /// Takes note of a message that is about to be sent.
    ///
    /// # Errors
    /// It may not be sent now; it must not be.
    pub fn handle_send(&mut self, message: &Message) -> Result<(), Violation> {
        self.0.handle_send(message)
    }

    /// Where the conversation stands.
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// What both sides can do, once both have said hello.
    pub fn agreed(&self) -> Option<Agreed> {
        self.0.agreed
    }

    /// How much may be listed right now. A part of a listing may be sent when it [covers](ListingCost::covers) its cost.
    pub fn listing_credit(&self) -> ListingCost {
        self.0.directories.credit()
    }

    /// How many chunks may be listed right now, over all wishes.
    pub fn chunk_list_credit(&self) -> usize {
        CHUNK_LIST_AHEAD_MAX - self.0.wishes.ahead()
    }

    /// Whether all chunk lists that were sent for this wish are answered, and it is not over. Only then may it be ended.
    pub fn may_end(&self, want: WantId) -> bool {
        self.0.wishes.get(want).is_some_and(|wish| wish.unanswered_lists() == 0)
    }

    /// Whether the agent has cancelled this wish and it is not over.
    pub fn is_cancelled(&self, want: WantId) -> bool {
        self.0.wishes.get(want).is_some_and(|wish| wish.is_cancelled())
    }

    /// The message that ends a wish for a failure; `None` if the wish is over.
    pub fn file_failed(&self, want: WantId, failure: Failure) -> Option<FileFailed> {
        let sent_bytes = self.0.wishes.get(want)?.moved_bytes();
        Some(FileFailed { want, sent_bytes, failure })
    }
}

impl AgentSession {
    /// A connection on which nothing was said. `hello` is what this side will say first.
    pub fn new(hello: Hello) -> Self {
        Self(Session::new(Role::Agent, hello))
    }

    /// Takes note of a message from the sender.
    ///
    /// # Errors
    /// The sender may not say that now.
    pub fn handle_message(&mut self, message: &Message) -> Result<(), Violation> {
        self.0.handle_message(message)
    }

    /// Takes note of a message that is about to be sent.
    ///
    /// # Errors
    /// It may not be sent now; it must not be.
    pub fn handle_send(&mut self, message: &Message) -> Result<(), Violation> {
        self.0.handle_send(message)
    }

    /// Where the conversation stands.
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// What both sides can do, once both have said hello.
    pub fn agreed(&self) -> Option<Agreed> {
        self.0.agreed
    }

    /// How many wishes are open; at most [`WANTS_MAX`](crate::limits::WANTS_MAX). A wish is over only when everything
    /// that was sent for it has arrived, cancelled and failed ones too.
    pub fn open_wants(&self) -> usize {
        self.0.wishes.open()
    }

    /// How many of them are for files above [`WHOLE_FILE_BYTES_MAX`](crate::limits::WHOLE_FILE_BYTES_MAX); at most
    /// [`LARGE_WANTS_MAX`](crate::limits::LARGE_WANTS_MAX).
    pub fn open_large_wants(&self) -> usize {
        self.0.wishes.large()
    }

    /// The answer to a chunk list that waits for one, by which none of its chunks is lacking: what is left to say of wishes that
    /// nobody works on any more.
    pub fn unanswered(&self) -> Option<Lack> {
        self.0.wishes.unanswered()
    }

    /// How many chunks of a wish's file the next answer to a list must count; `None` if no list waits for one.
    pub fn answer_due(&self, want: WantId) -> Option<u32> {
        self.0.wishes.answer_due(want)
    }

    /// Whether something may still arrive for this wish.
    pub fn is_open(&self, want: WantId) -> bool {
        self.0.wishes.get(want).is_some()
    }

    /// Whether this wish was cancelled and something may still arrive for it, to be dropped. Its chunk lists are answered
    /// all the same, with nothing lacking.
    pub fn is_cancelled(&self, want: WantId) -> bool {
        self.0.wishes.get(want).is_some_and(|wish| wish.is_cancelled())
    }
}

/// What both ends keep. The rules are the same on both: each is checked where a message is made and where it arrives.
#[derive(Clone, Debug)]
struct Session {
    role: Role,
    hello: Hello,
    phase: Phase,
    greeted: Greeted,
    agreed: Option<Agreed>,
    /// What was asked for; a job is opened once, perhaps before the agent's hello has come.
    job: Option<Job>,
    scan_ended: bool,
    directories: Directories,
    wishes: Wishes,
    pings: Pings,
    end: End,
}

/// Who has said hello.
#[derive(Clone, Copy, Debug, Default)]
struct Greeted {
    sender: bool,
    agent: bool,
}

/// What of a job's policy bounds what may be said.
#[derive(Clone, Copy, Debug, Default)]
struct Job {
    list_only: bool,
    purge: bool,
}

/// How the conversation ended, which decides what may still arrive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// This side ended it: what the peer said before it knew arrives, and means nothing.
    Ours,
    /// The peer ended it early: what it said before may still arrive on other lanes.
    PeersEarly,
    /// The job was complete, and all lanes empty.
    Complete,
}

impl Session {
    fn new(role: Role, hello: Hello) -> Self {
        Self {
            role,
            hello,
            phase: Phase::Greeting,
            greeted: Greeted::default(),
            agreed: None,
            job: None,
            scan_ended: false,
            directories: Directories::default(),
            wishes: Wishes::new(role),
            pings: Pings::default(),
            end: End::Complete,
        }
    }

    fn handle_message(&mut self, message: &Message) -> Result<(), Violation> {
        let is_late = self.phase == Phase::Ended
            && match self.end {
                End::Ours => true,
                End::PeersEarly => message.lane() != Lane::Control,
                End::Complete => false,
            };
        if is_late { Ok(()) } else { self.apply(self.role.peer(), message) }
    }

    fn handle_send(&mut self, message: &Message) -> Result<(), Violation> {
        self.apply(self.role, message)
    }

    fn apply(&mut self, author: Role, message: &Message) -> Result<(), Violation> {
        if !phases_of(message, author).contains(&self.phase) {
            let (message, phase) = (message.name(), self.phase);
            return Err(Violation::OutOfPlace { author, message, phase });
        }
        match message {
            Message::Hello(hello) => self.greet(author, hello),
            Message::Refused(_) => self.end(author),
            Message::Ping(ping) => self.pings.ask(author, ping.number),
            Message::Pong(pong) => self.pings.answer(author, pong.number),
            Message::OpenJob(open) => self.open(open),
            Message::JobOpened(_) if self.scan_ended => self.enter(Phase::Scanned),
            Message::JobOpened(_) => self.enter(Phase::Running),
            Message::Goodbye(goodbye) => self.part(author, goodbye),
            Message::Listing(listing) => {
                self.check_scanning(message)?;
                self.directories.list(listing)
            }
            Message::ScanEnd(end) => {
                self.check_scanning(message)?;
                self.directories.end_scan(end)?;
                self.scan_ended = true;
                if self.phase == Phase::Running { self.enter(Phase::Scanned) } else { Ok(()) }
            }
            Message::Plan(plan) => self.directories.plan(plan, self.job().list_only),
            Message::Extras(extras) => self.directories.extras(extras),
            Message::Want(want) => {
                if self.job().list_only && want.basis != Basis::Digest {
                    return Err(Violation::rule(message, "a job that only lists wants no content"));
                }
                let size_bytes = self.directories.wanted_size(want.entry)?;
                self.wishes.open_wish(want, size_bytes)
            }
            Message::Lack(lack) => self.wishes.lack(lack),
            Message::Cancel(cancel) => self.wishes.cancel(cancel.want),
            Message::ChunkList(list) => self.wishes.list(list),
            Message::Chunk(chunk) => self.wishes.chunk(chunk),
            Message::Hole(hole) => self.wishes.hole(hole),
            Message::WholeFile(file) => self.wishes.whole_file(file),
            Message::FileEnd(end) => self.wishes.end(end),
            Message::FileFailed(failed) => self.wishes.fail(failed),
            Message::Outcomes(outcomes) => {
                let job = self.job();
                if !outcomes.removals.is_empty() && (!job.purge || job.list_only) {
                    return Err(Violation::rule(message, "this job deletes nothing"));
                }
                self.directories.settle(outcomes)
            }
            Message::Retrying(retrying) => self.directories.retrying(retrying.entry),
            Message::Notice(_) => Ok(()),
            Message::JobDone(done) => {
                if self.wishes.open() > 0 {
                    return Err(Violation::rule(message, "wishes are open"));
                }
                self.directories.finish(done)?;
                self.enter(Phase::Done)
            }
            Message::PairRequest(_) | Message::PairReply(_) => {
                unreachable!("they belong to no phase of a job")
            }
        }
    }

    fn greet(&mut self, author: Role, hello: &Hello) -> Result<(), Violation> {
        let greeted = match author {
            Role::Sender => &mut self.greeted.sender,
            Role::Agent => &mut self.greeted.agent,
        };
        if std::mem::replace(greeted, true) {
            return Err(Violation::named("Hello", "it was said before"));
        }
        if author != self.role {
            let agreed = negotiate(self.role, &self.hello, hello);
            self.agreed = Some(agreed.map_err(Violation::Incompatible)?);
        }
        if self.greeted.sender && self.greeted.agent {
            self.phase = if self.job.is_some() { Phase::Opening } else { Phase::Ready };
        }
        Ok(())
    }

    fn open(&mut self, open: &OpenJob) -> Result<(), Violation> {
        if !self.greeted.sender {
            return Err(Violation::named("OpenJob", "the hello comes first"));
        }
        let job = Job { list_only: open.policy.list_only, purge: open.policy.purge };
        if self.job.replace(job).is_some() {
            return Err(Violation::named("OpenJob", "a job was opened before"));
        }
        if self.phase == Phase::Ready { self.enter(Phase::Opening) } else { Ok(()) }
    }

    /// Before the job is opened the phase does not say whether a scan is under way.
    fn check_scanning(&self, message: &Message) -> Result<(), Violation> {
        match (self.job, self.scan_ended) {
            (None, _) => Err(Violation::rule(message, "no job was asked for")),
            (Some(_), true) => Err(Violation::rule(message, "the scan has ended")),
            (Some(_), false) => Ok(()),
        }
    }

    fn job(&self) -> Job {
        self.job.unwrap_or_default()
    }

    fn part(&mut self, author: Role, goodbye: &Goodbye) -> Result<(), Violation> {
        if goodbye.complete != (self.phase == Phase::Done) {
            return Err(Violation::named(
                "Goodbye",
                "the job is complete after JobDone, only then",
            ));
        }
        self.end(author)?;
        if goodbye.complete && author != self.role {
            self.end = End::Complete;
        }
        Ok(())
    }

    fn end(&mut self, author: Role) -> Result<(), Violation> {
        self.end = if author == self.role { End::Ours } else { End::PeersEarly };
        self.enter(Phase::Ended)
    }

    fn enter(&mut self, phase: Phase) -> Result<(), Violation> {
        self.phase = phase;
        Ok(())
    }
}
