//! The verdict on one entry.

use std::io;

use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::limits::LINK_TARGET_BYTES_MAX;
use quicopy_protocol::meta::{Entry, Kind, Meta, Skip};
use quicopy_protocol::path::{Name, RelPath};

use super::super::ScannedEntry;
use crate::fault;
use crate::source::{Identity, Links, Stat};

/// The verdict on one entry.
#[derive(Debug)]
pub(in crate::scan) struct Judged {
    pub(in crate::scan) scanned: ScannedEntry,
    /// Set when the entry counts as failed.
    pub(in crate::scan) failure: Option<Failure>,
    /// Set when a directory takes part.
    pub(in crate::scan) enter: Option<Enter>,
}

/// A directory that takes part.
#[derive(Debug)]
pub(in crate::scan) struct Enter {
    pub(in crate::scan) path: RelPath,
    /// Whether its name may be a link.
    pub(in crate::scan) links: Links,
    /// Whether the scan goes on in it; otherwise it is listed as if it were empty.
    pub(in crate::scan) is_listed: bool,
}

impl Judged {
    pub(super) fn plain(name: Name, kind: Kind, stat: Stat, skip: Option<Skip>) -> Self {
        let entry = Entry { name, kind, meta: stat.meta, skip };
        let scanned =
            ScannedEntry { entry, identity: stat.identity, names: stat.names, link: None };
        Self { scanned, failure: None, enter: None }
    }

    /// An entry that nobody looks at further.
    pub(super) fn skipped(name: Name, kind: Kind, skip: Skip) -> Self {
        let entry = Entry { name, kind, meta: Meta::default(), skip: Some(skip) };
        let scanned = ScannedEntry { entry, identity: Identity::default(), names: 1, link: None };
        Self { scanned, failure: None, enter: None }
    }

    pub(super) fn failed(name: Name, kind: Kind, failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::skipped(name, kind, Skip::Unreadable) }
    }

    pub(super) fn recreated(
        name: Name,
        link: Stat,
        text: io::Result<Vec<u8>>,
        skip: Option<Skip>,
    ) -> Self {
        let failure = match text {
            Ok(text) if (1..=LINK_TARGET_BYTES_MAX).contains(&text.len()) => {
                return Self::plain(name, Kind::Link { target: text.into() }, link, skip);
            }
            Ok(text) => {
                let reason = format!("a link with a text of {} bytes cannot travel", text.len());
                Failure::new(Operation::CopyFile, 206, reason)
            }
            Err(error) => fault::failure(Operation::CopyFile, &error),
        };
        match skip {
            Some(skip) => Self::skipped(name, Kind::File, skip),
            None => Self::failed(name, Kind::File, failure),
        }
    }
}
