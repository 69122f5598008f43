//! Whether a job would copy a tree into itself.
//!
//! The sender tells where its source stands ([`Origin`]); the agent compares that with its destination. Numbers of
//! devices and inodes mean the same only under one running kernel, so that comes first.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use quicopy_engine::purge::{self, FileId};
use quicopy_protocol::message::Origin;
use quicopy_protocol::path::RelPath;

/// Says which kernel runs. Source: proc_sys_kernel(5); drawn anew at each boot, and the same in every container.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// What a sender or agent says that does not know. Equal to nothing.
const UNKNOWN: [u8; 32] = [0; 32];

/// What [`Origin::machine`] is on this machine: equal for all programs that see the same device numbers, and telling
/// nothing else about it.
pub fn machine() -> [u8; 32] {
    fs::read(BOOT_ID).map_or(UNKNOWN, |id| blake3::derive_key("quicopy 1 machine", id.trim_ascii()))
}

/// Whether the source and the destination `path` below `share` are one tree, or one lies in the other.
///
/// The destination need not be there yet. Links below the share are not followed, as nothing else of the job follows
/// them.
///
/// # Errors
/// The share's folder cannot be looked at.
pub fn overlaps(origin: &Origin, share: &Path, path: &RelPath) -> io::Result<bool> {
    if origin.machine == UNKNOWN || origin.machine != machine() {
        return Ok(false);
    }
    let source = origin.chain.iter().map(|&(device, inode)| FileId { device, inode });
    let source = source.collect::<Vec<_>>();
    let mut destination = chain(share)?;
    let mut folder = share.to_path_buf();
    for name in path.components() {
        folder.push(std::ffi::OsStr::from_bytes(name));
        match fs::symlink_metadata(&folder) {
            Ok(found) if found.is_dir() => destination.insert(0, id_of(&found)),
            // What is not there holds nothing, but may come to lie inside the source.
            Ok(_) | Err(_) => {
                return Ok(source.first().is_some_and(|root| destination.contains(root)));
            }
        }
    }
    Ok(purge::overlaps(&source, &destination))
}

/// A folder and all above it, links resolved.
fn chain(folder: &Path) -> io::Result<Vec<FileId>> {
    folder.canonicalize()?.ancestors().map(|folder| Ok(id_of(&fs::metadata(folder)?))).collect()
}

fn id_of(found: &fs::Metadata) -> FileId {
    FileId { device: found.dev(), inode: found.ino() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Folders `share/a/b` and `other`; the source is one of the folders, the destination a path below `share`.
    fn check(source: &str, destination: &str, overlap: bool) {
        let temp = tempfile::tempdir().unwrap();
        let at = |path: &str| temp.path().join(path);
        fs::create_dir_all(at("share/a/b")).unwrap();
        fs::create_dir(at("other")).unwrap();
        let chain = chain(&at(source)).unwrap();
        let chain = chain.into_iter().map(|FileId { device, inode }| (device, inode)).collect();
        let path = RelPath::parse(destination.as_bytes()).unwrap();
        let origin = Origin { machine: machine(), chain };
        assert_eq!(
            overlaps(&origin, &at("share"), &path).unwrap(),
            overlap,
            "{source} {destination}"
        );
        for machine in [UNKNOWN, [1; 32]] {
            let origin = Origin { machine, ..origin.clone() };
            assert!(!overlaps(&origin, &at("share"), &path).unwrap());
        }
    }

    #[test]
    fn a_tree_overlaps_itself_what_it_holds_and_what_holds_it() {
        check("share", "", true);
        check("share/a", "", true);
        check("share/a", "a/b", true);
        check("", "a", true);
        check("other", "", false);
        check("share/a/b", "b", false);
    }

    #[test]
    fn a_destination_that_is_not_there_yet_overlaps_only_what_will_hold_it() {
        check("share/a", "a/new/deeper", true);
        check("share/a/b", "a/new", false);
        check("other", "new", false);
    }
}
