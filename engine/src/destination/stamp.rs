//! A directory's own metadata: what it gets for the time of the job, and when everything below it is over.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use quicopy_protocol::code::Operation;
use quicopy_protocol::meta::DirId;
use quicopy_protocol::path::Name;

use super::event::Event;
use super::folder::Folder;
use super::job::Job;
use crate::commit::CommitError;
use crate::disk::metadata::MODE_MAX;
use crate::disk::{DirHandle, MetaChange, NewDirMode};
use crate::fault;

/// What its owner needs in a directory to work in it.
const OWNER: u16 = 0o700;

/// Directories whose mode is for the time of the job. A number is greater than those of the directories above.
pub(super) type Held = Mutex<BTreeMap<DirId, Arc<Folder>>>;

/// Makes sure that what stands under a name, though nothing was listed there, is not what was listed under another: two
/// directories of the source would become one, and a mirror of one would delete the other's files.
pub(super) fn check_own_name(above: &DirHandle, name: &Name) -> io::Result<()> {
    let Some(other) = above.other_name(name)? else { return Ok(()) };
    let taken = CommitError::OneName { name: name.clone(), other };
    Err(io::Error::new(io::ErrorKind::AlreadyExists, taken))
}

impl Job {
    /// Makes a directory, or opens what an earlier try, or somebody else meanwhile, has made.
    pub(super) fn make_dir(&self, above: &DirHandle, name: &Name) -> io::Result<DirHandle> {
        // Where their modes are copied, nobody is let in before.
        let mode = match self.setup.policy.dcopy.attributes {
            true => NewDirMode::Closed,
            false => NewDirMode::Usual,
        };
        match above.make_dir(name, mode) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                check_own_name(above, name)?;
                above.open_dir(name)
            }
            made => made,
        }
    }

    /// Notes that a directory has a mode for the time of the job: it was made, or opened up.
    pub(super) fn hold(&self, folder: &Arc<Folder>) {
        self.held().insert(folder.id, Arc::clone(folder));
    }

    /// Lets the owner write to a read-only directory for the time of the job, as a read-only file is no obstacle either.
    /// Its mode comes back with its last stamp.
    pub(super) fn open_up(&self, folder: &Arc<Folder>, handle: &DirHandle) {
        let Some(found) = &folder.found else { return };
        if self.setup.policy.list_only || found.mode & OWNER == OWNER {
            return;
        }
        let change = MetaChange { mode: Some(found.mode | OWNER), ..MetaChange::default() };
        // Whoever is not the owner finds out when the work fails.
        if handle.set_own_meta(&change, None).is_ok() {
            folder.opened_up.store(true, Ordering::Release);
            self.hold(folder);
        }
    }

    /// Sets a directory's metadata where it differs from what the job asks for.
    pub(super) fn stamp(&self, folder: &Folder) {
        self.held().remove(&folder.id);
        let Some(change) = self.final_change(folder) else { return };
        let attributes = match (&folder.found, &*folder.attributes) {
            // A directory that was there keeps its attributes if there is nothing to set, sparing a look at them.
            (Some(_), []) => None,
            // The root belongs to the destination.
            (_, attributes) => folder.parent.is_some().then_some(attributes),
        };
        let set = self.open(folder).and_then(|handle| handle.set_own_meta(&change, attributes));
        self.note_change();
        if let Err(error) = set {
            let failure = fault::failure(Operation::StampFile, &error);
            self.tell(Event::Notice(format!(
                "{}: the directory's metadata could not be set: {}",
                folder.path, failure.reason
            )));
        }
    }

    /// What a directory lacks that the job asks for; `None` if it has it all.
    fn final_change(&self, folder: &Folder) -> Option<MetaChange> {
        let opened_up = folder.opened_up.load(Ordering::Acquire);
        let is_made = folder.is_made.load(Ordering::Acquire);
        if self.setup.policy.list_only || folder.avoided || !is_made {
            return None;
        }
        let Some(found) = &folder.found else { return Some(self.wanted_change(folder)) };
        let mut change = match folder.incomplete {
            true => MetaChange::default(),
            false => self.wanted_change(folder),
        };
        if opened_up {
            change.mode.get_or_insert(found.mode);
        }
        let differs = change.modified.is_some_and(|time| time != found.modified)
            || change.mode.is_some_and(|mode| mode != found.mode & MODE_MAX)
            || change.owner.is_some_and(|owner| owner != (found.owner, found.group));
        let is_stale = folder.touched.load(Ordering::Acquire) && change.modified.is_some();
        (differs || is_stale || opened_up).then_some(change)
    }

    /// What the job asks for.
    fn wanted_change(&self, folder: &Folder) -> MetaChange {
        let change =
            MetaChange::new(&folder.meta, self.setup.policy.dcopy, self.setup.rights.owner);
        match folder.parent {
            Some(_) => change,
            // The root belongs to the destination: only its time follows the source.
            None => MetaChange { modified: change.modified, ..MetaChange::default() },
        }
    }

    /// Ends what was for the time of the job, which broke off: a directory that was opened up gets its mode back, and one that
    /// was made gets the mode and owner that are copied. The next attempt can go on in it: the owner is not locked out.
    pub(super) fn leave_directories(&self) {
        let held = std::mem::take(&mut *self.held());
        // From the bottom up, while the way to them is open.
        for folder in held.into_values().rev() {
            let mut change = MetaChange { modified: None, ..self.wanted_change(&folder) };
            change.mode = match &folder.found {
                Some(found) => Some(found.mode),
                None => change.mode.map(|mode| mode | OWNER),
            };
            if folder.found.is_some() {
                change.owner = None;
            }
            let set = self.open(&folder).and_then(|handle| handle.set_own_meta(&change, None));
            if let Err(error) = set {
                let path = &folder.path;
                tracing::warn!(%path, %error, "a directory keeps the mode it had during the job");
            }
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<DirId, Arc<Folder>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
