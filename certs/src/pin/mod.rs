//! The two peer files: which agents a sender knows, and which senders an agent knows.

mod list;
mod peer;
#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used)]
mod tests;

use std::sync::Arc;

pub use self::{
    list::{AddPeerError, PEERS_MAX, PeerList, UnknownPeer},
    peer::{KnownAgent, KnownSender, Peer, SenderExpired},
};
use crate::{
    document::DocumentFile,
    permit::Permits,
    store::{StateDir, StoreError},
};

/// Why a known peer could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangePeerError {
    /// The file could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is nobody to change.
    #[error(transparent)]
    Unknown(#[from] UnknownPeer),
}

/// A peer file in a state folder.
///
/// Every call looks at the disk, which costs a small read, so what another process or an editor
/// changes counts at once. Changes hold the folder's lock and are on the disk when they return.
/// A file that does not parse is an error of every call and is never overwritten: the daemon
/// refuses to start with it, and goes on with the last list it has if it breaks later.
#[derive(Debug)]
pub struct PeerFile<P> {
    file: DocumentFile<PeerList<P>>,
}

/// The agents that a sender knows.
pub type KnownAgents = PeerFile<KnownAgent>;

/// The senders that an agent knows.
pub type KnownSenders = PeerFile<KnownSender>;

impl<P: Peer> PeerFile<P> {
    /// Takes the peer file of `dir`, which need not exist yet.
    pub fn new(dir: &StateDir) -> Self {
        Self { file: DocumentFile::new(dir) }
    }

    /// Returns the peers as they stand on the disk now.
    ///
    /// # Errors
    ///
    /// The file can be written by others, does not parse, or cannot be read.
    pub fn list(&self) -> Result<Arc<PeerList<P>>, StoreError> {
        self.file.read()
    }

    /// Adds a peer. A peer with the same key is replaced, whatever its name was.
    ///
    /// # Errors
    ///
    /// Another key is pinned under the name; the list is full; the file fails.
    pub fn add(&self, peer: P) -> Result<(), AddPeerError> {
        self.file.change(|list| list.add(peer))
    }

    /// Adds a peer under its name or, where that is another's, the next free of `NAME-2`,
    /// `NAME-3` and so on. Returns the entry as it stands.
    ///
    /// # Errors
    ///
    /// The list is full; the file fails.
    pub fn add_under_free_name(&self, peer: P) -> Result<P, AddPeerError> {
        self.file.change(|list| list.add_under_free_name(peer))
    }

    /// Adds a peer in the place of any that has its name or its key.
    ///
    /// This is how a changed key is accepted: only ever because a person said so.
    ///
    /// # Errors
    ///
    /// The list is full; the file fails.
    pub fn replace(&self, peer: P) -> Result<(), AddPeerError> {
        self.file.change(|list| list.replace(peer))
    }

    /// Removes a peer by name or fingerprint: it is a stranger from now on. Returns its entry.
    ///
    /// # Errors
    ///
    /// Nobody has that name or fingerprint; the file fails.
    pub fn revoke(&self, name_or_fingerprint: &str) -> Result<P, ChangePeerError> {
        self.file.change(|list| Ok(list.remove(name_or_fingerprint)?))
    }
}

impl PeerFile<KnownSender> {
    /// Gives a sender, by name or fingerprint, exactly these permits. Returns its entry.
    ///
    /// # Errors
    ///
    /// Nobody has that name or fingerprint; the file fails.
    pub fn permit(
        &self,
        name_or_fingerprint: &str,
        permits: Permits,
    ) -> Result<KnownSender, ChangePeerError> {
        self.file.change(|list| Ok(list.permit(name_or_fingerprint, permits)?))
    }
}
