//! Files that a user names or writes, read whole: [`read`].

use std::fs::{FileType, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Reads a file of at most `bytes_max` bytes. Links are followed; a pipe is not waited for.
///
/// # Errors
/// It cannot be read, is longer, or is no regular file, which the error says.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    // Without it, opening a pipe waits for somebody who writes.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let file_type = file.metadata()?.file_type();
    if !file_type.is_file() {
        let kind = kind(file_type);
        return Err(io::Error::other(format!("it is {kind} and not a regular file")));
    }
    let mut bytes = vec![];
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::other(format!("it is over {bytes_max} bytes long")));
    }
    Ok(bytes)
}

/// What is open and not a regular file. Sockets do not open.
fn kind(file_type: FileType) -> &'static str {
    if file_type.is_dir() {
        "a directory"
    } else if file_type.is_fifo() {
        "a pipe"
    } else {
        "a device"
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    #[test]
    fn only_a_regular_file_of_the_right_length_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let (file, pipe) = (dir.path().join("file"), dir.path().join("pipe"));
        std::fs::write(&file, "text").unwrap();
        mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        let why = |path: &Path| read(path, 4).unwrap_err().to_string();
        assert_eq!(read(&file, 4).unwrap(), b"text");
        assert_eq!(read(&file, 3).unwrap_err().to_string(), "it is over 3 bytes long");
        assert_eq!(why(&pipe), "it is a pipe and not a regular file");
        assert_eq!(why(dir.path()), "it is a directory and not a regular file");
        assert_eq!(why(Path::new("/dev/null")), "it is a device and not a regular file");
    }
}
