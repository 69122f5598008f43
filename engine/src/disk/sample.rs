//! What the tests of this folder share.

use quicopy_protocol::path::Name;

use super::{DirHandle, Share};

pub(super) fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

/// The root of a share in a folder.
pub(super) fn open(temp: &tempfile::TempDir) -> DirHandle {
    Share::open(temp.path()).unwrap().root().clone()
}
