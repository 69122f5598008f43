//! Names as disks allow them.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use super::check;
use quicopy_tests::world::World;

const NAMES: [&[u8]; 20] = [
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"new\nline",
    b"tab\there",
    b"\x1b[31mred",
    b"\xc2\x9bcsi",
    b"bell\x07",
    "\u{202e}bidi".as_bytes(),
    b"-rf",
    b"~",
    b"*",
    b" space ",
    b"$(x)",
    b"quo'te\"",
    b"CON",
    b"nul.txt",
    b"dot.",
    b"a:b",
    b"a\\b",
    b"e\xcc\x81 and \xc3\xa9",
];

#[test]
fn any_name_is_stored_as_it_is_and_shown_escaped() {
    let world = World::new("", "");
    for name in NAMES {
        fs::write(world.source().join(OsStr::from_bytes(name)), name).expect("any name will do");
    }
    let longest = [b'n'; 255];
    fs::write(world.source().join(OsStr::from_bytes(&longest)), b"").expect("255 bytes will do");

    let finished = world.copy("/E /V");
    finished.exits(&[1]);
    world.share_now().must_equal(&world.source_now(), "the share");
    for shown in ["\x1b", "\x07", "\u{9b}", "\u{202e}", "new\nline"] {
        finished.hides(shown);
    }
    world.copy("/E").exits(&[0]);
    world.copy("/MIR").exits(&[0]);
}

#[test]
fn the_private_folders_name_is_skipped_at_any_depth() {
    check("a, .quicopy/x, d/.quicopy/y, d/z", "", "/E", &[1], "a, d/z").says(".quicopy");
    check("a, .QuiCopy/x", "", "/E", &[1], "a");
}
