//! The order in which a file's chunk lists come, and the answer to them.

use quicopy_protocol::limits::CHUNK_BYTES_MAX;
use quicopy_protocol::meta::Digest;

use super::error::Violation;
use crate::chunk::Params;

/// Which chunks of one list are lacking, and how far the file's lists are answered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Lacking {
    /// Runs of chunk indices, counted over the whole file: first, number. Ascending, apart from each other.
    pub runs: Vec<(u32, u32)>,
    /// How many chunks of the file are answered with this list and those before it.
    pub answered: u32,
}

impl Lacking {
    pub(super) fn push(&mut self, index: u32) {
        match self.runs.last_mut() {
            Some((first, number)) if *first + *number == index => *number += 1,
            Some(_) | None => self.runs.push((index, 1)),
        }
    }
}

/// How far a file's lists have come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lists {
    next_offset: u64,
    next_index: u32,
    params: Option<Params>,
    is_done: bool,
}

impl Lists {
    /// Takes the next list of a file of `size_bytes`: its parameters, and the index of its first chunk.
    ///
    /// # Errors
    /// It is out of order, exceeds the file, or was cut otherwise than those before it.
    pub fn accept(
        &mut self,
        average_bytes: u32,
        offset: u64,
        chunks: &[(u32, Digest)],
        last: bool,
        size_bytes: u64,
    ) -> Result<(Params, u32), Violation> {
        let params = Params::from_average(average_bytes).map_err(|_| Violation::List)?;
        let in_order = !self.is_done && offset >= self.next_offset;
        let alike = self.params.is_none_or(|known| known == params);
        let sane =
            |&(length, _): &(u32, Digest)| (1..=CHUNK_BYTES_MAX).contains(&(length as usize));
        let bytes: u64 = chunks.iter().map(|&(length, _)| u64::from(length)).sum();
        let end = offset.checked_add(bytes).filter(|&end| end <= size_bytes);
        let number = u32::try_from(chunks.len()).ok();
        let next_index = number.and_then(|number| self.next_index.checked_add(number));
        let (Some(end), Some(next_index)) = (end, next_index) else { return Err(Violation::List) };
        if !in_order || !alike || !chunks.iter().all(sane) {
            return Err(Violation::List);
        }
        let first = self.next_index;
        *self = Self { next_offset: end, next_index, params: Some(params), is_done: last };
        Ok((params, first))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const AVERAGE: u32 = 64 << 10;
    const ANY: Digest = Digest([0; 32]);

    #[test]
    fn lists_follow_each_other_with_holes_between_them() {
        let mut lists = Lists::default();
        let (_, first) = lists.accept(AVERAGE, 0, &[(10, ANY), (20, ANY)], false, 100).unwrap();
        assert_eq!(first, 0);
        let (_, first) = lists.accept(AVERAGE, 50, &[(50, ANY)], true, 100).unwrap();
        assert_eq!(first, 2);
        assert_eq!(lists.accept(AVERAGE, 100, &[], true, 100), Err(Violation::List));
    }

    #[test]
    fn a_list_that_goes_back_or_beyond_the_end_is_a_violation() {
        let mut lists = Lists::default();
        lists.accept(AVERAGE, 0, &[(10, ANY)], false, 100).unwrap();
        for (average, offset, length) in [
            (AVERAGE, 9, 1),
            (AVERAGE, 10, 91),
            (AVERAGE, u64::MAX, 1),
            (AVERAGE, 10, 0),
            (5, 10, 1),
            (2 * AVERAGE, 10, 1),
        ] {
            let answer = lists.accept(average, offset, &[(length, ANY)], false, 100);
            assert_eq!(answer, Err(Violation::List), "{average} {offset} {length}");
        }
        let large = CHUNK_BYTES_MAX as u32 + 1;
        assert!(lists.accept(AVERAGE, 10, &[(large, ANY)], false, u64::MAX).is_err());
    }

    #[test]
    fn neighbours_make_one_run() {
        let mut lacking = Lacking::default();
        [1, 2, 5, 6, 9].into_iter().for_each(|index| lacking.push(index));
        assert_eq!(lacking.runs, [(1, 2), (5, 2), (9, 1)]);
    }
}
