//! Entries that answer to more names than their directory lists.

use std::io;

use quicopy_protocol::path::Name;

use super::{DirHandle, DiskEntry, Stat};

impl DirHandle {
    /// The name under which the directory lists what it finds under `name`, on a file system that folds names; `None` if that is
    /// `name` itself, or nothing is there.
    ///
    /// # Errors
    /// As [`stat`](Self::stat) and [`list`](Self::list).
    pub(crate) fn other_name(&self, name: &Name) -> io::Result<Option<Name>> {
        let Some(found) = self.stat(name)? else { return Ok(None) };
        Ok(other_name(&self.list()?, name, &found))
    }
}

fn other_name(listed: &[DiskEntry], name: &Name, found: &Stat) -> Option<Name> {
    if listed.iter().any(|entry| entry.name == *name) {
        return None;
    }
    let other = listed.iter().find(|entry| entry.stat.is_same_inode(found))?;
    Some(other.name.clone())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests set the stage with std")]
mod tests {
    use std::fs;

    use super::super::sample::{name, open};
    use super::*;

    #[test]
    fn an_entry_that_is_not_listed_by_its_name_has_another_one() {
        let entry =
            |text, inode| DiskEntry { name: name(text), stat: Stat { inode, ..Stat::default() } };
        let listed = [entry("a", 1), entry("b", 2)];
        let check = |text, inode, expected: Option<&str>| {
            let found = Stat { inode, ..Stat::default() };
            assert_eq!(other_name(&listed, &name(text), &found), expected.map(name), "{text}");
        };
        check("A", 1, Some("a"));
        check("b", 2, None);
        check("b", 1, None); // Hard links are listed by all their names.
        check("c", 3, None); // It came after the listing.
    }

    #[test]
    fn where_bytes_tell_names_apart_every_entry_is_listed_by_its_name() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("a"), "x").unwrap();
        fs::hard_link(temp.path().join("a"), temp.path().join("b")).unwrap();
        let dir = open(&temp);
        for text in ["a", "b", "A"] {
            assert_eq!(dir.other_name(&name(text)).unwrap(), None, "{text}");
        }
    }
}
