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
use quicopy_protocol::session::{ListingCost, SenderSession, Violation};

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
}

struct State {
    session: SenderSession,
    closed: bool,
}

impl Outlet {
    pub(super) fn new(link: &SenderLink, session: SenderSession, throttle: Arc<Throttle>) -> Self {
        Self {
            state: Mutex::new(State { session, closed: false }),
            heard: Condvar::new(),
            control: link.control_tx.clone(),
            listing: link.listing_tx.clone(),
            content: link.content_tx.clone(),
            throttle,
        }
    }

    /// Asks the session machine whether the agent may say that, and wakes whoever waits for credit.
    pub(super) fn hear(&self, message: &Message) -> Result<(), Violation> {
        let heard = self.state().session.handle_message(message);
        self.heard.notify_all();
        heard
    }

    /// Lets nobody wait any more.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.heard.notify_all();
    }

    /// Sends a message on its lane, and waits while that is full.
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
        while !state.closed && !is_due(&state.session) {
            state = self.heard.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return Err(Closed);
        }
        if let Err(violation) = state.session.handle_send(&message) {
            // Our own bug; the job stops here instead of confusing the agent.
            tracing::error!(%violation, message = message.name(), "a message was held back");
            debug_assert!(false, "{}: {violation}", message.name());
            return Err(Closed);
        }
        drop(state);
        let lane = match message.lane() {
            Lane::Control | Lane::Verdict => &self.control,
            Lane::Listing => &self.listing,
            Lane::Content => &self.content,
        };
        lane.send_blocking(message).map_err(|_| Closed)
    }

    /// A sink for what belongs to one wish.
    pub(super) fn wish(&self, want: WantId) -> Wish<'_> {
        Wish { outlet: self, want }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One wish's way out.
pub(super) struct Wish<'a> {
    outlet: &'a Outlet,
    want: WantId,
}

impl ContentSink for Wish<'_> {
    fn whole_file(
        &mut self,
        digest: Digest,
        attributes: Vec<Attribute>,
        data: Bytes,
    ) -> Result<(), Closed> {
        self.outlet.throttle.take(data.len() as u64)?;
        self.outlet.send(WholeFile { want: self.want, digest, attributes, data }.into())
    }

    fn chunk(&mut self, offset: u64, digest: Digest, data: Bytes) -> Result<(), Closed> {
        self.outlet.throttle.take(data.len() as u64)?;
        self.outlet.send(Chunk { want: self.want, offset, digest, data }.into())
    }

    fn hole(&mut self, offset: u64, length: u64) -> Result<(), Closed> {
        self.outlet.send(Hole { want: self.want, offset, length }.into())
    }

    fn chunk_list(&mut self, list: ChunkListing) -> Result<(), Closed> {
        let ChunkListing { average_bytes, offset, chunks, last } = list;
        let count = chunks.len();
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
