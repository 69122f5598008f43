//! A job that breaks off in the middle of a large file goes on where it was.

use std::time::Duration;

use quicopy_protocol::limits::CHECKPOINT_BYTES;
use quicopy_tests::{
    connected::Connected,
    poll::{slow_tests_wanted, wait_until},
    process::Running,
    sites::CALL,
};

const TREE: &str = "big 240M, small, d/e 10K";
const BIG: u64 = 240 << 20;
/// When the fault comes: a checkpoint's worth is on record by then, even if the last checkpoint was made by time, and the next is
/// almost due by bytes.
const MIDDLE: u64 = 2 * CHECKPOINT_BYTES + SLACK;
/// Bytes that a fault may cost beyond a checkpoint: what was on its way, and everything that is not content.
const SLACK: u64 = 40 << 20;

/// Starts a job that takes long enough to be struck in its middle: over loopback it would be over in half a second.
fn start(sites: &Connected, options: &str) -> Running {
    sites.start(&format!("{options} /BWLIMIT:100M"))
}

#[track_caller]
fn wait_for_the_middle(sites: &Connected) {
    let carried = || sites.relay.carried().to_agent_bytes;
    wait_until(3 * CALL, "the middle of the large file", || carried() > MIDDLE);
}

/// Requires that all runs together have sent the file once and at most one checkpoint more.
#[track_caller]
fn check_sent(sites: &Connected) {
    let sent = sites.relay.carried().to_agent_bytes;
    assert!(sent < BIG + CHECKPOINT_BYTES + SLACK, "{sent} bytes were sent for {BIG}");
}

#[test]
fn the_next_run_goes_on_where_a_killed_sender_was() {
    let (sites, _agent) = Connected::new(TREE, "", "write");
    let oracle = sites.oracle();
    let job = start(&sites, "/E --json");
    wait_for_the_middle(&sites);
    oracle.after_fault(&[&job.kill()]);

    let second = sites.run("/E /R:5 /W:1 --json");
    oracle.after_rerun(&second);
    assert!(second.summary().resumed_bytes >= CHECKPOINT_BYTES, "{second}");
    check_sent(&sites);
}

#[test]
fn the_same_run_goes_on_where_a_killed_agent_was() {
    let (sites, agent) = Connected::new(TREE, "", "write");
    let oracle = sites.oracle();
    let job = start(&sites, "/E /R:30 /W:1 --json");
    wait_for_the_middle(&sites);
    oracle.after_fault(&[&agent.kill()]);

    let _agent = sites.site.start();
    let finished = job.finish(3 * CALL);
    oracle.after_rerun(&finished);
    let summary = finished.summary();
    assert!(summary.reconnects >= 1, "{finished}");
    assert!(summary.resumed_bytes >= CHECKPOINT_BYTES, "{finished}");
    assert!(summary.resent_bytes <= CHECKPOINT_BYTES + SLACK, "{finished}");
    check_sent(&sites);
}

#[test]
fn a_source_that_changed_in_between_is_copied_as_it_is_now() {
    let (sites, _agent) = Connected::new(TREE, "", "write");
    let job = start(&sites, "/E --json");
    wait_for_the_middle(&sites);
    job.kill();

    quicopy_tests::tree::build(&sites.world.source(), "big 230M #other @2000000000");
    let oracle = sites.oracle();
    oracle.after_rerun(&sites.run("/E /R:5 /W:1 --json"));
}

#[test]
fn a_short_silence_is_no_end() {
    let (sites, _agent) = Connected::new(TREE, "", "write");
    let oracle = sites.oracle();
    let job = start(&sites, "/E --json");
    wait_for_the_middle(&sites);
    sites.relay.cut();
    let lost = sites.relay.carried().lost_packets;
    wait_until(CALL, "somebody asks what goes on", || {
        sites.relay.carried().lost_packets > lost + 10
    });
    sites.relay.heal();
    let finished = job.finish(3 * CALL);
    oracle.after_rerun(&finished);
    assert_eq!(finished.summary().reconnects, 0, "{finished}");
}

#[test]
fn a_router_that_forgets_the_sender_is_no_end() {
    let (sites, _agent) = Connected::new(TREE, "", "write");
    let oracle = sites.oracle();
    let job = start(&sites, "/E --json");
    wait_for_the_middle(&sites);
    sites.relay.rebind();
    let finished = job.finish(3 * CALL);
    oracle.after_rerun(&finished);
    assert_eq!(finished.summary().reconnects, 0, "{finished}");
}

#[test]
fn a_long_outage_in_the_same_run_slow() {
    if !slow_tests_wanted() {
        return;
    }
    let (sites, _agent) = Connected::new(TREE, "", "write");
    let oracle = sites.oracle();
    let job = start(&sites, "/E /R:10 /W:5 --json");
    wait_for_the_middle(&sites);
    sites.relay.cut();
    let cut = std::time::Instant::now();
    // Longer than both sides wait for a word from the other.
    let outage = Duration::from_secs(40);
    wait_until(2 * outage, "the outage is over", || cut.elapsed() > outage);
    sites.relay.heal();
    let finished = job.finish(5 * CALL);
    oracle.after_rerun(&finished);
    let summary = finished.summary();
    assert!(summary.reconnects >= 1, "{finished}");
    assert!(summary.resent_bytes <= CHECKPOINT_BYTES + SLACK, "{finished}");
    check_sent(&sites);
}

#[test]
fn an_agent_killed_again_and_again_still_gets_the_file_slow() {
    if !slow_tests_wanted() {
        return;
    }
    const KILLS: u64 = 10;
    // More than the kills leave time for, though each may cost nothing.
    let (sites, mut agent) = Connected::new("big 800M", "", "write");
    let oracle = sites.oracle();
    let job = start(&sites, "/E /R:100 /W:1 --json");
    for _ in 0..KILLS {
        let carried = sites.relay.carried().to_agent_bytes;
        let more = || sites.relay.carried().to_agent_bytes > carried + (70 << 20);
        wait_until(5 * CALL, "another checkpoint", more);
        agent.kill();
        agent = sites.site.start();
    }
    oracle.after_rerun(&job.finish(5 * CALL));
    let sent = sites.relay.carried().to_agent_bytes;
    let allowed = (800 << 20) + KILLS * (CHECKPOINT_BYTES + SLACK);
    assert!(sent < allowed, "{sent} bytes were sent, {allowed} allowed");
}
