//! Which batches are given up; pure.

use super::item::Size;
use super::name::BatchName;

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// One batch, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) name: BatchName,
    /// What is in it.
    pub(super) size: Size,
    /// Days for which it is kept.
    pub(super) days: u16,
    /// Whether a job or a person works in it: it stays.
    pub(super) held: bool,
}

/// What the trash may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Now, in seconds of Unix time; without it nothing is too old.
    pub(super) now: Option<i64>,
    /// Most bytes of all batches together.
    pub(super) capacity_bytes: u64,
    /// Bytes that the file system is short of.
    pub(super) lacking_bytes: u64,
}

/// Which of the batches are given up, by their place in the list, which begins with the oldest.
///
/// Those with nothing left in them and those that are too old go. Then the oldest go until the rest fits; but those of the
/// newest run do not go for that, however large they are: what the last job deleted is what is most likely missed, and it takes no
/// space that was free before. They go, last of all, when the file system is short of space.
pub(super) fn due(batches: &[Facts], limits: &Limits) -> Vec<usize> {
    let is_over = |batch: &Facts| {
        let end = batch.name.begun.saturating_add(i64::from(batch.days) * DAY);
        batch.size.entries == 0 || limits.now.is_some_and(|now| now >= end)
    };
    let mut total: u64 = batches.iter().map(|batch| batch.size.bytes).sum();
    let mut lacking = limits.lacking_bytes;
    let run_of = |batch: &Facts| (batch.name.begun, batch.name.job);
    let newest = batches.last().map(run_of);
    let mut due = Vec::new();
    for (at, batch) in batches.iter().enumerate() {
        let is_newest = Some(run_of(batch)) == newest;
        let too_much = total > limits.capacity_bytes && !is_newest;
        if !batch.held && (is_over(batch) || too_much || lacking > 0) {
            due.push(at);
            total -= batch.size.bytes;
            lacking = lacking.saturating_sub(batch.size.bytes);
        }
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches by day and bytes; `!` is held.
    fn check(batches: &[(i64, u64, &str)], now: i64, limits: (u64, u64), expected: &[usize]) {
        let facts: Vec<_> = batches
            .iter()
            .map(|&(day, bytes, note)| Facts {
                name: BatchName { begun: day * DAY, job: [0; 16], number: 1 },
                size: Size { bytes, entries: bytes },
                days: 7,
                held: note == "!",
            })
            .collect();
        let (capacity_bytes, lacking_bytes) = limits;
        let limits = Limits { now: Some(now * DAY), capacity_bytes, lacking_bytes };
        assert_eq!(due(&facts, &limits), expected, "{batches:?}");
    }

    const ROOMY: (u64, u64) = (100, 0);

    #[test]
    fn what_is_old_or_empty_goes_and_nothing_else() {
        check(&[(1, 5, ""), (2, 0, ""), (3, 5, "")], 8, ROOMY, &[0, 1]);
        check(&[(1, 5, "")], 7, ROOMY, &[]);
        check(&[(1, 5, "!"), (2, 5, "")], 99, ROOMY, &[1]);
        check(&[], 99, ROOMY, &[]);
    }

    #[test]
    fn beyond_the_limit_the_oldest_go_and_the_newest_stays() {
        check(&[(1, 40, ""), (2, 40, ""), (3, 40, "")], 4, ROOMY, &[0]);
        check(&[(1, 40, ""), (2, 40, ""), (3, 99, "")], 4, ROOMY, &[0, 1]);
        check(&[(1, 40, ""), (3, 400, "")], 4, ROOMY, &[0]);
        check(&[(1, 400, "")], 4, ROOMY, &[]);
        check(&[(1, 40, "!"), (2, 40, ""), (3, 40, "")], 4, ROOMY, &[1]);
    }

    #[test]
    fn all_batches_of_the_newest_run_stay() {
        let batch = |begun, number| Facts {
            name: BatchName { begun, job: [0; 16], number },
            size: Size { bytes: 90, entries: 1 },
            days: 7,
            held: false,
        };
        let limits = Limits { now: None, capacity_bytes: 100, lacking_bytes: 0 };
        assert_eq!(due(&[batch(1, 1), batch(2, 1), batch(2, 2)], &limits), [0]);
    }

    #[test]
    fn when_space_is_short_the_oldest_go_until_there_is_enough() {
        check(&[(1, 10, ""), (2, 10, ""), (3, 10, "")], 4, (100, 11), &[0, 1]);
        check(&[(1, 10, ""), (2, 10, "")], 4, (100, 99), &[0, 1]);
        check(&[(1, 10, ""), (2, 10, "!")], 4, (100, 99), &[0]);
    }

    #[test]
    fn without_a_clock_nothing_is_too_old() {
        let name = BatchName { begun: 0, job: [0; 16], number: 1 };
        let facts = Facts { name, size: Size { bytes: 1, entries: 1 }, days: 0, held: false };
        let limits = Limits { now: None, capacity_bytes: 9, lacking_bytes: 0 };
        assert!(due(&[facts], &limits).is_empty());
    }
}
