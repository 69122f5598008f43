//! How a directory stands at the destination before it is planned: opened and listed, made, or left alone.

use std::io;
use std::sync::Arc;

use quicopy_protocol::code::{Failure, Operation, RefusalCode};
use quicopy_protocol::path::{Name, RelPath};
use quicopy_protocol::verdict::DirState;

use super::Refusal;
use super::aside::Aside;
use super::event::Event;
use super::finisher::keep_version;
use super::folder::{Child, Folder};
use super::job::Job;
use super::listing::Listing;
use super::presence;
use crate::commit::CommitError;
use crate::compare::Listed;
use crate::disk::private::{PARTIAL, SWAP};
use crate::disk::share::PARTIAL_AGE_MAX;
use crate::disk::{DirHandle, DiskEntry, DiskKind, RenameMode, Share, Stat};
use crate::fault::{self, DISK_FULL, Fault, Outlook};
use crate::plan::deletes;
use crate::purge;
use crate::retry::RetryPolicy;

/// How a directory stands at the destination before it is planned.
pub(super) enum Arrival {
    /// It is there, or was made.
    Entered(DirState, There),
    /// It is not there, and will not be before something is copied into it, or at all.
    Absent(DirState),
    /// The job does not work in it.
    Avoided(DirState),
}

/// A directory of the destination.
pub(super) struct There {
    pub(super) handle: DirHandle,
    /// What it was; `None` if the job has just made it.
    pub(super) found: Option<Stat>,
    /// What it holds.
    pub(super) listed: Vec<Listed>,
}

impl There {
    fn made(handle: DirHandle) -> Self {
        Self { handle, found: None, listed: Vec::new() }
    }
}

/// Opens a job's directories, and makes those that are missing.
pub(super) struct Arrivals<'a> {
    job: &'a Job,
    /// What is left of the tries since a directory last came to be: while the disk is in trouble all of them share one count,
    /// or each would hold up all that follow.
    retries: RetryPolicy,
}

impl<'a> Arrivals<'a> {
    pub(super) fn new(job: &'a Job) -> Self {
        Self { job, retries: RetryPolicy::new(job.setup.policy.retry) }
    }

    /// Arrives at the job's root.
    ///
    /// # Errors
    /// It cannot be opened or made, or the source is empty and the destination is not.
    pub(super) fn root(&self, listing: &Listing) -> Result<Arrival, Refusal> {
        let setup = &self.job.setup;
        let failed = |error: io::Error| {
            Refusal::new(
                RefusalCode::DestinationFailed,
                format!(
                    "the destination folder cannot be opened or made: {}",
                    fault::failure(Operation::AccessDestinationDirectory, &error).reason
                ),
            )
        };
        let tree = setup.share.tree(&setup.root).map_err(failed)?;
        let entries = match &tree {
            Some(tree) => tree.root.list().map_err(failed)?,
            None => Vec::new(),
        };
        let empty = entries.iter().all(|entry| entry.name.is_reserved());
        // An unreadable root is no empty one, but nothing is deleted below it either.
        if listing.failure.is_none()
            && let Some(text) = purge::empty_source(&listing.entries, empty, &setup.policy)
        {
            return Err(Refusal::new(RefusalCode::SourceEmpty, text));
        }
        let (tree, state) = match tree {
            Some(tree) => (tree, DirState::Existing),
            None if setup.policy.list_only => return Ok(Arrival::Absent(DirState::New)),
            None => (setup.share.make_tree(&setup.root).map_err(failed)?, DirState::New),
        };
        let handle = tree.root.clone();
        // A root that was just made is stamped like one that was there: its mode is the destination's own.
        let found = Some(handle.own_stat().map_err(failed)?);
        self.job.set_tree(tree);
        let listed = self.listed(&handle, &RelPath::ROOT, entries);
        Ok(Arrival::Entered(state, There { handle, found, listed }))
    }

    /// Arrives at the directory `path`, of which the plan of its parent said `child`.
    pub(super) fn below(&mut self, parent: &Arc<Folder>, path: &RelPath, child: &Child) -> Arrival {
        let arrived = match &child.state {
            DirState::Existing => self
                .persist(path, |arrivals| arrivals.open(path))
                .map(|there| Arrival::Entered(DirState::Existing, there)),
            state @ (DirState::New | DirState::Deferred) => {
                // What must give way to a deferred directory goes only when the directory comes: it is made at once instead.
                let can_wait = *state == DirState::Deferred && child.present.is_none();
                if can_wait || self.job.setup.policy.list_only {
                    return Arrival::Absent(state.clone());
                }
                self.persist(path, |arrivals| arrivals.make(parent, path, child))
                    .map(|handle| Arrival::Entered(DirState::New, There::made(handle)))
            }
            state @ (DirState::Avoided | DirState::Failed(_)) => {
                return Arrival::Avoided(state.clone());
            }
        };
        arrived.unwrap_or_else(|failure| Arrival::Avoided(DirState::Failed(failure)))
    }

    /// Tries an operation on a directory again while the disk as a whole is in trouble and tries are left. Everything that
    /// follows waits meanwhile: it would fare no better.
    pub(super) fn persist<T>(
        &mut self,
        path: &RelPath,
        act: impl Fn(&Self) -> Result<T, Fault>,
    ) -> Result<T, Failure> {
        loop {
            let Fault { failure, outlook, lacking_bytes } = match act(self) {
                Ok(done) => {
                    self.retries.note_success();
                    return Ok(done);
                }
                Err(fault) => fault,
            };
            if failure.windows_code == DISK_FULL && self.job.make_room(path, 0, lacking_bytes) {
                continue;
            }
            let wait = match outlook {
                Outlook::Outage => self.retries.next_wait(),
                Outlook::Passing | Outlook::Lasting => None,
            };
            let Some(wait) = wait else { return Err(failure) };
            self.job.tell(Event::Notice(format!(
                "{path}: {}; the directory is tried again in {} seconds",
                failure.reason,
                wait.as_secs()
            )));
            if self.job.stop.wait(wait) {
                return Err(failure);
            }
        }
    }

    fn open(&self, path: &RelPath) -> Result<There, Fault> {
        let enter = |error: io::Error| Fault::of(Operation::AccessDestinationDirectory, &error);
        let scan = |error: io::Error| Fault::of(Operation::ScanDestinationDirectory, &error);
        let tree = self.job.tree().ok_or_else(|| enter(io::ErrorKind::NotFound.into()))?;
        let handle = tree.root.open_path(path).map_err(enter)?;
        let found = Some(handle.own_stat().map_err(enter)?);
        let entries = handle.list().map_err(scan)?;
        let listed = self.listed(&handle, path, entries);
        Ok(There { handle, found, listed })
    }

    /// What the directory `path` holds, once what dead jobs left there is gone.
    fn listed(&self, dir: &DirHandle, path: &RelPath, entries: Vec<DiskEntry>) -> Vec<Listed> {
        let setup = &self.job.setup;
        if !setup.policy.list_only && entries.iter().any(|entry| entry.name.is_reserved()) {
            if let Err(error) = Share::sweep_beside(dir, &entries, PARTIAL_AGE_MAX, setup.began()) {
                tracing::warn!(%error, "leftovers of dead jobs stay");
            }
            if deletes(&setup.policy) && self.job.can_delete_in(dir) {
                self.clear_all(dir, path, &entries);
            }
        }
        presence::all(dir, entries, self.job.setup.policy.compares_attributes())
    }

    /// Makes a directory, in exchange for a file or link that stands in its place.
    fn make(
        &self,
        parent: &Arc<Folder>,
        path: &RelPath,
        child: &Child,
    ) -> Result<DirHandle, Fault> {
        let create = |error: io::Error| Fault::of(Operation::CreateDirectory, &error);
        let (_, name) = path.split_last().expect("the root has no directory above it");
        let name = &name;
        let above = self.job.open_or_make(parent)?;
        parent.touch();
        self.job.note_change();
        let Some(present) = &child.present else {
            return self.job.make_dir(&above, name).map_err(create);
        };
        let now = above.stat(name).map_err(create)?;
        let now = now.as_ref().map(|stat| presence::present(&above, name, stat));
        if !now.is_some_and(|now| present.is_unchanged(&now)) {
            return Err(Fault::lasting(CommitError::Changed.failure()));
        }
        if !self.job.can_delete_in(&above) {
            return Err(Fault::lasting(out_of_reach()));
        }
        if child.keeps_old {
            keep_version(&above, name, present.modified.seconds).map_err(create)?;
        }
        self.displace(parent, &above, path).map_err(create)
    }

    /// Makes a directory where a file or link stands. It is made beside and the two change places, so that the name is never
    /// free; what stood there bears a name then that no sweep takes for garbage, until it is done away with.
    fn displace(
        &self,
        parent: &Folder,
        above: &DirHandle,
        path: &RelPath,
    ) -> io::Result<DirHandle> {
        let (_, name) = path.split_last().expect("the root has no directory above it");
        let reserved = |extension| {
            presence::reserved_name(&self.job.setup.peer, &parent.path, &name, extension)
        };
        let aside = reserved(SWAP);
        // An earlier try may have come no further than the exchange.
        self.clear(above, &aside, path)?;
        let made = self.job.make_dir(above, &aside)?;
        match above.rename(&aside, above, &name, RenameMode::Exchange) {
            Err(error) if DirHandle::is_unknown_mode(&error) => {
                let coming = reserved(PARTIAL);
                self.clear(above, &coming, path)?;
                above.rename(&aside, above, &coming, RenameMode::Replace)?;
                above.step_aside(&name, &aside, above, &coming)?;
            }
            exchanged => exchanged?,
        }
        // The directory is in its place, whatever becomes of the other.
        if let Err(error) = self.job.put_aside(above, &aside, path, Aside::Entry) {
            self.job.tell_left_aside(path, &aside, &error);
        }
        Ok(made)
    }

    /// Does away with what gave way to directories of `path` in a job that died right then.
    fn clear_all(&self, dir: &DirHandle, path: &RelPath, entries: &[DiskEntry]) {
        let is_there = |name: &Name| entries.iter().any(|entry| entry.name == *name);
        for entry in entries.iter().filter(|entry| entry.stat.kind == DiskKind::Directory) {
            let aside = presence::reserved_name(&self.job.setup.peer, path, &entry.name, SWAP);
            let Ok(place) = path.join(&entry.name) else { continue };
            if is_there(&aside)
                && let Err(error) = self.clear(dir, &aside, &place)
            {
                self.job.tell_left_aside(&place, &aside, &error);
            }
        }
    }

    /// Frees a reserved name for a directory of ours: what else bears it stood at `path` before.
    fn clear(&self, above: &DirHandle, reserved: &Name, path: &RelPath) -> io::Result<()> {
        match above.stat(reserved)? {
            Some(stat) if stat.kind != DiskKind::Directory => {
                self.job.put_aside(above, reserved, path, Aside::Entry)
            }
            _ => Ok(()),
        }
    }
}

/// The failure of a directory in whose place a file stands that the trash cannot take.
fn out_of_reach() -> Failure {
    Failure::new(
        Operation::CreateDirectory,
        17,
        "a file on another file system than the trash is not replaced by a directory",
    )
}
