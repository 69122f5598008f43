//! One file of the source, read as it was listed or not at all.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::meta::Meta;
use quicopy_protocol::options::CopyFlags;
use quicopy_protocol::path::RelPath;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::extents::{Extent, next_extent};
use super::open::open_below;
use super::stat::{Identity, Stat, Type};
use super::{Attributes, Source};
use crate::fault;

/// A file that a listing offered, with all that is needed to know it again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OfferedFile {
    /// Its path below the job's root.
    pub path: RelPath,
    /// Size and time as listed.
    pub meta: Meta,
    /// The file that was looked at.
    pub identity: Identity,
}

/// Why a file cannot be read as it was listed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Its name is gone.
    #[error("vanished after it was listed; run again")]
    Vanished,
    /// Its size or time changed, or another file took its name, before or while it was read.
    #[error("changed after it was listed or while it was read; run again")]
    Changed,
    /// Its name, or one on the way to it, now belongs to something that is not such a file.
    #[error("something else took its place after it was listed; run again")]
    Replaced,
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl FileError {
    /// Whether waiting may help.
    ///
    /// A file that has left its listed state does not come back to it, as time does not run backwards: it fails at once. Only
    /// another listing helps.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Vanished | Self::Changed | Self::Replaced => false,
            Self::Io(error) => fault::is_transient(error),
        }
    }

    /// What travels and is logged. Windows error 32, "used by another process", stands for a change under our hands.
    pub fn failure(&self) -> Failure {
        let windows_code = match self {
            Self::Vanished => 2,
            Self::Changed | Self::Replaced => 32,
            Self::Io(error) => return fault::failure(Operation::CopyFile, error),
        };
        Failure::new(Operation::CopyFile, windows_code, self.to_string())
    }
}

/// An open file that was, when it was opened, as listed.
#[derive(Debug)]
pub struct SourceFile {
    handle: OwnedFd,
    // As found when it was first opened. What changes after that, down to its change time, spoils the file.
    opened: Stat,
}

impl Source {
    /// Opens a file for reading, if it is still what was listed: same file, size and write time.
    ///
    /// The change time is not compared with the listing: a new hard link or a program that restores access times moves
    /// it and harms nothing. Neither a FIFO nor a device that took the name is waited for.
    ///
    /// # Errors
    /// It is gone, changed or cannot be opened.
    pub fn open_file(&self, offered: &OfferedFile) -> Result<SourceFile, FileError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let handle = self.open_entry(&offered.path, flags)?;
        let opened = Stat::of_handle(&handle)?;
        if opened.entry_type != Type::File {
            return Err(FileError::Replaced);
        }
        let as_listed = opened.identity.is_same_file(&offered.identity)
            && opened.meta.size_bytes == offered.meta.size_bytes
            && opened.meta.modified == offered.meta.modified;
        if as_listed { Ok(SourceFile { handle, opened }) } else { Err(FileError::Changed) }
    }

    fn open_entry(&self, path: &RelPath, flags: OFlags) -> Result<OwnedFd, FileError> {
        open_below(self.root(), path, flags, self.links).map_err(|error| {
            match Errno::from_io_error(&error) {
                Some(Errno::NOENT) => FileError::Vanished,
                // A link, a file or a socket where a directory or a file was.
                Some(Errno::LOOP | Errno::NOTDIR | Errno::NXIO) => FileError::Replaced,
                _ => FileError::Io(error),
            }
        })
    }
}

impl SourceFile {
    /// Size of the content in bytes, as listed.
    pub fn size_bytes(&self) -> u64 {
        self.opened.meta.size_bytes
    }

    /// Reads up to `buffer`'s length from `offset`; 0 bytes mean that the file ends before.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match rustix::io::pread(&self.handle, &mut *buffer, offset) {
                Err(Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }

    /// The data or hole that begins at `at`, `None` at the end. A hole of under 64 KiB counts as data.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn extent(&self, at: u64) -> io::Result<Option<Extent>> {
        next_extent(self.handle.as_fd(), at, self.size_bytes())
    }

    /// Asks the kernel to keep none of the file in memory.
    pub fn leave_cache(&self) {
        // Advice: a file system that knows none loses nothing.
        let _ = rustix::fs::fadvise(&self.handle, 0, None, rustix::fs::Advice::DontNeed);
    }

    /// The attributes that the copy flags ask for.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn attributes(&self, flags: CopyFlags) -> io::Result<Attributes> {
        Attributes::read(&self.handle, flags)
    }

    /// Opens the same file again, for a handle that went bad: a network file system may need that.
    ///
    /// # Errors
    /// It is not in the state any more in which it was opened first, or cannot be opened.
    pub fn reopen(&mut self, source: &Source, offered: &OfferedFile) -> Result<(), FileError> {
        let again = source.open_file(offered)?;
        if again.opened.identity != self.opened.identity {
            return Err(FileError::Changed);
        }
        self.handle = again.handle;
        Ok(())
    }

    /// The second look: through the handle and by name, the file must be what it was when it was opened.
    ///
    /// # Errors
    /// It was changed, replaced or removed meanwhile, and what was read may be a mixture.
    pub fn check_unchanged(&self, source: &Source, path: &RelPath) -> Result<(), FileError> {
        let named = source.open_entry(path, OFlags::PATH | OFlags::CLOEXEC)?;
        for look in [Stat::of_handle(&self.handle)?, Stat::of_handle(named)?] {
            if look.entry_type != Type::File {
                return Err(FileError::Replaced);
            }
            if look.identity != self.opened.identity
                || look.meta.size_bytes != self.opened.meta.size_bytes
                || look.meta.modified != self.opened.meta.modified
            {
                return Err(FileError::Changed);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use quicopy_protocol::options::LinkPolicy;
    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;
    use crate::source::stat::Links;

    const NO_LINKS: LinkPolicy = LinkPolicy {
        recreate: true,
        exclude_dirs: false,
        exclude_files: false,
        empty_mounts: false,
        hard_links: false,
    };

    /// Lists `d/f`, lets `change` happen, and opens it.
    fn open_after(links: LinkPolicy, change: impl FnOnce(&Path)) -> Result<SourceFile, FileError> {
        let (dir, source, offered) = offer(links);
        change(dir.path());
        source.open_file(&offered)
    }

    fn offer(links: LinkPolicy) -> (tempfile::TempDir, Source, OfferedFile) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        fs::write(dir.path().join("d/f"), "content").unwrap();
        let source = Source::open(dir.path(), links).unwrap();
        let stat = Stat::of_entry(source.root(), b"d/f", Links::Refuse).unwrap();
        let path = RelPath::parse(b"d/f").unwrap();
        (dir, source, OfferedFile { path, meta: stat.meta, identity: stat.identity })
    }

    #[test]
    fn a_file_that_is_as_listed_opens_and_reads() {
        let (_dir, source, offered) = offer(LinkPolicy::default());
        let file = source.open_file(&offered).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(file.read_at(&mut buffer, 3).unwrap(), 4);
        assert_eq!(&buffer[..4], b"tent");
        assert_eq!(file.extent(0).unwrap(), Some(Extent::Data(0..7)));
        assert!(file.check_unchanged(&source, &offered.path).is_ok());
    }

    #[test]
    fn a_file_that_changed_vanished_or_was_replaced_is_not_read() {
        for links in [LinkPolicy::default(), NO_LINKS] {
            let open = |change: fn(&Path)| open_after(links, change).map(|_| ()).unwrap_err();
            let appended = open(|dir| fs::write(dir.join("d/f"), "longer content").unwrap());
            assert!(matches!(appended, FileError::Changed));
            let renamed = open(|dir| {
                fs::write(dir.join("new"), "content").unwrap();
                fs::rename(dir.join("new"), dir.join("d/f")).unwrap();
            });
            assert!(matches!(renamed, FileError::Changed));
            let removed = open(|dir| fs::remove_file(dir.join("d/f")).unwrap());
            assert!(matches!(removed, FileError::Vanished));
            let fifo = open(|dir| {
                fs::remove_file(dir.join("d/f")).unwrap();
                mkfifoat(CWD, dir.join("d/f"), Mode::RWXU).unwrap();
            });
            assert!(matches!(fifo, FileError::Replaced));
            let directory = open(|dir| {
                fs::remove_file(dir.join("d/f")).unwrap();
                fs::create_dir(dir.join("d/f")).unwrap();
            });
            assert!(matches!(directory, FileError::Replaced));
        }
    }

    #[test]
    fn a_directory_swapped_for_a_link_does_not_lead_to_private_files() {
        let swap = |dir: &Path| {
            fs::rename(dir.join("d"), dir.join("old")).unwrap();
            fs::create_dir(dir.join("private")).unwrap();
            fs::write(dir.join("private/f"), "content").unwrap();
            symlink("private", dir.join("d")).unwrap();
        };
        assert!(matches!(open_after(NO_LINKS, swap), Err(FileError::Replaced)));
        assert!(matches!(open_after(LinkPolicy::default(), swap), Err(FileError::Changed)));
    }

    #[test]
    fn the_second_look_sees_what_the_handle_or_the_name_shows() {
        let check = |change: fn(&Path)| {
            let (dir, source, offered) = offer(LinkPolicy::default());
            let file = source.open_file(&offered).unwrap();
            change(dir.path());
            file.check_unchanged(&source, &offered.path).is_ok()
        };
        assert!(check(|_| {}));
        assert!(!check(|dir| fs::write(dir.join("d/f"), "longer content").unwrap()));
        assert!(!check(|dir| fs::remove_file(dir.join("d/f")).unwrap()));
        assert!(!check(|dir| {
            fs::rename(dir.join("d/f"), dir.join("kept")).unwrap();
            fs::write(dir.join("d/f"), "content").unwrap();
        }));
    }

    #[test]
    fn a_change_is_not_worth_waiting_for_but_a_denial_is() {
        assert!(!FileError::Changed.is_transient() && !FileError::Vanished.is_transient());
        assert!(FileError::Io(Errno::ACCESS.into()).is_transient());
        assert_eq!(FileError::Vanished.failure().windows_code, 2);
        assert_eq!(FileError::Changed.failure().windows_code, 32);
    }
}
