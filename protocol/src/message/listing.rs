//! What the source has: listings, one directory at a time, and the end of the scan.

use serde::{Deserialize, Serialize};

use crate::code::Failure;
use crate::codec::list;
use crate::meta::{Attribute, DirId, Entry, Meta};
use crate::path::RelPath;

/// A directory of the source, or a part of it. Directories come in the order of [`RelPath`], each in one or more parts in a row.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    /// 0 for the root, then one more for each directory.
    pub dir: DirId,
    /// The directory's path; the same in all parts.
    pub path: RelPath,
    /// The directory's own metadata.
    pub meta: Meta,
    /// The directory's own attributes, as `/DCOPY` asks for; in the first part only.
    #[serde(deserialize_with = "list::batch")]
    pub attributes: Vec<Attribute>,
    /// Entries in strictly ascending order of name, over all parts.
    #[serde(deserialize_with = "list::batch")]
    pub entries: Vec<Entry>,
    /// Whether more parts follow.
    pub state: ListingState,
}

/// Where a listing stands after a part.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum ListingState {
    /// Another part follows; this one has entries.
    More,
    /// The directory was read to its end without an error: only now may anything be missing from it.
    Complete,
    /// It could not be read in full. Nothing below it is extra.
    Incomplete(Failure),
}

/// The scan is over: no listing follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ScanEnd {
    /// How many directories were listed.
    pub directories: u64,
}
