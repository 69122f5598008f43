//! What an entry counts as: a table of rules over what was found, without a disk.

mod judged;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::io;

use quicopy_protocol::attributes::DosAttributes;
use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::limits::{PATH_BYTES_MAX, PATH_DEPTH_MAX};
use quicopy_protocol::meta::{Kind, Skip};
use quicopy_protocol::options::{Recurse, Selection};
use quicopy_protocol::path::{Name, RelPath};

use crate::fault;
use crate::filter::{Filter, Traits};
use crate::plan::is_system_dir;
use crate::source::{FollowedLink, Found, Identity, LinkEnds, Links, Stat, Type};
pub(super) use judged::{Enter, Judged};

/// The rules of a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judge<'a> {
    pub(super) filter: &'a Filter,
    pub(super) selection: &'a Selection,
    /// Whether the DOS attributes of files travel.
    pub(super) lists_attributes: bool,
    /// A file that takes no part, whatever it is called.
    pub(super) left_out: Option<Identity>,
}

/// The directory whose entries are judged.
pub(super) struct Here<'a> {
    pub(super) path: &'a RelPath,
    /// Components of `path`.
    pub(super) depth: usize,
    pub(super) device: u64,
    /// Whether it is the root of a file system.
    pub(super) is_mount: bool,
    /// Whether a directory is this one or one above it.
    pub(super) is_within: &'a dyn Fn(&Identity) -> bool,
}

impl Judge<'_> {
    /// Judges one entry of the directory `here`.
    pub(super) fn judge(&self, here: &Here<'_>, found: Found) -> Judged {
        let name = found.name;
        let entry_type = match &found.own {
            Ok(stat) => stat.entry_type,
            Err(unseen) => unseen.entry_type,
        };
        if name.is_reserved() {
            return Judged::skipped(name, plain_kind(entry_type), Skip::Reserved);
        }
        if here.is_mount && entry_type == Type::Directory && is_system_dir(&name) {
            return Judged::skipped(name, Kind::Directory, Skip::Named);
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
            (Ok(stat), None) => self.entry(here, name, stat, found.attributes, None),
            (Ok(link), Some(ends)) => match &ends.target {
                Ok(target) if target.entry_type == Type::Directory => {
                    let target = *target;
                    self.dir_link(here, name, link, ends.text, target)
                }
                _ => self.file_link(here, name, link, *ends, found.attributes),
            },
        }
    }

    /// An entry that is no link, or the target of one that is followed: `via` is that link.
    fn entry(
        &self,
        here: &Here<'_>,
        name: Name,
        mut stat: Stat,
        attributes: DosAttributes,
        via: Option<Stat>,
    ) -> Judged {
        match stat.entry_type {
            Type::File => {
                let traits = Traits { meta: stat.meta, accessed: stat.accessed, attributes };
                let is_left_out = self.left_out.is_some_and(|it| it.is_same_file(&stat.identity));
                let skip = match is_left_out {
                    true => Some(Skip::Named),
                    false => self.filter.file(here.path, &name, &traits),
                };
                let beside_mode = attributes.without(DosAttributes::READ_ONLY);
                stat.meta.attributes = self.lists_attributes.then_some(beside_mode);
                let mut judged = Judged::plain(name, Kind::File, stat, skip);
                if let Some(link) = via {
                    // Each link that is followed becomes a file of its own.
                    judged.scanned.names = 1;
                    judged.scanned.link = Some(Box::new(FollowedLink::new(&link)));
                }
                judged
            }
            Type::Directory => {
                let Ok(path) = here.path.join(&name) else {
                    unreachable!("the path was found to fit")
                };
                let is_mount = stat.mount_root.unwrap_or(stat.identity.device != here.device);
                let links = &self.selection.links;
                let is_listed = !(is_mount && links.empty_mounts);
                let skip = self.directory_skip(here, &path).or_else(|| match () {
                    () if is_mount && links.exclude_dirs => Some(Skip::Link),
                    () if is_listed && (here.is_within)(&stat.identity) => Some(Skip::Loop),
                    () => None,
                });
                let mut judged = Judged::plain(name, Kind::Directory, stat, skip);
                let links = if via.is_some() { Links::Follow } else { Links::Refuse };
                judged.enter = skip.is_none().then_some(Enter { path, links, is_listed });
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
            self.entry(here, name, target, DosAttributes::NONE, Some(link))
        }
    }

    /// A link to anything but a directory, or to nothing: that counts as a link to a file.
    fn file_link(
        &self,
        here: &Here<'_>,
        name: Name,
        link: Stat,
        LinkEnds { text, target }: LinkEnds,
        attributes: DosAttributes,
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
            Ok(target) => self.entry(here, name, target, attributes, Some(link)),
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
