//! Monitoring and run hours: cases W01 to W04.

use std::{
    fs,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use quicopy_tests::{
    poll::{happens_within, slow_tests_wanted, wait_until},
    process::{Running, Signal},
    sites::CALL,
    tree::{self, Snapshot},
    world::World,
};

fn start(world: &World, switches: &str) -> Running {
    let share = world.share().display().to_string();
    world.sender().start(&world.arguments(&share, switches))
}

/// Waits until the job has said `text`, or is over.
fn wait_for(job: &mut Running, text: &str) {
    wait_until(CALL, text, || job.stdout().contains(text) || !job.is_running());
}

/// Asks a job to stop that would go on, with that exit code: a monitor that waits has that of its runs.
fn stop(job: Running, code: i32) {
    job.signal(Signal::TERM);
    job.finish(CALL).exits(&[code]);
}

/// A window of run hours that begins and ends so many hours from now, in the programs' own time zone.
fn hours(from: i64, to: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    let now = i64::try_from(now.as_secs()).expect("not that far");
    let clock = |hours: i64| {
        let minutes = (now + hours * 3600) / 60 % 1440;
        format!("{:02}{:02}", minutes / 60, minutes % 60)
    };
    format!("/RH:{}-{}", clock(from), clock(to))
}

#[test]
fn a_monitor_runs_once_and_waits_until_it_is_stopped() {
    let world = World::new("a", "x");
    let mut job = start(&world, "/MIR /MON:1");
    wait_for(&mut job, "Monitor : Waiting for 1 minutes and 1 changes...");
    world.share_now().must_equal(&Snapshot::described("a"), "");
    stop(job, 3);
}

#[test]
fn w01_one_change_and_one_minute_make_a_second_run_slow() {
    let world = World::new("a", "");
    let mut job = start(&world, "/MIR /MON:1");
    wait_for(&mut job, "Monitor : Waiting");
    if !slow_tests_wanted() {
        stop(job, 1);
        return;
    }
    let first = Instant::now();
    tree::build(&world.source(), "b");
    let copied = world.share().join("b");
    wait_until(4 * CALL, "the second run", || copied.exists());
    assert!(first.elapsed() >= Duration::from_secs(55), "after {:?}", first.elapsed());
    stop(job, 1);
}

#[test]
fn w02_too_few_changes_make_no_second_run_slow() {
    let world = World::new("a", "");
    let mut job = start(&world, "/MIR /MON:3 /MOT:1");
    wait_for(&mut job, "Monitor : Waiting for 1 minutes and 3 changes...");
    if !slow_tests_wanted() {
        stop(job, 1);
        return;
    }
    tree::build(&world.source(), "b, c");
    let copied = world.share().join("b");
    let ran = happens_within(Duration::from_secs(130), || copied.exists());
    assert!(!ran, "it ran for two new files\n{}", job.stdout());
    stop(job, 1);
}

#[test]
fn w03_outside_its_hours_a_job_waits() {
    let world = World::new("a", "");
    let mut job = start(&world, &format!("/E {}", hours(2, 4)));
    wait_for(&mut job, "Hours : Paused at");
    stop(job, 16);
    assert!(fs::read_dir(world.share()).expect("it was built").next().is_none());
}

#[test]
fn w04_within_its_hours_a_job_runs_even_past_midnight() {
    let world = World::new("a", "");
    // At one of these the window lies across midnight, whenever the test runs.
    for (from, to) in [(-2, 2), (-14, 9), (-9, 14)] {
        let finished = world.copy(&format!("/E /IS {}", hours(from, to)));
        finished.exits(&[1]).hides("Paused");
    }
}
