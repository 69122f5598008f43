//! One job over a link: all of the agent that an embedded agent needs.
//!
//! [`greet`] hears what the sender wants; whoever owns the link then decides about it, and either [`Asked::refuse`]s or
//! [`serve`]s it. Serving is carrying: messages into the engine, events out of it, each past the session machine. What a
//! file needs is decided in the engine.

mod convert;
mod inbox;
pub mod origin;
mod outbox;

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

use inbox::Inbox;
use outbox::{Outbox, Tally};

/// Longest time that a sender may take to say what it wants, and to say goodbye.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest time that the end of a link is waited for.
const CLOSING: Duration = Duration::from_secs(2);

/// Messages between the link and the engine. Listings are large and planned faster than they come; content is bounded
/// by the link's own channel.
const LISTED_MAX: usize = 16;
const CONTENT_MAX: usize = 8;
const EVENTS_MAX: usize = 1024;

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
    Ping(tokio::sync::oneshot::Sender<()>),
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
            let _ = link.control_tx.send(refused.clone().into()).await;
            Err(end(&link.end, &refused).await)
        }
        Ok(Err(None)) => Err(link.end.closed().await),
        Err(_) => {
            let reason = "no job was asked for in time".to_owned();
            Err(end(&link.end, &Refused { code: RefusalCode::Protocol, reason }).await)
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
        let _ = link.control_tx.send(refused.clone().into()).await;
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
    let inbox = Inbox::new(session, stop.clone());
    let listing =
        tokio::spawn(inbox.clone().carry_listings(link.listing_rx.clone(), listed_tx, lists_tx));
    let content = tokio::spawn(inbox.clone().carry_content(link.content_rx.clone(), content_tx));
    let speaking = tokio::spawn(outbox.clone().carry(events_rx, EndsJob(stop.clone())));

    let said = converse(&inbox, &link, &outbox, &commands, engine).await;
    stop.set();
    listing.abort();
    content.abort();
    let tally = speaking.await.unwrap_or_default();
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

type Engine = tokio::task::JoinHandle<Result<Ended, destination::Refusal>>;

/// Answers control messages and commands until the job is over. The engine has ended when this returns.
async fn converse(
    inbox: &Inbox,
    link: &AgentLink,
    outbox: &Outbox,
    commands: &Receiver<Command>,
    mut engine: Engine,
) -> Said {
    let mut pings = Vec::new();
    let said = loop {
        tokio::select! {
            result = &mut engine => return match said_by(result, inbox) {
                Said::Complete => hear_goodbye(inbox, link, outbox).await,
                said => said,
            },
            message = link.control_rx.recv() => {
                let Ok(message) = message else { break Said::Lost };
                match inbox.check(&message) {
                    Err(refused) => break Said::Refused(refused),
                    Ok(()) => match message {
                        Message::Ping(ping) => {
                            let _ = outbox.send(Message::Pong(ping)).await;
                        }
                        Message::Pong(_) => pings.drain(..).for_each(|answer: tokio::sync::oneshot::Sender<()>| {
                            let _ = answer.send(());
                        }),
                        Message::Refused(refused) => break Said::Refused(refused),
                        // It comes after JobDone only, which may overtake the engine's own end.
                        Message::Goodbye(goodbye) if goodbye.complete => {
                            let _ = engine.await;
                            return Said::Complete;
                        }
                        // The session lets nothing else pass but a goodbye before the end.
                        _ => break Said::GivenUp,
                    },
                }
            }
            command = commands.recv(), if !commands.is_closed() => match command {
                Ok(Command::Ping(answer)) => {
                    let number = pings.len() as u64;
                    pings.push(answer);
                    let _ = outbox.send(Message::Ping(Ping { number })).await;
                }
                Ok(Command::Park(refused)) => break Said::Refused(refused),
                Err(_) => {}
            },
        }
    };
    inbox.stop.set();
    let _ = engine.await;
    said
}

fn said_by(
    result: Result<Result<Ended, destination::Refusal>, tokio::task::JoinError>,
    inbox: &Inbox,
) -> Said {
    match result {
        Ok(Ok(Ended::Complete)) => Said::Complete,
        Ok(Ok(Ended::Parked)) => inbox.violation().map_or(Said::Lost, Said::Refused),
        Ok(Err(refusal)) => Said::Refused(Refused { code: refusal.code, reason: refusal.reason }),
        Err(panic) => Said::Refused(Refused {
            code: RefusalCode::DestinationFailed,
            reason: format!("the agent failed inside ({panic}); its log says more"),
        }),
    }
}

/// Waits for the sender's last word. The job is done, whatever it is.
async fn hear_goodbye(inbox: &Inbox, link: &AgentLink, outbox: &Outbox) -> Said {
    let hear = async {
        while let Ok(message) = link.control_rx.recv().await {
            match message {
                Message::Ping(ping) => {
                    let _ = outbox.send(Message::Pong(ping)).await;
                }
                message if inbox.check(&message).is_err() => return,
                Message::Goodbye(_) => return,
                _ => {}
            }
        }
    };
    let _ = tokio::time::timeout(PATIENCE, hear).await;
    Said::Complete
}
