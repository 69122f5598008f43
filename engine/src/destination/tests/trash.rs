//! Jobs whose destination keeps what they delete.

use std::ops::ControlFlow;

use super::*;
use crate::disk::private::SWAP;
use crate::trash::{self, Why};

impl Site {
    pub(super) fn with_trash(files: &[(&str, &str)]) -> Self {
        let trash = TrashRules { job: [7; 16], by: "web".into(), days: 7 };
        Self { trash: Some(trash), ..Self::new(files) }
    }

    /// What is in the trash: paths, `*` for former versions, and the number of entries where it is not one.
    fn trash(&self) -> String {
        let share = Share::open(self.dir.path()).unwrap();
        let mut all = Vec::new();
        let unread = trash::items(&share, |seen| {
            let mark = if seen.found.why == Why::Overwritten { "*" } else { "" };
            let entries = match seen.size().unwrap().entries {
                1 => String::new(),
                entries => format!("={entries}"),
            };
            all.push(format!("{}{mark}{entries}", seen.found.path));
            ControlFlow::Continue(())
        })
        .unwrap();
        assert!(unread.is_empty(), "{unread:?}");
        all.join(" ")
    }

    fn restore_all(&self) {
        let share = Arc::new(Share::open(self.dir.path()).unwrap());
        for found in trash::find(&share, "07070707").unwrap().found {
            trash::restore(&share, &found, &found.path).unwrap();
        }
    }
}

fn many(prefix: &str, count: usize) -> Vec<(String, String)> {
    (0..count).map(|number| (format!("{prefix}{number:03}"), "x".into())).collect()
}

fn strs(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(path, content)| (&**path, &**content)).collect()
}

#[test]
fn what_gave_way_when_a_job_died_goes_where_it_was_on_its_way_to() {
    let files = [("d/f", "x")];
    let source = source(&[("", &[]), ("d", &files[..0])]);
    for (site, kept) in [(Site::with_trash(&files), "d"), (Site::new(&files), "")] {
        let [name, other] = [Name::new(*b"d").unwrap(), Name::new(*b"stays").unwrap()];
        let left = |name| presence::reserved_name(&site.setup().peer, &RelPath::ROOT, name, SWAP);
        let (ours, foreign) = (left(&name).to_string(), left(&other).to_string());
        std::fs::write(site.path(&ours), "old").unwrap();
        std::fs::write(site.path(&foreign), "whose").unwrap();
        site.mirror(&source);
        assert!(!site.path(&ours).exists());
        assert!(site.path(&foreign).exists(), "nobody knows what it was");
        assert!(site.trash().split(' ').any(|path| path == kept), "{}", site.trash());
    }
}

#[test]
fn a_mirror_moves_aside_what_it_deletes_whole_trees_at_once() {
    let site = Site::with_trash(&[("old", "x"), ("b/older", "y"), ("c/d/e", "z"), ("c/f", "")]);
    let source = source(&[("", &[("a", "one")]), ("b", &[("f", "two")])]);
    let done = site.mirror(&source).done.unwrap();
    assert_eq!((done.deleted, done.trashed, done.guard), (6, 6, None));
    assert_eq!(site.trash(), "c=4 old b/older");
    assert!(!site.path("c").exists() && site.path("b/f").exists());
    assert_eq!(modified(&site.path("b")), 1000, "its time is the source's after the deletion");
    site.restore_all();
    assert_eq!(site.read("c/d/e").as_deref(), Some("z"));
    assert_eq!(site.read("b/older").as_deref(), Some("y"));
}

#[test]
fn of_a_tree_that_holds_something_protected_the_rest_goes() {
    let mut site = Site::with_trash(&[
        ("o/keep", "k"),
        ("o/s/x", ""),
        ("o/s/y", ""),
        ("o/t/keep", ""),
        ("p/q", ""),
    ]);
    let keep = Rule::Name("keep".into());
    site.policy.selection.exclude_files = vec![keep];
    let done = site.mirror(&source(&[("", &[("a", "one")])])).done.unwrap();
    assert_eq!((done.deleted, done.trashed), (5, 5));
    assert_eq!(site.trash(), "p=2 o/s=3");
    assert!(site.path("o/keep").exists() && site.path("o/t/keep").exists());
}

#[test]
fn extras_beside_a_failed_copy_go_where_they_can_be_got_back() {
    let site = Site::with_trash(&[("b/keep", "x")]);
    let source = source(&[("", &[("a", "one")]), ("b", &[("f", "unreadable")])]);
    let done = site.mirror(&source).done.unwrap();
    assert_eq!((done.trashed, done.protected_dirs), (1, 0));
    assert_eq!(site.trash(), "b/keep");
}

#[test]
fn former_versions_are_kept_where_the_job_asks_for_it() {
    let tree = source(&[("", &[("a", "new one")]), ("d", &[("b", "new two")])]);
    let files = [("a", "old"), ("d/b", "older")];
    let site = Site::with_trash(&files);
    site.mirror(&tree);
    assert_eq!(site.trash(), "");
    let mut site = Site::with_trash(&files);
    site.policy.trash_days = Some(7);
    let done = site.mirror(&tree).done.unwrap();
    assert_eq!((done.deleted, done.trashed), (0, 0), "nothing was deleted");
    assert_eq!(site.trash(), "a* d/b*");
    assert_eq!(site.read("a").as_deref(), Some("new one"));
    let kept = walk(&site.path(".quicopy/trash"));
    assert!(kept.contains(&"old".to_owned()) && kept.contains(&"older".to_owned()), "{kept:?}");
    let told = site.mirror(&tree);
    assert_eq!(told.wants, 0, "and the next job finds all as it should be");
}

#[test]
fn a_file_and_a_link_that_give_way_to_each_other_are_deleted_and_not_overwritten() {
    let tree = source(&[("", &[("file", "content"), ("link", "@file")])]);
    for trash_days in [None, Some(7)] {
        let mut site = Site::with_trash(&[("link", "was a file")]);
        site.policy.trash_days = trash_days;
        std::os::unix::fs::symlink("was/a/link", site.path("file")).unwrap();
        let done = site.mirror(&tree).done.unwrap();
        assert_eq!((done.deleted, done.trashed), (2, 2));
        assert_eq!(site.trash(), "file link");
        assert_eq!(std::fs::read_link(site.path("link")).unwrap(), Path::new("file"));
        assert_eq!(site.read("file").as_deref(), Some("content"));
        for path in ["file", "link"] {
            std::fs::remove_file(site.path(path)).unwrap();
        }
        site.restore_all();
        assert_eq!(std::fs::read_link(site.path("file")).unwrap(), Path::new("was/a/link"));
        assert_eq!(site.read("link").as_deref(), Some("was a file"));
    }
}

/// The contents of all files below a folder.
fn walk(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(walk(&path)),
            false => all.push(std::fs::read_to_string(path).unwrap()),
        }
    }
    all
}

#[test]
fn what_changes_its_kind_leaves_the_old_in_the_trash() {
    let site = Site::with_trash(&[("a/x", "1"), ("a/y/z", "2"), ("d", "file")]);
    let source = source(&[("", &[("a", "file now")]), ("d", &[("f", "in a directory now")])]);
    let told = site.mirror(&source);
    assert_eq!(told.failed, [""; 0]);
    let done = told.done.unwrap();
    assert_eq!((done.deleted, done.trashed), (5, 5));
    assert_eq!(site.trash(), "a=4 d");
    assert_eq!(site.read("a").as_deref(), Some("file now"));
    assert!(site.path("d/f").exists());
}

#[test]
fn an_earlier_try_leaves_nothing_that_keeps_a_directory_from_its_place() {
    let mut site = Site::with_trash(&[("d", "file")]);
    site.policy.classes.include_tweaked = true;
    assert!(site.policy.compares_attributes(), "what only listings have is no change");
    let name = Name::new(b"d".to_vec()).unwrap();
    let aside = presence::reserved_name(&[7; 32], &RelPath::ROOT, &name, "swap");
    let aside = site.path(std::str::from_utf8(aside.as_bytes()).unwrap());
    std::fs::write(&aside, "earlier file").unwrap();
    let told = site.mirror(&source(&[("", &[]), ("d", &[("f", "inside")])]));
    assert_eq!(told.failed, [""; 0]);
    assert_eq!(site.read("d/f").as_deref(), Some("inside"));
    assert!(!aside.exists());
    let done = told.done.unwrap();
    assert_eq!((done.deleted, done.trashed), (2, 2));
    assert_eq!(site.trash(), "d d");
}

#[test]
fn with_a_trash_that_holds_all_the_limit_only_warns() {
    let extras = many("old", 30);
    let tree = source(&[("", &[("a", "one")])]);
    let done = Site::new(&strs(&extras)).mirror(&tree).done.unwrap();
    assert!(done.guard.unwrap().starts_with("D5: 30 of 30"));
    let site = Site::with_trash(&strs(&extras));
    let told = site.mirror(&tree);
    let done = told.done.unwrap();
    assert_eq!((done.guard, done.trashed), (None, 30));
    assert!(told.notices.iter().any(|text| text.starts_with("D5: 30 of 30")), "{:?}", told.notices);
}

#[test]
fn without_its_marker_nothing_is_deleted_and_the_rest_is_copied() {
    let tree = source(&[("", &[("a", "one")])]);
    for forbid in
        [(|site| site.policy.marker = Name::new(*b"here").ok()) as fn(&mut Site), |site| {
            site.require_marker = Name::new(*b"here").ok()
        }]
    {
        let mut site = Site::new(&[("old", "x"), ("d/x", "y")]);
        forbid(&mut site);
        let done = site.mirror(&tree).done.unwrap();
        assert!(done.guard.unwrap().starts_with("D3: the source has no here"));
        assert!(site.path("old").exists() && site.path("a").exists() && done.deleted == 0);
        let marked = source(&[("", &[("a", "one"), ("here", "")])]);
        let done = site.mirror(&marked).done.unwrap();
        assert_eq!((done.guard, done.deleted), (None, 3));
    }
    let mut site = Site::new(&[("a/x", "x")]);
    site.require_marker = Name::new(*b"here").ok();
    site.mirror(&tree);
    assert!(site.path("a/x").exists(), "nor does a directory give way to a file");
    let mut site = Site::new(&[("d", "file")]);
    site.require_marker = Name::new(*b"here").ok();
    let told = site.mirror(&source(&[("", &[("a", "one")]), ("d", &[("f", "two")])]));
    assert_eq!(site.read("d").as_deref(), Some("file"), "or the reverse");
    assert!(told.notices.iter().any(|text| text.contains("D3: the source has no here")));
}

#[test]
fn a_job_that_only_lists_makes_no_trash() {
    let mut site = Site::with_trash(&[("old", "x")]);
    site.policy.list_only = true;
    site.mirror(&source(&[("", &[("a", "one")])]));
    assert!(!site.path(".quicopy").exists());
}

#[test]
fn what_is_given_back_is_just_a_file_to_the_next_job() {
    let mut site = Site::with_trash(&[]);
    site.index = Some(Arc::new(Index::open(tempfile::tempfile().unwrap()).unwrap()));
    site.mirror(&source(&[("", &[("a", "one"), ("b", "two")])]));
    site.mirror(&source(&[("", &[("a", "one")])]));
    site.restore_all();
    let told = site.mirror(&source(&[("", &[("a", "one"), ("b", "two")])]));
    assert_eq!((told.wants, told.extras), (0, 0), "it is the file that it was");
}
