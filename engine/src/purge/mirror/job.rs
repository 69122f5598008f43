//! One job between two trees in memory.

use std::collections::BTreeSet;
use std::convert::Infallible;

use quicopy_protocol::meta::{DirId, Entry, Kind, Meta, Skip};
use quicopy_protocol::options::{JobPolicy, Recurse, Tolerance};
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::{Action, DirState, ExtraEntry};

use super::super::*;
use super::tree::Tree;
use crate::compare::{Listed, Present, Tolerances};
use crate::filter::Filter;
use crate::plan::sample::{item, present};
use crate::plan::{Decision, DirectoryInput, Knowledge, Rules, Subdirectory, plan_directory};

/// What walks found, kept as it came.
#[derive(Default)]
pub(super) struct Found {
    pub(super) lines: Vec<ExtraEntry>,
    pub(super) removals: Vec<DirectoryRemovals>,
}

impl ExtraSink for Found {
    type Error = Infallible;

    fn report(&mut self, entry: ExtraEntry) -> Result<(), Infallible> {
        self.lines.push(entry);
        Ok(())
    }

    fn remove(&mut self, removals: DirectoryRemovals) -> Result<(), Infallible> {
        self.removals.push(removals);
        Ok(())
    }
}

/// One job from a source to a destination, as the two sites would do it.
pub(super) struct Job<'a> {
    pub(super) policy: &'a JobPolicy,
    pub(super) filter: Filter,
    /// Directories of the source whose listing breaks off.
    pub(super) incomplete: BTreeSet<RelPath>,
}

/// What a job did.
#[derive(Default)]
pub(super) struct Done {
    pub(super) copied: BTreeSet<RelPath>,
    pub(super) deleted: BTreeSet<RelPath>,
    pub(super) found: Found,
    pub(super) census: Census,
}

impl<'a> Job<'a> {
    pub(super) fn new(policy: &'a JobPolicy) -> Self {
        let filter = Filter::new(&policy.selection).unwrap();
        Self { policy, filter, incomplete: BTreeSet::new() }
    }

    pub(super) fn rules(&self) -> Rules<'_> {
        Rules {
            policy: self.policy,
            tolerances: Tolerances::exact(Tolerance::default()),
            names: &self.filter,
            records: &|_| None,
        }
    }

    /// What the sender lists of a directory.
    fn listing(&self, source: &Tree, dir: &RelPath) -> Vec<Entry> {
        let selection = &self.policy.selection;
        let is_last = selection.recurse == Recurse::RootOnly
            || selection.levels.is_some_and(|levels| dir.depth() + 1 >= levels as usize);
        let mut entries: Vec<_> = source
            .children(dir)
            .into_iter()
            .map(|Listed { name, present }| {
                let meta = Meta {
                    size_bytes: present.size_bytes,
                    modified: present.modified,
                    mode: present.mode,
                    ..Meta::default()
                };
                let skip = match present.is_dir() {
                    true if is_last => Some(Skip::TooDeep),
                    true => self.filter.directory(&dir.join(&name).unwrap()),
                    false => self.filter.file_name(dir, &name),
                };
                Entry { name, kind: present.kind, meta, skip }
            })
            .collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    pub(super) fn run(&self, source: &Tree, destination: &mut Tree) -> Done {
        let mut done = Done::default();
        self.directory(source, destination, &RelPath::ROOT, Knowledge::Complete, &mut done);
        for removals in std::mem::take(&mut done.found.removals) {
            for entry in removals.entries.iter().filter(|entry| entry.kept.is_none()) {
                let at = removals.path.join(&entry.name).unwrap();
                assert!(destination.children(&at).is_empty(), "{at} is not empty");
                let present = destination.nodes.remove(&at).expect("it is there");
                assert!(still_as_listed(entry, &present));
                done.deleted.insert(at);
            }
        }
        done
    }

    fn directory(
        &self,
        source: &Tree,
        destination: &mut Tree,
        dir: &RelPath,
        above: Knowledge,
        done: &mut Done,
    ) {
        let rules = self.rules();
        let is_complete = above == Knowledge::Complete && !self.incomplete.contains(dir);
        let knowledge = if is_complete { Knowledge::Complete } else { Knowledge::Incomplete };
        let entries = self.listing(source, dir);
        let input = DirectoryInput {
            path: dir,
            entries: &entries,
            knowledge,
            present: destination.children(dir),
            file_system_root: false,
        };
        let plan = plan_directory(&rules, input).unwrap();
        done.census += plan.census;
        let at = |index: u32| dir.join(&entries[index as usize].name).unwrap();

        for Decision { verdict, present } in plan.decisions {
            let entry = &entries[verdict.index as usize];
            if verdict.action == Action::Copy && entry.kind != Kind::Directory {
                self.put(destination, &at(verdict.index), entry, present, done);
            }
        }
        for Subdirectory { index, state, present } in plan.directories {
            match state {
                DirState::New => {
                    let entry = &entries[index as usize];
                    self.put(destination, &at(index), entry, present, done);
                }
                DirState::Existing | DirState::Deferred => {}
                DirState::Avoided | DirState::Failed(_) => continue,
            }
            self.directory(source, destination, &at(index), knowledge, done);
        }
        let find_at = Find { dir: DirId(0), path: dir };
        let Ok(census) = find(&rules, find_at, plan.extras, destination, &mut done.found);
        done.census += census;
    }

    fn put(
        &self,
        destination: &mut Tree,
        at: &RelPath,
        entry: &Entry,
        there: Option<Present>,
        done: &mut Done,
    ) {
        if let Some((parent, _)) = at.split_last()
            && !destination.is_dir(&parent)
        {
            make_deferred(destination, &parent);
        }
        if there.as_ref().is_some_and(Present::is_dir) {
            let there = there.expect("just seen");
            if survey(&self.rules(), at, &there, destination).is_err() {
                return;
            }
        }
        let gone = destination.remove_tree(at);
        done.deleted.extend(gone.into_iter().filter(|path| path != at));
        destination.nodes.insert(at.clone(), present(entry.kind.clone(), &entry.meta));
        done.copied.insert(at.clone());
    }
}

fn make_deferred(destination: &mut Tree, dir: &RelPath) {
    if let Some((parent, _)) = dir.split_last()
        && !destination.is_dir(&parent)
    {
        make_deferred(destination, &parent);
    }
    destination.remove_tree(dir);
    destination.nodes.insert(dir.clone(), present(Kind::Directory, &item("d/").2));
}
