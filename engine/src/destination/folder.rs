//! One directory of a job at the destination, from its plan until everything below it is done with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::meta::{Attribute, DirId, Entry, Meta};
use quicopy_protocol::options::{ConflictPolicy, JobPolicy};
use quicopy_protocol::path::{Name, RelPath};
use quicopy_protocol::verdict::DirState;

use super::listing::Listing;
use crate::commit::CommitError;
use crate::compare::Present;
use crate::disk::Stat;
use crate::fault::ALREADY_EXISTS;
use crate::plan::{Decision, Subdirectory};

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
    /// What must be over before its metadata is final: its planning, its own entries, and each directory in it.
    pub(super) unfinished: AtomicU64,
    /// Whether it is there.
    pub(super) is_made: AtomicBool,
    /// Whether anything was made, replaced or removed in it, so that its time has to be set again.
    pub(super) touched: AtomicBool,
    /// Whether its owner was let write to it for the time of the job.
    pub(super) opened_up: AtomicBool,
    /// Whether a copy in it failed: then what is extra in it stays.
    pub(super) copy_failed: AtomicBool,
    /// Whether something in it is to be removed: its metadata is set after that.
    pub(super) has_removals: AtomicBool,
}

impl Folder {
    /// The directory that was listed, in `parent`, which waits for it from now on. Its planning is under way.
    pub(super) fn new(listing: &Listing, parent: Option<Arc<Folder>>) -> Self {
        if let Some(parent) = &parent {
            parent.begin();
        }
        Self {
            id: listing.dir,
            path: listing.path.clone(),
            meta: listing.meta,
            attributes: listing.attributes.clone(),
            found: None,
            parent,
            avoided: false,
            incomplete: false,
            unfinished: AtomicU64::new(1),
            is_made: AtomicBool::new(false),
            opened_up: AtomicBool::new(false),
            touched: AtomicBool::new(false),
            copy_failed: AtomicBool::new(false),
            has_removals: AtomicBool::new(false),
        }
    }

    /// Notes that something was made, replaced or removed in it.
    pub(super) fn touch(&self) {
        self.touched.store(true, Ordering::Release);
    }

    /// Notes one more thing that must be over before its metadata is final.
    pub(super) fn begin(&self) {
        self.unfinished.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes that one of them is over; says whether it was the last.
    pub(super) fn end(&self) -> bool {
        self.unfinished.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

/// What the plan of a directory said about the directories in it, until their own listings come.
pub(super) type Children = BTreeMap<Name, Child>;

/// A directory of the source, before its own listing has come.
#[derive(Debug)]
pub(super) struct Child {
    /// What it is, or is to become.
    pub(super) state: DirState,
    /// What stands under its name.
    pub(super) present: Option<Present>,
    /// Whether that is kept beside it (`/CONFLICT:keep`).
    pub(super) keeps_old: bool,
}

impl Child {
    /// Whether something of another kind gives way to it.
    pub(super) fn displaces(&self) -> bool {
        matches!(self.state, DirState::New | DirState::Deferred) && self.present.is_some()
    }
}

/// The directories of a directory, as its plan sees them.
pub(super) fn children(
    entries: &[Entry],
    directories: Vec<Subdirectory>,
    decisions: &[Decision],
    policy: &JobPolicy,
) -> Children {
    let keeps = policy.conflict == ConflictPolicy::Keep;
    let in_conflict = |index: u32| {
        let at = decisions.binary_search_by_key(&index, |decision| decision.verdict.index);
        at.is_ok_and(|at| decisions[at].verdict.conflict)
    };
    let child = |Subdirectory { index, state, present }| {
        let name = entries.get(index as usize)?.name.clone();
        let keeps_old = keeps && in_conflict(index);
        Some((name, Child { state, present, keeps_old }))
    };
    directories.into_iter().filter_map(child).collect()
}

/// Refuses the directories for which the destination has no room beside another name.
pub(super) fn refuse(children: &mut Children, collisions: &BTreeMap<Name, Name>) {
    for (name, other) in collisions {
        if let Some(child) = children.get_mut(name)
            && matches!(child.state, DirState::New | DirState::Deferred)
        {
            let taken = CommitError::OneName { name: name.clone(), other: other.clone() };
            let reason = taken.to_string();
            let failure = Failure::new(Operation::CreateDirectory, ALREADY_EXISTS, reason);
            child.state = DirState::Failed(failure);
        }
    }
}
