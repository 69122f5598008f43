//! Setting metadata of a directory and of what is in it.

use std::io;
use std::os::fd::AsFd;

use quicopy_protocol::attributes::DosAttributes;
use quicopy_protocol::meta::Attribute;
use quicopy_protocol::path::Name;
use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::directory::DirHandle;
use super::metadata::{Ignored, MetaChange};
use super::stat::DiskKind;
use super::unix::meta;
use crate::dos_attributes;

impl DirHandle {
    /// The DOS attributes of the file `name`, but read-only, which its mode says. A link is not followed.
    pub fn dos_attributes(&self, name: &Name) -> DosAttributes {
        let value = meta::dos_attributes_value(self.as_fd(), name);
        let kept = value.as_deref().and_then(dos_attributes::read).unwrap_or_default();
        kept.without(DosAttributes::READ_ONLY)
    }

    /// Sets metadata of the file, directory or link `name`; `attributes`, if given, replace its `user.*` attributes.
    ///
    /// # Errors
    /// The entry cannot be opened, or a part cannot be set. Attributes cannot be set on a link: they are ignored there.
    pub fn set_meta(
        &self,
        name: &Name,
        change: &MetaChange,
        attributes: Option<&[Attribute]>,
    ) -> io::Result<Ignored> {
        let found = self.stat(name)?.ok_or(Errno::NOENT)?;
        match found.kind {
            DiskKind::File => {
                let (file, _) = self.open_file_for_read(name)?;
                meta::set(&file, change, attributes)
            }
            DiskKind::Directory => self.open_dir(name)?.set_own_meta(change, attributes),
            DiskKind::Link => {
                self.set_link_meta(name, change)?;
                let attributes = attributes.is_some_and(|attributes| !attributes.is_empty());
                Ok(Ignored { attributes, ..Ignored::default() })
            }
            DiskKind::Special => Err(Errno::INVAL.into()),
        }
    }

    fn set_link_meta(&self, name: &Name, change: &MetaChange) -> io::Result<()> {
        let name = name.as_bytes();
        if let Some((owner, group)) = change.owner {
            let (owner, group) =
                (rustix::fs::Uid::from_raw(owner), rustix::fs::Gid::from_raw(group));
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::chownat(self, name, Some(owner), Some(group), flags)?;
        }
        if let Some(modified) = change.modified {
            let times = meta::times(modified);
            rustix::fs::utimensat(self, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(())
    }

    /// Sets metadata of this directory itself; its time comes after everything in it is done.
    ///
    /// # Errors
    /// A part cannot be set.
    pub fn set_own_meta(
        &self,
        change: &MetaChange,
        attributes: Option<&[Attribute]>,
    ) -> io::Result<Ignored> {
        meta::set(self, change, attributes)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests set the stage with std")]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::super::sample::{name, open};
    use quicopy_protocol::meta::Timestamp;

    #[test]
    fn metadata_goes_to_the_link_itself_and_special_bits_nowhere() {
        let temp = tempfile::tempdir().unwrap();
        let dir = open(&temp);
        fs::write(temp.path().join("file"), "x").unwrap();
        symlink("file", temp.path().join("link")).unwrap();
        let before = dir.stat(&name("file")).unwrap();
        let modified = Timestamp { seconds: -5, nanos: 7 };
        let change =
            MetaChange { mode: Some(0o6711), modified: Some(modified), ..MetaChange::default() };
        dir.set_meta(&name("link"), &change, None).unwrap();
        assert_eq!(dir.stat(&name("file")).unwrap(), before);
        assert_eq!(dir.stat(&name("link")).unwrap().unwrap().modified, modified);
        dir.set_meta(&name("file"), &change, None).unwrap();
        let after = dir.stat(&name("file")).unwrap().unwrap();
        assert_eq!((after.mode, after.modified), (0o711, modified));
    }
}
