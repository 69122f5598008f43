//! One pass over a file: chunks and holes in file order, and the hash of it all.

use std::ops::Range;

use quicopy_protocol::meta::Digest;

use super::reader::Reader;
use super::serving::SendError;
use crate::chunk::{Chunker, Params};
use crate::source::{Extent, StopFlag};

/// What a hole reads as, this much at a time.
static ZEROS: [u8; 128 << 10] = [0; 128 << 10];

/// A pass under way.
pub(super) struct Pieces {
    chunker: Chunker,
    hasher: blake3::Hasher,
    /// Where the next piece begins.
    offset: u64,
    /// The data that is being cut: from the next byte to read to its end.
    unread: Range<u64>,
    in_data: bool,
}

/// A part of the file.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Piece<'a> {
    Chunk { offset: u64, data: &'a [u8] },
    Hole { offset: u64, length: u64 },
}

impl Pieces {
    pub(super) fn new(size_bytes: u64) -> Self {
        let chunker = Chunker::new(Params::for_size(size_bytes));
        Self { chunker, hasher: blake3::Hasher::new(), offset: 0, unread: 0..0, in_data: false }
    }

    /// What the chunks are cut with.
    pub(super) fn average_bytes(&self) -> u32 {
        self.chunker.params().average_bytes()
    }

    /// Where the next piece begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next part of the file; `None` after its last.
    pub(super) fn next_piece(
        &mut self,
        reader: &mut Reader,
        stop: &StopFlag,
    ) -> Result<Option<Piece<'_>>, SendError> {
        if stop.is_set() {
            return Err(SendError::Stopped);
        }
        if !self.in_data {
            match reader.extent(self.offset)? {
                None => return Ok(None),
                Some(Extent::Hole(hole)) => return self.hole(hole, stop).map(Some),
                Some(Extent::Data(data)) => self.begin_data(data),
            }
        }
        let unread = &mut self.unread;
        let chunk = self.chunker.next_chunk(|buffer| -> Result<usize, SendError> {
            let left = usize::try_from(unread.end - unread.start).unwrap_or(usize::MAX);
            if left == 0 {
                return Ok(0);
            }
            let length = left.min(buffer.len());
            let count = reader.read_at(&mut buffer[..length], unread.start)?;
            unread.start += count as u64;
            Ok(count)
        })?;
        let data = chunk.expect("an extent is not empty, and is left with its last chunk");
        let offset = self.offset;
        self.offset += data.len() as u64;
        self.in_data = self.offset < self.unread.end;
        self.hasher.update(data);
        Ok(Some(Piece::Chunk { offset, data }))
    }

    /// Whether a chunk follows, after at most one hole.
    pub(super) fn has_more_chunks(&self, reader: &mut Reader) -> Result<bool, SendError> {
        if self.in_data {
            return Ok(true);
        }
        let mut at = self.offset;
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
        Ok(self.in_data || matches!(reader.extent(self.offset)?, Some(Extent::Data(_))))
    }

    /// The hash of the file, when all pieces were taken.
    pub(super) fn digest(&self) -> Digest {
        self.hasher.finalize().into()
    }

    fn begin_data(&mut self, data: Range<u64>) {
        self.chunker.restart();
        self.unread = data;
        self.in_data = true;
    }

    fn hole(&mut self, hole: Range<u64>, stop: &StopFlag) -> Result<Piece<'static>, SendError> {
        let length = hole.end - hole.start;
        let mut left = length;
        while left > 0 {
            if stop.is_set() {
                return Err(SendError::Stopped);
            }
            let count = left.min(ZEROS.len() as u64);
            self.hasher.update(&ZEROS[..count as usize]);
            left -= count;
        }
        self.offset = hole.end;
        Ok(Piece::Hole { offset: hole.start, length })
    }
}
