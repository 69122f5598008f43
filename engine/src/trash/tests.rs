//! The trash of real folders.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use quicopy_protocol::meta::Timestamp;
use quicopy_protocol::path::Name;

use super::*;
use crate::disk::Share;
use quicopy_protocol::path::RelPath;
use quicopy_protocol::text::with_causes;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

const DAY: i64 = 24 * 60 * 60;
const BEGUN: i64 = 1_795_319_112;

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

/// A share with some files.
struct World {
    temp: tempfile::TempDir,
    share: Arc<Share>,
}

impl World {
    /// Each file holds its own path; what ends in a slash is a directory.
    fn new(entries: &str) -> Self {
        let temp = tempfile::tempdir().unwrap();
        for entry in entries.split_whitespace() {
            let at = temp.path().join(entry);
            if entry.ends_with('/') {
                fs::create_dir_all(at).unwrap();
            } else {
                fs::create_dir_all(at.parent().unwrap()).unwrap();
                fs::write(at, entry).unwrap();
            }
        }
        let share = Arc::new(Share::open(temp.path()).unwrap());
        Self { temp, share }
    }

    fn at(&self, text: &str) -> PathBuf {
        self.temp.path().join(text)
    }

    /// The trash of job `job` that began so many days after the first.
    fn bin(&self, job: u8, day: i64) -> Bin {
        let about = About { by: format!("peer{job}"), days: 7 };
        Bin::new(Arc::clone(&self.share), [job; 16], BEGUN + day * DAY, about)
    }

    fn each(
        &self,
        text: &str,
        act: impl Fn(&crate::disk::DirHandle, &Name, &RelPath) -> io::Result<()>,
    ) {
        for text in text.split_whitespace() {
            let (parent, name) = path(text).split_last().unwrap();
            act(&self.share.root().open_path(&parent).unwrap(), &name, &path(text)).unwrap();
        }
    }

    fn delete(&self, bin: &Bin, paths: &str) {
        self.each(paths, |dir, name, path| bin.put(dir, name, path));
    }

    fn overwrite(&self, bin: &Bin, paths: &str) {
        self.each(paths, |dir, name, path| {
            bin.keep(dir, name, path, Why::Overwritten)?;
            let new = Name::new(*b"new").unwrap();
            fs::write(self.at("new"), "new").unwrap();
            self.share.root().rename(&new, dir, name, crate::disk::RenameMode::Replace)
        });
    }

    fn found(&self) -> Vec<(Found, Size, String)> {
        let mut all = Vec::new();
        let _ = items(&self.share, |seen| {
            let size = seen.size().unwrap();
            all.push((seen.found.clone(), size, seen.about.by.clone()));
            ControlFlow::Continue(())
        })
        .unwrap();
        all
    }

    /// What is in the trash: `path` with `*` for a former version and the number of entries if it is not one.
    fn list(&self) -> String {
        let shown = self.found().into_iter().map(|(found, size, _)| {
            let mark = if found.why == Why::Overwritten { "*" } else { "" };
            let entries =
                if size.entries == 1 { String::new() } else { format!("={}", size.entries) };
            format!("{}{mark}{entries}", found.path)
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    fn restore(&self, text: &str, to: Option<&str>) -> Result<(), RestoreError> {
        let finding = find(&self.share, text).unwrap();
        finding
            .found
            .iter()
            .try_for_each(|found| restore(&self.share, found, &to.map_or(found.path.clone(), path)))
    }

    fn id_of(&self, text: &str) -> String {
        let found = self.found().into_iter().find(|(found, ..)| found.path == path(text));
        found.unwrap().0.id.to_string()
    }

    fn sweep(&self, day: i64) -> Swept {
        let now = Some(Timestamp { seconds: BEGUN + day * DAY, nanos: 0 });
        sweep(&self.share, &Sweep { days: None, now, entries_max: u64::MAX }).unwrap()
    }
}

#[test]
fn what_is_deleted_lies_where_it_was_under_the_day_and_the_job() {
    let world = World::new("a/b/x a/b/y old/s/z old/t top");
    world.delete(&world.bin(1, 0), "a/b/x old top");
    assert_eq!(world.list(), "old=4 top a/b/x");
    let trash = ".quicopy/trash/2026-11-22T03-45-12Z-01010101010101010101010101010101";
    let kept = world.at(trash).join("below/a/below/b/deleted/x");
    assert_eq!(fs::read_to_string(kept).unwrap(), "a/b/x");
    assert!(world.at(trash).join("deleted/old/s/z").exists());
    assert!(world.at("a/b/y").exists() && !world.at("old").exists());
    let found = world.found();
    assert_eq!(
        found[0].1,
        Size { bytes: "old/s/z".len() as u64 + "old/t".len() as u64, entries: 4 }
    );
    assert_eq!(found[0].2, "peer1");
}

#[test]
fn what_comes_back_is_what_it_was_with_all_times() {
    let world = World::new("a/b/x old/s/z old/t");
    let facts = |text: &str| {
        let facts = fs::metadata(world.at(text)).unwrap();
        (facts.ino(), facts.mtime(), facts.mtime_nsec(), facts.mode())
    };
    fs::set_permissions(world.at("old/s"), fs::Permissions::from_mode(0o2555)).unwrap();
    let before = ["a/b/x", "a/b", "old", "old/s", "old/s/z"].map(facts);
    world.delete(&world.bin(1, 0), "a/b/x old");
    let touched = facts("a/b");
    world.restore(&world.id_of("old")[..6], None).unwrap();
    world.restore(&world.id_of("a/b/x").to_uppercase(), None).unwrap();
    assert_eq!(world.list(), "");
    let after = ["a/b/x", "a/b", "old", "old/s", "old/s/z"].map(facts);
    assert_eq!(after[1], touched, "giving back is no change of the folder");
    assert_eq!((after[0], &after[2..]), (before[0], &before[2..]));
}

#[test]
fn a_directory_that_nobody_may_write_to_goes_and_comes_as_it_is() {
    let world = World::new("old/x");
    fs::set_permissions(world.at("old"), fs::Permissions::from_mode(0o555)).unwrap();
    world.delete(&world.bin(1, 0), "old");
    world.restore(&world.id_of("old"), None).unwrap();
    assert_eq!(fs::metadata(world.at("old")).unwrap().mode() & 0o7777, 0o555);
    world.delete(&world.bin(1, 0), "old");
    assert_eq!(world.sweep(8).size.entries, 2);
    assert!(!world.at(".quicopy/trash").exists());
}

#[test]
fn nothing_is_overwritten_and_nothing_leaves_the_share() {
    let world = World::new("x d/y z");
    let bin = world.bin(1, 0);
    world.delete(&bin, "x");
    drop(bin);
    let id = world.id_of("x");
    fs::write(world.at("x"), "other").unwrap();
    std::os::unix::fs::symlink("/tmp", world.at("link")).unwrap();
    let refused = |to| world.restore(&id, to).unwrap_err();
    assert!(matches!(refused(None), RestoreError::Taken(_)));
    assert!(matches!(refused(Some("d")), RestoreError::Taken(_)));
    assert!(matches!(refused(Some("link/x")), RestoreError::Parent { .. }));
    assert!(matches!(refused(Some("z/x")), RestoreError::Parent { .. }));
    assert!(matches!(refused(Some(".quicopy/x")), RestoreError::NoPlace(_)));
    assert!(matches!(refused(Some("")), RestoreError::NoPlace(_)));
    assert_eq!(fs::read_to_string(world.at("x")).unwrap(), "other");
    world.restore(&id, Some("new/deep/x")).unwrap();
    assert_eq!(fs::read_to_string(world.at("new/deep/x")).unwrap(), "x");
}

#[test]
fn while_its_job_runs_a_batch_is_listed_and_left_alone() {
    let world = World::new("x y");
    let bin = world.bin(1, 0);
    world.delete(&bin, "x");
    assert_eq!(world.list(), "x");
    assert!(matches!(world.restore(&world.id_of("x"), None), Err(RestoreError::Gone(_))));
    assert_eq!(world.sweep(99), Swept::default());
    assert_eq!(give_back(&world.share, 1, 1).unwrap(), 0);
    let now = Timestamp { seconds: BEGUN + DAY, nanos: 0 };
    let emptied = empty(&world.share, Duration::ZERO, now).unwrap();
    assert_eq!((emptied.held, emptied.size.entries), (1, 0));
    world.delete(&bin, "y");
    drop(bin);
    assert_eq!(world.list(), "x y");
    assert_eq!(world.sweep(99).size.entries, 2);
}

#[test]
fn the_same_path_twice_in_one_run_is_there_twice() {
    let world = World::new("x");
    let bin = world.bin(1, 0);
    world.overwrite(&bin, "x");
    world.overwrite(&bin, "x");
    world.delete(&bin, "x");
    drop(bin);
    assert_eq!(world.list(), "x x* x*");
    let ids: std::collections::BTreeSet<_> = world.found().iter().map(|(f, ..)| f.id).collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(
        fs::read_to_string(world.at(
            ".quicopy/trash/2026-11-22T03-45-12Z-01010101010101010101010101010101/overwritten/x"
        ))
        .unwrap(),
        "x"
    );
}

#[test]
fn what_was_not_replaced_after_all_is_not_listed() {
    for why in [Why::Overwritten, Why::Deleted] {
        let world = World::new("d/x");
        let bin = world.bin(1, 0);
        world.each("d/x", |dir, name, path| bin.keep(dir, name, path, why));
        assert_eq!(world.list(), "", "as after a crash between the link and the rename");
        assert_eq!(fs::metadata(world.at("d/x")).unwrap().nlink(), 2);
        bin.keep_no_more(&path("d/x"), &Name::new(*b"x").unwrap(), why);
        assert_eq!(fs::metadata(world.at("d/x")).unwrap().nlink(), 1);
        assert_eq!(fs::read_to_string(world.at("d/x")).unwrap(), "d/x");
    }
}

#[test]
fn a_job_gives_back_all_that_it_left_directories_first() {
    let world = World::new("old/x old/y a/z keep");
    let bin = world.bin(0xab, 0);
    world.delete(&bin, "old/x old/y old a/z");
    world.delete(&world.bin(2, 0), "keep");
    drop(bin);
    world.restore("ABABABAB", None).unwrap();
    assert_eq!(world.list(), "keep");
    for text in ["old/x", "old/y", "a/z"] {
        assert_eq!(fs::read_to_string(world.at(text)).unwrap(), text);
    }
}

#[test]
fn a_text_that_names_nothing_or_several_things_restores_nothing() {
    let world = World::new("x");
    world.delete(&world.bin(1, 0), "x");
    assert!(matches!(find(&world.share, "zzzz"), Err(FindError::Unknown(_))));
    assert!(matches!(find(&world.share, ""), Err(FindError::Unknown(_))));
    let id = world.id_of("x");
    assert!(matches!(find(&world.share, &id[..3]), Err(FindError::Unknown(_))));
    assert_eq!(find(&world.share, &id[..4]).unwrap().found.len(), 1);
}

#[test]
fn the_sweep_takes_what_is_too_old_and_goes_on_next_time() {
    let world = World::new("a b c d/1 d/2 d/3");
    for (day, entry) in [(0, "a"), (1, "b"), (6, "c")] {
        world.delete(&world.bin(1, day), entry);
    }
    assert_eq!(world.sweep(6), Swept::default());
    assert_eq!(world.sweep(7).batches, 1);
    assert_eq!(world.list(), "b c");
    world.delete(&world.bin(2, 0), "d");
    let rules = Sweep {
        days: Some(1),
        now: Some(Timestamp { seconds: BEGUN + DAY, nanos: 0 }),
        entries_max: 2,
    };
    assert_eq!(sweep(&world.share, &rules).unwrap().size.entries, 4);
    assert_eq!(world.list(), "b c", "out of the list at once");
    let gone = || fs::read_dir(world.at(".quicopy/trash")).unwrap().count() - 2;
    assert_eq!(gone(), 1, "and its content in steps");
    world.sweep(1);
    world.sweep(1);
    assert_eq!(gone(), 0);
}

#[test]
fn without_a_clock_nothing_expires() {
    let world = World::new("a");
    world.delete(&world.bin(1, 0), "a");
    let rules = Sweep { days: Some(0), now: None, entries_max: 9 };
    assert_eq!(sweep(&world.share, &rules).unwrap(), Swept::default());
    assert_eq!(world.list(), "a");
}

#[test]
fn space_comes_from_the_oldest_batches_and_no_more_than_is_needed() {
    let world = World::new("aaaa bbbb cccc");
    for (day, entry) in [(0, "aaaa"), (1, "bbbb"), (2, "cccc")] {
        world.delete(&world.bin(1, day), entry);
    }
    assert_eq!(give_back(&world.share, 13, 64).unwrap(), 0, "all of it would not do");
    assert_eq!(world.list().split_whitespace().count(), 3);
    assert_eq!(give_back(&world.share, 1, 5).unwrap(), 8);
    assert_eq!(world.list(), "cccc");
}

#[test]
fn what_is_given_back_is_not_counted_any_more() {
    let world = World::new("aaaa bbbb");
    world.delete(&world.bin(1, 0), "aaaa bbbb");
    world.sweep(0);
    let batch = ".quicopy/trash/2026-11-22T03-45-12Z-01010101010101010101010101010101";
    assert_eq!(fs::read_to_string(world.at(batch).join("count")).unwrap(), "8 2\n");
    world.restore(&world.id_of("aaaa"), None).unwrap();
    assert!(!world.at(batch).join("count").exists());
    world.restore(&world.id_of("bbbb"), None).unwrap();
    assert_eq!(world.sweep(0).batches, 1, "nothing is left in it");
    assert!(!world.at(".quicopy/trash").exists());
}

#[test]
fn emptying_may_spare_what_is_young() {
    let world = World::new("a b");
    world.delete(&world.bin(1, 0), "a");
    world.delete(&world.bin(1, 5), "b");
    let now = Timestamp { seconds: BEGUN + 6 * DAY, nanos: 0 };
    let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
    assert_eq!(empty(&world.share, days(2), now).unwrap().size.entries, 1);
    assert_eq!(world.list(), "b");
    empty(&world.share, days(0), now).unwrap();
    assert_eq!(world.list(), "");
}

#[test]
fn what_is_not_ours_in_the_trash_is_left_alone() {
    let world = World::new("a");
    world.delete(&world.bin(1, 0), "a");
    let trash = world.at(".quicopy/trash");
    fs::write(trash.join("note"), "x").unwrap();
    fs::create_dir(trash.join("folder")).unwrap();
    let newer = trash.join("2026-01-01T00-00-00Z-01010101010101010101010101010101");
    fs::create_dir(&newer).unwrap();
    fs::write(newer.join("about"), "quicopy trash 2\n").unwrap();
    assert_eq!(world.sweep(99).batches, 1);
    assert!(trash.join("note").exists() && trash.join("folder").exists() && newer.exists());
}

#[test]
fn a_share_without_a_trash_has_none_made_by_a_look() {
    let world = World::new("a");
    assert_eq!(world.list(), "");
    world.sweep(0);
    assert!(!Path::new(&world.at(".quicopy")).exists());
}

const DAMAGED: &str = ".quicopy/trash/2026-11-22T03-45-12Z-01010101010101010101010101010101";

/// A trash of which the first batch is damaged by `damage`, which is given its folder.
fn damaged(damage: impl Fn(&Path)) -> World {
    let world = World::new("a/x y z");
    world.delete(&world.bin(1, 0), "a/x y");
    world.delete(&world.bin(2, 1), "z");
    damage(&world.at(DAMAGED));
    world
}

fn damages() -> [fn(&Path); 4] {
    [
        |batch| {
            fs::rename(batch.join("below"), batch.join("away")).unwrap();
            std::os::unix::fs::symlink("away", batch.join("below")).unwrap();
        },
        |batch| {
            fs::remove_file(batch.join("about")).unwrap();
            fs::create_dir(batch.join("about")).unwrap();
        },
        |batch| {
            fs::remove_dir_all(batch).unwrap();
            std::os::unix::fs::symlink("/tmp", batch).unwrap();
        },
        |batch| fs::write(batch.join("about"), "quicopy trash 2\n").unwrap(),
    ]
}

#[test]
fn a_damaged_batch_is_named_and_keeps_no_other_from_anything() {
    for damage in damages() {
        let world = damaged(damage);
        let unread = items(&world.share, |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(unread.len(), 1, "{unread:?}");
        assert!(unread[0].to_string().starts_with(DAMAGED), "{}", unread[0]);
        assert!(world.list().split_whitespace().any(|path| path == "z"));
        let unknown = find(&world.share, "zzzz").unwrap_err().to_string();
        assert!(unknown.contains("zzzz") && unknown.contains(DAMAGED), "{unknown}");
        world.restore(&world.id_of("z"), None).unwrap();
        world.delete(&world.bin(2, 1), "z");
        let now = Timestamp { seconds: BEGUN + 2 * DAY, nanos: 0 };
        let emptied = empty(&world.share, Duration::ZERO, now).unwrap();
        assert_eq!((emptied.size.entries, emptied.damaged.len()), (1, 1));
        assert!(emptied.damaged[0].to_string().starts_with(DAMAGED));
        assert!(world.at(DAMAGED).symlink_metadata().is_ok());
        assert_eq!(world.sweep(99).batches, 0);
        assert_eq!(give_back(&world.share, 0, 9).unwrap(), 0);
    }
}

#[test]
fn a_trash_that_is_no_folder_is_an_error_that_names_it() {
    let world = World::new("x");
    world.delete(&world.bin(1, 0), "x");
    let elsewhere = world.at("elsewhere");
    fs::rename(world.at(".quicopy/trash"), &elsewhere).unwrap();
    std::os::unix::fs::symlink("../elsewhere", world.at(".quicopy/trash")).unwrap();
    let now = Timestamp { seconds: BEGUN + DAY, nanos: 0 };
    let told = [
        items(&world.share, |_| ControlFlow::Continue(())).err().map(|error| error.to_string()),
        empty(&world.share, Duration::ZERO, now).err().map(|error| error.to_string()),
        find(&world.share, "zzzz").err().map(|error| with_causes(&error)),
    ];
    for told in told {
        let told = told.unwrap();
        assert!(told.contains(".quicopy/trash") && told.contains("link"), "{told}");
    }
    assert_eq!(fs::read_dir(elsewhere).unwrap().count(), 1);
}
