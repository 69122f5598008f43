//! What the agent makes of a listing: plans, and what the destination has beyond it.

use serde::{Deserialize, Serialize};

use crate::codec::list;
use crate::meta::DirId;
use crate::verdict::{DirState, ExtraEntry, Tally, Verdict};

/// The agent's decision about a directory, or a part of it. Comes once the whole listing is there; parts in a row.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The directory.
    pub dir: DirId,
    /// What the directory itself is at the destination.
    pub state: DirState,
    /// Entries that are not simply the same, in ascending order of index; with `report_same`, all that the sender did not skip.
    /// Directories appear only when mismatched, excluded by class or failed: their own listing brings their plan.
    #[serde(deserialize_with = "list::batch")]
    pub verdicts: Vec<Verdict>,
    /// Files and links of class Same that this plan does not name; in the last part only.
    pub same: Tally,
    /// Whether this is the last part.
    pub last: bool,
}

/// Entries that only the destination has, in the order they are reported in. Comes after the plan of their directory.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Extras {
    /// The directory of the source under which they were found.
    pub dir: DirId,
    /// At most [`BATCH_ITEMS_MAX`](crate::limits::BATCH_ITEMS_MAX).
    #[serde(deserialize_with = "list::batch")]
    pub entries: Vec<ExtraEntry>,
}
