//! A file of which the agent has something: what to do next, lists or chunks.

use quicopy_protocol::limits::CHUNK_LIST_AHEAD_MAX;

use super::answer::Books;

/// Chunks in one list: 36 KiB of hashes, for 64 MiB of an ordinary file.
const LIST_CHUNKS_MAX: usize = 1024;
/// Chunks in the first list, so that it leaves after about 1 MiB. Each list may be as long as all before it.
const LIST_CHUNKS_FIRST: usize = 16;
/// Below so many open chunks listing goes before sending, so that answers are there when they are needed.
const AHEAD_CHUNKS_LOW: usize = 1024;

/// What to do for such a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// Read on, and list at most so many chunks.
    List { chunks_max: usize },
    /// Send a chunk that is lacking, or see that there is none.
    Send,
    /// Wait for an answer.
    Await,
    /// Everything is answered and sent.
    Finish,
}

/// Decides the next turn; `all_listed` says whether the file was read to its end.
///
/// Open chunks, answered or not, are bounded by [`CHUNK_LIST_AHEAD_MAX`]: what is lacking piles up no higher than that.
pub(super) fn next_turn(books: &Books, all_listed: bool) -> Turn {
    let open = books.open_chunks();
    let listed = usize::try_from(books.listed()).unwrap_or(usize::MAX);
    let chunks_max = listed.clamp(LIST_CHUNKS_FIRST, LIST_CHUNKS_MAX);
    let may_list = !all_listed && open + chunks_max <= CHUNK_LIST_AHEAD_MAX;
    if may_list && open < AHEAD_CHUNKS_LOW {
        Turn::List { chunks_max }
    } else if books.has_lacking() {
        Turn::Send
    } else if may_list {
        Turn::List { chunks_max }
    } else if books.awaits_answer() {
        Turn::Await
    } else {
        Turn::Finish
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use quicopy_protocol::meta::Digest;

    use super::super::answer::{Lacking, Listed};
    use super::*;

    fn list(books: &mut Books, count: usize) {
        for _ in 0..count {
            books.list(Listed { offset: 0, length: 1, digest: Digest([0; 32]) });
        }
    }

    #[test]
    fn lists_begin_short_and_grow_until_the_agent_must_answer() {
        let mut books = Books::default();
        let mut lengths = Vec::new();
        while let Turn::List { chunks_max } = next_turn(&books, false) {
            lengths.push(chunks_max);
            list(&mut books, chunks_max);
        }
        assert_eq!(lengths[..8], [16, 16, 32, 64, 128, 256, 512, 1024]);
        assert_eq!(next_turn(&books, false), Turn::Await);
        assert!(books.open_chunks() <= CHUNK_LIST_AHEAD_MAX);
    }

    #[test]
    fn what_is_lacking_goes_before_lists_that_are_far_ahead_and_bounds_them() {
        let mut books = Books::default();
        list(&mut books, 2000);
        let all = Lacking { runs: vec![(0, 1900)], answered: 1900 };
        books.handle_answer(&all).unwrap();
        assert_eq!(next_turn(&books, false), Turn::Send);
        for _ in 0..1000 {
            books.take_lacking();
        }
        assert!(matches!(next_turn(&books, false), Turn::List { .. }));
        assert_eq!(next_turn(&books, true), Turn::Send);
    }

    #[test]
    fn the_end_comes_when_all_is_answered_and_sent() {
        let mut books = Books::default();
        assert_eq!(next_turn(&books, true), Turn::Finish);
        list(&mut books, 2);
        assert_eq!(next_turn(&books, true), Turn::Await);
        books.handle_answer(&Lacking { runs: vec![(1, 1)], answered: 2 }).unwrap();
        assert_eq!(next_turn(&books, true), Turn::Send);
        books.take_lacking();
        assert_eq!(next_turn(&books, true), Turn::Finish);
    }
}
