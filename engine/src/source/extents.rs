//! Where a file holds data, and where it is a hole.

use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// A shorter hole is read as the zeros it stands for: cutting a file into snippets there would cost more than it saves.
pub(super) const HOLE_BYTES_MIN: u64 = 64 << 10;
/// Short holes that one call passes over, so that a file of nothing else does not keep it busy for ever.
const SHORT_HOLES_MAX: usize = 1024;

/// A part of a file, in bytes from its beginning; never empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Extent {
    /// Bytes that must be read.
    Data(Range<u64>),
    /// Zeros that take no space.
    Hole(Range<u64>),
}

/// The part that begins at `at` of a file that is taken to be `size` bytes long; `None` at its end.
pub(super) fn next_extent(file: BorrowedFd<'_>, at: u64, size: u64) -> io::Result<Option<Extent>> {
    if at >= size {
        return Ok(None);
    }
    let data = next_data(file, at, size)?;
    if data - at >= HOLE_BYTES_MIN {
        return Ok(Some(Extent::Hole(at..data)));
    }
    let mut read_to = data;
    for _ in 0..SHORT_HOLES_MAX {
        let hole = next_hole(file, read_to, size)?;
        let data = next_data(file, hole, size)?;
        if hole > at && data - hole >= HOLE_BYTES_MIN {
            return Ok(Some(Extent::Data(at..hole)));
        }
        // The file is being changed under us, or ends here.
        if data <= read_to || data >= size {
            return Ok(Some(Extent::Data(at..size)));
        }
        read_to = data;
    }
    Ok(Some(Extent::Data(at..read_to)))
}

fn next_data(file: BorrowedFd<'_>, at: u64, size: u64) -> io::Result<u64> {
    match seek(file, SeekFrom::Data(at)) {
        Ok(data) => Ok(data.clamp(at, size)),
        // No data from here to the end.
        Err(Errno::NXIO) => Ok(size),
        // A file system that knows no holes has data everywhere.
        Err(Errno::INVAL | Errno::NOTSUP) => Ok(at),
        Err(error) => Err(error.into()),
    }
}

fn next_hole(file: BorrowedFd<'_>, at: u64, size: u64) -> io::Result<u64> {
    match seek(file, SeekFrom::Hole(at)) {
        Ok(hole) => Ok(hole.clamp(at, size)),
        Err(Errno::NXIO | Errno::INVAL | Errno::NOTSUP) => Ok(size),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::print_stdout)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// Writes a byte at each offset of a file of `size` bytes, and lists its extents.
    fn extents(size: u64, written: &[u64]) -> Vec<Extent> {
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        for &offset in written {
            file.write_all_at(b"x", offset).unwrap();
        }
        let mut at = 0;
        let mut extents = Vec::new();
        while let Some(extent) = next_extent(file.as_fd(), at, size).unwrap() {
            let (Extent::Data(range) | Extent::Hole(range)) = extent.clone();
            assert!(range.start == at && range.end > at, "{extents:?} {extent:?}");
            at = range.end;
            extents.push(extent);
        }
        assert_eq!(at, size);
        extents
    }

    #[test]
    fn extents_cover_the_file_and_every_written_byte_is_data() {
        let written = [MIB, 3 * MIB + 5, 3 * MIB + 20_000];
        let extents = extents(8 * MIB, &written);
        for offset in written {
            let is_data =
                |extent: &Extent| matches!(extent, Extent::Data(range) if range.contains(&offset));
            assert!(extents.iter().any(is_data), "{offset}: {extents:?}");
        }
    }

    #[test]
    fn long_holes_are_found_where_the_file_system_knows_them() {
        let found = extents(8 * MIB, &[4 * MIB]);
        if found == [Extent::Data(0..8 * MIB)] {
            println!("skipped: this file system does not tell holes");
            return;
        }
        assert_eq!(found.first(), Some(&Extent::Hole(0..4 * MIB)));
        assert!(matches!(found.last(), Some(Extent::Hole(range)) if range.end == 8 * MIB));
        assert_eq!(extents(8 * MIB, &[]), [Extent::Hole(0..8 * MIB)]);
    }

    #[test]
    fn short_holes_are_data() {
        let every_32_kib: Vec<_> = (0..32).map(|index| index * (32 << 10)).collect();
        assert_eq!(extents(MIB, &every_32_kib), [Extent::Data(0..MIB)]);
        assert_eq!(extents(0, &[]), []);
    }

    #[test]
    fn very_many_short_holes_come_in_several_parts() {
        let count = 2 * SHORT_HOLES_MAX as u64;
        let offsets: Vec<_> = (0..count).map(|index| index * (16 << 10)).collect();
        let extents = extents(count * (16 << 10), &offsets);
        assert!(extents.iter().all(|extent| matches!(extent, Extent::Data(_))));
    }
}
