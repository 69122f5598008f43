//! Bytes that the destination has already: the old version of a file.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use quicopy_protocol::meta::Digest;

use crate::chunk::{Chunker, Params};

/// Chunks of an old version that are remembered, about 32 MiB of memory: the first 64 GiB in chunks of 64 KiB.
pub const BASIS_CHUNKS_MAX: usize = 1 << 20;

/// An old version of a file, in which chunks of the new one are looked for.
///
/// Most edits leave what is before them where it was and shift what is behind by one distance, so that a chunk is first looked
/// for where the last one was found. Only when that fails the old version is cut into chunks, once.
#[derive(Debug)]
pub struct OldVersion {
    file: File,
    size_bytes: u64,
    // How much further in the old version the last chunk was found than it stands in the new one.
    shift: i64,
    index: Option<HashMap<u64, u64>>,
}

impl OldVersion {
    /// An old version of this size.
    pub fn new(file: File, size_bytes: u64) -> Self {
        Self { file, size_bytes, shift: 0, index: None }
    }

    /// Looks for the chunk that stands at `offset` in the new version, and reads it into `buffer`. True only if the bytes
    /// have its hash.
    ///
    /// # Errors
    /// The old version cannot be read.
    pub fn find(
        &mut self,
        params: Params,
        offset: u64,
        digest: Digest,
        buffer: &mut [u8],
    ) -> io::Result<bool> {
        if let Some(likely) = offset.checked_add_signed(self.shift)
            && self.holds(likely, digest, buffer)?
        {
            return Ok(true);
        }
        if self.index.is_none() {
            self.index = Some(index(&self.file, params)?);
        }
        let found = self.index.as_ref().and_then(|index| index.get(&key(digest)).copied());
        let Some(found) = found else { return Ok(false) };
        if !self.holds(found, digest, buffer)? {
            return Ok(false);
        }
        self.shift = found.wrapping_sub(offset).cast_signed();
        Ok(true)
    }

    fn holds(&self, offset: u64, digest: Digest, buffer: &mut [u8]) -> io::Result<bool> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size_bytes) {
            return Ok(false);
        }
        match self.file.read_exact_at(buffer, offset) {
            Ok(()) => Ok(Digest::of(buffer) == digest),
            // It was cut shorter meanwhile.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Where each chunk of the old version stands, by the first bytes of its hash: a clash costs a look, never a wrong byte.
fn index(file: &File, params: Params) -> io::Result<HashMap<u64, u64>> {
    let mut chunks = HashMap::new();
    let mut chunker = Chunker::new(params);
    let (mut read_at, mut offset) = (0, 0);
    while chunks.len() < BASIS_CHUNKS_MAX {
        let next = chunker.next_chunk(|buffer| -> io::Result<usize> {
            let count = file.read_at(buffer, read_at)?;
            read_at += count as u64;
            Ok(count)
        })?;
        let Some(chunk) = next else { break };
        chunks.insert(key(Digest::of(chunk)), offset);
        offset += chunk.len() as u64;
    }
    Ok(chunks)
}

fn key(digest: Digest) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = digest.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
