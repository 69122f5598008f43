//! What an attempt counted, and how the counts of several attempts of one job become one.

use quicopy_protocol::options::JobPolicy;

use crate::report::Summary;

/// Counts of one attempt, or of several that were joined.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counted {
    /// All but conflicts; of the other failures only those at the source.
    pub(super) summary: Summary,
    pub(super) conflicts: Conflicts,
    /// Deletions that failed. The next attempt tries them again.
    pub(super) removal_failures: u64,
}

/// Entries that were changed at the destination, by whether a later attempt finds them so again.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Conflicts {
    /// Gone with the copy.
    pub(super) overwritten: u64,
    /// Still there.
    pub(super) left: u64,
    /// Still there, or deleted.
    pub(super) extra: u64,
}

/// What a later attempt makes of the files that an earlier one has copied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// It takes them for the same, and counts them as skipped.
    Same,
    /// It copies them anew (`/IS`), or nothing was copied in truth (`/L`).
    Anew,
    /// It does not see them at the source any more, and takes their copies for extras (`/MOV`).
    Gone,
}

impl Standing {
    pub(super) fn of(policy: &JobPolicy, moves: bool) -> Self {
        if policy.list_only {
            Self::Anew
        } else if moves {
            Self::Gone
        } else if policy.classes.include_same {
            Self::Anew
        } else {
            Self::Same
        }
    }
}

impl Counted {
    /// A file that was counted as skipped has been copied.
    pub(super) fn skipped_is_copied(&mut self, size_bytes: u64) {
        let Summary { files, bytes, .. } = &mut self.summary;
        for (counts, amount) in [(files, 1), (bytes, size_bytes)] {
            counts.skipped = counts.skipped.saturating_sub(amount);
            counts.copied += amount;
        }
    }

    /// Joins what was counted before with the attempt that followed.
    ///
    /// What is still to be seen, the later attempt has counted again; what is not, only the earlier one has counted: what it
    /// copied and what it deleted.
    pub(super) fn join(self, mut after: Self, policy: &JobPolicy, moves: bool) -> Self {
        let copied = Standing::of(policy, moves);
        let made = if policy.list_only { Standing::Anew } else { Standing::Same };
        let before = self.summary;
        let joined = &mut after.summary;
        for (before, after, standing) in [
            (before.dirs, &mut joined.dirs, made),
            (before.files, &mut joined.files, copied),
            (before.bytes, &mut joined.bytes, copied),
        ] {
            match standing {
                Standing::Same => {
                    after.skipped = after.skipped.saturating_sub(before.copied);
                    after.copied += before.copied;
                }
                Standing::Anew => after.copied = after.copied.max(before.copied),
                Standing::Gone => {
                    after.extras = after.extras.saturating_sub(before.copied);
                    after.copied += before.copied;
                }
            }
            // Deletions come last: an attempt that has deleted any had counted all.
            after.extras = after.extras.max(before.extras);
        }
        joined.deleted += before.deleted;
        joined.other_failures += before.other_failures;
        joined.reused_bytes += before.reused_bytes;
        joined.resumed_bytes += before.resumed_bytes;
        joined.resent_bytes += before.resent_bytes;
        after.conflicts.overwritten += self.conflicts.overwritten;
        after.conflicts.extra = after.conflicts.extra.max(self.conflicts.extra);
        after
    }

    /// Files that are in place, and their bytes: what an attempt must add to, to count as progress. A file copied anew adds nothing.
    pub(super) fn in_place(&self) -> u64 {
        self.summary.files.copied + self.summary.bytes.copied
    }

    /// What the report shows.
    pub(super) fn summary(self) -> Summary {
        let Conflicts { overwritten, left, extra } = self.conflicts;
        Summary {
            conflicts: overwritten + left + extra,
            other_failures: self.summary.other_failures + self.removal_failures,
            ..self.summary
        }
    }
}

#[cfg(test)]
mod tests {
    use quicopy_protocol::options::ClassFilter;

    use super::*;
    use crate::report::Counts;

    /// Files of two attempts and of both: copied, skipped, extras.
    fn check(before: [u64; 3], after: [u64; 3], policy: &JobPolicy, moves: bool, joined: [u64; 3]) {
        let counted = |[copied, skipped, extras]: [u64; 3]| Counted {
            summary: Summary {
                files: Counts { copied, skipped, extras, ..Counts::default() },
                ..Summary::default()
            },
            ..Counted::default()
        };
        let files = counted(before).join(counted(after), policy, moves).summary().files;
        assert_eq!([files.copied, files.skipped, files.extras], joined);
    }

    #[test]
    fn what_was_copied_before_the_link_was_lost_is_not_skipped_after() {
        check([2, 1, 0], [3, 3, 0], &JobPolicy::default(), false, [5, 1, 0]);
    }

    #[test]
    fn a_file_that_is_copied_with_each_attempt_counts_once() {
        let classes = ClassFilter { include_same: true, ..ClassFilter::default() };
        let again = JobPolicy { classes, ..JobPolicy::default() };
        check([2, 0, 0], [5, 0, 0], &again, false, [5, 0, 0]);
        check([5, 0, 0], [2, 0, 0], &again, false, [5, 0, 0]);
        let list = JobPolicy { list_only: true, ..JobPolicy::default() };
        check([2, 1, 0], [5, 2, 0], &list, true, [5, 2, 0]);
    }

    #[test]
    fn a_file_that_was_moved_is_neither_missing_nor_extra_afterwards() {
        check([2, 1, 1], [3, 1, 3], &JobPolicy::default(), true, [5, 1, 1]);
    }

    #[test]
    fn extras_that_were_deleted_before_the_link_was_lost_still_count() {
        check([0, 0, 4], [0, 0, 1], &JobPolicy::default(), false, [0, 0, 4]);
        check([0, 0, 1], [0, 0, 4], &JobPolicy::default(), false, [0, 0, 4]);
    }

    #[test]
    fn failed_deletions_and_conflicts_that_stay_count_once() {
        let attempt = || Counted {
            conflicts: Conflicts { overwritten: 1, left: 2, extra: 3 },
            removal_failures: 4,
            summary: Summary { deleted: 5, other_failures: 1, ..Summary::default() },
        };
        let joined = attempt().join(attempt(), &JobPolicy::default(), false).summary();
        assert_eq!((joined.conflicts, joined.other_failures, joined.deleted), (7, 6, 10));
    }
}
