//! One entry in work: what is to be done, and where.

use std::sync::Arc;

use quicopy_protocol::meta::{Entry, EntryId};
use quicopy_protocol::path::{Name, NameError, RelPath};

use super::folder::Folder;
use crate::compare::Present;
use crate::plan::KEPT_MARK;

/// An entry that the plan puts in work.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) id: EntryId,
    pub(super) folder: Arc<Folder>,
    pub(super) entry: Entry,
    pub(super) task: Task,
    /// What stands at the destination.
    pub(super) present: Option<Present>,
    /// Whether that is kept beside the new version (`/CONFLICT:keep`).
    pub(super) keeps_old: bool,
}

/// What is to be done about an entry, with its path below the job's root.
#[derive(Debug)]
pub(super) enum Task {
    /// Its content is put in place.
    Copy(RelPath),
    /// Only its metadata is set.
    Restamp(RelPath),
    /// It fails, for this reason.
    Refuse(String),
}

impl Work {
    /// The name under which an old version is kept: the same for the same version, so that a second try makes no second copy.
    ///
    /// # Errors
    /// It would be too long.
    pub(super) fn kept_name(&self) -> Result<Name, NameError> {
        let seconds = self.present.as_ref().map_or(0, |present| present.modified.seconds);
        let mut name = self.entry.name.as_bytes().to_vec();
        name.extend_from_slice(format!("{KEPT_MARK}{seconds}").as_bytes());
        Name::new(name)
    }
}
