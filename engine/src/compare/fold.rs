//! Names that differ in their bytes and are one at the destination: file systems that fold case or normal forms.
//!
//! Each of them folds in its own way (ext4 with casefold, FAT, exFAT, NTFS, CIFS, APFS), so nothing is guessed here: a name
//! that exists although no listing showed it is an entry that was listed under another one.

use std::collections::{BTreeMap, HashMap};
use std::io;

use quicopy_protocol::meta::Entry;
use quicopy_protocol::path::Name;

use super::{Listed, NameKey, Present};

/// A destination's listing in the source's names.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Folded {
    /// The listing in any order; what the destination takes for an entry of the source bears that one's name.
    pub listed: Vec<Listed>,
    /// Names of the source for which there is no room, each with the one that has it: another name of the source, or the
    /// agent's own.
    pub collisions: BTreeMap<Name, Name>,
    /// Whether a name of the source may be that of an entry that cannot be told from the others: nothing here may count as
    /// extra.
    pub is_unclear: bool,
}

/// Finds what the destination has under a name of the source that it listed in other bytes.
///
/// Both listings ascend by name. `look_up` asks the file system about a name of the source, one that the job leaves out too,
/// and only where each side has names that the other lacks.
///
/// An entry is told by its number. With one name it is the entry, wherever that name came from. With more of them it must be
/// the only one of its number here, and as it was listed: a further name, made since then, is not taken for it. What else
/// exists and was not listed was made meanwhile, or its number does not last: it is planned as missing, whoever puts
/// something in its place finds that taken, and nothing is extra beside it.
pub fn fold(
    source: &[Entry],
    mut listed: Vec<Listed>,
    mut look_up: impl FnMut(&Name) -> io::Result<Option<Present>>,
) -> Folded {
    let ours = || source.iter().map(|entry| &entry.name);
    let theirs = || listed.iter().map(|listed| &listed.name);
    let mut strangers = lacking(theirs(), ours());
    strangers.retain(|&at| !listed[at].name.is_reserved());
    if strangers.is_empty() {
        return Folded { listed, ..Folded::default() };
    }
    let lonely = lacking(ours(), theirs());
    let (mut collisions, mut is_unclear) = (BTreeMap::new(), false);
    let mut by_number = None;
    let mut named = BTreeMap::new();
    for name in lonely.into_iter().map(|at| &source[at].name).filter(|name| !name.is_reserved()) {
        let found = match look_up(name) {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(_) => {
                is_unclear = true;
                continue;
            }
        };
        let by_number = by_number.get_or_insert_with(|| numbered(&listed));
        let at = by_number.get(&number(&found)).copied().flatten();
        let Some(at) = at.filter(|&at| is_it(&listed[at].present, &found)) else {
            is_unclear = true;
            continue;
        };
        if strangers.binary_search(&at).is_ok() && !named.contains_key(&at) {
            named.insert(at, name);
        } else {
            let other = named.get(&at).copied().unwrap_or(&listed[at].name);
            collisions.insert(name.clone(), other.clone());
        }
    }
    for (at, name) in named {
        listed[at].name = name.clone();
    }
    Folded { listed, collisions, is_unclear }
}

/// Where in `these` the names stand that `those` lack; both ascend.
fn lacking<'a>(
    these: impl Iterator<Item = &'a Name>,
    those: impl Iterator<Item = &'a Name>,
) -> Vec<usize> {
    let mut those = those.map(NameKey::of).peekable();
    let mut is_lacking = |name: &Name| {
        let key = NameKey::of(name);
        while those.next_if(|other| *other < key).is_some() {}
        those.peek() != Some(&key)
    };
    these.enumerate().filter(|(_, name)| is_lacking(name)).map(|(at, _)| at).collect()
}

/// The number of an entry, on its file system.
fn number(present: &Present) -> (u64, u64) {
    (present.device, present.inode)
}

/// Which entry of a listing has which number; `None` where several have it, which are hard links.
fn numbered(listed: &[Listed]) -> HashMap<(u64, u64), Option<usize>> {
    let mut all = HashMap::with_capacity(listed.len());
    for (at, listed) in listed.iter().enumerate() {
        all.entry(number(&listed.present)).and_modify(|only| *only = None).or_insert(Some(at));
    }
    all
}

/// Whether what a look-up found is the entry of the same number that was listed, and not another name of it made meanwhile.
fn is_it(listed: &Present, found: &Present) -> bool {
    let has_one_name = found.is_dir() || found.links <= 1;
    listed.kind == found.kind
        && (has_one_name || found.links == listed.links && listed.is_unchanged(found))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use quicopy_protocol::meta::{Kind, Timestamp};

    use super::super::sample::{entries, present};
    use super::*;

    /// A directory of a file system: names with numbers, `a=1`; a `d/=2` is a directory, `a=1+` has a name elsewhere, too.
    #[derive(Clone, Debug)]
    struct Disk {
        names: BTreeMap<String, Present>,
        folds: fn(&str) -> String,
    }

    fn by_bytes(name: &str) -> String {
        name.to_owned()
    }

    /// Case, and one letter in two normal forms.
    fn by_letters(name: &str) -> String {
        name.to_lowercase().replace("e\u{301}", "\u{e9}")
    }

    impl Disk {
        fn new(folds: fn(&str) -> String, text: &str) -> Self {
            let mut names = BTreeMap::new();
            for item in text.split_whitespace() {
                let (name, inode) = item.split_once('=').unwrap();
                let (inode, elsewhere) =
                    inode.strip_suffix('+').map_or((inode, 0), |inode| (inode, 1));
                let (name, kind) = match name.strip_suffix('/') {
                    Some(name) => (name, Kind::Directory),
                    None => (name, Kind::File),
                };
                let inode = inode.parse().unwrap();
                names.insert(
                    name.to_owned(),
                    Present { kind, inode, links: elsewhere, ..present() },
                );
            }
            let mut disk = Self { names, folds };
            disk.count_links();
            disk
        }

        fn count_links(&mut self) {
            let all: Vec<_> = self.names.values().map(|present| present.inode).collect();
            for present in self.names.values_mut() {
                let here = all.iter().filter(|&&inode| inode == present.inode).count();
                present.links += u32::try_from(here).unwrap();
            }
        }

        fn list(&self) -> Vec<Listed> {
            let listed = |(name, present): (&String, &Present)| Listed {
                name: Name::new(name.as_bytes()).unwrap(),
                present: present.clone(),
            };
            self.names.iter().map(listed).collect()
        }

        fn look_up(&self, name: &Name) -> Option<Present> {
            let name = (self.folds)(str::from_utf8(name.as_bytes()).unwrap());
            self.names
                .iter()
                .find(|(other, _)| (self.folds)(other) == name)
                .map(|(_, there)| there.clone())
        }
    }

    /// What is found at the source, listed at `then` and looked up at `now`: `a>A` for an entry under the source's name, `A!a` for
    /// a collision, `?` where it is unclear.
    fn told(source: &str, then: &Disk, now: &Disk) -> String {
        let listed = then.list();
        let folded = fold(&entries(source), listed.clone(), |name| Ok(now.look_up(name)));
        assert_eq!(folded.listed.len(), listed.len());
        let renamed = listed.iter().zip(&folded.listed).filter(|(old, new)| old.name != new.name);
        let mut told: Vec<_> = renamed
            .map(|(old, new)| {
                assert_eq!(old.present, new.present);
                format!("{}>{}", old.name, new.name)
            })
            .collect();
        told.extend(folded.collisions.iter().map(|(name, other)| format!("{name}!{other}")));
        told.extend(folded.is_unclear.then(|| "?".to_owned()));
        told.join(" ")
    }

    fn check(source: &str, destination: &str, expected: &str) {
        let disk = Disk::new(by_letters, destination);
        assert_eq!(told(source, &disk, &disk), expected, "{source} onto {destination}");
    }

    #[test]
    fn an_entry_bears_the_name_that_the_source_has_for_it() {
        check("A.txt", "a.txt=1", "a.txt>A.txt");
        check("A b", "a=1 b=2", "a>A");
        check("a", "A=1 B=2", "A>a");
        check("D", "d/=1 x=2", "d>D");
        check("\u{e9}", "e\u{301}=1", "e\u{301}>\u{e9}");
        check("A B C", "a=1 b=2 z=3", "a>A b>B");
        check("", "a=1", "");
        check("a b", "a=1", "");
    }

    #[test]
    fn an_entry_has_one_name_of_the_source_and_the_equal_one_comes_first() {
        check("A a", "a=1 z=2", "A!a");
        check("A a", "A=1 z=2", "a!A");
        check("A.TXT A.txt", "a.txt=1", "a.txt>A.TXT A.txt!A.TXT");
        check("A a", "z=2", "");
    }

    #[test]
    fn the_agents_own_entries_are_nobodys_counterpart() {
        fn without_joiners(name: &str) -> String {
            name.replace('\u{200d}', "")
        }
        let disk = Disk::new(without_joiners, ".quicopy/=1 z=2");
        assert_eq!(told(".qui\u{200d}copy", &disk, &disk), ".qui\u{200d}copy!.quicopy");
        check(".QUICOPY", ".quicopy/=1 z=2", "");
    }

    #[test]
    fn among_hard_links_nothing_is_guessed() {
        check("A", "a=1+", "a>A");
        check("A", "a=1 b=1", "?");
        check("B b", "a=1 b=1", "?");
    }

    #[test]
    fn where_bytes_tell_names_apart_nothing_is_found() {
        let check = |source: &str, destination: &str| {
            let disk = Disk::new(by_bytes, destination);
            assert_eq!(told(source, &disk, &disk), "", "{source} onto {destination}");
        };
        check("A.txt", "a.txt=1");
        check("A", "a=1 b=1");
        check("A a", "a=1+ z=2");
    }

    #[test]
    fn what_changed_since_the_listing_is_not_mistaken_for_a_folded_name() {
        let check = |then: &str, now: &str, expected: &str| {
            let disk = |text| Disk::new(by_bytes, text);
            assert_eq!(told("A", &disk(then), &disk(now)), expected, "{then}, then {now}");
        };
        check("a=1", "a=1 A=2", "?"); // It was made.
        check("a=1", "a=1 A=1", "?"); // It is a further name.
        check("a=1+", "a=1 A=1+", "?");
        check("a=1", "A=1", "a>A"); // It was renamed: it is what stands there.
        check("a=1", "A/=1", "?"); // Its number is taken by something else.
    }

    #[test]
    fn a_further_name_of_an_unchanged_number_of_names_shows_by_the_change_time() {
        let then = Disk::new(by_bytes, "a=1+");
        let mut now = Disk::new(by_bytes, "a=1 A=1");
        for present in now.names.values_mut() {
            present.changed = Timestamp { seconds: 7, nanos: 0 };
        }
        assert_eq!(told("A", &then, &now), "?");
    }

    #[test]
    fn without_an_answer_nothing_is_extra() {
        let listed = Disk::new(by_letters, "a=1").list();
        let folded = fold(&entries("A"), listed, |_| Err(io::ErrorKind::PermissionDenied.into()));
        assert!(folded.is_unclear && folded.collisions.is_empty());
    }

    #[test]
    fn nobody_is_asked_where_one_side_has_all_names_of_the_other() {
        for (source, destination) in
            [("a b", "a=1"), ("a", "a=1 b=2"), ("a", ""), ("a", ".quicopy/=1")]
        {
            let listed = Disk::new(by_letters, destination).list();
            let folded = fold(&entries(source), listed.clone(), |name| unreachable!("{name}"));
            assert_eq!(folded.listed, listed);
        }
    }

    const NAMES: [&str; 8] = ["A", "B", "E\u{301}", "a", "b", "c", "e\u{301}", "\u{e9}"];

    fn some_names() -> impl Strategy<Value = Vec<&'static str>> {
        proptest::sample::subsequence(&NAMES[..], 0..=NAMES.len())
    }

    /// A directory in which no two names are one; several may be hard links of one file, here or elsewhere.
    fn some_disk(folds: fn(&str) -> String) -> impl Strategy<Value = Disk> {
        let names = proptest::collection::vec(
            (proptest::sample::select(&NAMES[..]), 1..6_u64, 0..2_u32),
            0..8,
        );
        names.prop_map(move |names| {
            let mut kept = BTreeMap::new();
            for (name, inode, links) in names {
                kept.entry(folds(name)).or_insert((name, inode, links));
            }
            let names = kept.into_values();
            let mut disk = Disk {
                names: names
                    .map(|(name, inode, links)| {
                        (name.to_owned(), Present { inode, links, ..present() })
                    })
                    .collect(),
                folds,
            };
            disk.count_links();
            disk
        })
    }

    proptest! {
        #[test]
        fn no_counterpart_is_extra_and_no_entry_has_two(
            source in some_names(),
            disk in some_disk(by_letters),
        ) {
            let listed = disk.list();
            let folded = fold(&entries(&source.join(" ")), listed.clone(), |name| Ok(disk.look_up(name)));
            let key = |name: &Name| by_letters(&name.to_string());
            for (old, new) in listed.iter().zip(&folded.listed) {
                prop_assert_eq!(key(&old.name), key(&new.name), "an entry is what the destination takes it for");
                let is_source = |name: &&&str| by_letters(name) == key(&new.name);
                let meant: Vec<_> = source.iter().filter(is_source).collect();
                let is_extra = meant.iter().all(|name| **name != new.name.to_string());
                prop_assert!(!is_extra || meant.is_empty() || folded.is_unclear, "{}", new.name);
                // All other names that mean it collide.
                for name in meant.iter().filter(|name| ***name != new.name.to_string()) {
                    let name = Name::new(name.as_bytes()).unwrap();
                    let is_asked = listed.iter().any(|listed| source.iter().all(|name| *name != listed.name.to_string()));
                    prop_assert!(!is_asked || folded.is_unclear || folded.collisions.get(&name) == Some(&new.name));
                }
            }
        }

        #[test]
        fn a_destination_that_tells_all_names_apart_is_left_as_listed(
            source in some_names(),
            disk in some_disk(by_bytes),
        ) {
            let listed = disk.list();
            let folded = fold(&entries(&source.join(" ")), listed.clone(), |name| Ok(disk.look_up(name)));
            prop_assert_eq!(folded, Folded { listed, ..Folded::default() });
        }

        /// Whatever happens between listing and look-up: what is taken for an entry of the source is what stands under its name.
        #[test]
        fn only_what_stands_under_a_name_is_taken_for_it(
            source in some_names(),
            then in some_disk(by_bytes),
            now in some_disk(by_bytes),
        ) {
            let listed = then.list();
            let folded = fold(&entries(&source.join(" ")), listed.clone(), |name| Ok(now.look_up(name)));
            for (old, new) in listed.iter().zip(&folded.listed).filter(|(old, new)| old.name != new.name) {
                let found = now.look_up(&new.name).unwrap();
                prop_assert_eq!(number(&found), number(&old.present));
                prop_assert!(found.links == 1 || found == old.present);
            }
        }
    }
}
