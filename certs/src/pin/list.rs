//! The entries of one peer file, none of which shares a name or a key with another.

use serde::{Deserialize, Serialize};

use super::peer::{KnownAgent, KnownSender, Peer, sealed};
use crate::{
    document::{Document, FORMAT_VERSION},
    fingerprint::Fingerprint,
    name::PeerName,
    permit::Permits,
    store::{Exposure, StoreError},
};

/// Most peers in one file.
pub const PEERS_MAX: usize = 2048;

/// The entries of one peer file. No two share a name or a fingerprint.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, bound = "P: Peer")]
pub struct PeerList<P> {
    version: u32,
    #[serde(default = "Vec::new", rename = "peer")]
    peers: Vec<P>,
}

impl<P> Default for PeerList<P> {
    fn default() -> Self {
        Self { version: FORMAT_VERSION, peers: Vec::new() }
    }
}

impl<P: Peer> PeerList<P> {
    /// The entries, in the order in which they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &P> {
        self.peers.iter()
    }

    /// The peer with this key.
    pub fn find(&self, fingerprint: &Fingerprint) -> Option<&P> {
        self.peers.iter().find(|peer| peer.fingerprint() == *fingerprint)
    }

    /// The peer of this name, in any case.
    pub fn find_named(&self, name: &str) -> Option<&P> {
        self.peers.iter().find(|peer| is_called(*peer, name))
    }

    /// The peer that a person means by a name or a fingerprint.
    pub fn select(&self, name_or_fingerprint: &str) -> Option<&P> {
        self.position(name_or_fingerprint).map(|index| &self.peers[index])
    }

    fn position(&self, name_or_fingerprint: &str) -> Option<usize> {
        // By key first: a peer could have joined under a name that is another's fingerprint.
        if let Ok(fingerprint) = name_or_fingerprint.parse() {
            return self.peers.iter().position(|peer| peer.fingerprint() == fingerprint);
        }
        self.peers.iter().position(|peer| is_called(peer, name_or_fingerprint))
    }

    pub(super) fn add(&mut self, peer: P) -> Result<(), AddPeerError> {
        let same_key = |known: &P| known.fingerprint() == peer.fingerprint();
        if let Some(holder) = self.find_named(peer.name().as_str()).filter(|known| !same_key(known))
        {
            return Err(AddPeerError::NameTaken {
                name: holder.name().clone(),
                pinned: holder.fingerprint(),
                presented: peer.fingerprint(),
            });
        }
        match self.peers.iter().position(same_key) {
            Some(index) => self.peers[index] = peer,
            None if self.peers.len() >= PEERS_MAX => return Err(AddPeerError::Full),
            None => self.peers.push(peer),
        }
        Ok(())
    }

    pub(super) fn add_under_free_name(&mut self, mut peer: P) -> Result<P, AddPeerError> {
        let wanted = peer.name().clone();
        for number in 2.. {
            match self.add(peer.clone()) {
                Err(AddPeerError::NameTaken { .. }) => peer.rename(wanted.numbered(number)),
                Ok(()) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(peer)
    }

    pub(super) fn replace(&mut self, peer: P) -> Result<(), AddPeerError> {
        self.peers.retain(|known| !is_called(known, peer.name().as_str()));
        self.add(peer)
    }

    pub(super) fn remove(&mut self, name_or_fingerprint: &str) -> Result<P, UnknownPeer> {
        let index = self.position(name_or_fingerprint).ok_or_else(UnknownPeer::default)?;
        Ok(self.peers.remove(index))
    }
}

impl PeerList<KnownSender> {
    /// Gives a sender exactly these permits, and returns its entry.
    pub(super) fn permit(
        &mut self,
        name_or_fingerprint: &str,
        permits: Permits,
    ) -> Result<KnownSender, UnknownPeer> {
        let index = self.position(name_or_fingerprint).ok_or_else(UnknownPeer::default)?;
        let sender = &mut self.peers[index];
        sender.permits = permits;
        Ok(sender.clone())
    }
}

impl PeerList<KnownAgent> {
    /// The agent that was paired under this address, `host:port`, in any case.
    pub fn find_address(&self, address: &str) -> Option<&KnownAgent> {
        self.peers
            .iter()
            .find(|agent| agent.addresses.iter().any(|hint| hint.eq_ignore_ascii_case(address)))
    }
}

fn is_called<P: Peer>(peer: &P, name: &str) -> bool {
    peer.name().as_str().eq_ignore_ascii_case(name)
}

impl<P: Peer> Document for PeerList<P> {
    const FILE_NAME: &'static str = <P as sealed::Sealed>::FILE_NAME;
    const HEADER: &'static str = <P as sealed::Sealed>::HEADER;
    const EXPOSURE: Exposure = Exposure::Readable;

    fn check(&self) -> Result<(), String> {
        if self.peers.len() > PEERS_MAX {
            return Err(format!("holds more than {PEERS_MAX} peers"));
        }
        for (index, peer) in self.peers.iter().enumerate() {
            let before = &self.peers[..index];
            if before.iter().any(|other| is_called(other, peer.name().as_str())) {
                return Err(format!("two peers are called {}", peer.name()));
            }
            if before.iter().any(|other| other.fingerprint() == peer.fingerprint()) {
                return Err(format!("two peers have the fingerprint {}", peer.fingerprint()));
            }
        }
        Ok(())
    }
}

/// Why a peer could not be added.
#[derive(Debug, thiserror::Error)]
pub enum AddPeerError {
    /// The file could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another key is pinned under this name. Never replaced without being told to.
    #[error("{name} is already known by another key: pinned {pinned}, presented {presented}")]
    NameTaken {
        /// The name.
        name: PeerName,
        /// The key that is pinned under it.
        pinned: Fingerprint,
        /// The key of the peer that was to be added.
        presented: Fingerprint,
    },
    /// The file holds as many peers as it can.
    #[error("{PEERS_MAX} peers are known already, which is the limit")]
    Full,
}

/// No peer has that name or fingerprint.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, thiserror::Error)]
#[error("no known peer has that name or fingerprint")]
pub struct UnknownPeer {}
