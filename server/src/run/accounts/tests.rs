//! Attempts that follow each other, without a link.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::symlink;

use quicopy_engine::scan::{Scan, ScannedDir};
use quicopy_engine::source::{Source, StopFlag};
use quicopy_protocol::options::{Durability, JobPolicy, LinkPolicy, Recurse, Selection};
use quicopy_protocol::verdict::{Origins, Tally};

use super::*;
use crate::report::Summary;

/// A source with the files `a`, `b` and `d/c` of one byte each, and the link `l`, scanned.
fn offers() -> Vec<Offer> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    for file in ["a", "b", "d/c"] {
        std::fs::write(dir.path().join(file), "x").unwrap();
    }
    symlink("a", dir.path().join("l")).unwrap();
    let links = LinkPolicy { recreate: true, ..LinkPolicy::default() };
    let selection = Selection { recurse: Recurse::All, links, ..Selection::default() };
    let policy = JobPolicy { selection, ..JobPolicy::default() };
    let source = Source::open(dir.path(), links).unwrap();
    let filter = Filter::new(&policy.selection).unwrap();
    let scan =
        Scan { source: &source, filter: &filter, policy: &policy, stop: &StopFlag::default() };
    let mut scanned: Vec<ScannedDir> = Vec::new();
    scan.run(1, &mut |dir| {
        scanned.push(dir);
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    let offer = |(number, scanned)| Offer { id: DirId(number as u64), scanned };
    scanned.into_iter().enumerate().map(offer).collect()
}

/// One attempt after others.
struct Attempt<'a> {
    offers: &'a [Offer],
    accounts: Accounts,
    told: Vec<ReportEvent>,
}

impl<'a> Attempt<'a> {
    fn new(offers: &'a [Offer], told: Told) -> Self {
        let policy = JobPolicy::default();
        let filter = Filter::new(&policy.selection).unwrap();
        Self { offers, accounts: Accounts::new(filter, &policy, told), told: Vec::new() }
    }

    fn index(&self, dir: usize, name: &str) -> u32 {
        let entries = &self.offers[dir].scanned.entries;
        let at =
            entries.iter().position(|scanned| scanned.entry.name.as_bytes() == name.as_bytes());
        at.unwrap() as u32
    }

    /// A plan that copies `names`, and takes `same` more for the same.
    fn plan(&mut self, dir: usize, state: DirState, names: &[&str], same: u64) -> Vec<RelPath> {
        let copied: Vec<_> = names.iter().map(|name| (*name, Action::Copy)).collect();
        self.plan_of(dir, state, &copied, same)
    }

    fn plan_of(
        &mut self,
        dir: usize,
        state: DirState,
        actions: &[(&str, Action)],
        same: u64,
    ) -> Vec<RelPath> {
        let verdict = |&(name, action): &(&str, Action)| Verdict {
            index: self.index(dir, name),
            class: if action == Action::Copy { FileClass::Newer } else { FileClass::Same },
            action,
            conflict: true,
        };
        let plan = Plan {
            dir: DirId(dir as u64),
            state,
            verdicts: actions.iter().map(verdict).collect(),
            same: Tally { entries: same, bytes: same },
            last: true,
        };
        let told = &mut self.told;
        self.accounts.plan(&self.offers[dir], &plan, &mut |_| {}, &mut |event| told.push(event))
    }

    fn done(&mut self, dir: usize, name: &str) {
        self.outcome(dir, name, OutcomeResult::Done(Origins::default()));
    }

    fn outcome(&mut self, dir: usize, name: &str, result: OutcomeResult) {
        let entry = EntryId { dir: DirId(dir as u64), index: self.index(dir, name) };
        let outcome = Outcome { entry, result };
        let told = &mut self.told;
        self.accounts.outcome(&self.offers[dir], &outcome, 0, &mut |event| told.push(event));
    }

    fn opened(&mut self, durability: Durability) -> usize {
        let opened = JobOpened {
            time_step_nanos: 1,
            conflicts_known: true,
            first_job: false,
            durability,
            trash_days: None,
        };
        let before = self.told.len();
        let told = &mut self.told;
        self.accounts.opened(&opened, &mut |event| told.push(event));
        self.told.len() - before
    }

    /// What was told of files: the name, the class and the action.
    fn verdicts(&self) -> Vec<(String, FileClass, Action)> {
        let told = self.told.iter().filter_map(|event| match event {
            ReportEvent::File(file) => Some((file.path.to_string(), file.class, file.action)),
            _ => None,
        });
        told.collect()
    }

    fn files_told(&self) -> usize {
        self.told.iter().filter(|event| matches!(event, ReportEvent::File(_))).count()
    }
}

fn join(before: Counted, after: Counted) -> Summary {
    before.join(after, &JobPolicy::default(), false).summary()
}

#[test]
fn a_file_whose_outcome_was_lost_counts_as_copied() {
    let offers = offers();
    let mut first = Attempt::new(&offers, Told::default());
    first.plan(0, DirState::Existing, &["a", "b"], 1);
    first.done(0, "a");
    let (before, told) = first.accounts.finish();
    let mut second = Attempt::new(&offers, told);
    let found = second.plan(0, DirState::Existing, &[], 3);
    assert_eq!(found, [RelPath::parse(b"b").unwrap()]);
    let (after, told) = second.accounts.finish();
    assert!(told.unfinished.is_empty());
    let joined = join(before, after);
    assert_eq!((joined.files.copied, joined.files.skipped, joined.conflicts), (2, 1, 2));
    assert_eq!((joined.bytes.copied, joined.bytes.skipped), (2, 1));
}

#[test]
fn a_file_that_is_copied_by_the_second_attempt_is_told_and_counted_once() {
    let offers = offers();
    let mut first = Attempt::new(&offers, Told::default());
    first.plan(0, DirState::Existing, &["a", "b"], 1);
    assert_eq!(first.files_told(), 2);
    let (before, told) = first.accounts.finish();
    let mut second = Attempt::new(&offers, told);
    assert!(second.plan(0, DirState::Existing, &["a", "b"], 1).is_empty());
    second.done(0, "a");
    second.done(0, "b");
    assert_eq!(second.files_told(), 0);
    let joined = join(before, second.accounts.finish().0);
    assert_eq!((joined.files.copied, joined.files.skipped, joined.conflicts), (2, 1, 2));
}

#[test]
fn what_an_attempt_did_not_reach_is_left_to_the_next() {
    let offers = offers();
    let mut first = Attempt::new(&offers, Told::default());
    first.plan(0, DirState::Existing, &["a"], 2);
    let (_, told) = first.accounts.finish();
    let (_, told) = Attempt::new(&offers, told).accounts.finish();
    let mut third = Attempt::new(&offers, told);
    assert_eq!(third.plan(0, DirState::Existing, &[], 3).len(), 1);
}

#[test]
fn a_directory_made_with_its_first_entry_counts_once_over_all_attempts() {
    for (again, done_at_first) in
        [(DirState::Existing, true), (DirState::Existing, false), (DirState::Deferred, false)]
    {
        let offers = offers();
        let mut first = Attempt::new(&offers, Told::default());
        first.plan(0, DirState::Existing, &[], 3);
        first.plan(1, DirState::Deferred, &["c"], 0);
        if done_at_first {
            first.done(1, "c");
        }
        let (before, told) = first.accounts.finish();
        let mut second = Attempt::new(&offers, told);
        second.plan(0, DirState::Existing, &[], 3);
        if done_at_first {
            second.plan(1, again, &[], 1);
        } else {
            second.plan(1, again, &["c"], 0);
            second.done(1, "c");
        }
        let joined = join(before, second.accounts.finish().0);
        assert_eq!((joined.dirs.copied, joined.dirs.skipped), (1, 1));
        assert_eq!((joined.files.copied, joined.files.skipped), (1, 3));
    }
}

#[test]
fn how_durable_copies_are_is_told_once_and_only_when_it_is_not_as_usual() {
    let offers = offers();
    let mut first = Attempt::new(&offers, Told::default());
    assert_eq!(first.opened(Durability::File), 1);
    let (_, told) = first.accounts.finish();
    assert_eq!(Attempt::new(&offers, told).opened(Durability::File), 0);
    assert_eq!(Attempt::new(&offers, Told::default()).opened(Durability::Group), 0);
    assert_eq!(Attempt::new(&offers, Told::default()).opened(Durability::None), 1);
}

#[test]
fn what_is_compared_is_told_and_counted_as_it_comes_out() {
    let offers = offers();
    let failed = Failure::new(quicopy_protocol::code::Operation::CopyFile, 5, "no");
    let mut attempt = Attempt::new(&offers, Told::default());
    let actions = [("a", Action::Check), ("b", Action::Check), ("l", Action::Check)];
    attempt.plan_of(0, DirState::Existing, &actions, 0);
    assert_eq!(attempt.verdicts(), []);
    attempt.done(0, "a");
    attempt.outcome(0, "b", OutcomeResult::Unchanged);
    attempt.outcome(0, "l", OutcomeResult::Failed(failed));
    let expected = [
        ("a".to_owned(), FileClass::Modified, Action::Copy),
        ("b".to_owned(), FileClass::Same, Action::Skip),
        ("l".to_owned(), FileClass::Same, Action::Fail),
    ];
    assert_eq!(attempt.verdicts(), expected);
    let (counted, told) = attempt.accounts.finish();
    let summary = counted.clone().summary();
    assert_eq!((summary.files.copied, summary.files.skipped, summary.files.failed), (1, 1, 1));
    assert_eq!(summary.conflicts, 3);

    // After a lost link what was copied is the same, and what was the same is told of no more.
    let mut again = Attempt::new(&offers, told);
    again.plan_of(0, DirState::Existing, &actions, 0);
    again.outcome(0, "a", OutcomeResult::Unchanged);
    again.outcome(0, "b", OutcomeResult::Unchanged);
    again.outcome(0, "l", OutcomeResult::Unchanged);
    assert_eq!(again.verdicts(), []);
    let joined = join(counted, again.accounts.finish().0);
    assert_eq!((joined.files.copied, joined.files.skipped, joined.files.failed), (1, 2, 0));
}

#[test]
fn a_fix_is_told_once_it_is_done_and_counts_as_skipped() {
    let offers = offers();
    for list_only in [false, true] {
        let mut attempt = Attempt::new(&offers, Told::default());
        attempt.accounts.policy.list_only = list_only;
        attempt.plan_of(0, DirState::Existing, &[("a", Action::Fix)], 2);
        if !list_only {
            assert_eq!(attempt.verdicts(), []);
            attempt.outcome(0, "a", OutcomeResult::Unchanged);
        }
        assert_eq!(attempt.verdicts(), [("a".to_owned(), FileClass::Same, Action::Fix)]);
        let files = attempt.accounts.finish().0.summary().files;
        assert_eq!((files.total(), files.skipped), (3, 3));
    }
}

#[test]
fn a_directory_that_was_not_read_to_its_end_counts_once_as_failed() {
    for (root, state) in [
        (DirState::New, DirState::Existing),
        (DirState::New, DirState::New),
        (DirState::Deferred, DirState::Deferred),
    ] {
        let mut offers = offers();
        let operation = quicopy_protocol::code::Operation::ScanSourceDirectory;
        offers[1].scanned.failure = Some(Failure::new(operation, 5, "no"));
        let mut attempt = Attempt::new(&offers, Told::default());
        attempt.plan(0, root, &[], 3);
        attempt.plan(1, state, &["c"], 0);
        attempt.done(1, "c");
        let dirs = attempt.accounts.finish().0.summary().dirs;
        assert_eq!((dirs.total(), dirs.failed, dirs.copied), (2, 1, 1));
    }
}
