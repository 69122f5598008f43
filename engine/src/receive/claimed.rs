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

    /// Whether all of `length` bytes from `offset` on are claimed.
    pub fn covers(&self, offset: u64, length: usize) -> bool {
        let part = self.parts.partition_point(|part| part.end <= offset);
        let end = offset.checked_add(length as u64);
        self.parts
            .get(part)
            .is_some_and(|part| part.start <= offset && end.is_some_and(|end| end <= part.end))
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
    fn neighbours_cover_what_lies_across_them() {
        let claimed = claimed([(20, 10), (0, 10), (10, 10), (40, 10)]);
        assert!(claimed.covers(5, 20) && claimed.covers(0, 30) && claimed.covers(40, 10));
        assert!(!claimed.covers(25, 6) && !claimed.covers(35, 10) && !claimed.covers(40, 11));
    }

    #[test]
    fn a_claim_beyond_all_numbers_covers_nothing() {
        assert!(claimed([(u64::MAX, 1)]).is_empty());
        assert!(!claimed([(0, 10)]).covers(u64::MAX, 1));
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
            let expected = model[offset as usize..offset as usize + length].iter().all(|there| *there);
            prop_assert_eq!(claimed(claims).covers(offset, length), expected);
        }
    }
}
