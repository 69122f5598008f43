//! The process killed at every point that this half passes: the target is the old version or the new one, and the next
//! run makes it the new one and leaves nothing behind.

use std::env;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use super::*;

/// Where the child finds its share.
const SHARE: &str = "QUICOPY_CRASH_TEST_SHARE";
/// Deep enough that the second file, the large one, passes each point too.
const PASSES: u32 = 4;

/// The points that this half passes, of all that there are.
fn points() -> &'static [&'static str] {
    let at = |name: &str| crate::crash::POINTS.iter().position(|point| *point == name).unwrap();
    &crate::crash::POINTS[at("agent_partial_created")..=at("agent_batch_durable")]
}

fn old(name: &str) -> Vec<u8> {
    noise(name.len() as u64, 3000)
}

fn new(name: &str) -> Vec<u8> {
    noise(100, if name == "small" { 5000 } else { 2 * MIB + 5 })
}

/// One run over a small and a large file, as a job would do it.
fn run(world: &mut World) {
    for (want, name) in [(0, "small"), (1, "large")] {
        let content = new(name);
        let found = fs::read(world.path(name)).unwrap();
        if found == content {
            continue;
        }
        let basis = world.begin(want, world.target(name, content.len()));
        let ready = match (name, basis) {
            ("small", _) => world.whole(want, &content),
            (_, Basis::Bytes) => {
                world.now += CHECKPOINT_INTERVAL;
                world.send_lacking(want, &content).1
            }
            (_, Basis::Nothing | Basis::Digest | Basis::Content) => {
                unreachable!("there is an old version, and content is wanted")
            }
        };
        world.commit(ready);
    }
}

/// The other program: works on the share until the armed point kills it.
fn child(share: PathBuf) {
    run(&mut World::at(Folder { path: share, _own: None }, Durability::Group));
}

#[test]
fn a_kill_at_any_point_leaves_the_old_or_the_new_version() {
    if let Some(share) = env::var_os(SHARE) {
        return child(share.into());
    }
    let mut kills = 0;
    for point in points() {
        for pass in 1..=PASSES {
            let temp = tempfile::tempdir().unwrap();
            for name in ["small", "large"] {
                fs::write(temp.path().join(name), old(name)).unwrap();
            }
            let status = Command::new(env::current_exe().unwrap())
                .args(["receive::tests::crash::", "--nocapture"])
                .env(SHARE, temp.path())
                .env("QUICOPY_CRASH_POINT", format!("{point}:{pass}"))
                .output()
                .unwrap()
                .status;
            kills += u32::from(status.signal() == Some(9));
            assert!(status.success() || status.signal() == Some(9), "{point}:{pass}: {status}");
            for name in ["small", "large"] {
                let found = fs::read(temp.path().join(name)).unwrap();
                assert!(found == old(name) || found == new(name), "{point}:{pass}: {name}");
            }
            let mut world = World::at(temp, Durability::Group);
            run(&mut world);
            world.share.private().unwrap();
            world.share.tidy().unwrap();
            assert_eq!(names(world.temp.path()), ["large", "small"], "{point}:{pass}");
            assert_eq!(world.read("large"), new("large"), "{point}:{pass}");
        }
    }
    assert!(kills > points().len() as u32, "the points were hardly passed: {kills}");
}
