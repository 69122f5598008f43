//! Jobs that go the wrong way round, and jobs that carry out a plan of a certain name.

use super::*;

/// Files of the destination with their contents, and the source's, of which each is older, and so many newer.
fn swapped(older: usize, newer: usize) -> (Site, Vec<String>) {
    let names: Vec<_> = (0..older + newer).map(|number| format!("f{number:03}")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), "there")).collect();
    let site = Site::new(&files);
    for name in &names[older..] {
        let file = std::fs::File::options().write(true).open(site.path(name)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    (site, names)
}

fn source_of(names: &[String]) -> Source {
    // Tests live as long as the program, and so may their names.
    let files = names.iter().map(|name| (&*Box::leak(name.clone().into_boxed_str()), "source"));
    BTreeMap::from([("", files.collect())])
}

#[test]
fn mostly_newer_files_are_not_overwritten_and_all_else_is() {
    let (site, mut names) = swapped(21, 20);
    names.push("new".into());
    let told = site.mirror(&source_of(&names));
    assert_eq!((told.numbers, told.wants), (vec![5; 21], 21));
    assert!(told.done.unwrap().guard.unwrap().starts_with("D8: 21 of 41 files"));
    assert_eq!(site.read("f000").as_deref(), Some("there"));
    assert_eq!(site.read("f021").as_deref(), Some("source"));
    assert_eq!(site.read("new").as_deref(), Some("source"));
}

#[test]
fn a_few_newer_files_are_overwritten_once_all_is_known() {
    for (older, newer) in [(20, 0), (21, 21)] {
        let (site, names) = swapped(older, newer);
        let told = site.mirror(&source_of(&names));
        assert_eq!((told.failed.len(), told.done.unwrap().guard), (0, None));
        assert_eq!(site.read("f000").as_deref(), Some("source"));
    }
}

#[test]
fn force_passes_and_an_embedded_agent_only_warns() {
    let (mut site, names) = swapped(30, 0);
    site.default_limit = DefaultLimit::Off;
    let told = site.mirror(&source_of(&names));
    assert!(told.notices.iter().any(|text| text.starts_with("D8: 30 of 30")));
    assert_eq!((told.failed.len(), told.done.unwrap().guard), (0, None));
    let (mut site, names) = swapped(30, 0);
    site.policy.force = true;
    let told = site.mirror(&source_of(&names));
    assert_eq!((told.failed.len(), told.done.unwrap().guard), (0, None));
}

#[test]
fn a_job_that_only_lists_names_the_plan_that_the_next_one_carries_out() {
    let files =
        [("old", "x"), ("p/older", "y"), ("gone/x", "z"), ("a", "there"), ("c/x", "dir now")];
    let tree = source(&[
        ("", &[("a", "one"), ("b", "two"), ("c", "file now")]),
        ("p", &[("f", "three")]),
        ("q", &[]),
        ("q/m", &[("g", "four")]),
    ]);
    let site = |list_only, plan| {
        let mut site = Site::new(&files);
        for path in ["old", "p/older", "gone/x", "c/x"] {
            let file = std::fs::File::options().write(true).open(site.path(path)).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        (site.policy.list_only, site.policy.plan) = (list_only, plan);
        site
    };
    let plan = site(true, None).mirror(&tree).done.unwrap().plan;
    assert!(plan.is_some());
    assert_eq!(site(true, plan).mirror(&tree).done.unwrap().plan, plan);
    let carried_out = site(false, plan);
    let done = carried_out.mirror(&tree).done.unwrap();
    assert_eq!((done.plan, done.guard), (plan, None));
    assert!(!carried_out.path("gone").exists());
    assert_eq!(site(false, None).mirror(&tree).done.unwrap().plan, None, "nobody asked");

    let other = source(&[("", &[("a", "one")])]);
    let refusal = site(true, plan).run(&other, None).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::PlanChanged);
    assert!(refusal.reason.contains("then pass /PLAN:"), "{}", refusal.reason);
    let late = site(false, plan);
    let done = late.mirror(&other).done.unwrap();
    assert!(done.guard.unwrap().starts_with("D14") && late.path("old").exists());
}
