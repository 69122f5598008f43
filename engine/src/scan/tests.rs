#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use quicopy_protocol::attributes::DosAttributes;
use quicopy_protocol::limits::{DIRECTORY_BYTES_MAX, UNSETTLED_RECORD_BYTES};
use quicopy_protocol::meta::Kind;
use quicopy_protocol::options::{AttributeFilter, LinkPolicy, Recurse, Retry, Rule, Selection};
use rustix::io::Errno;

use super::walk::{Disk, Reader, Task, Walk};
use super::*;
use crate::source::{Directory, Found};

/// `/E /R:1 /W:0`.
fn policy() -> JobPolicy {
    JobPolicy {
        selection: Selection { recurse: Recurse::All, ..Selection::default() },
        retry: Retry { retries: 1, wait_seconds: 0 },
        ..JobPolicy::default()
    }
}

fn linking(links: LinkPolicy) -> JobPolicy {
    JobPolicy { selection: Selection { links, ..policy().selection }, ..policy() }
}

const RECREATE: LinkPolicy = LinkPolicy {
    recreate: true,
    exclude_dirs: false,
    exclude_files: false,
    empty_mounts: false,
    hard_links: false,
};

/// Scans with a reader that the test may have put in the way of the disk.
fn scan_through(
    root: &Path,
    policy: &JobPolicy,
    threads: usize,
    wrap: impl FnOnce(Disk<'_>, &mut dyn FnMut(&dyn Reader)),
    mut sink: impl FnMut(ScannedDir) -> ControlFlow<()>,
) -> Result<ScanSummary, Failure> {
    let source = Source::open(root, policy.selection.links).unwrap();
    let filter = Filter::new(&policy.selection).unwrap();
    let stop = StopFlag::default();
    let scan = Scan { source: &source, filter: &filter, policy, stop: &stop };
    let mut result = None;
    wrap(Disk { reads_attributes: filter.asks_attributes(), stop: &stop }, &mut |reader| {
        result = Some(Walk::new(&scan, reader, DIRECTORY_BYTES_MAX).run(threads, &mut sink));
    });
    result.unwrap()
}

fn scan(root: &Path, policy: &JobPolicy, threads: usize) -> Vec<ScannedDir> {
    let mut dirs = Vec::new();
    let collect = |dir| {
        dirs.push(dir);
        ControlFlow::Continue(())
    };
    let summary = scan_through(root, policy, threads, |disk, run| run(&disk), collect).unwrap();
    assert_eq!(summary.end, ScanEnd::Complete);
    assert_eq!(summary.directories, dirs.len() as u64);
    dirs
}

/// The scan as text: each directory with what it holds; `/` marks directories, `@` links, `=` further names of a file, `!` what is skipped.
fn shown(dirs: &[ScannedDir]) -> Vec<String> {
    let entry = |scanned: &ScannedEntry| {
        let entry = &scanned.entry;
        let kind = match &entry.kind {
            Kind::File => String::new(),
            Kind::Directory => "/".to_owned(),
            Kind::Link { .. } => "@".to_owned(),
            Kind::HardLink { first } => format!("={first}"),
            Kind::Special => "|".to_owned(),
        };
        let skip = entry.skip.map(|skip| format!("!{skip:?}")).unwrap_or_default();
        format!("{}{kind}{skip}", entry.name)
    };
    let line = |dir: &ScannedDir| {
        let entries: Vec<_> = dir.entries.iter().map(entry).collect();
        let failure = if dir.failure.is_some() { " (failed)" } else { "" };
        format!("{}: {}{failure}", dir.path, entries.join(" ")).trim_end().to_owned()
    };
    dirs.iter().map(line).collect()
}

#[track_caller]
fn check(root: &Path, policy: &JobPolicy, expected: &[&str]) {
    for threads in [1, 4] {
        assert_eq!(shown(&scan(root, policy, threads)), expected);
    }
}

/// Makes files, and directories where a path ends in a slash.
fn tree(paths: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for path in paths.split_whitespace() {
        let full = root.path().join(path);
        if path.ends_with('/') {
            fs::create_dir_all(full).unwrap();
        } else {
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            fs::write(full, path).unwrap();
        }
    }
    root
}

#[test]
fn directories_come_depth_first_and_names_by_their_bytes() {
    let root = tree("b.txt a/x a/b/y a.b/z empty/ Z");
    check(
        root.path(),
        &policy(),
        &[": Z a/ a.b/ b.txt empty/", "a: b/ x", "a/b: y", "a.b: z", "empty:"],
    );
}

#[test]
fn what_rules_leave_out_is_listed_but_not_entered() {
    let root = tree("a.log a.txt .git/x sub/.git/y sub/b.log .quicopy/z sub/deep/w");
    let selection = Selection {
        exclude_dirs: vec![Rule::Name(".git".into())],
        exclude_files: vec![Rule::Name("*.log".into())],
        levels: Some(2),
        ..policy().selection
    };
    check(
        root.path(),
        &JobPolicy { selection, ..policy() },
        &[
            ": .git/!Named .quicopy/!Reserved a.log!Named a.txt sub/",
            "sub: .git/!Named b.log!Named deep/!TooDeep",
        ],
    );
    let root_only = JobPolicy { selection: Selection::default(), ..policy() };
    check(
        root.path(),
        &root_only,
        &[": .git/!TooDeep .quicopy/!Reserved a.log a.txt sub/!TooDeep"],
    );
}

#[test]
fn links_are_followed_by_default_but_not_for_ever() {
    let root = tree("a/x b/");
    symlink("../a", root.path().join("b/to-a")).unwrap();
    symlink("../b", root.path().join("a/to-b")).unwrap();
    symlink("../a/x", root.path().join("b/to-x")).unwrap();
    check(
        root.path(),
        &policy(),
        &[
            ": a/ b/",
            "a: to-b/ x",
            "a/to-b: to-a/!Loop to-x",
            "b: to-a/ to-x",
            "b/to-a: to-b/!Loop x",
        ],
    );
    let dirs = scan(root.path(), &policy(), 2);
    let (x, to_x) = (&dirs[1].entries[1], &dirs[3].entries[1]);
    assert_eq!((x.identity, x.entry.meta), (to_x.identity, to_x.entry.meta));
}

#[test]
fn links_are_recreated_or_left_out_as_the_switches_say() {
    let root = tree("a/x");
    symlink("a", root.path().join("d")).unwrap();
    symlink("a/x", root.path().join("f")).unwrap();
    symlink("nowhere", root.path().join("n")).unwrap();
    check(root.path(), &linking(RECREATE), &[": a/ d@ f@ n@", "a: x"]);
    let dirs = scan(root.path(), &linking(RECREATE), 1);
    assert_eq!(dirs[0].entries[1].entry.kind, Kind::Link { target: (*b"a").into() });
    assert_eq!(dirs[0].entries[1].entry.meta.size_bytes, 0);
    let exclude = LinkPolicy { exclude_dirs: true, exclude_files: true, ..LinkPolicy::default() };
    check(root.path(), &linking(exclude), &[": a/ d/!Link f!Link n!Link", "a: x"]);
}

#[test]
fn a_dangling_link_fails_alone() {
    let root = tree("a z");
    symlink("nowhere", root.path().join("n")).unwrap();
    symlink("self", root.path().join("self")).unwrap();
    check(root.path(), &policy(), &[": a n!Unreadable self!Unreadable z"]);
    let failures = scan(root.path(), &policy(), 1).remove(0).failures;
    let codes: Vec<_> =
        failures.iter().map(|(index, failure)| (*index, failure.windows_code)).collect();
    assert_eq!(codes, [(1, 2), (2, 1921)]);
}

#[test]
fn special_files_are_listed_and_never_opened() {
    let root = tree("a");
    rustix::fs::mkfifoat(rustix::fs::CWD, root.path().join("pipe"), rustix::fs::Mode::RWXU)
        .unwrap();
    check(root.path(), &policy(), &[": a pipe|!Special"]);
}

/// Fails at chosen directories as often as told.
struct Faulty<'a> {
    disk: Disk<'a>,
    /// Path, step, and how many failures are left.
    faults: Mutex<BTreeMap<(RelPath, At), u32>>,
    errno: Errno,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum At {
    Open,
    /// After the first name was found.
    Read,
}

impl Faulty<'_> {
    fn fails(&self, path: &RelPath, at: At) -> bool {
        match self.faults.lock().unwrap().get_mut(&(path.clone(), at)) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}

impl Reader for Faulty<'_> {
    fn open(&self, path: &RelPath, task: &Task) -> io::Result<Arc<Directory>> {
        if self.fails(path, At::Open) { Err(self.errno.into()) } else { self.disk.open(path, task) }
    }

    fn read(&self, path: &RelPath, dir: &Directory, found: &mut Vec<Found>) -> io::Result<()> {
        self.disk.read(path, dir, found)?;
        if self.fails(path, At::Read) {
            found.truncate(1);
            return Err(self.errno.into());
        }
        Ok(())
    }
}

/// Scans while `path` fails `times` times with `errno`.
fn scan_with_fault(
    root: &Path,
    path: &str,
    at: At,
    times: u32,
    errno: Errno,
) -> Result<Vec<String>, Failure> {
    let mut dirs = Vec::new();
    let faults = BTreeMap::from([((RelPath::parse(path.as_bytes()).unwrap(), at), times)]);
    let wrap = |disk: Disk<'_>, run: &mut dyn FnMut(&dyn Reader)| {
        run(&Faulty { disk, faults: Mutex::new(faults), errno });
    };
    let collect = |dir| {
        dirs.push(dir);
        ControlFlow::Continue(())
    };
    scan_through(root, &policy(), 4, wrap, collect)?;
    Ok(shown(&dirs))
}

#[test]
fn a_directory_that_cannot_be_read_keeps_its_place_and_says_so() {
    let root = tree("a/1 a/2/x b/3");
    let with = |at, times, errno| scan_with_fault(root.path(), "a", at, times, errno).unwrap();
    let whole = [": a/ b/", "a: 1 2/", "a/2: x", "b: 3"];
    assert_eq!(with(At::Open, 1, Errno::ACCESS), whole);
    assert_eq!(with(At::Read, 1, Errno::IO), whole);
    assert_eq!(with(At::Open, 2, Errno::ACCESS), [": a/ b/", "a:  (failed)", "b: 3"]);
    assert_eq!(with(At::Read, 2, Errno::IO), [": a/ b/", "a: 1 (failed)", "b: 3"]);
}

#[test]
fn a_directory_that_vanished_is_not_waited_for() {
    let root = tree("a/1 b/2");
    let shown = scan_with_fault(root.path(), "a", At::Open, 1, Errno::NOENT).unwrap();
    assert_eq!(shown, [": a/ b/", "a:  (failed)", "b: 2"]);
}

#[test]
fn without_the_root_there_is_no_scan() {
    let root = tree("a/1");
    assert!(scan_with_fault(root.path(), "", At::Read, 1, Errno::IO).is_ok());
    let failure = scan_with_fault(root.path(), "", At::Read, 2, Errno::IO).unwrap_err();
    assert_eq!(failure.windows_code, 1117);
}

/// Swaps a directory for a link or another directory just before it is opened.
struct Swapping<'a> {
    disk: Disk<'a>,
    root: &'a Path,
}

impl Reader for Swapping<'_> {
    fn open(&self, path: &RelPath, task: &Task) -> io::Result<Arc<Directory>> {
        if path.as_bytes() == b"a" && self.root.join("private").exists() {
            fs::rename(self.root.join("a"), self.root.join("gone"))?;
            symlink("private", self.root.join("a"))?;
        }
        if path.as_bytes() == b"b" {
            fs::rename(self.root.join("b"), self.root.join("b-old"))?;
            fs::create_dir(self.root.join("b"))?;
        }
        self.disk.open(path, task)
    }

    fn read(&self, path: &RelPath, dir: &Directory, found: &mut Vec<Found>) -> io::Result<()> {
        self.disk.read(path, dir, found)
    }
}

#[test]
fn a_directory_too_large_to_be_listed_is_handed_out_in_part_and_failed() {
    let root = tree("b/1 b/2 b/3");
    let (policy, stop) = (policy(), StopFlag::default());
    let source = Source::open(root.path(), policy.selection.links).unwrap();
    let filter = Filter::new(&policy.selection).unwrap();
    let scan = Scan { source: &source, filter: &filter, policy: &policy, stop: &stop };
    // A record and a name each for the directory and two of its files.
    let bytes_max = 3 * (UNSETTLED_RECORD_BYTES + 1);
    let mut dirs = Vec::new();
    let mut collect = |dir| {
        dirs.push(dir);
        ControlFlow::Continue(())
    };
    Walk::new(&scan, &Disk { reads_attributes: filter.asks_attributes(), stop: &stop }, bytes_max)
        .run(1, &mut collect)
        .unwrap();
    assert_eq!(shown(&dirs), [": b/", "b: 1 2 (failed)"]);
}

#[test]
fn a_directory_that_was_swapped_is_not_entered() {
    let root = tree("a/1 b/2 private/secret");
    let mut dirs = Vec::new();
    let collect = |dir: ScannedDir| {
        dirs.push(dir);
        ControlFlow::Continue(())
    };
    let wrap = |disk: Disk<'_>, run: &mut dyn FnMut(&dyn Reader)| {
        run(&Swapping { disk, root: root.path() });
    };
    scan_through(root.path(), &policy(), 1, wrap, collect).unwrap();
    assert_eq!(
        shown(&dirs),
        [": a/ b/ private/", "a:  (failed)", "b:  (failed)", "private: secret"]
    );
}

#[test]
fn the_sink_or_the_stop_flag_ends_a_scan() {
    let root = tree("a/1 b/2 c/3");
    let mut count = 0;
    let stop_at_2 = |_: ScannedDir| {
        count += 1;
        if count == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let summary =
        scan_through(root.path(), &policy(), 4, |disk, run| run(&disk), stop_at_2).unwrap();
    assert_eq!(summary, ScanSummary { directories: 2, end: ScanEnd::Stopped });

    let source = Source::open(root.path(), LinkPolicy::default()).unwrap();
    let (filter, stop) = (Filter::new(&Selection::default()).unwrap(), StopFlag::default());
    let scan = Scan { source: &source, filter: &filter, policy: &policy(), stop: &stop };
    let summary = scan.run(4, &mut |_| {
        stop.set();
        ControlFlow::Continue(())
    });
    assert_eq!(summary, Ok(ScanSummary { directories: 1, end: ScanEnd::Stopped }));
}

#[test]
fn a_panic_in_the_sink_does_not_hang_the_threads() {
    let root = tree("a/1 b/2 c/3");
    let panicked = std::panic::catch_unwind(|| {
        scan_through(root.path(), &policy(), 4, |disk, run| run(&disk), |_| panic!("sink"))
    });
    assert!(panicked.is_err());
}

/// All paths below `dir`, by the plainest recursion, directories with a slash.
fn naive(dir: &Path, prefix: &str, lines: &mut Vec<String>) {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    let is_dir = |name: &std::ffi::OsString| dir.join(name).is_dir();
    let entries: Vec<_> = names
        .iter()
        .map(|name| format!("{}{}", name.to_str().unwrap(), if is_dir(name) { "/" } else { "" }))
        .collect();
    lines.push(format!("{prefix}: {}", entries.join(" ")).trim_end().to_owned());
    for name in names.iter().filter(|name| is_dir(name)) {
        let name = name.to_str().unwrap();
        let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        naive(&dir.join(name), &path, lines);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_scan_finds_what_a_plain_recursion_finds_in_the_same_order(
        paths in proptest::collection::vec("[ab.]{1,2}x(/[ab.]{1,2}x){0,3}", 0..30), threads in 1_usize..9
    ) {
        let root = tempfile::tempdir().unwrap();
        for path in &paths {
            let full = root.path().join(path);
            // Where a file stands in the way, that path is simply not there.
            if fs::create_dir_all(full.parent().unwrap()).is_ok() && !full.exists() {
                let _ = fs::write(full, path);
            }
        }
        let mut expected = Vec::new();
        naive(root.path(), "", &mut expected);
        prop_assert_eq!(shown(&scan(root.path(), &policy(), threads)), expected);
    }
}

#[test]
fn further_names_of_a_file_are_listed_as_hard_links_when_asked_for() {
    let root = tree("a/1 b/2");
    fs::hard_link(root.path().join("a/1"), root.path().join("a/3")).unwrap();
    fs::hard_link(root.path().join("a/1"), root.path().join("b/0")).unwrap();
    let links = LinkPolicy { hard_links: true, ..LinkPolicy::default() };
    assert_eq!(
        shown(&scan(root.path(), &linking(links), 4)),
        [": a/ b/", "a: 1 3=a/1", "b: 0=a/1 2"]
    );
    assert_eq!(shown(&scan(root.path(), &policy(), 4)), [": a/ b/", "a: 1 3", "b: 0 2"]);
}

#[test]
fn attributes_that_samba_keeps_choose_files() {
    let root = tree("hidden plain");
    let file = fs::File::open(root.path().join("hidden")).unwrap();
    let value = b"0x2";
    match rustix::fs::fsetxattr(&file, "user.DOSATTRIB", value, rustix::fs::XattrFlags::empty()) {
        Err(Errno::NOTSUP) => return,
        set => set.unwrap(),
    }
    let hidden = DosAttributes::HIDDEN;
    let attributes = AttributeFilter { any_of: hidden, ..AttributeFilter::default() };
    let only_hidden =
        JobPolicy { selection: Selection { attributes, ..policy().selection }, ..policy() };
    assert_eq!(shown(&scan(root.path(), &only_hidden, 1)), [": hidden plain!Attributes"]);
}
