//! The threads of a scan: readers that run ahead, and the hand-over in order.

use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::limits::UNSETTLED_RECORD_BYTES;
use quicopy_protocol::meta::Meta;
use quicopy_protocol::path::{Name, RelPath};

use super::hard_links::HardLinks;
use super::judge::{Enter, Here, Judge};
use super::order::{Next, Order};
use super::{Scan, ScanEnd, ScanSummary, ScannedDir};
use crate::fault;
use crate::retry::RetryPolicy;
use crate::source::{Directory, Found, Identity, Links, StopFlag};

/// Entries that may be read ahead: enough to keep the threads busy across small directories, about 10 MB.
const AHEAD_ENTRIES_MAX: usize = 50_000;

/// How a directory is reached.
pub(super) enum Task {
    Root(Arc<Directory>),
    Child {
        parent: Arc<Directory>,
        name: Name,
        links: Links,
        identity: Identity,
        meta: Meta,
    },
    /// It is listed as if it were empty.
    Empty {
        meta: Meta,
    },
}

/// The disk, as far as a scan sees it.
pub(super) trait Reader: Sync {
    fn open(&self, path: &RelPath, task: &Task) -> io::Result<Arc<Directory>>;

    /// Lists a directory. What was found before an error stays in `found`.
    fn read(&self, path: &RelPath, dir: &Directory, found: &mut Vec<Found>) -> io::Result<()>;
}

/// The real disk.
pub(super) struct Disk<'a> {
    /// Whether DOS attributes are read.
    pub(super) reads_attributes: bool,
    pub(super) stop: &'a StopFlag,
}

impl Reader for Disk<'_> {
    fn open(&self, _: &RelPath, task: &Task) -> io::Result<Arc<Directory>> {
        match task {
            Task::Root(root) => root.reopen().map(Arc::new),
            Task::Child { parent, name, links, identity, .. } => {
                parent.open_child(name, identity, *links).map(Arc::new)
            }
            Task::Empty { .. } => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn read(&self, _: &RelPath, dir: &Directory, found: &mut Vec<Found>) -> io::Result<()> {
        dir.read(self.reads_attributes, self.stop, found)
    }
}

/// One scan under way.
pub(super) struct Walk<'a> {
    scan: &'a Scan<'a>,
    reader: &'a dyn Reader,
    /// Bytes that the listing of one directory may take.
    listing_bytes_max: usize,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    order: Order<Task, ScannedDir>,
    stopped: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        scan: &'a Scan<'a>,
        reader: &'a dyn Reader,
        listing_bytes_max: usize,
    ) -> Self {
        let root = Task::Root(Arc::clone(scan.source.directory()));
        let order = Order::new(RelPath::ROOT, root, AHEAD_ENTRIES_MAX);
        let state = Mutex::new(State { order, stopped: false });
        Self { scan, reader, listing_bytes_max, state, changed: Condvar::new() }
    }

    pub(super) fn run(
        &self,
        threads: usize,
        sink: &mut dyn FnMut(ScannedDir) -> ControlFlow<()>,
    ) -> Result<ScanSummary, Failure> {
        std::thread::scope(|scope| {
            for _ in 0..threads.clamp(1, 8) {
                scope.spawn(|| {
                    let _stop = StopOnPanic(self);
                    self.read_ahead();
                });
            }
            // Whatever ends the hand-over, a panic of the sink included, must end the threads.
            let _stop = StopOnDrop(self);
            self.hand_over(sink)
        })
    }

    fn hand_over(
        &self,
        sink: &mut dyn FnMut(ScannedDir) -> ControlFlow<()>,
    ) -> Result<ScanSummary, Failure> {
        let mut directories = 0;
        let mut hard_links = self.scan.policy.selection.links.hard_links.then(HardLinks::default);
        loop {
            let Some(mut dir) = self.next() else {
                let stopped = self.lock().stopped || self.scan.stop.is_set();
                let end = if stopped { ScanEnd::Stopped } else { ScanEnd::Complete };
                return Ok(ScanSummary { directories, end });
            };
            if dir.path.is_root()
                && let Some(failure) = dir.failure.take()
            {
                return Err(failure);
            }
            if let Some(hard_links) = &mut hard_links {
                hard_links.take(&mut dir);
            }
            crate::crash_point!("sender_scanning");
            directories += 1;
            if sink(dir).is_break() {
                return Ok(ScanSummary { directories, end: ScanEnd::Stopped });
            }
        }
    }

    /// The directory whose turn it is; `None` when there is none or the scan was stopped.
    fn next(&self) -> Option<ScannedDir> {
        let mut state = self.lock();
        loop {
            // A reader that saw the flag may have cut its directory short.
            if state.stopped || self.scan.stop.is_set() {
                return None;
            }
            match state.order.next() {
                Next::Ready(dir) => {
                    // There is room again to read ahead.
                    self.changed.notify_all();
                    return Some(dir);
                }
                Next::End => return None,
                Next::Wait => state = self.wait(state),
            }
        }
    }

    /// One thread: reads directories until there are no more.
    fn read_ahead(&self) {
        let mut state = self.lock();
        loop {
            if state.stopped || self.scan.stop.is_set() || state.order.is_all_begun() {
                self.changed.notify_all();
                return;
            }
            let Some((path, task)) = state.order.begin() else {
                state = self.wait(state);
                continue;
            };
            drop(state);
            let (dir, children) = self.read(&path, &task);
            state = self.lock();
            let weight = dir.entries.len() + 1;
            state.order.finish(path, dir, weight, children);
            self.changed.notify_all();
        }
    }

    /// Reads one directory, patiently, and judges what it holds.
    fn read(&self, path: &RelPath, task: &Task) -> (ScannedDir, Vec<(RelPath, Task)>) {
        let mut found = Vec::new();
        if let Task::Empty { .. } = task {
            return self.judge(path, task, None, found, None);
        }
        let mut retry = RetryPolicy::new(self.scan.policy.retry);
        loop {
            let (dir, error) = self.try_read(path, task, &mut found);
            let failure = match error {
                None => None,
                Some((_, error)) if is_worth_retrying(&error) && self.waits(&mut retry) => continue,
                Some((operation, error)) => Some(fault::failure(operation, &error)),
            };
            return self.judge(path, task, dir, found, failure);
        }
    }

    fn try_read(
        &self,
        path: &RelPath,
        task: &Task,
        found: &mut Vec<Found>,
    ) -> (Option<Arc<Directory>>, Option<(Operation, io::Error)>) {
        match self.reader.open(path, task) {
            Ok(dir) => {
                let result = self.reader.read(path, &dir, found);
                (Some(dir), result.err().map(|error| (Operation::ScanSourceDirectory, error)))
            }
            Err(error) => (None, Some((Operation::AccessSourceDirectory, error))),
        }
    }

    /// Waits until the next try; whether there is one.
    fn waits(&self, retry: &mut RetryPolicy) -> bool {
        retry.next_wait().is_some_and(|wait| !self.scan.stop.wait(wait))
    }

    fn judge(
        &self,
        path: &RelPath,
        task: &Task,
        dir: Option<Arc<Directory>>,
        found: Vec<Found>,
        failure: Option<Failure>,
    ) -> (ScannedDir, Vec<(RelPath, Task)>) {
        let meta = match (&dir, task) {
            (Some(dir), _) | (None, Task::Root(dir)) => dir.meta(),
            (None, Task::Child { meta, .. } | Task::Empty { meta }) => *meta,
        };
        let mut scanned = ScannedDir {
            path: path.clone(),
            meta,
            attributes: Vec::new(),
            entries: Vec::with_capacity(found.len()),
            failures: Vec::new(),
            failure,
        };
        let mut children = Vec::new();
        let Some(dir) = dir else { return (scanned, children) };
        self.read_attributes(&dir, &mut scanned);
        let Scan { filter, policy, .. } = self.scan;
        let lists_attributes = policy.lists_attributes();
        let left_out = self.scan.source.left_out();
        let judge = Judge { filter, selection: &policy.selection, lists_attributes, left_out };
        let is_within = |identity: &Identity| dir.is_within(identity);
        let device = dir.identity().device;
        let (depth, is_mount) = (path.depth(), dir.is_mount());
        let here = Here { path, depth, device, is_mount, is_within: &is_within };
        let attributes = scanned.attributes.iter().map(|a| a.name.len() + a.value.len());
        let mut listing_bytes =
            UNSETTLED_RECORD_BYTES + path.as_bytes().len() + attributes.sum::<usize>();
        for (index, found) in (0..).zip(found) {
            let judged = judge.judge(&here, found);
            listing_bytes += judged.scanned.entry.listed_bytes();
            if listing_bytes > self.listing_bytes_max {
                let max = self.listing_bytes_max;
                let error = io::Error::other(format!(
                    "the names and links in the directory take over {max} bytes; split it"
                ));
                let failure = || fault::failure(Operation::ScanSourceDirectory, &error);
                scanned.failure.get_or_insert_with(failure);
                break;
            }
            scanned.failures.extend(judged.failure.map(|failure| (index, failure)));
            if let Some(Enter { path, links, is_listed }) = judged.enter {
                let child = &judged.scanned;
                let meta = child.entry.meta;
                let task = match is_listed {
                    true => Task::Child {
                        parent: Arc::clone(&dir),
                        name: child.entry.name.clone(),
                        links,
                        identity: child.identity,
                        meta,
                    },
                    false => Task::Empty { meta },
                };
                children.push((path, task));
            }
            scanned.entries.push(judged.scanned);
        }
        (scanned, children)
    }

    fn read_attributes(&self, dir: &Directory, scanned: &mut ScannedDir) {
        match dir.attributes(self.scan.policy.dcopy) {
            Ok(attributes) => {
                if attributes.left_out > 0 {
                    let (path, count) = (&scanned.path, attributes.left_out);
                    tracing::warn!(%path, count, "attributes of a directory are too large to travel");
                }
                scanned.attributes = attributes.list;
            }
            Err(error) => {
                let path = &scanned.path;
                tracing::warn!(%path, %error, "the attributes of a directory cannot be read");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'g>(&self, state: MutexGuard<'g, State>) -> MutexGuard<'g, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }
}

/// A directory that vanished is not waited for: what comes back under its name is another one.
fn is_worth_retrying(error: &io::Error) -> bool {
    fault::is_transient(error) && error.kind() != io::ErrorKind::NotFound
}

struct StopOnDrop<'w, 'a>(&'w Walk<'a>);

impl Drop for StopOnDrop<'_, '_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Keeps the other threads from waiting for a directory that a bug made unreadable.
struct StopOnPanic<'w, 'a>(&'w Walk<'a>);

impl Drop for StopOnPanic<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}
