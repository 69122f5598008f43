//! What an administrator asks of the agent, and what it answers: the lines on the control socket.

use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;
use quicopy_certs::{KnownSender, Permits};
use serde::{Deserialize, Serialize};

use crate::history::JobRecord;
use crate::share::ShareName;

/// Something to be done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Make an invitation.
    Invite {
        /// The shares that it opens; empty for all.
        shares: Vec<ShareName>,
        /// What it permits.
        permits: Permits,
        /// How long it works, in seconds.
        ttl_seconds: u64,
    },
    /// Name the senders that are known.
    Peers,
    /// Give a sender exactly these permits.
    Permit {
        /// Its name or fingerprint.
        peer: String,
        /// What it may do from now on.
        permits: Permits,
    },
    /// Shut a sender out.
    Revoke {
        /// Its name or fingerprint.
        peer: String,
    },
    /// Name past jobs, and those that run.
    Jobs,
    /// Name what is in the trash.
    Trash {
        /// Of this share; of all without it.
        share: Option<ShareName>,
    },
    /// Give something back from the trash.
    Restore {
        /// Its id, or a job's.
        id: String,
        /// To which path below the share; without it, to where it was.
        to: Option<String>,
        /// In this share; in all without it.
        share: Option<ShareName>,
    },
    /// Remove what is in the trash.
    EmptyTrash {
        /// Of this share; of all without it.
        share: Option<ShareName>,
        /// What is younger stays.
        older_days: u16,
    },
    /// Accept a share as it is.
    Adopt {
        /// The share.
        share: ShareName,
    },
}

/// What came of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "reply", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reply {
    /// The invitation stands.
    Invited(Invited),
    /// All senders, or the one that was changed or shut out.
    Peers {
        /// In the order in which they were added.
        peers: Vec<PeerRecord>,
    },
    /// The oldest first, those that run last.
    Jobs {
        /// Some of at most 1000.
        jobs: Vec<JobRecord>,
    },
    /// What is in the trash.
    Trash(TrashList),
    /// Things were given back.
    Restored(Restored),
    /// The trash was emptied.
    Emptied(Emptied),
    /// The share is accepted.
    Adopted {
        /// What was found, in words.
        found: String,
    },
    /// It could not be done.
    Failed {
        /// Why, and what to do.
        reason: String,
    },
}

/// An invitation as it is handed to the administrator.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Invited {
    /// The token: as good as a key until it is used.
    pub token: String,
    /// When it stops working.
    pub expires: Timestamp,
    /// The agent's fingerprint, to be compared by eye.
    pub fingerprint: String,
}

impl fmt::Debug for Invited {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invited").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// What is in the trash, the oldest first.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrashList {
    /// Things in it.
    pub items: Vec<TrashRecord>,
    /// How many more there are.
    pub left_out: u64,
    /// What could not be looked at, and why.
    pub notes: Vec<String>,
}

/// One thing in the trash: `quicopy-agent trash list --json` prints this, one a line.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrashRecord {
    /// By which it is given back.
    pub id: String,
    /// When the job's run began that put it there.
    pub when: Timestamp,
    /// The share.
    pub share: String,
    /// Where it was below the share, escaped.
    pub path: String,
    /// Bytes of the files in it.
    pub size_bytes: u64,
    /// Entries, itself included.
    pub entries: u64,
    /// `deleted` or `overwritten`.
    pub why: String,
    /// Who sent the job.
    pub peer: String,
    /// The job's id, 32 hexadecimal digits.
    pub job: String,
}

/// What was given back.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Restored {
    /// Where it is now: share and path, escaped.
    pub places: Vec<String>,
    /// What was not, and why.
    pub refused: Vec<String>,
}

/// What emptying came to.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Emptied {
    /// Entries that are gone.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What stays, and why.
    pub notes: Vec<String>,
    /// What was to go and could not, and why.
    pub refused: Vec<String>,
}

/// A known sender, for people.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PeerRecord {
    /// What the agent calls it.
    pub name: String,
    /// Its key.
    pub fingerprint: String,
    /// What it may do, as on the command line.
    pub permits: String,
    /// The shares that it may reach, with commas between, or `all`.
    pub shares: String,
    /// When it was paired.
    pub paired: Timestamp,
    /// From when on it is not trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
}

impl From<&KnownSender> for PeerRecord {
    fn from(sender: &KnownSender) -> Self {
        Self {
            name: sender.name.to_string(),
            fingerprint: sender.fingerprint.to_string(),
            permits: sender.permits.to_string(),
            shares: sender.shares.to_string(),
            paired: stamp(sender.paired_at),
            not_after: sender.not_after.map(stamp),
        }
    }
}

/// Times beyond the year 9999 do not exist in the files these come from.
pub(crate) fn stamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::MAX)
}
