//! Where messages leave: past the session machine, within its credit, and the rate limit.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use async_channel::Sender;
use bytes::Bytes;
use quicopy_engine::send::{ChunkListing, Closed, ContentSink};
use quicopy_protocol::code::Failure;
use quicopy_protocol::link::SenderLink;
use quicopy_protocol::message::{
    Chunk, ChunkList, FileEnd, Hole, Lane, Listing, Message, WholeFile,
};
use quicopy_protocol::meta::{Attribute, Digest, WantId};
use quicopy_protocol::session::{ListingCost, Phase, SenderSession, Violation};

use super::ending::{End, Ending};
use super::progress::Meter;
use super::throttle::Throttle;

/// The sending side of a link, for any thread of an attempt.
pub(super) struct Outlet {
    state: Mutex<State>,
    /// The agent said something, or the attempt is over.
    heard: Condvar,
    control: Sender<Message>,
    listing: Sender<Message>,
    content: Sender<Message>,
    throttle: Arc<Throttle>,
    ending: Arc<Ending>,
}

struct State {
    session: SenderSession,
    closed: bool,
}

impl State {
    /// Whether nothing may be sent any more: the attempt is over, or the agent has ended the conversation while some threads
    /// were still in the middle of a file.
    fn is_over(&self) -> bool {
        self.closed || self.session.phase() == Phase::Ended
    }
}

impl Outlet {
    pub(super) fn new(
        link: &SenderLink,
        session: SenderSession,
        throttle: Arc<Throttle>,
        ending: Arc<Ending>,
    ) -> Self {
        Self {
            state: Mutex::new(State { session, closed: false }),
            heard: Condvar::new(),
            control: link.control_tx.clone(),
            listing: link.listing_tx.clone(),
            content: link.content_tx.clone(),
            throttle,
            ending,
        }
    }

    /// Asks the session machine whether the agent may say that, and wakes whoever waits for credit.
    pub(super) fn hear(&self, message: &Message) -> Result<(), Violation> {
        let heard = self.state().session.handle_message(message);
        self.heard.notify_all();
        heard
    }

    /// Ends the attempt: the agent did what the protocol does not allow.
    pub(super) fn break_off(&self, reason: impl Into<String>) {
        self.ending.give_up(End::protocol(reason));
    }

    /// Lets nobody wait any more.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.heard.notify_all();
    }

    /// Sends a message on its lane, and waits while that is full. The control lane never is, unless the agent reads nothing.
    pub(super) fn send(&self, message: Message) -> Result<(), Closed> {
        self.send_when(message, |_| true)
    }

    /// Sends a part of a listing, once the agent has settled enough of what came before.
    pub(super) fn list(&self, listing: Listing, is_first: bool) -> Result<(), Closed> {
        let cost = ListingCost::of(&listing, is_first);
        self.send_when(listing.into(), |session| session.listing_credit().covers(cost))
    }

    /// Ends a wish with a failure, once its lists are answered; false if they are not yet.
    pub(super) fn fail(&self, want: WantId, failure: &Failure) -> Result<bool, Closed> {
        let message = {
            let state = self.state();
            if !state.session.may_end(want) {
                return Ok(false);
            }
            state.session.file_failed(want, failure.clone())
        };
        match message {
            Some(message) => self.send(message.into()).map(|()| true),
            None => Ok(true),
        }
    }

    fn send_when(
        &self,
        message: Message,
        is_due: impl Fn(&SenderSession) -> bool,
    ) -> Result<(), Closed> {
        let mut state = self.state();
        while !state.is_over() && !is_due(&state.session) {
            state = self.heard.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_over() {
            return Err(Closed);
        }
        let legal = state.session.handle_send(&message);
        drop(state);
        if let Err(violation) = legal {
            // Our own bug; the job stops here instead of confusing the agent.
            tracing::error!(%violation, message = message.name(), "a message was held back");
            self.ending.give_up(End::Refused(violation.refusal()));
            return Err(Closed);
        }
        let lane = match message.lane() {
            Lane::Control | Lane::Verdict => return self.send_control(message),
            Lane::Listing => &self.listing,
            Lane::Content => &self.content,
        };
        lane.send_blocking(message).map_err(|_| Closed)
    }

    /// So little is ever under way there that only an agent that has stopped reading lets the lane fill up.
    fn send_control(&self, message: Message) -> Result<(), Closed> {
        self.control.try_send(message).map_err(|error| {
            if error.is_full() {
                self.ending.give_up(End::Lost("the agent reads nothing any more".to_owned()));
            }
            Closed
        })
    }

    /// A sink for what belongs to one wish, for a file of so many bytes.
    pub(super) fn wish<'a>(&'a self, want: WantId, file_bytes: u64, meter: &'a Meter) -> Wish<'a> {
        Wish { outlet: self, want, file_bytes, meter }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One wish's way out.
pub(super) struct Wish<'a> {
    outlet: &'a Outlet,
    want: WantId,
    file_bytes: u64,
    meter: &'a Meter,
}

impl Wish<'_> {
    fn pace(&self, data: &Bytes) -> Result<(), Closed> {
        let Outlet { throttle, ending, .. } = self.outlet;
        throttle.take(data.len() as u64, self.file_bytes, ending.over())
    }
}

impl ContentSink for Wish<'_> {
    fn whole_file(
        &mut self,
        digest: Digest,
        attributes: Vec<Attribute>,
        data: Bytes,
    ) -> Result<(), Closed> {
        self.pace(&data)?;
        self.outlet.send(WholeFile { want: self.want, digest, attributes, data }.into())
    }

    fn chunk(&mut self, offset: u64, digest: Digest, data: Bytes) -> Result<(), Closed> {
        self.pace(&data)?;
        self.outlet.send(Chunk { want: self.want, offset, digest, data }.into())
    }

    fn hole(&mut self, offset: u64, length: u64) -> Result<(), Closed> {
        self.outlet.send(Hole { want: self.want, offset, length }.into())
    }

    fn chunk_list(&mut self, list: ChunkListing) -> Result<(), Closed> {
        let ChunkListing { average_bytes, offset, chunks, last } = list;
        let count = chunks.len();
        self.meter.listed(self.want, chunks.iter().map(|(length, _)| *length));
        let list = ChunkList { want: self.want, average_bytes, offset, chunks, last };
        self.outlet.send_when(list.into(), |session| session.chunk_list_credit() >= count)
    }

    fn end(
        &mut self,
        size_bytes: u64,
        digest: Digest,
        attributes: Vec<Attribute>,
    ) -> Result<(), Closed> {
        self.outlet.send(FileEnd { want: self.want, size_bytes, digest, attributes }.into())
    }

    fn failed(&mut self, failure: Failure) -> Result<(), Closed> {
        self.outlet.fail(self.want, &failure).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use quicopy_protocol::link::{Capacities, pair};
    use quicopy_protocol::message::{Goodbye, Ping};
    use quicopy_protocol::version;

    use super::*;
    use crate::cli::Pace;

    fn check(act: impl Fn(&Outlet), is_expected: impl Fn(&End) -> bool) {
        let (link, _agent) = pair(Capacities { control: 1, ..Capacities::default() });
        let ending = Arc::new(Ending::new(&link));
        let session = SenderSession::new(version::hello("a test"));
        let throttle = Arc::new(Throttle::new(Pace::default()));
        act(&Outlet::new(&link, session, throttle, Arc::clone(&ending)));
        assert!(link.verdict_rx.recv_blocking().is_err());
        let end = ending.take();
        assert!(end.as_ref().is_some_and(is_expected), "{end:?}");
    }

    #[test]
    fn a_message_that_is_held_back_ends_the_attempt() {
        let goodbye = || Message::from(Goodbye { complete: true });
        check(
            |outlet| assert!(outlet.send(goodbye()).is_err()),
            |end| matches!(end, End::Refused(_)),
        );
    }

    #[test]
    fn an_agent_that_reads_nothing_is_not_waited_for() {
        check(
            |outlet| {
                let hello = version::hello("a test");
                assert!(outlet.send(hello.clone().into()).is_ok());
                assert!(outlet.hear(&hello.into()).is_ok());
                for number in 0..2 {
                    assert!(outlet.hear(&Message::Ping(Ping { number })).is_ok());
                    let _ = outlet.send(Message::Pong(Ping { number }));
                }
            },
            |end| matches!(end, End::Lost(_)),
        );
    }
}
