//! How a finished entry takes its place.

use std::fs::File;
use std::io;
use std::sync::Arc;

use quicopy_protocol::meta::Digest;
use quicopy_protocol::path::{Name, PARTIAL_PREFIX, RelPath};
use quicopy_protocol::verdict::Origins;
use rustix::io::Errno;

use super::error::CommitError;
use crate::disk::private::SWAP;
use crate::disk::share;
use crate::disk::{DirHandle, DiskKind, Ignored, Placement, RenameMode, Stat};
use crate::journal::sidecar;
use crate::trash::{Bin, Why};

/// Old entries of one path that may wait for somebody to remove them.
const SWAPS_MAX: usize = 64;

/// What the job saw at the target's name when it decided, and what is to become of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// Nothing stood there, and nothing may be replaced.
    New,
    /// This file, link or special file is replaced.
    Replace(Stat),
    /// This one, which may be a directory, changes places with the new entry: its owner removes it or moves it to the trash.
    Exchange(Stat),
}

impl Place {
    /// What stood at the name.
    pub fn old(&self) -> Option<&Stat> {
        match self {
            Self::New => None,
            Self::Replace(old) | Self::Exchange(old) => Some(old),
        }
    }

    /// How to rename, given what stands at the name now; `None` if that is not what the job saw.
    ///
    /// A target that vanished is as good as one that never was: nothing is lost by writing it.
    pub fn decide(&self, found: Option<&Stat>) -> Option<RenameMode> {
        let Some(found) = found else { return Some(RenameMode::KeepOld) };
        match self {
            Self::New => None,
            Self::Replace(old) => (found.is_same_version(old) && found.kind != DiskKind::Directory)
                .then_some(RenameMode::Replace),
            // What is in a directory is its owner's to judge, and adding to it moves its time.
            Self::Exchange(old) if old.kind == DiskKind::Directory => {
                found.is_same_inode(old).then_some(RenameMode::Exchange)
            }
            Self::Exchange(old) => found.is_same_version(old).then_some(RenameMode::Exchange),
        }
    }
}

/// What an exchange took out of the new entry's way, and where it is now. The caller removes it or moves it to the trash.
#[derive(Clone, Debug)]
pub struct Displaced {
    /// The directory that holds it now.
    pub dir: DirHandle,
    /// Its name there, a reserved one.
    pub name: Name,
}

/// What must be synced before an entry may take its place.
#[derive(Clone, Debug)]
pub(crate) enum Covered {
    /// The file system that holds the share.
    FileSystem,
    /// The file alone. Its descriptor is the one it was written through, since errors are reported to that one.
    File(Arc<File>),
    /// A link, which is nothing but a name.
    Name,
}

/// An entry that is complete, checked and has its metadata, under a name that is not yet its own.
#[derive(Debug)]
pub struct Ready {
    pub(crate) from: Displaced,
    pub(crate) record: Option<(DirHandle, Name)>,
    pub(crate) dir: DirHandle,
    pub(crate) name: Name,
    pub(crate) place: Place,
    pub(crate) inode: u64,
    pub(crate) covered: Covered,
    pub(crate) size_bytes: u64,
    pub(crate) digest: Option<Digest>,
    pub(crate) origins: Origins,
    pub(crate) ignored: Ignored,
    // Set by the rename: from then on the name it came from is not its own any more.
    pub(crate) is_placed: bool,
    // Where the old entry went, once an exchange has happened.
    pub(crate) displaced: Option<Displaced>,
    // Where what is replaced is kept.
    pub(crate) keeps: Option<Keeps>,
}

/// Where a file or link that is about to be replaced is kept.
#[derive(Clone, Debug)]
pub(crate) struct Keeps {
    bin: Arc<Bin>,
    path: RelPath,
    why: Why,
}

impl Ready {
    /// Keeps the file or link that is replaced, if one is, in the trash, as gone for this reason; `path` is the entry's below the
    /// share.
    pub fn keep_old(&mut self, bin: &Arc<Bin>, path: RelPath, why: Why) {
        self.keeps = Some(Keeps { bin: Arc::clone(bin), path, why });
    }

    /// Size of the content in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Renames the entry into its place and describes it there.
    ///
    /// # Errors
    /// The target is not what the job saw, or the file system refuses; then the target is as it was.
    pub(crate) fn put(&mut self) -> Result<Stat, CommitError> {
        let found = self.dir.stat(&self.name).map_err(CommitError::Disk)?;
        let mode = self.place.decide(found.as_ref()).ok_or_else(|| self.is_taken())?;
        let mode = self.link_old(mode).map_err(CommitError::NotKept)?;
        self.rename(mode).inspect_err(|_| self.keep_no_more(mode)).map_err(|error| {
            match Errno::from_io_error(&error) {
                Some(Errno::EXIST) if mode == RenameMode::KeepOld => CommitError::Changed,
                Some(Errno::XDEV) => {
                    self.dir.note_refused_rename();
                    CommitError::Disk(error)
                }
                _ => CommitError::Disk(error),
            }
        })?;
        self.is_placed = true;
        crate::crash_point!("agent_renamed");
        match self.dir.stat(&self.name).map_err(CommitError::Disk)? {
            Some(stat) if stat.inode == self.inode => Ok(stat),
            Some(_) | None => Err(CommitError::Changed),
        }
    }

    /// Why the name is not as the job saw it: somebody else was there meanwhile, or the file system takes it for another.
    fn is_taken(&self) -> CommitError {
        let name = &self.name;
        let other = match self.place {
            Place::New => self.dir.other_name(name).unwrap_or(None),
            Place::Replace(_) | Place::Exchange(_) => None,
        };
        match other {
            Some(other) => CommitError::OneName { name: name.clone(), other },
            None => CommitError::Changed,
        }
    }

    /// Gives what is about to be replaced its second name in the trash. Where a file cannot have two, it is exchanged for the new
    /// one, and whoever owns the job moves it there.
    fn link_old(&self, mode: RenameMode) -> io::Result<RenameMode> {
        let (RenameMode::Replace, Some(Keeps { bin, path, why })) = (mode, &self.keeps) else {
            return Ok(mode);
        };
        match bin.keep(&self.dir, &self.name, path, *why) {
            Ok(()) => Ok(mode),
            Err(error)
                if matches!(
                    Errno::from_io_error(&error),
                    Some(Errno::PERM | Errno::MLINK | Errno::NOTSUP | Errno::NOSYS)
                ) =>
            {
                Ok(RenameMode::Exchange)
            }
            Err(error) => Err(error),
        }
    }

    fn keep_no_more(&self, mode: RenameMode) {
        if let (RenameMode::Replace, Some(Keeps { bin, path, why })) = (mode, &self.keeps) {
            bin.keep_no_more(path, &self.name, *why);
        }
    }

    fn rename(&mut self, mode: RenameMode) -> io::Result<()> {
        if mode == RenameMode::Exchange {
            self.keep_what_comes_back()?;
        }
        let Displaced { dir, name } = &self.from;
        let outcome = dir.rename(name, &self.dir, &self.name, mode);
        let unknown = outcome.as_ref().is_err_and(DirHandle::is_unknown_mode);
        match mode {
            RenameMode::Replace => outcome,
            // The look just before found nothing there; without the flag no more can be done.
            RenameMode::KeepOld if unknown => {
                dir.rename(name, &self.dir, &self.name, RenameMode::Replace)
            }
            RenameMode::KeepOld => outcome,
            RenameMode::Exchange if unknown => self.step_aside(),
            RenameMode::Exchange => {
                outcome?;
                self.displaced = Some(self.from.clone());
                Ok(())
            }
        }
    }

    /// Gives the entry a name that no sweep takes for garbage: after the exchange the old entry bears it.
    fn keep_what_comes_back(&mut self) -> io::Result<()> {
        let Displaced { dir, name } = &mut self.from;
        let mut kept = swap_name(name);
        for _ in 0..SWAPS_MAX {
            match dir.move_to_free(name, dir, &kept) {
                // What came back an earlier time is still there.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    kept = swap_name(&kept);
                }
                moved => {
                    moved?;
                    *name = kept;
                    return Ok(());
                }
            }
        }
        Err(io::Error::other(format!(
            "{SWAPS_MAX} old entries that had to make way, such as {kept}, could not be removed; look through them and remove them"
        )))
    }

    /// The exchange of a file system that knows none: the old entry moves aside first, and back if the new one cannot follow.
    fn step_aside(&mut self) -> io::Result<()> {
        let Displaced { dir, name } = &self.from;
        let aside = share::partial_name(Placement::Beside, &stem_of(name), SWAP);
        self.dir.step_aside(&self.name, &aside, dir, name)?;
        self.displaced = Some(Displaced { dir: self.dir.clone(), name: aside });
        Ok(())
    }

    /// Gives the entry up: what was received of it is removed, with its record. One that is in its place stays there.
    pub fn discard(self) {
        let Displaced { dir, name } = &self.from;
        if let Some(kept) = &self.displaced {
            let name = &kept.name;
            tracing::warn!(%name, "the entry that was replaced is kept in the partial files' folder");
        }
        if !self.is_placed
            && let Err(error) = dir.remove_file(name)
        {
            tracing::warn!(%name, %error, "partial file stays behind");
        }
        self.forget_record();
    }

    /// Removes the record of a partial that took its place.
    pub(crate) fn forget_record(&self) {
        if let Some((dir, name)) = &self.record {
            sidecar::remove(dir, name);
        }
    }
}

/// The same name with the extension of what must not be swept; a second name if it has it already.
fn swap_name(name: &Name) -> Name {
    let beside = name.as_bytes().starts_with(PARTIAL_PREFIX.as_bytes());
    let placement = if beside { Placement::Beside } else { Placement::Private };
    share::partial_name(placement, &stem_of(name), SWAP)
}

fn stem_of(name: &Name) -> String {
    blake3::hash(name.as_bytes()).to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Stat = Stat {
        kind: DiskKind::File,
        size_bytes: 1,
        inode: 7,
        links: 1,
        modified: quicopy_protocol::meta::Timestamp { seconds: 1, nanos: 0 },
        changed: quicopy_protocol::meta::Timestamp { seconds: 1, nanos: 0 },
        mode: 0o644,
        owner: 0,
        group: 0,
        device: 1,
        is_mount: false,
    };

    #[test]
    fn only_what_the_job_saw_is_replaced() {
        let other = Stat { inode: 8, ..OLD };
        assert_eq!(Place::New.decide(None), Some(RenameMode::KeepOld));
        assert_eq!(Place::New.decide(Some(&OLD)), None);
        assert_eq!(Place::Replace(OLD).decide(Some(&OLD)), Some(RenameMode::Replace));
        assert_eq!(Place::Replace(OLD).decide(Some(&other)), None);
        assert_eq!(Place::Replace(OLD).decide(None), Some(RenameMode::KeepOld));
        assert_eq!(Place::Exchange(OLD).decide(Some(&OLD)), Some(RenameMode::Exchange));
        assert_eq!(Place::Exchange(OLD).decide(Some(&other)), None);
    }

    #[test]
    fn a_directory_gives_way_by_exchange_alone() {
        let dir = Stat { kind: DiskKind::Directory, ..OLD };
        assert_eq!(Place::Replace(dir).decide(Some(&dir)), None);
        let grown = Stat { size_bytes: 2, ..dir };
        assert_eq!(Place::Exchange(dir).decide(Some(&grown)), Some(RenameMode::Exchange));
    }
}
