//! The root of a share.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quicopy_protocol::meta::Timestamp;
use quicopy_protocol::path::{Name, PARTIAL_PREFIX, PRIVATE_DIR, RelPath};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::directory::{DirHandle, DiskEntry, NewDirMode, Placement};
use super::identity::ID_VERSION;
use super::metadata::MetaChange;
use super::private::{PrivateDir, SWAP, TEMP, is_older, own_name};
use super::stat::DiskKind;

/// How long an interrupted file keeps what it has when no job comes back for it.
pub const PARTIAL_AGE_MAX: Duration = Duration::from_secs(14 * 24 * 3600);

/// Names that may be taken in a row before that is an error.
const TEMP_NAMES_TRIED: u32 = 1000;

/// Why a share cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// Its root cannot be opened or made.
    #[error("{path}: cannot be opened", path = .path.display())]
    Root {
        /// The root as configured.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its private folder cannot be made or used.
    #[error("the folder {PRIVATE_DIR} cannot be used")]
    Private(#[source] io::Error),
    /// Its private folder is not what we would have made: someone else may read, write or have swapped it.
    #[error("the folder {PRIVATE_DIR} is not ours alone: {0}")]
    Foreign(&'static str),
    /// Another process uses it.
    #[error("another quicopy process uses this share")]
    Locked,
    /// Its identity was written by a newer version.
    #[error(
        "the share's identity has format {found}, this version knows {ID_VERSION}: update quicopy-agent"
    )]
    NewerId {
        /// The format's number.
        found: String,
    },
    /// Its identity is there and cannot be understood.
    #[error("the share's identity is damaged: check the disk, then adopt the share again")]
    DamagedId,
}

/// A folder that may be written, opened once.
#[derive(Debug)]
pub struct Share {
    root: DirHandle,
    private: Mutex<Option<Arc<PrivateDir>>>,
    degraded: AtomicBool,
    temp_names: AtomicU64,
}

/// The root of one job: a directory of the share.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The share it lies in.
    pub share: Arc<Share>,
    /// Its path below the share's root.
    pub path: RelPath,
    /// Its handle.
    pub root: DirHandle,
}

impl Share {
    /// Opens an existing folder. This is the one place where a path text is resolved, links included: it is the
    /// administrator's own.
    ///
    /// # Errors
    /// The folder cannot be opened or is none.
    pub fn open(path: &Path) -> Result<Self, ShareError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())
            .map_err(io::Error::from)
            .and_then(DirHandle::new)
            .map_err(|source| ShareError::Root { path: path.to_owned(), source })?;
        Ok(Self {
            root,
            private: Mutex::new(None),
            degraded: AtomicBool::new(false),
            temp_names: AtomicU64::new(0),
        })
    }

    /// Opens a folder, and makes it first, with what is missing above it: for a local destination.
    ///
    /// # Errors
    /// As [`open`](Self::open), and when it cannot be made.
    #[expect(clippy::disallowed_methods, reason = "the user's own path, before there is a handle")]
    pub fn open_or_make(path: &Path) -> Result<Self, ShareError> {
        std::fs::create_dir_all(path)
            .map_err(|source| ShareError::Root { path: path.to_owned(), source })?;
        Self::open(path)
    }

    /// The share's root.
    pub fn root(&self) -> &DirHandle {
        &self.root
    }

    /// Whether a sync failed: what was written since is not to be trusted, and no new job may begin until the disk was looked at.
    pub fn is_degraded(&self) -> bool {
        self.degraded.load(Ordering::Acquire)
    }

    /// Notes that a sync failed; see [`is_degraded`](Self::is_degraded).
    pub fn mark_degraded(&self) {
        self.degraded.store(true, Ordering::Release);
    }

    /// The private folder, made and locked at first use. What crashed jobs left there without a record is removed then.
    ///
    /// # Errors
    /// It cannot be made, is not ours alone, or another process holds it.
    pub fn private(&self) -> Result<Arc<PrivateDir>, ShareError> {
        let mut held = self.private.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(private) = &*held {
            return Ok(Arc::clone(private));
        }
        let private = Arc::new(PrivateDir::open(&self.root)?);
        private.remove_unclaimed().map_err(ShareError::Private)?;
        *held = Some(Arc::clone(&private));
        Ok(private)
    }

    /// Whether another process works in the share: its private folder is there, and locked. Makes nothing.
    pub fn is_in_use(&self) -> bool {
        self.has_private() && matches!(self.private(), Err(ShareError::Locked))
    }

    fn has_private(&self) -> bool {
        self.root.stat(&own_name(PRIVATE_DIR)).is_ok_and(|found| found.is_some())
    }

    /// Opens a job's root; `None` if there is nothing at `path`.
    ///
    /// # Errors
    /// What is there is no directory, or a link on the way to it; `EACCES` for our own folder.
    pub fn tree(self: &Arc<Self>, path: &RelPath) -> io::Result<Option<Tree>> {
        check_addressable(path)?;
        match self.root.open_path(path) {
            Ok(root) => Ok(Some(Tree { share: Arc::clone(self), path: path.clone(), root })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens a job's root, and makes it first, with what is missing above it, with the mode that the process gives new folders.
    ///
    /// # Errors
    /// It cannot be made, or something that is no directory is in the way.
    pub fn make_tree(self: &Arc<Self>, path: &RelPath) -> io::Result<Tree> {
        check_addressable(path)?;
        let mut root = self.root.clone();
        for name in path.names() {
            root = root.make_or_open_dir(&name, NewDirMode::Usual)?;
        }
        Ok(Tree { share: Arc::clone(self), path: path.clone(), root })
    }

    /// Removes partial files that no job came back for within `age_max`, with their records; returns how many.
    ///
    /// `now` is the wall clock: do not call this while it is in doubt. Makes no private folder.
    ///
    /// # Errors
    /// The private folder cannot be used or read.
    pub fn sweep(&self, age_max: Duration, now: Timestamp) -> Result<u64, ShareError> {
        if !self.has_private() {
            return Ok(0);
        }
        self.private()?.remove_old(age_max, now).map_err(ShareError::Private)
    }

    /// Removes the private folder if nothing is in it: after a job on a local destination.
    ///
    /// # Errors
    /// It cannot be looked at. A folder that holds something stays, and that is no error.
    pub fn tidy(&self) -> io::Result<()> {
        let mut held = self.private.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(private) = &*held else { return Ok(()) };
        if !private.is_empty()? {
            return Ok(());
        }
        // The root's time is what the job left there, not when its helper went.
        let modified = Some(self.root.own_stat()?.modified);
        private.remove(&self.root)?;
        *held = None;
        let change = MetaChange { modified, ..MetaChange::default() };
        self.root.set_own_meta(&change, None).map(drop)
    }

    /// A name for a file on its way that need not be found again, different from all others of this process.
    pub(crate) fn temp_name(&self, placement: Placement) -> Name {
        let process = rustix::process::getpid().as_raw_nonzero().get();
        let number = self.temp_names.fetch_add(1, Ordering::Relaxed);
        partial_name(placement, &format!("{process:08x}{number:024x}"), TEMP)
    }

    /// Makes something under a name that need not be found again, trying on while names are taken: the numbers of a dead
    /// process come again, and beside a target anybody may have guessed one.
    pub(crate) fn make_temp<M>(
        &self,
        placement: Placement,
        make: impl Fn(&Name) -> io::Result<M>,
    ) -> io::Result<(Name, M)> {
        let mut last = Errno::EXIST.into();
        for _ in 0..TEMP_NAMES_TRIED {
            let name = self.temp_name(placement);
            match make(&name) {
                Ok(made) => return Ok((name, made)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// Removes what dead jobs left beside their targets in a directory just listed: reserved name, ours, regular, older than
    /// `age_max`. An old version that was displaced stays: it is no garbage. Returns how many.
    ///
    /// # Errors
    /// One of them cannot be removed.
    pub fn sweep_beside(
        dir: &DirHandle,
        entries: &[DiskEntry],
        age_max: Duration,
        now: Timestamp,
    ) -> io::Result<u64> {
        let mut removed = 0;
        for DiskEntry { name, stat } in entries {
            let ours = stat.kind == DiskKind::File || stat.kind == DiskKind::Link;
            if ours
                && name.as_bytes().starts_with(PARTIAL_PREFIX.as_bytes())
                && !is_displaced(name)
                && stat.owner == rustix::process::geteuid().as_raw()
                && is_older(stat.changed, now, age_max.as_secs())
            {
                dir.remove_file(name)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Whether the name is that of an old version which something else took the place of.
fn is_displaced(name: &Name) -> bool {
    let stem = name.as_bytes().strip_suffix(SWAP.as_bytes());
    stem.is_some_and(|stem| stem.ends_with(b"."))
}

/// Our own folder is nobody's destination.
fn check_addressable(path: &RelPath) -> io::Result<()> {
    if path.names().any(|name| name.is_reserved()) { Err(Errno::ACCESS.into()) } else { Ok(()) }
}

/// The name of a file on its way: `stem` is 32 characters, so that every target has one whatever its own length.
pub(crate) fn partial_name(placement: Placement, stem: &str, extension: &str) -> Name {
    match placement {
        Placement::Private => own_name(&format!("{stem}.{extension}")),
        Placement::Beside => own_name(&format!("{PARTIAL_PREFIX}{stem}.{extension}")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests set the stage with std")]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_job_below_the_root_gets_its_directories_and_no_private_folder() {
        let temp = tempfile::tempdir().unwrap();
        let share = Arc::new(Share::open_or_make(&temp.path().join("new/share")).unwrap());
        let path = RelPath::parse(b"a/b").unwrap();
        assert!(share.tree(&path).unwrap().is_none());
        assert_eq!(share.sweep(PARTIAL_AGE_MAX, Timestamp::default()).unwrap(), 0);
        let made = share.make_tree(&path).unwrap();
        let found = share.tree(&path).unwrap().unwrap();
        assert_eq!(made.root.inode(), found.root.inode());
        assert_eq!(share.root().list().unwrap().len(), 1);
        share.tidy().unwrap();
    }

    #[test]
    fn what_holds_something_is_not_tidied_away() {
        let temp = tempfile::tempdir().unwrap();
        let share = Share::open(temp.path()).unwrap();
        share.private().unwrap();
        let held = temp.path().join(".quicopy/partial/x.swap");
        fs::write(&held, "").unwrap();
        share.tidy().unwrap();
        assert!(held.exists());
        fs::remove_file(held).unwrap();
        share.tidy().unwrap();
        assert!(!temp.path().join(".quicopy").exists());
    }

    #[test]
    fn only_old_files_of_ours_under_a_reserved_name_are_swept_beside_targets() {
        let temp = tempfile::tempdir().unwrap();
        let share = Share::open(temp.path()).unwrap();
        for name in
            [".~quicopy-0.part", ".~quicopy-0.swap", "mine", ".~quicopy", ".~Quicopy-0.part"]
        {
            fs::write(temp.path().join(name), "").unwrap();
        }
        fs::create_dir(temp.path().join(".~quicopy-dir")).unwrap();
        let entries = share.root().list().unwrap();
        let written = entries[0].stat.changed;
        let later = |seconds| Timestamp { seconds: written.seconds + seconds, ..written };
        let sweep = |now| {
            Share::sweep_beside(share.root(), &entries, Duration::from_secs(60), now).unwrap()
        };
        assert_eq!(sweep(later(60)), 0);
        assert_eq!(sweep(later(70)), 1);
        assert_eq!(share.root().list().unwrap().len(), 5);
    }
}
