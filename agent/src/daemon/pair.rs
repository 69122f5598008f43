//! A sender that joins: the dialogue on a connection made for nothing else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quicopy_certs::pairing::answer_join;
use quicopy_certs::pairing::exchange::{Channel, EXPORTER_LABEL};
use quicopy_certs::pairing::invite::Now;
use quicopy_certs::{Fingerprint, PeerName};
use quicopy_protocol::transport::pairing::{PairingAgent, PairingError};
use quicopy_protocol::transport::{Connection, export_keying_material};

use super::Agent;
use quicopy_protocol::text::with_causes;

/// Joins that are heard in [`JOIN_PERIOD`], whoever they come from: far more than administrators make, far fewer than
/// guessing takes.
const JOINS_MAX: usize = 10;
/// See [`JOINS_MAX`].
const JOIN_PERIOD: Duration = Duration::from_secs(60);

/// How many joins there were of late.
#[derive(Debug, Default)]
pub(super) struct JoinRate {
    recent: Mutex<VecDeque<Instant>>,
}

impl JoinRate {
    /// Counts a join at `now`, unless there were too many.
    pub(super) fn take(&self, now: Instant) -> bool {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        while recent.front().is_some_and(|first| now.duration_since(*first) >= JOIN_PERIOD) {
            recent.pop_front();
        }
        let fits = recent.len() < JOINS_MAX;
        if fits {
            recent.push_back(now);
        }
        fits
    }
}

/// Answers one join request. The invitation is marked used, on the disk, before the sender hears of it.
pub(super) async fn join(
    agent: &Arc<Agent>,
    connection: &Connection,
    sender: Fingerprint,
) -> Result<(), PairingError> {
    let mut dialogue = PairingAgent::accept(connection).await?;
    let Some(request) = dialogue.request().await? else { return Ok(()) };
    let exporter = export_keying_material(connection, EXPORTER_LABEL, b"", 32)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(PairingError::Unexpected)?;
    let agent = Arc::clone(agent);
    let answered = tokio::task::spawn_blocking(move || {
        let office = &agent.office;
        let channel = Channel { exporter, sender, agent: office.identity.fingerprint() };
        let (invitations, senders) = (&office.invitations, &office.senders);
        answer_join(invitations, senders, &own_name(), &channel, Now::read(), &request)
    });
    let Ok(answer) = answered.await else { return Err(PairingError::Unexpected) };
    let address = connection.remote_address();
    match &answer.outcome {
        Ok(known) => {
            let (name, permits, shares) = (&known.name, known.permits, &known.shares);
            tracing::info!(%address, "paired with {name}, key {sender}: permits {permits}, shares {shares}");
        }
        Err(failure) => {
            tracing::warn!(%address, "a join with key {sender} failed: {}", with_causes(failure))
        }
    }
    dialogue.reply(answer.reply.into()).await?;
    // Until the sender has read it: what is under way when a connection closes is lost.
    dialogue.request().await.map(|_| ())
}

/// What the agent calls itself: its host's name.
fn own_name() -> PeerName {
    PeerName::resembling(&rustix::system::uname().nodename().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_are_heard_at_a_steady_rate() {
        let rate = JoinRate::default();
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert!((0..10).all(|second| rate.take(at(second))));
        assert!(!rate.take(at(59)));
        assert!(rate.take(at(60)));
        assert!(!rate.take(at(60)));
        assert!(rate.take(at(61)));
    }
}
