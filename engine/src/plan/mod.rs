//! What follows from comparing: the action for one class ([`decide()`]), and everything about one directory
//! ([`plan_directory`]), as pure functions.
//!
//! `entry` judges what the source has (`stays`: where its class is left alone), `extra` what only the destination has; `protect` says what neither may touch, and
//! `directory` puts them together.

mod decide;
mod directory;
mod entry;
mod extra;
mod protect;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod sample;
mod stays;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub use decide::{decide, deletes};
pub use directory::{
    Decision, DirectoryInput, DirectoryPlan, Knowledge, Subdirectory, UnsortedListing,
    plan_directory,
};
pub use extra::Extra;
pub use protect::NameRules;
pub(crate) use protect::{KEPT_MARK, Place, Site, is_system_dir, is_users};
pub(crate) use stays::fixed_parts;

use quicopy_protocol::options::JobPolicy;
use quicopy_protocol::path::RelPath;

use crate::compare::{Listed, Tolerances};
use crate::index::{self, Record};

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

impl Rules<'_> {
    /// Whether what stands in `dir` was changed since the last job wrote it.
    fn is_conflict(&self, dir: &RelPath, listed: &Listed) -> bool {
        let Ok(path) = dir.join(&listed.name) else { return false };
        (self.records)(&path).is_some_and(|record| index::is_conflict(&record, &listed.present))
    }
}
