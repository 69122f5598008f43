//! What a tree holds, to be compared with what it held or should hold.

use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::{Content, Item, ItemKind, attributes, parse};

/// All entries below a root, by their path.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Snapshot {
    /// The entries; the root is not among them.
    pub entries: BTreeMap<PathBuf, Entry>,
}

/// One entry, as far as two trees are compared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// What it is and holds.
    pub kind: Kind,
    /// Last write time in nanoseconds since 1970; `None` where it does not matter.
    pub modified_ns: Option<i128>,
    /// Permission bits; `None` where they do not matter.
    pub mode: Option<u32>,
    /// Attributes of Windows, 0 if none are kept; `None` where they do not matter.
    pub attributes: Option<u32>,
}

/// What an entry is and holds.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the fields say it")]
pub enum Kind {
    Directory,
    File { size_bytes: u64, digest: blake3::Hash },
    Link { target: PathBuf },
    Special,
}

impl Snapshot {
    /// Reads the tree below `root`, without following a link. Where a program works in it at the same time, an entry
    /// that goes away in the middle makes it look again.
    ///
    /// # Panics
    ///
    /// When the tree cannot be read.
    #[track_caller]
    pub fn of(root: &Path) -> Self {
        let mut tries = 0..100;
        loop {
            let mut entries = BTreeMap::new();
            match walk(root, Path::new(""), &mut entries) {
                Ok(()) => return Self { entries },
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries.next().is_some() => {
                }
                Err(error) => panic!("{}: {error}", root.display()),
            }
        }
    }

    /// What the disk would hold after [`build`](super::build), but times of directories only where the text gives them.
    #[track_caller]
    pub fn described(text: &str) -> Self {
        let mut tree = Self::default();
        for item in parse(text) {
            for above in Path::new(&item.path).ancestors().skip(1) {
                if above != Path::new("") {
                    tree.entries.entry(above.into()).or_insert(Entry {
                        kind: Kind::Directory,
                        modified_ns: None,
                        mode: Some(0o755),
                        attributes: None,
                    });
                }
            }
            let entry = tree.entry(&item);
            tree.entries.insert(item.path.into(), entry);
        }
        tree
    }

    fn entry(&self, item: &Item) -> Entry {
        let modified_ns = |time: std::time::Duration| i128::try_from(time.as_nanos()).ok();
        match &item.kind {
            ItemKind::Directory => Entry {
                kind: Kind::Directory,
                modified_ns: item.modified.and_then(modified_ns),
                mode: Some(item.mode_or_usual()),
                attributes: item.attributes,
            },
            ItemKind::File { content } => Entry {
                kind: Kind::of_content(content),
                modified_ns: modified_ns(item.modified.unwrap_or(Item::MODIFIED)),
                mode: Some(item.mode_or_usual()),
                attributes: item.attributes,
            },
            ItemKind::Link { target } => Entry::bare(Kind::Link { target: target.into() }),
            ItemKind::HardLink { other } => self.entries[Path::new(other)].clone(),
            ItemKind::Fifo => Entry::bare(Kind::Special),
        }
    }

    /// The same tree without the entries for which `leave_out` says so, and all below them.
    #[must_use]
    pub fn without(mut self, leave_out: impl Fn(&Path) -> bool) -> Self {
        self.entries.retain(|path, _| !path.ancestors().any(&leave_out));
        self
    }

    /// The same tree, in which times of directories do not matter.
    #[must_use]
    pub fn without_directory_times(mut self) -> Self {
        for entry in self.entries.values_mut().filter(|entry| entry.kind == Kind::Directory) {
            entry.modified_ns = None;
        }
        self
    }

    /// How `self` differs from `other`, a line for each entry; empty when it does not.
    pub fn difference(&self, other: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (path, entry) in &self.entries {
            match other.entries.get(path) {
                None => lines.push(format!("{}: only here: {entry:?}", path.display())),
                Some(there) if !entry.equals(there) => {
                    lines.push(format!("{}: {entry:?}, there {there:?}", path.display()));
                }
                Some(_) => {}
            }
        }
        for (path, entry) in &other.entries {
            if !self.entries.contains_key(path) {
                lines.push(format!("{}: only there: {entry:?}", path.display()));
            }
        }
        lines
    }

    /// Requires that the trees are equal.
    ///
    /// # Panics
    ///
    /// With the difference when they are not.
    #[track_caller]
    pub fn must_equal(&self, other: &Self, what: &str) {
        let difference = self.difference(other);
        assert!(difference.is_empty(), "{what}\n{}", difference.join("\n"));
    }
}

impl Kind {
    /// A file with this content.
    pub fn of_content(content: &Content) -> Self {
        let mut hasher = blake3::Hasher::new();
        content.pieces(|piece| {
            hasher.update(piece);
        });
        Self::File { size_bytes: content.size_bytes, digest: hasher.finalize() }
    }
}

impl Entry {
    /// An entry of which only the kind matters.
    pub fn bare(kind: Kind) -> Self {
        Self { kind, modified_ns: None, mode: None, attributes: None }
    }

    /// Whether the two agree in everything that matters to both.
    pub fn equals(&self, other: &Self) -> bool {
        fn agree<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
            one.is_none() || other.is_none() || one == other
        }
        self.kind == other.kind
            && agree(self.modified_ns, other.modified_ns)
            && agree(self.mode, other.mode)
            && agree(self.attributes, other.attributes)
    }
}

fn walk(root: &Path, below: &Path, into: &mut BTreeMap<PathBuf, Entry>) -> io::Result<()> {
    for found in fs::read_dir(root.join(below))? {
        let path = below.join(found?.file_name());
        let meta = fs::symlink_metadata(root.join(&path))?;
        into.insert(path.clone(), look(&root.join(&path), &meta)?);
        if meta.is_dir() {
            walk(root, &path, into)?;
        }
    }
    Ok(())
}

fn look(path: &Path, meta: &Metadata) -> io::Result<Entry> {
    if meta.is_symlink() {
        let target = fs::read_link(path)?;
        return Ok(Entry::bare(Kind::Link { target }));
    }
    let kind = if meta.is_dir() {
        Kind::Directory
    } else if meta.is_file() {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(path)?)?;
        Kind::File { size_bytes: hasher.count(), digest: hasher.finalize() }
    } else {
        Kind::Special
    };
    Ok(Entry {
        kind,
        modified_ns: Some(i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec())),
        mode: Some(meta.permissions().mode() & 0o7777),
        attributes: Some(attributes(path)?),
    })
}

/// When each entry below `root`, and `root` itself, was last changed in any way: its inode and change time. Nothing that
/// was written, renamed or re-stamped in between has the same.
///
/// # Panics
///
/// When the tree cannot be read.
#[track_caller]
pub fn change_marks(root: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let mut paths = vec![PathBuf::new()];
    paths.extend(Snapshot::of(root).entries.into_keys());
    paths
        .into_iter()
        .map(|path| {
            let meta = fs::symlink_metadata(root.join(&path))
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path, (meta.ino(), meta.ctime(), meta.ctime_nsec()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::build, *};

    const TREE: &str = "a.txt 10B @1000.25 0600 ~AH, d/ 0700, d/e/b 2M, l -> a.txt, h = a.txt, p |";

    #[test]
    fn the_disk_holds_what_the_text_says() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        build(folder.path(), TREE);
        Snapshot::of(folder.path()).must_equal(&Snapshot::described(TREE), "built and described");
    }

    #[test]
    fn every_kind_of_difference_is_seen() {
        let differences =
            |other| Snapshot::described("a, d/b").difference(&Snapshot::described(other)).len();
        assert_eq!(differences("a, d/b"), 0);
        assert_eq!(differences("a 6B, d/b"), 1);
        assert_eq!(differences("a #2, d/b"), 1);
        assert_eq!(differences("a @9, d/b"), 1);
        assert_eq!(differences("a 0600, d/b"), 1);
        assert_eq!(differences("a ~H, d/b"), 0, "one side does not care");
        assert_eq!(differences("a -> b, d/b"), 1);
        assert_eq!(differences("a, d/b, c"), 1);
        assert_eq!(differences("a"), 2);
    }

    #[test]
    fn what_is_left_out_takes_along_what_is_below_it() {
        let tree = Snapshot::described("a, d/b, d/e/c").without(|path| path == Path::new("d"));
        tree.must_equal(&Snapshot::described("a"), "without d");
    }
}
