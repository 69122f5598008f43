//! A part of the trash that cannot be used. It is named, so that somebody can look at it, and keeps no other part from anything.

use std::io;

use quicopy_protocol::path::{PRIVATE_DIR, RelPath};

use super::batch::{BELOW, TRASH};
use super::name::BatchName;

/// What cannot be read or removed, and why.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be used: {reason}")]
pub struct Damaged {
    /// The batch that it belongs to.
    pub batch: Option<BatchName>,
    /// Where it is, below the share.
    pub path: String,
    /// Why.
    pub reason: io::Error,
}

impl Damaged {
    /// Of the trash itself.
    pub(super) fn trash(reason: io::Error) -> Self {
        Self { batch: None, path: format!("{PRIVATE_DIR}/{TRASH}"), reason }
    }

    /// Of something in the trash's own folder.
    pub(super) fn in_trash(name: &str, reason: io::Error) -> Self {
        Self { batch: None, path: format!("{PRIVATE_DIR}/{TRASH}/{name}"), reason }
    }

    /// Of a whole batch.
    pub(super) fn batch(batch: &BatchName, reason: io::Error) -> Self {
        Self::node(batch, &RelPath::ROOT, reason)
    }

    /// Of the folder in a batch for what was in the directory `path`.
    pub(super) fn node(batch: &BatchName, path: &RelPath, reason: io::Error) -> Self {
        let below = path.names().map(|name| format!("/{BELOW}/{name}"));
        let name = format!("{batch}{}", below.collect::<String>());
        Self { batch: Some(*batch), ..Self::in_trash(&name, reason) }
    }
}

impl From<Damaged> for io::Error {
    fn from(damaged: Damaged) -> Self {
        Self::new(damaged.reason.kind(), damaged)
    }
}
