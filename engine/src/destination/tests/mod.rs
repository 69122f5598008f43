//! Whole jobs at the destination, with a source that is only a list of files.

mod contents;

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

mod guards;
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

#[test]
fn a_mirror_copies_deletes_and_a_second_one_does_nothing() {
    let site = Site::new(&[("old", "x"), ("b/older", "y"), ("c/d/e", "z")]);
    let source = source(&[("", &[("a", "one")]), ("b", &[("f", "two")])]);
    let told = site.mirror(&source);
    assert_eq!((told.wants, told.extras), (2, 5));
    assert_eq!(told.done.unwrap().deleted, 5);
    assert_eq!(
        (site.read("a").as_deref(), site.read("b/f").as_deref()),
        (Some("one"), Some("two"))
    );
    assert!(
        !site.path("old").exists() && !site.path("b/older").exists() && !site.path("c").exists()
    );
    assert_eq!((modified(&site.path("b")), modified(&site.path("a"))), (1000, 1000));
    let told = site.mirror(&source);
    assert_eq!((told.wants, told.extras, told.failed.len()), (0, 0, 0));
}

#[test]
fn nothing_is_deleted_below_a_directory_that_was_not_read_to_its_end() {
    let site = Site::new(&[("b/keep", "x"), ("go", "y")]);
    let source = source(&[("", &[("a", "one")]), ("b", &[])]);
    let (_, told) = site.run(&source, Some("b")).unwrap();
    assert_eq!(told.done.unwrap().protected_dirs, 1);
    assert!(site.path("b/keep").exists() && !site.path("go").exists());
}

#[test]
fn extras_beside_a_failed_copy_stay_and_others_go() {
    let site = Site::new(&[("b/keep", "x"), ("go", "y")]);
    let source = source(&[("", &[("a", "one")]), ("b", &[("f", "unreadable")])]);
    let told = site.mirror(&source);
    assert_eq!(told.failed, ["permission denied"]);
    assert!(site.path("b/keep").exists() && !site.path("go").exists());
}

#[test]
fn a_job_that_only_lists_tells_all_and_changes_nothing() {
    let mut site = Site::new(&[("old", "x")]);
    site.policy.list_only = true;
    let source = source(&[("", &[("a", "one")]), ("b", &[("f", "two")])]);
    let told = site.mirror(&source);
    assert_eq!((told.wants, told.extras), (0, 1));
    let names: Vec<_> = std::fs::read_dir(site.dir.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "not even a private folder is made");
}

#[test]
fn an_empty_source_is_refused_before_anything_is_changed() {
    let site = Site::new(&[("old", "x")]);
    let refusal = site.run(&source(&[("", &[])]), None).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::SourceEmpty);
    assert!(site.path("old").exists());
}

#[test]
fn inputs_that_end_early_park_the_job_and_delete_nothing() {
    let site = Site::new(&[("old", "x")]);
    site.break_off(&source(&[("", &[("a", "one")])]));
    assert!(site.path("old").exists() && !site.path("a").exists());
}

#[test]
fn a_job_that_breaks_off_locks_nobody_out_of_its_directories() {
    let site = Site::new(&[("closed/x", "")]);
    site.mode("closed", Some(0o555));
    let tree =
        source(&[("", &[]), ("closed", &[("f", "1")]), ("new", &[]), ("new/sub", &[("f", "2")])]);
    site.break_off(&tree);
    let modes = ["closed", "new", "new/sub"].map(|dir| site.mode(dir, None));
    assert_eq!(modes, [0o555, 0o755, 0o755]);
    assert_ne!(modified(&site.path("new/sub")), 1000, "it is not finished");
    site.mirror(&tree);
    let modes = ["closed", "new", "new/sub"].map(|dir| site.mode(dir, None));
    assert_eq!(modes, [0o755; 3]);
    assert_eq!((modified(&site.path("new")), modified(&site.path("new/sub"))), (1000, 1000));
}

#[test]
fn a_directory_whose_mode_is_not_copied_gets_the_usual_one() {
    let mut site = Site::new(&[]);
    site.policy.dcopy = CopyFlags { times: true, ..CopyFlags::NONE };
    site.mirror(&source(&[("", &[]), ("d", &[("f", "x")])]));
    std::fs::create_dir(site.path("usual")).unwrap();
    assert_eq!(site.mode("d", None), site.mode("usual", None));
}

#[test]
fn a_version_in_conflict_is_kept_under_a_name_that_no_mirror_deletes() {
    let mut site = Site::new(&[]);
    let index = tempfile::tempfile().unwrap();
    site.index = Some(Arc::new(Index::open(index).unwrap()));
    site.policy.conflict = ConflictPolicy::Keep;
    site.mirror(&source(&[("", &[("a", "one")])]));
    std::fs::write(site.path("a"), "edited here").unwrap();
    let edited = modified(&site.path("a"));
    for content in ["two!", "three"] {
        site.mirror(&source(&[("", &[("a", content)])]));
        assert_eq!(site.read("a").as_deref(), Some(content));
        assert_eq!(site.read(&format!("a.conflict-{edited}")).as_deref(), Some("edited here"));
    }
}

#[test]
fn what_is_refused_has_the_number_that_fits_its_reason() {
    let mut site = Site::new(&[]);
    site.index = Some(Arc::new(Index::open(tempfile::tempfile().unwrap()).unwrap()));
    let told = site.mirror(&source(&[("", &[("a", "one"), ("out", "@../out")])]));
    assert_eq!(told.numbers, [5], "{:?}", told.failed);
    std::fs::write(site.path("a"), "edited here").unwrap();
    site.policy.conflict = ConflictPolicy::Fail;
    let told = site.mirror(&source(&[("", &[("a", "two!")])]));
    assert_eq!(told.numbers, [1006], "{:?}", told.failed);
}

#[test]
fn a_directory_in_the_place_of_a_file_gives_way_with_all_it_holds_and_the_reverse() {
    let site = Site::new(&[("a/deep/x", "1"), ("b", "a file")]);
    site.mirror(&source(&[("", &[("a", "now a file")]), ("b", &[("f", "inside")])]));
    assert_eq!(site.read("a").as_deref(), Some("now a file"));
    assert_eq!(site.read("b/f").as_deref(), Some("inside"));
    let left: Vec<_> = std::fs::read_dir(site.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !["a", "b", ".quicopy"].contains(&&**name))
        .collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn what_comes_into_a_tree_that_is_to_give_way_keeps_it() {
    let meanwhile: [fn(&Path); 4] = [
        |root| std::fs::write(root.join("a/deep/new"), "mine").unwrap(),
        |root| std::fs::write(root.join("a/new.keep"), "mine").unwrap(),
        |root| std::fs::write(root.join("a/deep/x"), "mine").unwrap(),
        |root| std::fs::create_dir(root.join("a/deep/dir")).unwrap(),
    ];
    for meanwhile in meanwhile {
        for mut site in [Site::new(&[("a/deep/x", "1")]), Site::with_trash(&[("a/deep/x", "1")])] {
            site.policy.selection.exclude_files = vec![Rule::Name("*.keep".into())];
            site.meanwhile = Some(meanwhile);
            let told = site.mirror(&source(&[("", &[("a", "now a file")])]));
            assert_eq!(told.failed.len(), 1, "{:?}", told.failed);
            assert!(told.failed[0].contains("changed at the destination"), "{:?}", told.failed);
            assert!(site.path("a/deep/x").exists());
            let kept = ["a/deep/new", "a/new.keep", "a/deep/x"].map(|path| site.read(path));
            let is_kept = kept.contains(&Some("mine".into())) || site.path("a/deep/dir").exists();
            assert!(is_kept, "{kept:?}");
        }
    }
}

#[test]
fn directories_get_their_times_after_everything_below_them_was_made() {
    let site = Site::new(&[]);
    let tree = source(&[("", &[]), ("a", &[]), ("a/b", &[]), ("a/b/c", &[("f", "x")]), ("d", &[])]);
    site.mirror(&tree);
    for dir in ["", "a", "a/b", "a/b/c", "d"] {
        assert_eq!(modified(&site.path(dir)), 1000, "{dir:?}");
    }
}

#[test]
fn a_deferred_directory_is_made_with_its_first_file_and_not_without() {
    let mut site = Site::new(&[]);
    site.policy.selection.recurse = Recurse::NonEmpty;
    let tree = source(&[("", &[]), ("a", &[]), ("a/b", &[("f", "x")]), ("e", &[])]);
    site.mirror(&tree);
    assert_eq!(site.read("a/b/f").as_deref(), Some("x"));
    assert!(!site.path("e").exists());
    assert_eq!((modified(&site.path("a")), modified(&site.path("a/b"))), (1000, 1000));
}

#[test]
fn a_tree_gives_way_to_a_file_only_within_the_limit_on_deletions() {
    use quicopy_protocol::options::DeleteLimit;
    let mut site = Site::new(&[("a/x", "1"), ("a/y", "2")]);
    let tree = source(&[("", &[("a", "now a file")])]);
    site.policy.max_delete = Some(DeleteLimit::Count(2));
    site.mirror(&tree);
    assert!(site.path("a/x").exists());
    site.policy.max_delete = Some(DeleteLimit::Count(3));
    let told = site.mirror(&tree);
    assert_eq!(site.read("a").as_deref(), Some("now a file"));
    assert_eq!(told.done.unwrap().deleted, 3);
}

#[test]
fn a_file_gives_way_to_a_directory_only_within_the_limit_on_deletions() {
    use quicopy_protocol::options::DeleteLimit;
    let mut site = Site::new(&[("a", "file"), ("b", "file")]);
    let tree = source(&[("", &[]), ("a", &[("x", "1")]), ("b", &[("y", "2")])]);
    site.policy.max_delete = Some(DeleteLimit::Count(1));
    let told = site.mirror(&tree);
    assert_eq!((site.read("a/x").as_deref(), site.read("b").as_deref()), (Some("1"), Some("file")));
    assert_eq!((told.failed.len(), told.done.unwrap().deleted), (0, 1));
    let said = "b: a file is not replaced by a directory; pass /MAXDELETE:N to allow it";
    assert!(told.notices.contains(&said.to_owned()), "{:?}", told.notices);
    assert_eq!(site.mirror(&tree).done.unwrap().deleted, 1);
    assert_eq!(site.read("b/y").as_deref(), Some("2"));
}

#[test]
fn a_file_does_not_give_way_to_a_directory_that_cannot_be_read() {
    for recurse in [Recurse::All, Recurse::NonEmpty] {
        let mut site = Site::new(&[("d", "file")]);
        site.policy.selection.recurse = recurse;
        let tree = source(&[("", &[("a", "one")]), ("d", &[]), ("d/e", &[("f", "two")])]);
        let (_, told) = site.run(&tree, Some("d")).unwrap();
        assert_eq!(site.read("d").as_deref(), Some("file"));
        let done = told.done.unwrap();
        assert_eq!((done.deleted, done.protected_dirs), (0, 1));
    }
}

#[test]
fn two_versions_in_conflict_with_one_time_are_both_kept() {
    let mut site = Site::new(&[]);
    let index = tempfile::tempfile().unwrap();
    site.index = Some(Arc::new(Index::open(index).unwrap()));
    site.policy.conflict = ConflictPolicy::Keep;
    let stamp = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(5000);
    site.mirror(&source(&[("", &[("a", "one")])]));
    for (edit, content) in [("first edit", "two!"), ("second", "three")] {
        std::fs::write(site.path("a"), edit).unwrap();
        let file = std::fs::File::options().write(true).open(site.path("a")).unwrap();
        file.set_modified(stamp).unwrap();
        site.mirror(&source(&[("", &[("a", content)])]));
    }
    assert_eq!(site.read("a.conflict-5000").as_deref(), Some("first edit"));
    assert_eq!(site.read("a.conflict-5000-2").as_deref(), Some("second"));
}

#[test]
fn an_outage_of_the_disk_is_waited_out_once_for_all_directories() {
    use quicopy_protocol::code::Operation;
    let mut site = Site::new(&[]);
    site.policy.retry = Retry { retries: 2, wait_seconds: 0 };
    let (events, _told) = async_channel::unbounded();
    let filter = Filter::new(&site.policy.selection).unwrap();
    let job = Job::new(site.setup(), filter, StopFlag::default(), events);
    let mut arrivals = Arrivals::new(&job);
    let mut tries = |error: Option<Errno>| {
        let count = std::cell::Cell::new(0);
        let _ = arrivals.persist(&RelPath::ROOT, |_| {
            count.set(count.get() + 1);
            match error {
                Some(error) => Err(Fault::of(Operation::CreateDirectory, &error.into())),
                None => Ok(()),
            }
        });
        count.get()
    };
    assert_eq!(tries(Some(Errno::ACCESS)), 1);
    assert_eq!(tries(Some(Errno::NOSPC)), 3);
    assert_eq!(tries(Some(Errno::NOSPC)), 1, "the tries are used up");
    assert_eq!(tries(None), 1);
    assert_eq!(tries(Some(Errno::NOSPC)), 3);
}
