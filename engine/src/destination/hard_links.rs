//! Further names of files (`/HARDLINKS`), which are made once the first name is in place.

use std::collections::HashMap;

use quicopy_protocol::meta::EntryId;
use quicopy_protocol::path::RelPath;

/// Which links wait for which file.
#[derive(Debug)]
pub(super) struct LinkWaits<T> {
    /// Files in work, by their path.
    files: HashMap<RelPath, EntryId>,
    /// The same, by their number: with the links that wait for them.
    waiting: HashMap<EntryId, (RelPath, Vec<T>)>,
}

impl<T> Default for LinkWaits<T> {
    fn default() -> Self {
        Self { files: HashMap::new(), waiting: HashMap::new() }
    }
}

impl<T> LinkWaits<T> {
    /// Notes a file in work, of which more names may come.
    pub(super) fn begin(&mut self, path: &RelPath, entry: EntryId) {
        self.files.insert(path.clone(), entry);
        self.waiting.entry(entry).or_insert_with(|| (path.clone(), Vec::new()));
    }

    /// Lets a link wait as long as the file at `first` is in work; gives it back if it is not.
    pub(super) fn wait_for(&mut self, first: &RelPath, link: T) -> Option<T> {
        match self.files.get(first).and_then(|file| self.waiting.get_mut(file)) {
            Some((_, links)) => {
                links.push(link);
                None
            }
            None => Some(link),
        }
    }

    /// An entry is over: gives out what waited for it.
    pub(super) fn ended(&mut self, entry: EntryId) -> Vec<T> {
        let Some((path, links)) = self.waiting.remove(&entry) else { return Vec::new() };
        self.files.remove(&path);
        links
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use quicopy_protocol::meta::DirId;

    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_link_waits_only_as_long_as_its_first_name_is_in_work() {
        let (first, entry) = (path("a"), EntryId { dir: DirId(0), index: 3 });
        let mut waits = LinkWaits::default();
        assert_eq!(waits.wait_for(&first, 'x'), Some('x'), "it is not in work");
        waits.begin(&first, entry);
        assert_eq!(waits.wait_for(&first, 'b'), None);
        // A second try of the file.
        waits.begin(&first, entry);
        assert_eq!(waits.wait_for(&first, 'c'), None);
        assert_eq!(waits.ended(entry), ['b', 'c']);
        assert_eq!(waits.wait_for(&first, 'd'), Some('d'));
        assert!(waits.ended(entry).is_empty() && waits.files.is_empty());
    }
}
