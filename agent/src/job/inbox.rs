//! The way in: every message passes the session machine before it reaches the engine.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_channel::{Receiver, Sender};
use quicopy_engine::destination::{Content, Listed};
use quicopy_engine::source::StopFlag;
use quicopy_protocol::message::{Message, Refused};
use quicopy_protocol::session::AgentSession;

use super::convert::{self, Input};
use super::outbox::Outbox;

/// Carries messages of the sender to the engine.
#[derive(Clone)]
pub(super) struct Inbox {
    session: Arc<Mutex<AgentSession>>,
    violation: Arc<OnceLock<Refused>>,
    outbox: Outbox,
    stop: StopFlag,
}

impl Inbox {
    /// For the job that `outbox` speaks for and `stop` stops.
    pub(super) fn new(session: Arc<Mutex<AgentSession>>, outbox: Outbox, stop: StopFlag) -> Self {
        Self { session, violation: Arc::default(), outbox, stop }
    }

    /// Stops the job. It says nothing more either: it must come to its end even if the sender reads nothing.
    pub(super) fn stop(&self) {
        self.stop.set();
        self.outbox.close();
    }

    /// What the sender did that the protocol does not allow, if it did.
    pub(super) fn violation(&self) -> Option<Refused> {
        self.violation.get().cloned()
    }

    /// Asks the session machine whether the message may come now. If not, the job stops.
    pub(super) fn check(&self, message: &Message) -> Result<(), Refused> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session.handle_message(message).map_err(|violation| {
            let refused = violation.refusal();
            let _ = self.violation.set(refused.clone());
            self.stop();
            refused
        })
    }

    /// Carries listings and chunk lists, until the link ends. What the engine does not take any more is dropped.
    pub(super) async fn carry_listings(
        self,
        messages: Receiver<Message>,
        listed: Sender<Listed>,
        lists: Sender<Content>,
    ) {
        while let Ok(message) = messages.recv().await {
            if self.check(&message).is_err() {
                return;
            }
            match convert::input(message) {
                Some(Input::Listed(part)) => drop(listed.send(part).await),
                Some(Input::Content(part)) => drop(lists.send(part).await),
                None => {}
            }
        }
        listed.close();
        lists.close();
    }

    /// Carries content, until the link ends. What the engine does not take any more is dropped.
    pub(super) async fn carry_content(self, messages: Receiver<Message>, content: Sender<Content>) {
        while let Ok(message) = messages.recv().await {
            if self.check(&message).is_err() {
                return;
            }
            if let Some(Input::Content(part)) = convert::input(message) {
                drop(content.send(part).await);
            }
        }
        content.close();
    }
}
