//! The way out: what the engine tells becomes messages, small ones gathered into one frame.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use quicopy_engine::destination::{Done, Event};
use quicopy_protocol::limits::{BATCH_BYTES_AIM, BATCH_ITEMS_MAX, TEXT_BYTES_MAX};
use quicopy_protocol::link::AgentLink;
use quicopy_protocol::message::{
    Cancel, Extras, JobDone, Lack, Lane, Message, Notice, Outcome, Outcomes, Plan, Retrying, Want,
};
use quicopy_protocol::meta::{DirId, WantId};
use quicopy_protocol::session::{AgentSession, Phase};
use quicopy_protocol::text;
use quicopy_protocol::verdict::{ExtraEntry, OutcomeResult, Tally as Amount, Verdict};

use super::{EndsJob, JobEnd, JobReport};

/// Nobody takes messages any more.
#[derive(Debug)]
pub(super) struct Closed;

/// Speaks for a job.
#[derive(Clone)]
pub(super) struct Outbox {
    session: Arc<Mutex<AgentSession>>,
    control: Sender<Message>,
    verdict: Sender<Message>,
}

impl Outbox {
    pub(super) fn new(link: &AgentLink, session: Arc<Mutex<AgentSession>>) -> Self {
        Self { session, control: link.control_tx.clone(), verdict: link.verdict_tx.clone() }
    }

    /// Lets nothing more leave on the verdict lane, and nobody wait for room in it.
    pub(super) fn close(&self) {
        self.verdict.close();
    }

    /// Sends one message on its lane.
    ///
    /// Control messages do not wait: pings are few and the lane goes before all others, so that only a peer that reads
    /// nothing lets it fill up.
    pub(super) async fn send(&self, message: Message) -> Result<(), Closed> {
        let legal = {
            let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
            if session.phase() == Phase::Ended {
                // The sender has ended the conversation while the engine was still telling.
                return Err(Closed);
            }
            session.handle_send(&message)
        };
        if let Err(violation) = legal {
            // Our own bug. The job stops here instead of confusing the sender.
            tracing::error!(%violation, message = message.name(), "a message was held back");
            debug_assert!(false, "{}: {violation}", message.name());
            return Err(Closed);
        }
        match message.lane() {
            Lane::Control => self.control.try_send(message).map_err(|_| Closed),
            Lane::Verdict | Lane::Listing | Lane::Content => {
                self.verdict.send(message).await.map_err(|_| Closed)
            }
        }
    }

    /// Carries the engine's events until it ends, and says what they came to. Whatever becomes of the link, events
    /// are taken until the engine has none.
    pub(super) async fn carry(self, events: Receiver<Event>, _ends: EndsJob) -> Tally {
        let mut tally = Tally::default();
        let mut outcomes = Batch::default();
        while let Ok(event) = events.recv().await {
            let mut next = Some(event);
            while let Some(event) = next {
                tally.note(&event);
                let sent = match outcomes.take(event) {
                    Ok(()) => Ok(()),
                    Err(event) => self.tell(&mut outcomes, event).await,
                };
                if sent.is_err() {
                    events.close();
                }
                next = if outcomes.is_full() { None } else { events.try_recv().ok() };
            }
            if self.flush(&mut outcomes).await.is_err() {
                events.close();
            }
        }
        tally
    }

    async fn flush(&self, outcomes: &mut Batch) -> Result<(), Closed> {
        match outcomes.message() {
            Some(message) => self.send(message).await,
            None => Ok(()),
        }
    }

    /// Sends an event that is a message of its own; what was gathered before goes first.
    async fn tell(&self, outcomes: &mut Batch, event: Event) -> Result<(), Closed> {
        self.flush(outcomes).await?;
        match event {
            Event::Plan { dir, state, verdicts, same } => {
                let mut parts = split(verdicts, |_: &Verdict| 16).peekable();
                while let Some(verdicts) = parts.next() {
                    let last = parts.peek().is_none();
                    let same = if last { same } else { Amount::default() };
                    let plan = Plan { dir, state: state.clone(), verdicts, same, last };
                    self.send(plan.into()).await?;
                }
                Ok(())
            }
            Event::Extras { dir, entries } => {
                for entries in split(entries, |entry: &ExtraEntry| 64 + entry.path.as_bytes().len())
                {
                    self.send(Extras { dir, entries }.into()).await?;
                }
                Ok(())
            }
            Event::Want { want, entry, basis } => {
                self.send(Want { want, entry, basis }.into()).await
            }
            Event::Lack { want, runs, answered } if self.is_due(want, answered) => {
                self.send(Lack { want, runs, answered }.into()).await
            }
            Event::Cancel(want) if self.may_arrive(want) => self.send(Cancel { want }.into()).await,
            Event::Retrying(entry, failure, wait_seconds) => {
                self.send(Retrying { entry, failure, wait_seconds }.into()).await
            }
            Event::Notice(mut text) => {
                text::cut(&mut text, TEXT_BYTES_MAX);
                self.send(Notice { text }.into()).await
            }
            Event::Done(Done {
                deleted,
                trashed,
                protected_dirs,
                mut guard,
                plan,
                directories,
            }) => {
                if let Some(text) = &mut guard {
                    text::cut(text, TEXT_BYTES_MAX);
                }
                self.hear_out().await?;
                let last = DirId(directories.saturating_sub(1));
                self.send(
                    JobDone { deleted, trashed, protected_dirs, guard, plan, directories: last }
                        .into(),
                )
                .await
            }
            // Nothing is on its way that could be cancelled, the list was answered at the job's end, or the batch has gathered it.
            Event::Cancel(_)
            | Event::Lack { .. }
            | Event::Outcome(..)
            | Event::Settled(_)
            | Event::Removed(_) => Ok(()),
        }
    }
}

impl Outbox {
    /// Whether something may still arrive for a wish.
    fn may_arrive(&self, want: WantId) -> bool {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session.is_open(want) && !session.is_cancelled(want)
    }

    /// Whether a list waits for this answer.
    fn is_due(&self, want: WantId, answered: u32) -> bool {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session.answer_due(want) == Some(answered)
    }

    /// Waits until nothing more can arrive for a wish that was cancelled: only then is the job done on both sides. A job
    /// that is stopped does not wait.
    async fn hear_out(&self) -> Result<(), Closed> {
        loop {
            let (open, unanswered) = {
                let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
                (session.open_wants(), session.unanswered())
            };
            if open == 0 {
                return Ok(());
            }
            // The engine has left, and with it whoever would answer lists that come late.
            if let Some(lack) = unanswered {
                self.send(lack.into()).await?;
                continue;
            }
            if self.verdict.is_closed() {
                return Err(Closed);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Cuts a list into parts that fit a frame; one empty part if there is nothing.
fn split<T>(items: Vec<T>, bytes: impl Fn(&T) -> usize) -> impl Iterator<Item = Vec<T>> {
    let mut items = items.into_iter().peekable();
    let mut first = true;
    std::iter::from_fn(move || {
        let mut part = Vec::new();
        let mut size = 0;
        while let Some(item) = items.next_if(|item| {
            part.is_empty()
                || (part.len() < BATCH_ITEMS_MAX && size + bytes(item) <= BATCH_BYTES_AIM)
        }) {
            size += bytes(&item);
            part.push(item);
        }
        (std::mem::take(&mut first) || !part.is_empty()).then_some(part)
    })
}

/// Outcomes that wait for company, for as long as the engine has more to say at once.
#[derive(Default)]
struct Batch {
    outcomes: Option<Outcomes>,
    /// The number of the first directory that is not settled.
    settled: u64,
    bytes: usize,
}

impl Batch {
    fn take(&mut self, event: Event) -> Result<(), Event> {
        let settled = DirId(self.settled);
        let outcomes = || Outcomes { entries: Vec::new(), removals: Vec::new(), settled };
        match event {
            Event::Outcome(entry, result) => {
                self.bytes += 64
                    + match &result {
                        OutcomeResult::Failed(failure) => failure.reason.len(),
                        OutcomeResult::Done(_) | OutcomeResult::Unchanged => 0,
                    };
                self.outcomes.get_or_insert_with(outcomes).entries.push(Outcome { entry, result });
            }
            Event::Removed(removal) => {
                self.bytes += 64
                    + removal.path.as_bytes().len()
                    + removal.failure.as_ref().map_or(0, |failure| failure.reason.len());
                self.outcomes.get_or_insert_with(outcomes).removals.push(removal);
            }
            Event::Settled(dir) => {
                self.settled = self.settled.max(dir.0);
                self.outcomes.get_or_insert_with(outcomes).settled = DirId(self.settled);
            }
            event => return Err(event),
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES_AIM
            || self.outcomes.as_ref().is_some_and(|outcomes| {
                outcomes.entries.len().max(outcomes.removals.len()) >= BATCH_ITEMS_MAX
            })
    }

    fn message(&mut self) -> Option<Message> {
        self.bytes = 0;
        self.outcomes.take().map(Message::from)
    }
}

/// What a job came to, for the agent's own history.
#[derive(Debug, Default)]
pub(super) struct Tally {
    files_copied: u64,
    bytes_copied: u64,
    failed: u64,
    deleted: u64,
}

impl Tally {
    fn note(&mut self, event: &Event) {
        match event {
            Event::Outcome(_, OutcomeResult::Done(origins)) => {
                self.files_copied += 1;
                self.bytes_copied += origins.literal_bytes
                    + origins.reused_bytes
                    + origins.resumed_bytes
                    + origins.hole_bytes;
            }
            Event::Outcome(_, OutcomeResult::Failed(_)) => self.failed += 1,
            Event::Removed(removal) if removal.failure.is_none() => self.deleted += 1,
            Event::Removed(_) => self.failed += 1,
            _ => {}
        }
    }

    pub(super) fn report(self, end: JobEnd) -> JobReport {
        let Self { files_copied, bytes_copied, failed, deleted } = self;
        JobReport { end, files_copied, bytes_copied, failed, deleted }
    }
}
