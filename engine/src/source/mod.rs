//! The source's side of the door to the disk: every system call on what is copied from.
//!
//! The root is opened once, by the path that the user gave; everything below it by handles. A file is served only in the
//! state in which it was listed: [`SourceFile`] compares before the first byte and after the last.

mod attributes;
mod copied;
mod directory;
mod extents;
mod file;
mod open;

mod stat;
mod stop;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::meta::Meta;
use quicopy_protocol::options::LinkPolicy;
use rustix::fs::{Mode, OFlags};

pub use attributes::Attributes;
pub use copied::Gone;
#[cfg(test)]
pub(crate) use directory::Unseen;
pub(crate) use directory::{Directory, Found, LinkEnds};
pub use extents::Extent;
pub use file::{FileError, OfferedFile, SourceFile};
pub use stat::{FollowedLink, Identity};
pub(crate) use stat::{Links, Stat, Type};
pub use stop::StopFlag;

use crate::fault;

/// A folder that a job copies from.
#[derive(Debug)]
pub struct Source {
    root: Arc<Directory>,
    links: Links,
    left_out: Option<Identity>,
}

/// Why a folder cannot be copied from.
#[derive(Debug, thiserror::Error)]
#[error("the source cannot be opened: {0}")]
pub struct SourceError(#[from] io::Error);

impl SourceError {
    /// What Robocopy's log shows: ERROR 2 for a missing source, 267 for a file, 5 for one that may not be read.
    pub fn failure(&self) -> Failure {
        fault::failure(Operation::AccessSourceDirectory, &self.0)
    }
}

impl Source {
    /// Opens the folder `path`, which may itself be or run through a link.
    ///
    /// `links` says whether the job follows links. Then paths below the root may lead through them and away from it, as
    /// with Robocopy, and the identity of each file is what protects; otherwise no component may be a link.
    ///
    /// # Errors
    /// It is missing, not a folder or not readable.
    pub fn open(path: &Path, links: LinkPolicy) -> Result<Self, SourceError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?;
        let follows_none = links.recreate || (links.exclude_dirs && links.exclude_files);
        let links = if follows_none { Links::Refuse } else { Links::Follow };
        Ok(Self { root: Arc::new(Directory::root(handle)?), links, left_out: None })
    }

    /// The same folder without one file, by whatever names and links it is found there. A scan lists it as left out by name.
    #[must_use]
    pub fn without(self, file: Option<Identity>) -> Self {
        Self { left_out: file, ..self }
    }

    /// What the root folder was when it was opened.
    pub fn meta(&self) -> Meta {
        self.root.meta()
    }

    /// Which folder the root is.
    pub fn identity(&self) -> Identity {
        self.root.identity()
    }

    /// The root and every folder above it, up to the top of the file tree: what tells whether two trees overlap,
    /// whatever names lead to them.
    ///
    /// # Errors
    /// A folder above the root cannot be looked at.
    pub fn chain(&self) -> io::Result<Vec<Identity>> {
        let mut chain = vec![self.identity()];
        let above = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut at = rustix::fs::openat(&self.root, c"..", above, Mode::empty())?;
        loop {
            let identity = Stat::of_handle(&at)?.identity;
            // The top is its own parent.
            if chain.last().is_some_and(|below| below.is_same_file(&identity)) {
                return Ok(chain);
            }
            chain.push(identity);
            at = rustix::fs::openat(&at, c"..", above, Mode::empty())?;
        }
    }

    /// Whether the root's file system can keep DOS attributes: as user attributes, which some have not, or are mounted without.
    pub fn keeps_attributes(&self) -> bool {
        attributes::keeps_dos_attributes(&*self.root)
    }

    pub(crate) fn left_out(&self) -> Option<Identity> {
        self.left_out
    }

    pub(crate) fn directory(&self) -> &Arc<Directory> {
        &self.root
    }

    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn open(path: &Path) -> Result<Source, SourceError> {
        Source::open(path, LinkPolicy::default())
    }

    #[test]
    fn what_is_no_readable_folder_has_the_number_that_robocopy_shows() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let code = |path: &Path| open(path).unwrap_err().failure().windows_code;
        assert_eq!(code(&dir.path().join("missing")), 2);
        assert_eq!(code(&file), 267);
    }

    #[test]
    fn the_chain_leads_from_the_root_upwards_and_sees_through_links() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        symlink("a/b", dir.path().join("link")).unwrap();
        let top = open(dir.path()).unwrap();
        let inner = open(&dir.path().join("link")).unwrap();
        let chain = inner.chain().unwrap();
        assert_eq!(chain[0], inner.identity());
        assert!(chain[2].is_same_file(&top.identity()));
        assert!(chain.ends_with(&top.chain().unwrap()[1..]));
        assert_eq!(chain.last(), open(Path::new("/")).unwrap().chain().unwrap().last());
    }
}
