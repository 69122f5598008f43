//! What a job at the destination is given.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use quicopy_protocol::meta::Timestamp;
use quicopy_protocol::options::{Durability, JobPolicy};
use quicopy_protocol::path::RelPath;

use crate::commit::Clock;
use crate::compare::Tolerances;
use crate::disk::Share;
use crate::index::Index;
use crate::purge::GuardRules;

/// Everything a job at the destination is given, checked before: the peer may do this, and the destination is locked for it.
#[derive(Debug)]
pub struct Setup {
    /// The share.
    pub share: Arc<Share>,
    /// The job's root below the share.
    pub root: RelPath,
    /// Who sends: resume data belongs to its sender.
    pub peer: [u8; 32],
    /// What the job means.
    pub policy: JobPolicy,
    /// What the peer may set.
    pub rights: Rights,
    /// What earlier jobs left, if the memory is there.
    pub index: Option<Arc<Index>>,
    /// The destination's own rules about deletions.
    pub guards: GuardRules,
    /// How commits are made durable.
    pub durability: Durability,
    /// Smallest step of a time that the destination keeps, in nanoseconds.
    pub time_step_nanos: u32,
    /// When the job began, by the wall clock: tells how old leftovers of dead jobs are.
    pub started: SystemTime,
    /// Where the time comes from: `Instant::now` in the programs.
    pub clock: Clock,
}

impl Setup {
    /// A path below the job's root as one below the share; `None` beyond the limits of a path.
    pub(super) fn below_share(&self, path: &RelPath) -> Option<RelPath> {
        path.names().try_fold(self.root.clone(), |dir, name| dir.join(&name)).ok()
    }

    /// When two times count as equal.
    pub(super) fn tolerances(&self) -> Tolerances {
        Tolerances { asked: self.policy.tolerance, step_nanos: self.time_step_nanos.into() }
    }

    /// When the job began, as a file's time.
    pub(super) fn began(&self) -> Timestamp {
        let since = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        Timestamp { seconds, nanos: since.subsec_nanos() }
    }
}

/// What a peer may set beside content, modes and times.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rights {
    /// Owners, groups and access lists.
    pub owner: bool,
    /// Links whose text leads outside the share.
    pub outside_links: bool,
}
