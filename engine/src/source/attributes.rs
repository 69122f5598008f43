//! Extended attributes and access lists, as far as the copy flags ask for them.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use quicopy_protocol::limits::{ATTRIBUTES_BYTES_MAX, NAME_BYTES_MAX};
use quicopy_protocol::meta::Attribute;
use quicopy_protocol::options::CopyFlags;
use quicopy_protocol::path::Name;
use rustix::fs::{fgetxattr, flistxattr, getxattr};
use rustix::io::Errno;

use crate::dos_attributes;

const ACCESS_LIST: &[u8] = b"system.posix_acl_access";
/// What new entries of a directory inherit; files have none.
const DEFAULT_ACCESS_LIST: &[u8] = b"system.posix_acl_default";

/// The attributes of one entry.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Attributes {
    /// Those that travel, by name.
    pub list: Vec<Attribute>,
    /// How many were asked for and left out, because all together would exceed [`ATTRIBUTES_BYTES_MAX`].
    pub left_out: usize,
}

impl Attributes {
    /// Reads the attributes of an open entry that `flags` ask for.
    ///
    /// # Errors
    /// The file system failed. That it keeps no attributes is no error.
    pub(crate) fn read(handle: impl AsFd, flags: CopyFlags) -> io::Result<Self> {
        let handle = handle.as_fd();
        let names = match names(handle) {
            Ok(names) => names,
            Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(Self::default()),
            // More names than Linux can list: nobody knows which.
            Err(Errno::TOOBIG | Errno::RANGE) => {
                return Ok(Self { left_out: 1, ..Self::default() });
            }
            Err(error) => return Err(error.into()),
        };
        let mut names: Vec<_> =
            names.split(|&byte| byte == 0).filter(|name| wants(flags, name)).collect();
        names.sort_unstable();
        let mut attributes = Self::default();
        let mut room = ATTRIBUTES_BYTES_MAX;
        for name in names {
            let Some(value_room) = room.checked_sub(name.len()) else {
                attributes.left_out += 1;
                continue;
            };
            match value(handle, name, value_room) {
                Ok(Some(value)) => {
                    room -= name.len() + value.len();
                    attributes.list.push(Attribute { name: name.into(), value: value.into() });
                }
                Ok(None) => attributes.left_out += 1,
                // It vanished since the names were read.
                Err(Errno::NODATA) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(attributes)
    }
}

/// The value in which Samba keeps the DOS attributes of the entry `name` of `dir`, links followed; `None` if there is none, or
/// it cannot be read.
pub(super) fn dos_attributes_value(dir: BorrowedFd<'_>, name: &Name) -> Option<Vec<u8>> {
    // No system call reads an attribute of a name in a directory before Linux 6.13, and to open each file costs more.
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.as_bytes());
    let mut value = vec![0; dos_attributes::VALUE_BYTES_MAX];
    let length = getxattr(path, dos_attributes::NAME, &mut *value).ok()?;
    value.truncate(length);
    Some(value)
}

/// Whether entries of the file system that an open entry is in can have DOS attributes. Where that cannot be told, they can.
pub(super) fn keeps_dos_attributes(handle: impl AsFd) -> bool {
    !matches!(
        fgetxattr(handle, dos_attributes::NAME, &mut [0_u8; 0][..]),
        Err(Errno::NOTSUP | Errno::NOSYS)
    )
}

/// Whether the copy flags ask for an attribute of that name.
fn wants(flags: CopyFlags, name: &[u8]) -> bool {
    match name {
        _ if name.len() > NAME_BYTES_MAX => false,
        // Where Samba keeps DOS attributes: part of A, not of D.
        dos_attributes::NAME => flags.attributes,
        ACCESS_LIST | DEFAULT_ACCESS_LIST => flags.security,
        _ => name.starts_with(b"user.") && flags.data && !flags.skip_streams,
    }
}

/// All names, each with a zero byte behind it.
fn names(handle: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    // Most entries have none, or a few short ones.
    let mut names = vec![0; 1 << 10];
    loop {
        match flistxattr(handle, &mut *names) {
            Ok(length) => {
                names.truncate(length);
                return Ok(names);
            }
            // Linux returns at most 64 KiB of names.
            Err(Errno::RANGE) if names.len() < ATTRIBUTES_BYTES_MAX => {
                names.resize(ATTRIBUTES_BYTES_MAX, 0);
            }
            Err(error) => return Err(error),
        }
    }
}

/// One value; `None` if it is longer than `bytes_max`.
fn value(handle: BorrowedFd<'_>, name: &[u8], bytes_max: usize) -> Result<Option<Vec<u8>>, Errno> {
    // One byte more than is allowed: an empty buffer would ask for the length instead.
    let mut value = vec![0; bytes_max + 1];
    match fgetxattr(handle, name, &mut *value) {
        Ok(length) => {
            value.truncate(length);
            Ok((length <= bytes_max).then_some(value))
        }
        Err(Errno::RANGE) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::print_stdout)]
mod tests {
    use rustix::fs::{XattrFlags, fsetxattr};

    use super::*;

    fn check(flags: CopyFlags, name: &str, wanted: bool) {
        assert_eq!(wants(flags, name.as_bytes()), wanted, "{name}");
    }

    #[test]
    fn each_copy_flag_brings_its_own_attributes() {
        check(CopyFlags::DAT, "user.comment", true);
        check(CopyFlags::DAT, "user.DOSATTRIB", true);
        check(CopyFlags::DAT, "system.posix_acl_access", false);
        check(CopyFlags { skip_streams: true, ..CopyFlags::DAT }, "user.comment", false);
        check(CopyFlags { skip_streams: true, ..CopyFlags::DAT }, "user.DOSATTRIB", true);
        let security = CopyFlags { security: true, ..CopyFlags::NONE };
        check(security, "system.posix_acl_access", true);
        check(security, "system.posix_acl_default", true);
        check(security, "user.comment", false);
        check(CopyFlags { data: true, security: true, ..CopyFlags::DAT }, "trusted.secret", false);
        check(
            CopyFlags { data: true, security: true, ..CopyFlags::DAT },
            "security.selinux",
            false,
        );
    }

    #[test]
    fn a_file_system_without_user_attributes_keeps_no_dos_attributes() {
        let file = tempfile::tempfile().unwrap();
        let keeps = fsetxattr(&file, dos_attributes::NAME, b"0x20", XattrFlags::empty()).is_ok();
        assert_eq!(keeps_dos_attributes(&file), keeps);
        #[expect(clippy::disallowed_methods, reason = "a file system that has none")]
        let process = std::fs::File::open("/proc/self/status").unwrap();
        assert!(!keeps_dos_attributes(&process));
    }

    #[test]
    fn attributes_come_by_name_and_what_does_not_fit_is_counted() {
        let file = tempfile::tempfile().unwrap();
        let set = |name: &str, value: &[u8]| fsetxattr(&file, name, value, XattrFlags::empty());
        match set("user.b", b"2") {
            Err(Errno::NOTSUP) => {
                println!("skipped: this file system keeps no user attributes");
                return;
            }
            other => other.unwrap(),
        }
        set("user.a", b"").unwrap();
        let attributes = Attributes::read(&file, CopyFlags::DAT).unwrap();
        let names: Vec<_> = attributes.list.iter().map(|attribute| &*attribute.name).collect();
        assert_eq!((names, attributes.left_out), (vec![&b"user.a"[..], b"user.b"], 0));
        assert_eq!(Attributes::read(&file, CopyFlags::NONE).unwrap(), Attributes::default());
        assert_eq!(value(file.as_fd(), b"user.b", 0), Ok(None));
    }
}
