//! What is to be received, and into what place.

use quicopy_protocol::options::Writing;
use quicopy_protocol::path::{Name, RelPath};

use crate::commit::Place;
use crate::disk::{DirHandle, DiskKind, MetaChange};

/// One entry that the job decided to write.
#[derive(Clone, Debug)]
pub struct Target {
    /// The directory it goes into.
    pub dir: DirHandle,
    /// Its name there.
    pub name: Name,
    /// Its path below the job's root: a partial file is found again by it.
    pub path: RelPath,
    /// Size of its content in bytes as listed; 0 for a link.
    pub size_bytes: u64,
    /// Metadata it gets before it takes its place.
    pub change: MetaChange,
    /// What stands at its name.
    pub place: Place,
    /// Whether the old version is a basis.
    pub delta: bool,
    /// How its content is written.
    pub writing: Writing,
}

impl Target {
    /// The metadata to set, with a mode in any case: that of the old file, or what this process gives new files.
    ///
    /// A partial file is made with mode 0600 and would otherwise take its place with it.
    pub(super) fn full_change(&self) -> MetaChange {
        let mode = self.change.mode.unwrap_or_else(|| match self.place.old() {
            Some(old) if old.kind == DiskKind::File => old.mode,
            Some(_) | None => crate::disk::metadata::new_file_mode(),
        });
        MetaChange { mode: Some(mode), ..self.change }
    }
}
