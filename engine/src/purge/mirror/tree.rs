//! A tree in memory.

use std::collections::{BTreeMap, BTreeSet};

use quicopy_protocol::path::RelPath;

use super::super::TreeLister;
use crate::compare::{Listed, Present};
use crate::plan::sample::{item, path, present};

/// A tree: what stands at each path. The root is always there.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Tree {
    pub(super) nodes: BTreeMap<RelPath, Present>,
    pub(super) unreadable: BTreeSet<RelPath>,
}

impl Tree {
    /// Items of [`item`], each with its directory before it: `d/ d/a@20 d/l->x`. `#` is a mount, `?` an unreadable directory.
    pub(super) fn new(text: &str) -> Self {
        let mut tree = Self::default();
        for text in text.split_whitespace() {
            let (text, mounted) = text.strip_prefix('#').map_or((text, false), |text| (text, true));
            let (text, unreadable) =
                text.strip_prefix('?').map_or((text, false), |text| (text, true));
            let split = text.trim_end_matches('/').rfind('/').map_or(0, |at| at + 1);
            let (name, kind, meta) = item(&text[split..]);
            let at = path(text[..split].trim_end_matches('/')).join(&name).unwrap();
            if unreadable {
                tree.unreadable.insert(at.clone());
            }
            tree.nodes.insert(at, Present { mounted, ..present(kind, &meta) });
        }
        tree
    }

    pub(super) fn is_dir(&self, at: &RelPath) -> bool {
        at.is_root() || self.nodes.get(at).is_some_and(Present::is_dir)
    }

    pub(super) fn children(&self, dir: &RelPath) -> Vec<Listed> {
        let children = self.nodes.iter().filter_map(|(at, present)| {
            let (parent, name) = at.split_last()?;
            (parent == *dir).then(|| Listed { name, present: present.clone() })
        });
        children.collect()
    }

    pub(super) fn remove_tree(&mut self, at: &RelPath) -> Vec<RelPath> {
        let gone: Vec<_> =
            self.nodes.keys().filter(|path| path.is_at_or_below(at)).cloned().collect();
        gone.iter().for_each(|path| drop(self.nodes.remove(path)));
        gone
    }
}

impl TreeLister for Tree {
    fn list(&mut self, dir: &RelPath) -> Option<Vec<Listed>> {
        assert!(self.is_dir(dir) && !self.nodes[dir].mounted, "{dir} is not to be listed");
        (!self.unreadable.contains(dir)).then(|| self.children(dir))
    }
}
