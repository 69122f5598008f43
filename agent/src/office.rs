//! What an administrator can do, carried out on the state folder: the same whether an agent runs or not.

use quicopy_protocol::text::with_causes;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quicopy_certs::pairing::invite::{Invitations, InviteError, Now};
use quicopy_certs::pairing::token::{Token, TokenAddressError};
use quicopy_certs::{
    ChangePeerError, Identity, IdentityError, KnownSender, KnownSenders, Permits, Shares,
    SharesError, StateDir, StoreError,
};
use quicopy_engine::disk::{Share as Folder, ShareError as FolderError, ShareId};
use quicopy_engine::index::Index;
use quicopy_engine::trash::FindError;
use quicopy_protocol::limits::PAIRING_BYTES_MAX;
use ring::rand::SystemRandom;

use crate::history::History;
use crate::request::{Emptied, Invited, PeerRecord, Reply, Request, TrashList, stamp};
use crate::share::{Share, ShareName};
use crate::share_id::{KnownShares, ShareOffline, Standing};
use crate::state;
use crate::trash::{self, RestoreRefused, Restoring};

/// Bytes of the shares' names in one invitation: what a turn of pairing holds, less room for the rest of it.
const SHARE_LIST_BYTES_MAX: usize = PAIRING_BYTES_MAX - 512;

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

/// A share that is there and is the one that it was.
#[derive(Clone, Debug)]
pub struct OpenShare {
    /// Its folder.
    pub folder: Arc<Folder>,
    /// What earlier jobs have left in it; `None` if that cannot be read, which costs speed and the knowledge of
    /// conflicts.
    pub index: Option<Arc<Index>>,
    /// Smallest step of a time that it keeps, in nanoseconds.
    pub time_step_nanos: u32,
}

#[derive(Clone, Debug)]
struct Memory {
    index: Option<Arc<Index>>,
    time_step_nanos: u32,
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

    /// The share of that name, in any case of its letters: that is how Windows' shares are found.
    pub fn share(&self, name: &str) -> Option<&Share> {
        self.shares.iter().find(|share| share.name.as_str().eq_ignore_ascii_case(name))
    }

    /// Opens a share's folder, or gives the one that is open: its private folder can be held once only.
    ///
    /// # Errors
    /// The folder is gone.
    pub fn folder(&self, share: &Share) -> Result<Arc<Folder>, FolderError> {
        let now = Folder::open(&share.path)?;
        let place = |folder: &Folder| (folder.root().device(), folder.root().inode());
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        match folders.get(&share.name) {
            Some(held) if place(held) == place(&now) => Ok(Arc::clone(held)),
            // Another disk was mounted there. Jobs on the old one keep it until they end.
            Some(_) | None => {
                let now = Arc::new(now);
                folders.insert(share.name.clone(), Arc::clone(&now));
                Ok(now)
            }
        }
    }

    /// Opens a share's folder for a job, and makes sure that it is the one that it was.
    ///
    /// # Errors
    /// It is not, or it cannot be opened: no job may touch it.
    pub fn online(&self, share: &Share) -> Result<OpenShare, ShareOffline> {
        let folder = self.folder(share).map_err(|error| ShareOffline::folder(share, error))?;
        let id = self.known_shares.admit(share, &folder)?;
        // Held by another process, it is not ours to write.
        folder.private().map_err(|error| ShareOffline::folder(share, error))?;
        if folder.is_degraded() {
            return Err(ShareOffline::Degraded { name: share.name.clone() });
        }
        let Memory { index, time_step_nanos } = self.memory(share, id, &folder);
        Ok(OpenShare { folder, index, time_step_nanos })
    }

    /// What goes with a share's id, since another disk holds other files: found out once.
    fn memory(&self, share: &Share, id: ShareId, folder: &Folder) -> Memory {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        let found = memories.entry(id).or_insert_with(|| {
            let index = self.open_index(id).inspect_err(|error| {
                tracing::warn!("share {}: no memory of earlier jobs: {error}", share.name);
            });
            let time_step_nanos = quicopy_engine::destination::time_step_nanos(folder, true);
            Memory { index: index.ok(), time_step_nanos }
        });
        found.clone()
    }

    fn open_index(&self, id: ShareId) -> io::Result<Arc<Index>> {
        let file = state::open_for_change(&self.dir, &format!("index-{id}.redb"))?;
        let index = Index::open(file).map_err(|error| io::Error::other(with_causes(&error)))?;
        Ok(Arc::new(index))
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

    /// The share of that name, or all of them.
    fn chosen(&self, name: Option<&ShareName>) -> Result<Vec<&Share>, OfficeError> {
        match name {
            Some(name) => Ok(vec![self.find(name)?]),
            None => Ok(self.shares.iter().collect()),
        }
    }

    fn list_trash(&self, name: Option<&ShareName>) -> Result<Reply, OfficeError> {
        let mut list = TrashList::default();
        for share in self.chosen(name)? {
            let listed = self.online(share).map_err(|error| with_causes(&error)).and_then(|open| {
                trash::list(&share.name, &open.folder, &mut list)
                    .map_err(|error| format!("share {}: {error}", share.name))
            });
            list.notes.extend(listed.err());
        }
        Ok(Reply::Trash(list))
    }

    /// Finds what `id` means in the trash of one share, or of the first that has such a thing.
    ///
    /// # Errors
    /// No share has it, or it means several things.
    pub(crate) fn find_in_trash(
        &self,
        id: &str,
        to: Option<&str>,
        name: Option<&ShareName>,
    ) -> Result<Restoring, OfficeError> {
        let mut last = OfficeError::Restore(FindError::Unknown(id.to_owned()).into());
        for share in self.chosen(name)? {
            let found = self.online(share).map_err(OfficeError::from).and_then(|open| {
                Ok(Restoring::find(&share.name, &open.folder, open.index, id, to)?)
            });
            match found {
                Err(OfficeError::Restore(RestoreRefused::Find(FindError::Unknown(_)))) => {}
                // Another share may have it.
                Err(OfficeError::Restore(RestoreRefused::Find(
                    source @ (FindError::Disk(_) | FindError::Unread { .. }),
                ))) => last = OfficeError::Trash { name: share.name.clone(), source },
                Err(error @ OfficeError::Share(_)) => last = error,
                found => return found,
            }
        }
        Err(last)
    }

    fn empty_trash(&self, name: Option<&ShareName>, older_days: u16) -> Result<Reply, OfficeError> {
        let mut emptied = Emptied::default();
        for share in self.chosen(name)? {
            let open = match self.online(share) {
                Ok(open) => open,
                Err(offline) => {
                    emptied.refused.push(with_causes(&offline));
                    continue;
                }
            };
            if let Err(error) = trash::empty(&share.name, &open.folder, older_days, &mut emptied) {
                emptied.refused.push(format!("share {}: {error}", share.name));
            }
        }
        Ok(Reply::Emptied(emptied))
    }

    fn invite(
        &self,
        names: Vec<ShareName>,
        permits: Permits,
        ttl: Duration,
    ) -> Result<Reply, OfficeError> {
        let shares = if names.is_empty() { Shares::All } else { self.named(&names)? };
        let now = Now::read();
        let random = SystemRandom::new();
        let (secret, invitation) = self.invitations.create(now, ttl, permits, shares, &random)?;
        let fingerprint = self.identity.fingerprint();
        let address = *self.address.lock().unwrap_or_else(PoisonError::into_inner);
        let token = Token::new(fingerprint, secret, address_hints(address))?;
        Ok(Reply::Invited(Invited {
            token: token.reveal().to_string(),
            expires: stamp(invitation.expires_at),
            fingerprint: fingerprint.to_string(),
        }))
    }

    /// The shares of an invitation, as they are spelt here. Without any configured, they are those that the agent will
    /// be started with.
    fn named(&self, names: &[ShareName]) -> Result<Shares, OfficeError> {
        let spelt = |name| -> Result<&ShareName, OfficeError> {
            if self.shares.is_empty() { Ok(name) } else { Ok(&self.find(name)?.name) }
        };
        let spelt = names.iter().map(spelt).collect::<Result<Vec<_>, _>>()?;
        let list_bytes = spelt.iter().map(|name| name.as_str().len() + 1).sum::<usize>();
        if list_bytes > SHARE_LIST_BYTES_MAX {
            return Err(OfficeError::TooManyShares { count: names.len() });
        }
        Ok(Shares::only(spelt.into_iter().map(ShareName::as_str))?)
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

/// Where a sender may try to find this agent: the address it listens on or, if that is any, the host's name.
fn address_hints(listen: SocketAddr) -> Vec<String> {
    if !listen.ip().is_unspecified() {
        return vec![listen.to_string()];
    }
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    let plain = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic());
    if plain && host.len() <= 200 { vec![format!("{host}:{}", listen.port())] } else { Vec::new() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;
    use crate::share;

    /// An office with one share, `data`, in a folder that goes away with the first of the three.
    pub(crate) fn office() -> (tempfile::TempDir, StateDir, Office) {
        let (temp, dir) = state::tests::folder();
        let path = temp.path().join("data");
        std::fs::create_dir(&path).unwrap();
        let shares = vec![share::tests::plain("data", &path)];
        let office = Office::open(&dir, shares, "127.0.0.1:47470".parse().unwrap()).unwrap();
        (temp, dir, office)
    }

    fn invite(shares: &[&str], ttl_seconds: u64) -> Request {
        let shares = shares.iter().map(|name| name.parse().unwrap()).collect();
        Request::Invite { shares, permits: Permits::DEFAULT, ttl_seconds }
    }

    fn check_failed(office: &Office, request: Request, says: &str) {
        match office.carry_out(request) {
            Reply::Failed { reason } => assert!(reason.contains(says), "{reason}"),
            reply => panic!("{reply:?}"),
        }
    }

    #[test]
    fn an_invitation_names_the_agent_and_is_kept_without_its_secret() {
        let (_temp, dir, office) = office();
        let Reply::Invited(invited) = office.carry_out(invite(&["DATA"], 60)) else { panic!() };
        let token: Token = invited.token.parse().unwrap();
        assert_eq!(token.agent(), office.identity.fingerprint());
        assert_eq!(token.addresses(), ["127.0.0.1:47470"]);
        let open = office.invitations.list(Now::read()).unwrap();
        assert_eq!(open[0].shares, Shares::only(["data"]).unwrap());
        for file in std::fs::read_dir(dir.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains(&invited.token));
        }
        assert!(!format!("{invited:?}").contains(&invited.token));
    }

    #[test]
    fn what_cannot_be_done_is_answered_with_what_can() {
        let (_temp, _dir, office) = office();
        check_failed(&office, invite(&["www"], 60), "there are: data");
        check_failed(&office, invite(&[], 0), "1 second to 7 days");
        check_failed(&office, Request::Revoke { peer: "web".into() }, "no known peer");
        let permit = Request::Permit { peer: "web".into(), permits: Permits::DEFAULT };
        check_failed(&office, permit, "no known peer");
        check_failed(&office, Request::Adopt { share: "www".parse().unwrap() }, "there are: data");
    }

    #[test]
    fn a_share_goes_offline_without_its_id_and_online_again_when_adopted() {
        let (_temp, _dir, office) = office();
        let share = office.share("data").unwrap();
        office.online(share).unwrap();
        std::fs::remove_file(share.path.join(".quicopy/id")).unwrap();
        assert!(matches!(office.online(share), Err(ShareOffline::Missing { .. })));
        let reply = office.carry_out(Request::Adopt { share: share.name.clone() });
        let found = "its id was missing, and it has a new one now".into();
        assert_eq!(reply, Reply::Adopted { found });
        office.online(share).unwrap();
    }

    #[test]
    fn an_invitation_may_name_shares_that_the_agent_will_be_started_with() {
        let (_temp, dir) = state::tests::folder();
        let office = Office::open(&dir, vec![], "[::1]:1".parse().unwrap()).unwrap();
        assert!(matches!(office.carry_out(invite(&["later"], 60)), Reply::Invited(_)));
        let many = (0..100).map(|number| format!("{number:064}")).collect::<Vec<_>>();
        let many = many.iter().map(String::as_str).collect::<Vec<_>>();
        check_failed(&office, invite(&many, 60), "leave them away for all");
    }

    #[test]
    fn a_share_whose_disk_failed_takes_no_job_until_it_is_adopted() {
        let (_temp, _dir, office) = office();
        let share = office.share("data").unwrap();
        office.online(share).unwrap().folder.mark_degraded();
        assert!(matches!(office.online(share), Err(ShareOffline::Degraded { .. })));
        office.carry_out(Request::Adopt { share: share.name.clone() });
        office.online(share).unwrap();
    }

    #[test]
    fn a_folder_is_opened_once_and_anew_when_it_is_another() {
        let (_temp, _dir, office) = office();
        let share = office.share("data").unwrap();
        let (one, same) = (office.folder(share).unwrap(), office.folder(share).unwrap());
        assert!(Arc::ptr_eq(&one, &same));
        std::fs::rename(&share.path, share.path.with_extension("old")).unwrap();
        assert!(office.folder(share).is_err());
        std::fs::create_dir(&share.path).unwrap();
        assert!(!Arc::ptr_eq(&one, &office.folder(share).unwrap()));
    }

    #[test]
    fn a_token_says_where_the_agent_is_as_far_as_it_knows() {
        assert_eq!(address_hints("192.0.2.7:1".parse().unwrap()), ["192.0.2.7:1"]);
        let any = address_hints("[::]:47470".parse().unwrap());
        assert!(any.iter().all(|hint| hint.ends_with(":47470") && !hint.contains("::")));
    }
}
