//! How far a job is settled: which directories still have entries in work.

use std::collections::VecDeque;

use quicopy_protocol::meta::DirId;

/// Counts the entries in work of each directory, from the first that is not settled.
///
/// A directory is done when it was planned and none of its entries is in work any more; the job is settled up to the
/// first directory that is not done. Memory follows the distance between that one and the newest.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    first: u64,
    open: VecDeque<Open>,
}

#[derive(Debug, Default)]
struct Open {
    in_work: u64,
}

impl Ledger {
    /// Notes that `dir`'s plan puts `entries` in work. Directories are planned in the order of their numbers.
    ///
    /// Returns whether the directory is done at once.
    pub(super) fn plan(&mut self, dir: DirId, entries: u64) -> bool {
        assert_eq!(dir.0, self.first + self.open.len() as u64, "directories are planned in order");
        self.open.push_back(Open { in_work: entries });
        self.advance();
        entries == 0
    }

    /// Notes that one entry of `dir` is done with. Returns whether that was the directory's last.
    pub(super) fn finish(&mut self, dir: DirId) -> bool {
        let at = dir.0.checked_sub(self.first).expect("a settled directory has nothing in work");
        let open = &mut self.open[usize::try_from(at).expect("as many as are held in memory")];
        assert!(open.in_work > 0, "an entry is finished once");
        open.in_work -= 1;
        let done = open.in_work == 0;
        self.advance();
        done
    }

    /// All directories before this one are done.
    pub(super) fn settled(&self) -> DirId {
        DirId(self.first)
    }

    /// Whether nothing is in work.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    fn advance(&mut self) {
        while self.open.front().is_some_and(|open| open.in_work == 0) {
            self.open.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_settled_up_to_its_first_directory_with_work() {
        let mut ledger = Ledger::default();
        assert!(!ledger.plan(DirId(0), 2));
        assert!(ledger.plan(DirId(1), 0));
        assert!(!ledger.plan(DirId(2), 1));
        assert_eq!(ledger.settled(), DirId(0));
        assert!(!ledger.finish(DirId(0)));
        assert!(ledger.finish(DirId(2)));
        assert_eq!(ledger.settled(), DirId(0));
        assert!(ledger.finish(DirId(0)));
        assert_eq!(ledger.settled(), DirId(3));
        assert!(ledger.is_idle());
    }

    #[test]
    #[should_panic(expected = "once")]
    fn finishing_more_than_was_planned_is_our_own_bug() {
        let mut ledger = Ledger::default();
        ledger.plan(DirId(0), 1);
        ledger.plan(DirId(1), 0);
        ledger.plan(DirId(2), 1);
        ledger.finish(DirId(2));
        ledger.finish(DirId(2));
    }
}
