//! Log files: opening them without mixing encodings, and the bytes that a text comes to in each encoding.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use quicopy_engine::fault;
use quicopy_protocol::text::Escaped;

use super::options::{LogEncoding, LogFile, LogMode};

/// The mark at the beginning of a UTF-16 file whose low bytes come first.
const BYTE_ORDER_MARK: [u8; 2] = [0xff, 0xfe];

/// Why the log cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("ERROR {code} (0x{code:08X}) {step} Log File {}\n{reason}", Escaped(path.as_os_str().as_bytes()))]
pub struct LogError {
    /// What failed: `Opening`, or `Writing` when it was open.
    pub step: &'static str,
    /// The log.
    pub path: PathBuf,
    /// Windows error number that says the same.
    pub code: u32,
    /// What the system says, or what an older log of that name lacks.
    pub reason: String,
}

impl LogError {
    fn opening(path: &Path, error: &io::Error) -> Self {
        let code = match error.kind() {
            // The file is made if it is missing, so it is the folder: 3, the path is not found.
            io::ErrorKind::NotFound => 3,
            _ => fault::windows_code(error),
        };
        Self { code, step: "Opening", ..Self::writing(path, error) }
    }

    /// A log that was open takes no more, such as on a full disk.
    pub(super) fn writing(path: &Path, error: &io::Error) -> Self {
        let reason = error.to_string();
        let reason = reason.split(" (os error").next().unwrap_or(&reason).to_lowercase();
        Self { step: "Writing", path: path.to_owned(), code: fault::windows_code(error), reason }
    }

    /// 11: an attempt was made to load a file of an incorrect format.
    fn mixed(path: &Path, reason: &str) -> Self {
        Self { step: "Opening", path: path.to_owned(), code: 11, reason: reason.to_owned() }
    }
}

/// Opens a log, ready for the next line. The folder must exist; the file may.
///
/// # Errors
/// It cannot be opened, or what it holds is in another encoding.
pub(super) fn open(log: &LogFile) -> Result<(File, &'static [u8]), LogError> {
    let failed = |error: io::Error| LogError::opening(&log.path, &error);
    let mut options = OpenOptions::new();
    match log.mode {
        LogMode::Overwrite => options.write(true).create(true).truncate(true),
        LogMode::Append => options.append(true).create(true),
    };
    let file = options.open(&log.path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    // A pipe or a device has no beginning to look at.
    let length = if metadata.is_file() { metadata.len() } else { 0 };
    let is_marked = length > 0 && begins_with_mark(&log.path).map_err(failed)?;
    match (log.encoding, is_marked) {
        (LogEncoding::Utf16, true) if length % 2 == 1 => {
            Err(LogError::mixed(&log.path, "it ends in half a character: take another file"))
        }
        (LogEncoding::Utf16, true) | (LogEncoding::Utf8, false) => Ok((file, &[])),
        (LogEncoding::Utf16, false) if length == 0 => Ok((file, &BYTE_ORDER_MARK)),
        (LogEncoding::Utf16, false) => {
            Err(LogError::mixed(&log.path, "it is no UTF-16 log: take /LOG+, or another file"))
        }
        (LogEncoding::Utf8, true) => {
            Err(LogError::mixed(&log.path, "it is a UTF-16 log: take /UNILOG+, or another file"))
        }
    }
}

fn begins_with_mark(path: &Path) -> io::Result<bool> {
    let mut begin = Vec::with_capacity(BYTE_ORDER_MARK.len());
    File::open(path)?.take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut begin)?;
    Ok(begin == BYTE_ORDER_MARK)
}

impl LogEncoding {
    /// The bytes of a text. Lines end with a line feed in UTF-8, as files here do, and with CR LF in UTF-16, a format of Windows.
    pub(super) fn encode(self, text: &str) -> Cow<'_, [u8]> {
        match self {
            Self::Utf8 => text.as_bytes().into(),
            Self::Utf16 => {
                let text = text.replace('\n', "\r\n");
                text.encode_utf16().flat_map(u16::to_le_bytes).collect()
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Opens a log that holds `before`, writes `text`, and returns what it holds then.
    fn check(
        before: &[u8],
        mode: LogMode,
        encoding: LogEncoding,
        text: &str,
    ) -> Result<Vec<u8>, String> {
        let dir = tempfile::tempdir().unwrap();
        let log = LogFile { path: dir.path().join("log"), mode, encoding };
        std::fs::write(&log.path, before).unwrap();
        let opened = open(&log).map_err(|error| error.reason);
        if let Ok((file, mark)) = &opened {
            let mut file = file;
            file.write_all(mark).unwrap();
            file.write_all(&encoding.encode(text)).unwrap();
        }
        let after = std::fs::read(&log.path).unwrap();
        match opened {
            Ok(_) => Ok(after),
            Err(reason) => {
                assert_eq!(after, before, "a log that is refused stays as it is");
                Err(reason)
            }
        }
    }

    #[test]
    fn a_wide_log_has_one_mark_and_the_line_ends_of_windows() {
        let line = b"\xff\xfea\0\r\0\n\0";
        for (before, mode) in
            [(&b""[..], LogMode::Overwrite), (b"old\n", LogMode::Overwrite), (b"", LogMode::Append)]
        {
            assert_eq!(check(before, mode, LogEncoding::Utf16, "a\n").unwrap(), line);
        }
        let grown = check(line, LogMode::Append, LogEncoding::Utf16, "\u{1f600}").unwrap();
        assert_eq!(grown, [&line[..], b"\x3d\xd8\x00\xde"].concat());
    }

    #[test]
    fn a_log_is_never_of_two_encodings() {
        let refuses = |before: &[u8], encoding, word: &str| {
            let reason = check(before, LogMode::Append, encoding, "a").unwrap_err();
            assert!(reason.contains(word), "{reason}");
        };
        refuses(b"plain\n", LogEncoding::Utf16, "/LOG+");
        refuses(b"x", LogEncoding::Utf16, "/LOG+");
        refuses(b"\xff\xfea\0", LogEncoding::Utf8, "/UNILOG+");
        refuses(b"\xff\xfea\0b", LogEncoding::Utf16, "half a character");
        assert_eq!(
            check(b"x\n", LogMode::Append, LogEncoding::Utf8, "ü\n").unwrap(),
            "x\nü\n".as_bytes()
        );
    }

    #[test]
    fn a_missing_folder_is_path_not_found() {
        let path = PathBuf::from("/nowhere/at/all/log");
        let log = LogFile { path, mode: LogMode::Append, encoding: LogEncoding::Utf8 };
        let error = open(&log).unwrap_err().to_string();
        assert!(
            error.starts_with("ERROR 3 (0x00000003) Opening Log File /nowhere/at/all/log\n"),
            "{error}"
        );
    }
}
