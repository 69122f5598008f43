//! Watching the source: [`Watch`], by inotify.
//!
//! A watch for each directory that a job would enter. What a filter leaves out by its name tells nothing, so that a log beside
//! the files does not set off runs for ever. What is not seen: files behind links, and what other machines do to a disk that
//! they share.
//!
//! inotify by itself, since what is laid over it watches whole trees, and files that are only read: each run would
//! fill the queue.

use std::collections::HashMap;
use std::fs;
use std::io::{self, PipeReader, PipeWriter};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use quicopy_protocol::path::{Name, RelPath};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use super::changes::{Changes, Seen};
use super::tree::Tree;

/// Room for events that are read at once; one takes 16 bytes and a name of up to 256.
const EVENT_BYTES: usize = 16 << 10;

/// Why changes are not seen.
#[derive(Debug, thiserror::Error)]
pub(super) enum WatchError {
    /// The kernel keeps no more watches for this user.
    #[error(
        "the source has more directories than may be watched (at {watched}): raise fs.inotify.max_user_watches (sysctl)"
    )]
    TooMany { watched: usize },
    /// The kernel keeps no more queues for this user.
    #[error(
        "too many programs of this user watch files: raise fs.inotify.max_user_instances (sysctl)"
    )]
    NoQueue,
    #[error("the source cannot be watched: {0}")]
    Io(#[from] io::Error),
}

/// Sees changes in the source, from [`begin`](Self::begin) on.
pub(super) struct Watch {
    shared: Arc<Shared>,
    reading: Option<(PipeWriter, JoinHandle<()>)>,
}

struct Shared {
    queue: OwnedFd,
    tree: Tree,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Watched directories by the kernel's numbers.
    dirs: HashMap<i32, RelPath>,
    changes: Changes,
    /// Why nothing is watched any more.
    failure: Option<WatchError>,
}

impl Watch {
    /// Makes the queue, and a thread that reads it. Nothing is watched yet.
    ///
    /// # Errors
    /// The kernel gives none.
    pub(super) fn new(tree: Tree) -> Result<Self, WatchError> {
        let queue = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(
            |error| match error {
                Errno::MFILE => WatchError::NoQueue,
                error => WatchError::Io(error.into()),
            },
        )?;
        let shared = Arc::new(Shared { queue, tree, state: Mutex::default() });
        let (over, until) = io::pipe()?;
        let reader = Arc::clone(&shared);
        let reading = thread::spawn(move || reader.read_until(&over));
        Ok(Self { shared, reading: Some((until, reading)) })
    }

    /// Begins to count anew. Watches the source, if it is not watched already: as a whole, or not at all.
    pub(super) fn begin(&self) {
        self.shared.read();
        let mut state = self.shared.state();
        if state.dirs.is_empty() {
            state.failure = None;
            self.shared.add(&mut state, RelPath::ROOT);
        }
        state.changes = Changes::default();
    }

    /// What was seen since.
    pub(super) fn seen(&self) -> Seen {
        let state = self.shared.state();
        match state.failure {
            Some(_) => Seen::Unknown,
            None => state.changes.seen(),
        }
    }

    /// Why nothing is seen, if so.
    pub(super) fn failure(&self) -> Option<String> {
        self.shared.state().failure.as_ref().map(ToString::to_string)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some((until, reading)) = self.reading.take() {
            drop(until);
            let _ = reading.join();
        }
    }
}

impl Shared {
    /// Reads as long as the other end of the pipe `over` is held.
    fn read_until(&self, over: &PipeReader) {
        loop {
            let mut fds =
                [PollFd::new(&self.queue, PollFlags::IN), PollFd::new(over, PollFlags::IN)];
            match poll(&mut fds, None) {
                Ok(_) if fds[1].revents().is_empty() => self.read(),
                Err(Errno::INTR) => {}
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// Takes all events that wait.
    fn read(&self) {
        let mut state = self.state();
        let mut room = [MaybeUninit::uninit(); EVENT_BYTES];
        let mut reader = Reader::new(&self.queue, &mut room);
        let mut lost = false;
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| name.to_bytes().to_vec());
                    lost |= self.handle(&mut state, event.wd(), event.events(), name);
                }
                Err(Errno::INTR) => {}
                // Nothing more: it can fail in no other way.
                Err(_) => break,
            }
        }
        if lost {
            // Directories that were made meanwhile are watched by nobody.
            self.unwatch(&mut state);
            state.changes.lose();
            self.add(&mut state, RelPath::ROOT);
        }
    }

    /// Takes an event; whether some were lost.
    fn handle(&self, state: &mut State, wd: i32, event: ReadFlags, name: Option<Vec<u8>>) -> bool {
        if event.contains(ReadFlags::QUEUE_OVERFLOW) {
            return true;
        }
        if event.contains(ReadFlags::IGNORED) {
            // The directory is gone. If it was the root, nothing is left to see, and the next run says so.
            return state.dirs.remove(&wd).is_some_and(|dir| dir.is_root());
        }
        let Some(dir) = state.dirs.get(&wd).cloned() else { return false };
        let Some(name) = name.and_then(|name| Name::new(name).ok()) else { return false };
        let is_new = event.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
        if event.contains(ReadFlags::ISDIR) {
            let Some(path) = self.tree.enters(&dir, &name) else { return false };
            if event.contains(ReadFlags::MOVED_FROM) {
                self.forget(state, &path);
            }
            state.changes.note(path.clone());
            if is_new {
                self.add(state, path);
            }
            return false;
        }
        if is_new
            && self.tree.follows
            && let Some(path) = self.tree.enters(&dir, &name)
        {
            // Perhaps a link to a directory.
            self.add(state, path);
        }
        if self.tree.lists(&dir, &name)
            && let Ok(path) = dir.join(&name)
        {
            state.changes.note(path);
        }
        false
    }

    /// Watches a directory that was found, or gives up all watching.
    fn add(&self, state: &mut State, dir: RelPath) {
        if let Err(error) = self.watch(state, dir) {
            self.unwatch(state);
            state.failure = Some(error);
        }
    }

    /// Watches a directory and those below. What is found in it counts as changed: it came before anybody looked.
    fn watch(&self, state: &mut State, dir: RelPath) -> Result<(), WatchError> {
        let mut flags = WatchFlags::ATTRIB
            | WatchFlags::CREATE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::DELETE
            | WatchFlags::MODIFY
            | WatchFlags::MOVE
            | WatchFlags::EXCL_UNLINK
            | WatchFlags::ONLYDIR;
        if !self.tree.follows {
            flags |= WatchFlags::DONT_FOLLOW;
        }
        let mut found = vec![dir];
        while let Some(dir) = found.pop() {
            let path = self.path(&dir);
            let flags = if dir.is_root() { flags - WatchFlags::DONT_FOLLOW } else { flags };
            let wd = match inotify::add_watch(&self.queue, &path, flags) {
                Ok(wd) => wd,
                Err(Errno::NOSPC) => {
                    return Err(WatchError::TooMany { watched: state.dirs.len() });
                }
                Err(Errno::NOMEM) => return Err(WatchError::Io(Errno::NOMEM.into())),
                Err(error) if dir.is_root() => return Err(WatchError::Io(error.into())),
                // It is gone, it is none, or nobody may read it: each run says so.
                Err(_) => continue,
            };
            // A directory that is watched already: a link leads to it, or it is two names of one.
            if state.dirs.contains_key(&wd) {
                continue;
            }
            state.dirs.insert(wd, dir.clone());
            let Ok(entries) = fs::read_dir(&path) else { continue };
            for entry in entries.flatten() {
                let Ok(name) = Name::new(entry.file_name().into_vec()) else { continue };
                let Ok(file_type) = entry.file_type() else { continue };
                let may_be_entered =
                    file_type.is_dir() || (file_type.is_symlink() && self.tree.follows);
                if may_be_entered && let Some(path) = self.tree.enters(&dir, &name) {
                    found.push(path);
                }
                let counts = match file_type.is_dir() {
                    true => self.tree.enters(&dir, &name).is_some(),
                    false => self.tree.lists(&dir, &name),
                };
                if counts && let Ok(path) = dir.join(&name) {
                    state.changes.note(path);
                }
            }
        }
        Ok(())
    }

    /// Watches a directory and those below no more, since they have another name now, or none.
    fn forget(&self, state: &mut State, gone: &RelPath) {
        state.dirs.retain(|wd, dir| {
            let stays = !dir.is_at_or_below(gone);
            if !stays {
                let _ = inotify::remove_watch(&self.queue, *wd);
            }
            stays
        });
    }

    fn unwatch(&self, state: &mut State) {
        self.forget(state, &RelPath::ROOT);
    }

    fn path(&self, dir: &RelPath) -> PathBuf {
        self.tree.root.join(std::ffi::OsStr::from_bytes(dir.as_bytes()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use quicopy_engine::filter::Filter;
    use quicopy_protocol::options::{LinkPolicy, Recurse, Rule, Selection};

    use super::*;

    /// Watches `d/e/f` and `x`, lets something happen, and says how many changes that was.
    fn seen(selection: &Selection, happens: &[&dyn Fn(&Path)]) -> Seen {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("d/e")).unwrap();
        fs::create_dir(dir.path().join("x")).unwrap();
        fs::write(dir.path().join("d/e/f"), "").unwrap();
        let tree = Tree::new(dir.path(), Filter::new(selection).unwrap(), selection);
        let watch = Watch::new(tree).unwrap();
        watch.begin();
        assert_eq!(watch.seen(), Seen::Changes(0));
        for happening in happens {
            happening(dir.path());
            // The kernel queues events as things happen, so that nothing need be waited for.
            watch.shared.read();
        }
        watch.seen()
    }

    fn all() -> Selection {
        Selection { recurse: Recurse::All, ..Selection::default() }
    }

    #[track_caller]
    fn check(selection: &Selection, happens: &[&dyn Fn(&Path)], changes: u64) {
        assert_eq!(seen(selection, happens), Seen::Changes(changes));
    }

    fn write(path: &'static str) -> impl Fn(&Path) {
        move |dir| fs::write(dir.join(path), "text").unwrap()
    }

    #[test]
    fn files_that_are_made_written_or_removed_count_and_reading_does_not() {
        check(&all(), &[&write("a"), &write("d/e/f"), &write("a")], 2);
        check(&all(), &[&|dir| fs::remove_file(dir.join("d/e/f")).unwrap()], 1);
        check(&all(), &[&|dir| drop(fs::read(dir.join("d/e/f")).unwrap())], 0);
        check(&all(), &[&|dir| fs::rename(dir.join("d/e/f"), dir.join("g")).unwrap()], 2);
    }

    #[test]
    fn a_new_directory_is_watched_and_what_was_in_it_first_counts() {
        let make = |dir: &Path| {
            fs::create_dir(dir.join("new")).unwrap();
            fs::write(dir.join("new/early"), "").unwrap();
        };
        check(&all(), &[&make], 2);
        check(&all(), &[&make, &write("new/late")], 3);
    }

    #[test]
    fn a_renamed_directory_is_watched_under_its_new_name() {
        let rename = |dir: &Path| fs::rename(dir.join("d"), dir.join("r")).unwrap();
        // Both names, and what is found below the new one.
        check(&all(), &[&rename], 4);
        check(&all(), &[&rename, &write("r/e/g")], 5);
    }

    #[test]
    fn what_is_left_out_by_its_name_does_not_count() {
        let selection = Selection {
            exclude_dirs: vec![Rule::Name("x".into())],
            exclude_files: vec![Rule::Name("*.log".into())],
            ..all()
        };
        check(&selection, &[&write("x/a"), &write("d/a.log"), &write("d/a.txt")], 1);
        let text = Selection { include_files: vec!["*.txt".into()], ..all() };
        check(&text, &[&write("a.doc"), &write("a.txt")], 1);
    }

    #[test]
    fn only_directories_that_the_job_enters_are_watched() {
        let root = Selection { recurse: Recurse::RootOnly, ..Selection::default() };
        check(&root, &[&write("d/a"), &write("a")], 1);
        check(&Selection { levels: Some(2), ..all() }, &[&write("d/a"), &write("d/e/a")], 1);
    }

    #[test]
    fn a_link_is_followed_as_the_job_follows_it() {
        let far = tempfile::tempdir().unwrap();
        let link = |dir: &Path| symlink(far.path(), dir.join("far")).unwrap();
        let behind = |_: &Path| fs::write(far.path().join("a"), "text").unwrap();
        check(&all(), &[&link, &behind], 2);
        let links = LinkPolicy { recreate: true, ..LinkPolicy::default() };
        fs::remove_file(far.path().join("a")).unwrap();
        check(&Selection { links, ..all() }, &[&link, &behind], 1);
    }

    #[test]
    fn when_the_root_goes_nothing_is_seen_until_it_is_back() {
        let dir = tempfile::tempdir().unwrap();
        let (root, selection) = (dir.path().join("root"), all());
        fs::create_dir(&root).unwrap();
        let tree = Tree::new(&root, Filter::new(&selection).unwrap(), &selection);
        let watch = Watch::new(tree).unwrap();
        watch.begin();
        fs::remove_dir(&root).unwrap();
        watch.shared.read();
        for _ in 0..2 {
            assert!(watch.failure().is_some_and(|reason| reason.contains("cannot be watched")));
            assert_eq!(watch.seen(), Seen::Unknown);
            watch.begin();
        }
        fs::create_dir(&root).unwrap();
        watch.begin();
        fs::write(root.join("a"), "").unwrap();
        watch.shared.read();
        assert_eq!((watch.seen(), watch.failure()), (Seen::Changes(1), None));
    }

    #[test]
    fn more_events_than_the_kernel_keeps_make_the_count_unknown_and_watching_goes_on() {
        let queue = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        let room: usize = queue.trim().parse().unwrap();
        if room > 1 << 16 {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::new(dir.path(), Filter::new(&all()).unwrap(), &all());
        let watch = Watch::new(tree).unwrap();
        watch.begin();
        {
            // Nobody reads meanwhile; one file makes an event at least when it is made, and one when it goes.
            let _held = watch.shared.state();
            for number in 0..room {
                let path = dir.path().join(number.to_string());
                fs::write(&path, "").unwrap();
                fs::remove_file(&path).unwrap();
            }
            fs::create_dir(dir.path().join("unseen")).unwrap();
        }
        watch.shared.read();
        assert_eq!((watch.seen(), watch.failure()), (Seen::Unknown, None));
        watch.begin();
        fs::write(dir.path().join("unseen/a"), "").unwrap();
        watch.shared.read();
        assert_eq!(watch.seen(), Seen::Changes(1));
    }
}
