//! Who may talk to whom.
//!
//! Two programs meet over a network that nobody trusts: a **sender**, which has files, and an
//! **agent**, which owns the folders that they go to. This crate answers, for both, the question
//! who the other one is and what it may do. It knows nothing of files to copy, of messages about
//! them, and opens no socket: it makes keys, keeps four small files in a [`StateDir`], and hands
//! out TLS configurations.
//!
//! # The trust model
//!
//! - **A peer is a key.** Each installation makes one [`Identity`] on first use. Its
//!   [`Fingerprint`] is what others pin. Certificates carry keys and mean nothing more: there is
//!   no authority, and names and dates in them are not looked at. Trust ends when an entry is
//!   removed or its `not-after` has passed ([`KnownSender::check_expiry`]).
//! - **Both ends show their key, and prove it, in every handshake** ([`tls`]): TLS 1.3, no
//!   resumption, no 0-RTT, no switch that weakens it. The sender accepts the one key it has
//!   pinned. The agent accepts the keys it knows. A changed key is never accepted by itself: it
//!   is reported with both fingerprints, and a person decides.
//! - **Nobody is trusted for being first.** Two that do not know each other are paired by a
//!   token ([`pairing`]), which an administrator carries from the agent to the sender. It names
//!   the agent's key, works once, for minutes, and its proof holds on one connection only.
//! - **Rights are the agent's.** What a sender may do ([`Permits`]) and where ([`Shares`]) stands
//!   in the agent's [`KnownSenders`] and is looked up there for every job, by the key of the
//!   live connection, never by its address or name. Joining gives `write` and no `delete`.
//! - **Strangers learn one thing**: that they are not known.
//! - **What is kept is kept safely**: 0600 in a folder that only its owner can write, replaced
//!   whole, synced, under a lock. A file that is exposed, foreign or broken is refused with the
//!   command that helps; it is never repaired or overwritten. Who can write the folder is
//!   trusted: nothing here is signed against its owner.
//!
//! | file | holds | at |
//! | --- | --- | --- |
//! | `identity.key` | the private key, PKCS #8 in DER | both |
//! | `known-agents.toml` | [`KnownAgents`] | sender |
//! | `known-senders.toml` | [`KnownSenders`] | agent |
//! | `invitations.toml` | [`Invitations`](pairing::invite::Invitations) | agent |
//! | `trust.lock` | nothing: held while one of the others changes | both |
//!
//! # At each end
//!
//! ```
//! use quicopy_certs::{Identity, StateDir, tls};
//!
//! # let temporary = tempfile::tempdir()?;
//! # let (here, there) = (temporary.path().join("a"), temporary.path().join("b"));
//! let sender = Identity::load_or_create(&StateDir::open_or_create(here)?)?;
//! let agent = Identity::load_or_create(&StateDir::open_or_create(there)?)?;
//! let client = tls::client_tls(&sender, agent.fingerprint(), tls::Purpose::Job);
//! // Give `client.config` to the transport, dial, and if that fails:
//! if let Some(presented) = client.stranger() {
//!     println!("pinned {}, presented {presented}", agent.fingerprint());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Reading order
//!
//! `fingerprint`, `identity`: who one is. `tls`: how that is proved. `permit`, `name`, `pin`: what
//! is known about others. `pairing`: how it comes to be known. `store`, `document`: how all of it
//! is kept on the disk; no other module touches a file.

mod document;
mod fingerprint;
mod identity;
mod name;
pub mod pairing;
mod permit;
mod pin;
mod store;
pub mod tls;

/// The randomness to hand to [`pairing::invite::Invitations::create`].
pub use ring::rand::SystemRandom;

pub use self::{
    fingerprint::{FINGERPRINT_BYTES, Fingerprint, FingerprintParseError},
    identity::{Identity, IdentityError},
    name::{PEER_NAME_BYTES_MAX, PeerName, PeerNameError},
    permit::{
        Permit, Permits, SHARE_NAME_BYTES_MAX, SHARES_MAX, Shares, SharesError, UnknownPermit,
    },
    pin::{
        AddPeerError, ChangePeerError, KnownAgent, KnownAgents, KnownSender, KnownSenders,
        PEERS_MAX, Peer, PeerFile, PeerList, SenderExpired, UnknownPeer,
    },
    store::{StateDir, StoreError},
};
