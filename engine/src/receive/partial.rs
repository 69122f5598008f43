//! The partial file of a large file: found again, or made.

use std::fs::File;
use std::io;
use std::sync::Arc;

use quicopy_protocol::path::{Name, RelPath};
use rustix::io::Errno;

use super::claimed::Claimed;
use crate::disk::file::stat_of_file;
use crate::disk::private::{PARTIAL, RECORD, RECORD_BESIDE};
use crate::disk::share::partial_name;
use crate::disk::{DirHandle, DiskKind, Placement, PrivateDir, Share, Stat};
use crate::journal::sidecar::is_ours_alone;
use crate::journal::{ReplayError, Sidecar, Start};

/// Whose file it is, and which: the name under which its partial is found again.
#[derive(Clone, Copy, Debug)]
pub struct Key([u8; 16]);

impl Key {
    /// `peer` is the sender's fingerprint: what one sender sent is never given to another.
    pub fn new(peer: &[u8], root: &RelPath, path: &RelPath) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in [peer, root.as_bytes(), path.as_bytes()] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let [key, _] = *hasher.finalize().as_bytes().as_chunks().0 else {
            unreachable!("32 bytes are two times 16")
        };
        Self(key)
    }

    fn stem(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }
}

/// A partial file, open.
#[derive(Debug)]
pub struct Partial {
    /// The directory that holds it.
    pub dir: DirHandle,
    /// Its name there.
    pub name: Name,
    /// Open for reading and writing.
    pub file: Arc<File>,
    /// As it was when it was opened.
    pub stat: Stat,
    /// Where its record stands.
    pub record: (DirHandle, Name),
    /// The record of an earlier try.
    pub sidecar: Option<Sidecar>,
    /// What that record claims to be there, to be checked before it is believed.
    pub claimed: Claimed,
}

impl Partial {
    /// Finds the partial of an earlier try, or makes a new one.
    ///
    /// Only a file that we alone own, that has no second name, and whose inode is the recorded one is gone on with. Anything
    /// else under its name is removed, not followed and not written to.
    ///
    /// # Errors
    /// None can be made.
    pub fn open(
        share: &Share,
        private: &PrivateDir,
        target_dir: &DirHandle,
        path: &RelPath,
        key: Key,
    ) -> io::Result<Self> {
        let placement = target_dir.placement(private.partial());
        let dir = match placement {
            Placement::Private => private.partial(),
            Placement::Beside => target_dir,
        };
        let name = partial_name(placement, &key.stem(), PARTIAL);
        let record_extension = match placement {
            Placement::Private => RECORD,
            Placement::Beside => RECORD_BESIDE,
        };
        let record_name = partial_name(Placement::Private, &key.stem(), record_extension);
        let record = (private.partial().clone(), record_name);
        let found = match find(dir, &name, &record, path) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%path, %error, "partial file cannot be used, beginning from 0");
                None
            }
        };
        if let Some((file, stat, sidecar, claimed)) = found {
            return Ok(Self {
                dir: dir.clone(),
                name,
                file: Arc::new(file),
                stat,
                record,
                sidecar: Some(sidecar),
                claimed,
            });
        }
        crate::journal::sidecar::remove(&record.0, &record.1);
        let (name, file) = create(share, dir, placement, name)?;
        let stat = stat_of_file(&file)?;
        crate::crash_point!("agent_partial_created");
        Ok(Self {
            dir: dir.clone(),
            name,
            file: Arc::new(file),
            stat,
            record,
            sidecar: None,
            claimed: Claimed::default(),
        })
    }

    /// Removes the partial and its record: what is in it is of no use.
    pub fn discard(&self) {
        if let Err(error) = self.dir.remove_file(&self.name) {
            let name = &self.name;
            tracing::warn!(%name, %error, "partial file stays behind");
        }
        crate::journal::sidecar::remove(&self.record.0, &self.record.1);
    }

    /// The first record of its sidecar.
    pub fn start(&self, path: &RelPath, size_bytes: u64) -> Start {
        let Stat { device, inode, .. } = self.stat;
        Start { path: path.clone(), size_bytes, device, inode }
    }
}

type Found = (File, Stat, Sidecar, Claimed);

fn find(
    dir: &DirHandle,
    name: &Name,
    record: &(DirHandle, Name),
    path: &RelPath,
) -> io::Result<Option<Found>> {
    let (sidecar, replay) = match Sidecar::open(&record.0, &record.1)? {
        None => return Ok(None),
        Some(Ok(found)) => found,
        Some(Err(error @ (ReplayError::NoStart | ReplayError::Newer { .. }))) => {
            tracing::info!(%path, %error, "beginning from 0");
            return Ok(None);
        }
    };
    let Some((file, stat)) = open_own(dir, name)? else { return Ok(None) };
    let same = (stat.device, stat.inode) == (replay.start.device, replay.start.inode);
    if !same || replay.start.path != *path {
        tracing::warn!(%path, "partial file is not the recorded one, beginning from 0");
        return Ok(None);
    }
    Ok(Some((file, stat, sidecar, Claimed::new(replay.claims))))
}

/// Opens the partial if it is ours alone. One that had its final metadata already may be read-only by now.
fn open_own(dir: &DirHandle, name: &Name) -> io::Result<Option<(File, Stat)>> {
    let Some(listed) = dir.stat(name)? else { return Ok(None) };
    if listed.kind != DiskKind::File || listed.links != 1 {
        return Err(Errno::INVAL.into());
    }
    let (file, stat) = dir.open_file_for_read(name)?;
    if stat.owner != rustix::process::geteuid().as_raw() || stat.links != 1 {
        return Err(Errno::PERM.into());
    }
    rustix::fs::fchmod(&file, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)?;
    let (file, stat) = dir.open_file_for_update(name)?;
    if is_ours_alone(&stat) { Ok(Some((file, stat))) } else { Err(Errno::PERM.into()) }
}

/// Makes the partial under its own name, removing what stands there; if that stays, under a name that is not found again.
fn create(
    share: &Share,
    dir: &DirHandle,
    placement: Placement,
    name: Name,
) -> io::Result<(Name, File)> {
    for _ in 0..2 {
        match dir.create_file(&name) {
            Ok(file) => return Ok((name, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if dir.remove_file(&name).is_err() {
                    break;
                }
            }
            Err(error) => return Err(error),
        }
    }
    share.make_temp(placement, |name| dir.create_file(name))
}
