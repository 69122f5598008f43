//! A sidecar on the disk.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use quicopy_protocol::path::Name;

use super::record::{CLAIMS_MAX, Claim, Record, Replay, ReplayError, Start, header, replay};
use crate::disk::file::touch;
use crate::disk::sync::Syncs;
use crate::disk::{DirHandle, Stat};

/// A sidecar larger than this is not read, and none grows beyond it: 1.5 million chunks, which is 380 GiB in chunks of 256 KiB.
pub const SIDECAR_BYTES_MAX: u64 = 64 << 20;

/// The open sidecar of one partial file.
#[derive(Debug)]
pub struct Sidecar {
    dir: DirHandle,
    name: Name,
    file: File,
    end: u64,
}

/// Why a checkpoint was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The record could not be written; what was recorded before stands.
    #[error("the record of the partial file cannot be written")]
    Write(#[source] io::Error),
    /// The record could not be made durable.
    #[error("the record of the partial file cannot be made durable")]
    Sync(#[source] io::Error),
}

impl Sidecar {
    /// Makes a sidecar in place of one that may be there. Nothing of it is durable before the first checkpoint.
    ///
    /// # Errors
    /// It cannot be made or written.
    pub fn create(dir: &DirHandle, name: &Name, start: &Start) -> io::Result<Self> {
        match dir.remove_file(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = dir.create_file(name)?;
        let mut bytes = header().to_vec();
        Record::Start(start.clone()).encode(&mut bytes);
        file.write_all_at(&bytes, 0)?;
        crate::crash_point!("agent_journal_started");
        Ok(Self { dir: dir.clone(), name: name.clone(), file, end: bytes.len() as u64 })
    }

    /// Opens a sidecar to go on with; `None` if there is none. Its age begins anew.
    ///
    /// # Errors
    /// It cannot be read. The inner error: it can, and says nothing.
    pub fn open(
        dir: &DirHandle,
        name: &Name,
    ) -> io::Result<Option<Result<(Self, Replay), ReplayError>>> {
        let (mut file, stat) = match dir.open_file_for_update(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        if !is_ours_alone(&stat) || stat.size_bytes > SIDECAR_BYTES_MAX {
            return Ok(Some(Err(ReplayError::NoStart)));
        }
        let mut bytes = Vec::new();
        file.by_ref().take(SIDECAR_BYTES_MAX).read_to_end(&mut bytes)?;
        let found = match replay(&bytes) {
            Ok(found) => found,
            Err(error) => return Ok(Some(Err(error))),
        };
        file.set_len(found.good_bytes)?;
        touch(&file)?;
        let end = found.good_bytes;
        Ok(Some(Ok((Self { dir: dir.clone(), name: name.clone(), file, end }, found))))
    }

    /// Records chunks whose bytes are durable already, and makes the record durable.
    ///
    /// Beyond [`SIDECAR_BYTES_MAX`] nothing is recorded: the rest of such a file is sent again after a crash.
    ///
    /// # Errors
    /// A failed sync is final: nothing the sidecar or its partial says may be believed then.
    pub fn append(&mut self, claims: &[Claim], syncs: &dyn Syncs) -> Result<(), AppendError> {
        let mut bytes = Vec::new();
        for claims in claims.chunks(CLAIMS_MAX) {
            Record::Checkpoint(claims.to_vec()).encode(&mut bytes);
        }
        if self.end + bytes.len() as u64 > SIDECAR_BYTES_MAX {
            return Ok(());
        }
        if let Err(error) = self.file.write_all_at(&bytes, self.end) {
            // Half a record is no record, but the next would stand behind it unread.
            let _ = self.file.set_len(self.end);
            return Err(AppendError::Write(error));
        }
        self.end += bytes.len() as u64;
        syncs.data(&self.file).map_err(AppendError::Sync)
    }

    /// Removes the sidecar: the partial took its place, or is given up.
    pub fn remove(self) {
        remove(&self.dir, &self.name);
    }
}

/// Removes a sidecar by name. One that stays behind is harmless: it names an inode that no partial has.
pub(crate) fn remove(dir: &DirHandle, name: &Name) {
    if let Err(error) = dir.remove_file(name)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%name, %error, "record of a partial file stays behind");
    }
}

/// Whether nobody else can write to the file, and writing to it changes no other.
pub(crate) fn is_ours_alone(stat: &Stat) -> bool {
    stat.owner == rustix::process::geteuid().as_raw() && stat.links == 1 && stat.mode & 0o022 == 0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::disk::Share;
    use crate::disk::sync::DiskSync;
    use quicopy_protocol::meta::Digest;
    use quicopy_protocol::path::RelPath;

    #[test]
    fn checkpoints_of_several_runs_are_found_again() {
        let temp = tempfile::tempdir().unwrap();
        let share = Share::open(temp.path()).unwrap();
        let (root, name) = (share.root(), Name::new(*b"x.log").unwrap());
        let start = Start { path: RelPath::ROOT, size_bytes: 1, device: 2, inode: 3 };
        let claim = |offset| Claim { offset, length: 1, digest: Digest([7; 32]) };
        let syncs = DiskSync::new(root.clone());
        let mut first = Sidecar::create(root, &name, &start).unwrap();
        first.append(&[claim(0), claim(1)], &syncs).unwrap();
        let (mut second, found) = Sidecar::open(root, &name).unwrap().unwrap().unwrap();
        assert_eq!((found.start, found.claims), (start, vec![claim(0), claim(1)]));
        second.append(&[claim(5)], &syncs).unwrap();
        let (third, found) = Sidecar::open(root, &name).unwrap().unwrap().unwrap();
        assert_eq!(found.claims.len(), 3);
        third.remove();
        assert!(Sidecar::open(root, &name).unwrap().is_none());
    }
}
