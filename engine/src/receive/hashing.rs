//! The hash of a whole file whose parts come in any order.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use quicopy_protocol::meta::Digest;

use super::coverage::Coverage;

/// Bytes read back at a time.
const READ_BYTES: usize = 256 << 10;

/// Hashes in file order: what comes in order from memory, what came earlier read back from the partial file.
#[derive(Debug, Default)]
pub struct InOrder {
    hasher: blake3::Hasher,
    // Everything before it is hashed.
    frontier: u64,
}

impl InOrder {
    /// Takes a part that was just written, if it is the next one.
    pub fn take(&mut self, offset: u64, data: &[u8]) {
        if offset == self.frontier {
            self.hasher.update(data);
            self.frontier += data.len() as u64;
        }
    }

    /// Takes a hole, if it is the next part.
    pub fn take_hole(&mut self, offset: u64, length: u64) {
        if offset != self.frontier {
            return;
        }
        static ZEROS: [u8; READ_BYTES] = [0; READ_BYTES];
        let end = offset + length;
        while self.frontier < end {
            let step = (end - self.frontier).min(READ_BYTES as u64);
            self.hasher.update(&ZEROS[..step as usize]);
            self.frontier += step;
        }
    }

    /// Reads back and hashes what is there beyond the last part taken.
    ///
    /// # Errors
    /// The partial file cannot be read.
    pub fn catch_up(&mut self, coverage: &Coverage, partial: &File) -> io::Result<()> {
        let end = coverage.end_of_part(self.frontier);
        if end == self.frontier {
            return Ok(());
        }
        let mut buffer = vec![0; READ_BYTES.min((end - self.frontier) as usize)];
        while self.frontier < end {
            let step = (end - self.frontier).min(READ_BYTES as u64) as usize;
            partial.read_exact_at(&mut buffer[..step], self.frontier)?;
            self.hasher.update(&buffer[..step]);
            self.frontier += step as u64;
        }
        Ok(())
    }

    /// The hash of everything taken so far.
    pub fn digest(&self) -> Digest {
        self.hasher.finalize().into()
    }
}
