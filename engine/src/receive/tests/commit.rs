//! Batches on a real directory, with syncs that are counted and fail when told to.

use super::*;

#[test]
fn syncs_are_two_for_a_batch_in_group_mode_and_none_without_durability() {
    for (mode, expected) in [(Durability::Group, 2), (Durability::File, 11), (Durability::None, 0)]
    {
        let world = World::at(tempfile::tempdir().unwrap(), mode);
        let mut items = Vec::new();
        for number in 0..10 {
            world.begin(number, world.target(&format!("f{number}"), 1));
            let ready = world.whole(number, b"x");
            items.push(Item { tag: number, ready: Box::new(ready) });
        }
        let outcomes = world.committer().commit(items);
        assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()));
        assert_eq!(world.syncs.load(Ordering::Relaxed), expected, "{mode:?}");
    }
}

#[test]
fn a_failed_sync_fails_the_batch_and_every_later_one() {
    let world = World::new();
    fs::write(world.path("a"), b"old").unwrap();
    world.begin(0, world.target("a", 3));
    world.begin(1, world.target("b", 3));
    let (first, second) = (world.whole(0, b"new"), world.whole(1, b"new"));
    world.fails.store(true, Ordering::Relaxed);
    assert!(matches!(world.try_commit(first), Err(CommitError::Sync(_))));
    world.fails.store(false, Ordering::Relaxed);
    assert!(matches!(world.try_commit(second), Err(CommitError::Degraded)));
    assert_eq!(world.read("a"), b"old");
    assert!(!world.path("b").exists() && world.left_behind().is_empty());
}

#[test]
fn a_target_that_changed_since_the_job_looked_is_left_alone() {
    let world = World::new();
    fs::write(world.path("edited"), b"old").unwrap();
    fs::write(world.path("swapped"), b"old").unwrap();
    for (want, name) in ["edited", "new", "swapped"].iter().enumerate() {
        world.begin(want as u64, world.target(name, 3));
    }
    let readies: Vec<_> = (0..3).map(|want| world.whole(want, b"new")).collect();
    fs::write(world.path("edited"), b"user's").unwrap();
    fs::write(world.path("new"), b"user's").unwrap();
    fs::remove_file(world.path("swapped")).unwrap();
    fs::create_dir(world.path("swapped")).unwrap();
    for ready in readies {
        assert!(matches!(world.try_commit(ready), Err(CommitError::Changed)));
    }
    assert_eq!((world.read("edited"), world.read("new")), (b"user's".to_vec(), b"user's".to_vec()));
    assert!(world.path("swapped").is_dir() && world.left_behind().is_empty());
}

#[test]
fn a_directory_changes_places_with_a_file_and_is_handed_out() {
    let world = World::new();
    fs::create_dir(world.path("a")).unwrap();
    fs::write(world.path("a/inside"), b"x").unwrap();
    let target = world.target("a", 3);
    let place = Place::Exchange(*target.place.old().unwrap());
    world.begin(0, Target { place, ..target });
    let committed = world.commit(world.whole(0, b"new"));
    assert_eq!(world.read("a"), b"new");
    let displaced = committed.displaced.unwrap();
    let old = displaced.dir.open_dir(&displaced.name).unwrap();
    assert_eq!(old.list().unwrap().len(), 1);
}

#[test]
fn what_made_way_an_earlier_time_is_in_nobodys_way() {
    let mut names = Vec::new();
    let world = World::new();
    for round in 0..3 {
        fs::create_dir(world.path("a")).unwrap();
        fs::write(world.path("a/inside"), [round]).unwrap();
        let content = noise(round.into(), 2 * MIB);
        let target = world.target("a", content.len());
        let place = Place::Exchange(*target.place.old().unwrap());
        world.begin(0, Target { place, ..target });
        world.chunk(0, 0, &content[..MIB]).unwrap();
        world.chunk(0, MIB, &content[MIB..]).unwrap();
        let displaced = world.commit(ready(world.end(0, &content).unwrap())).displaced.unwrap();
        assert_eq!(world.read("a"), content);
        names.push(displaced.name);
        fs::remove_file(world.path("a")).unwrap();
    }
    for (round, name) in names.iter().enumerate() {
        let inside = world.path(".quicopy/partial").join(name.to_string()).join("inside");
        assert_eq!(fs::read(inside).unwrap(), [round as u8], "{name}");
    }
}

#[test]
fn the_committer_commits_what_waits_when_told_that_nothing_else_comes() {
    let world = World::new();
    world.begin(0, world.target("a", 1));
    let item = Item { tag: 7, ready: Box::new(world.whole(0, b"x")) };
    let (send, orders) = crossbeam_channel::bounded(8);
    let (report, outcomes) = crossbeam_channel::bounded(8);
    let committer = world.committer();
    std::thread::scope(|scope| {
        scope.spawn(move || committer.run(&orders, |outcome| report.send(outcome).unwrap()));
        send.send(crate::commit::Order::Item(item)).unwrap();
        send.send(crate::commit::Order::Flush).unwrap();
        let outcome = outcomes.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(outcome.tag, 7);
        drop(send);
    });
    assert_eq!(world.read("a"), b"x");
}
