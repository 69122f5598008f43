//! What becomes of an entry in work: wishes in flight, commits, retries, and the end.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};
use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::meta::{EntryId, WantId};
use quicopy_protocol::path::{Name, RelPath};
use quicopy_protocol::verdict::OutcomeResult;

use super::aside::Aside;
use super::descriptors::dirs_held_max;
use super::event::Event;
use super::hard_links::LinkWaits;
use super::job::Job;
use super::tree_state::TreeState;
use super::window::Weight;
use super::work::Work;
use crate::commit::CommitError;
use crate::commit::batch::BATCH_ITEMS_MAX;
use crate::commit::{Committed, Committer, Displaced, Item, Order, Outcome, Ready};
use crate::disk::{DirHandle, DiskKind};
use crate::fault::{self, DISK_FULL, Fault, Outlook};
use crate::index::Record;
use crate::plan::KEPT_MARK;
use crate::retry::RetryPolicy;

/// Finished files that may wait for the committer while it syncs a batch: half of the next one.
const READY_MAX: usize = BATCH_ITEMS_MAX / 2;

/// As many as may wait where each holds its directory open.
pub(super) fn ready_max() -> usize {
    READY_MAX.min(dirs_held_max())
}

/// An entry that is being tried.
#[derive(Debug)]
pub(super) struct Try {
    pub(super) work: Arc<Work>,
    pub(super) retries: RetryPolicy,
}

/// A wish that was made.
#[derive(Debug)]
struct Flight {
    entry: Try,
    weight: Weight,
}

/// Entries to try again, by when.
pub(super) type Again = (Instant, Try);

/// Follows entries in work to their end.
pub(super) struct Finisher<'a> {
    job: &'a Job,
    work: Receiver<Work>,
    flights: Mutex<HashMap<WantId, Flight>>,
    links: Mutex<LinkWaits<Try>>,
    again: (Sender<Again>, Receiver<Again>),
}

impl<'a> Finisher<'a> {
    pub(super) fn new(job: &'a Job, work: Receiver<Work>) -> Self {
        let again = crossbeam_channel::unbounded();
        Self { job, work, flights: Mutex::default(), links: Mutex::default(), again }
    }

    /// Where entries come out that are to be tried again.
    pub(super) fn again(&self) -> &Receiver<Again> {
        &self.again.1
    }

    /// Puts an entry in work again, without waiting.
    pub(super) fn at_once(&self, entry: Try) {
        let _ = self.again.0.send((self.job.now(), entry));
    }

    /// Notes a wish before it is told.
    pub(super) fn take_off(&self, want: WantId, entry: Try, weight: Weight) {
        self.flights().insert(want, Flight { entry, weight });
    }

    /// Ends a wish; `None` if it ended before.
    pub(super) fn land(&self, want: WantId) -> Option<Try> {
        let flight = self.flights().remove(&want)?;
        self.job.window.release(flight.weight);
        Some(flight.entry)
    }

    /// Hands a finished entry to the committer.
    pub(super) fn ready(&self, entry: Try, mut ready: Box<Ready>, commits: &Sender<Order<Try>>) {
        entry.work.folder.touch();
        let why = entry.work.aside.why();
        if let (Some(bin), Some(path)) = (self.job.bin_for(why), entry.work.path())
            && let Some(path) = self.job.setup.below_share(path)
        {
            ready.keep_old(bin, path, why);
        }
        let prepared = self.still_gives_way(&entry.work).and_then(|()| self.keep_old(&entry.work));
        if let Err(failure) = prepared {
            ready.discard();
            return self.failed(entry, Fault::lasting(failure));
        }
        let _ = commits.send(Order::Item(Item { tag: entry, ready }));
        let scan_ended = self.job.scan_ended.load(Ordering::Acquire);
        if scan_ended && self.work.is_empty() && self.flights().is_empty() {
            let _ = commits.send(Order::Flush);
        }
    }

    /// Makes sure that a directory that is about to be replaced is what was judged: its content took its time to come.
    fn still_gives_way(&self, work: &Work) -> Result<(), Failure> {
        let Aside::Tree(judged) = &work.aside else { return Ok(()) };
        let dir = self.job.open(&work.folder);
        match dir.and_then(|dir| TreeState::of(&dir, &work.entry.name)) {
            Ok(now) if now == *judged => Ok(()),
            // Somebody else removed it: the place is free.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Ok(_) => Err(CommitError::Changed.failure()),
            Err(error) => Err(fault::failure(Operation::CopyFile, &error)),
        }
    }

    /// Gives the version that is about to be replaced a second name, where the job keeps it.
    fn keep_old(&self, work: &Work) -> Result<(), Failure> {
        if !work.keeps_old {
            return Ok(());
        }
        let fail = |error: &io::Error| fault::failure(Operation::CopyFile, error);
        let seconds = work.present.as_ref().map_or(0, |present| present.modified.seconds);
        let dir = self.job.open(&work.folder).map_err(|error| fail(&error))?;
        keep_version(&dir, &work.entry.name, seconds).map_err(|error| fail(&error))
    }

    /// An entry failed: it is tried again if that may help and tries are left.
    pub(super) fn failed(&self, mut entry: Try, fault: Fault) {
        let Fault { mut failure, outlook, lacking_bytes } = fault;
        if failure.windows_code == DISK_FULL && !self.job.stop.is_set() {
            let size_bytes = entry.work.entry.meta.size_bytes;
            if self.job.make_room(&entry.work.folder.path, size_bytes, lacking_bytes) {
                let _ = self.again.0.send((self.job.now(), entry));
                return;
            }
            self.job.explain_full(&mut failure, size_bytes);
        }
        let wait = match outlook {
            Outlook::Passing | Outlook::Outage => entry.retries.next_wait(),
            Outlook::Lasting => None,
        };
        let Some(wait) = wait.filter(|_| !self.job.stop.is_set()) else {
            return self.finish(entry.work.id, OutcomeResult::Failed(failure));
        };
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
        self.job.tell(Event::Retrying(entry.work.id, failure, seconds));
        let _ = self.again.0.send((self.job.now() + wait, entry));
    }

    /// Commits what is ready, until nobody brings more.
    pub(super) fn commit(&self, orders: &Receiver<Order<Try>>) {
        let setup = &self.job.setup;
        let committer =
            Committer::new(Arc::clone(&setup.share), Arc::clone(self.job.durable()), setup.clock)
                .with_batches_of(dirs_held_max());
        let mut records = Records::new(self.job);
        committer.run(orders, |outcome| self.committed(outcome, &mut records));
        records.put();
    }

    fn committed(&self, Outcome { tag: entry, result }: Outcome<Try>, records: &mut Records<'_>) {
        match result {
            Ok(committed) => {
                self.job.note_change();
                self.placed(&entry, committed, records);
            }
            Err(error) => self.failed(entry, error.into()),
        }
    }

    fn placed(&self, entry: &Try, committed: Committed, records: &mut Records<'_>) {
        let Committed { stat, origins, displaced, ignored, .. } = committed;
        let work = &entry.work;
        if let Some(Displaced { dir, name }) = displaced {
            let path = work.path().unwrap_or(&work.folder.path);
            if let Err(error) = self.job.put_aside(&dir, &name, path, work.aside) {
                self.job.tell_left_aside(path, &name, &error);
            }
        } else if let (Aside::Entry, Some(_)) = (work.aside, &work.present) {
            self.job.note_gone(work.aside.why(), 1);
        }
        self.job.tell_ignored(&ignored);
        let record = (stat.kind == DiskKind::File).then(|| Record::from(&stat));
        if let Some(path) = work.path() {
            records.note(path, record);
        }
        self.finish(work.id, OutcomeResult::Done(origins));
    }

    /// Ends an entry.
    pub(super) fn finish(&self, entry: EntryId, result: OutcomeResult) {
        self.job.finish_entry(entry, result);
        for link in self.links().ended(entry) {
            self.at_once(link);
        }
    }

    /// The hard links that wait for their first name.
    pub(super) fn links(&self) -> MutexGuard<'_, LinkWaits<Try>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<WantId, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives a version that is about to be replaced a second name, which says when it was written. The same version is kept
/// once, however often that is tried; another one with the same time gets a name of its own.
pub(super) fn keep_version(dir: &DirHandle, name: &Name, seconds: i64) -> io::Result<()> {
    let Some(version) = dir.stat(name)? else { return Ok(()) };
    for number in 1..=KEPT_MAX {
        let suffix = if number == 1 { String::new() } else { format!("-{number}") };
        let mut kept = name.as_bytes().to_vec();
        kept.extend_from_slice(format!("{KEPT_MARK}{seconds}{suffix}").as_bytes());
        let kept = Name::new(kept).map_err(|error| {
            io::Error::other(format!("the version in conflict cannot be kept: {error}"))
        })?;
        match dir.link(name, dir, &kept) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if dir.stat(&kept)?.is_some_and(|there| there.is_same_inode(&version)) {
                    return Ok(());
                }
            }
            linked => return linked,
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Versions of one file with one time that are kept.
const KEPT_MAX: u32 = 100;

/// What is to be remembered of committed files, a batch at a time.
struct Records<'a> {
    job: &'a Job,
    batch: Vec<(RelPath, Option<Record>)>,
}

impl<'a> Records<'a> {
    fn new(job: &'a Job) -> Self {
        Self { job, batch: Vec::new() }
    }

    fn note(&mut self, path: &RelPath, record: Option<Record>) {
        if self.job.setup.index.is_none() {
            return;
        }
        self.batch.extend(self.job.setup.below_share(path).map(|path| (path, record)));
        if self.batch.len() >= BATCH_ITEMS_MAX {
            self.put();
        }
    }

    /// Writes the batch. A failure costs a conflict that is not seen, or one that is none.
    fn put(&mut self) {
        let Some(index) = &self.job.setup.index else { return };
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty()
            && let Err(error) = index.put_batch(&batch)
        {
            tracing::warn!(%error, "what was copied could not be noted in the index");
        }
    }
}
