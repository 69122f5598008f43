//! Times, modes, attributes, holes.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

use super::check;
use quicopy_tests::{tree::Snapshot, world::World};

#[test]
fn times_and_modes_come_along() {
    let source = "a @1.000000001 0600, b @4000000000 0755, c @0 0444, d/e 0640, f 0B @1, d/ 0750";
    check(source, "", "/E", &[1], source);
    check(source, "", "/E /COPY:DA", &[1], source);
}

#[test]
fn a_read_only_file_is_overwritten() {
    check("a @20", "a @10 0444", "", &[1], "a @20");
}

#[test]
fn a_file_can_be_made_without_its_content() {
    check("a 100B @10", "", "/CREATE", &[1], "a 0B @10");
    check("a 100B @10", "a 0B @10", "", &[1], "a 100B @10");
}

#[test]
fn times_before_1970_come_along() {
    let world = World::new("a", "");
    let path = world.source().join("a");
    let stamped = std::process::Command::new("touch")
        .args(["-d", "1901-12-31T00:00:00.5Z"])
        .arg(&path)
        .status()
        .expect("touch is part of every system");
    assert!(stamped.success());
    world.copy("").exits(&[1]);
    world.share_now().must_equal(&world.source_now(), "the share");
    world.copy("").exits(&[0]);
}

#[test]
fn user_attributes_come_along_with_the_content() {
    use rustix::fs::{XattrFlags, getxattr, setxattr};

    let world = World::new("a", "");
    let value = b"any bytes \0\xff";
    if setxattr(world.source().join("a"), "user.note", value, XattrFlags::empty()).is_err() {
        return; // The file system of the temporary folder keeps none.
    }
    world.copy("").exits(&[1]);
    let mut there = vec![0; 100];
    let length = getxattr(world.share().join("a"), "user.note", &mut there).expect("it was copied");
    assert_eq!(&there[..length], value);
}

#[test]
fn holes_stay_holes() {
    let world = World::new("", "");
    let sparse = File::create(world.source().join("sparse")).expect("a new file");
    sparse.write_all_at(b"head", 0).expect("room");
    sparse.write_all_at(b"tail", 256 << 20).expect("room");
    drop(sparse);
    world.copy("").exits(&[1]);
    world.share_now().must_equal(&world.source_now(), "the share");
    let copied = fs::metadata(world.share().join("sparse")).expect("it was copied");
    assert!(copied.blocks() * 512 < 8 << 20, "{} bytes are allocated", copied.blocks() * 512);
}

#[test]
fn holes_are_written_if_asked_for() {
    let world = World::new("", "");
    let sparse = File::create(world.source().join("sparse")).expect("a new file");
    sparse.write_all_at(b"tail", 16 << 20).expect("room");
    drop(sparse);
    world.copy("/SPARSE:N").exits(&[1]);
    world.share_now().must_equal(&world.source_now(), "the share");
    let copied = fs::metadata(world.share().join("sparse")).expect("it was copied");
    assert!(copied.blocks() * 512 >= 16 << 20, "{} bytes are allocated", copied.blocks() * 512);
}

#[test]
fn sizes_at_the_borders_of_pieces_are_copied() {
    let sizes = ["0B", "1B", "4095B", "4096B", "1048575B", "1048576B", "1048577B", "5M"];
    let source: Vec<_> = sizes.iter().map(|size| format!("f{size} {size}")).collect();
    check(&source.join(","), "", "", &[1], &source.join(","));
}

#[test]
fn a_changed_file_is_built_from_its_old_bytes() {
    let world = World::new("a 8M @20 #1", "a 8M @10 #1");
    let old = File::options().write(true).open(world.share().join("a")).expect("it was built");
    old.write_all_at(b"changed", 4 << 20).expect("room");
    drop(old);
    let summary = world.copy("--json").exits(&[1]).summary();
    world.share_now().must_equal(&Snapshot::described("a 8M @20 #1"), "the share");
    // A local job may well copy all of it: no line is spared. It may not count the same byte twice.
    assert_eq!(summary.literal_bytes + summary.reused_bytes, 8 << 20);
    assert!(
        !world.share().join(Path::new(".quicopy")).exists(),
        "the private folder was left behind"
    );
}

/// A POSIX access list in its form on disk: what the owner, user 1, the group, anybody listed at most, and others may.
///
/// Source: posix_acl_xattr.h of Linux.
fn access_list(rights: [u16; 5]) -> Vec<u8> {
    const TAGS: [u16; 5] = [0x01, 0x02, 0x04, 0x10, 0x20];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, right) in TAGS.into_iter().zip(rights) {
        list.extend([tag.to_le_bytes(), right.to_le_bytes()].concat());
        list.extend(if tag == 0x02 { 1_u32 } else { u32::MAX }.to_le_bytes());
    }
    list
}

#[test]
fn a_tweaked_file_gets_its_access_list_where_security_is_copied() {
    use rustix::fs::{XattrFlags, getxattr, setxattr};
    const NAME: &str = "system.posix_acl_access";
    let world = World::new("a", "a 0600");
    let list = access_list([6, 4, 4, 4, 4]);
    if setxattr(world.source().join("a"), NAME, &list, XattrFlags::empty()).is_err() {
        return;
    }
    let there = || {
        let mut value = [0; 256];
        let length = getxattr(world.share().join("a"), NAME, &mut value).unwrap_or(0);
        value[..length].to_vec()
    };
    world.copy("/IT").exits(&[1]).says("Tweaked");
    assert!(there().is_empty(), "nobody asked for it");
    world.set_mode("site-b/share/a", 0o600);
    world.copy("/COPY:DATS /IT").exits(&[1]).says("Tweaked");
    assert_eq!(there(), list);
    world.copy("/COPY:DATS /IT").exits(&[0]);
}
