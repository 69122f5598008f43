//! What something else took the place of: removed, or moved to the trash.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use quicopy_protocol::code::Failure;
use quicopy_protocol::path::{Name, RelPath};

use super::event::Event;
use super::job::Job;
use super::setup::Setup;
use crate::disk::space::Space;
use crate::disk::{DirHandle, DiskKind};
use crate::trash::{self, About, Bin, Why};

/// Least that is freed at once: many small files find no space one after the other.
const ROOM_BYTES_MIN: u64 = 64 << 20;

/// The trash that a job's deletions go to, if its destination keeps one. Nothing is made before something goes there.
pub(super) fn bin(setup: &Setup) -> Option<Arc<Bin>> {
    let rules = setup.trash.as_ref()?;
    let about = About { by: rules.by.clone(), days: rules.days };
    let bin = Bin::new(Arc::clone(&setup.share), rules.job, setup.began().seconds, about);
    Some(Arc::new(bin))
}

impl Job {
    /// The trash, if former versions of files go there, too.
    pub(super) fn bin_of_versions(&self) -> Option<&Arc<Bin>> {
        self.bin.as_ref().filter(|_| self.setup.policy.trash_days.is_some())
    }

    /// Whether what is deleted in `dir` can go where it must: without a trash anywhere, else as far as its file system reaches.
    pub(super) fn can_delete_in(&self, dir: &DirHandle) -> bool {
        self.bin.as_ref().is_none_or(|bin| bin.takes_from(dir))
    }

    /// Says that a job that asks for a trash works without one.
    pub(super) fn tell_no_trash(&self) {
        let policy = &self.setup.policy;
        if policy.trash_days.is_some() && self.bin.is_none() && !policy.list_only {
            self.tell(Event::Notice(
                "/TRASH: this destination keeps none (trash = \"off\" in its configuration); what is deleted or overwritten is gone"
                    .to_owned(),
            ));
        }
    }

    /// Says, once, that something is not deleted for being out of the trash's reach.
    pub(super) fn tell_out_of_reach(&self) {
        if !self.told_out_of_reach.swap(true, Ordering::Relaxed) {
            self.tell(Event::Notice(
                "what only the destination has is kept where another file system than the trash's is mounted; \
                 it is deleted there only by a share without a trash"
                    .to_owned(),
            ));
        }
    }

    /// Frees space for something in the directory `path`, as [`make_room_in`](Self::make_room_in).
    pub(super) fn make_room(&self, path: &RelPath, bytes: u64) -> bool {
        let Some(tree) = self.tree() else { return false };
        let dir = std::iter::successors(Some(path.clone()), |path| Some(path.split_last()?.0))
            .find_map(|path| tree.root.open_path(&path).ok());
        dir.is_some_and(|dir| self.make_room_in(&dir, bytes))
    }

    /// Frees space for something in a directory that found none, by giving up the oldest things in the trash; says whether
    /// there is any more now. Another file system gains nothing by that.
    pub(super) fn make_room_in(&self, dir: &DirHandle, bytes: u64) -> bool {
        if !self.bin.as_ref().is_some_and(|bin| bin.takes_from(dir)) {
            return false;
        }
        match trash::give_back(&self.setup.share, bytes.max(ROOM_BYTES_MIN)) {
            Ok(0) => false,
            Ok(freed) => {
                self.tell(Event::Notice(format!(
                    "the destination is full; {freed} bytes of the oldest things in its trash were given up"
                )));
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the trash cannot be given up");
                false
            }
        }
    }

    /// Adds to the failure of a file that found no space how much it takes, and where to get it.
    pub(super) fn explain_full(&self, failure: &mut Failure, size_bytes: u64) {
        if let Ok(space) = Space::of(self.setup.share.root()) {
            let lacking = size_bytes.saturating_sub(space.usable_bytes());
            failure.reason += &match lacking {
                0 => format!("; {} bytes are left", space.free_bytes),
                lacking => format!("; {lacking} bytes are lacking"),
            };
        }
        if self.bin.is_some() {
            failure.reason += "; when no job runs: quicopy-agent trash empty";
        }
    }

    /// Does away with what bears the name `aside` in `dir` and stood at `path` below the job's root until something else took
    /// its place. Returns how many entries that were.
    ///
    /// # Errors
    /// It, or a part of it, stays under that name.
    pub(super) fn put_aside(
        &self,
        dir: &DirHandle,
        aside: &Name,
        path: &RelPath,
        why: Why,
    ) -> io::Result<u64> {
        let bin = match why {
            Why::Deleted => self.bin.as_ref().filter(|bin| bin.takes_from(dir)),
            Why::Overwritten => self.bin_of_versions(),
        };
        let Some(bin) = bin else { return remove_whole(dir, aside) };
        let path = self.setup.below_share(path).ok_or(io::ErrorKind::InvalidFilename)?;
        let entries = trash::count(dir, aside)?;
        bin.put_aside(dir, aside, &path, why)?;
        if why == Why::Deleted {
            self.note_trashed(entries);
        }
        Ok(entries)
    }
}

/// Removes a file, or a directory with all that it holds. Never follows a link. Returns how many entries that were.
fn remove_whole(dir: &DirHandle, name: &Name) -> io::Result<u64> {
    let Some(stat) = dir.stat(name)? else { return Ok(0) };
    if dir.is_mount_point(&stat) {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    let mut removed = 1;
    if stat.kind == DiskKind::Directory {
        let inner = dir.open_dir(name)?;
        for entry in inner.list()? {
            removed += remove_whole(&inner, &entry.name)?;
        }
        dir.remove_dir(name)?;
    } else {
        dir.remove_file(name)?;
    }
    Ok(removed)
}
