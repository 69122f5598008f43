//! Which of the listed chunks the agent lacks: the books on what was listed and answered.

use std::collections::VecDeque;
use std::ops::Range;

use quicopy_protocol::meta::Digest;

/// The agent's answer to one or more lists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lacking {
    /// Runs of chunk indices, counted over the whole file: first, number. Ascending, apart from each other.
    pub runs: Vec<(u32, u32)>,
    /// How many chunks of the file are answered with this and what came before.
    pub answered: u32,
}

/// An answer that fits no list.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadAnswer {
    /// It answers more chunks than were listed, or none that is new.
    #[error("an answer up to chunk {answered}, where {before} were answered and {listed} listed")]
    Range {
        /// What it claims.
        answered: u32,
        /// Chunks answered before.
        before: u32,
        /// Chunks listed.
        listed: u32,
    },
    /// Its runs are empty, overlap, descend or leave the chunks that it answers.
    #[error("an answer with a run of {count} chunks at {first}, out of place")]
    Run {
        /// First chunk of the run.
        first: u32,
        /// Its length.
        count: u32,
    },
    /// There are no lists to answer.
    #[error("an answer about a file that has no lists")]
    NoLists,
}

/// A chunk that was listed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Listed {
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) digest: Digest,
}

/// The chunks of one file from their listing to their sending.
#[derive(Debug, Default)]
pub(super) struct Books {
    unanswered: VecDeque<Listed>,
    lacking: VecDeque<Listed>,
    answered: u32,
}

impl Books {
    pub(super) fn list(&mut self, chunk: Listed) {
        self.unanswered.push_back(chunk);
    }

    /// Chunks that wait for an answer or for their turn.
    pub(super) fn open_chunks(&self) -> usize {
        self.unanswered.len() + self.lacking.len()
    }

    /// Chunks that were ever listed.
    pub(super) fn listed(&self) -> u64 {
        u64::from(self.answered) + self.unanswered.len() as u64
    }

    pub(super) fn awaits_answer(&self) -> bool {
        !self.unanswered.is_empty()
    }

    pub(super) fn has_lacking(&self) -> bool {
        !self.lacking.is_empty()
    }

    /// The next chunk to send.
    pub(super) fn take_lacking(&mut self) -> Option<Listed> {
        self.lacking.pop_front()
    }

    /// Moves what the answer names to the chunks to send, and forgets what else it covers.
    ///
    /// # Errors
    /// It fits no list. Then nothing is moved.
    pub(super) fn handle_answer(&mut self, answer: &Lacking) -> Result<(), BadAnswer> {
        let Lacking { answered, ref runs } = *answer;
        let before = self.answered;
        let listed = u32::try_from(self.listed()).unwrap_or(u32::MAX);
        if answered <= before || answered > listed {
            return Err(BadAnswer::Range { answered, before, listed });
        }
        check_runs(runs, before..answered)?;
        let mut runs = runs.iter().map(|&(first, count)| first..first + count).peekable();
        let covered = self.unanswered.drain(..(answered - before) as usize);
        for (index, chunk) in (before..answered).zip(covered) {
            if runs.peek().is_some_and(|run| run.end <= index) {
                runs.next();
            }
            if runs.peek().is_some_and(|run| run.contains(&index)) {
                self.lacking.push_back(chunk);
            }
        }
        self.answered = answered;
        Ok(())
    }
}

fn check_runs(runs: &[(u32, u32)], covered: Range<u32>) -> Result<(), BadAnswer> {
    let mut from = covered.start;
    for &(first, count) in runs {
        let end = first.checked_add(count).filter(|&end| end <= covered.end);
        match end {
            Some(end) if first >= from && count > 0 => from = end,
            Some(_) | None => return Err(BadAnswer::Run { first, count }),
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn books(chunks: u32) -> Books {
        let mut books = Books::default();
        for index in 0..chunks {
            let digest = Digest::of(&index.to_le_bytes());
            books.list(Listed { offset: u64::from(index), length: 1, digest });
        }
        books
    }

    fn lacking(books: &mut Books) -> Vec<u64> {
        std::iter::from_fn(|| books.take_lacking().map(|chunk| chunk.offset)).collect()
    }

    fn answer(answered: u32, runs: &[(u32, u32)]) -> Lacking {
        Lacking { runs: runs.to_vec(), answered }
    }

    #[test]
    fn what_is_lacking_is_sent_and_the_rest_forgotten() {
        let mut books = books(10);
        books.handle_answer(&answer(4, &[(1, 2)])).unwrap();
        assert_eq!((lacking(&mut books), books.awaits_answer()), (vec![1, 2], true));
        books.handle_answer(&answer(10, &[(4, 1), (6, 1), (9, 1)])).unwrap();
        assert_eq!((lacking(&mut books), books.awaits_answer()), (vec![4, 6, 9], false));
        assert_eq!((books.open_chunks(), books.listed()), (0, 10));
    }

    #[test]
    fn an_answer_that_fits_no_list_is_refused_and_changes_nothing() {
        let mut books = books(10);
        books.handle_answer(&answer(2, &[])).unwrap();
        for (answered, runs) in [
            (2, &[][..]),
            (1, &[]),
            (11, &[]),
            (u32::MAX, &[]),
            (5, &[(1, 1)]),
            (5, &[(4, 2)]),
            (5, &[(3, 0)]),
            (5, &[(3, 1), (2, 1)]),
            (5, &[(2, 2), (3, 1)]),
            (5, &[(u32::MAX, 2)]),
        ] {
            assert!(books.handle_answer(&answer(answered, runs)).is_err(), "{answered} {runs:?}");
        }
        assert_eq!((books.open_chunks(), lacking(&mut books)), (8, vec![]));
    }

    proptest! {
        #[test]
        fn any_answer_returns_and_only_listed_chunks_come_out(
            answered in 0_u32..40, runs in proptest::collection::vec((0_u32..40, 0_u32..40), 0..6)
        ) {
            let mut books = books(30);
            let named: u32 = runs.iter().map(|run| run.1).sum();
            if books.handle_answer(&answer(answered, &runs)).is_ok() {
                let sent = lacking(&mut books);
                prop_assert_eq!(sent.len(), named as usize);
                prop_assert!(sent.iter().all(|&offset| offset < u64::from(answered)));
            }
        }
    }
}
