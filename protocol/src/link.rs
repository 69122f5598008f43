//! What a job talks through: [`SenderLink`] and [`AgentLink`], ends of bounded channels of messages.
//!
//! The two ends are the same over QUIC and inside one process, where [`pair()`] connects them directly: no codec, no
//! copies. Every channel has an end for threads that block and for tasks that wait.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_channel::{Receiver, Sender, WeakSender, bounded};

use crate::link_end::Ending;
pub use crate::link_end::{Close, CloseCode, LinkClosed, LinkEnd};
use crate::message::Message;

/// How many messages each channel holds before it makes its writer wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Capacities {
    /// Each way.
    pub control: usize,
    /// Messages of up to half a MiB.
    pub listing: usize,
    /// Messages of up to a MiB.
    pub content: usize,
    /// Messages of up to half a MiB.
    pub verdict: usize,
}

impl Default for Capacities {
    /// At most some 16 MiB each for content, listings and verdicts, and less in practice.
    fn default() -> Self {
        Self { control: 64, listing: 32, content: 16, verdict: 32 }
    }
}

/// The sender's end of a link.
#[derive(Debug)]
pub struct SenderLink {
    /// Control messages to the agent.
    pub control_tx: Sender<Message>,
    /// Listings and chunk lists.
    pub listing_tx: Sender<Message>,
    /// Content. Messages may overtake each other.
    pub content_tx: Sender<Message>,
    /// Control messages from the agent. Ends when the link does.
    pub control_rx: Receiver<Message>,
    /// Plans, wishes and outcomes. Ends when the link does.
    pub verdict_rx: Receiver<Message>,
    /// Ends the link, and tells how it ended. Dropping it ends the link too.
    pub end: LinkEnd,
    /// What it has cost so far.
    pub wire: Arc<WireStats>,
}

/// The agent's end of a link.
#[derive(Debug)]
pub struct AgentLink {
    /// Control messages to the sender.
    pub control_tx: Sender<Message>,
    /// Plans, wishes and outcomes.
    pub verdict_tx: Sender<Message>,
    /// Control messages from the sender. Ends when the link does.
    pub control_rx: Receiver<Message>,
    /// Listings and chunk lists. Ends when the link does.
    pub listing_rx: Receiver<Message>,
    /// Content, in any order. Ends when the link does.
    pub content_rx: Receiver<Message>,
    /// Ends the link, and tells how it ended. Dropping it ends the link too.
    pub end: LinkEnd,
    /// What it has cost so far.
    pub wire: Arc<WireStats>,
}

/// What a link has cost, its handshake included; nothing inside one process.
#[derive(Default)]
pub struct WireStats {
    sent: AtomicU64,
    received: AtomicU64,
    lost_ms: AtomicU64,
    outage_ms: AtomicU64,
}

impl WireStats {
    /// Bytes of UDP payload sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Bytes of UDP payload received.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Time of all outages: silences of a peer that was spoken to, of two seconds or more. The present one counts.
    pub fn lost(&self) -> Duration {
        Duration::from_millis(self.lost_ms.load(Ordering::Relaxed))
    }

    /// How long the present outage has lasted; zero while there is none.
    pub fn outage(&self) -> Duration {
        Duration::from_millis(self.outage_ms.load(Ordering::Relaxed))
    }

    /// Takes over the bytes that a transport has counted.
    #[cfg(feature = "transport")]
    pub(crate) fn count(&self, sent: u64, received: u64) {
        self.sent.store(sent, Ordering::Relaxed);
        self.received.store(received, Ordering::Relaxed);
    }

    /// Takes over the outages that a transport has seen.
    #[cfg(feature = "transport")]
    pub(crate) fn note_outages(&self, lost: Duration, outage: Duration) {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.lost_ms.store(millis(lost), Ordering::Relaxed);
        self.outage_ms.store(millis(outage), Ordering::Relaxed);
    }
}

impl fmt::Debug for WireStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sent, {} received, {:?} lost", self.sent(), self.received(), self.lost())
    }
}

/// Connects both ends within one process.
///
/// When one side ends the link, or drops its [`LinkEnd`], no more can be sent either way; what is in the channels can
/// still be received.
pub fn pair(capacities: Capacities) -> (SenderLink, AgentLink) {
    let (sender_control_tx, agent_control_rx) = bounded(capacities.control);
    let (agent_control_tx, sender_control_rx) = bounded(capacities.control);
    let (listing_tx, listing_rx) = bounded(capacities.listing);
    let (content_tx, content_rx) = bounded(capacities.content);
    let (verdict_tx, verdict_rx) = bounded(capacities.verdict);
    let channels: Arc<[WeakSender<Message>]> =
        [&sender_control_tx, &agent_control_tx, &listing_tx, &content_tx, &verdict_tx]
            .map(Sender::downgrade)
            .into();
    let endings = [Arc::new(Ending::default()), Arc::new(Ending::default())];
    let end = |side: usize| {
        let (ours, theirs) = (Arc::clone(&endings[side]), Arc::clone(&endings[1 - side]));
        let channels = Arc::clone(&channels);
        LinkEnd::with_hook(Arc::clone(&ours), move |close| {
            channels.iter().filter_map(WeakSender::upgrade).for_each(|channel| {
                channel.close();
            });
            theirs.closed.set(LinkClosed::Peer(close.clone()));
            ours.closed.set(LinkClosed::Local(close.clone()));
        })
    };
    let sender = SenderLink {
        control_tx: sender_control_tx,
        listing_tx,
        content_tx,
        control_rx: sender_control_rx,
        verdict_rx,
        end: end(0),
        wire: Arc::default(),
    };
    let agent = AgentLink {
        control_tx: agent_control_tx,
        verdict_tx,
        control_rx: agent_control_rx,
        listing_rx,
        content_rx,
        end: end(1),
        wire: Arc::default(),
    };
    (sender, agent)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::code::RefusalCode;
    use crate::message::Ping;

    fn ping(number: u64) -> Message {
        Message::Ping(Ping { number })
    }

    #[test]
    fn what_one_side_sends_the_other_receives() {
        let (sender, agent) = pair(Capacities::default());
        sender.control_tx.send_blocking(ping(1)).unwrap();
        agent.verdict_tx.send_blocking(ping(2)).unwrap();
        assert_eq!(agent.control_rx.recv_blocking(), Ok(ping(1)));
        assert_eq!(sender.verdict_rx.recv_blocking(), Ok(ping(2)));
    }

    #[test]
    fn closing_tells_the_peer_why_and_loses_nothing_that_was_sent() {
        let (sender, agent) = pair(Capacities::default());
        sender.listing_tx.send_blocking(ping(1)).unwrap();
        let close =
            Close { code: CloseCode::Refused(RefusalCode::Busy), reason: "held by b".into() };
        agent.end.close(close.clone());
        agent.end.close(Close::finished());
        assert_eq!(sender.end.closed_blocking(), LinkClosed::Peer(close.clone()));
        assert_eq!(agent.end.reason(), Some(&LinkClosed::Local(close)));
        assert!(sender.listing_tx.send_blocking(ping(2)).is_err());
        assert_eq!(agent.listing_rx.recv_blocking(), Ok(ping(1)));
        assert!(agent.listing_rx.recv_blocking().is_err());
    }

    #[test]
    fn a_side_that_is_dropped_ends_the_link() {
        let (sender, agent) = pair(Capacities::default());
        let clone = sender.end.clone();
        drop(sender);
        assert_eq!(agent.end.reason(), None);
        drop(clone);
        assert_eq!(agent.end.closed_blocking(), LinkClosed::Peer(Close::abandoned()));
        assert!(agent.control_rx.recv_blocking().is_err());
    }
}
