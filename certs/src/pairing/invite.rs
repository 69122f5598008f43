//! The agent's memory of its open invitations: each works once, for a while, for its holder.
//!
//! **Time.** An invitation is over when either clock says so. The wall clock is compared with the
//! expiry in the file, which nothing ever moves; and the first time that a process sees an
//! invitation, it notes on the monotonic clock how long that has left. So setting the wall clock
//! back gains nothing while the agent runs. What was seen to be over is written down as such, so
//! it stays over after a restart; and while the wall clock stands before the moment at which an
//! invitation was made, it does not work at all. What is left is a clock set back, unseen, across
//! a restart: that may gain at most the time for which the invitation was made.
//!
//! **Wrong tries.** A wrong secret names no invitation, so it counts against all that are open,
//! and five void them. With 128 bits to guess this is not about luck: it makes guessing visible,
//! and closes the door to strangers while it goes on. The price is that noise can make an
//! administrator invite again.

use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use ring::rand::SecureRandom;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use super::{
    exchange::{Channel, JoinRequest, Refusal, Verifier},
    token::Secret,
};
use crate::{
    document::{Document, DocumentFile, FORMAT_VERSION, timestamp},
    fingerprint::Fingerprint,
    permit::{Permits, Shares},
    store::{Exposure, StateDir, StoreError},
};

/// How long an invitation works unless told otherwise: long enough to walk to the other console.
pub const TTL_DEFAULT: Duration = Duration::from_secs(15 * 60);

/// The longest that an invitation may work.
pub const TTL_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How many wrong secrets void the open invitations.
pub const WRONG_TRIES_MAX: u8 = 5;

/// Most invitations on file, those that are over included.
pub const INVITATIONS_MAX: usize = 256;

/// How long past its expiry an invitation is remembered, so that whoever comes with its token
/// hears what became of it.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// One reading of both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Time of day: what outlives the process.
    pub wall: SystemTime,
    /// Time that nobody can set.
    pub monotonic: Instant,
}

impl Now {
    /// Reads both clocks.
    #[allow(clippy::disallowed_methods)]
    pub fn read() -> Self {
        Self { wall: SystemTime::now(), monotonic: Instant::now() }
    }
}

/// What has become of an invitation.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InvitationState {
    /// It waits for its holder.
    Open,
    /// A sender has joined with it.
    Used,
    /// Its time has passed.
    Expired,
    /// It was voided after [`WRONG_TRIES_MAX`] wrong tries.
    Burnt,
}

/// An invitation as the agent remembers it: without the secret.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Invitation {
    /// What has become of it.
    pub state: InvitationState,
    /// What who joins may do.
    pub permits: Permits,
    /// Where who joins may do so.
    pub shares: Shares,
    /// When it was made.
    #[serde(with = "timestamp")]
    pub created_at: SystemTime,
    /// From when on it does not work.
    #[serde(with = "timestamp")]
    pub expires_at: SystemTime,
    /// How many wrong secrets were tried while it was open.
    pub wrong_tries: u8,
    /// Who joined with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<Fingerprint>,
    verifier: Verifier,
}

/// Why no invitation could be made.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// The file could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It would work for no time, or too long.
    #[error("an invitation works for 1 second to 7 days, not {} seconds", .ttl.as_secs())]
    BadTtl {
        /// How long it was to work.
        ttl: Duration,
    },
    /// Too many are open.
    #[error("{INVITATIONS_MAX} invitations are open already, which is the limit")]
    Full,
    /// The operating system gives no randomness.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

/// Why an invitation was not redeemed.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    /// The file could not be read or written; nobody has joined.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sender has no right to it.
    #[error("{0}")]
    Refused(Refusal),
}

/// The file of invitations in an agent's state folder.
///
/// Any number may be open at once. Changes hold the folder's lock and are on the disk when they
/// return; `quicopy-agent invite` may run beside the agent.
pub struct Invitations {
    file: DocumentFile<InvitationList>,
    /// When each open invitation is over on the monotonic clock.
    deadlines: Mutex<HashMap<[u8; 32], Instant>>,
}

impl Invitations {
    /// Takes the file of invitations of `dir`, which need not exist yet.
    pub fn new(dir: &StateDir) -> Self {
        Self { file: DocumentFile::new(dir), deadlines: Mutex::default() }
    }

    /// Makes an invitation and returns its secret, which is kept nowhere.
    ///
    /// # Errors
    ///
    /// `ttl` is under a second or over [`TTL_MAX`]; [`INVITATIONS_MAX`] are open; there is no
    /// randomness; the file fails.
    pub fn create(
        &self,
        now: Now,
        ttl: Duration,
        permits: Permits,
        shares: Shares,
        random: &dyn SecureRandom,
    ) -> Result<(Secret, Invitation), InviteError> {
        if !(Duration::from_secs(1)..=TTL_MAX).contains(&ttl) {
            return Err(InviteError::BadTtl { ttl });
        }
        let secret = Secret::generate(random).map_err(|_| InviteError::NoRandomness)?;
        let invitation = Invitation {
            state: InvitationState::Open,
            permits,
            shares,
            created_at: now.wall,
            expires_at: now.wall + ttl,
            wrong_tries: 0,
            used_by: None,
            verifier: Verifier::of(&secret),
        };
        self.change(now, |list| list.add(invitation.clone()))?;
        Ok((secret, invitation))
    }

    /// Whether a stranger may come and try: asked during handshakes, so it costs a small read.
    ///
    /// # Errors
    ///
    /// The file cannot be read or does not parse. Nobody may join then.
    pub fn any_open(&self, now: Now) -> Result<bool, StoreError> {
        Ok(self.list(now)?.iter().any(|invitation| invitation.state == InvitationState::Open))
    }

    /// The invitations as they stand now, those lately over included.
    ///
    /// # Errors
    ///
    /// The file cannot be read or does not parse.
    pub fn list(&self, now: Now) -> Result<Vec<Invitation>, StoreError> {
        let mut list = InvitationList::clone(&*self.file.read()?);
        self.expire(&mut list, now);
        // For show, an invitation from the future is as good as over; the file keeps it open.
        for invitation in &mut list.invitations {
            if invitation.state == InvitationState::Open && now.wall < invitation.created_at {
                invitation.state = InvitationState::Expired;
            }
        }
        Ok(mem::take(&mut list.invitations))
    }

    /// Redeems the invitation whose secret `request` proves on `channel`.
    ///
    /// When this returns success, the invitation is marked used on the disk. Of any number of
    /// calls at once, in any number of processes, one succeeds.
    ///
    /// # Errors
    ///
    /// The secret is not that of an open invitation (this is written down, too), or the file
    /// fails; whatever it is, nobody has joined.
    pub fn redeem(
        &self,
        now: Now,
        request: &JoinRequest,
        channel: &Channel,
    ) -> Result<Invitation, RedeemError> {
        // A refusal is no failure of the change: wrong tries are to be written.
        self.change(now, |list| Ok::<_, StoreError>(list.redeem(now.wall, request, channel)))?
            .map_err(RedeemError::Refused)
    }

    /// Writes down which invitations are over, and forgets those that have long been.
    ///
    /// An agent calls this every minute or so: it is also how the agent first sees an invitation
    /// that another process has made. Where nothing is over, nothing is written.
    ///
    /// # Errors
    ///
    /// The file cannot be read, parsed or written.
    pub fn prune(&self, now: Now) -> Result<(), StoreError> {
        self.change(now, |list| {
            list.forget(now.wall);
            Ok(())
        })
    }

    fn change<R, E: From<StoreError>>(
        &self,
        now: Now,
        edit: impl FnOnce(&mut InvitationList) -> Result<R, E>,
    ) -> Result<R, E> {
        self.file.change(|list| {
            self.expire(list, now);
            let result = edit(list)?;
            // Once more, so that time runs for a new one too.
            self.expire(list, now);
            Ok(result)
        })
    }

    /// Marks what is over by either clock.
    fn expire(&self, list: &mut InvitationList, now: Now) {
        let open = |invitation: &&mut Invitation| invitation.state == InvitationState::Open;
        let mut before = self.deadlines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut deadlines = HashMap::new();
        for invitation in list.invitations.iter_mut().filter(open) {
            let key = *invitation.verifier.as_bytes();
            let mut deadline =
                before.get(&key).copied().unwrap_or_else(|| invitation.deadline(now));
            if now.monotonic >= deadline || now.wall >= invitation.expires_at {
                invitation.state = InvitationState::Expired;
                // In case this is not written down: it must not come back to life.
                deadline = now.monotonic;
            }
            deadlines.insert(key, deadline);
        }
        *before = deadlines;
    }
}

impl fmt::Debug for Invitations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitations").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Invitation {
    /// When it is over on the monotonic clock, as seen now and never longer than it was made for.
    fn deadline(&self, now: Now) -> Instant {
        let left = self.expires_at.duration_since(now.wall).unwrap_or_default();
        let made_for = self.expires_at.duration_since(self.created_at).unwrap_or_default();
        now.monotonic + left.min(made_for).min(TTL_MAX)
    }
}

/// What stands in the file.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct InvitationList {
    version: u32,
    #[serde(default, rename = "invitation")]
    invitations: Vec<Invitation>,
}

impl Default for InvitationList {
    fn default() -> Self {
        Self { version: FORMAT_VERSION, invitations: Vec::new() }
    }
}

impl Document for InvitationList {
    const FILE_NAME: &'static str = "invitations.toml";
    const HEADER: &'static str = "\
# The invitations of this agent. Written by `quicopy-agent invite`; not meant to be edited.
";
    const EXPOSURE: Exposure = Exposure::Secret;

    fn check(&self) -> Result<(), String> {
        if self.invitations.len() > INVITATIONS_MAX {
            return Err(format!("holds more than {INVITATIONS_MAX} invitations"));
        }
        let sane = |invitation: &Invitation| invitation.created_at <= invitation.expires_at;
        if self.invitations.iter().all(sane) {
            Ok(())
        } else {
            Err("an invitation expires before it was made".into())
        }
    }
}

impl InvitationList {
    fn add(&mut self, invitation: Invitation) -> Result<(), InviteError> {
        self.forget(invitation.created_at);
        if self.invitations.len() >= INVITATIONS_MAX {
            self.invitations.retain(|other| other.state == InvitationState::Open);
        }
        if self.invitations.len() >= INVITATIONS_MAX {
            return Err(InviteError::Full);
        }
        self.invitations.push(invitation);
        Ok(())
    }

    fn forget(&mut self, wall: SystemTime) {
        self.invitations.retain(|invitation| match invitation.state {
            InvitationState::Open => true,
            InvitationState::Used | InvitationState::Expired | InvitationState::Burnt => {
                wall < invitation.expires_at + REMEMBERED
            }
        });
    }

    fn redeem(
        &mut self,
        wall: SystemTime,
        request: &JoinRequest,
        channel: &Channel,
    ) -> Result<Invitation, Refusal> {
        let proved = |other: &&mut Invitation| request.proves(&other.verifier, channel);
        let Some(invitation) = self.invitations.iter_mut().find(proved) else {
            self.count_wrong_try();
            return Err(Refusal::NotInvited);
        };
        match invitation.state {
            InvitationState::Open if wall >= invitation.created_at => {}
            InvitationState::Open | InvitationState::Expired => return Err(Refusal::Expired),
            InvitationState::Used => return Err(Refusal::Used),
            InvitationState::Burnt => return Err(Refusal::Burnt),
        }
        invitation.state = InvitationState::Used;
        invitation.used_by = Some(channel.sender);
        Ok(invitation.clone())
    }

    fn count_wrong_try(&mut self) {
        for invitation in &mut self.invitations {
            if invitation.state == InvitationState::Open {
                invitation.wrong_tries = invitation.wrong_tries.saturating_add(1);
                if invitation.wrong_tries >= WRONG_TRIES_MAX {
                    invitation.state = InvitationState::Burnt;
                }
            }
        }
    }
}

impl Serialize for Verifier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&blake3::Hash::from_bytes(*self.as_bytes()).to_hex())
    }
}

impl<'de> Deserialize<'de> for Verifier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        // The cause would say which characters stand there.
        let hash = blake3::Hash::from_hex(text.as_bytes())
            .map_err(|_| de::Error::custom("a verifier has 64 hexadecimal digits"))?;
        Ok(Self::from_bytes(hash.into()))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, thread};

    use ring::rand::SystemRandom;

    use super::*;
    use crate::{name::PeerName, pairing::exchange::join_request};

    const MINUTE: Duration = Duration::from_secs(60);

    struct Agent {
        _temp: tempfile::TempDir,
        dir: StateDir,
        invitations: Invitations,
        start: Now,
    }

    impl Agent {
        fn new() -> Self {
            let temp = tempfile::tempdir().unwrap();
            let dir = StateDir::open_or_create(temp.path().join("state")).unwrap();
            // Half a second: the files keep whole ones.
            let wall = SystemTime::UNIX_EPOCH + Duration::from_millis(1_900_000_000_500);
            let start = Now { wall, monotonic: Instant::now() };
            Self { _temp: temp, invitations: Invitations::new(&dir), dir, start }
        }

        /// Both clocks, `after` the start.
        fn at(&self, after: Duration) -> Now {
            Now { wall: self.start.wall + after, monotonic: self.start.monotonic + after }
        }

        fn invite(&self, now: Now) -> Secret {
            let (permits, shares) = (Permits::DEFAULT, Shares::All);
            let random = SystemRandom::new();
            self.invitations.create(now, TTL_DEFAULT, permits, shares, &random).unwrap().0
        }

        fn redeem(&self, now: Now, secret: &Secret) -> Result<Invitation, Refusal> {
            redeem(&self.invitations, now, secret, "sender")
        }

        /// The agent, started again: what was in memory only is gone.
        fn restart(&mut self) {
            self.invitations = Invitations::new(&self.dir);
        }
    }

    fn redeem(
        invitations: &Invitations,
        now: Now,
        secret: &Secret,
        sender: &str,
    ) -> Result<Invitation, Refusal> {
        let channel = Channel {
            exporter: [1; 32],
            sender: Fingerprint::of_spki(sender.as_bytes()),
            agent: Fingerprint::of_spki(b"agent"),
        };
        let request = join_request(secret, &channel, &PeerName::resembling(sender));
        let request = JoinRequest::decode(&request).unwrap();
        invitations.redeem(now, &request, &channel).map_err(|error| match error {
            RedeemError::Refused(refusal) => refusal,
            RedeemError::Store(error) => panic!("{error}"),
        })
    }

    fn wrong_secret() -> Secret {
        Secret::generate(&SystemRandom::new()).unwrap()
    }

    #[test]
    fn an_invitation_works_once() {
        let mut agent = Agent::new();
        let secret = agent.invite(agent.start);
        assert!(agent.invitations.any_open(agent.start).unwrap());
        let redeemed = agent.redeem(agent.start, &secret).unwrap();
        assert_eq!(redeemed.permits, Permits::DEFAULT);
        assert_eq!(redeemed.used_by, Some(Fingerprint::of_spki(b"sender")));
        assert!(!agent.invitations.any_open(agent.start).unwrap());
        assert_eq!(agent.redeem(agent.start, &secret), Err(Refusal::Used));
        agent.restart();
        assert_eq!(agent.redeem(agent.start, &secret), Err(Refusal::Used));
    }

    #[test]
    fn of_several_open_invitations_the_right_one_is_redeemed() {
        let agent = Agent::new();
        let secrets = [(); 3].map(|()| agent.invite(agent.start));
        agent.redeem(agent.start, &secrets[1]).unwrap();
        agent.redeem(agent.start, &secrets[2]).unwrap();
        assert!(agent.invitations.any_open(agent.start).unwrap());
        agent.redeem(agent.start, &secrets[0]).unwrap();
        assert!(!agent.invitations.any_open(agent.start).unwrap());
    }

    #[test]
    fn of_those_who_redeem_at_once_exactly_one_wins() {
        let agent = Agent::new();
        let secret = agent.invite(agent.start);
        let outcomes = thread::scope(|scope| {
            let try_it = |sender: String| {
                // Its own handles, as another process would have.
                redeem(&Invitations::new(&agent.dir), agent.start, &secret, &sender).map(drop)
            };
            let threads = (0..8).map(|number| scope.spawn(move || try_it(number.to_string())));
            let threads = threads.collect::<Vec<_>>();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(Refusal::Used)).count(), 7);
    }

    #[test]
    fn a_redemption_that_cannot_be_written_does_not_count() {
        let agent = Agent::new();
        let secret = agent.invite(agent.start);
        let in_the_way = agent.dir.path().join("invitations.toml.new");
        fs::create_dir(&in_the_way).unwrap();
        let channel = Channel {
            exporter: [1; 32],
            sender: Fingerprint::of_spki(b"sender"),
            agent: Fingerprint::of_spki(b"agent"),
        };
        let request = join_request(&secret, &channel, &PeerName::resembling("sender"));
        let request = JoinRequest::decode(&request).unwrap();
        let outcome = agent.invitations.redeem(agent.start, &request, &channel);
        assert!(matches!(outcome, Err(RedeemError::Store(_))));
        fs::remove_dir(&in_the_way).unwrap();
        agent.redeem(agent.start, &secret).unwrap();
    }

    #[test]
    fn an_invitation_expires() {
        let agent = Agent::new();
        let secret = agent.invite(agent.start);
        assert!(agent.invitations.any_open(agent.at(14 * MINUTE)).unwrap());
        assert!(!agent.invitations.any_open(agent.at(15 * MINUTE)).unwrap());
        assert_eq!(agent.redeem(agent.at(15 * MINUTE), &secret), Err(Refusal::Expired));
    }

    #[test]
    fn setting_the_clock_back_does_not_extend_an_invitation() {
        let agent = Agent::new();
        let secret = agent.invite(agent.start);
        let set_back = Now { wall: agent.start.wall, ..agent.at(15 * MINUTE) };
        assert!(!agent.invitations.any_open(set_back).unwrap());
        assert_eq!(agent.redeem(set_back, &secret), Err(Refusal::Expired));
    }

    #[test]
    fn what_has_expired_stays_so_after_a_restart_with_the_clock_set_back() {
        let mut agent = Agent::new();
        let secret = agent.invite(agent.start);
        agent.invitations.prune(agent.at(15 * MINUTE)).unwrap();
        agent.restart();
        assert_eq!(agent.redeem(agent.at(MINUTE), &secret), Err(Refusal::Expired));
    }

    #[test]
    fn before_it_was_made_an_invitation_does_not_work() {
        let mut agent = Agent::new();
        let secret = agent.invite(agent.start);
        agent.restart();
        let early = Now { wall: agent.start.wall - MINUTE, ..agent.start };
        assert!(!agent.invitations.any_open(early).unwrap());
        assert_eq!(agent.redeem(early, &secret), Err(Refusal::Expired));
        // A clock that was wrong for a moment does no lasting harm.
        agent.redeem(agent.start, &secret).unwrap();
    }

    #[test]
    fn five_wrong_tries_void_every_open_invitation() {
        let mut agent = Agent::new();
        let secrets = [(); 2].map(|()| agent.invite(agent.start));
        for _ in 0..WRONG_TRIES_MAX - 1 {
            assert_eq!(agent.redeem(agent.start, &wrong_secret()), Err(Refusal::NotInvited));
            agent.restart();
        }
        agent.redeem(agent.start, &secrets[0]).unwrap();
        assert_eq!(agent.redeem(agent.start, &wrong_secret()), Err(Refusal::NotInvited));
        assert!(!agent.invitations.any_open(agent.start).unwrap());
        assert_eq!(agent.redeem(agent.start, &secrets[1]), Err(Refusal::Burnt));
        // The next invitation starts from zero.
        let next = agent.invite(agent.start);
        agent.redeem(agent.start, &next).unwrap();
    }

    #[test]
    fn guessing_with_nothing_open_writes_nothing() {
        let agent = Agent::new();
        assert_eq!(agent.redeem(agent.start, &wrong_secret()), Err(Refusal::NotInvited));
        assert!(!agent.dir.path().join("invitations.toml").exists());
    }

    #[test]
    fn an_invitation_is_remembered_for_a_day_and_then_forgotten() {
        let agent = Agent::new();
        let secret = agent.invite(agent.start);
        agent.redeem(agent.start, &secret).unwrap();
        agent.invitations.prune(agent.at(REMEMBERED)).unwrap();
        assert_eq!(agent.invitations.list(agent.start).unwrap().len(), 1);
        agent.invitations.prune(agent.at(REMEMBERED + TTL_DEFAULT)).unwrap();
        assert_eq!(agent.invitations.list(agent.start).unwrap(), []);
        assert_eq!(agent.redeem(agent.start, &secret), Err(Refusal::NotInvited));
    }

    #[test]
    fn the_time_to_live_is_bounded() {
        let agent = Agent::new();
        let create = |ttl| {
            let random = SystemRandom::new();
            let all = Shares::All;
            agent.invitations.create(agent.start, ttl, Permits::NONE, all, &random).map(drop)
        };
        for ttl in [Duration::ZERO, TTL_MAX + Duration::from_secs(1), Duration::MAX] {
            assert!(matches!(create(ttl), Err(InviteError::BadTtl { .. })));
        }
        create(TTL_MAX).unwrap();
    }

    #[test]
    fn the_number_of_invitations_is_bounded() {
        let agent = Agent::new();
        let secret = agent.invite(agent.start);
        agent.redeem(agent.start, &secret).unwrap();
        let template = agent.invitations.list(agent.start).unwrap().remove(0);
        let full = agent.invitations.change(agent.start, |list| {
            list.invitations.resize(INVITATIONS_MAX, template.clone());
            list.add(Invitation { state: InvitationState::Open, ..template.clone() })?;
            assert_eq!(list.invitations.len(), 1, "what is used makes room");
            let open = Invitation { state: InvitationState::Open, ..template.clone() };
            list.invitations.resize(INVITATIONS_MAX, open.clone());
            list.add(open)
        });
        assert!(matches!(full, Err(InviteError::Full)));
    }

    #[test]
    fn the_file_is_secret_and_does_not_hold_the_secret() {
        let agent = Agent::new();
        let secret = agent.invite(agent.start);
        let path = agent.dir.path().join("invitations.toml");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let hex = secret.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert!(!fs::read_to_string(&path).unwrap().contains(&hex));
        let invitation = agent.invitations.list(agent.start).unwrap().remove(0);
        assert!(format!("{invitation:?}").contains("verifier: Verifier(..)"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(agent.invitations.any_open(agent.start).is_err());
    }

    #[test]
    fn a_file_that_was_tampered_with_lets_nobody_in_and_stays_as_it_is() {
        let agent = Agent::new();
        let secret = agent.invite(agent.start);
        let path = agent.dir.path().join("invitations.toml");
        let good = fs::read_to_string(&path).unwrap();
        let line = good.lines().find(|line| line.starts_with("verifier")).unwrap();
        for bad in [
            good.replace(line, "verifier = \"abcd\""),
            good.replace("state = \"open\"", "state = \"wide-open\""),
            good.replace("wrong-tries = 0", "wrong-tries = -1"),
            good.replace("2030", "2031").replacen("2031", "2032", 1),
            good[..good.len() / 2].to_owned(),
        ] {
            fs::write(&path, &bad).unwrap();
            let error = agent.invitations.any_open(agent.start).unwrap_err().to_string();
            assert!(!error.contains("abcd"), "{error}");
            let random = SystemRandom::new();
            let (none, all) = (Permits::NONE, Shares::All);
            assert!(agent.invitations.create(agent.start, MINUTE, none, all, &random).is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), bad);
        }
        fs::write(&path, &good).unwrap();
        agent.redeem(agent.start, &secret).unwrap();
    }
}
