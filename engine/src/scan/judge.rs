//! What an entry counts as: a table of rules over what was found, without a disk.

use std::io;

use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::limits::{LINK_TARGET_BYTES_MAX, PATH_BYTES_MAX, PATH_DEPTH_MAX};
use quicopy_protocol::meta::{Entry, Kind, Meta, Skip};
use quicopy_protocol::options::{Recurse, Selection};
use quicopy_protocol::path::{Name, RelPath};

use super::ScannedEntry;
use crate::fault;
use crate::filter::Filter;
use crate::source::{Found, Identity, Links, Stat, Type};

/// The rules of a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judge<'a> {
    pub(super) filter: &'a Filter,
    pub(super) selection: &'a Selection,
}

/// The directory whose entries are judged.
pub(super) struct Here<'a> {
    pub(super) path: &'a RelPath,
    /// Components of `path`.
    pub(super) depth: usize,
    pub(super) device: u64,
    /// Whether a directory is this one or one above it.
    pub(super) is_within: &'a dyn Fn(&Identity) -> bool,
}

/// The verdict on one entry.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) scanned: ScannedEntry,
    /// Set when the entry counts as failed.
    pub(super) failure: Option<Failure>,
    /// Set when the scan goes on in this directory: where, and whether its name may be a link.
    pub(super) enter: Option<(RelPath, Links)>,
}

impl Judge<'_> {
    /// Judges one entry of the directory `here`.
    pub(super) fn judge(&self, here: &Here<'_>, found: Found) -> Judged {
        let name = found.name;
        if name.is_reserved() {
            let entry_type = match &found.own {
                Ok(stat) => stat.entry_type,
                Err(unseen) => unseen.entry_type,
            };
            return Judged::skipped(name, plain_kind(entry_type), Skip::Reserved);
        }
        if !fits(here, &name) {
            let reason = "the path is too long to travel; shorten it";
            return Judged::failed(
                name,
                Kind::File,
                Failure::new(Operation::CopyFile, 206, reason),
            );
        }
        match (found.own, found.link) {
            (Err(unseen), _) => self.unreadable(here, name, unseen.entry_type, &unseen.error),
            (Ok(stat), None) => self.entry(here, name, stat, Links::Refuse),
            (Ok(link), Some(ends)) => match &ends.target {
                Ok(target) if target.entry_type == Type::Directory => {
                    self.dir_link(here, name, link, ends.text, *target)
                }
                _ => self.file_link(here, name, link, ends.text, ends.target),
            },
        }
    }

    /// An entry that is no link, or the target of one that is followed.
    fn entry(&self, here: &Here<'_>, name: Name, stat: Stat, via: Links) -> Judged {
        match stat.entry_type {
            Type::File => {
                let skip = self.filter.file(here.path, &name, &stat.meta);
                Judged::plain(name, Kind::File, stat, skip)
            }
            Type::Directory => {
                let Ok(path) = here.path.join(&name) else {
                    unreachable!("the path was found to fit")
                };
                let skip =
                    self.directory_skip(here, &path).or_else(|| self.entry_skip(here, &stat));
                let mut judged = Judged::plain(name, Kind::Directory, stat, skip);
                judged.enter = skip.is_none().then_some((path, via));
                judged
            }
            // Behind a link there is none, and a link itself is judged elsewhere.
            Type::Link | Type::Special => {
                Judged::plain(name, Kind::Special, stat, Some(Skip::Special))
            }
        }
    }

    fn dir_link(
        &self,
        here: &Here<'_>,
        name: Name,
        link: Stat,
        text: io::Result<Vec<u8>>,
        target: Stat,
    ) -> Judged {
        if self.selection.links.exclude_dirs {
            Judged::plain(name, Kind::Directory, target, Some(Skip::Link))
        } else if self.selection.links.recreate {
            let path = here.path.join(&name).ok();
            let skip = path.and_then(|path| self.directory_skip(here, &path));
            let skip = skip.or_else(|| self.link_skip(here, &name));
            Judged::recreated(name, link, text, skip)
        } else {
            self.entry(here, name, target, Links::Follow)
        }
    }

    /// A link to anything but a directory, or to nothing: that counts as a link to a file.
    fn file_link(
        &self,
        here: &Here<'_>,
        name: Name,
        link: Stat,
        text: io::Result<Vec<u8>>,
        target: io::Result<Stat>,
    ) -> Judged {
        if self.selection.links.exclude_files {
            return match target {
                Ok(target) => Judged::plain(name, Kind::File, target, Some(Skip::Link)),
                Err(_) => Judged::skipped(name, Kind::File, Skip::Link),
            };
        }
        if self.selection.links.recreate {
            let skip = self.filter.file_name(here.path, &name);
            let skip = skip.or_else(|| self.link_skip(here, &name));
            return Judged::recreated(name, link, text, skip);
        }
        match target {
            Ok(target) => self.entry(here, name, target, Links::Follow),
            Err(error) => self.unreadable(here, name, Type::File, &error),
        }
    }

    /// Why a link that would be recreated does not take part, whatever it points to. At the destination it may stand for
    /// either, so either list protects it there; what is protected there must not be copied from here.
    fn link_skip(&self, here: &Here<'_>, name: &Name) -> Option<Skip> {
        let is_excluded = self.filter.file_name_excluded(here.path, name)
            || here.path.join(name).is_ok_and(|path| self.filter.dir_excluded(&path));
        is_excluded.then_some(Skip::Named)
    }

    /// An entry that could not be looked at: an exclusion by name holds all the same.
    fn unreadable(&self, here: &Here<'_>, name: Name, seen: Type, error: &io::Error) -> Judged {
        let kind = plain_kind(seen);
        let (skip, operation) = match kind {
            Kind::Directory => {
                let path = here.path.join(&name).ok();
                let skip = path.and_then(|path| self.directory_skip(here, &path));
                (skip, Operation::AccessSourceDirectory)
            }
            Kind::File | Kind::Link { .. } | Kind::HardLink { .. } | Kind::Special => {
                (self.filter.file_name(here.path, &name), Operation::CopyFile)
            }
        };
        match skip {
            Some(skip) => Judged::skipped(name, kind, skip),
            None => Judged::failed(name, kind, fault::failure(operation, error)),
        }
    }

    /// Why the directory `path` in `here` does not take part, by its name and depth alone.
    fn directory_skip(&self, here: &Here<'_>, path: &RelPath) -> Option<Skip> {
        // The root is level 1, so that what it holds is level 2.
        let level = here.depth as u64 + 2;
        if let Some(skip) = self.filter.directory(path) {
            Some(skip)
        } else if self.selection.recurse == Recurse::RootOnly
            || self.selection.levels.is_some_and(|levels| level > u64::from(levels))
        {
            Some(Skip::TooDeep)
        } else {
            None
        }
    }

    /// Why a directory that takes part is not entered, by where it stands.
    fn entry_skip(&self, here: &Here<'_>, stat: &Stat) -> Option<Skip> {
        let is_mount = stat.mount_root.unwrap_or(stat.identity.device != here.device);
        if is_mount && self.selection.links.exclude_dirs {
            Some(Skip::Link)
        } else if (here.is_within)(&stat.identity) {
            Some(Skip::Loop)
        } else {
            None
        }
    }
}

impl Judged {
    fn plain(name: Name, kind: Kind, stat: Stat, skip: Option<Skip>) -> Self {
        let entry = Entry { name, kind, meta: stat.meta, skip };
        let scanned = ScannedEntry { entry, identity: stat.identity };
        Self { scanned, failure: None, enter: None }
    }

    /// An entry that nobody looks at further.
    fn skipped(name: Name, kind: Kind, skip: Skip) -> Self {
        let entry = Entry { name, kind, meta: Meta::default(), skip: Some(skip) };
        let scanned = ScannedEntry { entry, identity: Identity::default() };
        Self { scanned, failure: None, enter: None }
    }

    fn failed(name: Name, kind: Kind, failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::skipped(name, kind, Skip::Unreadable) }
    }

    fn recreated(name: Name, link: Stat, text: io::Result<Vec<u8>>, skip: Option<Skip>) -> Self {
        let failure = match text {
            Ok(text) if (1..=LINK_TARGET_BYTES_MAX).contains(&text.len()) => {
                return Self::plain(name, Kind::Link { target: text.into() }, link, skip);
            }
            Ok(text) => {
                let reason = format!("a link with a text of {} bytes cannot travel", text.len());
                Failure::new(Operation::CopyFile, 206, reason)
            }
            Err(error) => fault::failure(Operation::CopyFile, &error),
        };
        match skip {
            Some(skip) => Self::skipped(name, Kind::File, skip),
            None => Self::failed(name, Kind::File, failure),
        }
    }
}

/// What an entry is listed as when its content does not matter. A link that is not recreated counts as a file.
fn plain_kind(entry_type: Type) -> Kind {
    match entry_type {
        Type::File | Type::Link => Kind::File,
        Type::Directory => Kind::Directory,
        Type::Special => Kind::Special,
    }
}

/// Whether the path of `name` in `here` keeps the limits of a [`RelPath`], without making it.
fn fits(here: &Here<'_>, name: &Name) -> bool {
    let slash = usize::from(here.depth > 0);
    let bytes = here.path.as_bytes().len() + slash + name.as_bytes().len();
    bytes <= PATH_BYTES_MAX && here.depth < PATH_DEPTH_MAX
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use quicopy_protocol::options::{LinkPolicy, Rule};
    use rustix::io::Errno;

    use super::*;
    use crate::source::{LinkEnds, Unseen};

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
        Stat { entry_type, meta: Meta { size_bytes: 5, ..Meta::default() }, identity, mount_root }
    }

    fn found(name: &str, entry_type: Type) -> Found {
        let name = Name::new(name.as_bytes()).unwrap();
        Found { name, own: Ok(stat(entry_type)), link: None }
    }

    /// A link to `target`, or to nothing.
    fn link(name: &str, target: Option<Type>) -> Found {
        let target = target.map(stat).ok_or_else(|| Errno::NOENT.into());
        let ends = LinkEnds { text: Ok(b"text".to_vec()), target };
        Found { link: Some(Box::new(ends)), ..found(name, Type::Link) }
    }

    /// Judges in a directory `depth` levels below the root, within directories of the inode `within`.
    fn judge_at(selection: &Selection, found: Found, depth: usize, within: u64) -> Judged {
        let path = RelPath::parse(vec!["d"; depth].join("/").as_bytes()).unwrap();
        let is_within = |identity: &Identity| identity.inode == within;
        let here = Here { path: &path, depth, device: 1, is_within: &is_within };
        let filter = Filter::new(selection).unwrap();
        Judge { filter: &filter, selection }.judge(&here, found)
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
        let recreated =
            judge_at(&links(true, false, false), link("up", Some(Type::Directory)), 1, 7);
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
}
