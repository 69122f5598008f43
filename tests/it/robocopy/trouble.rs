//! Locked files, bad links, full disks: cases N01 to N17 that no table can hold.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use quicopy_tests::{
    connected::Connected,
    poll::{slow_tests_wanted, wait_until},
    process::{Finished, Running},
    sites::{CALL, Sender},
    tree::{self, Snapshot},
    world::World,
};

/// A file that takes a while, and others.
const TREE: &str = "big 160M, small, d/e 10K";
const BIG: u64 = 160 << 20;

/// What a job says before it tries again, under `/W:1`.
const WAITING: &str = "Waiting 1 seconds... Retrying...";

#[track_caller]
fn wait_for_percent(sites: &Connected, percent: u64) {
    wait_until(3 * CALL, "the middle of the large file", || {
        sites.relay.carried().to_agent_bytes > BIG * percent / 100
    });
}

#[test]
fn n02_a_file_that_is_unlocked_during_a_wait_is_copied() {
    let world = World::new("a, b", "");
    let Some(sender) = world.without_privileges() else { return };
    world.set_mode("site-a/source/a", 0o000);
    let arguments = world.arguments(&world.share().display().to_string(), "/R:9 /W:1");
    let job = sender.start(&arguments);
    // Its line comes before its first try; a second later that is over.
    wait_until(CALL, "the file is in work", || job.stdout().contains("\ta\n"));
    let seen = Instant::now();
    let wait = Duration::from_secs(1);
    wait_until(2 * wait, "the first try is over", || seen.elapsed() > wait);
    world.set_mode("site-a/source/a", 0o644);
    let finished = job.finish(CALL);
    finished.exits(&[1]);
    // The mode is that of the listing, when nobody could read the file.
    world.share_now().must_equal(&Snapshot::described("a 0000, b"), &finished.to_string());
    // An error that a retry has mended is no failure.
    let files: Vec<_> = summary_row(&finished, "Files :");
    assert_eq!(files, ["2", "2", "0", "0", "0", "0"], "{finished}");
}

#[test]
fn n04_a_link_that_is_cut_and_heals_costs_no_second_copy() {
    let (sites, _agent) = Connected::new(TREE, "", "write");
    let oracle = sites.oracle();
    let job = sites.start("/E /Z /R:5 /W:1 --json");
    wait_for_percent(&sites, 60);
    sites.relay.cut();
    let lost = sites.relay.carried().lost_packets;
    wait_until(CALL, "packets are lost", || sites.relay.carried().lost_packets > lost + 5);
    sites.relay.heal();
    let finished = job.finish(3 * CALL);
    oracle.after_rerun(finished.exits(&[1]));
    let sent = finished.summary().wire_bytes_sent;
    assert!(sent < BIG / 10 * 11, "{sent} bytes for {BIG}\n{finished}");
}

#[test]
fn n05_n07_the_run_after_a_killed_one_goes_on_with_and_without_z() {
    for switches in ["/E /Z --json", "/E --json"] {
        let (sites, _agent) = Connected::new(TREE, "", "write");
        let oracle = sites.oracle();
        let job = sites.start(switches);
        wait_for_percent(&sites, 70);
        // No final name ever holds a part.
        oracle.after_fault(&[&job.kill()]);
        let second = sites.run(&format!("{switches} /R:5 /W:1"));
        oracle.after_rerun(second.exits(&[1]));
        assert!(second.summary().resumed_bytes > 0, "{second}");
    }
}

#[test]
fn n06_n08_a_killed_copy_hides_no_later_version_not_even_from_xo() {
    let (sites, _agent) = Connected::new(TREE, "", "write");
    let job = sites.start("/E /Z --json");
    wait_for_percent(&sites, 50);
    job.kill();
    tree::build(&sites.world.source(), "big 150M #other @20");
    let oracle = sites.oracle();
    // Robocopy leaves a whole-sized file with the time of the copy, which is newer than any source.
    oracle.after_rerun(sites.run("/E /XO /Z /R:5 /W:1 --json").exits(&[1]));
}

#[test]
fn n09_an_agent_that_is_down_ends_the_job_before_it_begins() {
    let (sites, agent) = Connected::new("a", "x", "write,delete");
    agent.kill();
    let finished = sites.run("/MIR /R:1 /W:1");
    finished.exits(&[16]).says("ERROR 53 (0x00000035)").says("Waiting 1 seconds... Retrying...");
    sites.world.share_now().must_equal(&Snapshot::described("x"), "the share");
}

#[test]
fn n10_an_agent_that_dies_for_good_leaves_valid_work_slow() {
    if !slow_tests_wanted() {
        return;
    }
    let (sites, agent) = Connected::new(TREE, "", "write");
    let oracle = sites.oracle();
    let job = sites.start("/E /R:1 /W:1 --json");
    wait_for_percent(&sites, 50);
    agent.kill();
    oracle.after_fault(&[job.finish(3 * CALL).exits(&[16])]);
    let _agent = sites.site.start();
    oracle.after_rerun(&sites.run("/E /R:5 /W:1 --json"));
}

#[test]
fn n11_a_share_that_is_not_defined_fails_at_once_or_is_waited_for() {
    let (sites, _agent) = Connected::new("a", "", "write");
    let later = format!("quicopy://{}/later", sites.reach());
    let run = |switches: &str| sites.sender.run(&sites.world.arguments(&later, switches));
    run("/E /R:0 /W:0").exits(&[16]);
    let waited = run("/E /TBD /R:2 /W:1");
    waited.exits(&[16]);
    assert_eq!(waited.stdout.matches(WAITING).count(), 2, "{waited}");
}

#[test]
fn n11_a_share_that_appears_during_a_wait_is_copied_to() {
    let (sites, _agent) = Connected::new("a, d/b", "", "write");
    let share = sites.world.share();
    let away = share.with_extension("away");
    fs::rename(&share, &away).expect("it was built");
    let job = sites.start("/E /TBD /R:9 /W:1");
    wait_until(CALL, "the second wait", || job.stdout().matches(WAITING).count() > 1);
    fs::rename(&away, &share).expect("nothing stands there");
    let finished = job.finish(CALL);
    finished.exits(&[1]);
    sites.world.share_now().must_equal(&Snapshot::described("a, d/b"), &finished.to_string());
}

/// Calls the sender with a small file system mounted at `at`, in a mount namespace of its own, by a shell script in which
/// `"$@"` is the call. `None` where the system does not allow it.
pub(super) fn in_small_file_system(
    sender: &Sender,
    at: &Path,
    script: &str,
    arguments: &[String],
) -> Option<Finished> {
    let mut probe = Command::new("unshare");
    if !probe.args(["-m", "true"]).status().is_ok_and(|status| status.success()) {
        return None;
    }
    fs::create_dir(at).expect("room");
    let inner = sender.command();
    let mut command = Command::new("unshare");
    let script =
        format!("at=$0; mount -t tmpfs -o size=64m,mode=755 tmpfs \"$at\" || exit 99\n{script}");
    command.args(["-m", "sh", "-c", &script]).arg(at).arg(inner.get_program()).args(arguments);
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Some(Running::start(&mut command).finish(CALL))
}

#[test]
fn n12_a_full_destination_is_error_112() {
    let world = World::new("big 100M, small", "");
    let at = world.folder().join("disk");
    let arguments = world.arguments(&at.join("share").display().to_string(), "/E");
    let script = "\"$@\"; code=$?; echo \"left: $(ls \"$at/share\" | tr '\\n' ' ')\"; exit $code";
    let Some(finished) = in_small_file_system(&world.sender(), &at, script, &arguments) else {
        return;
    };
    finished.exits(&[9]).says("ERROR 112 (0x00000070)").says("left: small \n");
}

#[test]
fn n13_a_job_pauses_at_the_floor_of_free_space() {
    let world = World::new("a 4M", "");
    let at = world.folder().join("disk");
    let arguments = world.arguments(&at.join("share").display().to_string(), "/E /LFSM:32M");
    let script = "head -c 40M /dev/zero > \"$at/filler\"
        \"$@\" > \"$at/log\" 2>&1 & job=$!
        tries=0
        until grep -q 'Pausing to wait for free space' \"$at/log\" || [ $tries -gt 100 ] || ! kill -0 $job
        do sleep 0.1; tries=$((tries + 1)); done
        ls \"$at/share\" | sed 's/^/early: /'
        rm \"$at/filler\"; wait $job; code=$?
        cat \"$at/log\"; grep 'not supported yet' \"$at/log\" >&2; exit $code";
    let Some(finished) = in_small_file_system(&world.sender(), &at, script, &arguments) else {
        return;
    };
    finished.exits(&[1]).says("Pausing to wait for free space").hides("early: a");
}

#[test]
fn what_a_file_system_keeps_in_its_root_is_neither_copied_nor_deleted() {
    let world = World::new("lost+found/theirs, a", "");
    let at = world.folder().join("disk");
    // The source has such a name of its own, below a root of no file system.
    let arguments = world.arguments(&at.display().to_string(), "/MIR");
    let script = "mkdir \"$at/lost+found\" && echo own > \"$at/lost+found/own\"
        \"$@\"; code=$?; cd \"$at\"; echo \"left:\" $(find . -type f | sort); exit $code";
    let Some(finished) = in_small_file_system(&world.sender(), &at, script, &arguments) else {
        return;
    };
    finished.exits(&[1]).says("left: ./a ./lost+found/own\n");
    // The other way round it is the file system's.
    let at = world.folder().join("drive");
    let mut arguments = arguments;
    (arguments[0], arguments[1]) = (at.display().to_string(), world.share().display().to_string());
    let script = "mkdir -m 700 \"$at/lost+found\" \"$at/d\" \"$at/d/lost+found\"
        echo own > \"$at/lost+found/own\"; echo a > \"$at/d/lost+found/a\"; \"$@\"";
    let finished = in_small_file_system(&world.sender(), &at, script, &arguments);
    finished.expect("it was possible before").exits(&[1]).hides("ERROR");
    assert!(world.share().join("d/lost+found/a").exists());
    assert!(!world.share().join("lost+found").exists());
}

#[test]
fn n17_a_file_that_grows_is_copied_whole_or_not_at_all() {
    let world = World::new("log 16M, b", "");
    let path = world.source().join("log");
    let share = world.share().display().to_string();
    let job = world.sender().start(&world.arguments(&share, "/R:20 /W:0"));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = File::options().append(true).open(&path).expect("it was built");
            let started = Instant::now();
            while started.elapsed() < Duration::from_millis(500) {
                file.write_all(&[7; 5000]).expect("room");
            }
        });
    });
    let finished = job.finish(CALL);
    finished.exits(&[1, 9]);
    if let Ok(copied) = fs::read(world.share().join("log")) {
        let source = fs::read(&path).expect("it was built");
        assert!(source.starts_with(&copied), "{} bytes of no version\n{finished}", copied.len());
    }
    world.copy("").exits(&[0, 1]);
    world.share_now().must_equal(&world.source_now(), "at rest");
}

/// The cells of a row of the summary. The header has a line of the same name.
fn summary_row(finished: &Finished, label: &str) -> Vec<String> {
    let line = finished.stdout.lines().rev().find_map(|line| line.trim().strip_prefix(label));
    line.unwrap_or("").split_whitespace().map(str::to_owned).collect()
}
