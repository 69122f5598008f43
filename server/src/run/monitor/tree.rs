//! What of the source is watched: [`Tree`].

use std::path::{Path, PathBuf};

use quicopy_engine::filter::Filter;
use quicopy_protocol::options::{Recurse, Selection};
use quicopy_protocol::path::{Name, RelPath};

/// Which directories are watched, and what of them counts.
pub(super) struct Tree {
    pub(super) root: PathBuf,
    filter: Filter,
    /// Whether links to directories are entered.
    pub(super) follows: bool,
    /// Levels of directories, the root's the first.
    levels: u32,
}

impl Tree {
    pub(super) fn new(root: &Path, filter: Filter, selection: &Selection) -> Self {
        let links = selection.links;
        Self {
            root: root.to_owned(),
            filter,
            follows: !links.recreate && !links.exclude_dirs,
            levels: match selection.recurse {
                Recurse::RootOnly => 1,
                Recurse::NonEmpty | Recurse::All => selection.levels.unwrap_or(u32::MAX),
            },
        }
    }

    /// The path of a directory in `dir`, if the job enters it.
    pub(super) fn enters(&self, dir: &RelPath, name: &Name) -> Option<RelPath> {
        let path = dir.join(name).ok()?;
        let depth = u32::try_from(path.components().count()).unwrap_or(u32::MAX);
        let enters =
            !name.is_reserved() && self.filter.directory(&path).is_none() && depth < self.levels;
        enters.then_some(path)
    }

    /// Whether the job lists files of that name in `dir`.
    pub(super) fn lists(&self, dir: &RelPath, name: &Name) -> bool {
        self.filter.file_name(dir, name).is_none()
    }
}
