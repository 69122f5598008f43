//! Jobs that run again, that keep to hours and to rates, and that meet files which change under their hands.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::Command,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use quicopy_tests::{
    connected::Connected,
    json::objects,
    poll::{happens_within, slow_tests_wanted, wait_until},
    process::{Finished, Running, Signal},
    sites::CALL,
    tree,
    world::World,
};
use rustix::fs::{XattrFlags, setxattr};

const MINUTE: Duration = Duration::from_secs(60);

fn start(world: &World, switches: &str) -> Running {
    world.sender().start(&world.arguments(&world.share().display().to_string(), switches))
}

#[track_caller]
fn wait_for(job: &mut Running, text: &str) {
    wait_until(CALL, text, || job.stdout().contains(text) || !job.is_running());
    assert!(job.is_running(), "it has ended: {}", job.stdout());
}

fn stop(job: Running) -> Finished {
    job.signal(Signal::INT);
    job.finish(CALL)
}

/// Hours that begin and end so many minutes from now. The programs' time zone is UTC's.
fn hours(from: i64, to: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    let now = i64::try_from(now.as_secs()).expect("not that far") / 60;
    let clock = |minutes: i64| {
        let minute = (now + minutes).rem_euclid(1440);
        format!("{:02}{:02}", minute / 60, minute % 60)
    };
    format!("/RH:{}-{}", clock(from), clock(to))
}

/// Seconds until the next minute begins.
fn rest_of_minute() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    60 - now.as_secs() % 60
}

#[test]
fn a_monitor_that_waits_exits_with_what_its_runs_came_to() {
    let world = World::new("a", "x");
    let mut job = start(&world, "/E /MON:3 /MOT:2 --json");
    wait_for(&mut job, r#"{"type":"monitoring","minutes":2,"changes":3}"#);
    let finished = stop(job);
    finished.exits(&[3]);
    let objects = objects(&finished.stdout).expect("JSON");
    let of_type = |wanted: &'static str| {
        objects.iter().filter(move |object| object["type"] == wanted).collect::<Vec<_>>()
    };
    assert_eq!(of_type("started").len(), 1);
    let summaries = of_type("summary");
    assert_eq!((&summaries[0]["run"], &summaries[1]["runs"]), (&1.into(), &1.into()));
    assert_eq!(objects.last(), summaries.last().copied());
}

#[test]
fn a_monitor_that_cannot_reach_its_destination_goes_on_and_says_so_at_the_end() {
    let (sites, agent) = Connected::new("a", "", "write");
    agent.kill();
    let mut job = sites.start("/E /MON:1 /R:0");
    wait_for(&mut job, "Monitor : Waiting for 1 minutes and 1 changes...");
    stop(job).exits(&[16]).says("ERROR 53").says("Exit : 16");
}

#[test]
fn a_monitor_begins_its_log_once() {
    let world = World::new("a", "");
    let log = world.folder().join("log");
    fs::write(&log, "what was there before").expect("room");
    let mut job = start(&world, &format!("/E /MON:1 /LOG:{} /TEE", log.display()));
    wait_for(&mut job, "Monitor : Waiting");
    stop(job).exits(&[1]);
    let log = fs::read_to_string(log).expect("it is there");
    assert!(log.contains("Monitor : Waiting") && !log.contains("before"), "{log}");
}

#[test]
fn two_runs_of_a_monitor_share_one_log_and_the_second_sees_what_changed_slow() {
    if !slow_tests_wanted() {
        return;
    }
    let world = World::new("a", "");
    let log = world.folder().join("log");
    let mut job = start(&world, &format!("/E /MON:2 /LOG:{} /TEE", log.display()));
    wait_for(&mut job, "Monitor : Waiting");
    let began = Instant::now();
    tree::build(&world.source(), "new/b");
    let copied = world.share().join("new/b");
    wait_until(2 * MINUTE, "the second run", || copied.exists());
    assert!(began.elapsed() >= MINUTE - Duration::from_secs(2), "{:?}", began.elapsed());
    wait_until(CALL, "its end", || job.stdout().matches("Monitor : Waiting").count() == 2);
    stop(job).exits(&[1]);
    let log = fs::read_to_string(log).expect("it is there");
    assert_eq!(log.matches("Started :").count(), 2, "{log}");
}

#[test]
fn outside_its_hours_a_job_waits_and_a_signal_ends_that_at_once() {
    let world = World::new("a", "");
    let mut job = start(&world, &format!("/E {}", hours(120, 240)));
    wait_for(&mut job, "    Hours : Paused at ");
    stop(job).exits(&[16]);
    assert!(fs::read_dir(world.share()).expect("it was built").next().is_none());
}

#[test]
fn when_its_hours_end_a_job_finishes_its_file_and_leaves_the_destination_to_others_slow() {
    if !slow_tests_wanted() {
        return;
    }
    let (sites, _agent) =
        Connected::new("a 24M, b 24M, c 24M, d 24M, e 24M, f 24M, g 24M, h 24M", "", "write");
    wait_until(2 * MINUTE, "the last seconds of a minute", || (6..10).contains(&rest_of_minute()));
    // A third of it is begun when the minute ends: what has left, and what waits to leave.
    let mut job = sites.start(&format!("/E /MT:1 {} /PF /BWLIMIT:4M", hours(-10, 1)));
    let told = |job: &Running| job.stdout().contains("Hours : Paused at");
    wait_until(MINUTE, "the pause", || told(&job) || !job.is_running());
    assert!(told(&job), "{}", job.stdout());
    let whole = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|name| {
        let length = sites.world.share().join(name).metadata().map(|file| file.len());
        assert!(length.as_ref().map_or(true, |length| *length == 24 << 20));
        length.is_ok()
    });
    assert!(whole.contains(&true) && whole.contains(&false), "{whole:?}");
    // The lock is free.
    sites.run("/E /R:0").exits(&[1]);
    stop(job).exits(&[16]);
}

#[test]
fn a_share_that_is_not_defined_is_awaited_only_if_asked_for() {
    let (sites, _agent) = Connected::new("a", "", "write");
    let later = format!("quicopy://{}/later", sites.reach());
    let run = |switches: &str| sites.sender.run(&sites.world.arguments(&later, switches));
    run("/E /R:1 /W:0").exits(&[16]).hides("Retrying");
    run("/E /TBD /R:1 /W:0").exits(&[16]).says("ERROR 67").says("Waiting 0 seconds... Retrying...");
}

#[test]
fn all_files_together_keep_to_a_rate_and_small_ones_need_not() {
    let world = World::new("a 512K, b 512K, c 512K, d 512K", "");
    let began = Instant::now();
    world.copy("/IORATE:1M").exits(&[1]);
    // Two megabytes, less the first piece of each of several threads.
    assert!(began.elapsed() > Duration::from_millis(1400), "{:?}", began.elapsed());
    let world = World::new("a 512K, b 512K", "");
    world.copy("/IORATE:1 /THRESHOLD:1M").exits(&[1]);
}

#[test]
fn a_rate_holds_over_a_link_and_the_threshold_there_too() {
    let (sites, _agent) = Connected::new("a 1M, b 1M, c 1M, d 1M, e 1M", "", "write");
    let began = Instant::now();
    sites.run("/IORATE:1M /COMPRESS:off").exits(&[1]);
    assert!(began.elapsed() > Duration::from_secs(4), "{:?}", began.elapsed());
    tree::build(&sites.world.source(), "small 8K, smaller 4K");
    sites.run("/IORATE:1 /THRESHOLD:1M").exits(&[1]);
}

/// Copies a file that grows in the middle of that, at a rate at which it takes three seconds.
fn copy_while_it_grows(path: &Path, mut job: Running) -> Finished {
    wait_for(&mut job, r#""bytes_done":"#);
    let mut file = File::options().append(true).open(path).expect("it was built");
    file.write_all(b"more").expect("room");
    drop(file);
    job.finish(2 * CALL)
}

const GROWING: &str = "log 24M, other";

#[test]
fn a_file_that_grows_while_it_is_read_is_copied_once_it_rests() {
    let check = |world: &World, job: Running| {
        let finished = copy_while_it_grows(&world.source().join("log"), job);
        let retried = r#""type":"retrying","path":"log""#;
        finished.exits(&[1]).says(retried).hides(r#""type":"error""#);
        let summary = finished.summary();
        assert_eq!((summary.files.copied, summary.files.failed, summary.reconnects), (2, 0, 0));
        world.share_now().must_equal(&world.source_now(), "at rest");
    };
    let world = World::new(GROWING, "");
    check(&world, start(&world, "/IS /R:9 /W:0 /BWLIMIT:8M --json"));
    // What waits to leave was read already: this is more than can wait.
    let (sites, _agent) = Connected::new("log 160M, other", "", "write");
    check(&sites.world, sites.start("/IS /R:9 /W:0 /BWLIMIT:48M --json"));
}

#[test]
fn a_file_that_changed_fails_without_retries_and_is_never_a_mixture() {
    let world = World::new(GROWING, "");
    let job = start(&world, "/R:0 /BWLIMIT:8M --json");
    let finished = copy_while_it_grows(&world.source().join("log"), job);
    finished.exits(&[9]).says(r#""type":"error","path":"log""#);
    assert!(!world.share().join("log").exists());
}

#[test]
fn a_file_that_vanishes_while_others_are_copied_is_no_failure_in_the_end() {
    let world = World::new("a 24M, z 24M", "");
    let mut job = start(&world, "/R:3 /W:0 /BWLIMIT:8M /MT:1 --json");
    wait_for(&mut job, r#""bytes_done":"#);
    fs::remove_file(world.source().join("z")).expect("it was built");
    job.finish(2 * CALL).exits(&[1]).says(r#""type":"retrying","path":"z""#);
    world.share_now().must_equal(&world.source_now(), "at rest");
}

fn set_attributes(path: &Path, value: &str) -> bool {
    setxattr(path, "user.DOSATTRIB", value.as_bytes(), XattrFlags::empty()).is_ok()
}

#[test]
fn m_takes_the_mark_for_archiving_from_what_it_has_copied() {
    let world = World::new("marked, plain", "");
    if !set_attributes(&world.source().join("marked"), "0x20") {
        return;
    }
    world.copy("/L /A").exits(&[1]);
    world.copy("/M").exits(&[1]);
    assert!(world.share().join("marked").exists() && !world.share().join("plain").exists());
    world.copy("/L /A /IS").exits(&[0]);
}

#[test]
fn marks_that_no_file_system_keeps_choose_nothing() {
    let world = World::new("", "");
    let run = |switches: &str| {
        let arguments = ["/proc/self/fdinfo".to_owned(), world.share().display().to_string()];
        let switches = switches.split(' ').map(str::to_owned);
        world.sender().run(&arguments.into_iter().chain(switches).collect::<Vec<_>>())
    };
    run("/A /L").exits(&[16]).says("keeps no user attributes");
    run("/XA:SH /L").says("NOTE : /XA");
}

#[test]
fn a_job_with_too_few_watches_goes_by_time() {
    let world = World::new("a", "");
    // A namespace of its own has its own count, and no more room than its owner leaves.
    let inner = world.sender().command();
    let mut command = Command::new("unshare");
    let script = "echo 0 > /proc/sys/user/max_inotify_watches || exit 99; exec \"$@\"";
    command.args(["-U", "-r", "sh", "-c", script, "sh"]).arg(inner.get_program());
    command.args(world.arguments(&world.share().display().to_string(), "/E /MON:1"));
    for (name, value) in inner.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let mut job = Running::start(&mut command);
    let waits = |job: &Running| job.stdout().contains("Monitor : Waiting");
    happens_within(CALL, || waits(&job) || !job.is_running());
    if !waits(&job) {
        return;
    }
    wait_for(&mut job, "raise fs.inotify.max_user_watches");
    stop(job).exits(&[1]);
}
