//! Whole jobs over trees in memory: what walks find, and what must hold of every mirror.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use proptest::prelude::*;
use quicopy_protocol::meta::{DirId, Entry, Kind, Meta, Skip};
use quicopy_protocol::options::{JobPolicy, Recurse, Tolerance};
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::{Action, DirState, ExtraEntry};

use super::*;
use crate::compare::{Listed, Present, Tolerances};
use crate::filter::Filter;
use crate::plan::sample::{item, path, policy, present};
use crate::plan::{
    Decision, DirectoryInput, Knowledge, NameRules, Rules, Subdirectory, plan_directory,
};

/// A tree: what stands at each path. The root is always there.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Tree {
    nodes: BTreeMap<RelPath, Present>,
    unreadable: BTreeSet<RelPath>,
}

impl Tree {
    /// Items of [`item`], each with its directory before it: `d/ d/a@20 d/l->x`. `#` is a mount, `?` an unreadable directory.
    fn new(text: &str) -> Self {
        let mut tree = Self::default();
        for text in text.split_whitespace() {
            let (text, mounted) = text.strip_prefix('#').map_or((text, false), |text| (text, true));
            let (text, unreadable) =
                text.strip_prefix('?').map_or((text, false), |text| (text, true));
            let split = text.trim_end_matches('/').rfind('/').map_or(0, |at| at + 1);
            let (name, kind, meta) = item(&text[split..]);
            let at = path(text[..split].trim_end_matches('/')).join(&name).unwrap();
            if unreadable {
                tree.unreadable.insert(at.clone());
            }
            tree.nodes.insert(at, Present { mounted, ..present(kind, &meta) });
        }
        tree
    }

    fn is_dir(&self, at: &RelPath) -> bool {
        at.is_root() || self.nodes.get(at).is_some_and(Present::is_dir)
    }

    fn children(&self, dir: &RelPath) -> Vec<Listed> {
        let children = self.nodes.iter().filter_map(|(at, present)| {
            let (parent, name) = at.split_last()?;
            (parent == *dir).then(|| Listed { name, present: present.clone() })
        });
        children.collect()
    }

    fn remove_tree(&mut self, at: &RelPath) -> Vec<RelPath> {
        let gone: Vec<_> =
            self.nodes.keys().filter(|path| path.is_at_or_below(at)).cloned().collect();
        gone.iter().for_each(|path| drop(self.nodes.remove(path)));
        gone
    }
}

impl TreeLister for Tree {
    fn list(&mut self, dir: &RelPath) -> Option<Vec<Listed>> {
        assert!(self.is_dir(dir) && !self.nodes[dir].mounted, "{dir} is not to be listed");
        (!self.unreadable.contains(dir)).then(|| self.children(dir))
    }
}

/// What walks found, kept as it came.
#[derive(Default)]
struct Found {
    lines: Vec<ExtraEntry>,
    removals: Vec<DirectoryRemovals>,
}

impl ExtraSink for Found {
    type Error = Infallible;

    fn report(&mut self, entry: ExtraEntry) -> Result<(), Infallible> {
        self.lines.push(entry);
        Ok(())
    }

    fn remove(&mut self, removals: DirectoryRemovals) -> Result<(), Infallible> {
        self.removals.push(removals);
        Ok(())
    }
}

/// One job from a source to a destination, as the two sites would do it.
struct Job<'a> {
    policy: &'a JobPolicy,
    filter: Filter,
    /// Directories of the source whose listing breaks off.
    incomplete: BTreeSet<RelPath>,
}

/// What a job did.
#[derive(Default)]
struct Done {
    copied: BTreeSet<RelPath>,
    deleted: BTreeSet<RelPath>,
    found: Found,
    census: Census,
}

impl<'a> Job<'a> {
    fn new(policy: &'a JobPolicy) -> Self {
        let filter = Filter::new(&policy.selection).unwrap();
        Self { policy, filter, incomplete: BTreeSet::new() }
    }

    fn rules(&self) -> Rules<'_> {
        Rules {
            policy: self.policy,
            tolerances: Tolerances::exact(Tolerance::default()),
            names: &self.filter,
            records: &|_| None,
        }
    }

    /// What the sender lists of a directory.
    fn listing(&self, source: &Tree, dir: &RelPath) -> Vec<Entry> {
        let selection = &self.policy.selection;
        let is_last = selection.recurse == Recurse::RootOnly
            || selection.levels.is_some_and(|levels| dir.depth() + 1 >= levels as usize);
        let mut entries: Vec<_> = source
            .children(dir)
            .into_iter()
            .map(|Listed { name, present }| {
                let meta = Meta {
                    size_bytes: present.size_bytes,
                    modified: present.modified,
                    mode: present.mode,
                    ..Meta::default()
                };
                let skip = match present.is_dir() {
                    true if is_last => Some(Skip::TooDeep),
                    true => self.filter.directory(&dir.join(&name).unwrap()),
                    false => self.filter.file_name(dir, &name),
                };
                Entry { name, kind: present.kind, meta, skip }
            })
            .collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    fn run(&self, source: &Tree, destination: &mut Tree) -> Done {
        let mut done = Done::default();
        self.directory(source, destination, &RelPath::ROOT, Knowledge::Complete, &mut done);
        for removals in std::mem::take(&mut done.found.removals) {
            for entry in removals.entries.iter().filter(|entry| entry.kept.is_none()) {
                let at = removals.path.join(&entry.name).unwrap();
                assert!(destination.children(&at).is_empty(), "{at} is not empty");
                let present = destination.nodes.remove(&at).expect("it is there");
                assert!(still_as_listed(entry, &present));
                done.deleted.insert(at);
            }
        }
        done
    }

    fn directory(
        &self,
        source: &Tree,
        destination: &mut Tree,
        dir: &RelPath,
        above: Knowledge,
        done: &mut Done,
    ) {
        let rules = self.rules();
        let is_complete = above == Knowledge::Complete && !self.incomplete.contains(dir);
        let knowledge = if is_complete { Knowledge::Complete } else { Knowledge::Incomplete };
        let entries = self.listing(source, dir);
        let input = DirectoryInput {
            path: dir,
            entries: &entries,
            knowledge,
            present: destination.children(dir),
            file_system_root: false,
        };
        let plan = plan_directory(&rules, input).unwrap();
        done.census += plan.census;
        let at = |index: u32| dir.join(&entries[index as usize].name).unwrap();

        for Decision { verdict, present } in plan.decisions {
            let entry = &entries[verdict.index as usize];
            if verdict.action == Action::Copy && entry.kind != Kind::Directory {
                self.put(destination, &at(verdict.index), entry, present, done);
            }
        }
        for Subdirectory { index, state, present } in plan.directories {
            match state {
                DirState::New => {
                    let entry = &entries[index as usize];
                    self.put(destination, &at(index), entry, present, done);
                }
                DirState::Existing | DirState::Deferred => {}
                DirState::Avoided | DirState::Failed(_) => continue,
            }
            self.directory(source, destination, &at(index), knowledge, done);
        }
        let find_at = Find { dir: DirId(0), path: dir };
        let Ok(census) = find(&rules, find_at, plan.extras, destination, &mut done.found);
        done.census += census;
    }

    fn put(
        &self,
        destination: &mut Tree,
        at: &RelPath,
        entry: &Entry,
        there: Option<Present>,
        done: &mut Done,
    ) {
        if let Some((parent, _)) = at.split_last()
            && !destination.is_dir(&parent)
        {
            make_deferred(destination, &parent);
        }
        if there.as_ref().is_some_and(Present::is_dir) {
            let there = there.expect("just seen");
            if survey(&self.rules(), at, &there, destination).is_err() {
                return;
            }
        }
        let gone = destination.remove_tree(at);
        done.deleted.extend(gone.into_iter().filter(|path| path != at));
        destination.nodes.insert(at.clone(), present(entry.kind.clone(), &entry.meta));
        done.copied.insert(at.clone());
    }
}

fn make_deferred(destination: &mut Tree, dir: &RelPath) {
    if let Some((parent, _)) = dir.split_last()
        && !destination.is_dir(&parent)
    {
        make_deferred(destination, &parent);
    }
    destination.remove_tree(dir);
    destination.nodes.insert(dir.clone(), present(Kind::Directory, &item("d/").2));
}

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

/// Few names, so that the two sides share many of them.
fn any_tree() -> impl Strategy<Value = Tree> {
    let name = prop_oneof![Just("a"), Just("b"), Just("x.log"), Just("k"), Just("d")];
    let at = proptest::collection::vec(name, 1..4);
    let node = (0..5u8, 1..4i64, 1..3u64);
    proptest::collection::vec((at, node), 0..20).prop_map(|nodes| {
        let mut tree = Tree::default();
        for (at, (kind, seconds, size)) in nodes {
            let at = path(&at.join("/"));
            let mut parent = RelPath::ROOT;
            let mut names: Vec<_> = at.names().collect();
            let last = names.pop().expect("one to three names");
            let mut is_open = true;
            for name in names {
                parent = parent.join(&name).unwrap();
                let directory = || present(Kind::Directory, &item("d/").2);
                is_open &= tree.nodes.entry(parent.clone()).or_insert_with(directory).is_dir();
            }
            if !is_open {
                continue;
            }
            let text = match kind {
                0 => "d/".to_owned(),
                1 => format!("l->{size}"),
                _ => format!("f@{seconds}={size}"),
            };
            let (_, kind, meta) = item(&text);
            let at = parent.join(&last).unwrap();
            tree.nodes.entry(at).or_insert_with(|| present(kind, &meta));
        }
        let nodes = std::mem::take(&mut tree.nodes);
        // An entry below something that is no directory would be no tree.
        for (at, present) in nodes {
            if tree.is_dir(&at.split_last().expect("not the root").0) {
                tree.nodes.insert(at, present);
            }
        }
        tree
    })
}

fn any_switches() -> impl Strategy<Value = String> {
    let switches = [
        "/XF:*.log",
        "/XF:k",
        "/XF:/d/a",
        "/XD:k",
        "/XD:d",
        "/XD:/a/d",
        "/IF:*.log",
        "/LEV:2",
        "/XL",
        "/XO",
        "/XX",
        "/X",
        "/V",
        "/S",
        "/NOCOPY",
        "/CREATE",
    ];
    let chosen = proptest::sample::subsequence(switches.to_vec(), 0..5);
    (prop_oneof![Just("/MIR"), Just("/MIR /S"), Just("/PURGE")], chosen)
        .prop_map(|(mirror, chosen)| format!("{mirror} {}", chosen.join(" ")))
}

/// Whether a name rule protects `at`, found out without the code under test: by each of its ancestors and itself.
fn is_protected(filter: &Filter, destination: &Tree, at: &RelPath) -> bool {
    let mut above = RelPath::ROOT;
    at.names().any(|name| {
        let dir = above.clone();
        above = dir.join(&name).unwrap();
        let is_dir = destination.is_dir(&above);
        NameRules::dir_excluded(filter, &above) && is_dir
            || !is_dir && filter.file_excluded(&dir, &name)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_mirror_makes_the_sides_equal_and_the_second_one_has_nothing_to_do(
        source in any_tree(), destination in any_tree(),
    ) {
        let policy = policy("/MIR");
        let mut after = destination.clone();
        Job::new(&policy).run(&source, &mut after);
        prop_assert_eq!(&after.nodes, &source.nodes);
        let again = Job::new(&policy).run(&source, &mut after);
        prop_assert!(again.copied.is_empty() && again.deleted.is_empty() && again.found.lines.is_empty());
    }

    // MIR-22
    #[test]
    fn what_is_deleted_only_the_destination_had_and_no_rule_protects(
        source in any_tree(), destination in any_tree(), switches in any_switches(),
        incomplete in proptest::option::of(prop_oneof![Just(""), Just("a"), Just("d"), Just("a/d")]),
    ) {
        let policy = policy(&switches);
        let mut job = Job::new(&policy);
        job.incomplete.extend(incomplete.map(path));
        let mut after = destination.clone();
        let done = job.run(&source, &mut after);
        for at in &done.deleted {
            prop_assert!(destination.nodes.contains_key(at), "{} was not there", at);
            prop_assert!(!source.nodes.contains_key(at), "{} is in the source", at);
            prop_assert!(!is_protected(&job.filter, &destination, at), "{} is protected", at);
            let (dir, name) = at.split_last().unwrap();
            let hides = !destination.is_dir(at) && !job.filter.file_included(&name);
            prop_assert!(!(hides && source.is_dir(&dir)), "{} is not included", at);
        }
        for at in done.found.removals.iter().map(|record| &record.path) {
            prop_assert!(!job.incomplete.iter().any(|dir| at.is_at_or_below(dir)));
        }
        let again = job.run(&source, &mut after);
        prop_assert!(again.deleted.is_empty(), "a second run deletes {:?}", again.deleted);
        if !policy.classes.include_same {
            prop_assert!(again.copied.is_empty(), "a second run copies {:?}", again.copied);
        }
    }
}
