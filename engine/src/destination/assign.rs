//! From what was decided about a directory to what is told of it and what is put in work.

use std::collections::BTreeMap;
use std::sync::Arc;

use quicopy_protocol::meta::{Entry, EntryId, Kind};
use quicopy_protocol::options::ConflictPolicy;
use quicopy_protocol::path::{Name, PathError, RelPath};
use quicopy_protocol::verdict::{Action, FileClass, Verdict};

use super::aside::{Aside, WITHOUT_TRASH};
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
use crate::fault::{ACCESS_DENIED, ALREADY_EXISTS, ALTERED_OUTSIDE, INVALID_NAME, NAME_TOO_LONG};
use crate::plan::{Decision, Rules};
use crate::purge::{self, Census};

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
        for Decision { mut verdict, present } in decisions {
            let Some(entry) = entries.get(verdict.index as usize) else { continue };
            let mut aside = Aside::Version;
            if verdict.class == FileClass::Mismatched
                && verdict.action == Action::Copy
                && let Some(present) = &present
            {
                match self.gives_way(entry, present) {
                    Some(was) => aside = was,
                    None => verdict.action = Action::Mismatch,
                }
            }
            let is_dir = entry.kind == Kind::Directory;
            if is_dir && matches!(verdict.action, Action::Copy | Action::Restamp) {
                // Its own listing brings its own plan.
                self.tell_conflict(entry, verdict.conflict);
                continue;
            }
            let (verdict, work) = self.entry(entry, Decision { verdict, present }, aside);
            verdicts.push(verdict);
            works.extend(work);
        }
        (verdicts, works)
    }

    fn entry(
        &self,
        entry: &Entry,
        Decision { mut verdict, present }: Decision,
        aside: Aside,
    ) -> (Verdict, Option<Work>) {
        if !acts(verdict.action) {
            return (verdict, None);
        }
        let task = self.task(entry, verdict.action, self.folder.path.join(&entry.name));
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
        (verdict, Some(Work { id, folder, entry, task, present, aside, keeps_old }))
    }

    fn tell_conflict(&self, entry: &Entry, conflict: bool) {
        if conflict {
            self.job.tell(Event::Notice(format!(
                "{}/{}: changed at the destination since the last job, and replaced by a directory",
                self.folder.path, entry.name
            )));
        }
    }

    /// What gives way to an entry of another kind, as it is now; `None` if it stays: something in it is protected, or the guards
    /// of deletions do not let it pass, which cannot be asked at the end as they are for what is extra.
    fn gives_way(&mut self, entry: &Entry, present: &Present) -> Option<Aside> {
        let path = self.folder.path.join(&entry.name).ok()?;
        let (old, new) = (noun(&present.kind), noun(&entry.kind));
        if !self.can_delete {
            self.job.tell(Event::Notice(format!(
                "{path}: a {old} on another file system than the trash's is not replaced by a {new}; {WITHOUT_TRASH} \
                 and it is deleted for good"
            )));
            return None;
        }
        let (aside, census) = match present.is_dir() {
            true => self.tree(&path, present)?,
            false => {
                (Aside::Entry, Census { extra_files: 1, extra_entries: 1, ..Census::default() })
            }
        };
        let passes = self.removals.displaces(census, self.job);
        if let Err(reason) = &passes {
            let of = match present.is_dir() {
                true => format!(" of {} entries", census.extra_entries),
                false => String::new(),
            };
            self.job.tell(Event::Notice(format!(
                "{path}: a {old}{of} is not replaced by a {new}; {reason}"
            )));
        }
        passes.is_ok().then_some(aside)
    }

    /// A directory with all that it holds; `None` if something of that is protected or cannot be read.
    fn tree(&self, path: &RelPath, directory: &Present) -> Option<(Aside, Census)> {
        // Taken first: what changes while it is judged is found changed later.
        let (above, name) = path.split_last()?;
        let above = self.job.tree()?.root.open_path(&above).ok()?;
        let state = TreeState::of(&above, &name).ok()?;
        let census = purge::survey(self.rules, path, directory, &mut Lister { job: self.job });
        census.ok().map(|census| (Aside::Tree(state), census))
    }

    /// What is to be done about an entry, or why it cannot be done.
    fn task(&self, entry: &Entry, action: Action, path: Result<RelPath, PathError>) -> Task {
        let setup = &self.job.setup;
        if let Some(other) = self.collisions.get(&entry.name) {
            let (name, other) = (entry.name.clone(), other.clone());
            return Task::refuse(ALREADY_EXISTS, CommitError::OneName { name, other }.to_string());
        }
        let path = match (action, path) {
            (_, Err(error)) => {
                return Task::refuse(NAME_TOO_LONG, format!("{error} cannot be copied"));
            }
            (Action::Fail, Ok(_)) => return Task::refuse(ALTERED_OUTSIDE, CONFLICT),
            (Action::Restamp, Ok(path)) => return Task::Restamp(path),
            (Action::Check, Ok(path)) => return Task::Check(path),
            (Action::Fix, Ok(path)) => return Task::Fix(path),
            (_, Ok(path)) => path,
        };
        if let Some(reason) = self.job.forbids(&entry.name) {
            return Task::refuse(INVALID_NAME, reason);
        }
        if let Kind::Link { target } = &entry.kind
            && !setup.rights.outside_links
            && setup
                .below_share(&self.folder.path)
                .is_none_or(|dir| links::leads_outside(&dir, target))
        {
            return Task::refuse(ACCESS_DENIED, OUTSIDE_LINK);
        }
        Task::Copy(path)
    }
}

/// What a kind is called.
fn noun(kind: &Kind) -> &'static str {
    match kind {
        Kind::File | Kind::HardLink { .. } => "file",
        Kind::Directory => "directory",
        Kind::Link { .. } => "link",
        Kind::Special => "device, socket or pipe",
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
