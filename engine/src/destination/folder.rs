//! One directory of a job at the destination, from its plan until its last entry is done with.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use quicopy_protocol::meta::{Attribute, DirId, Meta};
use quicopy_protocol::path::{Name, RelPath};
use quicopy_protocol::verdict::DirState;

use crate::compare::Present;
use crate::disk::{DirHandle, Stat};

/// A directory that the job works in. Shared by everything that is in work below it.
#[derive(Debug)]
pub(super) struct Folder {
    /// Its number.
    pub(super) id: DirId,
    /// Its path below the job's root.
    pub(super) path: RelPath,
    /// What it is at the source.
    pub(super) meta: Meta,
    /// Its attributes at the source.
    pub(super) attributes: Vec<Attribute>,
    /// What the destination had; `None` if it was or is to be made.
    pub(super) found: Option<Stat>,
    /// The directory that holds it; `None` for the job's root.
    pub(super) parent: Option<Arc<Folder>>,
    /// Whether the job leaves it alone, with all that is below it.
    pub(super) avoided: bool,
    /// Whether its source could not be read in full: then its own metadata stays as it is, too.
    pub(super) incomplete: bool,
    /// The directory itself, once it is there. Dropped when nothing works in it.
    pub(super) handle: Mutex<Option<DirHandle>>,
    /// Whether anything was made, replaced or removed in it, so that its time has to be set again.
    pub(super) touched: AtomicBool,
    /// Whether a copy in it failed: then what is extra in it stays.
    pub(super) copy_failed: AtomicBool,
    /// Whether something in it is to be removed: its metadata is set after that.
    pub(super) has_removals: AtomicBool,
}

impl Folder {
    pub(super) fn touch(&self) {
        self.touched.store(true, Ordering::Release);
    }

    pub(super) fn is_touched(&self) -> bool {
        self.touched.load(Ordering::Acquire)
    }

    pub(super) fn held(&self) -> Option<DirHandle> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn hold(&self, handle: DirHandle) {
        *self.handle.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
    }

    /// Closes the descriptor; whoever needs the directory again opens it by its path.
    pub(super) fn let_go(&self) {
        *self.handle.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What the plan of a directory said about the directories in it, until their own listings come.
pub(super) type Children = BTreeMap<Name, (DirState, Option<Present>)>;
