//! Content-defined chunking: where a file is cut, so that an insertion moves only the cuts beside it.
//!
//! [`Params`] says how large chunks are, [`Chunker`] cuts a stream. Both sites must cut alike: the sender names the
//! average it used, and the agent cuts its old file with the same.

mod chunker;

pub use chunker::Chunker;

use quicopy_protocol::limits::CHUNK_BYTES_MAX;

/// Average chunk of a file of ordinary size: small enough to find most of what an edit left alone, large enough that its
/// 36 bytes in a list cost less than 0.1 % of the content.
const AVERAGE_BYTES: u32 = 64 << 10;
/// Smallest average that a peer may name.
const AVERAGE_BYTES_MIN: u32 = 16 << 10;
/// Largest average: four times that is the largest chunk that travels.
const AVERAGE_BYTES_MAX: u32 = 256 << 10;
/// Up to this size a file is cut with [`AVERAGE_BYTES`], which makes 131,072 chunks; each doubling doubles the average.
const ORDINARY_SIZE_BYTES: u64 = 8 << 30;
/// How much smaller than the average the smallest chunk is, and how much larger the largest.
const SPREAD: u32 = 4;

const _: () = assert!((AVERAGE_BYTES_MAX * SPREAD) as usize <= CHUNK_BYTES_MAX);

/// How large the chunks of a file are: a quarter to four times the average, which is a power of two from 16 KiB to 256 KiB.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Params {
    average_bytes: u32,
}

/// An average chunk size that is not allowed: not a power of two, or out of bounds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "an average chunk size of {0} bytes: not a power of two from {AVERAGE_BYTES_MIN} to {AVERAGE_BYTES_MAX}"
)]
pub struct BadAverage(pub u32);

impl Params {
    /// What a file of `size_bytes` is cut with.
    pub fn for_size(size_bytes: u64) -> Self {
        let mut average_bytes = AVERAGE_BYTES;
        let mut ordinary = ORDINARY_SIZE_BYTES;
        while size_bytes > ordinary && average_bytes < AVERAGE_BYTES_MAX {
            average_bytes *= 2;
            ordinary *= 2;
        }
        Self { average_bytes }
    }

    /// What a peer named.
    ///
    /// # Errors
    /// The average is not a power of two from 16 KiB to 256 KiB.
    pub fn from_average(average_bytes: u32) -> Result<Self, BadAverage> {
        let allowed = (AVERAGE_BYTES_MIN..=AVERAGE_BYTES_MAX).contains(&average_bytes);
        if allowed && average_bytes.is_power_of_two() {
            Ok(Self { average_bytes })
        } else {
            Err(BadAverage(average_bytes))
        }
    }

    /// The average, in bytes.
    pub fn average_bytes(self) -> u32 {
        self.average_bytes
    }

    /// The smallest chunk but for the last, in bytes.
    pub fn min_bytes(self) -> usize {
        (self.average_bytes / SPREAD) as usize
    }

    /// The largest chunk, in bytes; never over [`CHUNK_BYTES_MAX`].
    pub fn max_bytes(self) -> usize {
        (self.average_bytes * SPREAD) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(size_gib: u64, average_kib: u32) {
        assert_eq!(
            Params::for_size(size_gib << 30).average_bytes(),
            average_kib << 10,
            "{size_gib}"
        );
    }

    #[test]
    fn the_average_grows_with_the_file_up_to_a_bound() {
        check(0, 64);
        check(8, 64);
        check(9, 128);
        check(16, 128);
        check(17, 256);
        check(1 << 20, 256);
        assert_eq!(Params::for_size(u64::MAX).max_bytes(), CHUNK_BYTES_MAX);
    }

    #[test]
    fn a_peer_names_a_power_of_two_within_bounds() {
        for average in [16 << 10, 64 << 10, 256 << 10] {
            assert_eq!(Params::from_average(average).map(Params::average_bytes), Ok(average));
        }
        for average in [0, 1, 8 << 10, 65_537, 512 << 10, u32::MAX] {
            assert_eq!(Params::from_average(average), Err(BadAverage(average)));
        }
    }
}
