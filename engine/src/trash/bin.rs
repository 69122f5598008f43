//! Filling the trash.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use quicopy_protocol::path::{Name, RelPath};
use rustix::fs::Mode;
use rustix::io::Errno;

use super::Why;
use super::about::About;
use super::batch::{BELOW, Batch, Hold};
use super::name::BatchName;
use crate::disk::private::own_name;
use crate::disk::{DirHandle, DiskKind, Share};

/// Versions of one path that one run may put into the trash.
const BATCHES_MAX: u16 = 100;
/// Bit of a mode that lets the owner write.
const OWNER_WRITES: u16 = 0o200;

/// The trash as one run of a job fills it. Nothing is made before something goes into it.
#[derive(Debug)]
pub struct Bin {
    share: Arc<Share>,
    first: BatchName,
    about: About,
    open: Mutex<Vec<Open>>,
}

#[derive(Debug)]
struct Open {
    batch: Batch,
    _hold: Hold,
    /// The folder of the last thing: the next goes into it most of the time.
    last: Option<(RelPath, Why, DirHandle)>,
}

impl Bin {
    /// For the run of `job` that began at `begun`, in seconds of Unix time.
    pub fn new(share: Arc<Share>, job: [u8; 16], begun: i64, about: About) -> Self {
        let first = BatchName { begun, job, number: 1 };
        Self { share, first, about, open: Mutex::default() }
    }

    /// Whether what lies in `dir` can be moved here: it is on the same file system, through the same mount.
    pub fn takes_from(&self, dir: &DirHandle) -> bool {
        dir.is_on_mount_of(self.share.root())
    }

    /// Moves the entry `name` of `dir` here, with all that it holds. `path` is where it is below the share.
    ///
    /// # Errors
    /// It stays where it is: `EXDEV` from another file system.
    pub fn put(&self, dir: &DirHandle, name: &Name, path: &RelPath) -> io::Result<()> {
        self.at(path, Why::Deleted, |place| move_whole(dir, name, place, name))
    }

    /// Keeps a file or link that is about to be replaced: it gets a second name here, until the rename that follows takes it the
    /// first.
    ///
    /// # Errors
    /// It has none: `EPERM` or `EMLINK` where there are no, or no more, hard links.
    pub fn keep(&self, dir: &DirHandle, name: &Name, path: &RelPath, why: Why) -> io::Result<()> {
        self.at(path, why, |place| dir.link(name, place, name))
    }

    /// Takes back what [`keep`](Self::keep) did last for `path`: it was not replaced.
    pub fn keep_no_more(&self, path: &RelPath, name: &Name, why: Why) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for batch in open.iter_mut().rev() {
            if let Ok(place) = batch.place(path, why)
                && place.remove_file(name).is_ok()
            {
                return;
            }
        }
    }

    /// Moves a version that was exchanged for its successor, and bears the name `aside` now, here.
    ///
    /// # Errors
    /// It stays where it is.
    pub fn put_aside(
        &self,
        dir: &DirHandle,
        aside: &Name,
        path: &RelPath,
        why: Why,
    ) -> io::Result<()> {
        let Some((_, name)) = path.split_last() else { return Err(Errno::INVAL.into()) };
        self.at(path, why, |place| move_whole(dir, aside, place, &name))
    }

    /// Does something in the folder for `path`, in the first batch in which its name is free.
    fn at(
        &self,
        path: &RelPath,
        why: Why,
        act: impl Fn(&DirHandle) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for number in 1..=BATCHES_MAX {
            if open.len() < usize::from(number) {
                let name = BatchName { number, ..self.first };
                let (batch, hold) = Batch::make(&self.share, name, &self.about)?;
                open.push(Open { batch, _hold: hold, last: None });
            }
            let place = open[usize::from(number) - 1].place(path, why)?;
            match act(&place) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                done => return done,
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Open {
    /// The folder for the last component of `path`, made if it is not there.
    fn place(&mut self, path: &RelPath, why: Why) -> io::Result<DirHandle> {
        let Some((parent, _)) = path.split_last() else { return Err(Errno::INVAL.into()) };
        if let Some((_, _, place)) =
            self.last.as_ref().filter(|(last, reason, _)| *last == parent && *reason == why)
        {
            return Ok(place.clone());
        }
        let mut node = self.batch.dir.clone();
        for name in parent.names() {
            node = node.open_or_make_dir(&own_name(BELOW))?.open_or_make_dir(&name)?;
        }
        let place = node.open_or_make_dir(&own_name(why.folder()))?;
        self.last = Some((parent, why, place.clone()));
        Ok(place)
    }
}

/// Moves an entry with its content to a name that is free.
///
/// A directory that its owner may not write to cannot be moved as it is: the system writes in it where it is now.
pub(super) fn move_whole(
    dir: &DirHandle,
    name: &Name,
    into: &DirHandle,
    to: &Name,
) -> io::Result<()> {
    let denied = match dir.move_to_free(name, into, to) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => error,
        moved => return moved,
    };
    let closed = dir.stat(name)?.filter(|stat| stat.kind == DiskKind::Directory);
    let Some(mode) = closed.map(|stat| stat.mode).filter(|mode| mode & OWNER_WRITES == 0) else {
        return Err(denied);
    };
    let moving = dir.open_dir(name)?;
    // With all of its bits, which nobody else asked for: it is to be what it was.
    let set = |mode: u16| rustix::fs::fchmod(&moving, Mode::from_raw_mode(mode.into()));
    set(mode | OWNER_WRITES)?;
    let moved = dir.move_to_free(name, into, to);
    set(mode)?;
    moved
}
