//! Files whose content is compared, whose metadata is fixed, and which have several names.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use quicopy_protocol::options::{ContentCheck, Fix};

use super::*;

impl Site {
    /// A destination with files that look like those of the source, but for what a test changes.
    fn looking_same(files: &[(&str, &str)]) -> Self {
        let site = Self::new(files);
        for (path, _) in files {
            site.mode(path, Some(0o755));
            site.set_time(path, 1000, 5);
        }
        site
    }

    fn set_time(&self, path: &str, seconds: u64, nanos: u32) {
        let file = std::fs::File::options().write(true).open(self.path(path)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos)).unwrap();
    }

    fn inode(&self, path: &str) -> u64 {
        std::fs::metadata(self.path(path)).unwrap().ino()
    }

    /// Mirrors the files `a` and `b`, and tells how many were copied and how many were found to be right.
    fn counts(&self, files: &[(&'static str, &'static str)]) -> (usize, usize) {
        let told = self.mirror(&source(&[("", files)]));
        assert_eq!(told.failed, [""; 0]);
        (told.copied, told.unchanged)
    }
}

#[test]
fn only_content_that_differs_is_copied_where_files_look_the_same() {
    let mut site = Site::looking_same(&[("a", "one"), ("b", "two")]);
    let files = [("a", "one"), ("b", "TWO")];
    assert_eq!(site.counts(&files), (0, 0), "nobody asked");
    site.policy.content_check = ContentCheck::LooksSame;
    assert_eq!(site.counts(&files), (1, 1));
    assert_eq!(site.read("b").as_deref(), Some("TWO"));
    assert_eq!(site.counts(&files), (0, 2));
}

#[test]
fn a_job_that_only_lists_compares_and_copies_nothing() {
    let mut site = Site::looking_same(&[("a", "one"), ("b", "two")]);
    site.policy.content_check = ContentCheck::Always;
    site.policy.list_only = true;
    assert_eq!(site.counts(&[("a", "one"), ("b", "TWO")]), (1, 1));
    assert_eq!(site.read("b").as_deref(), Some("two"));
}

#[test]
fn a_file_that_the_source_cannot_read_fails_its_comparison_and_stays() {
    let mut site = Site::looking_same(&[("a", "0123456789")]);
    site.policy.content_check = ContentCheck::LooksSame;
    let told = site.mirror(&source(&[("", &[("a", "unreadable")])]));
    assert_eq!((told.failed, told.copied), (vec!["permission denied".to_owned()], 0));
    assert_eq!(site.read("a").as_deref(), Some("0123456789"));
}

#[test]
fn many_files_are_compared_at_once() {
    let names: Vec<&'static str> = (0..300).map(|n| &*format!("f{n:03}").leak()).collect();
    let there: Vec<_> = names.iter().map(|name| (*name, "same")).collect();
    let mut site = Site::looking_same(&there);
    site.policy.content_check = ContentCheck::LooksSame;
    assert_eq!(site.counts(&there), (0, 300));
}

#[test]
fn a_mode_is_fixed_on_a_file_that_is_not_copied() {
    let mut site = Site::looking_same(&[("a", "one"), ("b", "two")]);
    site.policy.fix = Fix { security: true, times: false };
    site.mode("a", Some(0o600));
    let inode = site.inode("a");
    assert_eq!(site.counts(&[("a", "one"), ("b", "two")]), (0, 1));
    assert_eq!((site.mode("a", None), site.inode("a")), (0o755, inode));
    assert_eq!(site.counts(&[("a", "one"), ("b", "two")]), (0, 0));
}

#[test]
fn a_time_is_fixed_only_where_files_look_the_same() {
    let mut site = Site::looking_same(&[("a", "one"), ("b", "two")]);
    site.policy.fix = Fix { security: false, times: true };
    site.policy.tolerance.fat = true;
    site.policy.classes.exclude_newer = true;
    site.set_time("a", 999, 0);
    site.set_time("b", 500, 0);
    assert_eq!(site.counts(&[("a", "one"), ("b", "two")]), (0, 1));
    assert_eq!((modified(&site.path("a")), modified(&site.path("b"))), (1000, 500));
}

#[test]
fn fixes_follow_once_the_content_was_found_to_be_the_same() {
    let mut site = Site::looking_same(&[("a", "one")]);
    site.policy.content_check = ContentCheck::Always;
    site.policy.fix = Fix { security: true, times: false };
    site.mode("a", Some(0o600));
    assert_eq!(site.counts(&[("a", "one")]), (0, 1));
    assert_eq!(site.mode("a", None), 0o755);
}

#[test]
fn a_further_name_is_linked_once_its_first_is_in_place() {
    let mut site = Site::new(&[]);
    site.policy.selection.links.hard_links = true;
    let tree = source(&[("", &[("a", "one"), ("b", "=a")]), ("d", &[("c", "=a")])]);
    assert_eq!(site.mirror(&tree).copied, 3);
    assert_eq!([site.inode("b"), site.inode("d/c")], [site.inode("a"); 2]);
    let told = site.mirror(&tree);
    assert_eq!((told.copied, told.unchanged, told.extras), (0, 2, 0));
    // A name that became a file of its own is linked again.
    std::fs::remove_file(site.path("b")).unwrap();
    std::fs::write(site.path("b"), "one").unwrap();
    site.mode("b", Some(0o755));
    site.set_time("b", 1000, 5);
    let told = site.mirror(&tree);
    assert_eq!((told.copied, told.unchanged), (1, 1));
    assert_eq!(site.inode("b"), site.inode("a"));
}

#[test]
fn a_further_name_fails_with_its_first_and_says_why() {
    let mut site = Site::new(&[]);
    site.policy.selection.links.hard_links = true;
    let told = site.mirror(&source(&[("", &[("a", "unreadable"), ("b", "=a")])]));
    let why = "a, of which it is another name, is not in place";
    assert_eq!(told.failed, ["permission denied", why]);
    assert!(!site.path("a").exists() && !site.path("b").exists());
}
