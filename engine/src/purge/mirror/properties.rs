//! What must hold of every mirror, whatever the trees and the switches.

use proptest::prelude::*;
use quicopy_protocol::meta::Kind;
use quicopy_protocol::path::RelPath;

use super::job::Job;
use super::tree::Tree;
use crate::filter::Filter;
use crate::plan::NameRules;
use crate::plan::sample::{item, path, policy, present};

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
