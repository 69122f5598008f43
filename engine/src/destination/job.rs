//! What the threads of one job at the destination share.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use async_channel::Sender;
use quicopy_protocol::code::Operation;
use quicopy_protocol::meta::{DirId, EntryId};
use quicopy_protocol::options::Durability;
use quicopy_protocol::path::{Name, RelPath};
use quicopy_protocol::verdict::OutcomeResult;

use super::Refusal;
use super::aside;
use super::descriptors::dirs_held_max;
use super::event::Event;
use super::folder::Folder;
use super::ledger::Ledger;
use super::setup::Setup;
use super::stamp::{Held, check_own_name};
use super::window::Window;
use crate::disk::{DirHandle, Durable, Ignored, Stat, Tree};
use crate::fault::Fault;
use crate::filter::Filter;
use crate::index::Record;
use crate::names::{self, NameFamily, NameLimits};
use crate::receive::Receiver;
use crate::source::StopFlag;
use crate::trash::Bin;

/// One job at the destination.
pub(super) struct Job {
    pub(super) setup: Setup,
    pub(super) filter: Filter,
    /// Where deletions go, if they are kept for a while.
    pub(super) bin: Option<Arc<Bin>>,
    pub(super) stop: StopFlag,
    pub(super) window: Window,
    /// Set when no listing follows.
    pub(super) scan_ended: AtomicBool,
    tree: OnceLock<Tree>,
    name_bytes_max: OnceLock<Option<usize>>,
    receiver: OnceLock<Receiver>,
    durable: Arc<Durable>,
    changed: AtomicBool,
    displaced: AtomicU64,
    trashed: AtomicU64,
    /// Whether it was told that something lies out of the trash's reach.
    pub(super) told_out_of_reach: AtomicBool,
    ignored: Mutex<Ignored>,
    /// Directories whose mode is for the time of the job.
    pub(super) held: Held,
    refusal: OnceLock<Refusal>,
    events: Sender<Event>,
    progress: Mutex<Progress>,
    moved_on: Condvar,
    /// Nothing comes through; it is closed when the job is parked or over.
    over: (
        Mutex<Option<crossbeam_channel::Sender<Infallible>>>,
        crossbeam_channel::Receiver<Infallible>,
    ),
}

#[derive(Default)]
struct Progress {
    ledger: Ledger,
    folders: HashMap<DirId, Arc<Folder>>,
    /// The settled number that was told last.
    told: u64,
    /// Threads that have taken an entry out of work and have not told yet what that settles.
    telling: usize,
}

impl Job {
    pub(super) fn new(setup: Setup, filter: Filter, stop: StopFlag, events: Sender<Event>) -> Self {
        let (over_tx, over_rx) = crossbeam_channel::bounded(0);
        let durable = Arc::new(Durable::new(setup.share.root(), setup.durability));
        Self {
            bin: aside::bin(&setup),
            setup,
            filter,
            stop,
            window: Window::new(dirs_held_max()),
            scan_ended: AtomicBool::new(false),
            tree: OnceLock::new(),
            name_bytes_max: OnceLock::new(),
            receiver: OnceLock::new(),
            durable,
            changed: AtomicBool::new(false),
            displaced: AtomicU64::new(0),
            trashed: AtomicU64::new(0),
            told_out_of_reach: AtomicBool::new(false),
            ignored: Mutex::default(),
            held: Held::default(),
            refusal: OnceLock::new(),
            events,
            progress: Mutex::new(Progress::default()),
            moved_on: Condvar::new(),
            over: (Mutex::new(Some(over_tx)), over_rx),
        }
    }

    /// Says something to the sender. Nobody listens any more when the link is gone: then the job stops.
    pub(super) fn tell(&self, event: Event) {
        if self.events.send_blocking(event).is_err() {
            self.park();
        }
    }

    /// Adds to what was removed to make room for something else.
    pub(super) fn note_displaced(&self, entries: u64) {
        self.displaced.fetch_add(entries, Ordering::Relaxed);
    }

    /// Entries that were removed to make room for others.
    pub(super) fn displaced(&self) -> u64 {
        self.displaced.load(Ordering::Relaxed)
    }

    /// Adds to those of them that are in the trash.
    pub(super) fn note_trashed(&self, entries: u64) {
        self.trashed.fetch_add(entries, Ordering::Relaxed);
    }

    /// Those of them that are in the trash.
    pub(super) fn trashed(&self) -> u64 {
        self.trashed.load(Ordering::Relaxed)
    }

    /// Asks every thread of the job to come to its end and to keep what is unfinished.
    pub(super) fn park(&self) {
        self.stop.set();
        self.window.close();
        // Under the lock, so that nobody misses it between a look at the flag and the wait.
        drop(self.progress());
        self.moved_on.notify_all();
        self.over.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// A channel that closes when the job is parked or over, for those who select.
    pub(super) fn over(&self) -> &crossbeam_channel::Receiver<Infallible> {
        &self.over.1
    }

    /// Ends the job with a reason that its sender must hear.
    pub(super) fn refuse(&self, refusal: Refusal) {
        let _ = self.refusal.set(refusal);
        self.park();
    }

    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refusal.get().cloned()
    }

    pub(super) fn now(&self) -> Instant {
        (self.setup.clock)()
    }

    pub(super) fn durable(&self) -> &Arc<Durable> {
        &self.durable
    }

    /// Notes that something was changed at the destination.
    pub(super) fn note_change(&self) {
        self.changed.store(true, Ordering::Release);
    }

    /// Says, once for each kind, what the destination cannot keep.
    pub(super) fn tell_ignored(&self, ignored: &Ignored) {
        let before = {
            let mut told = self.ignored.lock().unwrap_or_else(PoisonError::into_inner);
            let before = *told;
            *told = before.or(*ignored);
            before
        };
        if ignored.mode && !before.mode {
            self.tell(Event::Notice(
                "the destination's file system keeps no permission bits; they are left out"
                    .to_owned(),
            ));
        }
        if ignored.attributes && !before.attributes {
            self.tell(Event::Notice("some extended attributes or access lists cannot be kept at the destination; they are left out".to_owned()));
        }
    }

    pub(super) fn set_tree(&self, tree: Tree) {
        let _ = self.tree.set(tree);
    }

    /// The job's root; `None` as long as it is not there, as under `/L`.
    pub(super) fn tree(&self) -> Option<&Tree> {
        self.tree.get()
    }

    /// Why the destination cannot hold a name, if it cannot.
    pub(super) fn forbids(&self, name: &Name) -> Option<String> {
        let bytes_max =
            *self.name_bytes_max.get_or_init(|| self.tree()?.root.name_bytes_max().ok());
        let bytes_max = bytes_max?;
        names::forbidden(name, NameLimits { bytes_max, family: NameFamily::Unix })
    }

    /// The files on their way in. Nothing is on its way before the root was planned.
    pub(super) fn receiver(&self) -> &Receiver {
        self.receiver.get_or_init(|| {
            let tree = self.tree().expect("content comes after the root was planned");
            Receiver::new(tree, &self.setup.peer, Arc::clone(&self.durable))
        })
    }

    /// Makes durable what came of files that are not finished, for the next attempt.
    pub(super) fn keep_unfinished(&self) {
        if let Some(receiver) = self.receiver.get() {
            receiver.park(self.now());
        }
    }

    /// Makes the last changes durable: directories, their metadata, deletions.
    pub(super) fn sync_last(&self) {
        if !self.changed.load(Ordering::Acquire) {
            return;
        }
        if let Some(index) = &self.setup.index
            && let Err(error) = index.flush()
        {
            tracing::warn!(%error, "the index could not be made durable");
        }
        if self.durable.mode() != Durability::None
            && let Err(error) = self.durable.syncs().file_system()
        {
            self.setup.share.mark_degraded();
            self.tell(Event::Notice(format!(
                "the destination's file system failed to sync: {error}; check its disk"
            )));
        }
    }

    /// Waits until every listing was planned, nothing is in work, and all of it was told; false if the job was stopped before.
    pub(super) fn wait_until_idle(&self) -> bool {
        let mut progress = self.progress();
        let is_busy = |progress: &Progress| !progress.ledger.is_idle() || progress.telling > 0;
        while !self.stop.is_set() && is_busy(&progress) {
            progress = self.moved_on.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
        !self.stop.is_set()
    }

    /// Puts a planned directory's entries in work. Call it after the plan was told.
    pub(super) fn begin_folder(&self, folder: &Arc<Folder>, entries: u64) {
        {
            let mut progress = self.progress();
            if !progress.ledger.plan(folder.id, entries) {
                folder.begin();
                progress.folders.insert(folder.id, Arc::clone(folder));
            }
        }
        self.tell_settled();
    }

    /// Tells what became of an entry, and settles its directory with the last.
    pub(super) fn finish_entry(&self, entry: EntryId, result: OutcomeResult) {
        let failed = matches!(result, OutcomeResult::Failed(_));
        self.tell(Event::Outcome(entry, result));
        let done = {
            let mut progress = self.progress();
            progress.telling += 1;
            if failed && let Some(folder) = progress.folders.get(&entry.dir) {
                folder.copy_failed.store(true, Ordering::Release);
            }
            if progress.ledger.finish(entry.dir) {
                progress.folders.remove(&entry.dir)
            } else {
                None
            }
        };
        if let Some(folder) = done {
            self.release(&folder);
        }
        self.tell_settled();
        self.progress().telling -= 1;
        self.moved_on.notify_all();
    }

    fn tell_settled(&self) {
        let settled = {
            let mut progress = self.progress();
            let settled = progress.ledger.settled();
            if settled.0 == progress.told {
                return;
            }
            progress.told = settled.0;
            settled
        };
        self.tell(Event::Settled(settled));
    }

    /// Notes that something in a directory is over. With the last, the directory gets the metadata that the job asks for,
    /// and the one above it is a step further: from the bottom up, since making a directory moves the time of its parent.
    pub(super) fn release(&self, folder: &Arc<Folder>) {
        let mut folder = folder;
        while folder.end() {
            if !folder.has_removals.load(Ordering::Acquire) {
                self.stamp(folder);
            }
            match &folder.parent {
                Some(parent) => folder = parent,
                None => return,
            }
        }
    }

    /// The directory itself. Nobody holds it for long: there may be more directories in work than descriptors.
    pub(super) fn open(&self, folder: &Folder) -> io::Result<DirHandle> {
        let tree = self.tree().ok_or(io::ErrorKind::NotFound)?;
        tree.root.open_path(&folder.path)
    }

    /// Opens a directory for work in it, and makes it first where that was deferred until something is copied into it.
    pub(super) fn open_or_make(&self, folder: &Arc<Folder>) -> Result<DirHandle, Fault> {
        let create = |error: io::Error| Fault::of(Operation::CreateDirectory, &error);
        let enter = |error: io::Error| Fault::of(Operation::AccessDestinationDirectory, &error);
        match self.open(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => {
                let handle = opened.map_err(enter)?;
                if folder.found.is_none()
                    && !folder.is_made.load(Ordering::Acquire)
                    && let Some((parent, (_, name))) =
                        folder.parent.as_ref().zip(folder.path.split_last())
                {
                    // Another name of a directory may have brought us here, so those above are looked at, too.
                    let above = self.open_or_make(parent)?;
                    check_own_name(&above, &name).map_err(create)?;
                }
                return Ok(handle);
            }
        }
        if self.setup.policy.list_only {
            return Err(create(io::ErrorKind::NotFound.into()));
        }
        let Some((parent, (_, name))) = folder.parent.as_ref().zip(folder.path.split_last()) else {
            return Err(create(io::ErrorKind::NotFound.into()));
        };
        let above = self.open_or_make(parent)?;
        let handle = self.make_dir(&above, &name).map_err(create)?;
        folder.is_made.store(true, Ordering::Release);
        self.hold(folder);
        parent.touch();
        self.note_change();
        Ok(handle)
    }

    /// Notes in the index how a file is now.
    pub(super) fn remember(&self, path: &RelPath, stat: &Stat) {
        if let Some(index) = &self.setup.index
            && let Some(path) = self.setup.below_share(path)
            && let Err(error) = index.put_batch(&[(path, Some(Record::from(stat)))])
        {
            tracing::warn!(%error, "what was changed could not be noted in the index");
        }
    }

    /// What an earlier job left at a path below this job's root.
    pub(super) fn record(&self, path: &RelPath) -> Option<Record> {
        let index = self.setup.index.as_ref()?;
        index.get(&self.setup.below_share(path)?).ok().flatten()
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Parks the job when the thread that holds this panics: a bug in one place must not make the others wait for ever.
pub(super) struct ParkOnPanic<'a>(pub(super) &'a Job);

impl Drop for ParkOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.park();
        }
    }
}
