//! A directory of the source, put together from its parts.

use quicopy_protocol::code::Failure;
use quicopy_protocol::meta::{Attribute, DirId, Entry, Meta};
use quicopy_protocol::path::RelPath;

use super::Refusal;
use super::event::PartEnd;

/// A whole listing of one directory of the source.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) dir: DirId,
    pub(super) path: RelPath,
    pub(super) meta: Meta,
    pub(super) attributes: Vec<Attribute>,
    pub(super) entries: Vec<Entry>,
    pub(super) failure: Option<Failure>,
}

impl Listing {
    /// Appends a part; gives the whole back with the last.
    pub(super) fn add(
        assembling: &mut Option<Self>,
        part: Self,
        end: PartEnd,
    ) -> Result<Option<Self>, Refusal> {
        let mut whole = match assembling.take() {
            None => part,
            Some(mut whole) if whole.dir == part.dir => {
                whole.entries.extend(part.entries);
                whole
            }
            Some(_) => return Err(Refusal::protocol("a listing was cut off by another")),
        };
        match end {
            PartEnd::More => *assembling = Some(whole),
            PartEnd::Complete => return Ok(Some(whole)),
            PartEnd::Incomplete(failure) => {
                whole.failure = Some(failure);
                return Ok(Some(whole));
            }
        }
        Ok(None)
    }
}
