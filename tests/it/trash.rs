//! What a share keeps of what jobs delete and overwrite: listing it, giving it back, and when it goes.

use std::{fs, os::unix::fs::symlink, path::PathBuf, process::Command};

use quicopy_tests::{
    connected::Connected,
    poll::wait_until,
    process::Finished,
    sites::CALL,
    tree::{Snapshot, build},
    world::World,
};
use serde_json::{Map, Value};

/// Sites whose share has these lines of configuration.
#[track_caller]
fn sites(source: &str, share: &str, settings: &str) -> (Connected, quicopy_tests::sites::Agent) {
    let world = World::new(source, share);
    let site = world.agent_site().configured(settings);
    Connected::with(world, site, "write,delete")
}

/// What is in the trash, as scripts see it.
#[track_caller]
fn list(sites: &Connected) -> Vec<Map<String, Value>> {
    let listed = sites.site.run(&["trash", "list", "--json"]);
    listed.exits(&[0]);
    let lines = listed.stdout.lines();
    lines.map(|line| serde_json::from_str(line).expect("an object a line")).collect()
}

/// The paths in the trash, `*` for former versions and the number of entries where it is not one.
#[track_caller]
fn listed(sites: &Connected) -> String {
    let all = list(sites).into_iter().map(|item| {
        let mark = if item["why"] == "overwritten" { "*" } else { "" };
        let entries = match item["entries"].as_u64() {
            Some(1) => String::new(),
            entries => format!("={}", entries.unwrap_or_default()),
        };
        format!("{}{mark}{entries}", item["path"].as_str().expect("a path"))
    });
    all.collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn id_of(sites: &Connected, path: &str) -> String {
    let found = list(sites).into_iter().find(|item| item["path"] == path);
    found.expect("it is in the trash")["id"].as_str().expect("an id").to_owned()
}

#[track_caller]
fn restore(sites: &Connected, arguments: &[&str]) -> Finished {
    sites.site.run(&[&["trash", "restore"], arguments].concat())
}

const OLD: &str = "same, old/deep/x @50.5 0600, old/y @60, lone @70 0640, d/z @80";

#[test]
fn what_a_mirror_deletes_is_listed_and_comes_back_as_it_was() {
    let (sites, agent) = sites("same, d/new", OLD, "");
    let finished = sites.run("/MIR --json");
    finished.exits(&[3]);
    assert_eq!(finished.summary().deleted, 6);
    sites.world.share_now().must_equal(&Snapshot::described("same, d/new"), "the mirror");
    assert_eq!(listed(&sites), "lone old=4 d/z");
    for item in list(&sites) {
        assert_eq!((&item["share"], &item["why"]), (&"data".into(), &"deleted".into()));
        assert!(item["peer"].as_str().is_some_and(|peer| !peer.is_empty()));
    }
    let table = sites.site.run(&["trash"]);
    table.exits(&[0]).says("ENTRIES").says("old");

    let id = id_of(&sites, "old");
    restore(&sites, &[&id[..5]]).exits(&[0]).says("restored data/old");
    restore(&sites, &[&id]).exits(&[1]).says("trash list");
    agent.terminate(CALL).exits(&[0]);
    // With no agent at work the command does it itself.
    restore(&sites, &[&id_of(&sites, "lone")]).exits(&[0]);
    restore(&sites, &[&id_of(&sites, "d/z")]).exits(&[0]);
    let all = "same, d/new, old/deep/x @50.5 0600, old/y @60, lone @70 0640, d/z @80";
    sites
        .world
        .share_now()
        .without_directory_times()
        .must_equal(&Snapshot::described(all), "the share with all that was deleted");
    sites.site.run(&["trash"]).exits(&[0]).says("The trash is empty");
}

#[test]
fn what_gives_way_to_another_kind_is_listed_and_comes_back() {
    let (sites, _agent) = sites(
        "x, data -> x, link 5B #new, tree/f, file 3B",
        "x, data 4B #old, link -> x, tree, file/in",
        "",
    );
    sites.run("/MIR /SL").exits(&[1]).says("5 entries");
    sites
        .world
        .share_now()
        .without_directory_times()
        .must_equal(&sites.world.source_now().without_directory_times(), "the mirror");
    assert_eq!(listed(&sites), "data file=2 link tree");
    restore(&sites, &[&id_of(&sites, "data"), "--to", "back"]).exits(&[0]);
    let back = fs::symlink_metadata(sites.world.share().join("back")).expect("it came back");
    assert!(back.is_file() && back.len() == 4);
    restore(&sites, &[&id_of(&sites, "link"), "--to", "led"]).exits(&[0]);
    let led = fs::read_link(sites.world.share().join("led")).expect("it is a link again");
    assert_eq!(led, PathBuf::from("x"));
}

#[test]
fn a_job_can_be_taken_back_whole() {
    let (sites, _agent) = sites("same", OLD, "");
    let before = sites.world.share_now();
    sites.run("/MIR").exits(&[2]);
    let job = list(&sites)[0]["job"].as_str().expect("a job").to_owned();
    restore(&sites, &[&job[..8]]).exits(&[0]);
    sites.world.share_now().must_equal(&before, "times and modes included");
}

#[test]
fn giving_back_overwrites_nothing_and_stays_in_the_share() {
    let (sites, _agent) = sites("same", "same, a, b", "");
    sites.run("/MIR").exits(&[2]);
    build(&sites.world.share(), "a 3B, sub/");
    symlink("/tmp", sites.world.share().join("link")).expect("a link");
    let before = sites.world.share_now();
    let id = id_of(&sites, "a");
    restore(&sites, &[&id]).exits(&[1]).says("a is taken").says("--to");
    for (to, says) in [
        ("sub", "taken"),
        ("link/x", "folder for it"),
        ("same/x", "folder for it"),
        ("../x", "below the share's root"),
        ("/x", "without a slash"),
        (".quicopy/x", "no place"),
    ] {
        restore(&sites, &[&id, "--to", to]).exits(&[1]).says(says);
    }
    sites.world.share_now().must_equal(&before, "nothing was restored");
    restore(&sites, &[&id, "--to", "found/here/a"]).exits(&[0]);
    assert!(sites.world.share().join("found/here/a").exists());
    restore(&sites, &["zzzz"]).exits(&[1]).says("nothing in the trash");
}

#[test]
fn a_restored_file_is_no_conflict_to_the_next_job() {
    let (sites, _agent) = sites("a, b", "", "");
    sites.run("/MIR").exits(&[1]);
    fs::rename(sites.world.source().join("a"), sites.world.folder().join("a")).expect("a rename");
    sites.run("/MIR").exits(&[2]);
    restore(&sites, &[&id_of(&sites, "a")]).exits(&[0]);
    fs::rename(sites.world.folder().join("a"), sites.world.source().join("a")).expect("a rename");
    let finished = sites.run("/MIR --json");
    finished.exits(&[0]);
    assert_eq!(finished.summary().conflicts, 0);
}

#[test]
fn a_share_without_a_trash_keeps_nothing() {
    let (sites, _agent) = sites("same", OLD, "trash = \"off\"");
    sites.run("/MIR /TRASH").exits(&[2]).says("keeps none");
    assert_eq!(listed(&sites), "");
    assert!(!sites.world.share().join(".quicopy/trash").exists());
}

#[test]
fn emptying_takes_all_or_what_is_old() {
    let (sites, _agent) = sites("same", "same, a, d/b", "");
    sites.run("/MIR").exits(&[2]);
    sites.site.run(&["trash", "empty", "--older", "1"]).exits(&[0]).says("removed 0 entries");
    sites.site.run(&["trash", "empty", "--share", "other"]).exits(&[1]).says("there are: data");
    sites.site.run(&["trash", "empty"]).exits(&[0]).says("removed 3 entries");
    assert_eq!(listed(&sites), "");
}

/// Makes the batches of the trash older by this many days, as if the clock had gone on.
fn age(sites: &Connected, year: &str) {
    let trash = sites.world.share().join(".quicopy/trash");
    for batch in fs::read_dir(&trash).expect("a trash") {
        let name = batch.expect("a batch").file_name().into_string().expect("ASCII");
        fs::rename(trash.join(&name), trash.join(format!("{year}{}", &name[4..])))
            .expect("a rename");
    }
}

#[test]
fn what_is_old_goes_by_itself() {
    let (sites, agent) = sites("same", "same, a, d/b", "trash = \"2d\"");
    sites.run("/MIR").exits(&[2]);
    agent.terminate(CALL);
    age(&sites, "2001");
    let trash = sites.world.share().join(".quicopy/trash");
    let _agent = sites.site.start();
    wait_until(CALL, "the agent clears its trash away", || !trash.exists());
    assert_eq!(listed(&sites), "");
}

#[test]
fn killed_over_its_deletions_the_agent_has_each_thing_in_its_place_or_in_the_trash() {
    let files: String = (0..20).map(|number| format!(", d/x{number}, tree{number}/a/b")).collect();
    for times in [1, 7, 31] {
        let (sites, agent) = sites("same, d/", &format!("same{files}"), "");
        let before = sites.world.share_now();
        agent.kill();
        let armed = sites.site.clone().armed(&format!("agent_removed:{times}"));
        let mut agent = armed.start();
        let mut job = sites.start("/MIR /MAXDELETE:100% --json");
        wait_until(CALL, "the agent dies", || !agent.is_running() || !job.is_running());
        assert!(agent.finish(CALL).was_killed(), "{}", job.kill());
        job_is_over(job);

        let _agent = sites.site.start();
        let now = sites.world.share_now();
        let trashed: Vec<String> = list(&sites)
            .iter()
            .map(|item| item["path"].as_str().expect("a path").to_owned())
            .collect();
        assert!(!trashed.is_empty());
        for path in before.entries.keys() {
            let is_there = now.entries.contains_key(path);
            let in_trash = trashed.iter().any(|top| path.starts_with(top));
            assert!(is_there != in_trash, "{}: {is_there} {in_trash}", path.display());
        }
        sites.run("/MIR /MAXDELETE:100% /R:5 /W:1").exits(&[0, 2]);
        let mut jobs: Vec<String> = list(&sites)
            .iter()
            .map(|item| item["job"].as_str().expect("a job").to_owned())
            .collect();
        jobs.sort();
        jobs.dedup();
        for job in jobs {
            restore(&sites, &[&job]).exits(&[0]);
        }
        sites
            .world
            .share_now()
            .without_directory_times()
            .must_equal(&before.without_directory_times(), "what both runs deleted is back");
    }
}

/// The sender would wait for the agent as long as a link may be silent.
fn job_is_over(job: quicopy_tests::process::Running) {
    let _ = job.kill();
}

#[test]
fn without_its_marker_a_source_deletes_nothing() {
    let (sites, _agent) = sites("a", "old", "require_marker = \".here\"");
    sites.run("/MIR").exits(&[11]).says("D3: the source has no .here");
    sites.world.share_now().must_equal(&Snapshot::described("a, old"), "nothing was deleted");
    build(&sites.world.source(), ".here");
    sites.run("/MIR").exits(&[3]);
    sites.world.share_now().must_equal(&Snapshot::described("a, .here"), "the mirror");
}

#[test]
fn a_damaged_folder_in_the_trash_is_named_and_the_others_come_back() {
    let (sites, agent) = sites("same", "same, d/x, y", "");
    sites.run("/MIR").exits(&[2]);
    agent.terminate(CALL).exits(&[0]);
    let trash = sites.world.share().join(".quicopy/trash");
    let newer = "2026-01-01T00-00-00Z-01010101010101010101010101010101";
    fs::create_dir(trash.join(newer)).expect("the trash is ours");
    fs::write(trash.join(newer).join("about"), "quicopy trash 2\n").expect("it was made");
    let listed = sites.site.run(&["trash", "list"]);
    listed.exits(&[1]).says(newer).says("newer version").says("d");
    let id = listed.stdout.lines().find(|line| line.ends_with(" y")).expect("y is in the trash");
    restore(&sites, &[&id[..10]]).exits(&[0]).says("restored data/y");
    restore(&sites, &["zzzzzz"]).exits(&[1]).says("zzzzzz").says(newer);
    sites.site.run(&["trash", "empty"]).exits(&[1]).says("removed").says(newer);
    assert_eq!(fs::read_dir(&trash).expect("it stays").count(), 1);
}

#[test]
fn a_trash_that_is_a_link_is_an_error_and_not_an_empty_trash() {
    let (sites, agent) = sites("same", "same, y", "");
    sites.run("/MIR").exits(&[2]);
    agent.terminate(CALL).exits(&[0]);
    let private = sites.world.share().join(".quicopy");
    fs::rename(private.join("trash"), private.join("away")).expect("it is ours");
    symlink("away", private.join("trash")).expect("its name is free");
    for arguments in [&["trash"][..], &["trash", "empty"], &["trash", "restore", "zzzz"]] {
        let told = sites.site.run(arguments);
        told.exits(&[1]).says(".quicopy/trash").says("link");
        assert!(!told.stdout.contains("empty"), "{}", told.stdout);
    }
    assert_eq!(fs::read_dir(private.join("away")).expect("it was moved").count(), 1);
}

#[test]
fn a_command_ends_without_a_word_when_nobody_reads_on() {
    let (sites, agent) = sites("same", "same, y", "");
    sites.run("/MIR").exits(&[2]);
    let unheard = |arguments: &[&str]| {
        let ended = sites.site.run_unheard(arguments);
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{arguments:?}");
        assert_eq!(ended.status.code(), Some(141), "{arguments:?}");
    };
    unheard(&["trash", "list", "--json"]);
    unheard(&["trash"]);
    unheard(&["jobs"]);
    unheard(&["jobs", "--json"]);
    unheard(&["peers"]);
    unheard(&["invite"]);
    agent.terminate(CALL).exits(&[0]);
    unheard(&["trash", "list", "--json"]);
    unheard(&["check"]);
}

/// Whether this process may mount file systems in a namespace of its own; says so if not.
#[expect(clippy::print_stderr, reason = "a skipped test must not look like a passed one")]
fn can_mount() -> bool {
    let script = "mount -t tmpfs none /mnt";
    let tried = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .output();
    let can = tried.is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("skipped: no file system can be mounted here");
    }
    can
}

/// The share as the daemon sees it, through its own namespace.
fn seen_by(agent: &quicopy_tests::sites::Agent, sites: &Connected) -> PathBuf {
    let share = sites.world.share();
    PathBuf::from(format!("/proc/{}/root{}", agent.process(), share.display()))
}

#[test]
fn what_lies_on_another_file_system_is_kept_and_reported() {
    if !can_mount() {
        return;
    }
    let world = World::new("same, sub/new", "same, sub/");
    let mounts = "mount -t tmpfs none \"$SHARE/sub\"; touch \"$SHARE/sub/extra\"";
    let site = world.agent_site().with_mounts(mounts);
    let (sites, agent) = Connected::with(world, site, "write,delete");
    sites
        .run("/MIR")
        .exits(&[1])
        .says("sub: what only the destination has is kept where another file system")
        .says("trash = \"off\"");
    let share = seen_by(&agent, &sites);
    assert!(share.join("sub/extra").exists() && share.join("sub/new").exists());
    agent.terminate(CALL);
    let site = sites.site.clone().configured("trash = \"off\"");
    let agent = site.start();
    sites.run("/MIR").exits(&[3]);
    let share = seen_by(&agent, &sites);
    assert!(!share.join("sub/extra").exists() && share.join("sub/new").exists());
}

#[test]
fn a_full_disk_takes_its_space_from_the_oldest_things_in_the_trash() {
    if !can_mount() {
        return;
    }
    let world = World::new("keep", "");
    let mounts = "mount -t tmpfs -o size=24m none \"$SHARE\"";
    let site = world.agent_site().with_mounts(mounts);
    let (sites, agent) = Connected::with(world, site, "write,delete");
    build(&sites.world.source(), "one 6M #1");
    sites.run("/MIR").exits(&[1]);
    for (gone, comes) in [("one", "two 7M #2"), ("two", "three 6M #3")] {
        fs::remove_file(sites.world.source().join(gone)).expect("it was built");
        build(&sites.world.source(), comes);
        sites.run("/MIR").exits(&[3]);
    }
    // The second deletion made the first, beyond a tenth of the disk or not, still fit: 19 MiB of 24 are taken.
    build(&sites.world.source(), "four 9M #4");
    sites.run("/MIR").exits(&[1]).says("given up");
    let share = seen_by(&agent, &sites);
    assert!(share.join("four").exists() && share.join("three").exists());
    build(&sites.world.source(), "five 30M #5");
    sites.run("/MIR").exits(&[8]).says("lack").says("quicopy-agent trash empty");
}

#[test]
fn former_versions_are_kept_by_a_job_that_asks_for_it() {
    let (sites, _agent) =
        sites("a 3K #2 @90, d/b 2M #2 @90", "a 2K #1 @50 0640, d/b 3M #1 @60", "");
    let before = sites.world.share_now();
    sites.run("/MIR /TRASH").exits(&[1]);
    assert_eq!(listed(&sites), "a* d/b*");
    sites
        .world
        .share_now()
        .without_directory_times()
        .must_equal(&sites.world.source_now().without_directory_times(), "the new versions");
    restore(&sites, &[&id_of(&sites, "a")]).exits(&[1]).says("taken");
    for path in ["a", "d/b"] {
        fs::remove_file(sites.world.share().join(path)).expect("it was copied");
        restore(&sites, &[&id_of(&sites, path)]).exits(&[0]);
    }
    sites.world.share_now().without_directory_times().must_equal(
        &before.without_directory_times(),
        "the versions that were overwritten, with their metadata",
    );
    let finished = sites.run("/MIR --json");
    finished.exits(&[1]);
    assert_eq!(finished.summary().conflicts, 0, "what was restored is just a file");
}

#[test]
fn a_local_destination_has_a_trash_where_the_job_asks_for_one() {
    let world = World::new("same, changed 4B @90", "same, changed 4B @50 #3, old/x, old/y");
    world.copy("/MIR /L /TRASH").exits(&[3]);
    assert!(!world.share().join(".quicopy").exists());
    world.copy("/MIR /TRASH:3").exits(&[3]).says("for 3 days");
    let trash = world.share().join(".quicopy/trash");
    let batch = fs::read_dir(&trash).expect("it stays").next().expect("a batch").expect("a batch");
    assert!(batch.path().join("deleted/old/x").exists());
    assert!(batch.path().join("overwritten/changed").exists());
    world.copy("/MIR").exits(&[0]);
    assert!(trash.exists(), "its days are not over");
    let name = batch.file_name().into_string().expect("ASCII");
    fs::rename(trash.join(&name), trash.join(format!("2001{}", &name[4..]))).expect("a rename");
    world.copy("/MIR").exits(&[0]);
    assert!(!world.share().join(".quicopy").exists(), "nothing is left of it");
}

#[test]
fn the_wrong_way_round_overwrites_nothing_that_is_newer() {
    let names = |count: usize, what: &str| -> String {
        (0..count).map(|number| format!("f{number} {what}, ")).collect()
    };
    let (source, share) = (names(25, "4B @50") + "new", names(25, "5B #2 @90") + "extra");
    let (sites, _agent) = sites(&source, &share, "");
    sites.run("/E").exits(&[9, 11]).says("D8: 25 of 25 files");
    let now = sites.world.share_now();
    now.must_equal(&Snapshot::described(&(share.clone() + ", new")), "only what is new was copied");
    sites.run("/E /L").exits(&[9, 8, 10, 11]).says("D8");
    sites.run("/E /FORCE").exits(&[1, 3]);
    let after = Snapshot::described(&(source + ", extra"));
    sites.world.share_now().must_equal(&after, "forced");
    let world = World::new("a", "");
    let (source, share) = (names(25, "4B @50"), names(25, "5B #2 @90"));
    build(&world.source(), &source);
    build(&world.share(), &share);
    world.copy("/E").exits(&[1]).says("D8: 25 of 25 files");
}

/// The name of the plan that a job printed.
fn plan_of(finished: &Finished) -> String {
    let line = finished.stdout.lines().find_map(|line| line.split_once("Plan : "));
    line.expect("a plan").1.trim().to_owned()
}

#[test]
fn a_plan_is_carried_out_as_long_as_it_is_the_same() {
    let share = "same, changed 4B @50, old/x, d/old";
    let (sites, _agent) = sites("same, changed 4B @90 #3, d/new, n/m/f 2M", share, "");
    let listed = sites.run("/MIR /L");
    listed.exits(&[3]);
    let plan = plan_of(&listed);
    assert_eq!(plan_of(&sites.run("/MIR /L")), plan);
    build(&sites.world.source(), "late");
    let switches = format!("/MIR /PLAN:{plan}");
    let refused = sites.run(&switches);
    refused.exits(&[16]).says("the plan has changed").says("/L");
    sites.world.share_now().must_equal(&Snapshot::described(share), "nothing was changed");
    fs::remove_file(sites.world.source().join("late")).expect("it was built");
    let carried_out = sites.run(&switches);
    carried_out.exits(&[3]);
    assert_eq!(plan_of(&carried_out), plan);
    sites
        .world
        .share_now()
        .without_directory_times()
        .must_equal(&sites.world.source_now().without_directory_times(), "the mirror");
    sites.run(&switches).exits(&[16]);

    let world = World::new("a, d/b", "");
    fs::remove_dir(world.share()).expect("it is empty");
    let plan = plan_of(&world.copy("/E /L"));
    assert!(!world.share().exists());
    world.copy(&format!("/E /PLAN:{plan}")).exits(&[1]);
    assert!(world.share().join("d/b").exists());
}
