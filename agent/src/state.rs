//! The agent's files in its state folder, besides those of `certs`: small, private, replaced whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use quicopy_certs::StateDir;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// Held by the one agent that runs on a state folder. Never removed: removing a lock file is how two come to hold it.
const LOCK_FILE: &str = "agent.lock";

/// Only the owner may read or write.
const PRIVATE: u32 = 0o600;

/// Proof that no other agent runs on the state folder, for as long as it lives.
#[derive(Debug)]
pub struct AgentLock {
    _file: File,
}

/// Why the state folder is not ours.
#[derive(Debug, thiserror::Error)]
pub enum AgentLockError {
    /// Another agent runs on it.
    #[error("another agent{} runs on the state folder {folder}; stop it first, or give this one a folder of its own with --state-dir", .process.map(|id| format!(" (process {id})")).unwrap_or_default(), folder = .folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The other agent's process, if it could be read.
        process: Option<u32>,
    },
    /// The lock file fails.
    #[error("cannot lock {path}: {source}", path = .path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl AgentLock {
    /// Takes the lock, without waiting. The system gives it back when the process ends, however it ends.
    ///
    /// # Errors
    /// Another agent holds it, or the file cannot be made.
    pub fn take(dir: &StateDir) -> Result<Self, AgentLockError> {
        let path = dir.path().join(LOCK_FILE);
        let failed = |source| AgentLockError::Io { path: path.clone(), source };
        let mut file = open_for_change(dir, LOCK_FILE).map_err(failed)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                // The number only helps the reader: what cannot be read is left away.
                let _ = file.take(16).read_to_string(&mut text);
                let process = text.trim().parse().ok();
                return Err(AgentLockError::InUse { folder: dir.path().into(), process });
            }
            Err(error) => return Err(failed(error.into())),
        }
        let number = format!("{}\n", std::process::id());
        file.set_len(0).and_then(|()| file.write_all(number.as_bytes())).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Reads the file `name` of the folder, up to `bytes_max`; `None` if there is none.
///
/// # Errors
/// It is a link or larger than that, or cannot be read.
pub fn read_file(dir: &StateDir, name: &str, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let opened =
        OpenOptions::new().read(true).custom_flags(no_follow()).open(dir.path().join(name));
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max { Err(Errno::FBIG.into()) } else { Ok(Some(bytes)) }
}

/// Puts `bytes` in the place of the file `name`: afterwards, and after a crash, either the old or the new bytes stand
/// there.
///
/// # Errors
/// The disk refuses. The old file stands.
pub fn replace_file(dir: &StateDir, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = dir.path().join(format!("{name}.new"));
    // What a crash has left; the name is ours.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, dir.path().join(name))?;
    File::open(dir.path())?.sync_all()
}

/// Opens the file `name` for adding to its end; it is made if it is missing.
///
/// # Errors
/// It is a link, or cannot be opened.
pub fn append_to(dir: &StateDir, name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(PRIVATE).custom_flags(no_follow());
    options.open(dir.path().join(name))
}

/// Opens the file `name` for reading and writing anywhere in it; it is made if it is missing.
///
/// # Errors
/// It is a link, or cannot be opened.
pub fn open_for_change(dir: &StateDir, name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.mode(PRIVATE).custom_flags(no_follow()).open(dir.path().join(name))
}

fn no_follow() -> i32 {
    // The bit pattern of a C flag word; its sign means nothing.
    (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits().cast_signed()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;

    /// A state folder that goes away with the first of the two.
    pub(crate) fn folder() -> (tempfile::TempDir, StateDir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::open_or_create(temp.path().join("agent")).unwrap();
        (temp, dir)
    }

    #[test]
    fn a_second_agent_on_the_same_state_is_refused_and_told_who_the_first_is() {
        let (_temp, dir) = folder();
        let held = AgentLock::take(&dir).unwrap();
        let error = AgentLock::take(&dir).unwrap_err().to_string();
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
        drop(held);
        AgentLock::take(&dir).unwrap();
    }

    #[test]
    fn a_file_is_replaced_whole_and_read_up_to_its_limit() {
        let (_temp, dir) = folder();
        assert_eq!(read_file(&dir, "f", 3).unwrap(), None);
        replace_file(&dir, "f", b"old").unwrap();
        fs::write(dir.path().join("f.new"), "torn").unwrap();
        replace_file(&dir, "f", b"new").unwrap();
        assert_eq!(read_file(&dir, "f", 3).unwrap().unwrap(), b"new");
        assert!(read_file(&dir, "f", 2).is_err());
    }

    #[test]
    fn links_in_the_state_folder_are_not_followed() {
        let (temp, dir) = folder();
        let outside = temp.path().join("outside");
        fs::write(&outside, "kept").unwrap();
        for name in [LOCK_FILE, "f"] {
            std::os::unix::fs::symlink(&outside, dir.path().join(name)).unwrap();
        }
        assert!(AgentLock::take(&dir).is_err());
        assert!(read_file(&dir, "f", 9).is_err());
        assert!(append_to(&dir, "f").is_err());
        replace_file(&dir, "f", b"new").unwrap();
        assert_eq!(fs::read(&outside).unwrap(), b"kept");
    }
}
