//! One job over a link: all of the agent that an embedded agent needs.
//!
//! [`greet`] hears what the sender wants; whoever owns the link then decides about it, and either [`Asked::refuse`]s or
//! [`serve`]s it. Serving is carrying: messages into the engine, events out of it, each past the session machine. What a
//! file needs is decided in the engine.

mod convert;
mod inbox;
pub mod origin;
mod outbox;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_channel::Receiver;
use quicopy_engine::destination::{self, Ended, Setup};
use quicopy_engine::source::StopFlag;
use quicopy_protocol::code::RefusalCode;
use quicopy_protocol::link::{AgentLink, Close, LinkClosed, LinkEnd};
use quicopy_protocol::message::{JobOpened, Message, OpenJob, Ping, Refused};
use quicopy_protocol::session::{AgentSession, Violation};
use quicopy_protocol::version;
use tokio::sync::oneshot;
use tokio::time::Instant;

use inbox::Inbox;
use outbox::{Outbox, Tally};

/// Longest time that a sender may take to say what it wants, and to say goodbye once all has reached it.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a link that is still delivering sends within [`PATIENCE`], in bytes: less than any usable link carries, more than
/// acknowledgements of keep-alives come to.
const DELIVERING_BYTES: u64 = 16 << 10;

/// Longest time that the end of a link is waited for.
const CLOSING: Duration = Duration::from_secs(2);

/// Messages between the link and the engine. Listings are large and planned faster than they come; content is bounded
/// by the link's own channel. Of events, small ones are gathered as soon as they come, extras come by 32 KiB, and the verdicts
/// of all plans together are no more than the entries that a sender may have unsettled.
const LISTED_MAX: usize = 16;
const CONTENT_MAX: usize = 8;
const EVENTS_MAX: usize = 64;

/// What a sender asked for.
#[derive(Debug)]
pub struct Asked {
    /// The job.
    pub open: OpenJob,
    session: AgentSession,
}

/// What the owner of a running job may want of it.
#[derive(Debug)]
pub enum Command {
    /// Find out whether the sender is still there: the answer comes through the channel, or the channel closes.
    Ping(oneshot::Sender<()>),
    /// Keep what is unfinished, tell the sender why, and end.
    Park(Refused),
}

/// How a job went.
#[derive(Debug)]
pub struct JobReport {
    /// How it ended.
    pub end: JobEnd,
    /// Files put in place.
    pub files_copied: u64,
    /// Bytes of these files.
    pub bytes_copied: u64,
    /// Entries that failed.
    pub failed: u64,
    /// Entries deleted.
    pub deleted: u64,
}

/// How a job ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum JobEnd {
    /// It was carried out.
    Complete,
    /// The sender gave it up; partial files are kept.
    GivenUp,
    /// The link was lost; partial files are kept for the next attempt.
    LinkLost(String),
    /// It was refused or parked, with this reason.
    Refused(Refused),
}

/// Hears what the sender on a new link wants.
///
/// # Errors
/// It spoke no common version, said something else or nothing, or went away. The link is ended.
pub async fn greet(link: &AgentLink, program: &str) -> Result<Asked, LinkClosed> {
    match tokio::time::timeout(PATIENCE, hear(link, program)).await {
        Ok(Ok(asked)) => Ok(asked),
        Ok(Err(Some(refused))) => {
            let _ = link.control_tx.try_send(refused.clone().into());
            Err(end(&link.end, &refused).await)
        }
        Ok(Err(None)) => Err(link.end.closed().await),
        Err(_) => {
            let refused = Refused::new(RefusalCode::Protocol, "no job was asked for in time");
            Err(end(&link.end, &refused).await)
        }
    }
}

async fn hear(link: &AgentLink, program: &str) -> Result<Asked, Option<Refused>> {
    let hello = version::hello(program);
    let mut session = AgentSession::new(hello.clone());
    let mut answer = Some(Message::from(hello));
    let illegal = |violation: Violation| Some(violation.refusal());
    loop {
        let message = link.control_rx.recv().await.map_err(|_| None)?;
        session.handle_message(&message).map_err(illegal)?;
        let reply = match message {
            Message::OpenJob(open) => return Ok(Asked { open: *open, session }),
            Message::Ping(ping) => Some(Message::Pong(ping)),
            Message::Hello(_) => answer.take(),
            // A goodbye or a refusal: the session lets nothing else pass.
            _ => return Err(None),
        };
        if let Some(reply) = reply {
            session.handle_send(&reply).map_err(illegal)?;
            link.control_tx.send(reply).await.map_err(|_| None)?;
        }
    }
}

/// Ends a link with a refusal, and waits until it has ended.
async fn end(link: &LinkEnd, refused: &Refused) -> LinkClosed {
    link.close(Close::from(refused));
    link.closed().await
}

impl Asked {
    /// Tells the sender that its job does not begin, and ends the link.
    pub async fn refuse(self, link: AgentLink, refused: Refused) {
        let _ = link.control_tx.try_send(refused.clone().into());
        end(&link.end, &refused).await;
    }
}

/// Serves a job that was allowed and whose destination is locked for it, to its end or the link's.
///
/// When this returns nothing of the job runs any more: another may take its place.
pub async fn serve(
    link: AgentLink,
    asked: Asked,
    opened: JobOpened,
    setup: Setup,
    commands: Receiver<Command>,
) -> JobReport {
    let session = Arc::new(Mutex::new(asked.session));
    let outbox = Outbox::new(&link, Arc::clone(&session));
    let stop = StopFlag::default();
    let (listed_tx, listed_rx) = async_channel::bounded(LISTED_MAX);
    let (lists_tx, lists_rx) = async_channel::bounded(LISTED_MAX);
    let (content_tx, content_rx) = async_channel::bounded(CONTENT_MAX);
    let (events_tx, events_rx) = async_channel::bounded(EVENTS_MAX);
    if outbox.send(opened.into()).await.is_err() {
        return Tally::default().report(lost(&link.end));
    }

    let engine = {
        let stop = stop.clone();
        let inputs =
            destination::Inputs { listed: listed_rx, lists: lists_rx, content: content_rx };
        tokio::task::spawn_blocking(move || destination::run(setup, inputs, events_tx, stop))
    };
    let inbox = Inbox::new(session, outbox.clone(), stop.clone());
    let listing =
        tokio::spawn(inbox.clone().carry_listings(link.listing_rx.clone(), listed_tx, lists_tx));
    let content = tokio::spawn(inbox.clone().carry_content(link.content_rx.clone(), content_tx));
    let speaking = tokio::spawn(outbox.clone().carry(events_rx, EndsJob(stop.clone())));

    let work = async {
        let said = said_by(engine.await, &inbox);
        if !matches!(said, Said::Complete) {
            // The rest means nothing any more, and the sender may not even read it.
            outbox.close();
        }
        (said, speaking.await.unwrap_or_default())
    };
    let (said, tally) = converse(&inbox, &link, &outbox, &commands, work).await;
    listing.abort();
    content.abort();
    let end = match said {
        Said::Complete => {
            link.end.close(Close::finished());
            JobEnd::Complete
        }
        Said::GivenUp => {
            link.end.close(Close::finished());
            JobEnd::GivenUp
        }
        Said::Lost => lost(&link.end),
        Said::Refused(refused) => {
            let _ = outbox.send(refused.clone().into()).await;
            link.end.close(Close::from(&refused));
            JobEnd::Refused(refused)
        }
    };
    let closing = async move {
        let _ = tokio::time::timeout(CLOSING, link.end.closed()).await;
        drop(link);
    };
    match end {
        // The job is over and its place is free, while the last words are still on their way.
        JobEnd::Complete | JobEnd::GivenUp => drop(tokio::spawn(closing)),
        JobEnd::LinkLost(_) | JobEnd::Refused(_) => closing.await,
    }
    tally.report(end)
}

/// Stops the job when whoever speaks for it ends, however that comes about: an engine that nobody hears must not wait for
/// answers.
struct EndsJob(StopFlag);

impl Drop for EndsJob {
    fn drop(&mut self) {
        self.0.set();
    }
}

fn lost(link: &LinkEnd) -> JobEnd {
    match link.reason() {
        Some(LinkClosed::Peer(close)) => JobEnd::LinkLost(close.to_string()),
        Some(closed) => JobEnd::LinkLost(closed.to_string()),
        None => JobEnd::LinkLost("the link ended".to_owned()),
    }
}

/// How the conversation around a job ended.
enum Said {
    Complete,
    GivenUp,
    Lost,
    Refused(Refused),
}

/// Answers control messages and commands until `work` is done and the sender has said goodbye, or could have. `work` is the
/// engine and whoever speaks for it: both have ended when this returns.
async fn converse(
    inbox: &Inbox,
    link: &AgentLink,
    outbox: &Outbox,
    commands: &Receiver<Command>,
    work: impl Future<Output = (Said, Tally)>,
) -> (Said, Tally) {
    let mut work = pin!(work);
    let mut questions = Questions::default();
    // Once the job is carried out and all of it told, only the sender's last word is awaited; whatever it is, the job is done.
    let mut done = None;
    let mut patience = pin!(tokio::time::sleep(PATIENCE));
    let mut sent_bytes = 0;
    let said = loop {
        tokio::select! {
            (said, tally) = &mut work, if done.is_none() => match said {
                Said::Complete => {
                    done = Some(tally);
                    sent_bytes = link.wire.sent();
                    patience.as_mut().reset(Instant::now() + PATIENCE);
                }
                said => return (said, tally),
            },
            () = &mut patience, if done.is_some() => {
                let before = std::mem::replace(&mut sent_bytes, link.wire.sent());
                if sent_bytes - before < DELIVERING_BYTES {
                    break Said::Complete;
                }
                patience.as_mut().reset(Instant::now() + PATIENCE);
            }
            message = link.control_rx.recv() => {
                let Ok(message) = message else { break Said::Lost };
                match inbox.check(&message) {
                    Err(refused) => break Said::Refused(refused),
                    Ok(()) => match message {
                        Message::Ping(ping) => drop(outbox.send(Message::Pong(ping)).await),
                        Message::Pong(_) => questions.answer(),
                        Message::Refused(refused) => break Said::Refused(refused),
                        // It comes after JobDone only, which may overtake the end of the work.
                        Message::Goodbye(goodbye) if goodbye.complete => break Said::Complete,
                        // The session lets nothing else pass but a goodbye before the end.
                        _ => break Said::GivenUp,
                    },
                }
            }
            command = commands.recv(), if !commands.is_closed() => match command {
                Ok(Command::Ping(answer)) => {
                    if let Some(ping) = questions.ask(answer) {
                        let _ = outbox.send(Message::Ping(ping)).await;
                    }
                }
                Ok(Command::Park(refused)) => break Said::Refused(refused),
                Err(_) => {}
            },
        }
    };
    match (done, &said) {
        (Some(tally), _) => (Said::Complete, tally),
        (None, Said::Complete) => (said, work.await.1),
        (None, _) => {
            inbox.stop();
            (said, work.await.1)
        }
    }
}

/// Who waits to know whether the sender is still there. One ping at a time is under way: its answer is one to all of them.
#[derive(Debug, Default)]
struct Questions {
    waiting: Vec<oneshot::Sender<()>>,
    pings: u64,
}

impl Questions {
    /// Takes a question; the ping to send, if none is under way.
    fn ask(&mut self, answer: oneshot::Sender<()>) -> Option<Ping> {
        self.waiting.push(answer);
        if self.waiting.len() > 1 {
            return None;
        }
        self.pings += 1;
        Some(Ping { number: self.pings })
    }

    /// The ping is answered.
    fn answer(&mut self) {
        for answer in self.waiting.drain(..) {
            // Who asked may have lost patience.
            let _ = answer.send(());
        }
    }
}

fn said_by(
    result: Result<Result<Ended, destination::Refusal>, tokio::task::JoinError>,
    inbox: &Inbox,
) -> Said {
    match result {
        Ok(Ok(Ended::Complete)) => Said::Complete,
        Ok(Ok(Ended::Parked)) => inbox.violation().map_or(Said::Lost, Said::Refused),
        Ok(Err(refusal)) => Said::Refused(Refused::new(refusal.code, refusal.reason)),
        Err(panic) => {
            Said::Refused(Refused::new(RefusalCode::DestinationFailed, failed_inside(&panic)))
        }
    }
}

/// What is said of a bug of ours, to whom waits for an answer.
pub(crate) fn failed_inside(panic: &tokio::task::JoinError) -> String {
    format!("the agent failed inside ({panic}); its log says more")
}
