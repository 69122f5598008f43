//! What others get.

use std::time::Duration;

use quicopy_protocol::congestion::{Policy, Settings};
use quicopy_tests::poll::slow_tests_wanted;

use crate::model::bbr::Bbr;
use crate::model::control::Control;
use crate::model::cubic::Cubic;
use crate::model::scene::{Scene, add, policy, seeds};
use crate::model::sender::Stack;
use crate::model::source::Supply;
use crate::model::world::World;

/// Jain's index: 1 for equal shares, 1/n if one has all.
fn jain(rates: &[f64]) -> f64 {
    let sum: f64 = rates.iter().sum();
    let squares: f64 = rates.iter().map(|rate| rate * rate).sum();
    sum * sum / (rates.len() as f64 * squares)
}

fn rates(world: &World, from: f64, to: f64) -> Vec<f64> {
    world.records.iter().map(|record| record.rate_bps(from, to)).collect()
}

fn add_tcp(world: &mut World, control: Box<dyn Control>, start: f64) {
    world.add(Stack::Tcp, control, Supply::Endless, Duration::from_secs_f64(start));
}

fn check_equal(scene: Scene, starts: &[f64], settle: f64) {
    for seed in seeds() {
        let mut world = scene.world(seed);
        for start in starts {
            add(&mut world, Settings::default(), *start);
        }
        let last = starts.iter().copied().fold(0.0, f64::max) + settle;
        world.run(last + 20.0);
        let rates = rates(&world, last, last + 20.0);
        let index = jain(&rates);
        assert!(index >= 0.95, "{scene:?} {starts:?}, seed {seed}: {index:.3} of {rates:.0?}");
        let sum: f64 = rates.iter().sum();
        assert!(sum >= 0.97 * scene.ceiling_bps(), "{scene:?} {starts:?}: {sum:.0}");
        let ping = world.median_ping(last, last + 20.0);
        assert!(ping <= scene.rtt().mul_f64(1.4), "{scene:?} {starts:?}: {ping:?}");
    }
}

#[test]
fn equal_flows_get_equal_shares() {
    check_equal(Scene::new(100, 50, 0.0), &[0.0, 0.0], 5.0);
    check_equal(Scene::new(100, 100, 1.0), &[0.0, 0.0, 0.0], 10.0);
}

#[test]
fn a_late_comer_gets_its_share_and_no_more() {
    check_equal(Scene::new(100, 50, 0.0), &[0.0, 10.0], 10.0);
    check_equal(Scene::new(100, 100, 1.0), &[0.0, 10.0], 10.0);
}

/// Neither is pushed below 30 % of its fair share, a half.
fn check_beside(scene: Scene, tcp: fn() -> Box<dyn Control>, starts: (f64, f64), ours_min: f64) {
    let mut world = scene.world(1);
    add(&mut world, Settings::default(), starts.0);
    add_tcp(&mut world, tcp(), starts.1);
    world.run(60.0);
    let rates = rates(&world, 20.0, 60.0);
    let (ours, theirs) = (rates[0] / scene.rate_bps(), rates[1] / scene.rate_bps());
    assert!(theirs >= 0.15, "{scene:?} {starts:?}: theirs {theirs:.3}");
    assert!(ours >= ours_min, "{scene:?} {starts:?}: ours {ours:.3}");
}

#[test]
fn slow_cubic_and_we_leave_each_other_a_share() {
    if !slow_tests_wanted() {
        return;
    }
    let cubic: fn() -> Box<dyn Control> = || Box::new(Cubic::new());
    check_beside(Scene::new(100, 50, 0.0), cubic, (5.0, 0.0), 0.15);
    check_beside(Scene::new(100, 50, 0.0), cubic, (0.0, 5.0), 0.15);
    check_beside(Scene::new(100, 50, 0.0).with_queue(4.0), cubic, (5.0, 0.0), 0.1);
}

#[test]
fn slow_bbr_and_we_leave_each_other_a_share() {
    if !slow_tests_wanted() {
        return;
    }
    let bbr: fn() -> Box<dyn Control> = || Box::new(Bbr::new());
    check_beside(Scene::new(100, 50, 0.0), bbr, (5.0, 0.0), 0.1);
    check_beside(Scene::new(100, 50, 0.0).with_queue(4.0), bbr, (5.0, 0.0), 0.15);
}

#[test]
fn a_full_queue_of_others_does_not_starve_us() {
    let cubic: fn() -> Box<dyn Control> = || Box::new(Cubic::new());
    check_beside(Scene::new(20, 50, 0.0), cubic, (5.0, 0.0), 0.15);
    let bbr: fn() -> Box<dyn Control> = || Box::new(Bbr::new());
    check_beside(Scene::new(20, 50, 0.0), bbr, (5.0, 0.0), 0.1);
}

#[test]
fn the_low_policy_gives_way() {
    let mut world = Scene::new(100, 50, 0.0).world(1);
    add(&mut world, policy(Policy::Low), 0.0);
    add_tcp(&mut world, Box::new(Cubic::new()), 10.0);
    world.run(60.0);
    let rates = rates(&world, 30.0, 60.0);
    assert!(rates[0] <= 0.25 * rates[1], "{rates:.0?}");
    assert!(world.records[0].rate_bps(5.0, 10.0) >= 0.95e8);
}
