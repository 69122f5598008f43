//! What an administrator can do, carried out on the state folder: the same whether an agent runs or not.
//!
//! `shares` opens the folders, `invite` lets senders in, `trash` shows and gives back what was deleted.

mod invite;
mod shares;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests;
mod trash;

pub use shares::OpenShare;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quicopy_certs::pairing::invite::{Invitations, InviteError};
use quicopy_certs::pairing::token::TokenAddressError;
use quicopy_certs::{
    ChangePeerError, Identity, IdentityError, KnownSender, KnownSenders, SharesError, StateDir,
    StoreError,
};
use quicopy_engine::disk::{Share as Folder, ShareId};
use quicopy_engine::trash::FindError;
use quicopy_protocol::text::with_causes;

use crate::history::History;
use crate::request::{PeerRecord, Reply, Request};
use crate::share::{Share, ShareName};
use crate::share_id::{KnownShares, ShareOffline, Standing};
use crate::trash::RestoreRefused;
use shares::Memory;

/// Why a request could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum OfficeError {
    /// An invitation could not be made.
    #[error(transparent)]
    Invite(#[from] InviteError),
    /// A share that is not there.
    #[error("there is no share {name}; {}", known_names(.known))]
    NoSuchShare {
        /// What was asked for.
        name: ShareName,
        /// What there is.
        known: Vec<ShareName>,
    },
    /// More shares than the answer to a joining sender can name.
    #[error("{count} shares are too many for one invitation; leave them away for all")]
    TooManyShares {
        /// How many were named.
        count: usize,
    },
    /// A list of shares that no entry holds.
    #[error(transparent)]
    Shares(#[from] SharesError),
    /// The token cannot carry the agent's addresses.
    #[error(transparent)]
    Address(#[from] TokenAddressError),
    /// The peer file cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sender could not be changed.
    #[error(transparent)]
    ChangePeer(#[from] ChangePeerError),
    /// The history cannot be read.
    #[error("cannot read the history: {0}")]
    History(#[source] io::Error),
    /// A share could not be accepted, or is not there.
    #[error(transparent)]
    Share(#[from] ShareOffline),
    /// Nothing can be given back from the trash.
    #[error(transparent)]
    Restore(#[from] RestoreRefused),
    /// What is asked for may be in a part of a share's trash that cannot be read.
    #[error("share {name}")]
    Trash {
        /// The share.
        name: ShareName,
        /// What was looked for, and what is in the way.
        source: FindError,
    },
}

fn known_names(known: &[ShareName]) -> String {
    if known.is_empty() {
        return "none is configured, so start the agent with it".into();
    }
    let names = known.iter().map(ShareName::as_str).collect::<Vec<_>>();
    format!("there are: {}", names.join(", "))
}

/// The agent's state folder, and all that can be done in it.
#[derive(Debug)]
pub struct Office {
    /// Who the agent is.
    pub identity: Identity,
    /// Whom it knows.
    pub senders: KnownSenders,
    /// Whom it has invited.
    pub invitations: Invitations,
    /// What it has done.
    pub history: History,
    /// What it remembers of its shares.
    pub known_shares: KnownShares,
    /// The shares, as configured.
    pub shares: Vec<Share>,
    dir: StateDir,
    folders: Mutex<HashMap<ShareName, Arc<Folder>>>,
    memories: Mutex<HashMap<ShareId, Memory>>,
    address: Mutex<SocketAddr>,
}

impl Office {
    /// Opens a state folder. `listen` is where the agent is found: it goes into tokens as a hint.
    ///
    /// # Errors
    /// The agent's key cannot be read or made.
    pub fn open(
        dir: &StateDir,
        shares: Vec<Share>,
        listen: SocketAddr,
    ) -> Result<Self, IdentityError> {
        Ok(Self {
            identity: Identity::load_or_create(dir)?,
            senders: KnownSenders::new(dir),
            invitations: Invitations::new(dir),
            history: History::new(dir),
            known_shares: KnownShares::new(dir),
            shares,
            dir: dir.clone(),
            folders: Mutex::default(),
            memories: Mutex::default(),
            address: Mutex::new(listen),
        })
    }

    /// Notes where the agent really listens, for the tokens.
    pub fn found_at(&self, address: SocketAddr) {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }

    /// Does what is asked, and says what came of it.
    pub fn carry_out(&self, request: Request) -> Reply {
        self.try_carry_out(request)
            .unwrap_or_else(|error| Reply::Failed { reason: with_causes(&error) })
    }

    fn try_carry_out(&self, request: Request) -> Result<Reply, OfficeError> {
        let one = |sender: KnownSender| Reply::Peers { peers: vec![PeerRecord::from(&sender)] };
        match request {
            Request::Invite { shares, permits, ttl_seconds } => {
                self.invite(shares, permits, Duration::from_secs(ttl_seconds))
            }
            Request::Peers => {
                let peers = self.senders.list()?.iter().map(PeerRecord::from).collect();
                Ok(Reply::Peers { peers })
            }
            Request::Permit { peer, permits } => Ok(one(self.senders.permit(&peer, permits)?)),
            Request::Revoke { peer } => Ok(one(self.senders.revoke(&peer)?)),
            Request::Jobs => {
                Ok(Reply::Jobs { jobs: self.history.read().map_err(OfficeError::History)? })
            }
            Request::Adopt { share } => self.adopt(&share),
            Request::Trash { share } => self.list_trash(share.as_ref()),
            Request::Restore { id, to, share } => {
                let restoring = self.find_in_trash(&id, to.as_deref(), share.as_ref())?;
                Ok(Reply::Restored(restoring.carry_out()))
            }
            Request::EmptyTrash { share, older_days } => {
                self.empty_trash(share.as_ref(), older_days)
            }
        }
    }

    fn adopt(&self, name: &ShareName) -> Result<Reply, OfficeError> {
        let share = self.find(name)?;
        let offline = |error| ShareOffline::folder(share, error);
        // Somebody has looked at the folder: it is opened anew, and its disk counts as sound from here on.
        self.folders.lock().unwrap_or_else(PoisonError::into_inner).remove(&share.name);
        let folder = self.folder(share).map_err(offline)?;
        let found = match self.known_shares.adopt(share, &folder)? {
            Standing::Known(_) => "it was as it should be".into(),
            Standing::New(None) => "it was never seen before".into(),
            Standing::New(Some(id)) => format!("it was never seen before and brings the id {id}"),
            Standing::Missing => "its id was missing, and it has a new one now".into(),
            Standing::Changed(id) => format!("it carries another id than before, {id}"),
            Standing::Damaged => "its id was damaged, and it has a new one now".into(),
        };
        Ok(Reply::Adopted { found })
    }

    fn find(&self, name: &ShareName) -> Result<&Share, OfficeError> {
        self.share(name.as_str()).ok_or_else(|| OfficeError::NoSuchShare {
            name: name.clone(),
            known: self.shares.iter().map(|share| share.name.clone()).collect(),
        })
    }
}
