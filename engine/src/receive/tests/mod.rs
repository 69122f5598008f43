//! Files on their way in, on a real directory: what a user of the share would see.

mod commit;
#[cfg(feature = "crash-points")]
mod crash;
mod large;
mod place;
mod resume;
mod small;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use quicopy_protocol::limits::CHECKPOINT_INTERVAL;
use quicopy_protocol::meta::{Attribute, Digest, Timestamp, WantId};
use quicopy_protocol::path::{Name, RelPath};
use quicopy_protocol::verdict::{Basis, Origins};
use tempfile::TempDir;

use super::{ReceiveError, Receiver, Step, Target, Violation};
use crate::chunk::{Chunker, Params};
use crate::commit::{CommitError, Committed, Committer, Item, Place, Ready};
use crate::disk::sync::{DiskSync, Syncs};
use crate::disk::{DirHandle, Durable, MetaChange, Share};
use quicopy_protocol::options::Durability;

const MIB: usize = 1 << 20;
const PART: usize = 256 << 10;

/// Real syncs, counted, until they are told to fail.
struct FakeSync {
    real: DiskSync,
    fails: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
}

impl FakeSync {
    fn answer(&self, real: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.count.fetch_add(1, Ordering::Relaxed);
        if self.fails.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(5));
        }
        real()
    }
}

impl Syncs for FakeSync {
    fn file_system(&self) -> io::Result<()> {
        self.answer(|| Ok(()))
    }
    fn data(&self, file: &File) -> io::Result<()> {
        self.answer(|| self.real.data(file))
    }
    fn file(&self, file: &File) -> io::Result<()> {
        self.answer(|| self.real.file(file))
    }
    fn directory(&self, dir: &DirHandle) -> io::Result<()> {
        self.answer(|| self.real.directory(dir))
    }
}

/// The folder of a share: one of ours, gone with it, or one that somebody else looks after.
struct Folder {
    path: PathBuf,
    _own: Option<TempDir>,
}

impl Folder {
    fn path(&self) -> &Path {
        &self.path
    }
}

impl From<TempDir> for Folder {
    fn from(temp: TempDir) -> Self {
        Self { path: temp.path().to_owned(), _own: Some(temp) }
    }
}

/// One share, and one job on its root.
struct World {
    temp: Folder,
    share: Arc<Share>,
    durable: Arc<Durable>,
    receiver: Receiver,
    now: Instant,
    fails: Arc<AtomicBool>,
    syncs: Arc<AtomicU64>,
}

impl World {
    fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap(), Durability::Group)
    }

    fn at(folder: impl Into<Folder>, mode: Durability) -> Self {
        let temp = folder.into();
        let share = Arc::new(Share::open(temp.path()).unwrap());
        let (fails, syncs) = (Arc::default(), Arc::<AtomicU64>::default());
        let fake = FakeSync {
            real: DiskSync::new(share.root().clone()),
            fails: Arc::clone(&fails),
            count: Arc::clone(&syncs),
        };
        let durable = Arc::new(Durable::with(Box::new(fake), mode));
        let tree = share.tree(&RelPath::ROOT).unwrap().unwrap();
        let receiver = Receiver::new(&tree, b"peer", Arc::clone(&durable));
        Self { temp, share, durable, receiver, now: Instant::now(), fails, syncs }
    }

    /// The same share after the process died.
    fn killed(self) -> Self {
        let Self { temp, share, durable, receiver, .. } = self;
        drop((share, durable, receiver));
        Self::at(temp, Durability::Group)
    }

    /// The same share after the job was parked and the agent started anew.
    fn parked(self) -> Self {
        self.receiver.park(self.now);
        self.killed()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    fn target(&self, name: &str, size_bytes: usize) -> Target {
        let name = Name::new(name.as_bytes()).unwrap();
        let dir = self.share.root().clone();
        let old = dir.stat(&name).unwrap();
        Target {
            path: RelPath::from(name.clone()),
            dir,
            name,
            size_bytes: size_bytes as u64,
            change: MetaChange {
                mode: Some(0o640),
                modified: Some(Timestamp { seconds: 1_000_000_000, nanos: 123_456_789 }),
                ..MetaChange::default()
            },
            place: old.map_or(Place::New, Place::Replace),
            delta: true,
        }
    }

    fn begin(&self, want: u64, target: Target) -> Basis {
        self.receiver.begin(WantId(want), target, self.now).unwrap()
    }

    fn whole(&self, want: u64, data: &[u8]) -> Ready {
        ready(self.receiver.whole_file(WantId(want), Digest::of(data), &[], data).unwrap())
    }

    fn chunk(&self, want: u64, offset: usize, data: &[u8]) -> Result<Step, ReceiveError> {
        self.receiver.chunk(WantId(want), offset as u64, Digest::of(data), data, self.now)
    }

    fn end(&self, want: u64, content: &[u8]) -> Result<Step, ReceiveError> {
        let (size, digest) = (content.len() as u64, Digest::of(content));
        self.receiver.end(WantId(want), size, digest, Vec::new(), self.now)
    }

    /// Answers a wish with a basis as a sender does; returns how many bytes travelled.
    fn send_lacking(&self, want: u64, content: &[u8]) -> (usize, Ready) {
        let params = Params::from_average(64 << 10).unwrap();
        let chunks = cut(params, content);
        let list: Vec<_> =
            chunks.iter().map(|chunk| (chunk.len() as u32, Digest::of(chunk))).collect();
        let average = params.average_bytes();
        let want_id = WantId(want);
        let answer = self.receiver.chunk_list(want_id, average, 0, &list, true, self.now).unwrap();
        assert_eq!(answer.lacking.answered as usize, chunks.len());
        let mut sent = 0;
        for &(first, number) in &answer.lacking.runs {
            for index in first..first + number {
                let index = index as usize;
                let offset = chunks[..index].iter().map(Vec::len).sum();
                self.chunk(want, offset, &chunks[index]).unwrap();
                sent += chunks[index].len();
            }
        }
        (sent, ready(self.end(want, content).unwrap()))
    }

    fn committer(&self) -> Committer {
        Committer::new(Arc::clone(&self.share), Arc::clone(&self.durable), Instant::now)
    }

    fn try_commit(&self, ready: Ready) -> Result<Committed, CommitError> {
        let items = vec![Item { tag: (), ready: Box::new(ready) }];
        self.committer().commit(items).pop().unwrap().result
    }

    fn commit(&self, ready: Ready) -> Committed {
        self.try_commit(ready).unwrap()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// What stands in the folder of partial files.
    fn left_behind(&self) -> Vec<String> {
        names(&self.path(".quicopy/partial"))
    }
}

fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn ready(step: Step) -> Ready {
    match step {
        Step::Ready(ready) => *ready,
        other => panic!("the file should be complete: {other:?}"),
    }
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn cut(params: Params, mut content: &[u8]) -> Vec<Vec<u8>> {
    let mut chunker = Chunker::new(params);
    let mut read = |buffer: &mut [u8]| io::Read::read(&mut content, buffer);
    std::iter::from_fn(|| chunker.next_chunk(&mut read).unwrap().map(<[u8]>::to_vec)).collect()
}

fn violation(result: Result<Step, ReceiveError>) -> Violation {
    match result {
        Err(ReceiveError::Violation(violation)) => violation,
        other => panic!("should be a violation: {other:?}"),
    }
}
