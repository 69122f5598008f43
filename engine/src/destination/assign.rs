//! From what was decided about a directory to what is told of it and what is put in work.

use std::collections::BTreeMap;
use std::sync::Arc;

use quicopy_protocol::meta::{Entry, EntryId, Kind};
use quicopy_protocol::options::ConflictPolicy;
use quicopy_protocol::path::{Name, PathError, RelPath};
use quicopy_protocol::verdict::{Action, Verdict};

use super::aside::WITHOUT_TRASH;
use super::event::Event;
use super::folder::Folder;
use super::job::Job;
use super::links;
use super::presence::Lister;
use super::removal::Removals;
use super::tree_state::TreeState;
use super::work::{Task, Work};
use crate::commit::CommitError;
use crate::compare::Present;
use crate::plan::{Decision, Rules};
use crate::purge;

/// Puts the entries of one directory in work.
pub(super) struct Assigner<'a> {
    pub(super) job: &'a Job,
    pub(super) rules: &'a Rules<'a>,
    pub(super) folder: &'a Arc<Folder>,
    pub(super) removals: &'a mut Removals,
    /// Whether what is deleted in it can go where it must.
    pub(super) can_delete: bool,
    /// Names that the destination takes for others.
    pub(super) collisions: &'a BTreeMap<Name, Name>,
}

impl Assigner<'_> {
    /// What is told of the decisions, and what they put in work.
    pub(super) fn assign(
        mut self,
        entries: &[Entry],
        decisions: Vec<Decision>,
    ) -> (Vec<Verdict>, Vec<Work>) {
        let mut verdicts = Vec::with_capacity(decisions.len());
        let mut works = Vec::new();
        for decision in decisions {
            let Some(entry) = entries.get(decision.verdict.index as usize) else { continue };
            let is_dir = entry.kind == Kind::Directory;
            if is_dir && matches!(decision.verdict.action, Action::Copy | Action::Restamp) {
                // Its own listing brings its own plan.
                self.tell_conflict(entry, decision.verdict.conflict);
                continue;
            }
            let (verdict, work) = self.entry(entry, decision);
            verdicts.push(verdict);
            works.extend(work);
        }
        (verdicts, works)
    }

    fn entry(&mut self, entry: &Entry, decision: Decision) -> (Verdict, Option<Work>) {
        let Decision { mut verdict, present } = decision;
        let path = self.folder.path.join(&entry.name);
        let mut gives_way = None;
        if acts(verdict.action)
            && let Some(directory) = present.as_ref().filter(|present| present.is_dir())
            && entry.kind != Kind::Directory
            && let Ok(path) = &path
        {
            gives_way = self.gives_way(path, directory);
            if gives_way.is_none() {
                verdict.action = Action::Mismatch;
            }
        }
        if !acts(verdict.action) {
            return (verdict, None);
        }
        let task = self.task(entry, verdict.action, path);
        if matches!(task, Task::Refuse(_)) {
            verdict.action = Action::Fail;
        }
        let policy = self.rules.policy;
        if policy.list_only && verdict.action != Action::Check {
            return (verdict, None);
        }
        let keeps_old = verdict.conflict && policy.conflict == ConflictPolicy::Keep;
        let id = EntryId { dir: self.folder.id, index: verdict.index };
        let (folder, entry) = (Arc::clone(self.folder), entry.clone());
        (verdict, Some(Work { id, folder, entry, task, present, gives_way, keeps_old }))
    }

    fn tell_conflict(&self, entry: &Entry, conflict: bool) {
        if conflict {
            self.job.tell(Event::Notice(format!(
                "{}/{}: changed at the destination since the last job, and replaced by a directory",
                self.folder.path, entry.name
            )));
        }
    }

    /// Whether a directory with all that it holds may be replaced by a file or link, as it is now: nothing in it is protected,
    /// and the guards of deletions let it pass, which cannot be asked at the end as they are for what is extra.
    fn gives_way(&mut self, path: &RelPath, directory: &Present) -> Option<TreeState> {
        if !self.can_delete {
            self.job.tell(Event::Notice(format!(
                "{path}: a directory on another file system than the trash's is not replaced by a file; {WITHOUT_TRASH} \
                 and it is deleted for good"
            )));
            return None;
        }
        // Taken first: what changes while it is judged is found changed later.
        let (above, name) = path.split_last()?;
        let above = self.job.tree()?.root.open_path(&above).ok()?;
        let state = TreeState::of(&above, &name).ok()?;
        match purge::survey(self.rules, path, directory, &mut Lister { job: self.job }) {
            Ok(census) => {
                let passes = self.removals.displaces(census, self.job);
                if !passes {
                    self.job.tell(Event::Notice(format!(
                        "{path}: a directory of {} entries is not replaced by a file; pass /MAXDELETE:N to allow it",
                        census.extra_entries
                    )));
                }
                passes.then_some(state)
            }
            Err(_) => None,
        }
    }

    /// What is to be done about an entry, or why it cannot be done.
    fn task(&self, entry: &Entry, action: Action, path: Result<RelPath, PathError>) -> Task {
        let setup = &self.job.setup;
        if let Some(other) = self.collisions.get(&entry.name) {
            let (name, other) = (entry.name.clone(), other.clone());
            return Task::Refuse(CommitError::OneName { name, other }.to_string());
        }
        let path = match (action, path) {
            (_, Err(error)) => return Task::Refuse(format!("{error} cannot be copied")),
            (Action::Fail, Ok(_)) => return Task::Refuse(CONFLICT.to_owned()),
            (Action::Restamp, Ok(path)) => return Task::Restamp(path),
            (Action::Check, Ok(path)) => return Task::Check(path),
            (Action::Fix, Ok(path)) => return Task::Fix(path),
            (_, Ok(path)) => path,
        };
        if let Some(reason) = self.job.forbids(&entry.name) {
            return Task::Refuse(reason);
        }
        if let Kind::Link { target } = &entry.kind
            && !setup.rights.outside_links
            && setup
                .below_share(&self.folder.path)
                .is_none_or(|dir| links::leads_outside(&dir, target))
        {
            return Task::Refuse(OUTSIDE_LINK.to_owned());
        }
        Task::Copy(path)
    }
}

/// Whether an action leads to an outcome.
fn acts(action: Action) -> bool {
    match action {
        Action::Copy | Action::Restamp | Action::Check | Action::Fix | Action::Fail => true,
        Action::Skip | Action::SkipConflict | Action::Mismatch => false,
    }
}

const OUTSIDE_LINK: &str = "a link that leads out of the share needs outside_links = true for the share and the permit \
     outside-links: quicopy-agent peers permit";

const CONFLICT: &str =
    "changed at the destination since the last job, and /CONFLICT:fail leaves it alone";
