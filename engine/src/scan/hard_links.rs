//! Further names of one file, seen as the directories are handed out in order.

use std::collections::HashMap;

use quicopy_protocol::meta::Kind;
use quicopy_protocol::path::RelPath;

use super::ScannedDir;

/// The files of which more names may come.
///
/// It holds a path for each file that has names yet to be seen: none for most trees, and for a tree whose files have names
/// elsewhere too, one each.
#[derive(Debug, Default)]
pub(super) struct HardLinks {
    open: HashMap<(u64, u64), Seen>,
}

#[derive(Debug)]
struct Seen {
    first: RelPath,
    names_left: u32,
}

impl HardLinks {
    /// Lists as hard links what other names in `dir` or before it stand for already.
    pub(super) fn take(&mut self, dir: &mut ScannedDir) {
        for scanned in &mut dir.entries {
            let entry = &mut scanned.entry;
            if scanned.names < 2 || entry.kind != Kind::File || entry.skip.is_some() {
                continue;
            }
            let file = (scanned.identity.device, scanned.identity.inode);
            if let Some(seen) = self.open.get_mut(&file) {
                entry.kind = Kind::HardLink { first: seen.first.clone() };
                seen.names_left -= 1;
                if seen.names_left == 0 {
                    self.open.remove(&file);
                }
            } else if let Ok(first) = dir.path.join(&entry.name) {
                self.open.insert(file, Seen { first, names_left: scanned.names - 1 });
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use quicopy_protocol::meta::{Entry, Meta, Skip};
    use quicopy_protocol::path::Name;

    use super::*;
    use crate::scan::ScannedEntry;
    use crate::source::Identity;

    /// Files as `name=inode`, each with `names` names; a name with a dash is left out.
    fn dir(path: &str, files: &str, names: u32) -> ScannedDir {
        let entry = |text: &str| {
            let (name, inode) = text.split_once('=').unwrap();
            let skip = name.starts_with('-').then_some(Skip::Named);
            let name = Name::new(name.as_bytes()).unwrap();
            let entry = Entry { name, kind: Kind::File, meta: Meta::default(), skip };
            let identity = Identity { inode: inode.parse().unwrap(), ..Identity::default() };
            ScannedEntry { entry, identity, names, link: None }
        };
        ScannedDir {
            path: RelPath::parse(path.as_bytes()).unwrap(),
            meta: Meta::default(),
            attributes: Vec::new(),
            entries: files.split_whitespace().map(entry).collect(),
            failures: Vec::new(),
            failure: None,
        }
    }

    fn taken(links: &mut HardLinks, mut dir: ScannedDir) -> String {
        links.take(&mut dir);
        let shown = dir.entries.iter().map(|scanned| match &scanned.entry.kind {
            Kind::HardLink { first } => format!("{}->{first}", scanned.entry.name),
            _ => scanned.entry.name.to_string(),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn further_names_point_to_the_first_in_this_directory_or_another() {
        let mut links = HardLinks::default();
        assert_eq!(taken(&mut links, dir("", "a=1 b=1 c=2", 3)), "a b->a c");
        assert_eq!(taken(&mut links, dir("d", "x=2 y=1 z=3", 3)), "x->c y->a z");
        assert_eq!(links.open.len(), 2, "all names of file 1 were seen");
    }

    #[test]
    fn a_name_that_takes_no_part_is_not_the_first() {
        assert_eq!(taken(&mut HardLinks::default(), dir("", "-a=1 b=1 c=1", 3)), "-a b c->b");
    }

    #[test]
    fn a_file_of_one_name_is_not_remembered() {
        let mut links = HardLinks::default();
        assert_eq!(taken(&mut links, dir("", "a=1 b=1", 1)), "a b");
        assert!(links.open.is_empty());
    }

    #[test]
    fn more_names_than_were_counted_start_anew() {
        // Made while the scan ran.
        let mut links = HardLinks::default();
        assert_eq!(taken(&mut links, dir("", "a=1 b=1 c=1 d=1", 2)), "a b->a c d->c");
    }
}
