//! Jobs that meet an obstacle.

use std::time::{Duration, Instant};

use quicopy_tests::{
    connected::Connected,
    poll::{slow_tests_wanted, wait_until},
    process::Signal,
    sites::{CALL, Sender, destination, pair},
    tree::Snapshot,
    world::World,
};

#[test]
fn an_agent_that_is_down_costs_seconds() {
    let (sites, agent) = Connected::new("a", "", "write");
    agent.kill();
    let started = Instant::now();
    sites.run("/E").exits(&[16]);
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

#[test]
fn a_second_agent_on_the_same_state_refuses_to_start() {
    let world = World::new("a", "");
    let site = world.agent_site();
    let mut first = site.start();
    let second = site.run(&["run", "--listen", "127.0.0.1:0"]);
    assert_ne!(second.status.code(), Some(0), "{second}");
    assert!(first.is_running());
}

#[test]
fn a_restarted_agent_still_knows_its_senders() {
    let (sites, agent) = Connected::new("a", "", "write");
    agent.terminate(CALL).exits(&[0]);
    let agent = sites.site.start();
    sites.run("/E").exits(&[1]);
    agent.kill();
    let _agent = sites.site.start();
    sites.run("/E").exits(&[0]);
}

#[test]
fn two_jobs_do_not_share_a_destination() {
    let (sites, _agent) = Connected::new("big 96M", "", "write");
    let other = Sender::new(sites.world.folder().join("other-home"));
    pair(&other, &sites.site, "write", sites.site.address());
    // Slow enough to be at work for as long as the other asks.
    let first = sites.start("/E /BWLIMIT:32M --json");
    wait_until(CALL, "the first job is on its way", || {
        sites.relay.carried().to_agent_bytes > 4 << 20
    });
    let there = destination(sites.site.address());
    other.run(&sites.world.arguments(&there, "/E")).exits(&[16]);
    first.finish(3 * CALL).exits(&[1]);
    sites.world.share_now().must_equal(&sites.world.source_now(), "the share");
}

#[test]
fn a_sender_that_has_fallen_silent_loses_its_place() {
    let (sites, _agent) = Connected::new("big 96M", "", "write");
    let other = Sender::new(sites.world.folder().join("other-home"));
    pair(&other, &sites.site, "write", sites.site.address());
    let silent = sites.start("/E --json");
    wait_until(CALL, "the first job is on its way", || {
        sites.relay.carried().to_agent_bytes > 4 << 20
    });
    silent.signal(Signal::STOP);
    let there = destination(sites.site.address());
    let started = Instant::now();
    other.run(&sites.world.arguments(&there, "/E /R:5 /W:1")).exits(&[1]);
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    sites.world.share_now().must_equal(&sites.world.source_now(), "the share");
}

#[test]
fn a_share_whose_folder_is_gone_is_offline() {
    let (sites, agent) = Connected::new("a", "", "write");
    sites.run("/E").exits(&[1]);
    agent.terminate(CALL);
    std::fs::remove_dir_all(sites.world.share()).expect("it is ours");
    std::fs::create_dir(sites.world.share()).expect("it is gone");
    let _agent = sites.site.start();
    sites.run("/E").exits(&[16]).says("quicopy-agent adopt");
    sites.world.share_now().must_equal(&Snapshot::default(), "the share");
    sites.site.run(&["adopt", "data"]).exits(&[0]);
    sites.run("/E").exits(&[1]);
}

#[test]
fn deletions_beyond_their_bound_are_all_kept() {
    let (sites, _agent) = Connected::new("a, b", "a, x, y", "write,delete");
    sites.run("/MIR /MAXDELETE:1").exits(&[11]);
    sites.world.share_now().must_equal(&Snapshot::described("a, b, x, y"), "the share");
}

#[test]
fn a_mirror_that_would_delete_most_of_the_share_deletes_nothing() {
    let extras =
        |count| (0..count).map(|number| format!("x{number}")).collect::<Vec<_>>().join(",");
    for (trash, extra, code) in [("off", 20, 2), ("off", 21, 10), ("7d", 21, 2)] {
        let share = format!("a, {}", extras(extra));
        let world = World::new("a", &share);
        let site = world.agent_site().configured(&format!("trash = \"{trash}\""));
        let (sites, _agent) = Connected::with(world, site, "write,delete");
        let finished = sites.run("/MIR");
        finished.exits(&[code]);
        // What can be given back is only warned of.
        finished.says(if extra > 20 { "D5: 21 of 22 files" } else { "Extras" });
        let expected = if code == 2 { "a" } else { &share };
        sites.world.share_now().must_equal(&Snapshot::described(expected), "the share");
    }
}

#[test]
fn a_link_that_is_gone_for_good_ends_the_job_slow() {
    if !slow_tests_wanted() {
        return;
    }
    let (sites, _agent) = Connected::new("big 96M", "", "write");
    let job = sites.start("/E /R:1 /W:1 --json");
    wait_until(CALL, "content travels", || sites.relay.carried().to_agent_bytes > 4 << 20);
    sites.relay.cut();
    let finished = job.finish(2 * CALL);
    assert_eq!(finished.exits(&[16]).summary().exit_code, 16);
    sites.relay.heal();
    let second = sites.run("/E /R:5 /W:1 --json");
    assert!(second.exits(&[1]).summary().resumed_bytes > 0, "{second}");
    sites.world.share_now().must_equal(&sites.world.source_now(), "the share");
}
