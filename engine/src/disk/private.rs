//! The folder in a share's root that belongs to us alone, and the lock in it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use quicopy_protocol::meta::Timestamp;
use quicopy_protocol::path::{Name, PRIVATE_DIR};
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::directory::{DirHandle, DiskEntry};
use super::file::stat_of_file;
use super::share::ShareError;
use super::stat::DiskKind;

/// Extension of a partial file that is found again by its name.
pub(crate) const PARTIAL: &str = "part";
/// Extension of the record of a partial in the same folder. The two go together.
pub(crate) const RECORD: &str = "log";
/// Extension of the record of a partial that stands beside its target, where only a job that comes by sees it.
pub(crate) const RECORD_BESIDE: &str = "away";
/// Extension of what an exchange took out of its place: kept until its age ends it, since it is somebody's old version.
pub(crate) const SWAP: &str = "swap";
/// Extension of what need not be found again.
pub(crate) const TEMP: &str = "tmp";

/// A lock lives on for a moment where its holder has just been killed, or has forked and the child has yet to execute its
/// program: how often, and after what time, it is tried again.
const LOCK_TRIES: u32 = 25;
const LOCK_WAIT: Duration = Duration::from_millis(10);

const PARTIAL_DIR: &str = "partial";
const LOCK_FILE: &str = "lock";

/// The folder `.quicopy/` in a share's root while this process holds its lock.
#[derive(Debug)]
pub struct PrivateDir {
    dir: DirHandle,
    partial: DirHandle,
    // Held, not read: closing it gives the lock back.
    _lock: OwnedFd,
}

impl PrivateDir {
    pub(super) fn open(root: &DirHandle) -> Result<Self, ShareError> {
        let dir = root.open_or_make_dir(&own_name(PRIVATE_DIR)).map_err(ShareError::Private)?;
        check_private(&dir, root)?;
        let lock = lock(&dir)?;
        let partial = dir.open_or_make_dir(&own_name(PARTIAL_DIR)).map_err(ShareError::Private)?;
        check_private(&partial, root)?;
        Ok(Self { dir, partial, _lock: lock })
    }

    /// The folder of partial files and their records.
    pub fn partial(&self) -> &DirHandle {
        &self.partial
    }

    /// The folder itself, for what else belongs in it, such as the trash.
    pub fn dir(&self) -> &DirHandle {
        &self.dir
    }

    pub(super) fn is_empty(&self) -> io::Result<bool> {
        let own = [PARTIAL_DIR, LOCK_FILE].map(str::as_bytes);
        let holds_more = self.dir.list()?.iter().any(|entry| !own.contains(&entry.name.as_bytes()));
        Ok(!holds_more && self.partial.list()?.is_empty())
    }

    /// Removes the folder, which must be [empty](Self::is_empty), and the lock with it.
    pub(super) fn remove(&self, root: &DirHandle) -> io::Result<()> {
        self.dir.remove_dir(&own_name(PARTIAL_DIR))?;
        self.dir.remove_file(&own_name(LOCK_FILE))?;
        root.remove_dir(&own_name(PRIVATE_DIR))
    }

    /// Removes what was on its way when a process died and of which no later job can make anything.
    pub(super) fn remove_unclaimed(&self) -> io::Result<()> {
        let entries = self.partial.list()?;
        let has = |stem: &str, extension: &str| {
            let wanted = format!("{stem}.{extension}");
            let by_name = |entry: &DiskEntry| entry.name.as_bytes().cmp(wanted.as_bytes());
            entries.binary_search_by(by_name).is_ok()
        };
        for DiskEntry { name, stat } in &entries {
            let Some((stem, extension)) = split(name) else { continue };
            let is_garbage = match extension {
                TEMP => true,
                PARTIAL => !has(stem, RECORD),
                RECORD => !has(stem, PARTIAL),
                _ => false,
            };
            if is_garbage && stat.kind != DiskKind::Directory {
                self.partial.remove_file(name)?;
            }
        }
        Ok(())
    }

    /// Removes what no job came back for within `age_max`; returns how many files, a partial and its record counting once.
    pub(super) fn remove_old(&self, age_max: Duration, now: Timestamp) -> io::Result<u64> {
        let mut removed = 0;
        let is_old = |then| is_older(then, now, age_max.as_secs());
        for DiskEntry { name, stat } in self.partial.list()? {
            let Some((stem, extension)) = split(&name) else { continue };
            // A record is written, or touched, whenever a job comes by; a swapped file bears its old owner's time.
            let is_due = match extension {
                RECORD | RECORD_BESIDE => is_old(stat.modified),
                SWAP => is_old(stat.changed),
                _ => false,
            };
            if !is_due || stat.kind == DiskKind::Directory {
                continue;
            }
            if extension == RECORD {
                self.partial.remove_file(&own_name(&format!("{stem}.{PARTIAL}")))?;
            }
            self.partial.remove_file(&name)?;
            removed += 1;
        }
        Ok(removed)
    }
}

/// Stem and extension of a name in the folder; `None` for one that we did not give.
fn split(name: &Name) -> Option<(&str, &str)> {
    std::str::from_utf8(name.as_bytes()).ok()?.split_once('.')
}

/// A name that this program gives.
pub(crate) fn own_name(text: &str) -> Name {
    Name::new(text.as_bytes()).expect("our own names are short and hold no slash")
}

/// Whether the folder is one that nobody else can have prepared.
pub(super) fn check_private(dir: &DirHandle, root: &DirHandle) -> Result<(), ShareError> {
    let stat = dir.own_stat().map_err(ShareError::Private)?;
    if stat.owner != rustix::process::geteuid().as_raw() {
        return Err(ShareError::Foreign("another user owns it"));
    }
    if stat.mode & 0o077 != 0 {
        return Err(ShareError::Foreign("its mode lets others in; it must be 0700"));
    }
    if stat.device != root.device() {
        return Err(ShareError::Foreign("it lies on another file system than the share"));
    }
    Ok(())
}

fn lock(dir: &DirHandle) -> Result<OwnedFd, ShareError> {
    let name = own_name(LOCK_FILE);
    let mut tries_left = LOCK_TRIES;
    loop {
        let file = match dir.create_file(&name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match dir.open_file_for_update(&name) {
                    // Its holder removed it just now.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    opened => opened.map(|(file, _)| file),
                }
            }
            made => made,
        }
        .map_err(ShareError::Private)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) if tries_left > 0 => {
                tries_left -= 1;
                std::thread::sleep(LOCK_WAIT);
                continue;
            }
            Err(Errno::WOULDBLOCK) => return Err(ShareError::Locked),
            Err(error) => return Err(ShareError::Private(error.into())),
        }
        // The last holder may have removed the file between our opening and locking it: then the lock is nobody's.
        if is_still_at(&file, dir, &name).map_err(ShareError::Private)? {
            return Ok(file.into());
        }
    }
}

fn is_still_at(file: &File, dir: &DirHandle, name: &Name) -> io::Result<bool> {
    let held = stat_of_file(file)?;
    Ok(dir.stat(name)?.is_some_and(|found| found.is_same_inode(&held)))
}

/// Whether `now` is later than `then` by more than `age_seconds`.
pub(super) fn is_older(then: Timestamp, now: Timestamp, age_seconds: u64) -> bool {
    now.seconds.saturating_sub(then.seconds) > i64::try_from(age_seconds).unwrap_or(i64::MAX)
}
