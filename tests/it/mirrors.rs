//! Any tree onto any other.

use std::{
    collections::BTreeMap,
    path::{Component, Path},
};

use proptest::{prelude::*, test_runner::Config};
use quicopy_tests::{
    tree::{Kind, Snapshot},
    world::World,
};

/// How many pairs of trees: each costs a few processes.
const CASES: u32 = 24;

/// What a name stands for, in a tree that is easily like another: few names, few sizes, few times.
#[derive(Clone, Debug)]
enum Node {
    File { size_bytes: u64, seconds: u64 },
    Link { target: &'static str },
    Directory(BTreeMap<&'static str, Node>),
}

fn tree() -> impl Strategy<Value = BTreeMap<&'static str, Node>> {
    let names = prop::sample::select(vec!["a", "b", "c", "d", "e.txt"]);
    let leaf = prop_oneof![
        6 => (0..4u64, 1..4u64)
            .prop_map(|(size, seconds)| Node::File { size_bytes: size * 700_000, seconds }),
        1 => prop::sample::select(vec!["a", "../share-2", "/", "nowhere"])
            .prop_map(|target| Node::Link { target }),
    ];
    let inner = names.clone();
    let node = leaf.prop_recursive(3, 24, 4, move |node| {
        prop::collection::btree_map(inner.clone(), node, 0..4).prop_map(Node::Directory)
    });
    prop::collection::btree_map(names, node, 0..5)
}

fn text(nodes: &BTreeMap<&str, Node>, below: &str) -> String {
    let line = |(name, node): (&&str, &Node)| match node {
        Node::File { size_bytes, seconds } => format!("{below}{name} {size_bytes}B @{seconds}\n"),
        Node::Link { target } => format!("{below}{name} -> {target}\n"),
        Node::Directory(nodes) => {
            format!("{below}{name}/\n{}", text(nodes, &format!("{below}{name}/")))
        }
    };
    nodes.iter().map(line).collect()
}

fn has_name(path: &Path, name: &str) -> bool {
    path.components().any(|component| component == Component::Normal(name.as_ref()))
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(CASES) })]

    #[test]
    fn a_mirror_makes_the_sides_equal_and_a_second_finds_nothing(source in tree(), share in tree()) {
        let world = World::new(&text(&source, ""), &text(&share, ""));
        let around = world.around_now();
        // A tree in this test may well be empty.
        let switches = "/MIR /SL /FORCE";
        let listed = world.copy(&format!("{switches} /L --json")).summary();
        let done = world.copy(&format!("{switches} --json"));
        done.exits(&[0, 1, 2, 3, 4, 5, 6, 7]);
        world.share_now().must_equal(&Snapshot::described(&text(&source, "")), &done.to_string());
        world.around_now().must_equal(&around, "around the share");
        prop_assert_eq!((listed.exit_code, listed.files), (done.summary().exit_code, done.summary().files));
        world.copy(switches).exits(&[0]);
    }

    #[test]
    fn what_is_excluded_is_neither_copied_nor_deleted(source in tree(), share in tree()) {
        let world = World::new(&text(&source, ""), &text(&share, ""));
        let old = world.share_now();
        let done = world.copy("/MIR /SL /FORCE /XD c /XF d");
        done.exits(&[0, 1, 2, 3, 4, 5, 6, 7]);
        let new = world.share_now();
        let is_excluded = |path: &Path, entry: &Kind| {
            let directories = if *entry == Kind::Directory { Some(path) } else { path.parent() };
            directories.is_some_and(|path| has_name(path, "c"))
                || *entry != Kind::Directory && path.ends_with("d")
        };
        for (path, entry) in &old.entries {
            if is_excluded(path, &entry.kind) {
                let kept = new.entries.get(path).is_some_and(|now| now.equals(entry));
                prop_assert!(kept, "{} was excluded and touched\n{done}", path.display());
            }
        }
        for (path, entry) in &new.entries {
            let came = !old.entries.contains_key(path) && is_excluded(path, &entry.kind);
            prop_assert!(!came, "{} was excluded and copied\n{done}", path.display());
        }
    }
}
