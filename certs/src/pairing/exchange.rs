//! What the two ends say to each other over the join connection: one message each way.
//!
//! ```text
//! request  = version(u8 = 1) proof(32) name(label)
//! reply    = version(u8 = 1) 0 agent-name sender-name permits(u8) shares      accepted
//!          | version(u8 = 1) reason(u8)                                        refused
//! shares   = 0 | 1 count(u16) { name }                  0: every share; numbers are big endian
//! name     = length(u8) UTF-8
//!
//! verifier = BLAKE3-derive-key("quicopy 1 invitation verifier", secret)
//! proof    = BLAKE3-keyed(verifier, exporter(32) sender(32) agent(32) name)
//! exporter = TLS exporter, label "EXPORTER-quicopy-join-1", no context, 32 bytes
//! sender, agent = the fingerprints of the keys with which this connection was made
//! ```
//!
//! Each message is the whole of one direction of one stream. Both are pure functions of bytes
//! here; whoever owns the connection carries them. All text that comes in is checked to be a
//! [`PeerName`] or a share's name without control characters, and everything has a maximum.

use std::fmt;

use zeroize::Zeroizing;

use super::token::Secret;
use crate::{
    fingerprint::Fingerprint,
    name::{PEER_NAME_BYTES_MAX, PeerName},
    permit::{Permits, SHARE_NAME_BYTES_MAX, SHARES_MAX, Shares},
};

/// Label under which both ends draw [`Channel::exporter`] from their TLS connection.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-quicopy-join-1";

/// Most bytes of a join request.
pub const JOIN_REQUEST_BYTES_MAX: usize = 1 + PROOF_BYTES + 1 + PEER_NAME_BYTES_MAX;

/// Most bytes of a join reply: just over 64 KiB.
pub const JOIN_REPLY_BYTES_MAX: usize =
    2 + 2 * (1 + PEER_NAME_BYTES_MAX) + 1 + 3 + SHARES_MAX * (1 + SHARE_NAME_BYTES_MAX);

const VERSION: u8 = 1;
const PROOF_BYTES: usize = 32;
const ACCEPTED: u8 = 0;
const ALL_SHARES: u8 = 0;
const NAMED_SHARES: u8 = 1;

/// What sets one TLS connection apart from every other: a proof made for one fits no other.
#[derive(Clone, Copy)]
pub struct Channel {
    /// The value drawn with [`EXPORTER_LABEL`] and no context (RFC 8446, section 7.5).
    pub exporter: [u8; 32],
    /// The key of the end that joins.
    pub sender: Fingerprint,
    /// The key of the end that invites.
    pub agent: Fingerprint,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("sender", &self.sender)
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}

/// The hash of a secret that the agent keeps. The secret cannot be had from it, but who reads it
/// can join like who knows the secret: it is kept as one.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Verifier(Zeroizing<[u8; 32]>);

impl Verifier {
    pub(super) fn of(secret: &Secret) -> Self {
        Self::from_bytes(blake3::derive_key("quicopy 1 invitation verifier", secret.as_bytes()))
    }

    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn proof(&self, channel: &Channel, label: &PeerName) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&channel.exporter);
        hasher.update(channel.sender.as_bytes());
        hasher.update(channel.agent.as_bytes());
        hasher.update(&[label.as_str().len() as u8]);
        hasher.update(label.as_str().as_bytes());
        hasher.finalize()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(..)")
    }
}

/// Returns the request with which a sender proves that it holds `secret`.
///
/// `label` is what it would like to be called.
pub fn join_request(secret: &Secret, channel: &Channel, label: &PeerName) -> Vec<u8> {
    let mut request = Vec::with_capacity(JOIN_REQUEST_BYTES_MAX);
    request.push(VERSION);
    request.extend_from_slice(Verifier::of(secret).proof(channel, label).as_bytes());
    push_text(&mut request, label.as_str());
    request
}

/// A join request as it came in: nothing is proved yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JoinRequest {
    /// What the sender would like to be called.
    pub label: PeerName,
    proof: blake3::Hash,
}

/// Bytes that are no join request or reply of this version.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MalformedJoin {
    /// The other end speaks a later version.
    #[error("the other side pairs in version {version}, this program in {VERSION}; update it")]
    Version {
        /// The version it speaks.
        version: u8,
    },
    /// Too short, too long, or not what it should be.
    #[error("the other side sent a pairing message that makes no sense")]
    Malformed,
}

impl JoinRequest {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// The bytes are not a request, or one of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, MalformedJoin> {
        let mut reader = Reader::begin(bytes)?;
        let proof = blake3::Hash::from_bytes(reader.array()?);
        let label = reader.peer_name()?;
        reader.end()?;
        Ok(Self { label, proof })
    }

    /// Whether the request was made from the verifier's secret for this very connection.
    /// Takes the same time wherever the two differ.
    pub(super) fn proves(&self, verifier: &Verifier, channel: &Channel) -> bool {
        verifier.proof(channel, &self.label) == self.proof
    }
}

/// What the agent answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum JoinReply {
    /// The two are paired.
    Accepted(Grant),
    /// They are not.
    Refused(Refusal),
}

/// What the sender has been given.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grant {
    /// What the agent calls itself.
    pub agent_name: PeerName,
    /// What the agent calls the sender, which may differ from what that asked for.
    pub sender_name: PeerName,
    /// What the sender may do.
    pub permits: Permits,
    /// Where it may do so.
    pub shares: Shares,
}

/// Why an agent does not let a sender join.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The secret belongs to no invitation; nothing more is said to who does not know it.
    #[error("the agent knows no such invitation")]
    NotInvited,
    /// The invitation was redeemed before.
    #[error("the token has been used already; ask for another")]
    Used,
    /// The invitation is too old.
    #[error("the token has expired; ask for another")]
    Expired,
    /// The invitation was voided because others guessed at it.
    #[error("the token was voided after too many wrong tries; ask for another")]
    Burnt,
    /// The agent cannot read or write its files.
    #[error("the agent could not complete the pairing; its log says why")]
    AgentFailed,
}

impl Refusal {
    const ALL: [Self; 5] =
        [Self::NotInvited, Self::Used, Self::Expired, Self::Burnt, Self::AgentFailed];

    /// The reason's number on the wire: given by hand, never reused.
    const fn number(self) -> u8 {
        match self {
            Self::NotInvited => 1,
            Self::Used => 2,
            Self::Expired => 3,
            Self::Burnt => 4,
            Self::AgentFailed => 5,
        }
    }
}

impl JoinReply {
    /// Writes the reply.
    pub fn encode(&self) -> Vec<u8> {
        let mut reply = vec![VERSION];
        let grant = match self {
            Self::Accepted(grant) => grant,
            Self::Refused(refusal) => {
                reply.push(refusal.number());
                return reply;
            }
        };
        reply.push(ACCEPTED);
        push_text(&mut reply, grant.agent_name.as_str());
        push_text(&mut reply, grant.sender_name.as_str());
        reply.push(grant.permits.bits());
        match &grant.shares {
            Shares::All => reply.push(ALL_SHARES),
            Shares::Only(names) => {
                reply.push(NAMED_SHARES);
                reply.extend_from_slice(&(names.len() as u16).to_be_bytes());
                names.iter().for_each(|name| push_text(&mut reply, name));
            }
        }
        reply
    }

    /// Reads a reply.
    ///
    /// # Errors
    ///
    /// The bytes are not a reply, or one of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, MalformedJoin> {
        let mut reader = Reader::begin(bytes)?;
        let number = reader.byte()?;
        if number != ACCEPTED {
            reader.end()?;
            let refusal = Refusal::ALL.into_iter().find(|refusal| refusal.number() == number);
            return refusal.map(Self::Refused).ok_or(MalformedJoin::Malformed);
        }
        let grant = Grant {
            agent_name: reader.peer_name()?,
            sender_name: reader.peer_name()?,
            permits: Permits::from_bits(reader.byte()?).ok_or(MalformedJoin::Malformed)?,
            shares: reader.shares()?,
        };
        reader.end()?;
        Ok(Self::Accepted(grant))
    }
}

fn push_text(message: &mut Vec<u8>, text: &str) {
    let length =
        u8::try_from(text.len()).expect("names of peers and shares have 255 bytes at most");
    message.push(length);
    message.extend_from_slice(text.as_bytes());
}

/// Takes a message apart from the front. Every count is checked against what is left.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn begin(bytes: &'a [u8]) -> Result<Self, MalformedJoin> {
        let mut reader = Self { rest: bytes };
        match reader.byte()? {
            VERSION => Ok(reader),
            version => Err(MalformedJoin::Version { version }),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MalformedJoin> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(MalformedJoin::Malformed)?;
        self.rest = rest;
        Ok(*array)
    }

    fn byte(&mut self) -> Result<u8, MalformedJoin> {
        self.array().map(|[byte]| byte)
    }

    fn text(&mut self) -> Result<&'a str, MalformedJoin> {
        let length = usize::from(self.byte()?);
        let (text, rest) = self.rest.split_at_checked(length).ok_or(MalformedJoin::Malformed)?;
        self.rest = rest;
        str::from_utf8(text).map_err(|_| MalformedJoin::Malformed)
    }

    fn peer_name(&mut self) -> Result<PeerName, MalformedJoin> {
        self.text()?.parse().map_err(|_| MalformedJoin::Malformed)
    }

    fn shares(&mut self) -> Result<Shares, MalformedJoin> {
        if self.byte()? == ALL_SHARES {
            return Ok(Shares::All);
        }
        let count = u16::from_be_bytes(self.array()?);
        if usize::from(count) > SHARES_MAX {
            return Err(MalformedJoin::Malformed);
        }
        let names = (0..count).map(|_| self.text()).collect::<Result<Vec<_>, _>>()?;
        Shares::only(names).map_err(|_| MalformedJoin::Malformed)
    }

    fn end(self) -> Result<(), MalformedJoin> {
        if self.rest.is_empty() { Ok(()) } else { Err(MalformedJoin::Malformed) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret(byte: u8) -> Secret {
        Secret::of([byte; 16])
    }

    fn channel() -> Channel {
        Channel {
            exporter: [1; 32],
            sender: Fingerprint::of_spki(b"sender"),
            agent: Fingerprint::of_spki(b"agent"),
        }
    }

    fn label() -> PeerName {
        "web01".parse().unwrap()
    }

    fn check(heard_on: Channel, known: &Secret, accepted: bool) {
        let request = join_request(&secret(7), &channel(), &label());
        let request = JoinRequest::decode(&request).unwrap();
        assert_eq!(request.proves(&Verifier::of(known), &heard_on), accepted);
    }

    #[test]
    fn a_proof_holds_for_its_secret_and_its_connection_only() {
        let stranger = Fingerprint::of_spki(b"stranger");
        check(channel(), &secret(7), true);
        check(channel(), &secret(8), false);
        check(Channel { sender: stranger, ..channel() }, &secret(7), false);
        check(Channel { agent: stranger, ..channel() }, &secret(7), false);
    }

    #[test]
    fn a_proof_relayed_over_another_connection_is_refused() {
        check(Channel { exporter: [2; 32], ..channel() }, &secret(7), false);
    }

    #[test]
    fn the_name_in_a_request_cannot_be_exchanged() {
        let mut request = join_request(&secret(7), &channel(), &label());
        let last = request.len() - 1;
        request[last] = b'2';
        let request = JoinRequest::decode(&request).unwrap();
        assert_eq!(request.label.as_str(), "web02");
        assert!(!request.proves(&Verifier::of(&secret(7)), &channel()));
    }

    #[test]
    fn a_message_of_another_version_says_so() {
        let mut request = join_request(&secret(7), &channel(), &label());
        request[0] = 2;
        assert_eq!(JoinRequest::decode(&request), Err(MalformedJoin::Version { version: 2 }));
        assert_eq!(JoinReply::decode(&[9, 0]), Err(MalformedJoin::Version { version: 9 }));
    }

    #[test]
    fn every_refusal_is_heard_as_it_was_said() {
        for refusal in Refusal::ALL {
            let reply = JoinReply::Refused(refusal);
            assert_eq!(JoinReply::decode(&reply.encode()), Ok(reply));
        }
        assert_eq!(JoinReply::decode(&[VERSION, 99]), Err(MalformedJoin::Malformed));
    }

    #[test]
    fn the_largest_messages_fit_their_limits() {
        let name = PeerName::resembling(&"n".repeat(PEER_NAME_BYTES_MAX));
        let request = join_request(&secret(7), &channel(), &name);
        assert_eq!(request.len(), JOIN_REQUEST_BYTES_MAX);
        let shares = (0..SHARES_MAX).map(|n| format!("{n:0>SHARE_NAME_BYTES_MAX$}"));
        let reply = JoinReply::Accepted(Grant {
            agent_name: name.clone(),
            sender_name: name,
            permits: Permits::DEFAULT,
            shares: Shares::only(shares).unwrap(),
        });
        assert_eq!(reply.encode().len(), JOIN_REPLY_BYTES_MAX);
        assert_eq!(JoinReply::decode(&reply.encode()), Ok(reply));
    }

    #[test]
    fn names_that_would_write_on_the_terminal_are_refused() {
        let name = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        let request = [&[VERSION][..], &[0; 32], &name("\x1b[2J")].concat();
        assert_eq!(JoinRequest::decode(&request), Err(MalformedJoin::Malformed));
        let good = [&[VERSION, ACCEPTED][..], &name("a"), &name("b"), &[1, 1, 0, 1]].concat();
        assert!(JoinReply::decode(&[&good[..], &name("share")].concat()).is_ok());
        let bad = [&good[..], &name("a\nb")].concat();
        assert_eq!(JoinReply::decode(&bad), Err(MalformedJoin::Malformed));
    }

    proptest! {
        #[test]
        fn a_reply_reads_back_as_it_was_written(
            bits in 0_u8..16,
            names in prop::option::of(prop::collection::btree_set("[a-zA-Z$ ]{1,20}", 0..8)),
        ) {
            let reply = JoinReply::Accepted(Grant {
                agent_name: label(),
                sender_name: label(),
                permits: Permits::from_bits(bits).unwrap(),
                shares: names.map_or(Shares::All, Shares::Only),
            });
            let bytes = reply.encode();
            for length in 0..bytes.len() {
                prop_assert!(JoinReply::decode(&bytes[..length]).is_err());
            }
            prop_assert_eq!(JoinReply::decode(&bytes), Ok(reply));
        }

        #[test]
        fn any_bytes_end_in_a_message_or_an_error(
            mut bytes in prop::collection::vec(any::<u8>(), 1..200),
        ) {
            bytes[0] = VERSION;
            let _ = JoinRequest::decode(&bytes);
            if let Ok(reply) = JoinReply::decode(&bytes) {
                prop_assert_eq!(JoinReply::decode(&reply.encode()), Ok(reply));
            }
        }
    }
}
