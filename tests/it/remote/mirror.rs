//! Jobs that go well.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use quicopy_tests::{
    connected::Connected,
    relay::Weather,
    sites::CALL,
    tree::{Snapshot, change_marks},
};
use std::time::Duration;

const TREE: &str = "a, b 3M, d/c @5.5 0600, d/e/f 0B, empty/ 0700, d/l 70K, s -> d/c, new @20";

#[test]
fn a_mirror_makes_the_share_equal_to_the_source() {
    let (sites, agent) = Connected::new(TREE, "new @10, x, old/y", "write,delete");
    let oracle = sites.oracle();
    let first = sites.run("/MIR /SL --json");
    first.exits(&[3]);
    oracle.after_fault(&[&first]);
    oracle.after_rerun(&first);
    let summary = first.summary();
    assert_eq!((summary.reconnects, summary.resent_bytes), (0, 0), "{first}");
    assert!(summary.wire_bytes_sent > 3 << 20, "{first}");

    let marks = change_marks(&sites.world.share().join("d"));
    let second = sites.run("/MIR /SL --json");
    oracle.after_rerun(second.exits(&[0]));
    assert_eq!(second.summary().literal_bytes, 0, "{second}");
    assert_eq!(marks, change_marks(&sites.world.share().join("d")), "the second run wrote");
    oracle.after_fault(&[&agent.terminate(CALL)]);
}

#[test]
fn the_summary_counts_the_bytes_of_the_wire() {
    let (sites, _agent) = Connected::new("big 4M, small", "", "write");
    let before = sites.relay.carried();
    let summary = sites.run("/E --json").exits(&[1]).summary();
    let after = sites.relay.carried();
    let (sent, received) = (
        after.to_agent_bytes - before.to_agent_bytes,
        after.to_sender_bytes - before.to_sender_bytes,
    );
    // The last packets of a connection may come after the count was taken.
    let close = |counted: u64, seen: u64| counted.abs_diff(seen) <= seen / 50 + 3000;
    assert!(close(summary.wire_bytes_sent, sent), "{} of {sent}", summary.wire_bytes_sent);
    assert!(close(summary.wire_bytes_received, received), "{summary:?} of {received}");
}

#[test]
fn a_changed_file_costs_its_change() {
    let (sites, _agent) = Connected::new("a 16M #1 @20", "a 16M #1 @10", "write");
    let changed = sites.world.share().join("a");
    let mut bytes = fs::read(&changed).expect("it was built");
    bytes.splice(8 << 20..8 << 20, *b"some bytes more");
    fs::write(&changed, bytes).expect("room");
    let finished = sites.run("/E --json");
    let summary = finished.exits(&[1]).summary();
    sites.world.share_now().must_equal(&sites.world.source_now(), "the share");
    assert!(summary.literal_bytes < 1 << 20, "{finished}");
    assert!(summary.reused_bytes > 15 << 20, "{finished}");
    assert!(summary.wire_bytes_sent < 2 << 20, "{finished}");
}

#[test]
fn a_folder_below_the_share_is_made_and_nothing_beside_it_is_touched() {
    let (sites, _agent) = Connected::new("a #1, d/b #2", "kept", "write,delete");
    let destination = format!("{}/below/it", quicopy_tests::sites::destination(sites.reach()));
    sites.sender.run(&sites.world.arguments(&destination, "/MIR")).exits(&[1]);
    let expected = Snapshot::described("kept, below/it/a #1, below/it/d/b #2");
    sites.world.share_now().must_equal(&expected, "the share");
}

#[test]
fn a_paired_agent_goes_by_its_name() {
    let (sites, _agent) = Connected::new("a", "", "write");
    sites.sender.run(&["agents"]).exits(&[0]).says("site-b");
    sites.sender.run(&sites.world.arguments("site-b:data", "/E")).exits(&[1]);
    sites.sender.run(&sites.world.arguments("SITE-B:data/sub", "/E")).exits(&[1, 16]);
    sites.world.share_now().entries.get(Path::new("a")).expect("it was copied");
}

#[test]
fn listing_changes_nothing_and_says_the_same() {
    let (sites, _agent) = Connected::new("a @20, b", "a @10, x", "write,delete");
    let before = sites.world.share_now();
    let listed = sites.run("/MIR /L --json").exits(&[3]).summary();
    sites.world.share_now().must_equal(&before, "after /L");
    let done = sites.run("/MIR --json").exits(&[3]).summary();
    assert_eq!((listed.files, listed.dirs), (done.files, done.dirs));
}

#[test]
fn a_job_survives_bad_weather() {
    let weather = Weather {
        delay: Duration::from_millis(5),
        jitter: Duration::from_millis(20),
        lost_per_mille: 20,
        repeated_per_mille: 20,
        damaged_per_mille: 2,
        cut: false,
    };
    let (sites, _agent) = Connected::new("a, big 2M, d/c 200K, d/e", "x", "write,delete");
    let oracle = sites.oracle();
    sites.relay.set(weather);
    oracle.after_rerun(sites.run("/MIR /R:5 /W:1").exits(&[3]));
}

#[test]
fn every_packet_twice_changes_nothing() {
    let (sites, _agent) = Connected::new("a, big 4M, d/c 200K", "x", "write,delete");
    let oracle = sites.oracle();
    sites.relay.set(Weather { repeated_per_mille: 1000, ..Weather::default() });
    let finished = sites.run("/MIR --json");
    oracle.after_rerun(finished.exits(&[3]));
    assert_eq!(finished.summary().resent_bytes, 0, "{finished}");
}

#[test]
fn a_real_tree_is_mirrored() {
    let (sites, _agent) = Connected::new("", "", "write,delete");
    let source = sites.world.source();
    match registry() {
        Some(registry) => copy_some(&registry, &source, &mut 5_000),
        None => build_many(&source, 2_000),
    }
    let oracle = sites.oracle();
    oracle.after_rerun(sites.run("/MIR --json").exits(&[1]));
    let second = sites.run("/MIR --json");
    assert_eq!(second.exits(&[0]).summary().literal_bytes, 0, "{second}");
}

/// Where cargo keeps the sources of the crates it has fetched: a real tree that every developer has.
fn registry() -> Option<PathBuf> {
    let cargo = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cargo")))?;
    Some(cargo.join("registry/src")).filter(|folder| folder.is_dir())
}

/// Copies files and directories until `left` is used up.
fn copy_some(from: &Path, to: &Path, left: &mut usize) {
    fs::create_dir_all(to).expect("room");
    for found in fs::read_dir(from).expect("it is a directory") {
        let found = found.expect("it can be listed");
        if *left == 0 {
            return;
        }
        *left -= 1;
        let kind = found.file_type().expect("it was just listed");
        if kind.is_dir() {
            copy_some(&found.path(), &to.join(found.file_name()), left);
        } else if kind.is_file() {
            fs::copy(found.path(), to.join(found.file_name())).expect("room");
        }
    }
}

fn build_many(root: &Path, files: usize) {
    let tree: Vec<_> = (0..files)
        .map(|number| format!("d{}/e{}/f{number} {}B", number % 17, number % 5, number * 7 % 9000))
        .collect();
    quicopy_tests::tree::build(root, &tree.join(","));
}
