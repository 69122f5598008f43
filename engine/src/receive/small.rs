//! Entries that come whole: small files, empty ones, links.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use quicopy_protocol::meta::{Attribute, Digest};
use quicopy_protocol::path::Name;
use quicopy_protocol::verdict::Origins;

use super::error::ReceiveError;
use super::on_disk::check_on_disk;
use super::target::Target;
use crate::commit::place::Covered;
use crate::commit::{Displaced, Ready};
use crate::disk::file::{set_file_meta, stat_of_file};
use crate::disk::{DirHandle, Durable, Ignored, Placement, PrivateDir, Share, Stat};
use quicopy_protocol::options::Durability;

/// Writes a file whose content is at hand and has been checked.
pub(super) fn write_file(
    share: &Share,
    private: &PrivateDir,
    durable: &Durable,
    target: Target,
    content: (Digest, &[u8]),
    attributes: &[Attribute],
) -> Result<Ready, ReceiveError> {
    let (digest, data) = content;
    let (placement, dir) = place_of(private, &target);
    let (name, file) =
        share.make_temp(placement, |name| dir.create_file(name)).map_err(ReceiveError::Disk)?;
    let write = || -> Result<(Ignored, u64), ReceiveError> {
        file.write_all_at(data, 0).map_err(ReceiveError::Disk)?;
        crate::crash_point!("agent_chunk_written");
        check_on_disk(&file, target.writing, target.size_bytes, digest)?;
        let ignored = set_file_meta(&file, &target.full_change(), attributes)
            .map_err(ReceiveError::Metadata)?;
        crate::crash_point!("agent_metadata_set");
        Ok((ignored, stat_of_file(&file).map_err(ReceiveError::Disk)?.inode))
    };
    match write() {
        Ok((ignored, inode)) => Ok(Ready {
            covered: covered(share, durable, &target.dir, Arc::new(file)),
            from: Displaced { dir, name },
            record: None,
            size_bytes: target.size_bytes,
            digest: Some(digest),
            origins: Origins { literal_bytes: data.len() as u64, ..Origins::default() },
            ..ready(target, inode, ignored)
        }),
        Err(error) => Err(give_up(&dir, &name, error)),
    }
}

/// Makes a link with the text `text`, which nobody here reads or follows.
pub(super) fn make_link(
    share: &Share,
    private: &PrivateDir,
    target: Target,
    text: &[u8],
) -> Result<Ready, ReceiveError> {
    let (placement, dir) = place_of(private, &target);
    let (name, ()) =
        share.make_temp(placement, |name| dir.make_link(name, text)).map_err(ReceiveError::Disk)?;
    let describe = || -> Result<(Ignored, u64), ReceiveError> {
        let ignored = dir.set_meta(&name, &target.change, None).map_err(ReceiveError::Metadata)?;
        let found = dir.stat(&name).map_err(ReceiveError::Disk)?;
        let found = found.ok_or_else(|| ReceiveError::Disk(io::ErrorKind::NotFound.into()))?;
        Ok((ignored, found.inode))
    };
    match describe() {
        Ok((ignored, inode)) => {
            Ok(Ready { from: Displaced { dir, name }, ..ready(target, inode, ignored) })
        }
        Err(error) => Err(give_up(&dir, &name, error)),
    }
}

/// Makes another name of a file that is there; its metadata is the file's.
pub(super) fn make_hard_link(
    share: &Share,
    private: &PrivateDir,
    target: Target,
    (from, first, found): (&DirHandle, &Name, &Stat),
) -> Result<Ready, ReceiveError> {
    let (placement, dir) = place_of(private, &target);
    let (name, ()) = share
        .make_temp(placement, |name| from.link(first, &dir, name))
        .map_err(ReceiveError::Disk)?;
    Ok(Ready { from: Displaced { dir, name }, ..ready(target, found.inode, Ignored::default()) })
}

fn place_of(private: &PrivateDir, target: &Target) -> (Placement, DirHandle) {
    match target.dir.placement(private.partial()) {
        Placement::Private => (Placement::Private, private.partial().clone()),
        Placement::Beside => (Placement::Beside, target.dir.clone()),
    }
}

/// What must be synced for a file. Only where that is the file itself its descriptor stays open until then.
pub(super) fn covered(
    share: &Share,
    durable: &Durable,
    dir: &DirHandle,
    file: Arc<File>,
) -> Covered {
    let alone = dir.device() != share.root().device();
    match durable.mode() {
        Durability::File => Covered::File(file),
        Durability::Group | Durability::None if alone => Covered::File(file),
        Durability::Group | Durability::None => Covered::FileSystem,
    }
}

/// A link that is ready; what a file has beyond it is filled in by the caller.
pub(super) fn ready(target: Target, inode: u64, ignored: Ignored) -> Ready {
    Ready {
        from: Displaced { dir: target.dir.clone(), name: target.name.clone() },
        record: None,
        dir: target.dir,
        name: target.name,
        place: target.place,
        inode,
        covered: Covered::Name,
        size_bytes: 0,
        digest: None,
        origins: Origins::default(),
        ignored,
        is_placed: false,
        displaced: None,
        keeps: None,
    }
}

fn give_up(dir: &DirHandle, name: &Name, error: ReceiveError) -> ReceiveError {
    if let Err(error) = dir.remove_file(name) {
        tracing::warn!(%name, %error, "partial file stays behind");
    }
    error
}
