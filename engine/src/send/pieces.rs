//! A file in pieces, in file order: [`Chunks`] for the agent to look for, [`Blocks`] to be sent as they are read.

use bytes::Bytes;
use quicopy_protocol::meta::Digest;

use super::pass::Pass;
use super::pool::Pool;
use super::reader::Reader;
use super::serving::SendError;
use crate::chunk::{Chunker, Params};
use crate::source::{Extent, StopFlag};

/// Bytes of a block: few enough that the sixteen streams take turns, and that a block is still in the processor's cache
/// when it is hashed a second time.
const BLOCK_BYTES: usize = 128 << 10;

/// A part of the file.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Piece<D> {
    Data { offset: u64, data: D },
    Hole { offset: u64, length: u64 },
}

/// Content-defined chunks, which the agent may have.
pub(super) struct Chunks {
    chunker: Chunker,
    pass: Pass,
    /// The next byte to read, ahead of the pass.
    read_at: u64,
}

impl Chunks {
    pub(super) fn new(size_bytes: u64) -> Self {
        let chunker = Chunker::new(Params::for_size(size_bytes));
        Self { chunker, pass: Pass::default(), read_at: 0 }
    }

    /// What the chunks are cut with.
    pub(super) fn average_bytes(&self) -> u32 {
        self.chunker.params().average_bytes()
    }

    /// Where the next piece begins.
    pub(super) fn offset(&self) -> u64 {
        self.pass.offset()
    }

    /// The next part of the file; `None` after its last.
    ///
    /// # Errors
    /// The file cannot be read as listed, or the job was stopped.
    pub(super) fn next_piece(
        &mut self,
        reader: &mut Reader,
        stop: &StopFlag,
    ) -> Result<Option<Piece<&[u8]>>, SendError> {
        let is_new = !self.pass.is_in_data();
        let data = match self.pass.next_extent(reader, stop)? {
            None => return Ok(None),
            Some(Extent::Hole(hole)) => return Ok(Some(Piece::hole(hole))),
            Some(Extent::Data(data)) => data,
        };
        if is_new {
            self.chunker.restart();
            self.read_at = data.start;
        }
        let read_at = &mut self.read_at;
        let chunk = self.chunker.next_chunk(|buffer| -> Result<usize, SendError> {
            let left = usize::try_from(data.end - *read_at).unwrap_or(usize::MAX);
            if left == 0 {
                return Ok(0);
            }
            let length = left.min(buffer.len());
            let count = reader.read_at(&mut buffer[..length], *read_at)?;
            *read_at += count as u64;
            Ok(count)
        })?;
        let chunk = chunk.expect("an extent is not empty, and is left with its last chunk");
        self.pass.take(chunk);
        Ok(Some(Piece::Data { offset: data.start, data: chunk }))
    }

    /// Whether a chunk follows, after at most one hole.
    pub(super) fn has_more_chunks(&self, reader: &mut Reader) -> Result<bool, SendError> {
        if self.pass.is_in_data() {
            return Ok(true);
        }
        let mut at = self.pass.offset();
        while let Some(extent) = reader.extent(at)? {
            match extent {
                Extent::Data(_) => return Ok(true),
                Extent::Hole(hole) => at = hole.end,
            }
        }
        Ok(false)
    }

    /// Whether the next piece continues the data before it, without a hole.
    pub(super) fn continues_data(&self, reader: &mut Reader) -> Result<bool, SendError> {
        let pass = &self.pass;
        Ok(pass.is_in_data() || matches!(reader.extent(pass.offset())?, Some(Extent::Data(_))))
    }

    /// The hash of the file, when all pieces were taken.
    pub(super) fn digest(&self) -> Digest {
        self.pass.digest()
    }
}

/// Pieces of one size, for an agent that has nothing: to look for cut points would take longer than to encrypt.
pub(super) struct Blocks {
    pool: Pool,
    pass: Pass,
}

impl Blocks {
    pub(super) fn new() -> Self {
        Self { pool: Pool::new(BLOCK_BYTES), pass: Pass::default() }
    }

    /// The next part of the file; `None` after its last.
    ///
    /// # Errors
    /// The file cannot be read as listed, or the job was stopped.
    pub(super) fn next_piece(
        &mut self,
        reader: &mut Reader,
        stop: &StopFlag,
    ) -> Result<Option<Piece<Bytes>>, SendError> {
        let extent = match self.pass.next_extent(reader, stop)? {
            None => return Ok(None),
            Some(Extent::Hole(hole)) => return Ok(Some(Piece::hole(hole))),
            Some(Extent::Data(data)) => data,
        };
        let left = usize::try_from(extent.end - extent.start).unwrap_or(usize::MAX);
        let mut block = self.pool.take();
        let data = block.content_mut(left.min(BLOCK_BYTES));
        reader.read_exact_at(data, extent.start)?;
        self.pass.take(data);
        Ok(Some(Piece::Data { offset: extent.start, data: block.freeze() }))
    }

    /// The hash of the file, when all pieces were taken.
    pub(super) fn digest(&self) -> Digest {
        self.pass.digest()
    }
}

impl<D> Piece<D> {
    fn hole(hole: std::ops::Range<u64>) -> Self {
        Self::Hole { offset: hole.start, length: hole.end - hole.start }
    }
}
