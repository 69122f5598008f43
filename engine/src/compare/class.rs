//! The class of one name.

use std::cmp::Ordering;

use quicopy_protocol::meta::{Entry, Kind};
use quicopy_protocol::options::CopyFlags;
use quicopy_protocol::verdict::FileClass;

use super::{Present, Tolerances};

/// The bits of a mode that a quick check compares: what `chmod` is mostly used for. Set-user-id, set-group-id and the
/// sticky bit are left out, because file systems and directories change them by themselves.
const COMPARED_MODE: u16 = 0o777;

/// Classifies one entry of the source against what the destination has under its name.
///
/// For files the first difference decides, in the order time, size, permission bits, DOS attributes; the last two only when `copy`
/// carries attributes, and those of DOS only where both sides have read them. Links are the same when their texts are: many file systems cannot set a link's own time. Directories on
/// both sides are always the same, what they hold is classified by itself.
///
/// Source: Robocopy.exe reference guide (XP010), "Using Robocopy File Classes".
pub fn classify(
    source: &Entry,
    destination: Option<&Present>,
    tolerances: &Tolerances,
    copy: CopyFlags,
) -> FileClass {
    let Some(destination) = destination else { return FileClass::Lonely };
    match (&source.kind, &destination.kind) {
        (Kind::File | Kind::HardLink { .. }, Kind::File) => {
            classify_file(source, destination, tolerances, copy)
        }
        (Kind::Directory, Kind::Directory) => FileClass::Same,
        (Kind::Link { target }, Kind::Link { target: present }) if target == present => {
            FileClass::Same
        }
        (Kind::Link { .. }, Kind::Link { .. }) => FileClass::Changed,
        (
            Kind::File
            | Kind::Directory
            | Kind::Link { .. }
            | Kind::HardLink { .. }
            | Kind::Special,
            _,
        ) => FileClass::Mismatched,
    }
}

fn classify_file(
    source: &Entry,
    destination: &Present,
    tolerances: &Tolerances,
    copy: CopyFlags,
) -> FileClass {
    match tolerances.compare(source.meta.modified, destination.modified) {
        Ordering::Greater => return FileClass::Newer,
        Ordering::Less => return FileClass::Older,
        Ordering::Equal => {}
    }
    if source.meta.size_bytes != destination.size_bytes {
        return FileClass::Changed;
    }
    if copy.attributes && (source.meta.mode ^ destination.mode) & COMPARED_MODE != 0 {
        return FileClass::Tweaked;
    }
    match (source.meta.attributes, destination.attributes) {
        (Some(ours), Some(theirs)) if copy.attributes && ours != theirs => FileClass::Tweaked,
        _ => FileClass::Same,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use quicopy_protocol::meta::{Meta, Timestamp};
    use quicopy_protocol::options::Tolerance;
    use quicopy_protocol::path::Name;

    use super::*;

    const EXACT: Tolerances =
        Tolerances { asked: Tolerance { fat: false, daylight_saving: false }, step_nanos: 1 };

    fn entry(kind: Kind, size_bytes: u64, seconds: i64, mode: u16) -> Entry {
        let modified = Timestamp { seconds, nanos: 0 };
        let meta = Meta { size_bytes, modified, mode, ..Meta::default() };
        Entry { name: Name::new(*b"a").unwrap(), kind, meta, skip: None }
    }

    fn present(kind: Kind, size_bytes: u64, seconds: i64, mode: u16) -> Present {
        let modified = Timestamp { seconds, nanos: 0 };
        let changed = Timestamp::default();
        Present {
            kind,
            size_bytes,
            modified,
            mode,
            owner: 0,
            group: 0,
            device: 1,
            inode: 1,
            changed,
            links: 1,
            mounted: false,
            attributes: None,
        }
    }

    fn check_file(source: (u64, i64, u16), destination: (u64, i64, u16), class: FileClass) {
        let source = entry(Kind::File, source.0, source.1, source.2);
        let destination = present(Kind::File, destination.0, destination.1, destination.2);
        assert_eq!(classify(&source, Some(&destination), &EXACT, CopyFlags::DAT), class);
    }

    fn check_kinds(source: &str, destination: &str, class: FileClass) {
        let kind = |text: &str| match text {
            "file" => Kind::File,
            "directory" => Kind::Directory,
            "special" => Kind::Special,
            link => Kind::Link { target: link.as_bytes().into() },
        };
        let source = entry(kind(source), 5, 10, 0o644);
        let destination = present(kind(destination), 5, 20, 0o755);
        assert_eq!(classify(&source, Some(&destination), &EXACT, CopyFlags::DAT), class);
    }

    #[test]
    fn the_first_difference_decides_time_then_size_then_mode() {
        check_file((5, 10, 0o644), (5, 10, 0o644), FileClass::Same); // (size in bytes, modified in seconds, mode)
        check_file((5, 20, 0o644), (5, 10, 0o644), FileClass::Newer);
        check_file((6, 20, 0o600), (5, 10, 0o644), FileClass::Newer);
        check_file((5, 10, 0o644), (5, 20, 0o644), FileClass::Older);
        check_file((6, 10, 0o644), (5, 20, 0o600), FileClass::Older);
        check_file((5, 10, 0o644), (6, 10, 0o644), FileClass::Changed);
        check_file((5, 10, 0o644), (6, 10, 0o600), FileClass::Changed);
        check_file((5, 10, 0o444), (5, 10, 0o644), FileClass::Tweaked);
    }

    #[test]
    fn a_name_that_only_the_source_has_is_lonely() {
        for kind in [Kind::File, Kind::Directory, Kind::Link { target: (*b"x").into() }] {
            let source = entry(kind, 5, 10, 0o644);
            assert_eq!(classify(&source, None, &EXACT, CopyFlags::DAT), FileClass::Lonely);
        }
    }

    #[test]
    fn modes_count_only_in_their_nine_bits_and_only_when_attributes_are_copied() {
        check_file((5, 10, 0o4755), (5, 10, 0o755), FileClass::Same);
        check_file((5, 10, 0o755), (5, 10, 0o1755), FileClass::Same);
        let (source, there) = (entry(Kind::File, 5, 10, 0o444), present(Kind::File, 5, 10, 0o644));
        let copy = CopyFlags { attributes: false, ..CopyFlags::DAT };
        assert_eq!(classify(&source, Some(&there), &EXACT, copy), FileClass::Same);
    }

    #[test]
    fn links_are_the_same_when_their_texts_are() {
        check_kinds("->x", "->x", FileClass::Same);
        check_kinds("->x", "->y", FileClass::Changed);
    }

    #[test]
    fn directories_on_both_sides_are_the_same_whatever_their_times() {
        check_kinds("directory", "directory", FileClass::Same);
    }

    #[test]
    fn kinds_that_differ_are_mismatched() {
        check_kinds("file", "directory", FileClass::Mismatched);
        check_kinds("file", "->x", FileClass::Mismatched);
        check_kinds("file", "special", FileClass::Mismatched);
        check_kinds("directory", "file", FileClass::Mismatched);
        check_kinds("directory", "->x", FileClass::Mismatched);
        check_kinds("->x", "file", FileClass::Mismatched);
        check_kinds("->x", "directory", FileClass::Mismatched);
        check_kinds("special", "special", FileClass::Mismatched);
    }
}
