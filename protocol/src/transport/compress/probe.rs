//! Whether something is worth compressing: [`Probe`].

use zstd::bulk::Compressor;
use zstd::zstd_safe::compress_bound;

use crate::message::Message;

/// Less than that is not looked at. It goes with its neighbours, and costs next to nothing.
const SMALL_BYTES: usize = 4 << 10;
/// What one sample takes, and at most how many are taken of one message: some 50 µs for a MiB.
const SAMPLE_BYTES: usize = 4 << 10;
const SAMPLES_MAX: usize = 4;
/// One sample for so much.
const STRIDE_BYTES: usize = 64 << 10;
/// Samples must shrink to so many hundredths: what is already compressed shrinks by less, if at all.
const WORTH_PERCENT: usize = 92;

/// Tells what is compressed already, or encrypted, from what is not.
pub(in super::super) struct Probe {
    // Fails only where memory is short. Then nothing is worth compressing.
    compressor: Option<Compressor<'static>>,
    samples: Vec<u8>,
    shrunk: Vec<u8>,
}

impl Probe {
    pub(in super::super) fn new() -> Self {
        Self { compressor: Compressor::new(1).ok(), samples: Vec::new(), shrunk: Vec::new() }
    }

    /// Whether a message will shrink enough to be worth the time.
    pub(in super::super) fn is_worth(&mut self, message: &Message) -> bool {
        match message {
            Message::Chunk(chunk) => self.shrinks(&chunk.data),
            Message::WholeFile(file) => self.shrinks(&file.data),
            // Hashes, all of it.
            Message::ChunkList(_) => false,
            _ => true,
        }
    }

    fn shrinks(&mut self, data: &[u8]) -> bool {
        if data.len() < SMALL_BYTES {
            return true;
        }
        let Some(compressor) = &mut self.compressor else { return false };
        let count = (data.len() / STRIDE_BYTES).clamp(1, SAMPLES_MAX);
        self.samples.clear();
        for index in 0..count {
            // In the middle of its part: ends of files are often unlike the rest.
            let middle = data.len() * (2 * index + 1) / (2 * count);
            let from = middle - SAMPLE_BYTES / 2;
            self.samples.extend_from_slice(&data[from..from + SAMPLE_BYTES]);
        }
        self.shrunk.clear();
        self.shrunk.reserve(compress_bound(self.samples.len()));
        let shrunk = compressor.compress_to_buffer(&self.samples, &mut self.shrunk);
        shrunk.is_ok_and(|bytes| bytes * 100 < self.samples.len() * WORTH_PERCENT)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::message::{Chunk, ChunkList, ScanEnd};
    use crate::meta::{Digest, WantId};

    fn chunk(data: Vec<u8>) -> Message {
        Chunk { want: WantId(0), offset: 0, digest: Digest([0; 32]), data: Bytes::from(data) }
            .into()
    }

    fn noise(bytes: usize) -> Vec<u8> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"noise");
        let mut noise = vec![0; bytes];
        hasher.finalize_xof().fill(&mut noise);
        noise
    }

    #[test]
    fn what_is_compressed_already_is_told_from_what_is_not() {
        let mut probe = Probe::new();
        for bytes in [SMALL_BYTES, SMALL_BYTES + 1, 100_000, 1 << 20] {
            assert!(!probe.is_worth(&chunk(noise(bytes))), "{bytes} bytes of noise");
            let text: String = (0..bytes).map(|n| format!("{n} ")).collect();
            assert!(probe.is_worth(&chunk(text.into_bytes()[..bytes].to_vec())), "{bytes} of text");
        }
    }

    #[test]
    fn a_text_with_pictures_in_it_is_worth_it() {
        let mut data = noise(1 << 20);
        data[..400 << 10].fill(b'a');
        assert!(Probe::new().is_worth(&chunk(data)));
    }

    #[test]
    fn small_things_go_with_the_others_but_not_hashes() {
        let mut probe = Probe::new();
        assert!(probe.is_worth(&chunk(noise(SMALL_BYTES - 1))));
        assert!(probe.is_worth(&ScanEnd { directories: 1 }.into()));
        let list = ChunkList {
            want: WantId(0),
            average_bytes: 1,
            offset: 0,
            chunks: Vec::new(),
            last: true,
        };
        assert!(!probe.is_worth(&list.into()));
    }
}
