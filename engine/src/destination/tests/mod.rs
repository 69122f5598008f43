//! Whole jobs at the destination, with a source that is only a list of files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use quicopy_protocol::meta::{Digest, DirId, Entry, Kind, Meta, Timestamp};
use quicopy_protocol::options::{
    ConflictPolicy, CopyFlags, Durability, JobPolicy, Recurse, Retry, Rule, Selection,
};
use quicopy_protocol::path::{Name, RelPath};
use quicopy_protocol::verdict::{Basis, OutcomeResult};
use rustix::io::Errno;

mod contents;
mod guards;
mod jobs;
mod trash;

use super::arrival::Arrivals;
use super::*;
use crate::disk::Share;
use crate::fault::Fault;
use crate::index::Index;
use crate::purge::{DefaultLimit, GuardRules};

/// The source: directories with their files' contents, all written at second 1000. `=path` is a further name of a file, `@text` a
/// link.
type Source = BTreeMap<&'static str, Vec<(&'static str, &'static str)>>;

struct Site {
    dir: tempfile::TempDir,
    index: Option<Arc<Index>>,
    trash: Option<TrashRules>,
    require_marker: Option<Name>,
    default_limit: DefaultLimit,
    policy: JobPolicy,
    /// What somebody does at the destination before the first content comes.
    meanwhile: Option<fn(&Path)>,
}

/// What a job told.
#[derive(Debug, Default)]
struct Told {
    wants: usize,
    /// Entries that were put in place, or would be; and those that were found to be right.
    copied: usize,
    unchanged: usize,
    failed: Vec<String>,
    /// Windows' numbers of these.
    numbers: Vec<u32>,
    removals_failed: Vec<String>,
    notices: Vec<String>,
    extras: usize,
    done: Option<Done>,
    settled: u64,
}

impl Site {
    /// A destination with these files, for mirrors.
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let policy = JobPolicy {
            selection: Selection { recurse: Recurse::All, ..Selection::default() },
            copy: CopyFlags::DAT,
            dcopy: CopyFlags { times: true, ..CopyFlags::DA },
            purge: true,
            retry: Retry { retries: 0, wait_seconds: 0 },
            ..JobPolicy::default()
        };
        let (index, trash, require_marker) = (None, None, None);
        let (default_limit, meanwhile) = (DefaultLimit::Refuse, None);
        Self { dir, index, trash, require_marker, default_limit, policy, meanwhile }
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.dir.path().join(path)
    }

    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.path(path)).ok()
    }

    fn setup(&self) -> Setup {
        Setup {
            share: Arc::new(Share::open(self.dir.path()).unwrap()),
            root: RelPath::ROOT,
            peer: [7; 32],
            policy: self.policy.clone(),
            rights: Rights::default(),
            index: self.index.clone(),
            guards: GuardRules { default_limit: self.default_limit, share_max: None },
            trash: self.trash.clone(),
            require_marker: self.require_marker.clone(),
            durability: Durability::Group,
            time_step_nanos: 1,
            started: std::time::UNIX_EPOCH,
            clock: now,
        }
    }

    /// Runs a job; `broken` is a directory whose listing ends in an error.
    fn run(&self, source: &Source, broken: Option<&str>) -> Result<(Ended, Told), Refusal> {
        let setup = self.setup();
        let (listed_tx, listed) = async_channel::unbounded();
        let (_lists_tx, lists) = async_channel::unbounded();
        let (content_tx, content) = async_channel::unbounded();
        let (events_tx, events) = async_channel::unbounded();
        for (number, (path, files)) in source.iter().enumerate() {
            listed_tx.send_blocking(listing(source, number, path, files, broken)).unwrap();
        }
        listed_tx.send_blocking(Listed::End).unwrap();
        let contents: Vec<_> = source.values().map(|files| files.to_vec()).collect();
        let (mut meanwhile, root) = (self.meanwhile, self.dir.path().to_owned());
        let sender = std::thread::spawn(move || {
            serve(&events, &content_tx, &contents, || {
                meanwhile.take().into_iter().for_each(|act| act(&root));
            })
        });
        let inputs = Inputs { listed, lists, content };
        let ended = run(setup, inputs, events_tx, StopFlag::default());
        let told = sender.join().unwrap();
        ended.map(|ended| (ended, told))
    }

    /// Runs a job whose link is lost after the last listing, before any content has come.
    fn break_off(&self, source: &Source) {
        let (listed_tx, listed) = async_channel::unbounded::<Listed>();
        let (_lists, lists) = async_channel::unbounded();
        let (_content, content) = async_channel::unbounded();
        let (events_tx, _events) = async_channel::unbounded();
        for (number, (path, files)) in source.iter().enumerate() {
            listed_tx.send_blocking(listing(source, number, path, files, None)).unwrap();
        }
        drop(listed_tx);
        let inputs = Inputs { listed, lists, content };
        let ended = run(self.setup(), inputs, events_tx, StopFlag::default());
        assert_eq!(ended, Ok(Ended::Parked));
    }

    /// The permission bits of something, changed first.
    fn mode(&self, path: &str, change: Option<u32>) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(path);
        if let Some(mode) = change {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn mirror(&self, source: &Source) -> Told {
        let (ended, told) = self.run(source, None).unwrap();
        assert_eq!(ended, Ended::Complete);
        assert_eq!(told.settled, source.len() as u64);
        told
    }
}

#[expect(clippy::disallowed_methods, reason = "the clock of a test is the real one")]
fn now() -> Instant {
    Instant::now()
}

fn meta(size_bytes: usize) -> Meta {
    let modified = Timestamp { seconds: 1000, nanos: 5 };
    Meta { size_bytes: size_bytes as u64, modified, mode: 0o755, ..Meta::default() }
}

fn listing(
    source: &Source,
    number: usize,
    path: &str,
    files: &[(&str, &str)],
    broken: Option<&str>,
) -> Listed {
    let name = |text: &str| Name::new(text.as_bytes()).unwrap();
    let mut entries: Vec<_> = files
        .iter()
        .map(|(file, content)| {
            let (kind, content) = match content.split_at_checked(1) {
                Some(("=", first)) => {
                    let first = RelPath::parse(first.as_bytes()).unwrap();
                    (Kind::HardLink { first: first.clone() }, content_of(source, &first))
                }
                Some(("@", text)) => (Kind::Link { target: text.as_bytes().into() }, ""),
                _ => (Kind::File, *content),
            };
            Entry { name: name(file), kind, meta: meta(content.len()), skip: None }
        })
        .collect();
    for dir in source.keys().filter(|dir| !dir.is_empty()) {
        let (parent, last) = dir.rsplit_once('/').unwrap_or(("", dir));
        if parent == path {
            entries.push(Entry {
                name: name(last),
                kind: Kind::Directory,
                meta: meta(0),
                skip: None,
            });
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let failure = || {
        use quicopy_protocol::code::{Failure, Operation};
        Failure::new(Operation::ScanSourceDirectory, 5, "permission denied")
    };
    Listed::Part {
        dir: DirId(number as u64),
        path: RelPath::parse(path.as_bytes()).unwrap(),
        meta: meta(0),
        attributes: Vec::new(),
        entries,
        end: if broken == Some(path) { PartEnd::Incomplete(failure()) } else { PartEnd::Complete },
    }
}

fn content_of(source: &Source, path: &RelPath) -> &'static str {
    let path = path.to_string();
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", &path));
    source[dir].iter().find(|(file, _)| *file == name).unwrap().1
}

/// Answers every wish, after a `pause`, with the file's content, or its hash alone, except files whose content is "unreadable".
fn serve(
    events: &Receiver<Event>,
    content: &Sender<Content>,
    contents: &[Vec<(&'static str, &'static str)>],
    mut pause: impl FnMut(),
) -> Told {
    let mut told = Told::default();
    while let Ok(event) = events.recv_blocking() {
        match event {
            Event::Want { want, entry, basis } => {
                pause();
                told.wants += usize::from(basis == Basis::Nothing);
                // Files sort before their directory's own directories in these sources.
                let (_, text) = contents[entry.dir.0 as usize][entry.index as usize];
                let answer = if text == "unreadable" {
                    use quicopy_protocol::code::{Failure, Operation};
                    let failure = Failure::new(Operation::CopyFile, 5, "permission denied");
                    Content::Failed { want, failure }
                } else if matches!(basis, Basis::Digest | Basis::Content) {
                    let (size_bytes, digest) = (text.len() as u64, Digest::of(text.as_bytes()));
                    Content::End { want, size_bytes, digest, attributes: Vec::new() }
                } else {
                    let (digest, data) = (Digest::of(text.as_bytes()), text.as_bytes().to_vec());
                    Content::Whole { want, digest, attributes: Vec::new(), data: data.into() }
                };
                content.send_blocking(answer).unwrap();
            }
            Event::Outcome(_, OutcomeResult::Failed(failure)) => {
                told.numbers.push(failure.windows_code);
                told.failed.push(failure.reason);
            }
            Event::Outcome(_, OutcomeResult::Done(_)) => told.copied += 1,
            Event::Outcome(_, OutcomeResult::Unchanged) => told.unchanged += 1,
            Event::Extras { entries, .. } => told.extras += entries.len(),
            Event::Settled(dir) => told.settled = dir.0,
            Event::Removed(removal) => {
                told.removals_failed.extend(removal.failure.map(|failure| failure.reason));
            }
            Event::Notice(text) => told.notices.push(text),
            Event::Done(done) => told.done = Some(done),
            _ => {}
        }
    }
    told
}

fn source(dirs: &[(&'static str, &[(&'static str, &'static str)])]) -> Source {
    dirs.iter().map(|(dir, files)| (*dir, files.to_vec())).collect()
}

fn modified(path: &Path) -> i64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).unwrap().mtime()
}
