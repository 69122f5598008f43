//! What is done to a source file once it is copied: removing it (`/MOV`, `/MOVE`), or taking its mark for archiving (`/M`).
//! Only to what is still what was copied.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use quicopy_protocol::attributes::DosAttributes;
use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::meta::Meta;
use quicopy_protocol::path::{Name, RelPath};
use rustix::fs::{AtFlags, OFlags, XattrFlags, fgetxattr, fsetxattr};
use rustix::io::Errno;

use super::Source;
use super::open::open_below;
use super::stat::{FollowedLink, Identity, Links, Stat};
use crate::{dos_attributes, fault};

/// What became of a file that was to go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Gone {
    /// It is gone.
    Gone,
    /// It stays, for the way to it leads through a link: it may lie outside the source, or be copied under another name, too.
    BehindLink,
}

impl Source {
    /// Removes the file or link at `path`, if it is the one that was copied, in the state in which it was copied.
    ///
    /// The look and the removal go through one handle of the directory. What was changed meanwhile stays, and what a link on
    /// the way leads to. Of a `link` that was followed only the link itself goes, even if nothing is left where it leads:
    /// another name of that may have been moved before. A link that took the place of what was copied stays.
    ///
    /// # Errors
    /// It was changed, or cannot be removed.
    pub fn remove_file(
        &self,
        path: &RelPath,
        meta: &Meta,
        identity: &Identity,
        link: Option<&FollowedLink>,
    ) -> Result<Gone, Failure> {
        let fail = |error: io::Error| fault::failure(Operation::DeleteSourceFile, &error);
        let Some((dir, name)) = path.split_last() else { return Ok(Gone::Gone) };
        let Some(dir) = self.open_without_links(&dir, DIRECTORY).map_err(fail)? else {
            return Ok(Gone::BehindLink);
        };
        let look = |links| match Stat::of_entry(dir.as_fd(), name.as_bytes(), links) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fail(error)),
        };
        // Another name of it may have been this one, too, as with a mount point.
        let Some(own) = look(Links::Refuse)? else { return Ok(Gone::Gone) };
        let is_as_copied = |found: &Stat| is_as_copied(found, meta, identity);
        let may_go = match link {
            None => is_as_copied(&own),
            Some(link) => {
                link.is_same(&own) && look(Links::Follow)?.is_none_or(|end| is_as_copied(&end))
            }
        };
        if !may_go {
            return Err(Failure::new(
                Operation::DeleteSourceFile,
                32,
                "changed after it was copied, so it was not removed; run again",
            ));
        }
        unlink(&dir, &name, AtFlags::empty()).map_err(fail)?;
        Ok(Gone::Gone)
    }

    /// Takes the mark for archiving from the file at `path`, if it is the one that was copied, in the state in which it was
    /// copied: what was written since is still to be archived. What a link leads to keeps it.
    ///
    /// # Errors
    /// It was changed, or its attributes cannot be set.
    pub fn clear_archive(
        &self,
        path: &RelPath,
        meta: &Meta,
        identity: &Identity,
    ) -> Result<(), Failure> {
        let fail = |error: io::Error| fault::failure(Operation::ChangeAttributes, &error);
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let Some(file) = self.open_without_links(path, flags).map_err(fail)? else { return Ok(()) };
        if !is_as_copied(&Stat::of_handle(&file).map_err(fail)?, meta, identity) {
            return Err(Failure::new(
                Operation::ChangeAttributes,
                32,
                "changed after it was copied, so it stays marked for archiving; run again",
            ));
        }
        let mut value = vec![0; dos_attributes::VALUE_BYTES_MAX];
        match fgetxattr(&file, dos_attributes::NAME, &mut *value) {
            Ok(length) => value.truncate(length),
            // The mark is gone already.
            Err(Errno::NODATA) => return Ok(()),
            Err(error) => return Err(fail(error.into())),
        }
        let Some(attributes) = dos_attributes::read(&value) else { return Ok(()) };
        let cleared =
            dos_attributes::write(Some(&value), attributes.without(DosAttributes::ARCHIVE));
        let set = fsetxattr(&file, dos_attributes::NAME, &cleared, XattrFlags::empty());
        set.map_err(|error| fail(error.into()))
    }

    /// Removes the directory at `path` if it is empty; says whether it is gone. The root stays, and what is behind a link.
    ///
    /// # Errors
    /// It is empty and cannot be removed.
    pub fn remove_empty_dir(&self, path: &RelPath) -> Result<bool, Failure> {
        let fail = |error: io::Error| fault::failure(Operation::DeleteSourceDirectory, &error);
        let Some((dir, name)) = path.split_last() else { return Ok(false) };
        let Some(dir) = self.open_without_links(&dir, DIRECTORY).map_err(fail)? else {
            return Ok(false);
        };
        match unlink(&dir, &name, AtFlags::REMOVEDIR) {
            Ok(()) => Ok(true),
            // Not empty, a link, or a mount point: it stays, as it should.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty
                        | io::ErrorKind::NotADirectory
                        | io::ErrorKind::ResourceBusy
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(fail(error)),
        }
    }

    /// Opens what is to be changed; `None` if that can be reached only through a link.
    fn open_without_links(&self, path: &RelPath, flags: OFlags) -> io::Result<Option<OwnedFd>> {
        match open_below(self.root(), path, flags, Links::Refuse) {
            Ok(opened) => Ok(Some(opened)),
            Err(error) => match open_below(self.root(), path, flags, Links::Follow) {
                Ok(_) if self.links == Links::Follow => Ok(None),
                Ok(_) | Err(_) => Err(error),
            },
        }
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Whether what is found is the file that was listed and copied, unchanged.
fn is_as_copied(found: &Stat, meta: &Meta, identity: &Identity) -> bool {
    found.identity.is_same_file(identity)
        && found.meta.size_bytes == meta.size_bytes
        && found.meta.modified == meta.modified
}

fn unlink(dir: impl AsFd, name: &Name, flags: AtFlags) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(dir, name.as_bytes(), flags)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[allow(clippy::disallowed_methods, reason = "trees for tests")]
mod tests {
    use quicopy_protocol::options::LinkPolicy;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::super::stat::Type;
    use super::*;

    #[test]
    fn only_what_was_copied_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        std::fs::write(&file, "old").unwrap();
        let stat = std::fs::metadata(&file).unwrap();
        let source = Source::open(dir.path(), LinkPolicy::default()).unwrap();
        let identity =
            Identity { device: stat.dev(), inode: stat.ino(), changed: Default::default() };
        let meta = Meta {
            size_bytes: 3,
            modified: quicopy_protocol::meta::Timestamp {
                seconds: stat.mtime(),
                nanos: stat.mtime_nsec() as u32,
            },
            ..Meta::default()
        };
        let path = RelPath::parse(b"a").unwrap();
        let remove = |meta: &Meta| source.remove_file(&path, meta, &identity, None);
        assert!(remove(&Meta { size_bytes: 4, ..meta }).is_err());
        assert!(file.exists());
        assert_eq!(remove(&meta), Ok(Gone::Gone));
        assert!(!file.exists());
        assert_eq!(remove(&meta), Ok(Gone::Gone), "it is as it should be");
    }

    #[test]
    fn what_a_link_leads_to_stays_and_the_link_to_a_file_goes() {
        let dir = tempfile::tempdir().unwrap();
        let (root, other) = (dir.path().join("source"), dir.path().join("other"));
        std::fs::create_dir_all(other.join("empty")).unwrap();
        std::fs::create_dir(&root).unwrap();
        std::fs::write(other.join("f"), "text").unwrap();
        symlink("../other", root.join("dir")).unwrap();
        symlink("../other/f", root.join("file")).unwrap();
        let source = Source::open(&root, LinkPolicy::default()).unwrap();
        let stat = Stat::of_handle(std::fs::File::open(other.join("f")).unwrap()).unwrap();
        let path = |path: &str| RelPath::parse(path.as_bytes()).unwrap();
        let remove = |at: &str| {
            let link = Stat::of_entry(source.root(), at.as_bytes(), Links::Refuse).unwrap();
            let link = (link.entry_type == Type::Link).then(|| FollowedLink::new(&link));
            source.remove_file(&path(at), &stat.meta, &stat.identity, link.as_ref())
        };
        assert_eq!(remove("dir/f"), Ok(Gone::BehindLink));
        assert_eq!(source.remove_empty_dir(&path("dir/empty")), Ok(false));
        assert_eq!(remove("file"), Ok(Gone::Gone));
        assert!(other.join("f").exists() && other.join("empty").exists());
        assert!(!root.join("file").exists() && root.join("dir").exists());
        // What it led to was moved before it.
        symlink("../other/f", root.join("file")).unwrap();
        std::fs::remove_file(other.join("f")).unwrap();
        assert_eq!(remove("file"), Ok(Gone::Gone));
        assert!(root.join("file").symlink_metadata().is_err());
    }

    #[test]
    fn a_link_that_nobody_copied_stays_wherever_it_leads() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let source = Source::open(dir.path(), LinkPolicy::default()).unwrap();
        let check = |name: &str, target: &str, put: &dyn Fn()| {
            let stat = Stat::of_handle(std::fs::File::open(at(name)).unwrap()).unwrap();
            let own = Stat::of_entry(source.root(), name.as_bytes(), Links::Refuse).unwrap();
            let link = (own.entry_type == Type::Link).then(|| FollowedLink::new(&own));
            let path = RelPath::parse(name.as_bytes()).unwrap();
            put();
            let _ = std::fs::remove_file(at(name));
            symlink(target, at(name)).unwrap();
            let removed = source.remove_file(&path, &stat.meta, &stat.identity, link.as_ref());
            assert!(removed.is_err(), "{name}");
            assert!(at(name).symlink_metadata().is_ok(), "{name}");
        };
        std::fs::write(at("file"), "text").unwrap();
        check("file", "nowhere", &|| {});
        std::fs::write(at("moved"), "text").unwrap();
        check("moved", "away", &|| std::fs::rename(at("moved"), at("away")).unwrap());
        symlink("away", at("link")).unwrap();
        check("link", "nowhere", &|| {});
    }

    #[test]
    fn a_directory_goes_only_when_it_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        let source = Source::open(dir.path(), LinkPolicy::default()).unwrap();
        let remove =
            |path: &str| source.remove_empty_dir(&RelPath::parse(path.as_bytes()).unwrap());
        assert_eq!(remove("a"), Ok(false));
        assert_eq!(remove("a/b"), Ok(true));
        assert_eq!(remove("a"), Ok(true));
        assert_eq!(remove(""), Ok(false));
    }

    #[test]
    fn the_mark_for_archiving_goes_and_the_other_attributes_stay() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "text").unwrap();
        let file = std::fs::File::open(dir.path().join("a")).unwrap();
        match fsetxattr(&file, dos_attributes::NAME, b"0x22", XattrFlags::empty()) {
            Err(Errno::NOTSUP) => return,
            set => set.unwrap(),
        }
        let source = Source::open(dir.path(), LinkPolicy::default()).unwrap();
        let stat = Stat::of_handle(&file).unwrap();
        let path = RelPath::parse(b"a").unwrap();
        let grown = Meta { size_bytes: 9, ..stat.meta };
        assert!(source.clear_archive(&path, &grown, &stat.identity).is_err());
        source.clear_archive(&path, &stat.meta, &stat.identity).unwrap();
        let mut value = [0; 64];
        let length = fgetxattr(&file, dos_attributes::NAME, &mut value).unwrap();
        assert_eq!(dos_attributes::read(&value[..length]), Some(DosAttributes::HIDDEN));
    }
}
