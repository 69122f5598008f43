//! What follows from comparing: the action for one entry ([`decide()`]), and everything about one directory
//! ([`plan_directory`]), as pure functions.

mod decide;
mod directory;
mod extra;
mod protect;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod sample;

pub use decide::{decide, deletes};
pub use directory::{
    Decision, DirectoryInput, DirectoryPlan, Knowledge, Subdirectory, UnsortedListing,
    plan_directory,
};
pub use extra::Extra;
pub use protect::NameRules;
pub(crate) use protect::{KEPT_MARK, Place, is_users};

use quicopy_protocol::options::JobPolicy;
use quicopy_protocol::path::RelPath;

use crate::compare::Tolerances;
use crate::index::Record;

/// What a job's decisions rest on, the same for all of its directories.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// What the job is to do.
    pub policy: &'a JobPolicy,
    /// When two times count as equal.
    pub tolerances: Tolerances,
    /// Which names the job leaves out.
    pub names: &'a dyn NameRules,
    /// What the last job left under a path below this job's root, if anything is remembered.
    pub records: &'a dyn Fn(&RelPath) -> Option<Record>,
}
