//! One flow, and a link that changes in the middle.

use quicopy_protocol::congestion::Settings;
use quicopy_tests::lab::spec::LinkSpec;

use crate::model::scene::{CONTENT_SHARE, Scene, add, seeds};
use crate::model::world::World;

/// When the link changes, and when it changes back.
const CHANGES: (f64, f64) = (4.3, 9.3);
const END: f64 = 14.3;

/// A flow that meets another link for five seconds. The queue keeps its size in bytes.
fn run(from: Scene, to: Scene, seed: u64) -> World {
    let mut world = from.world(seed);
    add(&mut world, Settings::default(), 0.0);
    let queue_bytes = from.forward().queue_bytes;
    let forward = LinkSpec { queue_bytes, ..to.forward() };
    world.change_at(CHANGES.0, forward, to.back());
    world.change_at(CHANGES.1, from.forward(), from.back());
    world.run(END);
    world
}

/// Back at 90 % within two seconds of each change, with at most 5 % of all packets dropped.
fn check_change(from: Scene, to: Scene) {
    for seed in seeds() {
        let world = run(from, to, seed);
        let record = &world.records[0];
        let during = record.rate_bps(CHANGES.0 + 2.0, CHANGES.1) / to.ceiling_bps();
        let after = record.rate_bps(CHANGES.1 + 2.0, END) / from.ceiling_bps();
        assert!(during >= 0.9, "{from:?} to {to:?}, seed {seed}: {during:.3} during");
        assert!(after >= 0.9, "{from:?} to {to:?}, seed {seed}: {after:.3} after");
        assert!(record.own_drops() <= 0.05, "{from:?} to {to:?}: {:.3}", record.own_drops());
    }
}

#[test]
fn a_slower_and_a_faster_link_are_found_within_two_seconds() {
    check_change(Scene::new(100, 100, 0.5), Scene::new(20, 100, 0.5));
    check_change(Scene::new(100, 50, 0.0), Scene::new(50, 50, 0.0));
}

#[test]
fn a_longer_and_a_shorter_path_are_found_within_two_seconds() {
    check_change(Scene::new(100, 50, 0.5), Scene::new(100, 150, 0.5));
    check_change(Scene::new(100, 50, 0.0), Scene::new(100, 80, 0.0));
}

#[test]
fn a_path_that_begins_to_lose_is_still_filled() {
    check_change(Scene::new(100, 100, 0.0), Scene::new(100, 100, 4.0));
}

#[test]
fn after_an_outage_the_flow_goes_on_where_it_was() {
    for (seconds, seed) in [(2.0, 1), (5.0, 2), (20.0, 3)] {
        let scene = Scene::new(100, 100, 0.5);
        let mut world = scene.world(seed);
        add(&mut world, Settings::default(), 0.0);
        let down = |spec| LinkSpec { is_down: true, ..spec };
        let end = 4.3 + seconds;
        world.change_at(4.3, down(scene.forward()), down(scene.back()));
        world.change_at(end, scene.forward(), scene.back());
        world.run(end + 3.0);
        // A quarter of a second until the probe, a round trip for it, one for the first content.
        let rate = world.records[0].rate_bps(end + 0.6, end + 3.0);
        assert!(rate >= 0.95 * scene.ceiling_bps(), "{seconds} s: {:.1} Mbit/s", rate * 1e-6);
        assert!(world.records[0].own_drops() <= 0.01);
    }
}

#[test]
fn an_outage_is_not_filled_with_packets() {
    let scene = Scene::new(100, 100, 0.0);
    let mut world = scene.world(1);
    add(&mut world, Settings::default(), 0.0);
    let down = |spec| LinkSpec { is_down: true, ..spec };
    world.change_at(3.0, down(scene.forward()), down(scene.back()));
    world.run(4.0);
    let before = world.records[0].sent;
    world.run(34.0);
    // Two packets a quarter of a second, and what the probe timeouts add.
    assert!(world.records[0].sent - before <= 30 * 8 + 40);
}

#[test]
fn a_policer_that_has_no_queue_costs_few_packets() {
    let scene = Scene::new(100, 100, 0.0).with_queue(0.03);
    let mut world = scene.world(1);
    add(&mut world, Settings::default(), 0.0);
    world.run(20.0);
    let rate = world.records[0].rate_bps(10.0, 20.0) / (scene.rate_bps() * CONTENT_SHARE);
    assert!(rate >= 0.85, "{rate:.3}");
    assert!(world.records[0].own_drops() <= 0.06, "{:.3}", world.records[0].own_drops());
}
