//! Where files go, whatever others put in the way.

use super::*;

#[test]
fn a_directory_that_hands_its_group_down_holds_the_partials_itself() {
    let world = World::new();
    let dir = world.path("shared");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o2775)).unwrap();
    let handle = world.share.root().open_dir(&Name::new(*b"shared").unwrap()).unwrap();
    let content = noise(10, 2 * MIB);
    for interrupted in [true, false] {
        let target = Target { dir: handle.clone(), ..world.target("a", content.len()) };
        world.begin(0, target);
        if interrupted {
            world.chunk(0, 0, &content[..MIB]).unwrap();
            assert!(names(&dir)[0].starts_with(".~quicopy-"));
            world.receiver.park(world.now);
        } else {
            let (sent, ready) = world.send_lacking(0, &content);
            assert!(sent >= MIB);
            world.commit(ready);
        }
    }
    assert_eq!(names(&dir), ["a"]);
    assert_eq!(fs::read(dir.join("a")).unwrap(), content);
    assert!(world.left_behind().is_empty());
}

#[test]
fn targets_that_are_links_fifos_or_second_names_are_replaced_not_followed() {
    for kind in ["symlink", "fifo", "hard link"] {
        let world = World::new();
        fs::write(world.path("foreign"), b"foreign").unwrap();
        match kind {
            "symlink" => symlink("foreign", world.path("a")).unwrap(),
            "fifo" => {
                let mode = rustix::fs::Mode::RUSR;
                rustix::fs::mkfifoat(world.share.root(), c"a", mode).unwrap();
            }
            _ => fs::hard_link(world.path("foreign"), world.path("a")).unwrap(),
        }
        world.begin(0, world.target("a", 3));
        world.commit(world.whole(0, b"new"));
        assert_eq!(world.read("a"), b"new", "{kind}");
        assert!(fs::symlink_metadata(world.path("a")).unwrap().is_file(), "{kind}");
        assert_eq!(world.read("foreign"), b"foreign", "{kind}");
    }
}

#[test]
fn a_private_folder_that_is_a_link_or_open_to_others_is_refused() {
    let world = World::new();
    fs::create_dir(world.path("elsewhere")).unwrap();
    symlink("elsewhere", world.path(".quicopy")).unwrap();
    assert!(world.share.private().is_err());
    fs::remove_file(world.path(".quicopy")).unwrap();
    fs::create_dir(world.path(".quicopy")).unwrap();
    fs::set_permissions(world.path(".quicopy"), fs::Permissions::from_mode(0o770)).unwrap();
    assert!(world.share.private().is_err());
    assert!(names(&world.path("elsewhere")).is_empty());
}

#[test]
fn our_own_names_are_nobodys_destination() {
    let world = World::new();
    world.share.private().unwrap();
    for path in [".quicopy", ".QUICOPY/partial", "a/.quicopy"] {
        let path = RelPath::parse(path.as_bytes()).unwrap();
        assert!(world.share.tree(&path).is_err() && world.share.make_tree(&path).is_err());
    }
    let target = world.target(".~quicopy-1.part", 1);
    let refused = world.receiver.begin(WantId(0), target, world.now);
    assert!(matches!(refused, Err(ReceiveError::Reserved)));
}

#[test]
fn a_second_process_is_refused_until_the_first_is_gone() {
    let world = World::new();
    world.share.private().unwrap();
    let second = Share::open(world.temp.path()).unwrap();
    assert!(matches!(second.private(), Err(crate::disk::ShareError::Locked)));
    world.share.tidy().unwrap();
    second.private().unwrap();
}

#[test]
fn swapping_a_directory_for_a_link_never_leads_outside() {
    let world = World::new();
    let canary = tempfile::tempdir().unwrap();
    let (dir, aside) = (world.path("d"), world.path("aside"));
    fs::create_dir(&dir).unwrap();
    symlink(canary.path(), &aside).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (flags, cwd) = (rustix::fs::RenameFlags::EXCHANGE, rustix::fs::CWD);
            while !stop.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(cwd, &dir, cwd, &aside, flags).unwrap();
            }
        });
        let (name, file) = (Name::new(*b"d").unwrap(), Name::new(*b"f").unwrap());
        let change = MetaChange { mode: Some(0o600), ..MetaChange::default() };
        let (mut opened, mut refused) = (0, 0);
        for _ in 0..200_000 {
            match world.share.root().open_dir(&name) {
                Err(_) => refused += 1,
                Ok(dir) => {
                    opened += 1;
                    drop(dir.create_file(&file).unwrap());
                    dir.set_meta(&file, &change, None).unwrap();
                    dir.remove_file(&file).unwrap();
                }
            }
            if opened.min(refused) > 500 {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(names(canary.path()).is_empty());
}
