//! What a whole tree was at one look, so that a later one can tell whether it is still that.

use std::io;

use quicopy_protocol::path::Name;

use crate::disk::{DirHandle, DiskKind, Stat};

/// The state of a directory with all that it holds, as one hash: a tree may be large, and only whether it is equal counts.
///
/// The directory's own name and metadata are no part of it: it may be renamed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TreeState(blake3::Hash);

impl TreeState {
    /// Looks at the directory `name` of `dir`. Never follows a link, and does not look into what is mounted in it.
    ///
    /// # Errors
    /// A directory in it cannot be read.
    pub(super) fn of(dir: &DirHandle, name: &Name) -> io::Result<Self> {
        let mut hasher = blake3::Hasher::new();
        take(&dir.open_dir(name)?, &mut hasher)?;
        Ok(Self(hasher.finalize()))
    }
}

fn take(dir: &DirHandle, hasher: &mut blake3::Hasher) -> io::Result<()> {
    let entries = dir.list()?;
    hasher.update(&(entries.len() as u64).to_le_bytes());
    for entry in entries {
        let name = entry.name.as_bytes();
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name);
        take_stat(&entry.stat, hasher);
        if entry.stat.kind == DiskKind::Directory && !dir.is_mount_point(&entry.stat) {
            take(&dir.open_dir(&entry.name)?, hasher)?;
        }
    }
    Ok(())
}

/// Everything that moves when content or metadata does; a second look has to find all of it equal.
fn take_stat(stat: &Stat, hasher: &mut blake3::Hasher) {
    let kind = match stat.kind {
        DiskKind::File => 0,
        DiskKind::Directory => 1,
        DiskKind::Link => 2,
        DiskKind::Special => 3,
    };
    for number in [kind, stat.size_bytes, stat.device, stat.inode] {
        hasher.update(&number.to_le_bytes());
    }
    for time in [stat.modified, stat.changed] {
        hasher.update(&time.seconds.to_le_bytes()).update(&time.nanos.to_le_bytes());
    }
}
