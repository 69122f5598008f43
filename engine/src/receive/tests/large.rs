//! Large files: parts in any order, what is reused, what breaks the rules, what does not fit.

use super::*;

#[test]
fn frames_that_no_wish_asked_for_are_violations() {
    let world = World::new();
    world.begin(0, world.target("small", 5));
    world.begin(1, world.target("large", 2 * MIB));
    assert_eq!(violation(world.chunk(7, 0, b"x")), Violation::UnknownWant);
    assert_eq!(violation(world.chunk(0, 0, b"x")), Violation::WrongFrame);
    let whole = world.receiver.whole_file(WantId(1), Digest::of(b"x"), &[], b"x");
    assert_eq!(violation(whole), Violation::WrongFrame);
    let list = world.receiver.chunk_list(WantId(1), 64 << 10, 0, &[], true, world.now);
    assert_eq!(violation(list.map(|answer| answer.step)), Violation::List);
    assert_eq!(violation(world.chunk(1, 2 * MIB, b"x")), Violation::OutOfRange);
    world.chunk(1, 0, b"xyz").unwrap();
    assert_eq!(violation(world.chunk(1, 2, b"z")), Violation::Overlap);
    assert_eq!(violation(world.end(1, b"xyz")), Violation::Size);
}

#[test]
fn an_edit_in_place_and_an_insertion_send_what_is_new_only() {
    let old = noise(6, 4 * MIB);
    let mut edited = old.clone();
    edited[2 * MIB] ^= 1;
    let mut shifted = old.clone();
    shifted.splice(MIB..MIB, *b"inserted");
    for new in [edited, shifted] {
        let world = World::new();
        fs::write(world.path("a"), &old).unwrap();
        assert_eq!(world.begin(0, world.target("a", new.len())), Basis::Bytes);
        let (sent, ready) = world.send_lacking(0, &new);
        assert!(sent < MIB, "{sent}");
        let committed = world.commit(ready);
        assert_eq!(committed.origins.reused_bytes, (new.len() - sent) as u64);
        assert_eq!(world.read("a"), new);
    }
}

#[test]
fn without_delta_the_old_version_is_no_basis() {
    let world = World::new();
    fs::write(world.path("a"), noise(6, 2 * MIB)).unwrap();
    let target = Target { delta: false, ..world.target("a", 2 * MIB) };
    assert_eq!(world.begin(0, target), Basis::Nothing);
}

#[test]
fn a_sparse_file_larger_than_the_disk_is_taken_as_long_as_it_may_fit() {
    let world = World::new();
    let target = world.target("a", 1 << 40);
    if world.receiver.begin(WantId(0), target, world.now).is_err() {
        return; // The file system has no files of this size.
    }
    world.receiver.hole(WantId(0), 1 << 30, 1 << 39, world.now).unwrap();
    world.chunk(0, 0, &noise(8, MIB)).unwrap();
    let partial = world.path(".quicopy/partial").join(&world.left_behind()[0]);
    assert!(fs::metadata(partial).unwrap().blocks() * 512 <= 2 * MIB as u64);
}

#[test]
fn bytes_that_do_not_make_the_announced_file_are_never_committed() {
    let content = noise(8, 2 * MIB);
    let world = World::new();
    fs::write(world.path("a"), b"old").unwrap();
    let target = Target { delta: false, ..world.target("a", content.len()) };
    world.begin(0, target);
    world.chunk(0, MIB, &content[..MIB]).unwrap();
    world.chunk(0, 0, &content[MIB..]).unwrap();
    let error = world.end(0, &content).unwrap_err();
    assert!(matches!(error, ReceiveError::WholeDigest { .. }) && error.is_transient());
    assert_eq!(world.read("a"), b"old");
    assert!(world.left_behind().is_empty());
}

#[test]
fn a_file_that_was_given_up_drops_what_still_comes() {
    let content = noise(11, 2 * MIB);
    let mut world = World::new();
    world.begin(0, world.target("a", content.len()));
    world.chunk(0, 0, &content[..PART]).unwrap();
    world.now += CHECKPOINT_INTERVAL;
    world.fails.store(true, Ordering::Relaxed);
    assert!(matches!(world.chunk(0, MIB, &content[MIB..]), Err(ReceiveError::Sync(_))));
    assert!(matches!(world.chunk(0, PART, &content[PART..2 * PART]), Ok(Step::Dropped)));
    assert!(matches!(world.end(0, &content), Ok(Step::Dropped)));
    assert_eq!(violation(world.end(0, &content)), Violation::UnknownWant);
}

#[test]
fn several_threads_may_bring_parts_of_one_file() {
    let content = noise(12, 16 * MIB);
    let world = World::new();
    world.begin(0, world.target("a", content.len()));
    world.end(0, &content).unwrap();
    let done = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for lane in 0..4 {
            let (world, content, done) = (&world, &content, &done);
            scope.spawn(move || {
                for part in (lane..content.len() / PART).step_by(4) {
                    let offset = part * PART;
                    let mut step = world.chunk(0, offset, &content[offset..offset + PART]).unwrap();
                    if let Step::Ready(_) = &step {
                        done.lock().unwrap().push(std::mem::replace(&mut step, Step::More));
                    }
                }
            });
        }
    });
    let step = done.into_inner().unwrap().pop().unwrap();
    world.commit(ready(step));
    assert_eq!(world.read("a"), content);
}

#[test]
fn a_full_disk_fails_the_file_and_frees_what_it_took() {
    let base = tempfile::tempdir().unwrap();
    let Some(_mount) = SmallDisk::mount(base.path()) else {
        return; // Mounting takes a right that this process does not have.
    };
    let world = World::at(tempfile::tempdir_in(base.path()).unwrap(), Durability::Group);
    fs::write(world.path("a"), b"old").unwrap();
    let target = Target { delta: false, ..world.target("a", 64 * MIB) };
    world.begin(0, target);
    let data = noise(13, MIB);
    let error = (0..64).find_map(|part| world.chunk(0, part * MIB, &data).err()).unwrap();
    assert!(matches!(error, ReceiveError::Full { .. }), "{error}");
    assert_eq!(world.read("a"), b"old");
    assert!(world.left_behind().is_empty());
    world.begin(1, world.target("b", 3));
    world.commit(world.whole(1, b"new"));
    assert_eq!(world.read("b"), b"new");
}

/// A file system of 8 MiB, gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<Self> {
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m,mode=700", "quicopy-test"])
            .arg(at)
            .output();
        mount.is_ok_and(|done| done.status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn parts_in_any_order_make_the_file(
        order in Just((0..10_usize).collect::<Vec<_>>()).prop_shuffle(),
        holes in proptest::collection::vec(any::<bool>(), 8),
        interrupt in 0..10_usize,
    ) {
        // Parts 0 to 7 are data or holes, 8 is the end, 9 is nothing.
        let mut content = noise(20, 8 * PART);
        for (part, _) in holes.iter().enumerate().filter(|(_, hole)| **hole) {
            content[part * PART..(part + 1) * PART].fill(0);
        }
        let world = World::new();
        world.begin(0, world.target("a", content.len()));
        let mut complete = None;
        for (step, &part) in order.iter().enumerate() {
            let answer = match part {
                8 => world.end(0, &content),
                9 => continue,
                part if holes[part] => {
                    world.receiver.hole(WantId(0), (part * PART) as u64, PART as u64, world.now)
                }
                part => world.chunk(0, part * PART, &content[part * PART..(part + 1) * PART]),
            };
            if let Step::Ready(ready) = answer.unwrap() {
                prop_assert!(order[step + 1..].iter().all(|&part| part == 9));
                complete = Some(*ready);
            }
            if step == interrupt {
                prop_assert!(!world.path("a").exists());
            }
        }
        let committed = world.commit(complete.expect("all parts and the end came"));
        let Origins { literal_bytes, hole_bytes, .. } = committed.origins;
        prop_assert_eq!((literal_bytes + hole_bytes) as usize, content.len());
        prop_assert_eq!(world.read("a"), content);
        prop_assert!(world.left_behind().is_empty());
    }
}
