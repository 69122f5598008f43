//! What a job does to a destination, from its beginning to its end.

use super::*;

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
