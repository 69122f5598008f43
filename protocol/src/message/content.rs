//! Content: what the agent asks for, and what the sender answers. One mechanism for new, changed and interrupted files.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::code::Failure;
use crate::codec::list;
use crate::meta::{Attribute, Digest, EntryId, WantId};
use crate::verdict::Basis;

/// The agent asks for one file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Want {
    /// Number of the wish.
    pub want: WantId,
    /// The file.
    pub entry: EntryId,
    /// What the agent has of it.
    pub basis: Basis,
}

/// Chunks of a wanted file, in file order. Between two lists there may be a hole, never data. On the listing lane.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ChunkList {
    /// The wish.
    pub want: WantId,
    /// Average chunk size in bytes that the cut points were chosen with; a power of two, the same in all lists of a file.
    pub average_bytes: u32,
    /// Where in the file the first chunk stands; the others follow it without a gap.
    pub offset: u64,
    /// Length in bytes, 1 to [`CHUNK_BYTES_MAX`](crate::limits::CHUNK_BYTES_MAX), and hash of each chunk.
    #[serde(deserialize_with = "list::batch")]
    pub chunks: Vec<(u32, Digest)>,
    /// Whether the file ends with them.
    pub last: bool,
}

/// Which chunks of the file's lists the agent lacks. Answers one [`ChunkList`], in the order the lists came;
/// every list is answered once, also one without chunks and one of a cancelled wish.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Lack {
    /// The wish.
    pub want: WantId,
    /// Runs of chunk indices, counted over the whole file: first, number. Ascending, apart from each other.
    #[serde(deserialize_with = "list::batch")]
    pub runs: Vec<(u32, u32)>,
    /// How many chunks of the file are answered with this message and those before it.
    pub answered: u32,
}

/// The agent does not need this file any more. What was sent already still arrives, up to the file's end, and is dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Cancel {
    /// The wish.
    pub want: WantId,
}

/// One chunk of a wanted file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chunk {
    /// The wish.
    pub want: WantId,
    /// Where in the file it stands, in bytes.
    pub offset: u64,
    /// BLAKE3 of `data`.
    pub digest: Digest,
    /// 1 to [`CHUNK_BYTES_MAX`](crate::limits::CHUNK_BYTES_MAX) bytes.
    pub data: Bytes,
}

/// A part of a wanted file that is a hole at the source: zeros that take no space. Never inside a chunk.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Hole {
    /// The wish.
    pub want: WantId,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// Its length in bytes, at least 1.
    pub length: u64,
}

/// A whole file of at most [`WHOLE_FILE_BYTES_MAX`](crate::limits::WHOLE_FILE_BYTES_MAX) bytes, in answer to a wish without a basis.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WholeFile {
    /// The wish.
    pub want: WantId,
    /// BLAKE3 of `data`.
    pub digest: Digest,
    /// Attributes that the copy flags ask for.
    pub attributes: Vec<Attribute>,
    /// The content, as long as the listing says.
    pub data: Bytes,
}

/// All chunks of a wanted file were sent, and the source had not changed when the last one was read.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct FileEnd {
    /// The wish.
    pub want: WantId,
    /// Size of the content in bytes, as the listing says.
    pub size_bytes: u64,
    /// BLAKE3 of the content in file order, holes counting as zeros.
    pub digest: Digest,
    /// Attributes that the copy flags ask for.
    #[serde(deserialize_with = "list::batch")]
    pub attributes: Vec<Attribute>,
}

/// A wanted file could not be read as listed, or its wish was cancelled. Ends the wish.
///
/// Sent only once all chunk lists that were sent for the file are answered, so that no list arrives behind it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct FileFailed {
    /// The wish.
    pub want: WantId,
    /// Bytes of the chunks and holes that were sent for it before; on other streams they may still be on their way.
    pub sent_bytes: u64,
    /// Why.
    pub failure: Failure,
}
