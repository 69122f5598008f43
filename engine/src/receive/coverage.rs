//! Which parts of a file are there.

use std::collections::BTreeMap;

use super::error::{ReceiveError, Violation};

/// Separate parts of one file that are kept track of, about 8 MiB of memory. Reached when every second chunk of a file of over
/// 32 GiB is reused while those between are still on their way.
pub const PARTS_MAX: usize = 256 << 10;

/// The ranges of a file that are there. They never overlap, never touch, and end within the size.
#[derive(Clone, Debug)]
pub struct Coverage {
    size_bytes: u64,
    covered_bytes: u64,
    // Begin to end. Private, because of the invariant.
    parts: BTreeMap<u64, u64>,
}

impl Coverage {
    /// Nothing of a file of this size.
    pub fn new(size_bytes: u64) -> Self {
        Self { size_bytes, covered_bytes: 0, parts: BTreeMap::new() }
    }

    /// Whether a range may be added, without adding it.
    ///
    /// # Errors
    /// It is empty, exceeds the file, overlaps what is there, or is one part too many.
    pub fn admit(&self, offset: u64, length: u64) -> Result<(), ReceiveError> {
        let end = offset.checked_add(length).filter(|&end| length > 0 && end <= self.size_bytes);
        let end = end.ok_or(Violation::OutOfRange)?;
        let before = self.parts.range(..end).next_back();
        if before.is_some_and(|(_, &before_end)| before_end > offset) {
            return Err(Violation::Overlap.into());
        }
        let touches = before.is_some_and(|(_, &before_end)| before_end == offset);
        if !touches && self.parts.len() >= PARTS_MAX {
            return Err(ReceiveError::TooScattered);
        }
        Ok(())
    }

    /// Adds a range.
    ///
    /// # Errors
    /// As [`admit`](Self::admit); then nothing is added.
    pub fn insert(&mut self, offset: u64, length: u64) -> Result<(), ReceiveError> {
        self.admit(offset, length)?;
        let (mut begin, mut end) = (offset, offset + length);
        if let Some((&before, &before_end)) = self.parts.range(..offset).next_back()
            && before_end == offset
        {
            begin = before;
        }
        if let Some(after_end) = self.parts.remove(&end) {
            end = after_end;
        }
        self.parts.insert(begin, end);
        self.covered_bytes += length;
        Ok(())
    }

    /// Where the part that holds `offset` ends; `offset` itself if that byte is not there.
    pub fn end_of_part(&self, offset: u64) -> u64 {
        match self.parts.range(..=offset).next_back() {
            Some((_, &end)) if end > offset => end,
            Some(_) | None => offset,
        }
    }

    /// Whether all of the file is there.
    pub fn is_complete(&self) -> bool {
        self.covered_bytes == self.size_bytes
    }

    /// The size of the file in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn violation(result: Result<(), ReceiveError>) -> Option<Violation> {
        match result {
            Err(ReceiveError::Violation(violation)) => Some(violation),
            _ => None,
        }
    }

    #[test]
    fn what_exceeds_the_file_or_comes_twice_is_a_violation() {
        let mut coverage = Coverage::new(10);
        coverage.insert(4, 2).unwrap();
        for (offset, length) in [(0, 11), (10, 1), (u64::MAX, 2), (3, 0)] {
            assert_eq!(violation(coverage.insert(offset, length)), Some(Violation::OutOfRange));
        }
        for (offset, length) in [(4, 2), (3, 2), (5, 1), (0, 10)] {
            assert_eq!(violation(coverage.insert(offset, length)), Some(Violation::Overlap));
        }
        coverage.insert(0, 4).unwrap();
        coverage.insert(6, 4).unwrap();
        assert!(coverage.is_complete());
        assert_eq!(coverage.parts.len(), 1);
    }

    #[test]
    fn an_empty_file_is_complete() {
        assert!(Coverage::new(0).is_complete());
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_list_of_bytes(ranges in proptest::collection::vec((0_u64..40, 0_u64..12), 0..40)) {
            let mut coverage = Coverage::new(40);
            let mut model = [false; 40];
            for (offset, length) in ranges {
                let (from, to) = (offset as usize, (offset + length) as usize);
                let allowed = length > 0 && to <= 40 && !model[from..to].contains(&true);
                prop_assert_eq!(coverage.insert(offset, length).is_ok(), allowed);
                if allowed {
                    model[from..to].fill(true);
                }
                for at in 0..40 {
                    let end = (at..40).find(|&at| !model[at]).unwrap_or(40);
                    prop_assert_eq!(coverage.end_of_part(at as u64), end as u64);
                }
                prop_assert_eq!(coverage.is_complete(), model == [true; 40]);
            }
        }
    }
}
