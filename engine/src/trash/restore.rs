//! Giving something back.

use std::io;
use std::sync::Arc;

use quicopy_protocol::path::RelPath;
use rustix::io::Errno;

use super::bin::move_whole;
use super::item::Found;
use super::room::forget_count;
use crate::disk::{MetaChange, Share};

/// Why something was not given back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Something stands there.
    #[error(
        "{0} is taken, and nothing is overwritten; move that away, or name another place with --to"
    )]
    Taken(RelPath),
    /// The root of the share, or a name that the agent keeps for itself.
    #[error("{0:?} is no place for it")]
    NoPlace(String),
    /// It is not in the trash any more, or the job that fills its batch still runs.
    #[error("{0} is not in the trash any more, or its job still runs")]
    Gone(RelPath),
    /// A directory on the way cannot be opened or made: a file or a link may stand in its place.
    #[error("{path}: the folder for it cannot be opened or made")]
    Parent {
        /// Where it was to go.
        path: RelPath,
        /// Why not.
        source: io::Error,
    },
    /// The file system refuses.
    #[error("{path}: it cannot be moved there")]
    Disk {
        /// Where it was to go.
        path: RelPath,
        /// Why not.
        source: io::Error,
    },
}

/// Moves something from the trash to `to`, below the share's root, with the directories above it made where they are missing.
/// Never replaces anything. The directory that receives it keeps its time: it had it before.
///
/// # Errors
/// It stays in the trash.
pub fn restore(share: &Arc<Share>, found: &Found, to: &RelPath) -> Result<(), RestoreError> {
    let is_ours = to.names().any(|name| name.is_reserved());
    let Some((parent, name)) = to.split_last().filter(|_| !is_ours) else {
        return Err(RestoreError::NoPlace(to.to_string()));
    };
    let disk = |source| RestoreError::Disk { path: to.clone(), source };
    let gone = || RestoreError::Gone(found.path.clone());
    let (batch, place) = found.open(share).map_err(disk)?.ok_or_else(gone)?;
    let _hold = batch.hold(None).map_err(disk)?.ok_or_else(gone)?;
    let Some((_, old_name)) = found.path.split_last() else { return Err(gone()) };
    let now = place.stat(&old_name).map_err(disk)?;
    if !now.is_some_and(|now| now.is_same_inode(&found.stat)) {
        return Err(gone());
    }
    let dir = share
        .make_tree(&parent)
        .map_err(|source| RestoreError::Parent { path: to.clone(), source })?
        .root;
    let before = dir.own_stat().map_err(disk)?;
    forget_count(&batch).map_err(disk)?;
    move_whole(&place, &old_name, &dir, &name).map_err(|error| {
        match Errno::from_io_error(&error) {
            Some(Errno::EXIST) => RestoreError::Taken(to.clone()),
            _ => disk(error),
        }
    })?;
    let change = MetaChange { modified: Some(before.modified), ..MetaChange::default() };
    // Its owner may be somebody else: then it shows that something came.
    let _ = dir.set_own_meta(&change, None);
    rustix::fs::fsync(&dir)
        .and_then(|()| rustix::fs::fsync(&place))
        .map_err(|error| disk(error.into()))
}
