//! One entry of a peer file: an agent that a sender knows, or a sender that an agent knows.

use std::time::SystemTime;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    document::timestamp,
    fingerprint::Fingerprint,
    name::PeerName,
    permit::{Permits, Shares},
};

/// An agent that this sender trusts: an entry of `known-agents.toml`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KnownAgent {
    /// What the sender calls it.
    pub name: PeerName,
    /// Its pinned key.
    pub fingerprint: Fingerprint,
    /// Where it may be reached, `host:port` each: hints that prove nothing.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// The shares it offered when pairing; the agent may have changed its mind since.
    pub shares: Shares,
    /// The rights it gave when pairing; the agent may have changed its mind since.
    pub permits: Permits,
    /// When the two were paired.
    #[serde(with = "timestamp")]
    pub paired_at: SystemTime,
}

/// A sender that this agent trusts, and how far: an entry of `known-senders.toml`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KnownSender {
    /// What the agent calls it.
    pub name: PeerName,
    /// Its pinned key.
    pub fingerprint: Fingerprint,
    /// What it may do in its shares.
    pub permits: Permits,
    /// Which shares it may reach.
    pub shares: Shares,
    /// When the two were paired.
    #[serde(with = "timestamp")]
    pub paired_at: SystemTime,
    /// From when on it is not trusted any more. Set by hand; a certificate's dates mean nothing.
    #[serde(default, with = "timestamp::optional", skip_serializing_if = "Option::is_none")]
    pub not_after: Option<SystemTime>,
}

/// The entry of a sender is past its `not-after`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the trust in this sender expired on {}", date(*.not_after))]
pub struct SenderExpired {
    /// When it did.
    pub not_after: SystemTime,
}

impl KnownSender {
    /// Tells whether the sender is still trusted at `now`. Asked for every job.
    ///
    /// # Errors
    ///
    /// The entry has expired. The sender may be told so: it is, after all, known.
    pub fn check_expiry(&self, now: SystemTime) -> Result<(), SenderExpired> {
        match self.not_after {
            Some(not_after) if now >= not_after => Err(SenderExpired { not_after }),
            Some(_) | None => Ok(()),
        }
    }
}

/// The day of a time in UTC, for messages.
fn date(time: SystemTime) -> String {
    let zoned = jiff::Timestamp::try_from(time).map(|time| time.to_zoned(jiff::tz::TimeZone::UTC));
    zoned.map_or_else(|_| "an unknown day".into(), |zoned| zoned.date().to_string())
}

/// What entries of either file have in common.
pub trait Peer: Clone + DeserializeOwned + Serialize + sealed::Sealed {
    /// What this side calls the peer.
    fn name(&self) -> &PeerName;
    /// The peer's pinned key.
    fn fingerprint(&self) -> Fingerprint;
    /// Calls the peer something else.
    fn rename(&mut self, name: PeerName);
}

pub(super) mod sealed {
    /// Where the entries of a kind are kept.
    pub trait Sealed {
        const FILE_NAME: &'static str;
        const HEADER: &'static str;
    }
}

impl sealed::Sealed for KnownAgent {
    const FILE_NAME: &'static str = "known-agents.toml";
    const HEADER: &'static str = "\
# The agents that this sender trusts, by the fingerprint of their key.
# Written by `quicopy pair` and `quicopy agents`. Comments are not kept.
";
}

impl sealed::Sealed for KnownSender {
    const FILE_NAME: &'static str = "known-senders.toml";
    const HEADER: &'static str = "\
# The senders that this agent trusts, by the fingerprint of their key, and what each may do.
# Permits: write, delete, owner, outside-links. Shares: \"all\" or a list of names.
# An entry may end by itself: not-after = \"2030-01-31T00:00:00Z\".
# Written by pairing and by `quicopy-agent peers`; changes count at once. Comments are not kept.
";
}

/// The fields are each kind's own: flattened into a shared struct, serde could not refuse what no file should say.
macro_rules! impl_peer {
    ($($kind:ty),*) => {
        $(impl Peer for $kind {
            fn name(&self) -> &PeerName {
                &self.name
            }
            fn fingerprint(&self) -> Fingerprint {
                self.fingerprint
            }
            fn rename(&mut self, name: PeerName) {
                self.name = name;
            }
        })*
    };
}

impl_peer!(KnownAgent, KnownSender);
