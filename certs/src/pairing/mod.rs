//! How a sender and an agent that have never met come to trust each other.
//!
//! An administrator runs `quicopy-agent invite` and carries one line, the token, to the sender.
//! It names the agent's key, so the sender cannot be led to another agent, and it holds a secret
//! that works once, so the agent knows whom it was meant for:
//!
//! ```text
//!   administrator          agent                                sender
//!        | -- invite -------> |  keeps a hash of the secret        |
//!        | <-- token -------- |                                    |
//!        | --------------------- pair TOKEN ---------------------> |
//!        |                    | <===== TLS 1.3, both keys shown =====> |  key is the token's?
//!        |                    | <-- proof of the secret, name ------ |
//!        |        marks it used, on the disk;                      |
//!        |        stores the sender's key                          |
//!        |                    | --- name, permits, shares -------> |  stores the agent's key
//! ```
//!
//! The proof covers the secret, both keys and a value that only the two ends of this one TLS
//! connection share (RFC 8446, section 7.5). Somebody in the middle who holds two connections
//! has two such values, so what is said on one means nothing on the other.
//!
//! The agent proves nothing about the secret in return. It need not: the handshake has already
//! proved that it holds the key which the token names.
//!
//! [`token`] is what people paste, [`invite`] the agent's memory of it, [`exchange`] the bytes on
//! the wire, and [`answer_join`] the agent's half of the dialogue in one call.

pub mod exchange;
pub mod invite;
pub mod token;

use self::{
    exchange::{Channel, Grant, JoinReply, JoinRequest, MalformedJoin, Refusal},
    invite::{Invitations, Now, RedeemError},
};
use crate::{
    name::PeerName,
    pin::{AddPeerError, KnownSender, KnownSenders},
};

/// What the agent sends back to a join request, and what came of it.
#[derive(Debug)]
pub struct JoinAnswer {
    /// The encoded reply, to be sent whatever the outcome.
    pub reply: Vec<u8>,
    /// The sender's new entry, or why there is none: for the agent's log, never for the sender.
    pub outcome: Result<KnownSender, JoinFailure>,
}

/// Why a join came to nothing, as the agent's log says it.
#[derive(Debug, thiserror::Error)]
pub enum JoinFailure {
    /// The request is not one.
    #[error(transparent)]
    Malformed(#[from] MalformedJoin),
    /// The invitation was not there for the taking.
    #[error(transparent)]
    Redeem(#[from] RedeemError),
    /// The invitation was redeemed, and then the sender could not be stored: invite it again.
    #[error("the invitation is used up, but the sender could not be stored")]
    Add(#[from] AddPeerError),
}

/// Answers a join request at the agent.
///
/// When this returns success, the invitation is marked used on the disk and the sender is among
/// `senders`, in that order: a crash in between costs a new invitation and lets nobody in twice.
///
/// `request` is everything the sender wrote, at most
/// [`JOIN_REQUEST_BYTES_MAX`](exchange::JOIN_REQUEST_BYTES_MAX) bytes.
pub fn answer_join(
    invitations: &Invitations,
    senders: &KnownSenders,
    agent_name: &PeerName,
    channel: &Channel,
    now: Now,
    request: &[u8],
) -> JoinAnswer {
    let outcome = join(invitations, senders, channel, now, request);
    let reply = match &outcome {
        Ok(sender) => JoinReply::Accepted(Grant {
            agent_name: agent_name.clone(),
            sender_name: sender.name.clone(),
            permits: sender.permits,
            shares: sender.shares.clone(),
        }),
        Err(failure) => JoinReply::Refused(failure.refusal()),
    };
    JoinAnswer { reply: reply.encode(), outcome }
}

fn join(
    invitations: &Invitations,
    senders: &KnownSenders,
    channel: &Channel,
    now: Now,
    request: &[u8],
) -> Result<KnownSender, JoinFailure> {
    let request = JoinRequest::decode(request)?;
    let invitation = invitations.redeem(now, &request, channel)?;
    let sender = KnownSender {
        name: request.label,
        fingerprint: channel.sender,
        permits: invitation.permits,
        shares: invitation.shares,
        paired_at: now.wall,
        not_after: None,
    };
    Ok(senders.add_under_free_name(sender)?)
}

impl JoinFailure {
    /// What the sender is told. Only who has shown the secret learns more than "no".
    fn refusal(&self) -> Refusal {
        match self {
            Self::Malformed(_) => Refusal::NotInvited,
            Self::Redeem(RedeemError::Refused(refusal)) => *refusal,
            Self::Redeem(RedeemError::Store(_)) | Self::Add(_) => Refusal::AgentFailed,
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used)]
mod tests {
    use std::fs;

    use ring::rand::SystemRandom;

    use super::{exchange::join_request, invite::TTL_DEFAULT, token::Token, *};
    use crate::{
        fingerprint::Fingerprint,
        permit::{Permits, Shares},
        store::StateDir,
    };

    struct Site {
        _temp: tempfile::TempDir,
        dir: StateDir,
        invitations: Invitations,
        senders: KnownSenders,
        now: Now,
    }

    impl Site {
        fn new() -> Self {
            let temp = tempfile::tempdir().unwrap();
            let dir = StateDir::open_or_create(temp.path().join("state")).unwrap();
            let (invitations, senders) = (Invitations::new(&dir), KnownSenders::new(&dir));
            Self { _temp: temp, dir, invitations, senders, now: Now::read() }
        }

        fn invite(&self, permits: &str) -> Token {
            let (secret, _) = self
                .invitations
                .create(
                    self.now,
                    TTL_DEFAULT,
                    permits.parse().unwrap(),
                    Shares::only(["www"]).unwrap(),
                    &SystemRandom::new(),
                )
                .unwrap();
            let token = Token::new(channel("").agent, secret, vec![]).unwrap();
            token.reveal().parse().unwrap()
        }

        fn answer(&self, channel: &Channel, request: &[u8]) -> (JoinReply, bool) {
            let name = "site-b".parse().unwrap();
            let answer =
                answer_join(&self.invitations, &self.senders, &name, channel, self.now, request);
            (JoinReply::decode(&answer.reply).unwrap(), answer.outcome.is_ok())
        }

        fn join(&self, sender: &str, token: &Token) -> JoinReply {
            let channel = channel(sender);
            let label = PeerName::resembling("web01");
            let (reply, joined) =
                self.answer(&channel, &join_request(token.secret(), &channel, &label));
            assert_eq!(joined, matches!(reply, JoinReply::Accepted(_)));
            reply
        }
    }

    fn channel(sender: &str) -> Channel {
        Channel {
            exporter: [3; 32],
            sender: Fingerprint::of_spki(sender.as_bytes()),
            agent: Fingerprint::of_spki(b"agent"),
        }
    }

    #[test]
    fn who_joins_is_known_with_the_rights_of_the_invitation() {
        let site = Site::new();
        let JoinReply::Accepted(grant) = site.join("one", &site.invite("write,delete")) else {
            panic!("refused");
        };
        assert_eq!(grant.agent_name.as_str(), "site-b");
        assert_eq!(grant.permits, "write,delete".parse::<Permits>().unwrap());
        let list = site.senders.list().unwrap();
        let sender = list.find(&Fingerprint::of_spki(b"one")).unwrap();
        assert_eq!((sender.permits, &sender.shares), (grant.permits, &grant.shares));
        assert_eq!(sender.name, grant.sender_name);
    }

    #[test]
    fn two_senders_of_one_name_are_told_what_they_are_called() {
        let site = Site::new();
        for (sender, name) in [("one", "web01"), ("two", "web01-2"), ("one", "web01")] {
            let JoinReply::Accepted(grant) = site.join(sender, &site.invite("write")) else {
                panic!("refused");
            };
            assert_eq!(grant.sender_name.as_str(), name);
        }
        assert_eq!(site.senders.list().unwrap().iter().len(), 2);
    }

    #[test]
    fn a_token_lets_in_one_sender() {
        let site = Site::new();
        let token = site.invite("write");
        assert!(matches!(site.join("one", &token), JoinReply::Accepted(_)));
        assert_eq!(site.join("two", &token), JoinReply::Refused(Refusal::Used));
        assert_eq!(site.join("one", &token), JoinReply::Refused(Refusal::Used));
        assert_eq!(site.senders.list().unwrap().iter().len(), 1);
    }

    #[test]
    fn what_makes_no_sense_is_refused_without_a_reason() {
        let site = Site::new();
        site.invite("write");
        let (reply, joined) = site.answer(&channel("one"), b"GET / HTTP/1.0");
        assert_eq!((reply, joined), (JoinReply::Refused(Refusal::NotInvited), false));
    }

    #[test]
    fn a_sender_that_cannot_be_stored_has_used_its_token_and_is_not_in() {
        let site = Site::new();
        let token = site.invite("write");
        let path = site.dir.path().join("known-senders.toml");
        fs::write(&path, "broken").unwrap();
        assert_eq!(site.join("one", &token), JoinReply::Refused(Refusal::AgentFailed));
        fs::remove_file(&path).unwrap();
        assert_eq!(site.join("one", &token), JoinReply::Refused(Refusal::Used));
        assert_eq!(site.senders.list().unwrap().iter().len(), 0);
    }
}
