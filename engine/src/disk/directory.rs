//! Handles of directories, through which alone the engine reaches what is in the share.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use quicopy_protocol::limits::LINK_TARGET_BYTES_MAX;
use quicopy_protocol::path::{Name, RelPath};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::stat::{DiskKind, Stat};
use super::unix::{list, meta, resolve, stat};

/// Bit of a directory's mode that hands its group down to what is made in it.
const SET_GROUP_ID: u16 = 0o2000;

/// One entry of a listed directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DiskEntry {
    /// Its name.
    pub name: Name,
    /// What the file system says of it.
    pub stat: Stat,
}

/// Where the partial files of a directory's targets stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Placement {
    /// In the share's private folder.
    Private,
    /// Beside the target under a reserved name, because a rename from elsewhere would fail or would not inherit what
    /// the directory hands down.
    Beside,
}

/// The mode that a new directory begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NewDirMode {
    /// 0700: nobody else is let in before its final mode is set, when its content is in place.
    Closed,
    /// What the process, or an access list of the directory above, gives new directories; it stays.
    Usual,
}

/// An open directory. Clones share the one descriptor.
#[derive(Clone, Debug)]
pub struct DirHandle {
    open: Arc<OpenDir>,
}

#[derive(Debug)]
struct OpenDir {
    fd: OwnedFd,
    stat: Stat,
    mount: u64,
    has_default_acl: OnceLock<bool>,
    // Set when a rename into the directory answered EXDEV although device and mount are the same.
    refuses_renames: AtomicBool,
}

impl DirHandle {
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        let stat = stat::stat_of(&fd)?;
        if stat.kind != DiskKind::Directory {
            return Err(Errno::NOTDIR.into());
        }
        let mount = stat::mount_of(&fd)?;
        let has_default_acl = OnceLock::new();
        let refuses_renames = AtomicBool::new(false);
        Ok(Self { open: Arc::new(OpenDir { fd, stat, mount, has_default_acl, refuses_renames }) })
    }

    /// Opens the directory `name` in this one; a link is not followed.
    ///
    /// # Errors
    /// As `openat`; `ELOOP` or `ENOTDIR` for what is not a directory.
    pub fn open_dir(&self, name: &Name) -> io::Result<Self> {
        self.open_path(&RelPath::from(name.clone()))
    }

    /// Opens the directory at `path` below this one; no link on the way is followed.
    ///
    /// # Errors
    /// As `openat2`; `ELOOP` or `ENOTDIR` where a component is not a directory.
    pub fn open_path(&self, path: &RelPath) -> io::Result<Self> {
        Self::new(resolve::open_dir_at(self, path)?)
    }

    /// All entries, sorted by name bytes, our own reserved names included.
    ///
    /// # Errors
    /// The directory could not be read in full; `EOVERFLOW` beyond
    /// [`DIRECTORY_ENTRIES_MAX`](quicopy_protocol::limits::DIRECTORY_ENTRIES_MAX). What vanished meanwhile is no error.
    pub fn list(&self) -> io::Result<Vec<DiskEntry>> {
        // A descriptor of its own: the position in a directory belongs to the descriptor, and clones share ours.
        list::list(resolve::open_dir_at(self, &RelPath::ROOT)?)
    }

    /// Describes one entry; `None` if there is none of that name.
    ///
    /// # Errors
    /// As `statx`.
    pub fn stat(&self, name: &Name) -> io::Result<Option<Stat>> {
        let mut text = name.as_bytes().to_vec();
        text.push(0);
        let text = std::ffi::CStr::from_bytes_with_nul(&text).map_err(|_| Errno::INVAL)?;
        match stat::stat_at(self, text) {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Describes the directory itself, as it is now.
    ///
    /// # Errors
    /// As `statx`.
    pub fn own_stat(&self) -> io::Result<Stat> {
        stat::stat_of(self)
    }

    /// Number of the file system that holds the directory.
    pub fn device(&self) -> u64 {
        self.open.stat.device
    }

    /// Number of the directory's inode.
    pub fn inode(&self) -> u64 {
        self.open.stat.inode
    }

    /// Longest name that the file system takes, in bytes.
    ///
    /// # Errors
    /// As `fstatvfs`.
    pub fn name_bytes_max(&self) -> io::Result<usize> {
        let found = rustix::fs::fstatvfs(self)?;
        Ok(usize::try_from(found.f_namemax).unwrap_or(usize::MAX))
    }

    /// Whether the entry, as this directory listed it, lies on another file system, or the same one mounted again.
    pub fn is_mount_point(&self, child: &Stat) -> bool {
        child.is_mount || child.device != self.device()
    }

    /// Whether both lie on one file system, reached through one mount: only then an entry can be renamed from one to the other.
    pub fn is_on_mount_of(&self, other: &Self) -> bool {
        self.device() == other.device() && self.open.mount == other.open.mount
    }

    /// Where partial files of targets in this directory stand: in the folder `private`, unless a rename from there would
    /// fail, or would not inherit what this directory hands down.
    pub fn placement(&self, private: &Self) -> Placement {
        let here = &self.open;
        let can_rename =
            self.is_on_mount_of(private) && !here.refuses_renames.load(Ordering::Relaxed);
        let hands_down = here.stat.mode & SET_GROUP_ID != 0
            || *here.has_default_acl.get_or_init(|| meta::has_default_acl(&here.fd));
        if can_rename && !hands_down { Placement::Private } else { Placement::Beside }
    }

    /// Notes that a rename into this directory from elsewhere fails, as between project quotas: from now on partial files
    /// stand beside their targets.
    pub(crate) fn note_refused_rename(&self) {
        self.open.refuses_renames.store(true, Ordering::Relaxed);
    }

    /// Makes a directory and opens it.
    ///
    /// # Errors
    /// As `mkdirat`: `EEXIST` when the name is taken.
    pub fn make_dir(&self, name: &Name, mode: NewDirMode) -> io::Result<Self> {
        let mode = match mode {
            NewDirMode::Closed => Mode::RWXU,
            NewDirMode::Usual => Mode::RWXU | Mode::RWXG | Mode::RWXO,
        };
        rustix::fs::mkdirat(self, name.as_bytes(), mode)?;
        crate::crash_point!("agent_directory_made");
        self.open_dir(name)
    }

    /// Makes a directory, or opens what an earlier try, or somebody else meanwhile, has made.
    ///
    /// # Errors
    /// As `mkdirat`, and what stands there may be no directory.
    pub(crate) fn make_or_open_dir(&self, name: &Name, mode: NewDirMode) -> io::Result<Self> {
        match self.make_dir(name, mode) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.open_dir(name),
            made => made,
        }
    }

    /// Opens a directory, and makes it first, for its owner alone, if there is none.
    ///
    /// # Errors
    /// As [`make_or_open_dir`](Self::make_or_open_dir).
    pub(crate) fn open_or_make_dir(&self, name: &Name) -> io::Result<Self> {
        match self.open_dir(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_or_open_dir(name, NewDirMode::Closed)
            }
            opened => opened,
        }
    }

    /// Removes a file, link or special file.
    ///
    /// # Errors
    /// As `unlinkat`: `EISDIR` for a directory.
    pub fn remove_file(&self, name: &Name) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self, name.as_bytes(), AtFlags::empty())?)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// As `unlinkat`: `ENOTEMPTY`, `ENOTDIR`, `EBUSY` for a mount point.
    pub fn remove_dir(&self, name: &Name) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self, name.as_bytes(), AtFlags::REMOVEDIR)?)
    }

    /// Makes a symbolic link at a name that is free.
    ///
    /// # Errors
    /// As `symlinkat`: `EEXIST` when the name is taken.
    pub fn make_link(&self, name: &Name, target: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, self, name.as_bytes())?)
    }

    /// Gives a file of this directory another name in `into`, one that is free.
    ///
    /// # Errors
    /// As `linkat`: `EEXIST` when the name is taken, `EPERM` where the file system knows no hard links, `EXDEV` where `into` is
    /// on another one, `EMLINK` when it has too many names.
    pub fn link(&self, name: &Name, into: &Self, other: &Name) -> io::Result<()> {
        let (name, other) = (name.as_bytes(), other.as_bytes());
        Ok(rustix::fs::linkat(self, name, into, other, AtFlags::empty())?)
    }

    /// Lets the owner list and change the directory `name` of this one, which `found` describes. Only where nobody else can put
    /// a link in its place.
    ///
    /// # Errors
    /// As `chmodat`.
    pub(crate) fn let_owner_in(&self, name: &Name, found: &Stat) -> io::Result<()> {
        if Mode::from_raw_mode(found.mode.into()).contains(Mode::RWXU) {
            return Ok(());
        }
        Ok(rustix::fs::chmodat(self, name.as_bytes(), Mode::RWXU, AtFlags::empty())?)
    }

    /// The text of a symbolic link.
    ///
    /// # Errors
    /// As `readlinkat`: `EINVAL` for what is not a link.
    pub fn read_link(&self, name: &Name) -> io::Result<Box<[u8]>> {
        let buffer = Vec::with_capacity(LINK_TARGET_BYTES_MAX + 1);
        let text = rustix::fs::readlinkat(self, name.as_bytes(), buffer)?;
        Ok(text.into_bytes().into())
    }

    /// Opens a regular file for reading, without ever waiting, as a FIFO would make it.
    ///
    /// # Errors
    /// As `openat`: `ELOOP` for a link; `EINVAL` for what is not a regular file.
    pub fn open_file_for_read(&self, name: &Name) -> io::Result<(File, Stat)> {
        self.open_regular(name, OFlags::RDONLY)
    }

    pub(crate) fn open_file_for_update(&self, name: &Name) -> io::Result<(File, Stat)> {
        self.open_regular(name, OFlags::RDWR)
    }

    fn open_regular(&self, name: &Name, access: OFlags) -> io::Result<(File, Stat)> {
        let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = resolve::open_name(self, name.as_bytes(), flags, Mode::empty())?;
        let stat = stat::stat_of(&fd)?;
        match stat.kind {
            DiskKind::File => Ok((File::from(fd), stat)),
            DiskKind::Directory | DiskKind::Link | DiskKind::Special => Err(Errno::INVAL.into()),
        }
    }

    /// Makes a file with mode 0600 at a name that is free, open for reading and writing.
    ///
    /// # Errors
    /// As `openat`: `EEXIST` when the name is taken, by a dangling link too.
    pub fn create_file(&self, name: &Name) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let fd = resolve::open_name(self, name.as_bytes(), flags, Mode::RUSR | Mode::WUSR)?;
        Ok(File::from(fd))
    }
}

impl AsFd for DirHandle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.open.fd.as_fd()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests set the stage with std")]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::sample::{name, open};
    use crate::disk::{MetaChange, Share};

    #[test]
    fn a_listing_is_complete_sorted_by_bytes_and_describes_links_themselves() {
        let temp = tempfile::tempdir().unwrap();
        let dir = open(&temp);
        for number in 0..3000 {
            fs::write(temp.path().join(format!("file with a longer name {number}")), "x").unwrap();
        }
        fs::create_dir(temp.path().join("a")).unwrap();
        symlink("nowhere", temp.path().join("b")).unwrap();
        rustix::fs::mkfifoat(&dir, c"c", Mode::RUSR).unwrap();
        let entries = dir.list().unwrap();
        assert_eq!(entries.len(), 3003);
        assert!(entries.is_sorted_by(|a, b| a.name < b.name));
        let kinds: Vec<_> = entries.iter().take(4).map(|entry| entry.stat.kind).collect();
        use DiskKind::{Directory, File, Link, Special};
        assert_eq!(kinds, [Directory, Link, Special, File]);
        assert_eq!(&*dir.read_link(&name("b")).unwrap(), b"nowhere");
        assert_eq!(dir.list().unwrap(), entries, "a second listing begins at the beginning");
    }

    #[test]
    fn what_is_no_regular_file_is_not_opened_and_never_waited_for() {
        let temp = tempfile::tempdir().unwrap();
        let dir = open(&temp);
        fs::write(temp.path().join("file"), "x").unwrap();
        symlink("file", temp.path().join("link")).unwrap();
        rustix::fs::mkfifoat(&dir, c"fifo", Mode::RUSR).unwrap();
        assert!(dir.open_file_for_read(&name("link")).is_err());
        assert!(dir.open_file_for_read(&name("fifo")).is_err());
        assert!(dir.open_dir(&name("file")).is_err());
        dir.open_file_for_read(&name("file")).unwrap();
    }

    #[test]
    fn a_mount_point_is_known_for_one() {
        let root = Share::open(std::path::Path::new("/")).unwrap();
        if let Ok(Some(found)) = root.root().stat(&name("proc")) {
            assert_eq!(root.root().is_mount_point(&found), found.inode == 1);
        }
    }

    #[test]
    fn a_new_directory_lets_nobody_in_until_it_is_done() {
        let temp = tempfile::tempdir().unwrap();
        let made = open(&temp).make_dir(&name("d"), NewDirMode::Closed).unwrap();
        let mode = |temp: &tempfile::TempDir| {
            fs::metadata(temp.path().join("d")).unwrap().permissions().mode() & 0o7777
        };
        assert_eq!(mode(&temp), 0o700);
        let change = MetaChange { mode: Some(0o755), ..MetaChange::default() };
        made.set_own_meta(&change, None).unwrap();
        assert_eq!(mode(&temp), 0o755);
        assert!(open(&temp).make_dir(&name("d"), NewDirMode::Closed).is_err());
    }

    #[test]
    fn partials_stand_beside_their_targets_where_a_rename_would_not_do() {
        let temp = tempfile::tempdir().unwrap();
        let dir = open(&temp);
        let plain = dir.make_dir(&name("plain"), NewDirMode::Closed).unwrap();
        assert_eq!(plain.placement(&dir), Placement::Private);
        plain.note_refused_rename();
        assert_eq!(plain.clone().placement(&dir), Placement::Beside);
        fs::set_permissions(temp.path().join("plain"), fs::Permissions::from_mode(0o2755)).unwrap();
        assert_eq!(dir.open_dir(&name("plain")).unwrap().placement(&dir), Placement::Beside);
        let elsewhere = Share::open(std::path::Path::new("/proc")).unwrap();
        assert_eq!(elsewhere.root().placement(&dir), Placement::Beside);
    }
}
