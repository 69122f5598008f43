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

mod list;
#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used)]
mod tests;

use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use ring::rand::SecureRandom;

use self::list::InvitationList;
pub use self::list::{INVITATIONS_MAX, Invitation, InvitationState, WRONG_TRIES_MAX};
use super::{
    exchange::{Channel, JoinRequest, Refusal, Verifier},
    token::Secret,
};
use crate::{
    document::DocumentFile,
    permit::{Permits, Shares},
    store::{StateDir, StoreError},
};

/// How long an invitation works unless told otherwise: long enough to walk to the other console.
pub const TTL_DEFAULT: Duration = Duration::from_secs(15 * 60);

/// The longest that an invitation may work.
pub const TTL_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

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
