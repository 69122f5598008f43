//! Each program dies at each point where a crash could leave something half done.

use quicopy_engine::crash::POINTS;
use quicopy_tests::{
    connected::Connected, oracle::Oracle, poll::wait_until, process::Finished, sites::CALL,
    world::World,
};

/// Something for every point: new, changed and unchanged files, small ones for a batch, one with a partial file that can
/// be resumed, one that is long enough for a checkpoint, new and empty directories.
const SOURCE: &str =
    "new, changed 3K #1 @20, same, resumable 3M, long 70M, d/e/f, d/g 20K, d/h 30K, empty/";
/// And something to remove.
const SHARE: &str = "changed 3K #2 @10, same, extra, old/x, old/deep/y";

/// Lets the program on which `point` lies die there in a remote job; requires what must hold after it.
fn check_remote(point: &str) {
    let (sites, mut agent) = Connected::new(SOURCE, SHARE, "write,delete");
    let oracle = sites.oracle();
    if point.starts_with("sender_") {
        let died =
            sites.start_as(&sites.sender.clone().armed(point), "/MIR --json").finish(3 * CALL);
        check_died(point, &died);
        oracle.after_fault(&[&died]);
        oracle.after_rerun(&sites.run("/MIR /R:5 /W:1 --json"));
    } else {
        agent.kill();
        agent = sites.site.clone().armed(point).start();
        let mut job = sites.start("/MIR --json");
        let either = "the agent dies or the job ends";
        wait_until(3 * CALL, either, || !agent.is_running() || !job.is_running());
        assert!(!agent.is_running(), "{point} was not passed\n{}", job.kill());
        // Left alone it would wait for the agent for as long as a link may be silent.
        let (job, died) = (job.kill(), agent.finish(CALL));
        check_died(point, &died);
        oracle.after_fault(&[&job, &died]);
        let _agent = sites.site.start();
        oracle.after_rerun(&sites.run("/MIR /R:5 /W:1 --json"));
        sites.run("/MIR --json").exits(&[0]);
    }
}

/// The same in a local job, in which both sides are one process.
fn check_local(point: &str) {
    let world = World::new(SOURCE, SHARE);
    let oracle = Oracle::new(&world, &[]);
    let arguments = world.arguments(&world.share().display().to_string(), "/MIR --json");
    let died = world.sender().armed(point).start(&arguments).finish(3 * CALL);
    check_died(point, &died);
    oracle.after_fault(&[&died]);
    oracle.after_rerun(&world.copy("/MIR --json"));
    world.copy("/MIR --json").exits(&[0]);
}

fn check_died(point: &str, died: &Finished) {
    assert!(died.was_killed(), "{point} was not passed\n{died}");
}

macro_rules! crash_points {
    ($($point:ident)*) => {
        const TESTED: &[&str] = &[$(stringify!($point)),*];

        mod remote {
            $(#[test] fn $point() { super::check_remote(stringify!($point)); })*
        }

        mod local {
            $(#[test] fn $point() { super::check_local(stringify!($point)); })*
        }
    };
}

crash_points! {
    sender_scanning
    sender_chunk_sent
    sender_before_file_end
    sender_before_goodbye
    agent_directory_made
    agent_partial_created
    agent_journal_started
    agent_chunk_written
    agent_checkpoint_data_synced
    agent_checkpoint_recorded
    agent_metadata_set
    agent_batch_synced
    agent_renamed
    agent_batch_renamed
    agent_batch_durable
    agent_removals_recorded
    agent_removed
    agent_removals_done
}

#[test]
fn every_crash_point_has_its_tests() {
    assert_eq!(TESTED, POINTS);
}
