//! The four scenarios of a guide to synchronizing folders with Robocopy, as they are written there but for the paths; and
//! what it tells to do beside them.

use std::{fs, path::Path};

use quicopy_tests::{
    connected::Connected,
    poll::wait_until,
    process::{Finished, Running},
    sites::CALL,
    tree::{self, Snapshot},
    world::World,
};

/// A scripts share at work, and its replica of last week.
const SOURCE: &str =
    "backup.ps1 @2000, clean.cmd @1000 300B, conf/app.ini @3000, conf/new.ini @3000, empty/";
const REPLICA: &str = "backup.ps1 @1000, clean.cmd @1000 300B, conf/app.ini @3000, conf/gone.ini @1000, retired/old.cmd @500";

/// The guide's batch file: 0 to 7 is success, and the log tells what happened.
fn batch(finished: &Finished) -> i32 {
    let code = finished.status.code().expect("no signal ended it");
    if code >= 8 { code } else { 0 }
}

fn log(world: &World) -> String {
    fs::read_to_string(world.folder().join("sync-log.txt")).expect("the log was written")
}

/// The switches with the log's path.
fn logged(world: &World, switches: &str) -> String {
    let log = world.folder().join("sync-log.txt").display().to_string();
    switches.replace("/LOG+:f", &format!("/LOG+:{log}"))
}

/// Requires lines that hold these words, each class and name as a parser of logs finds them.
#[track_caller]
fn log_holds(world: &World, lines: &[(&str, &str)]) {
    let log = log(world);
    for (class, name) in lines {
        let is_there = log
            .lines()
            .any(|line| line.trim_start().starts_with(class) && line.trim_end().ends_with(name));
        assert!(is_there, "no line {class:?} {name:?} in\n{log}");
    }
    // The guide says /NP: nothing in it is rewritten in place.
    assert!(!log.contains('%') && !log.contains('\r'), "progress in\n{log}");
}

#[test]
fn one_way_sync() {
    let world = World::new(SOURCE, REPLICA);
    let switches = logged(&world, "/MIR /R:3 /W:5 /LOG+:f /NP");
    let first = world.copy(&switches);
    assert_eq!(batch(first.exits(&[3])), 0);
    world.share_now().must_equal(&Snapshot::described(SOURCE), &first.to_string());
    log_holds(
        &world,
        &[
            ("Options :", "/S /E /DCOPY:DA /COPY:DAT /PURGE /MIR /NP /R:3 /W:5"),
            ("Newer", "backup.ps1"),
            ("New File", "new.ini"),
            ("*EXTRA File", "gone.ini"),
            ("*EXTRA Dir", "retired/"),
            ("*EXTRA File", "old.cmd"),
            ("New Dir", "empty/"),
        ],
    );
    // Nothing of the report is on the console.
    first.hides("new.ini");
    let second = world.copy(&switches);
    assert_eq!(batch(second.exits(&[0])), 0);
    assert_eq!(log(&world).matches("Started :").count(), 2, "both runs are in the log");
    assert_eq!(log(&world).matches("New File").count(), 1, "and the second did nothing");
}

#[test]
fn sync_without_deleting() {
    let replica =
        "backup.ps1 @1000, clean.cmd @9000 20B, conf/gone.ini @1000, retired/old.cmd @500";
    let world = World::new(SOURCE, replica);
    let switches = logged(&world, "/E /XO /R:3 /W:5 /LOG+:f /NP");
    let first = world.copy(&switches);
    assert_eq!(batch(first.exits(&[3])), 0);
    let expected = "backup.ps1 @2000, clean.cmd @9000 20B, conf/app.ini @3000, conf/new.ini @3000,
        conf/gone.ini @1000, retired/old.cmd @500, empty/";
    world.share_now().must_equal(&Snapshot::described(expected), &first.to_string());
    log_holds(&world, &[("Newer", "backup.ps1"), ("*EXTRA File", "gone.ini")]);
    world.copy(&switches).exits(&[2]);
    world.share_now().must_equal(&Snapshot::described(expected), "after the second run");
}

#[test]
fn sync_to_a_remote_share_with_resume_support() {
    let source = format!("{SOURCE}, image.vhd 96M");
    let (sites, _agent) = Connected::new(&source, REPLICA, "write,delete");
    let world = &sites.world;
    let switches = logged(world, "/MIR /Z /R:5 /W:15 /LOG+:f /NP");
    let job = sites.sender.start(&world.arguments("\\\\site-b\\data", &switches));
    wait_until(CALL, "content travels", || sites.relay.carried().to_agent_bytes > 40 << 20);
    sites.relay.cut();
    let lost = sites.relay.carried().lost_packets;
    wait_until(CALL, "packets are lost", || sites.relay.carried().lost_packets > lost + 5);
    sites.relay.heal();
    let finished = job.finish(3 * CALL);
    assert_eq!(batch(finished.exits(&[3])), 0);
    world.share_now().must_equal(&Snapshot::described(&source), &finished.to_string());
    log_holds(
        world,
        &[
            ("Options :", "/S /E /DCOPY:DA /COPY:DAT /PURGE /MIR /Z /NP /R:5 /W:15"),
            ("Newer", "backup.ps1"),
            ("New File", "image.vhd"),
            ("*EXTRA Dir", "retired/"),
        ],
    );
    let sent = sites.relay.carried().to_agent_bytes;
    assert!(sent < 120 << 20, "{sent} bytes were sent for 96 MiB");
    sites.sender.run(&world.arguments("//site-b/data", &switches)).exits(&[0]);
}

#[test]
fn sync_with_exclusions() {
    let noise =
        ".git/config, app/node_modules/x/y.js, Temp/t, app/obj/o, run.log, app/a.tmp, app/me.user";
    let world = World::new(
        &format!("index.html @2000, app/main.cs, {noise}"),
        "index.html @1000, stale.html, app/bin/deployed, server.log",
    );
    let switches = logged(
        &world,
        "/MIR /XD .git node_modules Temp obj bin /XF *.log *.tmp *.user /R:3 /W:5 /LOG+:f /NP",
    );
    let first = world.copy(&switches);
    assert_eq!(batch(first.exits(&[3])), 0);
    let expected = "index.html @2000, app/main.cs, app/bin/deployed, server.log";
    world.share_now().must_equal(&Snapshot::described(expected), &first.to_string());
    log_holds(
        &world,
        &[
            ("Newer", "index.html"),
            ("New File", "main.cs"),
            ("*EXTRA File", "stale.html"),
            ("*named file", "server.log"),
            ("*named dir", "app/bin/"),
        ],
    );
    let log = log(&world);
    assert!(log.contains("Exc Files : *.log\n\t    *.tmp\n\t    *.user\n"), "{log}");
    assert!(
        log.contains(" Exc Dirs : .git\n\t    node_modules\n\t    Temp\n\t    obj\n\t    bin\n"),
        "{log}"
    );
    world.copy(&switches).exits(&[0]);
}

#[test]
fn always_preview_before_syncing() {
    let world = World::new(SOURCE, REPLICA);
    let before = world.share_now();
    let listed = world.copy("/MIR /L");
    listed.exits(&[3]).says("backup.ps1").says("*EXTRA Dir").says("old.cmd");
    world.share_now().must_equal(&before, "after /L");
    let done = world.copy("/MIR");
    done.exits(&[3]);
    let entries = |finished: &Finished| {
        let lines = finished.stdout.lines().filter(|line| line.starts_with('\t'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(entries(&listed), entries(&done), "the preview told what would be done");
}

#[test]
fn a_destination_whose_times_were_rounded_is_not_copied_again() {
    let source = "a @1001.5, b @1002.123456789, c/d @1003";
    let rounded = "a @1002, b @1002, c/d @1002";
    let world = World::new(source, rounded);
    let finished = world.copy("/MIR /FFT /R:3 /W:5 /NP");
    assert_eq!(batch(finished.exits(&[0])), 0);
    world.share_now().must_equal(&Snapshot::described(rounded), &finished.to_string());
    world.copy("/MIR /R:3 /W:5 /NP").exits(&[1]);
}

#[test]
fn a_job_file_is_saved_and_run() {
    let world = World::new(&format!("{SOURCE}, run.log"), REPLICA);
    let run = |arguments: &[&str], folder: &Path| {
        let mut command = world.sender().command();
        Running::start(command.args(arguments).current_dir(folder)).finish(CALL)
    };
    let (source, share) =
        (world.source().display().to_string(), world.share().display().to_string());
    let arguments =
        [&source, &share, "/MIR", "/XF", "*.log", "/R:3", "/W:5", "/NP", "/SAVE:nightly"];
    let mut with_quit = arguments.to_vec();
    with_quit.push("/QUIT");
    let saved = run(&with_quit, world.folder());
    saved.exits(&[0]);
    world.share_now().must_equal(&Snapshot::described(REPLICA), "/QUIT copies nothing");
    let job = world.folder().join("nightly.RCJ");
    assert!(job.exists(), "job files live in the working directory");
    assert_eq!(batch(run(&["/JOB:nightly"], world.folder()).exits(&[3])), 0);
    world.share_now().must_equal(&Snapshot::described(SOURCE), "after the job");
    tree::build(&world.source(), "tonight.txt");
    run(&["/JOB:nightly", "/L"], world.folder()).exits(&[1]).says("tonight.txt");
    run(&["/JOB:nightly"], world.folder()).exits(&[1]);
}
