//! What is done about a file that both sides have and whose content is not copied: it is compared, or the metadata set.

use quicopy_protocol::meta::{Entry, Kind, Meta};
use quicopy_protocol::options::{ContentCheck, CopyFlags, CopyMode, JobPolicy};
use quicopy_protocol::verdict::{Action, FileClass};

use super::decide;
use crate::compare::{Present, Tolerances};
use crate::disk::metadata::MODE_MAX;

/// What becomes of a file whose class is left alone.
///
/// Content is compared where time and size say nothing else.
pub(super) fn instead_of_skip(
    policy: &JobPolicy,
    tolerances: &Tolerances,
    class: FileClass,
    entry: &Entry,
    there: &Present,
) -> Action {
    if there.kind != Kind::File || policy.mode != CopyMode::Copy {
        return Action::Skip;
    }
    // What is found to differ is copied.
    let may_check = policy.copy.data;
    match entry.kind {
        // Whether it is a name of the same file no listing shows.
        Kind::HardLink { .. } if may_check && looks_same(class) => Action::Check,
        Kind::File if may_check && is_checked(policy.content_check, class) => Action::Check,
        Kind::File
            if fixed_parts(policy, tolerances, class, &entry.meta, there) != CopyFlags::NONE =>
        {
            Action::Fix
        }
        Kind::File
        | Kind::Directory
        | Kind::Link { .. }
        | Kind::HardLink { .. }
        | Kind::Special => Action::Skip,
    }
}

/// What becomes of a file whose attributes alone are to be set (`/IT`).
///
/// A job that compares content does so first: with its attributes set, a file of other content would look the same ever after.
pub(super) fn instead_of_restamp(check: ContentCheck, kind: &Kind) -> Action {
    match (kind, check) {
        (Kind::File, ContentCheck::LooksSame | ContentCheck::Always) => Action::Check,
        _ => Action::Restamp,
    }
}

fn is_checked(check: ContentCheck, class: FileClass) -> bool {
    match check {
        ContentCheck::Never => false,
        ContentCheck::LooksSame => class == FileClass::Same,
        ContentCheck::Always => looks_same(class),
    }
}

/// Whether time and size are equal.
fn looks_same(class: FileClass) -> bool {
    matches!(class, FileClass::Same | FileClass::Tweaked)
}

/// What the job fixes (`/SECFIX`, `/TIMFIX`, `/COPY` without D) on a file of this class that stays: what differs, and access
/// lists, which no listing shows, in any case.
///
/// A time is set only where time and size say nothing else: on any other file it would make two different files look the same
/// to the next job, which would then never copy them. Nor is it set where the destination keeps no more of it.
pub(crate) fn fixed_parts(
    policy: &JobPolicy,
    tolerances: &Tolerances,
    class: FileClass,
    source: &Meta,
    there: &Present,
) -> CopyFlags {
    let JobPolicy { fix, copy, .. } = policy;
    let fixes = fix.security || is_copied_without_content(policy, class);
    let other_mode = (source.mode ^ there.mode) & MODE_MAX != 0;
    let other_owner = (source.owner, source.group) != (there.owner, there.group);
    let other_time = !tolerances.is_kept(source.modified, there.modified);
    let other_attributes = match (source.attributes, there.attributes) {
        (Some(ours), Some(theirs)) => ours != theirs,
        (None, _) | (_, None) => false,
    };
    CopyFlags {
        attributes: fixes && copy.attributes && (other_mode || other_attributes),
        owner: fixes && copy.owner && other_owner,
        security: fixes && copy.security,
        times: fix.times && looks_same(class) && other_time,
        ..CopyFlags::NONE
    }
}

/// Whether a file of this class would be copied, if the job copied content at all.
fn is_copied_without_content(policy: &JobPolicy, class: FileClass) -> bool {
    let action = decide(class, &Kind::File, policy, false);
    !policy.copy.data && matches!(action, Action::Copy | Action::Restamp)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use quicopy_protocol::meta::Timestamp;
    use quicopy_protocol::options::{ClassFilter, Fix, Tolerance};

    use super::super::sample::{item, present};
    use super::*;

    const OTHER_THAN_SAME: [FileClass; 3] =
        [FileClass::Newer, FileClass::Older, FileClass::Changed];

    const EXACT: Tolerances =
        Tolerances { asked: Tolerance { fat: false, daylight_saving: false }, step_nanos: 1 };

    fn policy(content_check: ContentCheck, security: bool, times: bool) -> JobPolicy {
        let fix = Fix { security, times };
        JobPolicy { copy: CopyFlags::DAT, content_check, fix, ..JobPolicy::default() }
    }

    /// The file `f` at the source, and what is at the destination after `change`.
    fn check(
        policy: &JobPolicy,
        class: FileClass,
        change: impl FnOnce(&mut Meta),
        expected: Action,
    ) {
        let (name, kind, meta) = item("f");
        let mut there = meta;
        change(&mut there);
        let there = present(Kind::File, &there);
        let entry = Entry { name, kind, meta, skip: None };
        let action = instead_of_skip(policy, &EXACT, class, &entry, &there);
        assert_eq!(action, expected, "{class:?}");
    }

    fn same(_: &mut Meta) {}

    fn later(meta: &mut Meta) {
        meta.modified = Timestamp { nanos: 1, ..meta.modified };
    }

    #[test]
    fn content_is_compared_where_time_and_size_are_equal() {
        let im = policy(ContentCheck::LooksSame, false, false);
        check(&im, FileClass::Same, same, Action::Check);
        check(&im, FileClass::Tweaked, same, Action::Skip);
        let verify = policy(ContentCheck::Always, false, false);
        check(&verify, FileClass::Same, same, Action::Check);
        check(&verify, FileClass::Tweaked, same, Action::Check);
        for class in OTHER_THAN_SAME {
            check(&verify, class, same, Action::Skip);
        }
        let list = JobPolicy { mode: CopyMode::Nothing, ..verify };
        check(&list, FileClass::Same, same, Action::Skip);
    }

    #[test]
    fn content_is_compared_before_attributes_are_set() {
        let check = |content_check, kind, expected| {
            assert_eq!(instead_of_restamp(content_check, &kind), expected, "{content_check:?}");
        };
        check(ContentCheck::Never, Kind::File, Action::Restamp);
        check(ContentCheck::LooksSame, Kind::File, Action::Check);
        check(ContentCheck::Always, Kind::File, Action::Check);
        let first = super::super::sample::path("first");
        check(ContentCheck::Always, Kind::HardLink { first }, Action::Restamp);
    }

    #[test]
    fn another_name_of_a_file_is_looked_at_whatever_the_job_compares() {
        let (name, _, meta) = item("f");
        let kind = Kind::HardLink { first: super::super::sample::path("first") };
        let entry = Entry { name, kind, meta, skip: None };
        let there = present(Kind::File, &meta);
        let policy = policy(ContentCheck::Never, true, true);
        let action = |class| instead_of_skip(&policy, &EXACT, class, &entry, &there);
        assert_eq!(action(FileClass::Same), Action::Check);
        assert_eq!(action(FileClass::Older), Action::Skip);
    }

    #[test]
    fn a_time_is_fixed_only_where_the_files_look_the_same() {
        let timfix = policy(ContentCheck::Never, false, true);
        check(&timfix, FileClass::Same, later, Action::Fix);
        check(&timfix, FileClass::Tweaked, later, Action::Fix);
        check(&timfix, FileClass::Same, same, Action::Skip);
        for class in OTHER_THAN_SAME {
            check(&timfix, class, later, Action::Skip);
        }
    }

    #[test]
    fn without_content_what_would_be_copied_gets_its_metadata() {
        let copy = CopyFlags { data: false, times: false, ..CopyFlags::DAT };
        let attributes = JobPolicy { copy, ..policy(ContentCheck::Always, false, false) };
        let other_mode = |meta: &mut Meta| meta.mode = 0o600;
        for class in OTHER_THAN_SAME {
            check(&attributes, class, other_mode, Action::Fix);
            check(&attributes, class, later, Action::Skip);
        }
        check(&attributes, FileClass::Tweaked, other_mode, Action::Skip);
        check(&attributes, FileClass::Same, same, Action::Skip);
        let classes =
            ClassFilter { exclude_older: true, include_tweaked: true, ..ClassFilter::default() };
        let chosen = JobPolicy { classes, ..attributes };
        check(&chosen, FileClass::Older, other_mode, Action::Skip);
        check(&chosen, FileClass::Tweaked, other_mode, Action::Fix);
    }

    #[test]
    fn a_time_is_not_fixed_where_the_destination_keeps_no_more_of_it() {
        let timfix = policy(ContentCheck::Never, false, true);
        let fixes = |step_nanos, source: (i64, u32), there: (i64, u32)| {
            let tolerances = Tolerances { step_nanos, ..EXACT };
            let at = |(seconds, nanos)| Timestamp { seconds, nanos };
            let source = Meta { modified: at(source), ..item("f").2 };
            let there = present(Kind::File, &Meta { modified: at(there), ..source });
            fixed_parts(&timfix, &tolerances, FileClass::Same, &source, &there).times
        };
        let (second, nanos) = (1_000_000_000, 900_000_000);
        assert!(!fixes(second, (10, nanos), (10, 0)));
        assert!(fixes(second, (12, nanos), (10, 0)), "within what /FFT forgives");
        assert!(fixes(1, (10, nanos), (10, 0)));
    }

    #[test]
    fn security_is_fixed_where_it_differs_or_cannot_be_seen() {
        let secfix = policy(ContentCheck::Never, true, false);
        check(&secfix, FileClass::Older, |meta| meta.mode = 0o600, Action::Fix); // M11
        check(&secfix, FileClass::Same, |meta| meta.owner = 7, Action::Skip);
        check(&secfix, FileClass::Same, same, Action::Skip);
        let copy = CopyFlags { owner: true, ..CopyFlags::DAT };
        let owners = JobPolicy { copy, ..secfix.clone() };
        check(&owners, FileClass::Same, |meta| meta.owner = 7, Action::Fix);
        let copy = CopyFlags { security: true, ..CopyFlags::DAT };
        check(&JobPolicy { copy, ..secfix }, FileClass::Same, same, Action::Fix);
    }
}
