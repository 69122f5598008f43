//! Plans directories, one after the other in the order of the scan, and makes those that are missing.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use crossbeam_channel::Sender;
use quicopy_protocol::code::{Failure, Operation, RefusalCode};
use quicopy_protocol::meta::{Attribute, DirId, Entry, EntryId, Kind, Meta};
use quicopy_protocol::options::ConflictPolicy;
use quicopy_protocol::path::{Name, RelPath};
use quicopy_protocol::verdict::{Action, DirState, Verdict};

use super::Refusal;
use super::event::{Event, PartEnd};
use super::folder::{Children, Folder};
use super::job::Job;
use super::presence::{self, Lister};
use super::removal::Removals;
use super::work::{Task, Work};
use crate::compare::{Present, Tolerances};
use crate::disk::{DirHandle, RenameMode, Stat};
use crate::fault;
use crate::index::Record;
use crate::plan::{Decision, DirectoryInput, Knowledge, Rules, plan_directory};
use crate::purge::{self, Census, Find};

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
    pub(super) fn finish(self) -> (Removals, u64) {
        (self.removals, self.planned)
    }

    /// Plans one directory.
    ///
    /// # Errors
    /// The job cannot go on: its guard, its sender or its destination forbid it.
    pub(super) fn plan(&mut self, listing: Listing) -> Result<(), Refusal> {
        self.planned += 1;
        let parent_path = listing.path.split_last();
        while self.above.last().is_some_and(|open| {
            parent_path.as_ref().is_none_or(|(parent, _)| open.folder.path != *parent)
        }) {
            self.above.pop();
        }
        let arrival = match &parent_path {
            None => self.arrive_at_root(&listing)?,
            Some((_, name)) => self.arrive(name)?,
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

    fn arrive(&mut self, name: &Name) -> Result<Arrival, Refusal> {
        let Some(parent) = self.above.last_mut() else {
            return Err(Refusal::protocol("a listing whose parent directory was not listed"));
        };
        if parent.folder.avoided {
            return Ok(Arrival::Absent(DirState::Avoided));
        }
        let Some((state, present)) = parent.children.remove(name) else {
            return Err(Refusal::protocol("a listing that its parent directory does not name"));
        };
        let folder = Arc::clone(&parent.folder);
        let list_only = self.job.setup.policy.list_only;
        let fail = |operation, error: &io::Error| {
            Arrival::Absent(DirState::Failed(fault::failure(operation, error)))
        };
        Ok(match state {
            DirState::Existing => {
                let entered = self.job.open(&folder).and_then(|above| {
                    let handle = above.open_dir(name)?;
                    let found = handle.own_stat()?;
                    Ok((handle, found))
                });
                match entered {
                    Ok((handle, found)) => {
                        Arrival::Entered { handle, found: Some(found), state: DirState::Existing }
                    }
                    Err(error) => fail(Operation::AccessDestinationDirectory, &error),
                }
            }
            DirState::New if list_only => Arrival::Absent(DirState::New),
            DirState::New => match self.make(&folder, name, present.as_ref()) {
                Ok(handle) => Arrival::Entered { handle, found: None, state: DirState::New },
                Err(failure) => Arrival::Absent(DirState::Failed(failure)),
            },
            // What must give way to a deferred directory goes only when the directory comes: it is made at once instead.
            DirState::Deferred if present.is_some() && !list_only => {
                match self.make(&folder, name, present.as_ref()) {
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
    fn make(
        &self,
        parent: &Arc<Folder>,
        name: &Name,
        present: Option<&Present>,
    ) -> Result<DirHandle, Failure> {
        let above = self.job.open_or_make(parent)?;
        let create = |error: io::Error| fault::failure(Operation::CreateDirectory, &error);
        parent.touch();
        let Some(present) = present else {
            return above.make_dir(name).map_err(create);
        };
        let now = above.stat(name).map_err(create)?;
        let same = now.as_ref().map(|stat| presence::present(&above, name, stat));
        if same.as_ref() != Some(present) {
            return Err(presence::changed_meanwhile());
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
                Ok(listed) => presence::all(handle, listed),
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
        if let Some(handle) = &handle {
            folder.hold(handle.clone());
        }
        if state == DirState::New {
            folder.touch();
        }
        let children = plan
            .directories
            .into_iter()
            .filter_map(|sub| {
                let name = entries.get(sub.index as usize)?.name.clone();
                Some((name, (sub.state, sub.present)))
            })
            .collect();

        self.removals.count(plan.census);
        let (verdicts, work, displaced) = works(job, &folder, &entries, plan.decisions, &rules);
        self.removals.count(displaced);
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
            handle: Default::default(),
            touched: AtomicBool::new(false),
            copy_failed: AtomicBool::new(false),
            has_removals: AtomicBool::new(false),
        }
    }
}

/// What follows from the decisions: what is told, what is put in work, and how much goes with directories that give way.
fn works(
    job: &Job,
    folder: &Arc<Folder>,
    entries: &[Entry],
    decisions: Vec<Decision>,
    rules: &Rules<'_>,
) -> (Vec<Verdict>, Vec<Work>, Census) {
    let mut verdicts = Vec::with_capacity(decisions.len());
    let mut works = Vec::new();
    let mut displaced = Census::default();
    for Decision { mut verdict, present } in decisions {
        let Some(entry) = entries.get(verdict.index as usize) else { continue };
        let is_dir = entry.kind == Kind::Directory;
        if is_dir && matches!(verdict.action, Action::Copy | Action::Restamp) {
            // Its own listing brings its own plan.
            continue;
        }
        let path = folder.path.join(&entry.name);
        let in_the_way = present.as_ref().filter(|present| present.is_dir() && !is_dir);
        if acts(verdict.action)
            && let (Some(directory), Ok(path)) = (in_the_way, &path)
        {
            match purge::survey(rules, path, directory, &mut Lister { job }) {
                Ok(census) => displaced += census,
                Err(_) => verdict.action = Action::Mismatch,
            }
        }
        if acts(verdict.action) && !rules.policy.list_only {
            let task = match (verdict.action, path) {
                (_, Err(error)) => Task::Refuse(format!("{error} cannot be copied")),

                (Action::Fail, Ok(_)) => Task::Refuse(CONFLICT.to_owned()),
                (Action::Restamp, Ok(path)) => Task::Restamp(path),
                (_, Ok(path)) => match job.forbids(&entry.name) {
                    Some(reason) => Task::Refuse(reason),
                    None => Task::Copy(path),
                },
            };
            let keeps_old = verdict.conflict && rules.policy.conflict == ConflictPolicy::Keep;
            let id = EntryId { dir: folder.id, index: verdict.index };
            let (folder, entry) = (Arc::clone(folder), entry.clone());
            works.push(Work { id, folder, entry, task, present, keeps_old });
        }
        verdicts.push(verdict);
    }
    (verdicts, works, displaced)
}

/// Whether an action leads to an outcome.
fn acts(action: Action) -> bool {
    matches!(action, Action::Copy | Action::Restamp | Action::Fail)
}

const CONFLICT: &str =
    "changed at the destination since the last job, and /CONFLICT:fail leaves it alone";

/// What an earlier job left at a path below this job's root.
fn record_of(job: &Job, path: &RelPath) -> Option<Record> {
    let index = job.setup.index.as_ref()?;
    index.get(&job.setup.below_share(path)?).ok().flatten()
}
