//! Puts entries in work: makes links, sets metadata, and asks for content, as far as the window allows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};
use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::meta::{DirId, Kind, WantId};
use quicopy_protocol::options::CopyMode;
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::{Origins, OutcomeResult};

use super::event::Event;
use super::finisher::{Finisher, Try};
use super::job::Job;
use super::presence;
use super::window::Weight;
use super::work::{Task, Work};
use crate::commit::{Order, Place, Ready};
use crate::disk::{DirHandle, MetaChange};
use crate::fault::Fault;
use crate::receive::Target;
use crate::retry::RetryPolicy;

/// Longest wait without anything to try again.
const IDLE: Duration = Duration::from_secs(3600);

/// Puts entries in work, one after the other.
pub(super) struct Scheduler<'a> {
    job: &'a Job,
    finisher: &'a Finisher<'a>,
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
        work: Receiver<Work>,
        commits: Sender<Order<Try>>,
    ) -> Self {
        let waiting = BTreeMap::new();
        Self { job, finisher, work, commits, waiting, waited: 0, next_want: 0, last: None }
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
        let begun = match (&work.task, &work.entry.kind) {
            (Task::Refuse(reason), _) => {
                Err(Fault::lasting(Failure::new(Operation::CopyFile, 32, reason)))
            }
            (Task::Restamp(_), _) => self.restamp(&work),
            (Task::Copy(path), Kind::Link { target }) => self.link(&work, path, target).map(Some),
            (Task::Copy(path), Kind::File)
                if self.job.setup.policy.mode == CopyMode::CreateEmpty =>
            {
                self.create_empty(&work, path).map(Some)
            }
            (Task::Copy(path), Kind::File) => return self.ask(entry, path),
            (Task::Copy(_), Kind::HardLink { .. }) => Err(Fault::lasting(Failure::new(
                Operation::CopyFile,
                50,
                "hard links are not made yet",
            ))),
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

    fn restamp(&mut self, work: &Work) -> Result<Option<Ready>, Fault> {
        let dir = self.dir(work)?;
        self.look(work, &dir)?;
        dir.set_meta(&work.entry.name, &self.change(work), None)
            .map_err(|error| Fault::of(Operation::ChangeAttributes, &error))?;
        self.job.note_change();
        Ok(None)
    }

    fn link(&mut self, work: &Work, path: &RelPath, text: &[u8]) -> Result<Ready, Fault> {
        let target = self.target(work, path)?;
        Ok(self.job.receiver().link(target, text)?)
    }

    fn create_empty(&mut self, work: &Work, path: &RelPath) -> Result<Ready, Fault> {
        let target = self.target(work, path)?;
        Ok(self.job.receiver().empty_file(target)?)
    }

    /// Asks for a file's content, once the window has room.
    fn ask(&mut self, entry: Try, path: &RelPath) {
        let weight = Weight::of(entry.work.entry.meta.size_bytes, entry.work.folder.id);
        if !self.job.window.acquire(weight) {
            return;
        }
        let want = WantId(self.next_want);
        let id = entry.work.id;
        let begun = self
            .target(&entry.work, path)
            .and_then(|target| Ok(self.job.receiver().begin(want, target, self.job.now())?));
        match begun {
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
        let setup = &self.job.setup;
        MetaChange::new(&work.entry.meta, setup.policy.copy, setup.rights.owner)
    }

    /// A second look at the target: it must be what the plan was made for.
    fn look(&self, work: &Work, dir: &DirHandle) -> Result<Place, Fault> {
        let Some(planned) = &work.present else { return Ok(Place::New) };
        let name = &work.entry.name;
        let found = dir.stat(name).map_err(|error| Fault::of(Operation::CopyFile, &error))?;
        let Some(found) = found else { return Ok(Place::New) };
        let mut now = presence::present(dir, name, &found);
        if work.keeps_old {
            // A second name that an earlier try gave it moves its change time.
            now.changed = planned.changed;
        }
        if now != *planned {
            return Err(Fault::lasting(presence::changed_meanwhile()));
        }
        Ok(if planned.is_dir() { Place::Exchange(found) } else { Place::Replace(found) })
    }
}
