//! The loop that commits batches.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use quicopy_protocol::meta::Digest;
use quicopy_protocol::verdict::Origins;

use super::batch::{BATCH_ITEMS_MAX, Batch};
use super::error::CommitError;
use super::place::{Covered, Displaced, Ready};
use crate::disk::{DirHandle, Durable, Ignored, Share, Stat};
use quicopy_protocol::options::Durability;

/// A sync of the whole file system that takes longer shows that others write a lot to it: from then on each file is synced alone.
const SLOW_SYNC: Duration = Duration::from_secs(10);

/// Where the time comes from: `Instant::now` in the programs.
pub type Clock = fn() -> Instant;

/// An entry that is complete and takes its place, and what the caller knows it by.
#[derive(Debug)]
pub struct Item<T> {
    /// Comes back with the outcome.
    pub tag: T,
    /// The entry.
    pub ready: Box<Ready>,
}

/// What the committer is told.
#[derive(Debug)]
pub enum Order<T> {
    /// Commit this with the next batch.
    Item(Item<T>),
    /// Nothing else is on its way for now: commit what waits at once.
    Flush,
}

/// What became of one item. Comes once for each, in no particular order.
#[derive(Debug)]
pub struct Outcome<T> {
    /// As it came.
    pub tag: T,
    /// In place, and durable as far as the mode promises; or why it is not.
    pub result: Result<Committed, CommitError>,
}

/// An entry in its place.
#[derive(Debug)]
pub struct Committed {
    /// As it stands there, for comparing later runs with.
    pub stat: Stat,
    /// BLAKE3 of a file's content; `None` for a link.
    pub digest: Option<Digest>,
    /// Where the bytes came from.
    pub origins: Origins,
    /// What the file system could not keep.
    pub ignored: Ignored,
    /// What an exchange took out of its way; the caller's to remove.
    pub displaced: Option<Displaced>,
}

/// Commits what becomes ready on one share.
#[derive(Debug)]
pub struct Committer {
    share: Arc<Share>,
    durable: Arc<Durable>,
    clock: Clock,
    items_max: usize,
}

impl Committer {
    /// For a job on `share`.
    pub fn new(share: Arc<Share>, durable: Arc<Durable>, clock: Clock) -> Self {
        Self { share, durable, clock, items_max: BATCH_ITEMS_MAX }
    }

    /// The same with at most so many entries in a batch: each may hold a directory open.
    #[must_use]
    pub fn with_batches_of(self, items_max: usize) -> Self {
        Self { items_max: items_max.min(BATCH_ITEMS_MAX), ..self }
    }

    /// Commits until all senders of `orders` are gone and the last batch is done. Runs in a thread of its own.
    pub fn run<T>(&self, orders: &Receiver<Order<T>>, mut on_outcome: impl FnMut(Outcome<T>)) {
        let mut batch = Batch::new(self.items_max);
        loop {
            let order = match batch.due_at() {
                Some(due) => orders.recv_deadline(due),
                None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let ended = match order {
                Ok(Order::Item(item)) => {
                    let bytes = item.ready.size_bytes;
                    batch.push(item, bytes, (self.clock)());
                    false
                }
                Ok(Order::Flush) => {
                    batch.flush();
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            if ended || batch.is_due((self.clock)()) {
                self.commit(batch.take()).into_iter().for_each(&mut on_outcome);
            }
            if ended {
                return;
            }
        }
    }

    /// Commits these items as one batch.
    pub fn commit<T>(&self, items: Vec<Item<T>>) -> Vec<Outcome<T>> {
        let mut steps: Vec<Step<T>> = items.into_iter().map(Step::new).collect();
        if self.share.is_degraded() {
            fail_open(&mut steps, || CommitError::Degraded);
        } else if !steps.is_empty() {
            self.sync_data(&mut steps);
            if self.share.is_degraded() {
                // Nothing of a batch counts of which a part is lost.
                fail_open(&mut steps, || CommitError::Degraded);
            }
            crate::crash_point!("agent_batch_synced");
            steps.iter_mut().for_each(Step::put);
            crate::crash_point!("agent_batch_renamed");
            self.sync_names(&mut steps);
            crate::crash_point!("agent_batch_durable");
        }
        steps.into_iter().map(Step::finish).collect()
    }

    fn sync_data<T>(&self, steps: &mut [Step<T>]) {
        for step in &mut *steps {
            if let Covered::File(file) = &step.ready.covered
                && let Err(error) = self.durable.syncs().file(file)
            {
                self.share.mark_degraded();
                step.error = Some(CommitError::Sync(error));
            }
        }
        if steps.iter().any(Step::needs_file_system) {
            self.sync_file_system(steps);
        }
    }

    fn sync_names<T>(&self, steps: &mut [Step<T>]) {
        let in_group = self.durable.mode() == Durability::Group;
        let device = self.share.root().device();
        let mut whole = false;
        let mut dirs = BTreeMap::new();
        for step in steps.iter().filter(|step| step.error.is_none()) {
            for dir in step.dirs() {
                let grouped = in_group && dir.device() == device;
                whole |= grouped || step.needs_file_system();
                if !grouped {
                    dirs.insert((dir.device(), dir.inode()), dir.clone());
                }
            }
        }
        for (key, dir) in dirs {
            if let Err(error) = self.durable.syncs().directory(&dir) {
                self.share.mark_degraded();
                let touched =
                    |step: &&mut Step<T>| step.dirs().any(|dir| (dir.device(), dir.inode()) == key);
                let copy = || CommitError::Sync(copy(&error));
                steps.iter_mut().filter(touched).for_each(|step| step.fail(copy()));
            }
        }
        if whole {
            self.sync_file_system(steps);
        }
    }

    /// One sync for all. If it fails, nothing of the batch counts.
    fn sync_file_system<T>(&self, steps: &mut [Step<T>]) {
        let begin = (self.clock)();
        if let Err(error) = self.durable.syncs().file_system() {
            tracing::error!(%error, "the destination's file system failed to sync; its disk needs a look");
            self.share.mark_degraded();
            fail_open(steps, || CommitError::Sync(copy(&error)));
        }
        if (self.clock)().saturating_duration_since(begin) > SLOW_SYNC {
            tracing::warn!(
                "syncing the whole file system is slow; each file is synced alone from now on"
            );
            self.durable.leave_group();
        }
    }
}

/// One entry on its way through a batch.
struct Step<T> {
    tag: T,
    ready: Box<Ready>,
    stat: Option<Stat>,
    error: Option<CommitError>,
}

impl<T> Step<T> {
    fn new(Item { tag, ready }: Item<T>) -> Self {
        Self { tag, ready, stat: None, error: None }
    }

    fn fail(&mut self, error: CommitError) {
        self.error.get_or_insert(error);
    }

    fn needs_file_system(&self) -> bool {
        matches!(self.ready.covered, Covered::FileSystem)
    }

    fn put(&mut self) {
        if self.error.is_some() {
            return;
        }
        match self.ready.put() {
            Ok(stat) => self.stat = Some(stat),
            Err(error) => self.error = Some(error),
        }
    }

    /// The directories whose names the entry changed.
    fn dirs(&self) -> impl Iterator<Item = &DirHandle> {
        let displaced = self.ready.displaced.as_ref().map(|displaced| &displaced.dir);
        std::iter::once(&self.ready.dir).chain(displaced)
    }

    fn finish(self) -> Outcome<T> {
        let result = match (self.stat, self.error) {
            (Some(stat), None) => {
                self.ready.forget_record();
                let Ready { digest, origins, ignored, displaced, .. } = *self.ready;
                Ok(Committed { stat, digest, origins, ignored, displaced })
            }
            (_, error) => {
                self.ready.discard();
                Err(error.unwrap_or(CommitError::Degraded))
            }
        };
        Outcome { tag: self.tag, result }
    }
}

fn fail_open<T>(steps: &mut [Step<T>], error: impl Fn() -> CommitError) {
    steps.iter_mut().for_each(|step| step.fail(error()));
}

/// The same error once more, for the next item it concerns.
fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
