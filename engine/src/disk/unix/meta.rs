//! Setting metadata through an open handle: attributes, owner, mode, and the time last.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use quicopy_protocol::attributes::DosAttributes;
use quicopy_protocol::meta::{Attribute, Timestamp};
use quicopy_protocol::path::Name;
use rustix::fs::{
    Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, fchmod, fchown, fgetxattr,
    flistxattr, fremovexattr, fsetxattr, futimens, lgetxattr,
};
use rustix::io::Errno;

use super::stat::stat_of;
use crate::disk::metadata::{DosChange, Ignored, MODE_MAX, MetaChange, Scope};
use crate::dos_attributes;

/// Sets what `change` names on the open entry, and makes its `user.*` attributes those given, if any are.
///
/// In this order, because each step may undo a later one if it came after: writing attributes needs write permission, a new
/// owner clears mode bits, an access list rewrites them, and all of these may move times.
pub(in crate::disk) fn set(
    handle: impl AsFd,
    change: &MetaChange,
    attributes: Option<&[Attribute]>,
) -> io::Result<Ignored> {
    let handle = handle.as_fd();
    let mut ignored = Ignored::default();
    if let Some(attributes) = attributes {
        ignored.attributes = !set_attributes(handle, attributes, change.scope)?;
    }
    if change.dos.sets_others() {
        ignored.attributes |= !set_dos_attributes(handle, change.dos)?;
    }
    if let Some((owner, group)) = change.owner {
        let now = stat_of(handle)?;
        if (now.owner, now.group) != (owner, group) {
            fchown(handle, Some(Uid::from_raw(owner)), Some(Gid::from_raw(group)))?;
        }
    }
    let mode = match change.mode {
        None if change.dos.sets_mode() => Some(stat_of(handle)?.mode),
        mode => mode,
    };
    if let Some(mode) = mode {
        ignored.mode = set_mode(handle, change.dos.apply_to_mode(mode))?;
    }
    if let Some(modified) = change.modified {
        futimens(handle, &times(modified))?;
    }
    Ok(ignored)
}

/// Returns whether the file system refused because it keeps no modes (vfat and its like answer `EPERM` to the owner).
fn set_mode(handle: BorrowedFd<'_>, mode: u16) -> io::Result<bool> {
    let wanted = Mode::from_raw_mode((mode & MODE_MAX).into());
    match fchmod(handle, wanted) {
        Ok(()) => Ok(false),
        Err(Errno::NOTSUP | Errno::NOSYS) => Ok(true),
        Err(Errno::PERM) => {
            let now = stat_of(handle)?;
            let ours = now.owner == rustix::process::geteuid().as_raw();
            if ours && !keeps_modes(handle) { Ok(true) } else { Err(Errno::PERM.into()) }
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the handle lies on a file system other than the FAT family. Source: `MSDOS_SUPER_MAGIC`, `EXFAT_SUPER_MAGIC`.
fn keeps_modes(handle: BorrowedFd<'_>) -> bool {
    const FAT: u64 = 0x4d44;
    const EXFAT: u64 = 0x2011_bab0;
    match rustix::fs::fstatfs(handle) {
        Ok(found) => !matches!(found.f_type.cast_unsigned(), FAT | EXFAT),
        Err(_) => true,
    }
}

/// The last write time alone.
pub(in crate::disk) fn times(modified: Timestamp) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec {
            tv_sec: modified.seconds,
            tv_nsec: modified.nanos.min(999_999_999).into(),
        },
    }
}

/// Makes the settable attributes exactly those given. Returns whether all could be kept.
fn set_attributes(
    handle: BorrowedFd<'_>,
    attributes: &[Attribute],
    scope: Scope,
) -> io::Result<bool> {
    let mut all_kept = true;
    for name in names(handle)? {
        let found = Attribute { name: name.into(), value: Box::default() };
        let stays = attributes.iter().any(|wanted| wanted.name == found.name);
        if !stays && scope.holds(&found) {
            fremovexattr(handle, &*found.name)?;
        }
    }
    for attribute in attributes {
        if !scope.holds(attribute) {
            all_kept = false;
            continue;
        }
        match fsetxattr(handle, &*attribute.name, &attribute.value, XattrFlags::empty()) {
            Ok(()) => {}
            Err(Errno::NOTSUP | Errno::TOOBIG | Errno::RANGE) => all_kept = false,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(all_kept)
}

/// The value in which Samba keeps the DOS attributes of the entry `name` of `dir` itself; `None` if there is none, or it cannot
/// be read.
pub(in crate::disk) fn dos_attributes_value(dir: BorrowedFd<'_>, name: &Name) -> Option<Vec<u8>> {
    // As at the source: to open each file would cost more.
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.as_bytes());
    let mut value = vec![0; dos_attributes::VALUE_BYTES_MAX];
    let length = lgetxattr(path, dos_attributes::NAME, &mut *value).ok()?;
    value.truncate(length);
    Some(value)
}

/// Adds and removes DOS attributes other than read-only, as Samba keeps them. Returns whether they could be kept.
fn set_dos_attributes(handle: BorrowedFd<'_>, change: DosChange) -> io::Result<bool> {
    let mut value = vec![0; dos_attributes::VALUE_BYTES_MAX];
    let old = match fgetxattr(handle, dos_attributes::NAME, &mut *value) {
        Ok(length) => Some(&value[..length]),
        // None yet, or one that no Samba wrote.
        Err(Errno::NODATA | Errno::RANGE) => None,
        Err(Errno::NOTSUP) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let before = old.and_then(dos_attributes::read).unwrap_or_default();
    // Read-only is what the permission bits say; what a Samba has noted of it may go, but is not added to.
    let add = change.add.without(DosAttributes::READ_ONLY);
    let after = DosChange { add, ..change }.apply(before);
    if after == before {
        return Ok(true);
    }
    let value = dos_attributes::write(old, after);
    match fsetxattr(handle, dos_attributes::NAME, &value, XattrFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOTSUP) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Names of the attributes that the entry has; none where the file system keeps none.
fn names(handle: BorrowedFd<'_>) -> io::Result<Vec<Vec<u8>>> {
    /// Source: `XATTR_LIST_MAX` of Linux.
    const LIST_BYTES_MAX: usize = 64 << 10;
    let mut list = Vec::with_capacity(256);
    loop {
        match flistxattr(handle, rustix::buffer::spare_capacity(&mut list)) {
            Ok(_) => break,
            Err(Errno::RANGE) if list.capacity() < LIST_BYTES_MAX => {
                list.reserve(LIST_BYTES_MAX);
            }
            Err(Errno::NOTSUP) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(list.split(|&byte| byte == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect())
}

/// Whether the directory hands a default access list down to what is made in it.
pub(in crate::disk) fn has_default_acl(dir: impl AsFd) -> bool {
    rustix::fs::fgetxattr_query(dir, c"system.posix_acl_default").is_ok()
}
