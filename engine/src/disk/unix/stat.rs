//! `statx`, and its answer in our terms.

use std::ffi::CStr;
use std::io;
use std::os::fd::AsFd;

use quicopy_protocol::meta::Timestamp;
use rustix::fs::{AtFlags, FileType, Statx, StatxAttributes, StatxFlags, StatxTimestamp, statx};

use crate::disk::stat::{DiskKind, Stat};

/// Describes `name` in the directory, links themselves and not what they point to.
pub(in crate::disk) fn stat_at(dir: impl AsFd, name: &CStr) -> io::Result<Stat> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    Ok(convert(&statx(dir, name, flags, StatxFlags::BASIC_STATS)?))
}

/// Describes what the handle is open on.
pub(in crate::disk) fn stat_of(handle: impl AsFd) -> io::Result<Stat> {
    Ok(convert(&statx(handle, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?))
}

/// Number of the mount that the handle was opened through; 0 on kernels before 5.8, which do not tell.
pub(in crate::disk) fn mount_of(handle: impl AsFd) -> io::Result<u64> {
    let found = statx(handle, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    let told = found.stx_mask & StatxFlags::MNT_ID.bits() != 0;
    Ok(if told { found.stx_mnt_id } else { 0 })
}

fn convert(found: &Statx) -> Stat {
    let kind = match FileType::from_raw_mode(found.stx_mode.into()) {
        FileType::RegularFile => DiskKind::File,
        FileType::Directory => DiskKind::Directory,
        FileType::Symlink => DiskKind::Link,
        _ => DiskKind::Special,
    };
    Stat {
        kind,
        size_bytes: found.stx_size,
        modified: timestamp(found.stx_mtime),
        changed: timestamp(found.stx_ctime),
        mode: found.stx_mode & 0o7777,
        owner: found.stx_uid,
        group: found.stx_gid,
        inode: found.stx_ino,
        device: rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor),
        links: found.stx_nlink,
        is_mount: found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
    }
}

fn timestamp(found: StatxTimestamp) -> Timestamp {
    Timestamp { seconds: found.tv_sec, nanos: found.tv_nsec }
}
