//! One pass over a file from its beginning to its end: which part is next, and the hash of it all.

use std::ops::Range;

use quicopy_protocol::meta::Digest;

use super::reader::Reader;
use super::serving::SendError;
use crate::source::{Extent, StopFlag};

/// What a hole reads as, this much at a time.
static ZEROS: [u8; 128 << 10] = [0; 128 << 10];

/// A pass under way.
#[derive(Debug, Default)]
pub(super) struct Pass {
    hasher: blake3::Hasher,
    /// Where the next part begins.
    offset: u64,
    /// Where the data ends that it is in.
    data_end: u64,
}

impl Pass {
    /// Where the next part begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the next part continues the data before it.
    pub(super) fn is_in_data(&self) -> bool {
        self.offset < self.data_end
    }

    /// The data that is next, or the hole, which is passed with that; `None` at the end of the file.
    ///
    /// # Errors
    /// The file cannot be read as listed, or the job was stopped.
    pub(super) fn next_extent(
        &mut self,
        reader: &mut Reader,
        stop: &StopFlag,
    ) -> Result<Option<Extent>, SendError> {
        if stop.is_set() {
            return Err(SendError::Stopped);
        }
        if self.is_in_data() {
            return Ok(Some(Extent::Data(self.offset..self.data_end)));
        }
        let extent = reader.extent(self.offset)?;
        match &extent {
            None => {}
            Some(Extent::Data(data)) => self.data_end = data.end,
            Some(Extent::Hole(hole)) => self.take_hole(hole, stop)?,
        }
        Ok(extent)
    }

    /// Passes the first bytes of the data that is next.
    pub(super) fn take(&mut self, data: &[u8]) {
        self.hasher.update(data);
        self.offset += data.len() as u64;
    }

    /// The hash of the file, when all of it was passed.
    pub(super) fn digest(&self) -> Digest {
        self.hasher.finalize().into()
    }

    fn take_hole(&mut self, hole: &Range<u64>, stop: &StopFlag) -> Result<(), SendError> {
        let mut left = hole.end - hole.start;
        while left > 0 {
            if stop.is_set() {
                return Err(SendError::Stopped);
            }
            let count = left.min(ZEROS.len() as u64);
            self.hasher.update(&ZEROS[..count as usize]);
            left -= count;
        }
        self.offset = hole.end;
        Ok(())
    }
}
