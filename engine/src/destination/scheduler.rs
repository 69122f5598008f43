//! Puts entries in work: makes links, sets metadata, and asks for content, as far as the window allows.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};
use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::meta::{DirId, Kind, WantId};
use quicopy_protocol::options::CopyMode;
use quicopy_protocol::path::{Name, RelPath};
use quicopy_protocol::verdict::{Basis, Origins, OutcomeResult};

use super::checker::Checker;
use super::event::Event;
use super::finisher::{Finisher, Try};
use super::fix;
use super::job::Job;
use super::presence;
use super::setup::Setup;
use super::space_floor::wait_for_room;
use super::window::Weight;
use super::work::{Task, Work};
use crate::commit::CommitError;
use crate::commit::{Order, Place, Ready};
use crate::compare::Present;
use crate::disk::metadata::DosChange;
use crate::disk::{DirHandle, DiskKind, MetaChange, Stat};
use crate::fault::Fault;
use crate::receive::Target;
use crate::retry::RetryPolicy;

/// Longest wait without anything to try again.
const IDLE: Duration = Duration::from_secs(3600);

/// What came of a hard link.
enum Linked {
    /// It waits to be put in place.
    Ready(Box<Ready>),
    /// It was there.
    Already,
    /// It is not there, and the job only lists.
    WouldBe,
    /// What it would be another name of is not there.
    NoFirst,
}

/// Puts entries in work, one after the other.
pub(super) struct Scheduler<'a> {
    job: &'a Job,
    finisher: &'a Finisher<'a>,
    checker: &'a Checker<'a>,
    work: Receiver<Work>,
    commits: Sender<Order<Try>>,
    /// Entries to try again, by when; the number tells apart what is due at the same time.
    waiting: BTreeMap<(Instant, u64), Try>,
    waited: u64,
    next_want: u64,
    /// The directory of the last entry: the next is most likely in it, too.
    last: Option<(DirId, DirHandle)>,
}

impl<'a> Scheduler<'a> {
    pub(super) fn new(
        job: &'a Job,
        finisher: &'a Finisher<'a>,
        checker: &'a Checker<'a>,
        work: Receiver<Work>,
        commits: Sender<Order<Try>>,
    ) -> Self {
        let waiting = BTreeMap::new();
        Self { job, finisher, checker, work, commits, waiting, waited: 0, next_want: 0, last: None }
    }

    /// Runs until the job is stopped or over.
    pub(super) fn run(mut self) {
        let mut open = true;
        while !self.job.stop.is_set() {
            while let Some(entry) = self.due() {
                self.begin(entry);
            }
            let wait = match self.waiting.first_key_value() {
                Some(((due, _), _)) => due.saturating_duration_since(self.job.now()).min(IDLE),
                None => IDLE,
            };
            let work = if open { self.work.clone() } else { crossbeam_channel::never() };
            select! {
                recv(work) -> work => match work {
                    Ok(work) => self.begin(Try {
                        work: Arc::new(work),
                        retries: RetryPolicy::new(self.job.setup.policy.retry),
                    }),
                    Err(_) => open = false,
                },
                recv(self.finisher.again()) -> again => {
                    if let Ok((due, entry)) = again {
                        self.lay_aside(due, entry);
                    }
                }
                recv(self.job.over()) -> _ => return,
                default(wait) => {}
            }
        }
    }

    fn lay_aside(&mut self, due: Instant, entry: Try) {
        self.waited += 1;
        self.waiting.insert((due, self.waited), entry);
    }

    fn due(&mut self) -> Option<Try> {
        let entry = self.waiting.first_entry()?;
        (entry.key().0 <= self.job.now()).then(|| entry.remove())
    }

    fn begin(&mut self, entry: Try) {
        let work = Arc::clone(&entry.work);
        let may_have_more_names = self.job.setup.policy.selection.links.hard_links;
        if let (true, Kind::File, Some(path)) = (may_have_more_names, &work.entry.kind, work.path())
        {
            self.finisher.links().begin(path, work.id);
        }
        let begun = match (&work.task, &work.entry.kind) {
            (Task::Refuse(failure), _) => Err(Fault::lasting(failure.clone())),
            (Task::Copy(path), Kind::HardLink { .. })
                if self.job.setup.policy.mode == CopyMode::CreateEmpty =>
            {
                self.create_empty(&work, path).map(Some)
            }
            (Task::Copy(path) | Task::Check(path), Kind::HardLink { first }) => {
                let Some(entry) = self.finisher.links().wait_for(first, entry) else { return };
                return self.hard_link(entry, path, first);
            }
            (Task::Restamp(_) | Task::Fix(_), _)
                if fix::asks_attributes(&self.job.setup, &work) =>
            {
                return self.ask(entry, |scheduler, _, want| {
                    scheduler.checker.begin_attributes(want);
                    Ok(Basis::Content)
                });
            }
            (Task::Restamp(_) | Task::Fix(_), _) => return self.fix(entry),
            (Task::Check(_), _) => {
                return self.ask(entry, |scheduler, work, want| {
                    let dir = scheduler.dir(work)?;
                    scheduler.look(work, &dir)?;
                    scheduler.checker.begin_content(want, dir, work);
                    Ok(Basis::Digest)
                });
            }
            (Task::Copy(path), Kind::Link { target }) => self.link(&work, path, target).map(Some),
            (Task::Copy(path), Kind::File)
                if self.job.setup.policy.mode == CopyMode::CreateEmpty =>
            {
                self.create_empty(&work, path).map(Some)
            }
            (Task::Copy(path), Kind::File) => {
                return self.ask(entry, |scheduler, work, want| {
                    let target = scheduler.target(work, path)?;
                    wait_for_room(scheduler.job, &target.dir, target.size_bytes);
                    Ok(scheduler.job.receiver().begin(want, target, scheduler.job.now())?)
                });
            }
            // Directories are made by the comparer, and nothing else is put in work.
            (Task::Copy(_), Kind::Directory | Kind::Special) => Ok(None),
        };
        match begun {
            Ok(Some(ready)) => self.finisher.ready(entry, Box::new(ready), &self.commits),
            Ok(None) => self.finisher.finish(work.id, OutcomeResult::Done(Origins::default())),
            Err(fault) => {
                self.finisher.failed(entry, fault);
            }
        }
    }

    fn fix(&self, entry: Try) {
        match fix::fix(self.job, &entry.work, None) {
            Ok(()) => self.finisher.finish(entry.work.id, fix::outcome(&entry.work)),
            Err(fault) => self.finisher.failed(entry, fault),
        }
    }

    /// Makes a further name of the file at `first`, which is not in work any more.
    fn hard_link(&mut self, entry: Try, path: &RelPath, first: &RelPath) {
        let work = Arc::clone(&entry.work);
        let is_check = matches!(work.task, Task::Check(_));
        match self.make_hard_link(&work, path, first) {
            Ok(Linked::Ready(ready)) => self.finisher.ready(entry, ready, &self.commits),
            // Both names are of one file already, or there is nothing to compare the name with.
            Ok(Linked::Already | Linked::NoFirst) if is_check => {
                self.finisher.finish(work.id, OutcomeResult::Unchanged);
            }
            Ok(Linked::NoFirst) => {
                let reason = format!("{first}, of which it is another name, is not in place");
                let failure = Failure::new(Operation::CopyFile, 2, reason);
                self.finisher.failed(entry, Fault::lasting(failure));
            }
            Ok(Linked::Already | Linked::WouldBe) => {
                self.finisher.finish(work.id, OutcomeResult::Done(Origins::default()));
            }
            Err(fault) => self.finisher.failed(entry, fault),
        }
    }

    fn make_hard_link(
        &mut self,
        work: &Work,
        path: &RelPath,
        first: &RelPath,
    ) -> Result<Linked, Fault> {
        let fault = |error: std::io::Error| Fault::of(Operation::CopyFile, &error);
        let Some((dir, name, found)) = self.first_name(work, first).map_err(fault)? else {
            let list_only = self.job.setup.policy.list_only;
            return Ok(if list_only { Linked::WouldBe } else { Linked::NoFirst });
        };
        let is_linked =
            |there: &Present| (there.device, there.inode) == (found.device, found.inode);
        if work.present.as_ref().is_some_and(is_linked) {
            return Ok(Linked::Already);
        }
        if self.job.setup.policy.list_only {
            return Ok(Linked::WouldBe);
        }
        let target = self.target(work, path)?;
        let ready = self.job.receiver().hard_link(target, &dir, &name, &found)?;
        Ok(Linked::Ready(Box::new(ready)))
    }

    /// The file at `first`, if it is what the source has under both names: not an older version that stayed, nor something that
    /// the job may not touch.
    fn first_name(
        &self,
        work: &Work,
        first: &RelPath,
    ) -> std::io::Result<Option<(DirHandle, Name, Stat)>> {
        let (Some((above, name)), Some(tree)) = (first.split_last(), self.job.tree()) else {
            return Ok(None);
        };
        let filter = &self.job.filter;
        if first.names().any(|name| name.is_reserved())
            || filter.dir_excluded(&above)
            || filter.file_name_excluded(&above, &name)
        {
            return Ok(None);
        }
        let dir = match tree.root.open_path(&above) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let (setup, meta) = (&self.job.setup, &work.entry.meta);
        let is_as_listed = |found: &Stat| {
            found.kind == DiskKind::File
                && found.size_bytes == meta.size_bytes
                && setup.tolerances().compare(meta.modified, found.modified) == Ordering::Equal
        };
        let found = dir.stat(&name)?.filter(is_as_listed);
        Ok(found.map(|found| (dir, name, found)))
    }

    fn link(&mut self, work: &Work, path: &RelPath, text: &[u8]) -> Result<Ready, Fault> {
        let target = self.target(work, path)?;
        Ok(self.job.receiver().link(target, text)?)
    }

    fn create_empty(&mut self, work: &Work, path: &RelPath) -> Result<Ready, Fault> {
        let target = self.target(work, path)?;
        Ok(self.job.receiver().empty_file(target)?)
    }

    /// Asks about a file, once the window has room: for its content, or what `begin` prepares for.
    fn ask(
        &mut self,
        entry: Try,
        begin: impl FnOnce(&mut Self, &Work, WantId) -> Result<Basis, Fault>,
    ) {
        let weight = Weight::of(entry.work.entry.meta.size_bytes, entry.work.folder.id);
        if !self.job.window.acquire(weight) {
            return;
        }
        let want = WantId(self.next_want);
        let id = entry.work.id;
        match begin(self, &entry.work, want) {
            Ok(basis) => {
                self.next_want += 1;
                self.finisher.take_off(want, entry, weight);
                self.job.tell(Event::Want { want, entry: id, basis });
            }
            Err(fault) => {
                self.job.window.release(weight);
                self.finisher.failed(entry, fault);
            }
        }
    }

    fn target(&mut self, work: &Work, path: &RelPath) -> Result<Target, Fault> {
        let policy = &self.job.setup.policy;
        let dir = self.dir(work)?;
        let place = self.look(work, &dir)?;
        Ok(Target {
            name: work.entry.name.clone(),
            path: path.clone(),
            size_bytes: work.entry.meta.size_bytes,
            change: self.change(work),
            delta: policy.delta,
            writing: policy.writing,
            place,
            dir,
        })
    }

    /// The directory of an entry, made if that was deferred.
    fn dir(&mut self, work: &Work) -> Result<DirHandle, Fault> {
        let id = work.folder.id;
        if let Some((_, dir)) = self.last.as_ref().filter(|(last, _)| *last == id) {
            return Ok(dir.clone());
        }
        let dir = self.job.open_or_make(&work.folder)?;
        self.last = Some((id, dir.clone()));
        Ok(dir)
    }

    fn change(&self, work: &Work) -> MetaChange {
        let Setup { policy, rights, .. } = &self.job.setup;
        let dos = match policy.mode {
            CopyMode::CreateEmpty => fix::listed_attributes(policy, work),
            CopyMode::Copy | CopyMode::Nothing => {
                DosChange { add: policy.attributes_add, remove: policy.attributes_remove }
            }
        };
        MetaChange { dos, ..MetaChange::new(&work.entry.meta, policy.copy, rights.owner) }
    }

    /// A second look at the target: it must be what the plan was made for.
    fn look(&self, work: &Work, dir: &DirHandle) -> Result<Place, Fault> {
        let Some(planned) = &work.present else { return Ok(Place::New) };
        let name = &work.entry.name;
        let found = dir.stat(name).map_err(|error| Fault::of(Operation::CopyFile, &error))?;
        let Some(found) = found else { return Ok(Place::New) };
        let mut now = presence::present(dir, name, &found);
        if self.job.bin_for(work.aside.why()).is_some() {
            // A second name that an earlier try gave it, and took away again, moved its change time.
            now.changed = planned.changed;
        }
        if !planned.is_unchanged(&now) {
            return Err(Fault::lasting(CommitError::Changed.failure()));
        }
        Ok(if planned.is_dir() { Place::Exchange(found) } else { Place::Replace(found) })
    }
}
