//! Where content goes: the caller knows messages and streams, this module does not.

use bytes::Bytes;
use quicopy_protocol::code::Failure;
use quicopy_protocol::meta::{Attribute, Digest};

/// Takes what belongs to one wish. A call may block until there is room, which is what bounds reading ahead.
pub trait ContentSink {
    /// The whole of a small file; nothing else follows.
    ///
    /// # Errors
    /// Nobody takes it any more; the same holds for all other calls.
    fn whole_file(
        &mut self,
        digest: Digest,
        attributes: Vec<Attribute>,
        data: Bytes,
    ) -> Result<(), Closed>;

    /// One chunk, at `offset` bytes from the file's beginning.
    fn chunk(&mut self, offset: u64, digest: Digest, data: Bytes) -> Result<(), Closed>;

    /// A part that is a hole.
    fn hole(&mut self, offset: u64, length: u64) -> Result<(), Closed>;

    /// Chunks that the file has, to be answered.
    fn chunk_list(&mut self, list: ChunkListing) -> Result<(), Closed>;

    /// The file was sent, and had not changed when its last byte was read. Nothing else follows.
    fn end(
        &mut self,
        size_bytes: u64,
        digest: Digest,
        attributes: Vec<Attribute>,
    ) -> Result<(), Closed>;

    /// The file cannot be read as listed. Nothing else follows.
    fn failed(&mut self, failure: Failure) -> Result<(), Closed>;
}

/// The sink takes nothing any more: the link or the job is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the receiver of the content is gone")]
pub struct Closed;

/// Chunks of a file, one after the other without a gap. Between two lists there may be a hole, never data.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChunkListing {
    /// The average that the cut points were chosen with, in bytes.
    pub average_bytes: u32,
    /// Where the first chunk begins.
    pub offset: u64,
    /// Length in bytes and hash of each; at least one, at most 1,024.
    pub chunks: Vec<(u32, Digest)>,
    /// Whether no chunk follows these; a hole may. A file that is one hole has no list at all.
    pub last: bool,
}
