//! Asked to stop, both programs stop at once, and the next run goes on.

use std::time::{Duration, Instant};

use quicopy_tests::{
    connected::Connected, oracle::Oracle, poll::wait_until, process::Signal, sites::CALL,
    world::World,
};

/// How long a program may take to stop. Source: the design gives it 2 s; the rest is for a machine that is busy.
const STOPPED: Duration = Duration::from_secs(4);

const TREE: &str = "big 96M, small, d/e 10K";

#[track_caller]
fn wait_for_content(sites: &Connected) {
    let carried = || sites.relay.carried().to_agent_bytes;
    wait_until(CALL, "content travels", || carried() > 40 << 20);
}

#[track_caller]
fn check_sender(signal: Signal) {
    let (sites, _agent) = Connected::new(TREE, "extra", "write,delete");
    let oracle = sites.oracle();
    let job = sites.start("/MIR --json");
    wait_for_content(&sites);
    job.signal(signal);
    let stopped = job.finish(STOPPED);
    oracle.after_fault(&[stopped.exits(&[16])]);
    assert_eq!(stopped.summary().exit_code, 16);
    let extra = sites.world.share().join("extra");
    assert!(extra.exists(), "deletions come last, and this job did not get there");

    let second = sites.run("/MIR /R:5 /W:1 --json");
    oracle.after_rerun(&second);
    assert!(second.summary().resumed_bytes > 0, "{second}");
}

#[test]
fn a_terminated_sender_stops_with_16_and_the_next_run_goes_on() {
    check_sender(Signal::TERM);
}

#[test]
fn an_interrupted_sender_stops_with_16_and_the_next_run_goes_on() {
    check_sender(Signal::INT);
}

#[test]
fn a_terminated_agent_stops_and_the_job_goes_on_when_it_is_back() {
    let (sites, agent) = Connected::new(TREE, "", "write");
    let oracle = sites.oracle();
    let job = sites.start("/E /R:30 /W:1 --json");
    wait_for_content(&sites);
    oracle.after_fault(&[agent.terminate(STOPPED).exits(&[0])]);
    let _agent = sites.site.start();
    let finished = job.finish(3 * CALL);
    oracle.after_rerun(&finished);
    assert!(finished.summary().reconnects >= 1, "{finished}");
}

#[test]
fn an_idle_agent_stops_at_once() {
    let world = World::new("", "");
    let agent = world.agent_site().start();
    agent.terminate(STOPPED).exits(&[0]);
}

#[test]
fn a_local_job_stops_too() {
    let world = World::new("big 192M", "");
    let oracle = Oracle::new(&world, &[]);
    let arguments = world.arguments(&world.share().display().to_string(), "/E --json");
    let mut job = world.sender().start(&arguments);
    let private = world.share().join(".quicopy");
    wait_until(CALL, "the job writes or has ended", || private.exists() || !job.is_running());
    let asked = Instant::now();
    job.signal(Signal::TERM);
    let stopped = job.finish(STOPPED);
    // On a fast disk it may have been done before the signal came.
    oracle.after_fault(&[stopped.exits(&[1, 16])]);
    assert!(asked.elapsed() < STOPPED);
    oracle.after_rerun(&world.copy("/E --json"));
}

#[test]
fn a_stopped_clock_of_the_sender_is_no_end() {
    let (sites, _agent) = Connected::new(TREE, "", "write");
    let oracle = sites.oracle();
    let job = sites.start("/E /R:5 /W:1 --json");
    wait_for_content(&sites);
    job.signal(Signal::STOP);
    let stopped = Instant::now();
    let pause = Duration::from_secs(2);
    wait_until(2 * pause, "the pause is over", || stopped.elapsed() > pause);
    job.signal(Signal::CONT);
    oracle.after_rerun(&job.finish(3 * CALL));
}
