//! Cutting a stream.

use fastcdc::v2020::{self, Normalization};

use super::Params;

/// How many largest chunks the buffer holds. With two, no byte is moved more than once on average; more would cost
/// memory for every file under way.
const BUFFER_CHUNKS: usize = 2;

/// Cuts one stream of bytes after another into chunks, in one buffer that is reused.
///
/// The cuts depend on the bytes alone, never on how many of them a read returned. The algorithm is FastCDC's of 2020
/// with normalisation level 1 and the crate's gear table; all of that is part of what both sites must do alike.
///
/// Source: Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage Systems", 2020.
#[derive(Debug)]
pub struct Chunker {
    params: Params,
    mask_small: u64,
    mask_large: u64,
    buffer: Box<[u8]>,
    // What is read and not yet cut: `buffer[start..end]`.
    start: usize,
    end: usize,
    ended: bool,
}

impl Chunker {
    /// A chunker at the beginning of a stream.
    pub fn new(params: Params) -> Self {
        let (mask_small, mask_large) =
            v2020::select_masks(params.average_bytes() as usize, Normalization::Level1);
        let buffer = vec![0; BUFFER_CHUNKS * params.max_bytes()].into_boxed_slice();
        Self { params, mask_small, mask_large, buffer, start: 0, end: 0, ended: false }
    }

    /// What the streams are cut with.
    pub fn params(&self) -> Params {
        self.params
    }

    /// Forgets the stream, to begin another.
    pub fn restart(&mut self) {
        (self.start, self.end, self.ended) = (0, 0, false);
    }

    /// The next chunk of the stream, or `None` at its end. `read` fills a buffer from where it stopped before, and returns 0 at the end.
    ///
    /// # Errors
    /// What `read` returns. Nothing is lost by it: calling again reads on.
    pub fn next_chunk<E>(
        &mut self,
        mut read: impl FnMut(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Option<&[u8]>, E> {
        while !self.ended && self.end - self.start < self.params.max_bytes() {
            if self.end == self.buffer.len() {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
            let count = read(&mut self.buffer[self.end..])?;
            self.end += count;
            self.ended = count == 0;
        }
        let length = self.cut(&self.buffer[self.start..self.end]);
        let chunk = self.start..self.start + length;
        self.start = chunk.end;
        Ok((!chunk.is_empty()).then_some(&self.buffer[chunk]))
    }

    fn cut(&self, bytes: &[u8]) -> usize {
        v2020::cut(
            bytes,
            self.params.min_bytes(),
            self.params.average_bytes() as usize,
            self.params.max_bytes(),
            self.mask_small,
            self.mask_large,
            self.mask_small << 1,
            self.mask_large << 1,
        )
        .1
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;
    use std::convert::Infallible;

    use proptest::prelude::*;
    use quicopy_protocol::meta::Digest;

    use super::*;

    fn params() -> Params {
        Params::from_average(16 << 10).unwrap()
    }

    /// Bytes that repeat nowhere, the same in every run.
    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    /// Chunks of `content` when each read returns at most `step` bytes.
    fn chunks(chunker: &mut Chunker, mut content: &[u8], step: usize) -> Vec<Vec<u8>> {
        let mut read = |buffer: &mut [u8]| {
            let count = step.min(buffer.len()).min(content.len());
            buffer[..count].copy_from_slice(&content[..count]);
            content = &content[count..];
            Ok::<_, Infallible>(count)
        };
        chunker.restart();
        std::iter::from_fn(|| chunker.next_chunk(&mut read).unwrap().map(<[u8]>::to_vec)).collect()
    }

    #[test]
    fn an_insertion_moves_only_the_chunks_beside_it() {
        let old = noise(1, 4 << 20);
        let mut new = old.clone();
        new.splice(1_000_000..1_000_000, *b"inserted");
        let mut chunker = Chunker::new(params());
        let known: HashSet<_> =
            chunks(&mut chunker, &old, usize::MAX).iter().map(|chunk| Digest::of(chunk)).collect();
        let fresh = chunks(&mut chunker, &new, usize::MAX);
        let unknown = fresh.iter().filter(|chunk| !known.contains(&Digest::of(chunk))).count();
        assert!(fresh.len() > 100 && unknown <= 3, "{unknown} of {}", fresh.len());
    }

    #[test]
    fn an_empty_stream_has_no_chunk() {
        assert!(chunks(&mut Chunker::new(params()), b"", 1).is_empty());
    }

    #[test]
    fn a_failed_read_loses_nothing() {
        let content = noise(2, 300_000);
        let mut chunker = Chunker::new(params());
        let expected = chunks(&mut chunker, &content, usize::MAX);
        chunker.restart();
        let (mut at, mut calls, mut found) = (0, 0, Vec::new());
        loop {
            let next = chunker.next_chunk(|buffer| {
                calls += 1;
                if calls % 2 == 0 {
                    return Err(());
                }
                let count = buffer.len().min(10_000).min(content.len() - at);
                buffer[..count].copy_from_slice(&content[at..at + count]);
                at += count;
                Ok(count)
            });
            match next {
                Ok(Some(chunk)) => found.push(chunk.to_vec()),
                Ok(None) => break,
                Err(()) => {}
            }
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn these_bytes_are_cut_here_in_every_version() {
        let lengths: Vec<_> = chunks(&mut Chunker::new(params()), &noise(3, 100_000), usize::MAX)
            .iter()
            .map(Vec::len)
            .collect();
        assert_eq!(lengths, [18_701, 19_168, 19_591, 6_695, 24_200, 11_645]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn chunks_joined_give_the_content_back_however_it_is_read(
            seed in any::<u64>(), length in 0_usize..600_000, step in 1_usize..200_000, zeros in 0_usize..100_000
        ) {
            let mut content = noise(seed, length);
            content.extend(std::iter::repeat_n(0, zeros));
            let mut chunker = Chunker::new(params());
            let whole = chunks(&mut chunker, &content, usize::MAX);
            prop_assert_eq!(&chunks(&mut chunker, &content, step.max(100)), &whole);
            prop_assert_eq!(whole.concat(), content);
            for (index, chunk) in whole.iter().enumerate() {
                prop_assert!(chunk.len() <= params().max_bytes());
                prop_assert!(chunk.len() >= params().min_bytes() || index + 1 == whole.len());
            }
        }
    }
}
