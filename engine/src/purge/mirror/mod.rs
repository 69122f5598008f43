//! Whole jobs over trees in memory: what walks find, and what must hold of every mirror.

mod job;
mod properties;
mod tree;

use std::collections::BTreeSet;

use quicopy_protocol::meta::{DirId, Kind};
use quicopy_protocol::path::RelPath;

use super::*;
use crate::plan::sample::{item, path, policy, present};
use crate::plan::{DirectoryInput, Knowledge, plan_directory};
use job::{Found, Job};
use tree::Tree;

/// Runs a job and compares what it reports as extra, in order and with reasons, and what it deletes.
fn check(switches: &str, source: &str, destination: &str, lines: &str, deleted: &str) {
    let policy = policy(switches);
    let mut after = Tree::new(destination);
    let done = Job::new(&policy).run(&Tree::new(source), &mut after);
    let told: Vec<_> = done
        .found
        .lines
        .iter()
        .map(|entry| {
            let kept = entry.kept.map_or(String::new(), |kept| format!(":{kept:?}"));
            format!("{}{kept}", entry.path)
        })
        .collect();
    let gone: Vec<_> = done.deleted.iter().map(RelPath::to_string).collect();
    assert_eq!((&*told.join(" "), &*gone.join(" ")), (lines, deleted), "{switches}");
}

#[test]
fn an_extra_tree_goes_to_its_bottom_and_is_reported_from_its_top() {
    check(
        "/MIR",
        "a",
        "a old/ old/y old/s/ old/s/z",
        "old old/y old/s old/s/z",
        "old old/s old/s/z old/y",
    );
    check("/E", "a", "a old/ old/y", "old", "");
    check("/MIR /XX", "a", "a old/ old/y", "", "");
}

#[test]
fn an_excluded_name_keeps_itself_and_what_is_above_it() {
    check("/MIR /XD:.git", "", "o/ o/.git/ o/.git/x o/y", "o:HoldsKept o/y o/.git:Named", "o/y"); // P09
    check(
        "/MIR /XF:*.log",
        "",
        "o/ o/s/ o/s/a.log o/b",
        "o:HoldsKept o/b o/s:HoldsKept o/s/a.log:Named",
        "o/b",
    );
    check("/MIR /XD:/o/k", "", "o/ o/k/ o/k/x p/ p/k/", "o:HoldsKept o/k:Named p p/k", "p p/k");
}

#[test]
fn mounts_stay_links_go_themselves_and_nothing_is_followed() {
    check("/MIR", "", "o/ #o/m/ o/m/x o/l->root", "o:HoldsKept o/l o/m:Mount", "o/l"); // MIR-12
    check("/MIR", "a", "a link->etc", "link", "link"); // P26
}

#[test]
fn what_cannot_be_read_stays_with_what_is_above_it() {
    check("/MIR", "", "o/ ?o/u/ o/u/x o/y", "o:HoldsKept o/y o/u:Unreadable", "o/y");
}

#[test]
fn the_agents_own_files_are_never_spoken_of_and_hold_their_directory() {
    check("/MIR", "", "o/ o/.~quicopy-1.part o/y", "o:HoldsKept o/y", "o/y");
}

#[test]
fn patterns_protect_files_where_the_source_was_and_not_in_extra_trees() {
    check(
        "/MIR /IF:*.txt",
        "d/",
        "d/ d/y.log d/x.txt old/ old/b.log",
        "d/x.txt old old/b.log",
        "d/x.txt old old/b.log",
    );
}

#[test]
fn a_directory_with_something_protected_gives_way_to_no_file() {
    check("/MIR /XF:keep", "a", "a/ a/keep", "", "");
    check("/MIR", "a", "a/ a/x a/s/", "", "a/s a/x");
}

#[test]
fn a_directory_that_was_not_read_to_its_end_protects_all_below_its_counterpart() {
    let policy = policy("/MIR");
    let mut job = Job::new(&policy);
    job.incomplete.insert(path("s"));
    let mut destination = Tree::new("x s/ s/x s/t/ s/t/x u/ u/x");
    let done = job.run(&Tree::new("s/ s/t/ u/"), &mut destination);
    assert_eq!(done.deleted, BTreeSet::from([path("x"), path("u/x")])); // MIR-04, MIR-05
}

#[test]
fn the_census_counts_what_goes_and_all_that_was_seen() {
    let policy = policy("/MIR /XF:k");
    let mut destination = Tree::new("a d/ d/b old/ old/c old/s/ old/s/l->x old/k");
    let census = Job::new(&policy).run(&Tree::new("a d/ d/b"), &mut destination).census;
    let expected =
        Census { extra_files: 2, extra_entries: 3, destination_files: 5, destination_entries: 8 };
    assert_eq!(census, expected);
}

#[test]
fn a_tree_too_wide_to_hold_is_told_in_parts_and_its_top_once_more_in_the_list() {
    let mut destination = Tree::new("o/ o/z/ o/z/.git/");
    for number in 0..5000 {
        let at = path(&format!("o/f{number}"));
        destination.nodes.insert(at, present(Kind::File, &item("f").2));
    }
    let policy = policy("/MIR /XD:.git");
    let job = Job::new(&policy);
    let rules = job.rules();
    let listing = destination.children(&RelPath::ROOT);
    let input = DirectoryInput {
        path: &RelPath::ROOT,
        entries: &[],
        knowledge: Knowledge::Complete,
        present: listing,
        file_system_root: false,
    };
    let plan = plan_directory(&rules, input).unwrap();
    let at = Find { dir: DirId(7), path: &RelPath::ROOT };
    let mut found = Found::default();
    let Ok(census) = find(&rules, at, plan.extras, &mut destination, &mut found);
    assert_eq!((census.extra_entries, found.lines.len()), (5000, 5003));
    assert_eq!((found.lines[0].path.clone(), found.lines[0].kept), (path("o"), None));
    let sizes: Vec<_> = found.removals.iter().map(|record| record.entries.len()).collect();
    assert_eq!(sizes, [4096, 904, 1]);
    let last = &found.removals[2];
    assert_eq!(last.entries[0].kept, Some(quicopy_protocol::verdict::Kept::HoldsKept));
}
