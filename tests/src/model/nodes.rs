//! Trees of the model.

use std::{collections::BTreeMap, path::Path, time::Duration};

use crate::tree::{Content, Entry, Item, ItemKind, Kind, Snapshot};

/// What stands under a name.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the variants say it")]
pub enum Node {
    Directory(Directory),
    File(File),
    Link(String),
}

/// A directory and all below it. What is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// What it holds.
    pub entries: BTreeMap<String, Node>,
    /// Last write time since 1970.
    pub modified: Option<Duration>,
    /// Permission bits.
    pub mode: Option<u32>,
}

/// A file. What is `None` does not matter.
#[derive(Clone, Debug)]
pub struct File {
    /// Its bytes.
    pub content: Content,
    /// Last write time since 1970.
    pub modified: Duration,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Attributes of Windows.
    pub attributes: Option<u32>,
}

impl Directory {
    /// The tree that these items make.
    ///
    /// # Panics
    ///
    /// When one of them is a hard link or a FIFO, or stands below a file.
    pub fn of(items: &[Item]) -> Self {
        let mut root = Self::default();
        for item in items {
            let (above, name) = item.path.rsplit_once('/').unwrap_or(("", &item.path));
            let node = match &item.kind {
                ItemKind::Directory => Node::Directory(Self {
                    entries: BTreeMap::new(),
                    modified: item.modified,
                    mode: Some(item.mode_or_usual()),
                }),
                ItemKind::File { content } => Node::File(File {
                    content: content.clone(),
                    modified: item.modified.unwrap_or(Item::MODIFIED),
                    mode: Some(item.mode_or_usual()),
                    attributes: Some(item.attributes.unwrap_or(0)),
                }),
                ItemKind::Link { target } => Node::Link(target.clone()),
                ItemKind::HardLink { .. } | ItemKind::Fifo => panic!("{item:?} is not modelled"),
            };
            root.below(above).entries.insert(name.to_owned(), node);
        }
        root
    }

    /// The directory at a path of directories, made where it is missing.
    fn below(&mut self, path: &str) -> &mut Self {
        let mut here = self;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let node = here.entries.entry(name.to_owned());
            here = match node.or_insert_with(|| Node::Directory(Self::default())) {
                Node::Directory(directory) => directory,
                node => panic!("{path}: {node:?} is no directory"),
            };
        }
        here
    }

    /// What a disk with this tree holds.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        self.list(Path::new(""), &mut snapshot);
        snapshot
    }

    fn list(&self, above: &Path, into: &mut Snapshot) {
        let nanos = |time: Duration| i128::try_from(time.as_nanos()).ok();
        for (name, node) in &self.entries {
            let path = above.join(name);
            let entry = match node {
                Node::Directory(directory) => {
                    directory.list(&path, into);
                    Entry {
                        modified_ns: directory.modified.and_then(nanos),
                        mode: directory.mode,
                        ..Entry::bare(Kind::Directory)
                    }
                }
                Node::File(file) => Entry {
                    modified_ns: nanos(file.modified),
                    mode: file.mode,
                    attributes: file.attributes,
                    ..Entry::bare(Kind::of_content(&file.content))
                },
                Node::Link(target) => Entry::bare(Kind::Link { target: target.into() }),
            };
            into.entries.insert(path, entry);
        }
    }
}
