//! Plans directories, one after the other in the order of the scan, and makes those that are missing.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use crossbeam_channel::Sender;
use quicopy_protocol::code::{Failure, Operation, RefusalCode};
use quicopy_protocol::meta::{Attribute, DirId, Entry, EntryId, Kind, Meta, Skip, Timestamp};
use quicopy_protocol::options::{ConflictPolicy, JobPolicy};
use quicopy_protocol::path::{Name, PathError, RelPath};
use quicopy_protocol::verdict::{Action, DirState, Verdict};

use super::Refusal;
use super::event::{Event, PartEnd};
use super::finisher::keep_version;
use super::folder::{Child, Children, Folder};
use super::job::Job;
use super::links;
use super::presence::{self, Lister};
use super::removal::Removals;
use super::work::{Task, Work};
use crate::compare::{Present, Tolerances};
use crate::disk::share::PARTIAL_AGE_MAX;
use crate::disk::{DirHandle, DiskEntry, RenameMode, Share, Stat};
use crate::fault;
use crate::index::Record;
use crate::plan::{Decision, DirectoryInput, Knowledge, Rules, Subdirectory, plan_directory};
use crate::purge::{self, Find};

/// A whole listing of the source, put together from its parts.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) dir: DirId,
    pub(super) path: RelPath,
    pub(super) meta: Meta,
    pub(super) attributes: Vec<Attribute>,
    pub(super) entries: Vec<Entry>,
    pub(super) failure: Option<Failure>,
}

impl Listing {
    /// Appends a part; gives the whole back with the last.
    pub(super) fn add(
        assembling: &mut Option<Self>,
        part: Self,
        end: PartEnd,
    ) -> Result<Option<Self>, Refusal> {
        let mut whole = match assembling.take() {
            None => part,
            Some(mut whole) if whole.dir == part.dir => {
                whole.entries.extend(part.entries);
                whole
            }
            Some(_) => return Err(Refusal::protocol("a listing was cut off by another")),
        };
        match end {
            PartEnd::More => *assembling = Some(whole),
            PartEnd::Complete => return Ok(Some(whole)),
            PartEnd::Incomplete(failure) => {
                whole.failure = Some(failure);
                return Ok(Some(whole));
            }
        }
        Ok(None)
    }
}

/// A directory whose own directories may still come.
struct Open {
    folder: Arc<Folder>,
    children: Children,
    knowledge: Knowledge,
}

/// How a directory stands at the destination before it is planned.
enum Arrival {
    /// It is there, or was made: with what it holds.
    Entered { handle: DirHandle, found: Option<Stat>, state: DirState },
    /// It is not there, and will not be before something is copied into it, or at all.
    Absent(DirState),
}

/// Plans a job's directories.
pub(super) struct Comparer<'a> {
    job: &'a Job,
    work: Sender<Work>,
    removals: Removals,
    above: Vec<Open>,
    planned: u64,
}

impl<'a> Comparer<'a> {
    pub(super) fn new(job: &'a Job, work: Sender<Work>, removals: Removals) -> Self {
        Self { job, work, removals, above: Vec::new(), planned: 0 }
    }

    /// Ends the planning: what is to be removed, and how many directories there were.
    pub(super) fn finish(mut self) -> (Removals, u64) {
        while let Some(open) = self.above.pop() {
            self.job.release(&open.folder);
        }
        (self.removals, self.planned)
    }

    /// Plans one directory.
    ///
    /// # Errors
    /// The job cannot go on: its guard, its sender or its destination forbid it.
    pub(super) fn plan(&mut self, listing: Listing) -> Result<(), Refusal> {
        self.planned += 1;
        let parent_path = listing.path.split_last();
        let is_parent = |open: &Open| {
            parent_path.as_ref().is_some_and(|(parent, _)| open.folder.path == *parent)
        };
        while let Some(open) = self.above.pop_if(|open| !is_parent(open)) {
            self.job.release(&open.folder);
        }
        let arrival = match &parent_path {
            None => self.arrive_at_root(&listing)?,
            Some((_, name)) => self.arrive(&listing.path, name)?,
        };
        match arrival {
            Arrival::Absent(state @ (DirState::Avoided | DirState::Failed(_))) => {
                self.avoid(listing, state);
                Ok(())
            }
            arrival => self.enter(listing, arrival),
        }
    }

    fn arrive_at_root(&mut self, listing: &Listing) -> Result<Arrival, Refusal> {
        let setup = &self.job.setup;
        let failed = |error: io::Error| {
            Refusal::new(
                RefusalCode::DestinationFailed,
                format!(
                    "the destination folder cannot be opened or made: {}",
                    fault::failure(Operation::AccessDestinationDirectory, &error).reason
                ),
            )
        };
        let tree = setup.share.tree(&setup.root).map_err(failed)?;
        let empty = match &tree {
            Some(tree) => {
                tree.root.list().map_err(failed)?.iter().all(|entry| entry.name.is_reserved())
            }
            None => true,
        };
        // An unreadable root is no empty one, but nothing is deleted below it either.
        if listing.failure.is_none()
            && let Some(text) = purge::empty_source(&listing.entries, empty, &setup.policy)
        {
            return Err(Refusal::new(RefusalCode::SourceEmpty, text));
        }
        let (tree, state) = match tree {
            Some(tree) => (tree, DirState::Existing),
            None if setup.policy.list_only => return Ok(Arrival::Absent(DirState::New)),
            None => (setup.share.make_tree(&setup.root).map_err(failed)?, DirState::New),
        };
        let handle = tree.root.clone();
        let found = handle.own_stat().map_err(failed)?;
        self.job.set_tree(tree);
        // A root that was just made is stamped like one that was there: its mode is the destination's own.
        Ok(Arrival::Entered { handle, found: Some(found), state })
    }

    fn arrive(&mut self, path: &RelPath, name: &Name) -> Result<Arrival, Refusal> {
        let Some(parent) = self.above.last_mut() else {
            return Err(Refusal::protocol("a listing whose parent directory was not listed"));
        };
        if parent.folder.avoided {
            return Ok(Arrival::Absent(DirState::Avoided));
        }
        let Some(child) = parent.children.remove(name) else {
            return Err(Refusal::protocol("a listing that its parent directory does not name"));
        };
        let folder = Arc::clone(&parent.folder);
        let list_only = self.job.setup.policy.list_only;
        let fail = |operation, error: &io::Error| {
            Arrival::Absent(DirState::Failed(fault::failure(operation, error)))
        };
        Ok(match child.state.clone() {
            DirState::Existing => {
                let open = || {
                    let tree = self.job.tree().ok_or(io::ErrorKind::NotFound)?;
                    let handle = tree.root.open_path(path)?;
                    let found = handle.own_stat()?;
                    Ok((handle, found))
                };
                match open() {
                    Ok((handle, found)) => {
                        Arrival::Entered { handle, found: Some(found), state: DirState::Existing }
                    }
                    Err(error) => fail(Operation::AccessDestinationDirectory, &error),
                }
            }
            DirState::New if list_only => Arrival::Absent(DirState::New),
            DirState::New => match self.make(&folder, name, &child) {
                Ok(handle) => Arrival::Entered { handle, found: None, state: DirState::New },
                Err(failure) => Arrival::Absent(DirState::Failed(failure)),
            },
            // What must give way to a deferred directory goes only when the directory comes: it is made at once instead.
            DirState::Deferred if child.present.is_some() && !list_only => {
                match self.make(&folder, name, &child) {
                    Ok(handle) => Arrival::Entered { handle, found: None, state: DirState::New },
                    Err(failure) => Arrival::Absent(DirState::Failed(failure)),
                }
            }
            state @ (DirState::Deferred | DirState::Avoided | DirState::Failed(_)) => {
                Arrival::Absent(state)
            }
        })
    }

    /// Makes a directory, in exchange for a file or link that stands in its place.
    fn make(&self, parent: &Folder, name: &Name, child: &Child) -> Result<DirHandle, Failure> {
        let above = self.job.open_or_make(parent)?;
        let create = |error: io::Error| fault::failure(Operation::CreateDirectory, &error);
        parent.touch();
        self.job.note_change();
        let Some(present) = &child.present else {
            return above.make_dir(name).map_err(create);
        };
        let now = above.stat(name).map_err(create)?;
        let same = now.as_ref().map(|stat| presence::present(&above, name, stat));
        if same.as_ref() != Some(present) {
            return Err(presence::changed_meanwhile());
        }
        if child.keeps_old {
            keep_version(&above, name, present.modified.seconds).map_err(create)?;
        }
        // The directory is made beside and the two change places, so that the name is never free.
        let beside = presence::reserved_name(&self.job.setup.peer, &parent.path, name);
        let made = match above.make_dir(&beside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => above.open_dir(&beside),
            made => made,
        }
        .map_err(create)?;
        match above.rename(&beside, &above, name, RenameMode::Exchange) {
            Ok(()) => above.remove_file(&beside).map_err(create)?,
            Err(_) => {
                // No exchange on this file system: the file goes first.
                above.remove_file(name).map_err(create)?;
                above.rename(&beside, &above, name, RenameMode::KeepOld).map_err(create)?;
            }
        }
        Ok(made)
    }

    /// Notes a directory that the job does not work in.
    fn avoid(&mut self, listing: Listing, state: DirState) {
        let failed = matches!(state, DirState::Failed(_));
        let Listing { dir, path, meta, attributes, .. } = listing;
        let folder = Folder { avoided: true, ..self.folder(dir, path, meta, attributes, None) };
        let folder = Arc::new(folder);
        folder.parent.iter().for_each(|parent| parent.begin());
        self.job.tell(Event::Plan { dir, state, verdicts: Vec::new(), same: Default::default() });
        if failed && let Some(parent) = &folder.parent {
            parent.copy_failed.store(true, Ordering::Release);
        }
        self.above.push(Open {
            folder: Arc::clone(&folder),
            children: Children::new(),
            knowledge: Knowledge::Incomplete,
        });
        self.job.begin_folder(&folder, 0);
    }

    fn enter(&mut self, listing: Listing, arrival: Arrival) -> Result<(), Refusal> {
        let Listing { dir, path, meta, attributes, entries, failure } = listing;
        let (handle, found, state) = match arrival {
            Arrival::Entered { handle, found, state } => (Some(handle), found, state),
            Arrival::Absent(state) => (None, None, state),
        };
        let mut knowledge = match self.above.last() {
            Some(above) => above.knowledge,
            None => Knowledge::Complete,
        };
        if failure.is_some() {
            knowledge = Knowledge::Incomplete;
            self.removals.protect();
        }
        let present = match &handle {
            Some(handle) if state == DirState::Existing => match handle.list() {
                Ok(listed) => {
                    self.sweep(handle, &listed);
                    presence::all(handle, listed)
                }
                Err(error) => {
                    let failure = fault::failure(Operation::ScanDestinationDirectory, &error);
                    let listing = Listing { dir, path, meta, attributes, entries, failure: None };
                    self.avoid(listing, DirState::Failed(failure));
                    return Ok(());
                }
            },
            Some(_) | None => Vec::new(),
        };

        let job = self.job;
        let policy = &job.setup.policy;
        let records = |path: &RelPath| record_of(job, path);
        let rules = Rules {
            policy,
            tolerances: Tolerances {
                asked: policy.tolerance,
                step_nanos: job.setup.time_step_nanos.into(),
            },
            names: &job.filter,
            records: &records,
        };
        let file_system_root = handle.as_ref().is_none_or(presence::is_file_system_root);
        let input =
            DirectoryInput { path: &path, entries: &entries, knowledge, present, file_system_root };
        let plan =
            plan_directory(&rules, input).map_err(|error| Refusal::protocol(&error.to_string()))?;

        let incomplete = failure.is_some() && found.is_some();
        let folder =
            Folder { incomplete, ..self.folder(dir, path.clone(), meta, attributes, found) };
        let folder = Arc::new(folder);
        folder.parent.iter().for_each(|parent| parent.begin());
        folder.is_made.store(handle.is_some(), Ordering::Release);
        if entries.iter().any(|entry| entry.skip == Some(Skip::Unreadable)) {
            // What could not be looked at may be the new name of something that is extra here.
            folder.copy_failed.store(true, Ordering::Release);
        }
        if state == DirState::New {
            folder.touch();
        }
        let children = children(&entries, plan.directories, &plan.decisions, policy);
        let makes_any = children.values().any(|child| child.state == DirState::New);

        self.removals.count(plan.census);
        let (verdicts, work) = self.works(&folder, &entries, plan.decisions, &rules);
        if let Some(handle) = &handle
            && (makes_any || !work.is_empty())
        {
            job.open_up(&folder, handle);
        }
        job.tell(Event::Plan { dir, state, verdicts, same: plan.same });
        if !plan.extras.is_empty() {
            let at = Find { dir, path: &path, restamp: None };
            let mut lister = Lister { job };
            let mut sink = self.removals.sink(job, &folder);
            let census = purge::find(&rules, at, plan.extras, &mut lister, &mut sink)
                .map_err(Refusal::from_spool)?;
            drop(sink);
            self.removals.count(census);
        }
        self.above.push(Open { folder: Arc::clone(&folder), children, knowledge });
        job.begin_folder(&folder, work.len() as u64);
        for work in work {
            // The other end is gone only when the job is parked.
            let _ = self.work.send(work);
        }
        Ok(())
    }

    /// What follows from the decisions: what is told, and what is put in work.
    fn works(
        &mut self,
        folder: &Arc<Folder>,
        entries: &[Entry],
        decisions: Vec<Decision>,
        rules: &Rules<'_>,
    ) -> (Vec<Verdict>, Vec<Work>) {
        let mut verdicts = Vec::with_capacity(decisions.len());
        let mut works = Vec::new();
        for Decision { mut verdict, present } in decisions {
            let Some(entry) = entries.get(verdict.index as usize) else { continue };
            let is_dir = entry.kind == Kind::Directory;
            if is_dir && matches!(verdict.action, Action::Copy | Action::Restamp) {
                // Its own listing brings its own plan.
                if verdict.conflict {
                    self.job.tell(Event::Notice(format!(
                        "{}/{}: changed at the destination since the last job, and replaced by a directory",
                        folder.path, entry.name
                    )));
                }
                continue;
            }
            let path = folder.path.join(&entry.name);
            let in_the_way = present.as_ref().filter(|present| present.is_dir() && !is_dir);
            if acts(verdict.action)
                && let (Some(directory), Ok(path)) = (in_the_way, &path)
                && !self.gives_way(rules, path, directory)
            {
                verdict.action = Action::Mismatch;
            }
            if acts(verdict.action) {
                let task = self.task(folder, entry, verdict.action, path);
                if matches!(task, Task::Refuse(_)) {
                    verdict.action = Action::Fail;
                }
                if !rules.policy.list_only {
                    let keeps_old =
                        verdict.conflict && rules.policy.conflict == ConflictPolicy::Keep;
                    let id = EntryId { dir: folder.id, index: verdict.index };
                    let (folder, entry) = (Arc::clone(folder), entry.clone());
                    works.push(Work { id, folder, entry, task, present, keeps_old });
                }
            }
            verdicts.push(verdict);
        }
        (verdicts, works)
    }

    /// Removes what jobs that died long ago left beside their targets.
    fn sweep(&self, handle: &DirHandle, listed: &[DiskEntry]) {
        let setup = &self.job.setup;
        if setup.policy.list_only || !listed.iter().any(|entry| entry.name.is_reserved()) {
            return;
        }
        let since = setup.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let started = Timestamp { seconds, nanos: since.subsec_nanos() };
        if let Err(error) = Share::sweep_beside(handle, listed, PARTIAL_AGE_MAX, started) {
            tracing::warn!(%error, "leftovers of dead jobs stay");
        }
    }

    /// Whether a directory with all that it holds may be replaced by a file or link: nothing in it is protected, and the
    /// guards of deletions let it pass, which cannot be asked at the end as they are for what is extra.
    fn gives_way(&mut self, rules: &Rules<'_>, path: &RelPath, directory: &Present) -> bool {
        match purge::survey(rules, path, directory, &mut Lister { job: self.job }) {
            Ok(census) => {
                let setup = &self.job.setup;
                let passes =
                    self.removals.displaces(census, setup.policy.max_delete, &setup.guards);
                if !passes {
                    self.job.tell(Event::Notice(format!(
                        "{path}: a directory of {} entries is not replaced by a file; pass /MAXDELETE:N to allow it",
                        census.extra_entries
                    )));
                }
                passes
            }
            Err(_) => false,
        }
    }

    /// What is to be done about an entry, or why it cannot be done.
    fn task(
        &self,
        folder: &Folder,
        entry: &Entry,
        action: Action,
        path: Result<RelPath, PathError>,
    ) -> Task {
        let setup = &self.job.setup;
        let path = match (action, path) {
            (_, Err(error)) => return Task::Refuse(format!("{error} cannot be copied")),
            (Action::Fail, Ok(_)) => return Task::Refuse(CONFLICT.to_owned()),
            (Action::Restamp, Ok(path)) => return Task::Restamp(path),
            (_, Ok(path)) => path,
        };
        if let Some(reason) = self.job.forbids(&entry.name) {
            return Task::Refuse(reason);
        }
        if let Kind::Link { target } = &entry.kind
            && !setup.rights.outside_links
            && setup.below_share(&folder.path).is_none_or(|dir| links::leads_outside(&dir, target))
        {
            return Task::Refuse(OUTSIDE_LINK.to_owned());
        }
        Task::Copy(path)
    }

    fn folder(
        &self,
        id: DirId,
        path: RelPath,
        meta: Meta,
        attributes: Vec<Attribute>,
        found: Option<Stat>,
    ) -> Folder {
        let parent = if path.is_root() { None } else { self.above.last() };
        Folder {
            id,
            path,
            meta,
            attributes,
            found,
            parent: parent.map(|open| Arc::clone(&open.folder)),
            avoided: false,
            incomplete: false,
            unfinished: AtomicU64::new(1),
            is_made: AtomicBool::new(false),
            opened_up: AtomicBool::new(false),
            touched: AtomicBool::new(false),
            copy_failed: AtomicBool::new(false),
            has_removals: AtomicBool::new(false),
        }
    }
}

/// The directories of a directory, as its plan sees them.
fn children(
    entries: &[Entry],
    directories: Vec<Subdirectory>,
    decisions: &[Decision],
    policy: &JobPolicy,
) -> Children {
    let keeps = policy.conflict == ConflictPolicy::Keep;
    let in_conflict = |index: u32| {
        let at = decisions.binary_search_by_key(&index, |decision| decision.verdict.index);
        at.is_ok_and(|at| decisions[at].verdict.conflict)
    };
    let child = |Subdirectory { index, state, present }| {
        let name = entries.get(index as usize)?.name.clone();
        let keeps_old = keeps && in_conflict(index);
        Some((name, Child { state, present, keeps_old }))
    };
    directories.into_iter().filter_map(child).collect()
}

/// Whether an action leads to an outcome.
fn acts(action: Action) -> bool {
    matches!(action, Action::Copy | Action::Restamp | Action::Fail)
}

const OUTSIDE_LINK: &str = "a link that leads out of the share needs outside_links = true for the share and the permit \
     outside-links: quicopy-agent peers permit";

const CONFLICT: &str =
    "changed at the destination since the last job, and /CONFLICT:fail leaves it alone";

/// What an earlier job left at a path below this job's root.
fn record_of(job: &Job, path: &RelPath) -> Option<Record> {
    let index = job.setup.index.as_ref()?;
    index.get(&job.setup.below_share(path)?).ok().flatten()
}
