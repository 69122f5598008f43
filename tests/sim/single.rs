//! One flow alone on a link that does not change.

use std::time::Duration;

use quicopy_protocol::congestion::{Controller, Estimate, Policy, Settings};
use quicopy_tests::lab::spec::{LinkSpec, Loss, floor_seconds};
use quicopy_tests::poll::slow_tests_wanted;

use crate::model::control::Control;
use crate::model::scene::{Scene, add, add_supply, policy, seeds};
use crate::model::source::Supply;
use crate::model::world::World;

/// A flow reaches this share of what headers and loss leave, with a short queue and next to no drops.
fn check_steady(scene: Scene, seconds: f64, share_min: f64, drops_max: f64) {
    for seed in seeds() {
        let world = scene.run(Settings::default(), seed, seconds);
        let record = &world.records[0];
        let share = record.rate_bps(seconds / 2.0, seconds) / scene.ceiling_bps();
        assert!(share >= share_min, "{scene:?}, seed {seed}: {share:.3} of the ceiling");
        let drops = record.own_drops();
        assert!(drops <= drops_max, "{scene:?}, seed {seed}: {:.2} % dropped", drops * 100.0);
        let ping = world.median_ping(seconds / 2.0, seconds);
        assert!(ping <= scene.rtt().mul_f64(1.25), "{scene:?}, seed {seed}: ping {ping:?}");
    }
}

#[test]
fn a_long_lossy_link_is_filled_to_its_limit() {
    check_steady(Scene::new(100, 50, 0.0), 10.0, 0.97, 0.005);
    check_steady(Scene::new(100, 100, 1.0), 10.0, 0.97, 0.005);
    check_steady(Scene::new(100, 200, 3.0), 10.0, 0.97, 0.005);
    check_steady(Scene::new(20, 300, 2.0), 16.0, 0.97, 0.005);
}

#[test]
fn slow_a_fast_link_is_filled_to_its_limit() {
    if !slow_tests_wanted() {
        return;
    }
    // Few round trips in few seconds: a trial of the losses shows.
    check_steady(Scene::new(500, 100, 0.1), 4.0, 0.95, 0.005);
    check_steady(Scene::new(1000, 200, 1.0), 8.0, 0.95, 0.005);
}

#[test]
fn a_deep_queue_stays_short() {
    check_steady(Scene::new(100, 50, 0.0).with_queue(4.0), 10.0, 0.97, 0.0);
}

#[test]
fn a_shallow_queue_rarely_runs_over() {
    check_steady(Scene::new(100, 50, 0.0).with_queue(0.1), 20.0, 0.97, 0.02);
    check_steady(Scene::new(100, 100, 1.0).with_queue(0.1), 20.0, 0.97, 0.02);
}

#[test]
fn the_low_policy_keeps_the_queue_shorter_still() {
    let scene = Scene::new(100, 50, 0.0).with_queue(4.0);
    let world = scene.run(policy(Policy::Low), 1, 10.0);
    assert!(world.records[0].rate_bps(5.0, 10.0) >= 0.97 * scene.ceiling_bps());
    assert!(world.median_ping(1.0, 10.0) <= scene.rtt().mul_f64(1.1));
}

#[test]
fn a_fresh_path_is_full_within_seconds() {
    // (link, seconds from the first packet until four fifths)
    for (scene, seconds) in [
        (Scene::new(100, 100, 1.0), 1.2),
        (Scene::new(100, 200, 3.0), 1.2),
        (Scene::new(1000, 200, 1.0), 1.3),
    ] {
        let world = scene.run(Settings::default(), 1, seconds + 0.5);
        let rate = world.records[0].rate_bps(seconds, seconds + 0.5);
        assert!(rate >= 0.8 * scene.ceiling_bps(), "{scene:?}: {:.1} Mbit/s", rate * 1e-6);
    }
}

fn remembered(mbit: u64, rtt_ms: u64) -> Settings {
    let rate = mbit * 125_000 * 1452 / 1480;
    let estimate = Estimate { rate, min_rtt: Duration::from_millis(rtt_ms), loss: 0.0 };
    Settings { remembered: Some(estimate), ..Settings::default() }
}

#[test]
fn a_remembered_path_is_full_after_two_round_trips() {
    for scene in [Scene::new(100, 200, 3.0), Scene::new(400, 200, 1.0)] {
        let bytes = scene.mbit * 1_000_000 / 8 * 2;
        let mut world = scene.world(1);
        add_supply(&mut world, remembered(scene.mbit, scene.rtt_ms), Supply::Bytes(bytes), 0.0);
        world.run(20.0);
        let took = world.records[0].finished.expect("it ends").as_secs_f64();
        let floor = floor_seconds(bytes, scene.mbit * 1_000_000, scene.loss);
        let allowed = floor / 0.97 + 5.0 * scene.rtt().as_secs_f64();
        assert!(took <= allowed, "{scene:?}: {took:.2} s, {allowed:.2} s allowed");
    }
}

#[test]
fn a_wrong_memory_does_little_harm() {
    let scene = Scene::new(20, 100, 1.0);
    let world = scene.run(remembered(100, 100), 1, 10.0);
    assert!(world.records[0].rate_bps(2.0, 10.0) >= 0.97 * scene.ceiling_bps());
    assert!(world.records[0].own_drops() <= 0.02);
    let scene = Scene::new(100, 100, 1.0);
    let world = scene.run(remembered(10, 100), 1, 10.0);
    assert!(world.records[0].rate_bps(2.0, 10.0) >= 0.95 * scene.ceiling_bps());
}

#[test]
fn a_line_of_ones_own_is_full_after_a_round_trip() {
    let scene = Scene::new(100, 200, 3.0);
    let world = scene.run(policy(Policy::Fixed(98 * 125_000)), 1, 5.0);
    assert!(world.records[0].rate_bps(0.8, 5.0) >= 0.97 * scene.ceiling_bps());
    assert_eq!(world.records[0].own_drops(), 0.0);
}

#[test]
fn a_cap_is_kept() {
    let settings = Settings::default();
    settings.gauge.set_rate_max(Some(50 * 125_000));
    let world = Scene::new(100, 100, 1.0).run(settings, 1, 6.0);
    let rate = world.records[0].rate_bps(1.0, 6.0);
    assert!((46e6..=50e6).contains(&rate), "{:.1} Mbit/s", rate * 1e-6);
}

#[test]
fn a_cap_can_change_meanwhile() {
    let settings = Settings::default();
    let gauge = settings.gauge.clone();
    let mut world = Scene::new(100, 100, 1.0).world(1);
    add(&mut world, settings, 0.0);
    let mut rates = Vec::new();
    for (cap, seconds) in [(Some(20), 6.0), (Some(50), 12.0), (None, 18.0)] {
        gauge.set_rate_max(cap.map(|mbit| mbit * 125_000));
        world.run(seconds);
        rates.push(world.records[0].rate_bps(seconds - 4.0, seconds) * 1e-6);
    }
    assert!((18.0..=20.0).contains(&rates[0]), "{rates:.1?}");
    assert!((46.0..=50.0).contains(&rates[1]), "{rates:.1?}");
    assert!(rates[2] >= 92.0, "{rates:.1?}");
}

fn check_noise(share_min: f64, change: impl Fn(&mut LinkSpec)) {
    let scene = Scene::new(100, 100, 0.5);
    for seed in seeds() {
        let (mut forward, mut back) = (scene.forward(), scene.back());
        change(&mut forward);
        change(&mut back);
        back.loss = Loss::Never;
        let mut world = World::new(forward, back, seed);
        add(&mut world, Settings::default(), 0.0);
        world.run(12.0);
        let share = world.records[0].rate_bps(6.0, 12.0) / scene.rate_bps();
        assert!(share >= share_min, "seed {seed}: {share:.3}");
    }
}

#[test]
fn jitter_reordering_and_bursts_of_loss_are_not_congestion() {
    check_noise(0.90, |link| link.jitter = Duration::from_millis(5));
    // Twice that from end to end, with a base that was measured without: found within seconds.
    check_noise(0.85, |link| link.jitter = Duration::from_millis(20));
    check_noise(0.90, |link| {
        link.jitter = Duration::from_millis(5);
        link.reorders = true;
    });
    check_noise(0.87, |link| link.loss = Loss::Bursts { share: 0.02, mean_packets: 5.0 });
}

#[test]
fn a_slow_source_does_not_wear_the_estimate_down() {
    let scene = Scene::new(100, 100, 0.5);
    let mut world = scene.world(1);
    let flow = add_supply(&mut world, Settings::default(), Supply::Endless, 0.0);
    world.run(5.0);
    let full = world.senders[flow].control.window(world.now);
    world.senders[flow].source.set_supply(Supply::Trickle(1e6), world.now);
    world.run(25.0);
    let after = world.senders[flow].control.window(world.now);
    assert!(after * 10 >= full * 9, "{after} after {full}");
    world.senders[flow].source.set_supply(Supply::Endless, world.now);
    world.run(27.0);
    assert!(world.records[flow].rate_bps(25.3, 27.0) >= 0.95 * scene.ceiling_bps());
}

#[test]
fn what_is_known_outlives_the_controller() {
    let scene = Scene::new(100, 100, 1.0);
    let settings = Settings::default();
    let gauge = settings.gauge.clone();
    scene.run(settings.clone(), 1, 5.0);
    let estimate = gauge.read().expect("content was measured");
    let mbit = estimate.rate as f64 * 8e-6;
    assert!((94.0..=100.0).contains(&mbit), "{mbit:.1} Mbit/s");
    assert!(estimate.min_rtt.abs_diff(scene.rtt()) < Duration::from_millis(2));
    assert!((0.004..=0.016).contains(&estimate.loss), "{}", estimate.loss);
    // A new path starts from there, whatever was remembered before.
    let mut next = Controller::new(settings, 1452);
    let rtt = Duration::from_millis(100);
    Control::on_sent(&mut next, Duration::ZERO, 1452);
    Control::on_ack(&mut next, rtt, Duration::ZERO, 1452, true);
    let half = estimate.rate as f64 * 0.1 / 2.0;
    assert!(next.window(rtt) as f64 >= 0.95 * half);
}

/// Windows of a flow whose acknowledgements take 100 ms, round by round; in `marked` a router marks packets.
fn windows(rounds: u64, marked: Option<u64>) -> Vec<u64> {
    let mut controller = Controller::new(Settings::default(), 1452);
    (0..rounds)
        .map(|round| {
            let sent = Duration::from_millis(100 * round);
            let now = sent + Duration::from_millis(100);
            let packets = controller.window(sent) / 1452;
            (0..packets).for_each(|_| controller.handle_sent(sent, 1452));
            if marked == Some(round) {
                controller.handle_mark();
            }
            (0..packets).for_each(|_| controller.handle_ack(now, sent, 1452, false));
            (0..4).for_each(|_| controller.handle_end_acks(now, 0, false));
            controller.window(now)
        })
        .collect()
}

#[test]
fn a_marked_packet_ends_the_doubling_as_an_overflow_does() {
    let (free, marked) = (windows(7, None), windows(7, Some(3)));
    assert_eq!(free[..3], marked[..3]);
    assert!(marked[6] < free[6] / 2, "{marked:?}, {free:?}");
}
