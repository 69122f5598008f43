//! Which parts of a partial file an earlier try claims to be on the disk.

use std::ops::Range;

use crate::journal::Claim;

/// The bytes that claims cover, wherever the content was cut: a try that sent it as it was read cut it elsewhere than one
/// that looks for what is there. Whether they are the right ones, only their hash can say.
#[derive(Debug, Default)]
pub struct Claimed {
    // Ascending and apart from each other. Private, because of the invariant.
    parts: Vec<Range<u64>>,
}

impl Claimed {
    /// What these claims cover, in whatever order they were made and however they overlap.
    pub fn new(mut claims: Vec<Claim>) -> Self {
        claims.sort_unstable_by_key(|claim| claim.offset);
        let mut parts: Vec<Range<u64>> = Vec::new();
        for claim in claims {
            // A record that lies about offsets near the end of all numbers claims nothing.
            let Some(end) = claim.offset.checked_add(claim.length.into()) else { continue };
            match parts.last_mut() {
                Some(last) if claim.offset <= last.end => last.end = last.end.max(end),
                Some(_) | None => parts.push(claim.offset..end),
            }
        }
        Self { parts }
    }

    /// Whether nothing is claimed.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// How many bytes are claimed.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.end - part.start).sum()
    }

    /// Whether any of `length` bytes from `offset` on is claimed: then the others may well be there, too, for what is written
    /// outlives a killed agent, and only its record lags behind.
    pub fn touches(&self, offset: u64, length: usize) -> bool {
        let part = self.parts.partition_point(|part| part.end <= offset);
        let end = offset.saturating_add(length as u64);
        self.parts.get(part).is_some_and(|part| part.start < end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quicopy_protocol::meta::Digest;

    use super::*;

    fn claimed(claims: impl IntoIterator<Item = (u64, u32)>) -> Claimed {
        let claim = |(offset, length)| Claim { offset, length, digest: Digest([0; 32]) };
        Claimed::new(claims.into_iter().map(claim).collect())
    }

    #[test]
    fn a_chunk_is_touched_wherever_one_byte_of_it_is_claimed() {
        let claimed = claimed([(20, 10), (0, 10), (10, 10), (40, 10)]);
        assert_eq!(claimed.bytes(), 40);
        for (offset, length) in
            [(0, 30), (5, 20), (25, 10), (35, 6), (29, 1), (40, 10), (49, 9), (0, 60)]
        {
            assert!(claimed.touches(offset, length), "{length} bytes from {offset} on");
        }
        for (offset, length) in [(30, 10), (32, 3), (50, 1), (90, 10)] {
            assert!(!claimed.touches(offset, length), "{length} bytes from {offset} on");
        }
    }

    #[test]
    fn a_claim_beyond_all_numbers_touches_nothing() {
        assert!(claimed([(u64::MAX, 1)]).is_empty());
        assert!(!claimed([(0, 10)]).touches(u64::MAX, 1));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_list_of_bytes(
            claims in proptest::collection::vec((0_u64..40, 1_u32..12), 0..12), offset in 0_u64..50, length in 1_usize..12
        ) {
            let mut model = [false; 64];
            for &(offset, length) in &claims {
                model[offset as usize..offset as usize + length as usize].fill(true);
            }
            let expected = model[offset as usize..offset as usize + length].contains(&true);
            let claimed = claimed(claims);
            prop_assert_eq!(claimed.touches(offset, length), expected);
            prop_assert_eq!(claimed.bytes(), model.iter().filter(|there| **there).count() as u64);
        }
    }
}
