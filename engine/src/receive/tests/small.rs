//! Entries that come whole.

use super::*;

#[test]
fn a_small_file_takes_its_place_with_content_mode_and_time() {
    let world = World::new();
    world.begin(0, world.target("a", 5));
    let committed = world.commit(world.whole(0, b"hello"));
    assert_eq!(world.read("a"), b"hello");
    let found = fs::metadata(world.path("a")).unwrap();
    assert_eq!(found.permissions().mode() & 0o7777, 0o640);
    assert_eq!((found.mtime(), found.mtime_nsec()), (1_000_000_000, 123_456_789));
    assert_eq!(committed.stat.inode, found.ino());
    assert_eq!(committed.digest, Some(Digest::of(b"hello")));
    assert!(world.left_behind().is_empty());
    world.share.tidy().unwrap();
    assert_eq!(names(world.temp.path()), ["a"]);
}

#[test]
fn user_attributes_are_kept_and_others_are_not_even_tried() {
    let world = World::new();
    world.begin(0, world.target("a", 1));
    let attribute =
        |name: &str| Attribute { name: name.as_bytes().into(), value: b"value".as_slice().into() };
    let attributes = [attribute("user.note"), attribute("security.capability")];
    let step = world.receiver.whole_file(WantId(0), Digest::of(b"x"), &attributes, b"x").unwrap();
    let committed = world.commit(ready(step));
    assert!(committed.ignored.attributes);
    let file = File::open(world.path("a")).unwrap();
    assert!(rustix::fs::fgetxattr_query(&file, c"security.capability").is_err());
    if rustix::fs::fsetxattr(&file, c"user.probe", b"", rustix::fs::XattrFlags::empty()).is_ok() {
        assert_eq!(rustix::fs::fgetxattr_query(&file, c"user.note"), Ok(5));
    }
}

#[test]
fn a_small_file_that_is_not_what_was_said_leaves_nothing() {
    let world = World::new();
    world.begin(0, world.target("a", 5));
    let wrong = world.receiver.whole_file(WantId(0), Digest::of(b"other"), &[], b"hello");
    assert_eq!(violation(wrong), Violation::Digest);
    world.begin(1, world.target("a", 5));
    let long = world.receiver.whole_file(WantId(1), Digest::of(b"hello!"), &[], b"hello!");
    assert_eq!(violation(long), Violation::Size);
    assert!(world.left_behind().is_empty() && !world.path("a").exists());
}

#[test]
fn a_link_takes_its_place_like_a_file() {
    let world = World::new();
    let committed = world.commit(world.receiver.link(world.target("l", 0), b"../x").unwrap());
    assert_eq!(fs::read_link(world.path("l")).unwrap(), PathBuf::from("../x"));
    assert_eq!(committed.stat.modified.seconds, 1_000_000_000);
    let again = world.receiver.link(world.target("l", 0), b"y").unwrap();
    world.commit(again);
    assert_eq!(fs::read_link(world.path("l")).unwrap(), PathBuf::from("y"));
}
