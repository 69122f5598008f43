//! Attributes of Windows, as Samba keeps them on a disk that knows none.

use std::{io, path::Path};

use rustix::{
    fs::{XattrFlags, getxattr, setxattr},
    io::Errno,
};

/// Where Samba keeps them.
const NAME: &str = "user.DOSATTRIB";

/// The bit of one letter of Robocopy's.
///
/// Source: File Attribute Constants, Windows API.
pub(super) fn attribute(letter: char) -> u32 {
    match letter {
        'R' => 0x1,
        'H' => 0x2,
        'S' => 0x4,
        'A' => 0x20,
        'T' => 0x100,
        'C' => 0x800,
        'O' => 0x1000,
        'N' => 0x2000,
        'E' => 0x4000,
        _ => panic!("{letter:?} is no attribute"),
    }
}

/// Gives what stands at `path` these attributes.
///
/// # Errors
///
/// Those of the disk.
pub fn set_attributes(path: &Path, attributes: u32) -> io::Result<()> {
    // Version 3 of Samba's structure: the attributes as text; version, twice; which fields hold (here the attributes
    // alone); the attributes as a number; sizes and times, which nobody reads.
    let mut value = format!("0x{attributes:x}\0").into_bytes();
    value.resize(value.len().next_multiple_of(2), 0);
    value.extend([3, 0, 3, 0]);
    value.resize(value.len().next_multiple_of(4), 0);
    for field in [1, attributes, 0] {
        value.extend(u32::to_le_bytes(field));
    }
    value.extend([0; 32]);
    Ok(setxattr(path, NAME, &value, XattrFlags::empty())?)
}

/// The attributes of what stands at `path`, 0 if none are kept.
///
/// # Errors
///
/// Those of the disk.
pub fn attributes(path: &Path) -> io::Result<u32> {
    let mut value = [0; 512];
    let length = match getxattr(path, NAME, &mut value) {
        Ok(length) => length,
        Err(Errno::NODATA | Errno::NOTSUP) => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    parse(&value[..length]).ok_or_else(|| io::Error::other(format!("{NAME} cannot be read")))
}

/// Reads every version of Samba's structure that is in use.
fn parse(value: &[u8]) -> Option<u32> {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    let text = std::str::from_utf8(&value[..end]).ok()?;
    if let Some(hex) = text.strip_prefix("0x") {
        return u32::from_str_radix(hex, 16).ok();
    }
    // From version 5 on the text is empty, and the number stands behind the version, the version and the valid fields.
    let number = (end + 1).next_multiple_of(2) + 2;
    let number = number.next_multiple_of(4) + 8;
    Some(u32::from_le_bytes(value.get(number..number + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_samba_writes_is_read() {
        assert_eq!(parse(b"0x22"), Some(0x22));
        assert_eq!(parse(b"0x20\0\0\x03\0\x03\0\0\0\x11\0\0\0\x20\0\0\0"), Some(0x20));
        let version_5 = b"\0\0\x05\0\x05\0\0\0\x11\0\0\0\x27\0\0\0\xd8\xcb\xab\x9f\x3b\x27\xd4\x01";
        assert_eq!(parse(version_5), Some(0x27));
        assert_eq!(parse(b"\0\0\x05\0"), None);
    }

    #[test]
    fn attributes_that_were_set_are_there() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(attributes(folder.path()).ok(), Some(0));
        set_attributes(folder.path(), 0x26).expect("the disk keeps attributes");
        assert_eq!(attributes(folder.path()).ok(), Some(0x26));
    }
}
