//! What the disk says, in the terms of the planner.

use quicopy_protocol::meta::{Entry, Kind};
use quicopy_protocol::path::{Name, PARTIAL_PREFIX, RelPath};
use rustix::io::Errno;

use super::job::Job;
use crate::compare::{Folded, Listed, Present, fold};
use crate::disk::{DirHandle, DiskEntry, DiskKind, Stat};
use crate::purge::TreeLister;

/// One entry; the text of a link is read.
pub(super) fn present(dir: &DirHandle, name: &Name, stat: &Stat) -> Present {
    let kind = match stat.kind {
        DiskKind::File => Kind::File,
        DiskKind::Directory => Kind::Directory,
        DiskKind::Link => Kind::Link { target: dir.read_link(name).unwrap_or_default() },
        DiskKind::Special => Kind::Special,
    };
    Present {
        kind,
        size_bytes: stat.size_bytes,
        modified: stat.modified,
        mode: stat.mode,
        owner: stat.owner,
        group: stat.group,
        device: stat.device,
        inode: stat.inode,
        changed: stat.changed,
        links: stat.links,
        mounted: dir.is_mount_point(stat),
        attributes: None,
    }
}

/// A directory's listing; `reads_attributes` says whether it has the DOS attributes of files.
pub(super) fn all(dir: &DirHandle, entries: Vec<DiskEntry>, reads_attributes: bool) -> Vec<Listed> {
    let listed = |DiskEntry { name, stat }| {
        let mut present = present(dir, &name, &stat);
        if reads_attributes && stat.kind == DiskKind::File {
            present.attributes = Some(dir.dos_attributes(&name));
        }
        Listed { name, present }
    };
    entries.into_iter().map(listed).collect()
}

/// A directory's listing in the source's names, where its file system takes some of its own for them.
pub(super) fn folded(dir: &DirHandle, source: &[Entry], listed: Vec<Listed>) -> Folded {
    fold(source, listed, |name| match dir.stat(name) {
        Ok(found) => Ok(found.map(|stat| present(dir, name, &stat))),
        // What the file system takes for no name at all, it has nothing under.
        Err(error)
            if matches!(
                Errno::from_io_error(&error),
                Some(Errno::INVAL | Errno::ILSEQ | Errno::NAMETOOLONG)
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    })
}

/// A name beside a directory's entry that no sender can give: the same for the same entry and extension, so that a next try
/// finds it.
pub(super) fn reserved_name(peer: &[u8; 32], dir: &RelPath, name: &Name, extension: &str) -> Name {
    let hash = blake3::Hasher::new()
        .update(peer)
        .update(dir.as_bytes())
        .update(b"/")
        .update(name.as_bytes())
        .finalize();
    Name::new(format!("{PARTIAL_PREFIX}{}.{extension}", &hash.to_hex()[..32]).into_bytes())
        .expect("a prefix and hexadecimal digits are a name")
}

/// Lists directories below the job's root for walks of extra trees.
pub(super) struct Lister<'a> {
    pub(super) job: &'a Job,
}

impl TreeLister for Lister<'_> {
    fn list(&mut self, dir: &RelPath) -> Option<Vec<Listed>> {
        let tree = self.job.tree()?;
        let handle = tree.root.open_path(dir).ok()?;
        let entries = handle.list().ok()?;
        Some(all(&handle, entries, false))
    }
}
