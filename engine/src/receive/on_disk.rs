//! A file's content between its last byte and its place: read back from the disk (`/READBACK`), kept out of memory (`/J`).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use quicopy_protocol::meta::Digest;
use quicopy_protocol::options::Writing;

use super::error::ReceiveError;
use crate::disk::file::leave_cache;

/// Bytes read at a time.
const READ_BYTES: usize = 1 << 20;

/// Does with the content of a file that is complete what `writing` asks for.
///
/// # Errors
/// It was read back, and that failed or gave other bytes than `expected`.
pub(super) fn check_on_disk(
    file: &File,
    writing: Writing,
    size_bytes: u64,
    expected: Digest,
) -> Result<(), ReceiveError> {
    if writing.read_back {
        let actual = read_back(file, size_bytes).map_err(ReceiveError::Disk)?;
        if actual != expected {
            return Err(ReceiveError::ReadBack { expected, actual });
        }
    }
    if writing.unbuffered {
        leave_cache(file);
    }
    Ok(())
}

/// Hashes what the disk has of a file: once it is written there, and nothing of it is in memory any more.
fn read_back(file: &File, size_bytes: u64) -> io::Result<Digest> {
    file.sync_data()?;
    leave_cache(file);
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; READ_BYTES.min(usize::try_from(size_bytes).unwrap_or(READ_BYTES))];
    let mut at = 0;
    while at < size_bytes {
        let step = (size_bytes - at).min(buffer.len() as u64) as usize;
        file.read_exact_at(&mut buffer[..step], at)?;
        hasher.update(&buffer[..step]);
        at += step as u64;
    }
    Ok(hasher.finalize().into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    fn check(writing: Writing, expected: &[u8]) -> Result<(), ReceiveError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"content").unwrap();
        check_on_disk(&file, writing, 7, Digest::of(expected))
    }

    #[test]
    fn what_was_written_is_read_back_only_when_asked_for() {
        let read_back = Writing { read_back: true, ..Writing::default() };
        assert!(check(read_back, b"content").is_ok());
        assert!(matches!(check(read_back, b"other"), Err(ReceiveError::ReadBack { .. })));
        assert!(check(Writing { unbuffered: true, ..Writing::default() }, b"other").is_ok());
    }
}
