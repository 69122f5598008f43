//! Making data and names durable.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU8, Ordering};

use quicopy_protocol::options::Durability;

use super::directory::DirHandle;

/// What fits the file system of `root`: per file on network and unknown file systems, where a sync of the whole may
/// hide errors, and on kernels before 5.8, which never report them.
///
/// Source: syncfs(2); magic numbers of linux/magic.h.
pub fn advised(root: &DirHandle) -> Durability {
    const LOCAL: &[u64] = &[
        0xEF53,      // ext2, ext3, ext4
        0x5846_5342, // xfs
        0x9123_683E, // btrfs
        0xF2F5_2010, // f2fs
        0xCA45_1A4E, // bcachefs
        0x2FC1_2FC1, // zfs
        0x3153_464A, // jfs
        0x0102_1994, // tmpfs
        0x4D44,      // vfat
        0x2011_BAB0, // exfat
    ];
    let reports_errors = kernel_version(rustix::system::uname().release().to_bytes())
        .is_some_and(|version| version >= (5, 8));
    let is_local =
        rustix::fs::fstatfs(root).is_ok_and(|found| LOCAL.contains(&found.f_type.cast_unsigned()));
    if reports_errors && is_local { Durability::Group } else { Durability::File }
}

fn kernel_version(release: &[u8]) -> Option<(u32, u32)> {
    let text = std::str::from_utf8(release).ok()?;
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The calls that make things durable. A failed one is final for what it covered: the kernel may have thrown the data away and
/// would say "done" the next time, so that nobody calls it again to find out.
pub trait Syncs: Send + Sync {
    /// Everything on the share's file system: data, metadata and names.
    ///
    /// # Errors
    /// Something written since the last call is lost.
    fn file_system(&self) -> io::Result<()>;

    /// A file's data, and of its metadata what reading the data back needs.
    ///
    /// # Errors
    /// Something written to the file is lost.
    fn data(&self, file: &File) -> io::Result<()>;

    /// A file's data and metadata.
    ///
    /// # Errors
    /// Something written to the file is lost.
    fn file(&self, file: &File) -> io::Result<()>;

    /// The names in a directory.
    ///
    /// # Errors
    /// A name made or changed in it may be lost.
    fn directory(&self, dir: &DirHandle) -> io::Result<()>;
}

/// The real calls.
///
/// Holds one descriptor from before the first write on: the kernel gives a write-back error of a file system once to each
/// descriptor that was open when it happened, and never to those opened later.
#[derive(Debug)]
pub struct DiskSync {
    root: DirHandle,
}

impl DiskSync {
    /// For the file system that holds `root`.
    pub fn new(root: DirHandle) -> Self {
        Self { root }
    }
}

impl Syncs for DiskSync {
    fn file_system(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.root)?)
    }

    fn data(&self, file: &File) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(file)?)
    }

    fn file(&self, file: &File) -> io::Result<()> {
        Ok(rustix::fs::fsync(file)?)
    }

    fn directory(&self, dir: &DirHandle) -> io::Result<()> {
        Ok(rustix::fs::fsync(dir)?)
    }
}

/// Believes what it is told.
#[derive(Debug)]
struct NoSync;

impl Syncs for NoSync {
    fn file_system(&self) -> io::Result<()> {
        Ok(())
    }

    fn data(&self, _file: &File) -> io::Result<()> {
        Ok(())
    }

    fn file(&self, _file: &File) -> io::Result<()> {
        Ok(())
    }

    fn directory(&self, _dir: &DirHandle) -> io::Result<()> {
        Ok(())
    }
}

/// How one share makes things durable at present. Its receivers and its committer hold the same one.
pub struct Durable {
    syncs: Box<dyn Syncs>,
    mode: AtomicU8,
}

impl Durable {
    /// For the share with this root.
    pub fn new(root: &DirHandle, mode: Durability) -> Self {
        Self::with(Box::new(DiskSync::new(root.clone())), mode)
    }

    /// With calls of the caller's choice.
    pub fn with(syncs: Box<dyn Syncs>, mode: Durability) -> Self {
        Self { syncs, mode: AtomicU8::new(mode as u8) }
    }

    /// The calls; those of [`Durability::None`] do nothing.
    pub fn syncs(&self) -> &dyn Syncs {
        match self.mode() {
            Durability::Group | Durability::File => &*self.syncs,
            Durability::None => &NoSync,
        }
    }

    /// The mode that new files follow.
    pub fn mode(&self) -> Durability {
        const GROUP: u8 = Durability::Group as u8;
        const FILE: u8 = Durability::File as u8;
        match self.mode.load(Ordering::Relaxed) {
            GROUP => Durability::Group,
            FILE => Durability::File,
            _ => Durability::None,
        }
    }

    /// From now on syncs file by file: a sync of the whole file system takes too long, as where other programs write a lot.
    pub fn leave_group(&self) {
        let (group, file) = (Durability::Group as u8, Durability::File as u8);
        let _ = self.mode.compare_exchange(group, file, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Durable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Durable").field("mode", &self.mode()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases_of_distributions_are_read() {
        assert_eq!(kernel_version(b"6.1.0-13-amd64"), Some((6, 1)));
        assert_eq!(kernel_version(b"5.4.0"), Some((5, 4)));
        assert_eq!(kernel_version(b"5.10-rc1"), Some((5, 10)));
        assert_eq!(kernel_version(b"odd"), None);
    }
}
