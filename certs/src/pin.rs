//! The two peer files: which agents a sender knows, and which senders an agent knows.

use std::{sync::Arc, time::SystemTime};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    document::{Document, DocumentFile, FORMAT_VERSION, timestamp},
    fingerprint::Fingerprint,
    name::PeerName,
    permit::{Permits, Shares},
    store::{Exposure, StateDir, StoreError},
};

/// Most peers in one file.
pub const PEERS_MAX: usize = 2048;

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

mod sealed {
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

impl Peer for KnownAgent {
    fn name(&self) -> &PeerName {
        &self.name
    }
    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
    fn rename(&mut self, name: PeerName) {
        self.name = name;
    }
}

impl Peer for KnownSender {
    fn name(&self) -> &PeerName {
        &self.name
    }
    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
    fn rename(&mut self, name: PeerName) {
        self.name = name;
    }
}

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

    fn add(&mut self, peer: P) -> Result<(), AddPeerError> {
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

    fn add_under_free_name(&mut self, mut peer: P) -> Result<P, AddPeerError> {
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

    fn replace(&mut self, peer: P) -> Result<(), AddPeerError> {
        self.peers.retain(|known| !is_called(known, peer.name().as_str()));
        self.add(peer)
    }

    fn remove(&mut self, name_or_fingerprint: &str) -> Result<P, UnknownPeer> {
        let index = self.position(name_or_fingerprint).ok_or_else(UnknownPeer::default)?;
        Ok(self.peers.remove(index))
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
        self.file.change(|list| {
            let index = list.position(name_or_fingerprint).ok_or_else(UnknownPeer::default)?;
            let sender = &mut list.peers[index];
            sender.permits = permits;
            Ok(sender.clone())
        })
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, thread, time::Duration};

    use super::*;
    use crate::permit::Permit;

    fn state() -> (tempfile::TempDir, StateDir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::open_or_create(temp.path().join("state")).unwrap();
        (temp, dir)
    }

    fn moment() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000)
    }

    /// A sender with a key that only `key` has.
    fn sender(name: &str, key: &str) -> KnownSender {
        KnownSender {
            name: name.parse().unwrap(),
            fingerprint: Fingerprint::of_spki(key.as_bytes()),
            permits: Permits::DEFAULT,
            shares: Shares::only(["www", "Scripts$"]).unwrap(),
            paired_at: moment(),
            not_after: None,
        }
    }

    fn agent(name: &str, key: &str) -> KnownAgent {
        KnownAgent {
            name: name.parse().unwrap(),
            fingerprint: Fingerprint::of_spki(key.as_bytes()),
            addresses: vec!["Agent.example:47470".into()],
            shares: Shares::All,
            permits: Permits::DEFAULT,
            paired_at: moment(),
        }
    }

    fn names(senders: &KnownSenders) -> Vec<String> {
        senders.list().unwrap().iter().map(|peer| peer.name.to_string()).collect()
    }

    #[test]
    fn a_known_sender_is_found_by_key_and_by_name() {
        let (_temp, dir) = state();
        let senders = KnownSenders::new(&dir);
        senders.add(sender("web01", "one")).unwrap();
        senders.add(KnownSender { not_after: Some(moment()), ..sender("web02", "two") }).unwrap();
        // Another process sees the same.
        let list = KnownSenders::new(&dir).list().unwrap();
        let print = Fingerprint::of_spki(b"two");
        assert_eq!(list.find(&print).unwrap().not_after, Some(moment()));
        assert_eq!(list.find_named("WEB01"), Some(&sender("web01", "one")));
        assert_eq!(list.select(&print.to_string()), list.select("web02"));
        assert_eq!(list.find(&Fingerprint::of_spki(b"three")), None);
        assert_eq!(list.select("web03"), None);
    }

    #[test]
    fn an_agent_is_found_by_the_address_it_was_paired_under() {
        let (_temp, dir) = state();
        let agents = KnownAgents::new(&dir);
        agents.add(agent("b", "one")).unwrap();
        let list = agents.list().unwrap();
        assert_eq!(list.find_address("agent.example:47470"), Some(&agent("b", "one")));
        assert_eq!(list.find_address("agent.example:1"), None);
    }

    #[test]
    fn the_file_is_readable_private_and_says_what_it_is() {
        let (_temp, dir) = state();
        let senders = KnownSenders::new(&dir);
        senders.add(KnownSender { not_after: Some(moment()), ..sender("web01", "") }).unwrap();
        let path = dir.path().join("known-senders.toml");
        let text = fs::read_to_string(&path).unwrap();
        let entry = "\
version = 1

[[peer]]
name = \"web01\"
fingerprint = \"e3b0-c442-98fc-1c14-9afb-f4c8-996f-b924-27ae-41e4-649b-934c-a495-991b-7852-b855\"
permits = [\"write\"]
shares = [\"Scripts$\", \"www\"]
paired-at = \"2030-03-17T17:46:40Z\"
not-after = \"2030-03-17T17:46:40Z\"
";
        assert!(text.starts_with("# The senders that this agent trusts"), "{text}");
        assert!(text.ends_with(entry), "{text}");
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o600);
    }

    #[test]
    fn the_same_key_replaces_its_entry_and_another_key_needs_to_be_told() {
        let (_temp, dir) = state();
        let agents = KnownAgents::new(&dir);
        agents.add(agent("b", "old")).unwrap();
        agents.add(agent("site-b", "old")).unwrap();
        let error = agents.add(agent("SITE-B", "new")).unwrap_err();
        let AddPeerError::NameTaken { pinned, presented, .. } = error else { panic!("{error}") };
        assert_eq!(pinned, Fingerprint::of_spki(b"old"));
        assert_eq!(presented, Fingerprint::of_spki(b"new"));
        agents.replace(agent("site-b", "new")).unwrap();
        let list = agents.list().unwrap();
        assert_eq!(list.iter().collect::<Vec<_>>(), [&agent("site-b", "new")]);
    }

    #[test]
    fn a_second_sender_of_a_name_gets_a_number() {
        let (_temp, dir) = state();
        let senders = KnownSenders::new(&dir);
        for key in ["one", "two", "three", "two"] {
            senders.add_under_free_name(sender("web", key)).unwrap();
        }
        assert_eq!(names(&senders), ["web", "web-2", "web-3"]);
    }

    #[test]
    fn a_revoked_sender_is_a_stranger() {
        let (_temp, dir) = state();
        let senders = KnownSenders::new(&dir);
        for key in ["one", "two", "three"] {
            senders.add(sender(key, key)).unwrap();
        }
        assert_eq!(senders.revoke("ONE").unwrap().name.as_str(), "one");
        senders.revoke(&Fingerprint::of_spki(b"two").to_string()).unwrap();
        assert!(matches!(senders.revoke("two"), Err(ChangePeerError::Unknown(_))));
        assert_eq!(names(&senders), ["three"]);
    }

    #[test]
    fn permits_are_given_and_taken_by_name_or_key() {
        let (_temp, dir) = state();
        let senders = KnownSenders::new(&dir);
        senders.add(sender("web01", "one")).unwrap();
        let now = senders.permit("web01", "write,delete".parse().unwrap()).unwrap();
        assert!(now.permits.allows(Permit::Delete));
        let print = Fingerprint::of_spki(b"one").to_string();
        senders.permit(&print, Permits::NONE).unwrap();
        assert_eq!(senders.list().unwrap().find_named("web01").unwrap().permits, Permits::NONE);
        let unknown = senders.permit("web02", Permits::NONE);
        assert!(matches!(unknown, Err(ChangePeerError::Unknown(_))));
    }

    #[test]
    fn an_entry_past_its_time_says_when_that_was() {
        let sender = KnownSender { not_after: Some(moment()), ..sender("web01", "one") };
        let before = moment() - Duration::from_secs(1);
        assert_eq!(sender.check_expiry(before), Ok(()));
        let error = sender.check_expiry(moment()).unwrap_err();
        assert_eq!(error.to_string(), "the trust in this sender expired on 2030-03-17");
    }

    #[test]
    fn a_file_that_does_not_parse_is_an_error_and_never_overwritten() {
        let entry = |extra: &str| {
            format!(
                "[[peer]]\nname = \"a\"\nfingerprint = \"{}\"\npermits = [\"write\"]\n\
                 shares = \"all\"\npaired-at = \"2030-01-31T00:00:00Z\"\n{extra}",
                Fingerprint::of_spki(b"one"),
            )
        };
        let check = |text: &str, reason: &str| {
            let (_temp, dir) = state();
            let path = dir.path().join("known-senders.toml");
            dir.lock().unwrap().replace("known-senders.toml", text.as_bytes()).unwrap();
            let senders = KnownSenders::new(&dir);
            let error = senders.list().unwrap_err().to_string();
            assert!(error.contains(reason) && error.lines().count() == 1, "{error}");
            assert!(senders.add(sender("web01", "one")).is_err());
            assert!(senders.revoke("a").is_err());
            assert_eq!(fs::read_to_string(path).unwrap(), text);
        };
        check("", "version");
        check("version = 1\n[[peer", "line 2");
        check("version = 2\nwhatever = 1", "format 2, this program knows up to 1; update");
        check(&format!("version = 1\n{}", entry("permit = 1")), "unknown field");
        check(&format!("version = 1\n{}{}", entry(""), entry("")), "two peers are called a");
        check(&format!("version = 1\n{}", entry("not-after = \"soon\"")), "\"soon\" is not a time");
        let wrong = entry("").replace("\"write\"", "\"wirte\"");
        check(&format!("version = 1\n{wrong}"), "choose from write, delete");
        let wrong = entry("").replace("\"all\"", "\"al\"");
        check(&format!("version = 1\n{wrong}"), "shares are \"all\" or a list");
        let good = format!("version = 1\n{}", entry("")).into_bytes();
        let (_temp, dir) = state();
        dir.lock().unwrap().replace("known-senders.toml", &good).unwrap();
        assert_eq!(names(&KnownSenders::new(&dir)), ["a"]);
    }

    #[test]
    fn a_file_that_others_can_write_is_refused() {
        let (_temp, dir) = state();
        let senders = KnownSenders::new(&dir);
        senders.add(sender("web01", "one")).unwrap();
        let path = dir.path().join("known-senders.toml");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let error = senders.list().unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_change_by_an_editor_counts_at_once() {
        let (_temp, dir) = state();
        let senders = KnownSenders::new(&dir);
        senders.add(sender("web01", "one")).unwrap();
        let path = dir.path().join("known-senders.toml");
        // Same length, and within the same tick of the file system's clock.
        let text = fs::read_to_string(&path).unwrap().replace("web01", "web02");
        fs::write(&path, text).unwrap();
        assert_eq!(names(&senders), ["web02"]);
        fs::remove_file(&path).unwrap();
        assert_eq!(names(&senders), [""; 0]);
    }

    #[test]
    fn changes_made_at_once_are_all_kept() {
        let (_temp, dir) = state();
        thread::scope(|scope| {
            for worker in 0..4 {
                let dir = &dir;
                scope.spawn(move || {
                    let senders = KnownSenders::new(dir);
                    for number in 0..5 {
                        let name = format!("s{worker}-{number}");
                        senders.add(sender(&name, &name)).unwrap();
                    }
                });
            }
        });
        assert_eq!(names(&KnownSenders::new(&dir)).len(), 20);
    }
}
