//! The private folder in which keys, peers and invitations are kept.
//!
//! Everything goes through a handle on the folder, so a path is resolved once. Files are
//! replaced whole (new file, sync, rename, sync of the folder): after a crash a reader finds the
//! old text or the new one. Whoever changes a file holds the folder's lock, so the daemon and a
//! command beside it lose nothing of each other.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{self, AtFlags, FileType, FlockOperation, Mode, OFlags, Stat},
    io::Errno,
    process::{Gid, Uid, geteuid},
};
use zeroize::Zeroizing;

/// Held while a file of the folder is changed. Never removed: removing a lock file is how two
/// processes come to hold it at once.
const LOCK_FILE: &str = "trust.lock";

/// Permission bits that must be absent from a file nobody else may read.
const ANY_ACCESS_OF_OTHERS: u32 = 0o077;
/// Permission bits that must be absent from a file nobody else may change.
const WRITING_BY_OTHERS: u32 = 0o022;

/// A folder that belongs to this program's user and that nobody else can write.
///
/// Cloning shares the handle.
#[derive(Clone, Debug)]
pub struct StateDir {
    handle: Arc<OwnedFd>,
    path: PathBuf,
    owner: Owner,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Owner {
    user: u32,
    group: u32,
}

/// Why the state folder, or a file in it, could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("{path}: cannot {action}", path = .path.display())]
    Io {
        /// What was tried, as a verb: `read`, `write`, `sync`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
    /// A symbolic link stands where a file of ours should.
    #[error("{path}: is a symbolic link, which could lead anywhere; put the file itself here", path = .path.display())]
    Symlink {
        /// The link.
        path: PathBuf,
    },
    /// A directory, device or the like stands where a file of ours should.
    #[error("{path}: is not a regular file; move it away", path = .path.display())]
    NotAFile {
        /// What stands there.
        path: PathBuf,
    },
    /// Others can read or write what they must not.
    #[error("{path}: mode {mode:04o} lets others in; run: chmod {wanted:o} {path}", path = .path.display())]
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits it should have.
        wanted: u32,
    },
    /// The file or folder belongs to somebody else.
    #[error("{path}: belongs to user {owner}; run: chown {wanted} {path}", path = .path.display())]
    ForeignOwner {
        /// The file or folder.
        path: PathBuf,
        /// Number of the user who owns it.
        owner: u32,
        /// Number of the user who should.
        wanted: u32,
    },
    /// The file is larger than any we would write.
    #[error("{path}: larger than {bytes_max} bytes, which no file of this kind is", path = .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        bytes_max: u64,
    },
    /// The file's text is not what it should be. It is left as it is.
    #[error("{path}: {reason}; correct the file or move it away", path = .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line where known.
        reason: String,
    },
    /// The file was written by a later version of the program.
    #[error("{path}: has format {found}, this program knows up to {known}; update the program", path = .path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format's number in the file.
        found: u32,
        /// The newest number known here.
        known: u32,
    },
}

/// Who besides the owner may look into a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exposure {
    /// Nobody: keys and what is as good as one.
    Secret,
    /// Anybody, as long as only the owner can change it.
    Readable,
}

impl StateDir {
    /// Opens the folder at `path`, and makes it first (0700, parents too) if there is none.
    ///
    /// # Errors
    ///
    /// The folder cannot be made or opened, belongs to another user, or can be written by others.
    /// The superuser may open anybody's folder; what it writes there belongs to the folder's
    /// owner, so that a service still reads what an administrator has changed.
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_path_buf();
        create_private_dirs(&path).map_err(failed("create", &path))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = fs::open(&path, flags, Mode::empty())
            .map_err(io::Error::from)
            .map_err(failed("open", &path))?;
        let stat = fs::fstat(&handle).map_err(io::Error::from).map_err(failed("inspect", &path))?;
        let user = geteuid();
        if !user.is_root() && stat.st_uid != user.as_raw() {
            return Err(StoreError::ForeignOwner {
                path,
                owner: stat.st_uid,
                wanted: user.as_raw(),
            });
        }
        if stat.st_mode & WRITING_BY_OTHERS != 0 {
            return Err(StoreError::Exposed { path, mode: stat.st_mode & 0o7777, wanted: 0o700 });
        }
        let owner = Owner { user: stat.st_uid, group: stat.st_gid };
        Ok(Self { handle: Arc::new(handle), path, owner })
    }

    /// Where the folder is, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file `name` whole; `None` if there is none.
    ///
    /// The buffer is wiped when dropped, whatever it holds.
    pub(crate) fn read(
        &self,
        name: &str,
        exposure: Exposure,
        bytes_max: u64,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let path = self.path.join(name);
        // NONBLOCK: opening a named pipe must not wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let handle = match fs::openat(&self.handle, name, flags, Mode::empty()) {
            Ok(handle) => handle,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(StoreError::Symlink { path }),
            Err(error) => return Err(failed("open", &path)(error.into())),
        };
        let stat = fs::fstat(&handle).map_err(io::Error::from).map_err(failed("inspect", &path))?;
        self.check_file(&path, &stat, exposure)?;
        let too_large = || StoreError::TooLarge { path: path.clone(), bytes_max };
        let size_bytes = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size_bytes > bytes_max {
            return Err(too_large());
        }
        // Room for all that may come: growing would leave copies of a key behind in freed memory.
        let mut contents = Zeroizing::new(Vec::with_capacity(size_bytes as usize + 1));
        File::from(handle)
            .take(bytes_max + 1)
            .read_to_end(&mut contents)
            .map_err(failed("read", &path))?;
        if contents.len() as u64 > bytes_max { Err(too_large()) } else { Ok(Some(contents)) }
    }

    /// Waits for the folder's lock. It is free again when the result is dropped.
    pub(crate) fn lock(&self) -> Result<LockedDir<'_>, StoreError> {
        let path = self.path.join(LOCK_FILE);
        let lock = self.open_lock().map_err(io::Error::from).map_err(failed("open", &path))?;
        rustix::io::retry_on_intr(|| fs::flock(&lock, FlockOperation::LockExclusive))
            .map_err(io::Error::from)
            .map_err(failed("lock", &path))?;
        Ok(LockedDir { dir: self, _lock: lock })
    }

    fn open_lock(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match self.create(LOCK_FILE) {
            Err(Errno::EXIST) => fs::openat(&self.handle, LOCK_FILE, flags, Mode::empty()),
            created => created,
        }
    }

    /// Makes the file `name`, 0600, which must not exist yet.
    ///
    /// What the superuser makes is given to the user whose folder this is; what stood there
    /// before never is, for it could be a link to a file of the superuser's.
    fn create(&self, name: &str) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = fs::openat(&self.handle, name, flags, Mode::RUSR | Mode::WUSR)?;
        if geteuid().is_root() && self.owner.user != 0 {
            let (user, group) = (Uid::from_raw(self.owner.user), Gid::from_raw(self.owner.group));
            fs::fchown(&file, Some(user), Some(group))?;
        }
        Ok(file)
    }

    fn check_file(&self, path: &Path, stat: &Stat, exposure: Exposure) -> Result<(), StoreError> {
        let path = path.to_path_buf();
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(StoreError::NotAFile { path });
        }
        if stat.st_uid != geteuid().as_raw() && stat.st_uid != self.owner.user {
            return Err(StoreError::ForeignOwner {
                path,
                owner: stat.st_uid,
                wanted: self.owner.user,
            });
        }
        let forbidden = match exposure {
            Exposure::Secret => ANY_ACCESS_OF_OTHERS,
            Exposure::Readable => WRITING_BY_OTHERS,
        };
        if stat.st_mode & forbidden != 0 {
            return Err(StoreError::Exposed { path, mode: stat.st_mode & 0o7777, wanted: 0o600 });
        }
        Ok(())
    }
}

/// The folder while its lock is held: the only way to change a file in it.
#[derive(Debug)]
pub(crate) struct LockedDir<'a> {
    dir: &'a StateDir,
    _lock: OwnedFd,
}

impl LockedDir<'_> {
    /// Puts `contents` in the place of file `name` (0600) and returns when that is on the disk.
    ///
    /// After an error the old file stands, or the new one without the promise that it survives
    /// a power cut: the caller must not act as if the change were made.
    pub(crate) fn replace(&self, name: &str, contents: &[u8]) -> Result<(), StoreError> {
        let temporary = format!("{name}.new");
        let path = self.dir.path.join(&temporary);
        self.write_new(&temporary, contents).map_err(failed("write", &path)).inspect_err(|_| {
            // Best effort: the next change removes it too.
            let _ = fs::unlinkat(&self.dir.handle, &temporary, AtFlags::empty());
        })?;
        fs::renameat(&self.dir.handle, &temporary, &self.dir.handle, name)
            .and_then(|()| fs::fsync(&self.dir.handle))
            .map_err(io::Error::from)
            .map_err(failed("put in place", &self.dir.path.join(name)))
    }

    fn write_new(&self, temporary: &str, contents: &[u8]) -> io::Result<()> {
        // The lock is ours, so a file of that name is what a crash has left.
        match fs::unlinkat(&self.dir.handle, temporary, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let mut file = File::from(self.dir.create(temporary)?);
        file.write_all(contents)?;
        file.sync_all()
    }
}

/// Makes a folder and its missing parents, 0700 each, and syncs the parent of each, so that a
/// key is never durable in a folder that is not.
fn create_private_dirs(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    if parent != path {
        create_private_dirs(parent)?;
    }
    match fs::mkdir(path, Mode::RWXU) {
        Ok(()) => sync_dir(parent),
        // Another process was faster; what stands there is checked when it is opened.
        Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn sync_dir(path: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(fs::fsync(fs::open(path, flags, Mode::empty())?)?)
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> StoreError + 'a {
    move |source| StoreError::Io { action, path: path.to_path_buf(), source }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used)]
mod tests {
    use std::{fs as std_fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn mode_of(path: &Path) -> u32 {
        std_fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        std_fs::set_permissions(path, std_fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A state folder with one file `f`.
    fn dir_with_file() -> (tempfile::TempDir, StateDir, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::open_or_create(temp.path().join("state")).unwrap();
        dir.lock().unwrap().replace("f", b"old").unwrap();
        let path = dir.path().join("f");
        (temp, dir, path)
    }

    fn read(dir: &StateDir, exposure: Exposure) -> Result<Option<Vec<u8>>, StoreError> {
        dir.read("f", exposure, 100).map(|found| found.map(|contents| contents.to_vec()))
    }

    #[test]
    fn folders_and_files_are_made_for_the_owner_alone() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/b");
        let dir = StateDir::open_or_create(&path).unwrap();
        assert_eq!(read(&dir, Exposure::Secret).unwrap(), None);
        dir.lock().unwrap().replace("f", b"text").unwrap();
        assert_eq!(read(&dir, Exposure::Secret).unwrap().unwrap(), b"text");
        assert_eq!(mode_of(&path), 0o700);
        assert_eq!(mode_of(&temp.path().join("a")), 0o700);
        assert_eq!(mode_of(&path.join("f")), 0o600);
        assert_eq!(mode_of(&path.join(LOCK_FILE)), 0o600);
    }

    #[test]
    fn a_folder_that_others_can_write_is_refused_with_the_command_that_helps() {
        let temp = tempfile::tempdir().unwrap();
        set_mode(temp.path(), 0o770);
        let error = StateDir::open_or_create(temp.path()).unwrap_err().to_string();
        assert!(error.ends_with(&format!("chmod 700 {}", temp.path().display())), "{error}");
        set_mode(temp.path(), 0o755);
        StateDir::open_or_create(temp.path()).unwrap();
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused_and_other_files_only_when_writable() {
        let (_temp, dir, path) = dir_with_file();
        for (mode, secret, readable) in
            [(0o600, true, true), (0o400, true, true), (0o644, false, true), (0o620, false, false)]
        {
            set_mode(&path, mode);
            assert_eq!(read(&dir, Exposure::Secret).is_ok(), secret, "{mode:o}");
            assert_eq!(read(&dir, Exposure::Readable).is_ok(), readable, "{mode:o}");
        }
        let error = read(&dir, Exposure::Readable).unwrap_err().to_string();
        assert!(error.contains(&format!("chmod 600 {}", path.display())), "{error}");
    }

    #[test]
    fn links_pipes_and_folders_are_not_files() {
        let (_temp, dir, path) = dir_with_file();
        std_fs::rename(&path, dir.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        assert!(matches!(read(&dir, Exposure::Secret), Err(StoreError::Symlink { .. })));
        std_fs::remove_file(&path).unwrap();
        fs::mknodat(&*dir.handle, "f", FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(matches!(read(&dir, Exposure::Secret), Err(StoreError::NotAFile { .. })));
        std_fs::remove_file(&path).unwrap();
        std_fs::create_dir(&path).unwrap();
        assert!(matches!(read(&dir, Exposure::Secret), Err(StoreError::NotAFile { .. })));
    }

    #[test]
    fn what_belongs_to_another_user_is_refused() {
        if !geteuid().is_root() {
            return; // Nobody else can give files away.
        }
        let (temp, dir, path) = dir_with_file();
        std::os::unix::fs::chown(&path, Some(65_533), None).unwrap();
        let error = read(&dir, Exposure::Secret).unwrap_err().to_string();
        assert!(error.contains("user 65533; run: chown 0 "), "{error}");
        drop(temp);
    }

    #[test]
    fn what_the_superuser_writes_belongs_to_the_owner_of_the_folder() {
        use std::os::unix::fs::MetadataExt;
        if !geteuid().is_root() {
            return;
        }
        let temp = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(temp.path(), Some(65_533), Some(65_533)).unwrap();
        let dir = StateDir::open_or_create(temp.path()).unwrap();
        dir.lock().unwrap().replace("f", b"text").unwrap();
        for name in ["f", LOCK_FILE] {
            let metadata = std_fs::metadata(temp.path().join(name)).unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (65_533, 65_533), "{name}");
        }
        assert_eq!(read(&dir, Exposure::Secret).unwrap().unwrap(), b"text");
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let (_temp, dir, _path) = dir_with_file();
        assert_eq!(dir.read("f", Exposure::Secret, 3).unwrap().unwrap().as_slice(), b"old");
        assert!(matches!(dir.read("f", Exposure::Secret, 2), Err(StoreError::TooLarge { .. })));
    }

    #[test]
    fn what_a_crash_has_left_is_in_nobodys_way() {
        let (_temp, dir, path) = dir_with_file();
        std_fs::write(dir.path().join("f.new"), b"torn").unwrap();
        assert_eq!(std_fs::read(&path).unwrap(), b"old");
        dir.lock().unwrap().replace("f", b"new").unwrap();
        assert_eq!(std_fs::read(&path).unwrap(), b"new");
        assert!(!dir.path().join("f.new").exists());
    }

    #[test]
    fn a_change_that_cannot_be_made_leaves_the_old_file() {
        let (_temp, dir, path) = dir_with_file();
        std_fs::create_dir(dir.path().join("f.new")).unwrap();
        assert!(dir.lock().unwrap().replace("f", b"new").is_err());
        assert_eq!(std_fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn the_lock_keeps_out_a_second_holder_until_it_is_dropped() {
        let (_temp, dir, _path) = dir_with_file();
        let held = dir.lock().unwrap();
        let other = File::open(dir.path().join(LOCK_FILE)).unwrap();
        let try_lock = || fs::flock(&other, FlockOperation::NonBlockingLockExclusive);
        assert_eq!(try_lock(), Err(Errno::WOULDBLOCK));
        drop(held);
        assert_eq!(try_lock(), Ok(()));
    }
}
