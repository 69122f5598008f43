//! Entries as they are found, judged under many switches.

use quicopy_protocol::meta::{Meta, Timestamp};
use quicopy_protocol::options::{AttributeFilter, LinkPolicy, Rule};
use rustix::io::Errno;

use super::*;
use crate::source::Unseen;

/// `/E`, in which a test changes what it is about.
fn all() -> Selection {
    Selection { recurse: Recurse::All, ..Selection::default() }
}

fn links(recreate: bool, exclude_dirs: bool, exclude_files: bool) -> Selection {
    Selection {
        links: LinkPolicy { recreate, exclude_dirs, exclude_files, ..LinkPolicy::default() },
        ..all()
    }
}

fn stat(entry_type: Type) -> Stat {
    let identity = Identity { device: 1, inode: 7, ..Identity::default() };
    let mount_root = Some(false);
    Stat {
        entry_type,
        meta: Meta { size_bytes: 5, ..Meta::default() },
        identity,
        accessed: Timestamp::default(),
        names: 2,
        mount_root,
    }
}

fn found(name: &str, entry_type: Type) -> Found {
    let name = Name::new(name.as_bytes()).unwrap();
    Found { name, own: Ok(stat(entry_type)), link: None, attributes: DosAttributes::HIDDEN }
}

/// A link to `target`, or to nothing.
fn link(name: &str, target: Option<Type>) -> Found {
    let target = target.map(stat).ok_or_else(|| Errno::NOENT.into());
    let ends = LinkEnds { text: Ok(b"text".to_vec()), target };
    Found { link: Some(Box::new(ends)), ..found(name, Type::Link) }
}

/// The file that takes no part.
const LEFT_OUT: u64 = 9;

/// Judges in a directory `depth` levels below the root, within directories of the inode `within`.
fn judge_at(selection: &Selection, found: Found, depth: usize, within: u64) -> Judged {
    let path = RelPath::parse(vec!["d"; depth].join("/").as_bytes()).unwrap();
    let is_within = |identity: &Identity| identity.inode == within;
    // The root of the job is that of a file system.
    let is_mount = depth == 0;
    let here = Here { path: &path, depth, device: 1, is_mount, is_within: &is_within };
    let filter = Filter::new(selection).unwrap();
    let left_out = Some(Identity { inode: LEFT_OUT, ..stat(Type::File).identity });
    Judge { filter: &filter, selection, lists_attributes: false, left_out }.judge(&here, found)
}

fn check(selection: &Selection, found: Found, kind: Kind, skip: Option<Skip>) {
    let judged = judge_at(selection, found, 0, 0);
    let entry = judged.scanned.entry;
    assert_eq!((&entry.kind, entry.skip), (&kind, skip), "{}", entry.name);
    assert_eq!(judged.failure.is_some(), skip == Some(Skip::Unreadable));
    assert_eq!(judged.enter.is_some(), kind == Kind::Directory && skip.is_none());
}

fn text() -> Kind {
    Kind::Link { target: (*b"text").into() }
}

#[test]
fn links_become_what_the_switches_say() {
    use Kind::{Directory, File};
    let cases = [
        // (switches; a link to a directory, to a file, to nothing)
        (
            links(false, false, false),
            (Directory, None),
            (File, None),
            (File, Some(Skip::Unreadable)),
        ),
        (links(true, false, false), (text(), None), (text(), None), (text(), None)),
        (
            links(false, true, true),
            (Directory, Some(Skip::Link)),
            (File, Some(Skip::Link)),
            (File, Some(Skip::Link)),
        ),
        (
            links(false, true, false),
            (Directory, Some(Skip::Link)),
            (File, None),
            (File, Some(Skip::Unreadable)),
        ),
        (
            links(false, false, true),
            (Directory, None),
            (File, Some(Skip::Link)),
            (File, Some(Skip::Link)),
        ),
        (
            links(true, true, true),
            (Directory, Some(Skip::Link)),
            (File, Some(Skip::Link)),
            (File, Some(Skip::Link)),
        ),
    ];
    for (selection, to_dir, to_file, to_nothing) in cases {
        check(&selection, link("d", Some(Type::Directory)), to_dir.0, to_dir.1);
        check(&selection, link("f", Some(Type::File)), to_file.0, to_file.1);
        check(&selection, link("n", None), to_nothing.0, to_nothing.1);
    }
}

#[test]
fn a_link_that_is_recreated_is_left_out_by_either_list() {
    let named = |name: &str| vec![Rule::Name(name.to_owned())];
    let selection = Selection {
        exclude_files: named("f"),
        exclude_dirs: named("d"),
        ..links(true, false, false)
    };
    for target in [Some(Type::Directory), Some(Type::File), None] {
        check(&selection, link("f", target), text(), Some(Skip::Named));
        check(&selection, link("d", target), text(), Some(Skip::Named));
        check(&selection, link("x", target), text(), None);
    }
}

#[test]
fn what_holds_no_content_is_listed_and_skipped() {
    check(&all(), found("fifo", Type::Special), Kind::Special, Some(Skip::Special));
    check(&all(), link("to-device", Some(Type::Special)), Kind::Special, Some(Skip::Special));
    check(&all(), found(".quicopy", Type::Directory), Kind::Directory, Some(Skip::Reserved));
    check(&all(), found(".~Quicopy-1", Type::File), Kind::File, Some(Skip::Reserved));
}

#[test]
fn what_a_file_system_keeps_in_its_root_is_left_out() {
    for name in ["lost+found", "System Volume Information", "$Recycle.Bin"] {
        check(&all(), found(name, Type::Directory), Kind::Directory, Some(Skip::Named));
        check(&all(), found(name, Type::File), Kind::File, None);
        let deeper = judge_at(&all(), found(name, Type::Directory), 1, 0);
        assert_eq!(deeper.scanned.entry.skip, None);
    }
}

#[test]
fn depth_is_counted_from_the_root_as_level_one() {
    let skip = |selection: &Selection, depth| {
        judge_at(selection, found("sub", Type::Directory), depth, 0).scanned.entry.skip
    };
    let levels = |levels| Selection { levels: Some(levels), ..all() };
    assert_eq!((skip(&levels(2), 0), skip(&levels(2), 1)), (None, Some(Skip::TooDeep)));
    assert_eq!(skip(&levels(1), 0), Some(Skip::TooDeep));
    assert_eq!(skip(&Selection::default(), 0), Some(Skip::TooDeep));
    assert_eq!(skip(&levels(u32::MAX), 200), None);
}

#[test]
fn a_directory_that_is_its_own_ancestor_is_a_loop() {
    let looping = judge_at(&all(), link("up", Some(Type::Directory)), 1, 7);
    assert_eq!(looping.scanned.entry.skip, Some(Skip::Loop));
    let recreated = judge_at(&links(true, false, false), link("up", Some(Type::Directory)), 1, 7);
    assert_eq!(recreated.scanned.entry.skip, None);
}

#[test]
fn a_mount_point_is_followed_unless_junctions_are_excluded() {
    let mount = |mount_root, device| {
        let mut mount = found("mnt", Type::Directory);
        let identity = Identity { device, ..stat(Type::Directory).identity };
        mount.own = Ok(Stat { mount_root, identity, ..stat(Type::Directory) });
        mount
    };
    let exclude = links(false, true, false);
    for (mount_root, device) in [(Some(true), 1), (None, 2)] {
        check(&all(), mount(mount_root, device), Kind::Directory, None);
        check(&exclude, mount(mount_root, device), Kind::Directory, Some(Skip::Link));
    }
    check(&exclude, mount(Some(false), 2), Kind::Directory, None);
    let mut empty = all();
    empty.links.empty_mounts = true;
    let is_listed = |selection, found| judge_at(selection, found, 0, 7).enter.unwrap().is_listed;
    // It is no loop then either.
    assert!(!is_listed(&empty, mount(Some(true), 1)));
    assert_eq!(judge_at(&empty, mount(Some(false), 1), 0, 7).scanned.entry.skip, Some(Skip::Loop));
}

#[test]
fn exclusion_by_name_goes_before_trouble() {
    let selection = Selection {
        exclude_files: vec![Rule::Name("bad*".into())],
        exclude_dirs: vec![Rule::Name("bad*".into())],
        ..all()
    };
    check(&selection, link("bad-link", None), Kind::File, Some(Skip::Named));
    check(&selection, link("link", None), Kind::File, Some(Skip::Unreadable));
    for (entry_type, kind) in [(Type::File, Kind::File), (Type::Directory, Kind::Directory)] {
        let unseen = |name| {
            let own = Err(Unseen { entry_type, error: Errno::IO.into() });
            Found { own, ..found(name, entry_type) }
        };
        check(&selection, unseen("bad"), kind.clone(), Some(Skip::Named));
        check(&selection, unseen("good"), kind, Some(Skip::Unreadable));
    }
}

#[test]
fn a_path_beyond_the_limits_is_one_failed_entry() {
    let judged = judge_at(&all(), found("x", Type::Directory), PATH_DEPTH_MAX, 0);
    assert_eq!(judged.failure.unwrap().windows_code, 206);
    let judged = judge_at(&all(), found("x", Type::Directory), PATH_DEPTH_MAX - 1, 0);
    assert!(judged.failure.is_none() && judged.enter.is_some());
}

#[test]
fn a_dangling_link_carries_robocopys_error_2() {
    let judged = judge_at(&all(), link("n", None), 0, 0);
    assert_eq!(judged.failure.unwrap().windows_code, 2);
}

#[test]
fn attributes_decide_about_files_and_about_what_links_lead_to() {
    let none_of = DosAttributes::HIDDEN;
    let attributes = AttributeFilter { none_of, ..AttributeFilter::default() };
    let selection = Selection { attributes, ..all() };
    check(&selection, found("f", Type::File), Kind::File, Some(Skip::Attributes));
    check(&selection, link("l", Some(Type::File)), Kind::File, Some(Skip::Attributes));
    check(&selection, found("d", Type::Directory), Kind::Directory, None);
}

#[test]
fn what_a_link_leads_to_counts_as_a_file_of_one_name() {
    let names = |found| judge_at(&all(), found, 0, 0).scanned.names;
    assert_eq!(names(found("f", Type::File)), 2);
    assert_eq!(names(link("l", Some(Type::File))), 1);
}

#[test]
fn the_file_that_is_left_out_is_known_by_any_name_and_through_links() {
    let mut own = stat(Type::File);
    own.identity.inode = LEFT_OUT;
    let file = Found { own: Ok(own), ..found("log", Type::File) };
    check(&all(), file, Kind::File, Some(Skip::Named));
    let ends = LinkEnds { text: Ok(b"text".to_vec()), target: Ok(own) };
    let link = Found { link: Some(Box::new(ends)), ..found("log", Type::Link) };
    check(&all(), link, Kind::File, Some(Skip::Named));
}

#[test]
fn of_a_link_that_is_followed_the_link_itself_is_known() {
    let link_of = |found| judge_at(&all(), found, 0, 0).scanned.link;
    assert_eq!(link_of(link("l", Some(Type::File))).unwrap().identity, stat(Type::Link).identity);
    assert_eq!(link_of(found("f", Type::File)), None);
}
