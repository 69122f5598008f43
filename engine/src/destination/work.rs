//! One entry in work: what is to be done, and where.

use std::sync::Arc;

use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::meta::{Entry, EntryId};
use quicopy_protocol::path::RelPath;

use super::aside::Aside;
use super::folder::Folder;
use crate::compare::Present;

/// An entry that the plan puts in work.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) id: EntryId,
    pub(super) folder: Arc<Folder>,
    pub(super) entry: Entry,
    pub(super) task: Task,
    /// What stands at the destination.
    pub(super) present: Option<Present>,
    /// What that becomes once the entry has taken its place.
    pub(super) aside: Aside,
    /// Whether that is kept beside the new version (`/CONFLICT:keep`).
    pub(super) keeps_old: bool,
}

impl Work {
    /// Its path below the job's root.
    pub(super) fn path(&self) -> Option<&RelPath> {
        match &self.task {
            Task::Copy(path) | Task::Restamp(path) | Task::Check(path) | Task::Fix(path) => {
                Some(path)
            }
            Task::Refuse(_) => None,
        }
    }
}

/// What is to be done about an entry, with its path below the job's root.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// Its content is put in place.
    Copy(RelPath),
    /// Only its metadata is set.
    Restamp(RelPath),
    /// Its content is compared, and put in place if it differs.
    Check(RelPath),
    /// It is not copied, but its metadata is set.
    Fix(RelPath),
    /// It fails, with this.
    Refuse(Failure),
}

impl Task {
    /// What fails with Windows' number `code`, for a reason that is ours.
    pub(super) fn refuse(code: u32, reason: impl Into<String>) -> Self {
        Self::Refuse(Failure::new(Operation::CopyFile, code, reason))
    }
}
