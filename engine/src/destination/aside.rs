//! What something else took the place of: removed, or moved to the trash.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use quicopy_protocol::code::Failure;
use quicopy_protocol::path::{Name, RelPath};
use rustix::io::Errno;

use super::event::Event;
use super::job::Job;
use super::setup::Setup;
use super::tree_state::TreeState;
use crate::disk::space::Space;
use crate::disk::{DirHandle, DiskKind};
use crate::trash::{self, About, Bin, Why};

/// Least that is freed at once: many small files find no space one after the other.
const ROOM_BYTES_MIN: u64 = 64 << 20;

/// What to do where the trash does not reach.
pub(super) const WITHOUT_TRASH: &str =
    "leave /TRASH away, or set trash = \"off\" for the agent's share,";

/// What something else took the place of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Aside {
    /// A version of a file or link, which a newer one took the place of.
    Version,
    /// A file or link, which an entry of another kind took the place of.
    Entry,
    /// A directory, which a file or link took the place of: all that it held when that was judged.
    Tree(TreeState),
}

impl Aside {
    pub(super) fn why(self) -> Why {
        match self {
            Self::Version => Why::Overwritten,
            Self::Entry | Self::Tree(_) => Why::Deleted,
        }
    }
}

/// The trash that a job's deletions go to, if its destination keeps one. Nothing is made before something goes there.
pub(super) fn bin(setup: &Setup) -> Option<Arc<Bin>> {
    let rules = setup.trash.as_ref()?;
    let about = About { by: rules.by.clone(), days: rules.days };
    let bin = Bin::new(Arc::clone(&setup.share), rules.job, setup.began().seconds, about);
    Some(Arc::new(bin))
}

impl Job {
    /// The trash, if what goes for this reason goes there.
    pub(super) fn bin_for(&self, why: Why) -> Option<&Arc<Bin>> {
        match why {
            Why::Deleted => self.bin.as_ref(),
            Why::Overwritten => self.bin_of_versions(),
        }
    }

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

    /// Says, once, that something in the directory `path` is not deleted for being out of the trash's reach.
    pub(super) fn tell_out_of_reach(&self, path: &RelPath) {
        if !self.told_out_of_reach.swap(true, Ordering::Relaxed) {
            self.tell(Event::Notice(format!(
                "{path}: what only the destination has is kept where another file system than the trash's is mounted; \
                 {WITHOUT_TRASH} and it is deleted for good"
            )));
        }
    }

    /// Frees space for something of `size_bytes` in the directory `path` that found none, by giving up the oldest things in
    /// the trash; says whether there is any more now. `lacking_bytes` is what it is short of, where that is known.
    ///
    /// No more is given up than is lacking, and nothing where that would not do, or is on another file system.
    pub(super) fn make_room(
        &self,
        path: &RelPath,
        size_bytes: u64,
        lacking_bytes: Option<u64>,
    ) -> bool {
        let (Some(tree), Some(bin)) = (self.tree(), &self.bin) else { return false };
        let dir = std::iter::successors(Some(path.clone()), |path| Some(path.split_last()?.0))
            .find_map(|path| tree.root.open_path(&path).ok());
        let Some(dir) = dir.filter(|dir| bin.takes_from(dir)) else { return false };
        let Ok(space) = Space::of(&dir) else { return false };
        let Some((needed, wanted)) = shortage(space.usable_bytes(), size_bytes, lacking_bytes)
        else {
            return false;
        };
        match trash::give_back(&self.setup.share, needed, wanted) {
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

    /// Says that what something else took the place of could not be [put aside](Self::put_aside).
    pub(super) fn tell_left_aside(&self, path: &RelPath, aside: &Name, error: &io::Error) {
        let reason = match Errno::from_io_error(error) {
            Some(Errno::XDEV) => {
                format!("another file system than the trash's is mounted there; {WITHOUT_TRASH}")
            }
            _ => error.to_string(),
        };
        self.tell(Event::Notice(format!(
            "{path}: what stood there before could not be removed from beside it ({aside}): {reason}"
        )));
    }

    /// Does away with what bears the name `aside` in `dir` and stood at `path` below the job's root until something else took
    /// its place. What was deleted by that is counted.
    ///
    /// # Errors
    /// It, or a part of it, stays under that name: `EXDEV` where the trash does not reach. For good goes only what is still what
    /// was judged.
    pub(super) fn put_aside(
        &self,
        dir: &DirHandle,
        aside: &Name,
        path: &RelPath,
        was: Aside,
    ) -> io::Result<()> {
        let why = was.why();
        let bin = self.bin_for(why);
        let entries = match bin {
            None => {
                if let Aside::Tree(judged) = was
                    && TreeState::of(dir, aside)? != judged
                {
                    return Err(io::Error::other("something in it was changed during the job"));
                }
                remove_whole(dir, aside)?
            }
            // What is to be got back is not removed because it is hard to keep.
            Some(bin) if !bin.takes_from(dir) => return Err(Errno::XDEV.into()),
            Some(bin) => {
                let path = self.setup.below_share(path).ok_or(io::ErrorKind::InvalidFilename)?;
                let entries = trash::count(dir, aside)?;
                bin.put_aside(dir, aside, &path, why)?;
                entries
            }
        };
        self.note_gone(why, entries);
        Ok(())
    }

    /// Counts what something else took the place of, if that deleted it.
    pub(super) fn note_gone(&self, why: Why, entries: u64) {
        if why == Why::Deleted {
            self.note_displaced(entries);
            if self.bin.is_some() {
                self.note_trashed(entries);
            }
        }
    }
}

/// How many bytes must be given up for something of `size_bytes`, and how many are in one go; `None` if space is not what it
/// lacks.
fn shortage(usable: u64, size_bytes: u64, lacking_bytes: Option<u64>) -> Option<(u64, u64)> {
    let needed = lacking_bytes.unwrap_or(size_bytes.saturating_sub(usable));
    let is_short = needed > 0 || usable < ROOM_BYTES_MIN;
    is_short.then_some((needed, needed.max(ROOM_BYTES_MIN)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trash_gives_up_what_is_lacking_and_not_what_is_free() {
        let gib = 1 << 30;
        assert_eq!(shortage(3 * gib, 5 * gib, None), Some((2 * gib, 2 * gib)));
        assert_eq!(shortage(gib, gib + 1, None), Some((1, ROOM_BYTES_MIN)));
        assert_eq!(shortage(0, 0, None), Some((0, ROOM_BYTES_MIN)));
        assert_eq!(
            shortage(5 * gib, 5 * gib, None),
            None,
            "something else is used up, such as a quota"
        );
        assert_eq!(
            shortage(5 * gib, gib, Some(gib)),
            Some((gib, gib)),
            "others will take the rest"
        );
    }
}
