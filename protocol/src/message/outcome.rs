//! What became of the plan: outcomes, retries, notices, and the job's end.

use serde::{Deserialize, Serialize};

use crate::code::Failure;
use crate::codec::list;
use crate::meta::{DirId, EntryId};
use crate::options::PlanId;
use crate::verdict::{OutcomeResult, Removal};

/// What became of entries, and how far the job is settled.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Outcomes {
    /// Entries that are done with, one way or the other.
    #[serde(deserialize_with = "list::batch")]
    pub entries: Vec<Outcome>,
    /// Deletions that are done with.
    #[serde(deserialize_with = "list::batch")]
    pub removals: Vec<Removal>,
    /// All entries of the directories before this number are done with, deletions aside; the sender forgets them.
    pub settled: DirId,
}

/// What became of one entry whose plan was to copy or restamp it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The entry.
    pub entry: EntryId,
    /// What became of it.
    pub result: OutcomeResult,
}

/// An operation failed at the agent and will be tried again.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Retrying {
    /// The entry.
    pub entry: EntryId,
    /// What failed.
    pub failure: Failure,
    /// Seconds until the next try.
    pub wait_seconds: u32,
}

/// Something the report should say once, such as a coarser comparison or an ignored attribute.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// At most 1 KiB.
    pub text: String,
}

/// The agent has done all it will do. Answered by [`Goodbye`](super::Goodbye).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct JobDone {
    /// Entries deleted.
    pub deleted: u64,
    /// Those of them that are in the trash.
    pub trashed: u64,
    /// Directories under which nothing was deleted because the source could not be read there, or because a copy failed.
    pub protected_dirs: u64,
    /// Set when a guard held all deletions back: which one, the counts, and the switch that lets it pass.
    pub guard: Option<String>,
    /// The name of what a job that only lists would do.
    pub plan: Option<PlanId>,
    /// The last directory of the scan, for the check that both sides saw the same job.
    pub directories: DirId,
}
