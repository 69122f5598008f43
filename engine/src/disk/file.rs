//! What is done with an open file besides reading and writing it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use quicopy_protocol::meta::Attribute;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::metadata::{Ignored, MetaChange};
use super::stat::Stat;
use super::unix::{meta, stat};

/// Sets metadata of a file that was just made.
pub(crate) fn set_file_meta(
    file: &File,
    change: &MetaChange,
    attributes: &[Attribute],
) -> io::Result<Ignored> {
    // A new file has no attributes to remove but an access list that it may have inherited: most need no look.
    let needs_none = attributes.is_empty() && !change.scope.has_access_lists();
    meta::set(file, change, (!needs_none).then_some(attributes))
}

/// Describes an open file, as it is now.
pub(crate) fn stat_of_file(file: &File) -> io::Result<Stat> {
    stat::stat_of(file)
}

/// Sets the last write time of an open file to now, by the file system's clock.
pub(crate) fn touch(file: &File) -> io::Result<()> {
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
    Ok(rustix::fs::futimens(file, &times)?)
}

/// Makes a range of the file zeros that take no space, where the file system can; zeros in any case.
pub(crate) fn clear_range(file: &File, offset: u64, length: u64) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match rustix::fs::fallocate(file, flags, offset, length) {
        Ok(()) => return Ok(()),
        Err(Errno::NOTSUP | Errno::NOSYS) => {}
        Err(error) => return Err(error.into()),
    }
    write_zeros(file, offset, length)
}

/// Writes zeros that take space.
pub(crate) fn write_zeros(file: &File, offset: u64, length: u64) -> io::Result<()> {
    let zeros = vec![0; 64 << 10];
    let end = offset + length;
    let mut at = offset;
    while at < end {
        let step = (end - at).min(zeros.len() as u64);
        file.write_all_at(&zeros[..step as usize], at)?;
        at += step;
    }
    Ok(())
}

/// Asks the kernel to keep none of the file in memory. What is not yet on the disk it begins to write.
pub(crate) fn leave_cache(file: &File) {
    // Advice: a file system that knows none loses nothing.
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests set the stage with std")]
mod tests {
    use super::*;
    use std::fs;

    use crate::disk::Share;
    use quicopy_protocol::path::Name;

    #[test]
    fn a_cleared_range_is_zeros_and_nothing_else_changes() {
        let temp = tempfile::tempdir().unwrap();
        let share = Share::open(temp.path()).unwrap();
        fs::write(temp.path().join("f"), [1; 10_000]).unwrap();
        let (file, _) = share.root().open_file_for_update(&Name::new(*b"f").unwrap()).unwrap();
        clear_range(&file, 100, 9_000).unwrap();
        let bytes = fs::read(temp.path().join("f")).unwrap();
        let zeros = bytes.iter().enumerate().filter(|(_, byte)| **byte == 0);
        assert!(zeros.map(|(at, _)| at).eq(100..9_100));
        assert_eq!(bytes.len(), 10_000);
    }
}
