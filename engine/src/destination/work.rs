//! One entry in work: what is to be done, and where.

use std::sync::Arc;

use quicopy_protocol::meta::{Entry, EntryId};
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::Action;

use super::folder::Folder;
use crate::compare::Present;

/// An entry that the plan puts in work.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) id: EntryId,
    pub(super) folder: Arc<Folder>,
    pub(super) entry: Entry,
    pub(super) action: Action,
    /// What stands at the destination.
    pub(super) present: Option<Present>,
}

impl Work {
    pub(super) fn new(
        id: EntryId,
        folder: Arc<Folder>,
        entry: &Entry,
        action: Action,
        present: Option<Present>,
    ) -> Self {
        Self { id, folder, entry: entry.clone(), action, present }
    }

    /// Its path below the job's root.
    pub(super) fn path(&self) -> RelPath {
        self.folder
            .path
            .join(&self.entry.name)
            .expect("a listing whose paths are too long was not planned")
    }
}
