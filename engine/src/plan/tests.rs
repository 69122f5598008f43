//! Whole directories, planned from listings written as text.

use quicopy_protocol::meta::{Entry, Kind, Timestamp};
use quicopy_protocol::options::Tolerance;
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::{Tally, Verdict};

use super::sample::{entries, listed, path, policy};
use super::*;
use crate::compare::Tolerances;
use crate::filter::Filter;
use crate::index::Record;

/// One directory, planned and told as text: `name:Class:Action` for decisions (`*` for a conflict), `name/=State` for
/// directories, `+name` for extras with the reason why they are kept, `same:N`.
struct Case<'a> {
    switches: &'a str,
    dir: &'a str,
    knowledge: Knowledge,
    file_system_root: bool,
    remembered: &'a str,
}

const CASE: Case<'_> = Case {
    switches: "",
    dir: "",
    knowledge: Knowledge::Complete,
    file_system_root: false,
    remembered: "",
};

impl Case<'_> {
    fn plan(&self, source: &str, destination: &str) -> DirectoryPlan {
        let policy = policy(self.switches);
        let dir = path(self.dir);
        let remembered = listed(self.remembered);
        let records = |at: &RelPath| {
            let (_, name) = at.split_last()?;
            let found = remembered.iter().find(|listed| listed.name == name)?;
            Some(Record::from(&found.present))
        };
        let rules = Rules {
            policy: &policy,
            tolerances: Tolerances::exact(Tolerance::default()),
            names: &Filter::new(&policy.selection).unwrap(),
            records: &records,
        };
        let input = DirectoryInput {
            path: &dir,
            entries: &entries(source),
            knowledge: self.knowledge,
            present: listed(destination),
            file_system_root: self.file_system_root,
        };
        plan_directory(&rules, input).unwrap()
    }

    fn check(&self, source: &str, destination: &str, expected: &str) {
        let plan = self.plan(source, destination);
        let source = entries(source);
        let name = |index: u32| &source[index as usize].name;
        let mut told = Vec::new();
        for Decision { verdict, .. } in &plan.decisions {
            let Verdict { index, class, action, conflict } = verdict;
            let mark = if *conflict { "*" } else { "" };
            told.push(format!("{}:{class:?}:{action:?}{mark}", name(*index)));
        }
        for Subdirectory { index, state, .. } in &plan.directories {
            told.push(format!("{}/={state:?}", name(*index)));
        }
        for Extra { listed, kept, conflict } in &plan.extras {
            let mark = if *conflict { "*" } else { "" };
            let kept = kept.map_or(String::new(), |kept| format!(":{kept:?}"));
            told.push(format!("+{}{mark}{kept}", listed.name));
        }
        if plan.same.entries > 0 {
            told.push(format!("same:{}", plan.same.entries));
        }
        assert_eq!(told.join(" "), expected, "{}", self.switches);
    }
}

fn check(switches: &str, source: &str, destination: &str, expected: &str) {
    Case { switches, ..CASE }.check(source, destination, expected);
}

#[test]
fn classes_lead_to_actions_as_in_robocopys_cases() {
    check("", "a", "", "a:Lonely:Copy"); // C01
    check("", "a@10=5", "a@10=5", "same:1"); // C02
    check("", "a@20", "a@10", "a:Newer:Copy"); // C03
    check("", "a@10", "a@20", "a:Older:Copy"); // C04
    check("", "a@10=5", "a@10=6", "a:Changed:Copy"); // C05
    check("/XO", "a@10", "a@20", "a:Older:Skip"); // C06
    check("/XN", "a@20", "a@10", "a:Newer:Skip"); // C07
    check("/XC", "a=5", "a=6", "a:Changed:Skip"); // C08
    check("/IS", "a", "a", "a:Same:Copy"); // C09
    check("/XL", "a", "", "a:Lonely:Skip"); // C14
    check("/E /XL", "sub/", "", "sub:Lonely:Skip sub/=Avoided"); // C15
    check("", "a", "a x", "+x same:1"); // C17
    check("", "b", "x", "b:Lonely:Copy +x"); // C18
    check("", "a", "a/", "a:Mismatched:Mismatch"); // C19
    check("", "a b", "a/", "a:Mismatched:Mismatch b:Lonely:Copy"); // C20
    check("/E", "d/", "d", "d:Mismatched:Mismatch d/=Avoided"); // C21
    check("/PURGE", "a", "a/", "a:Mismatched:Copy"); // C22
    check(
        "/XO /XN /XC", // C16
        "c=7 n@20 new o@5",
        "c=8 n@10 o@9",
        "c:Changed:Skip n:Newer:Skip new:Lonely:Copy o:Older:Skip",
    );
}

#[test]
fn same_files_are_counted_and_named_only_on_demand() {
    check("", "a=5 b=6 l->x", "a=5 b=6 l->x", "same:3");
    check("/V /E", "a=5 d/", "a=5 d/", "a:Same:Skip d/=Existing");
    assert_eq!(CASE.plan("a=5 b=6", "a=5 b=6").same, Tally { entries: 2, bytes: 11 });
}

#[test]
fn directories_are_entered_made_deferred_or_avoided() {
    check("/E", "d/ new/", "d/", "d/=Existing new/=New");
    check("/S", "d/ new/", "d/", "d/=Existing new/=Deferred");
    check("/MIR", "d/", "d", "d:Mismatched:Copy d/=New");
    check("/S /PURGE", "d/", "d->x", "d:Mismatched:Copy d/=Deferred");
    check("/E", "!d/ !new/", "d/", "");
}

#[test]
fn what_gives_way_is_handed_out_with_the_decision() {
    let plan = Case { switches: "/MIR", ..CASE }.plan("a@20 d/ n", "a@10=7 d");
    let met: Vec<_> = plan.decisions.iter().map(|decision| decision.present.as_ref()).collect();
    assert_eq!(met[0].map(|present| present.size_bytes), Some(7));
    assert!(met[1].is_some_and(|present| present.kind == Kind::File));
    assert_eq!((met[2], met.len()), (None, 3));
    assert!(plan.directories[0].present.is_some());
}

#[test]
fn extras_are_directories_first_and_then_files_by_name() {
    check("/MIR", "", "a d/ b c/ l->d", "+c +d +a +b +l");
    check("/MIR /XX", "", "a d/", "");
}

#[test]
fn what_the_sender_skips_is_neither_copied_nor_extra() {
    check("/MIR", "!a !d/ b", "a d/ b", "same:1"); // P08, P18
    check("/MIR", "p|", "p|", "");
    check("/MIR", "", ".quicopy/ .~quicopy-1.part a", "+a");
    check("/MIR", ".quicopy/ a", "", "a:Lonely:Copy");
}

#[test]
fn excluded_names_are_kept_and_said_to_be() {
    check("/MIR /XF:*.log", "a !keep.log", "a keep.log", "same:1"); // P05
    check("/MIR /XF:*.log", "a", "a only.log", "+only.log:Named same:1"); // P06
    check("/MIR /XD:.git", "a", "a .git/", "+.git:Named same:1"); // P07
    check("/MIR /XD:/other", "", "other/ p/", "+other:Named +p"); // P10
    check("/MIR /XD:obj", "", "obj", "+obj");
    check("/MIR /XD:obj", "", "obj->x", "+obj:Named");
    check("/MIR /XF:obj", "", "obj/", "+obj");
}

#[test]
fn patterns_of_files_hide_files_and_never_directories() {
    check("/IF:*.txt /PURGE", "a.txt !b.log", "x.txt y.log", "a.txt:Lonely:Copy +x.txt"); // P15
    check("/IF:*.txt /PURGE /X", "", "x.txt y.log", "+x.txt +y.log:NotIncluded"); // P16
    check("/IF:*.txt /MIR", "", "old/", "+old"); // P17
}

#[test]
fn an_incomplete_listing_makes_nothing_extra() {
    let case = Case { switches: "/MIR", knowledge: Knowledge::Incomplete, ..CASE };
    case.check("a b@20", "b x old/", "a:Lonely:Copy b:Newer:Copy");
    case.check("d/ f", "d f/", "d:Mismatched:Mismatch f:Mismatched:Mismatch d/=Avoided");
}

#[test]
fn directories_beyond_the_jobs_depth_are_kept() {
    check("/PURGE", "a", "a sub/ x", "+sub:NotIncluded +x same:1"); // P20
    check("", "a", "a sub/", "+sub same:1");
    check("/PURGE", "a !sub/", "a sub/", "same:1"); // P21
    check("/PURGE /LEV:1", "a", "a sub/ x", "+x same:1"); // P22
    check("/MIR /LEV:2", "", "sub/", "+sub");
    Case { switches: "/MIR /LEV:2", dir: "s1", ..CASE }.check("", "sub/ x", "+x");
}

#[test]
fn mounts_and_what_belongs_to_a_file_system_are_kept() {
    check("/MIR", "", "#m/ #f d/", "+d +m:Mount +f:Mount");
    check("/MIR", "m", "#m/", "m:Mismatched:Mismatch");
    check("/MIR", "", "lost+found/", "+lost+found");
    let root = Case { switches: "/MIR", file_system_root: true, ..CASE };
    root.check("", "lost+found/ x/", "+lost+found:Mount +x");
    root.check("lost+found/", "lost+found/", "lost+found:Same:Skip lost+found/=Avoided");
    root.check("lost+found/", "", "lost+found/=New");
    check("/MIR", "lost+found/", "lost+found/", "lost+found/=Existing");
}

#[test]
fn what_is_protected_is_not_exchanged_either() {
    check("/MIR /XD:obj", "obj", "obj/", "obj:Mismatched:Mismatch");
    check("/MIR /XF:obj", "obj/", "obj", "obj:Mismatched:Mismatch obj/=Avoided");
    check("/MIR /IF:*.txt", "x.log/", "x.log", "x.log:Mismatched:Mismatch x.log/=Avoided");
}

#[test]
fn a_changed_destination_is_a_conflict_and_the_policy_decides() {
    let check = |switches, expected| {
        let case = Case { switches, remembered: "a@5 b@5 s@5 x@5 y@10", ..CASE };
        case.check("a@20 b@20 s", "a@10 b@5 s x y", expected);
    };
    check("/MIR", "a:Newer:Copy* b:Newer:Copy +x* +y same:1");
    check("/MIR /CONFLICT:keep", "a:Newer:Copy* b:Newer:Copy +x*:Conflict +y same:1");
    check("/MIR /CONFLICT:skip", "a:Newer:SkipConflict* b:Newer:Copy +x*:Conflict +y same:1");
    check("/MIR /CONFLICT:fail", "a:Newer:Fail* b:Newer:Copy +x*:Conflict +y same:1");
    check("/CONFLICT:skip /XN", "a:Newer:Skip* b:Newer:Skip +x* +y same:1");
}

#[test]
fn an_unsorted_listing_is_refused_and_a_doubled_one_of_the_destination_is_not() {
    let policy = policy("/MIR");
    let rules = Rules {
        policy: &policy,
        tolerances: Tolerances::exact(Tolerance::default()),
        names: &Filter::new(&policy.selection).unwrap(),
        records: &|_| None,
    };
    let plan = |source: &[Entry]| {
        let input = DirectoryInput {
            path: &RelPath::ROOT,
            entries: source,
            knowledge: Knowledge::Complete,
            present: listed("x b x a"),
            file_system_root: false,
        };
        plan_directory(&rules, input)
    };
    let mut source = entries("a b c");
    let census = plan(&source).unwrap().census;
    assert_eq!((census.destination_files, census.destination_entries), (3, 3));
    source.swap(1, 2);
    assert_eq!(plan(&source).unwrap_err(), UnsortedListing { index: 2 });
    source[2] = source[1].clone();
    assert!(plan(&source).is_err());
}

#[test]
fn a_path_beyond_the_limits_is_left_alone() {
    let dir = vec!["d"; 256].join("/");
    Case { switches: "/MIR", dir: &dir, ..CASE }.check("a", "x old/", "a:Lonely:Copy");
}

#[test]
fn an_extra_tells_what_it_is() {
    let plan = Case { switches: "/MIR", dir: "s", ..CASE }.plan("", "x@20=7");
    let entry = plan.extras[0].entry(path("s/x"));
    assert_eq!((entry.path, entry.size_bytes, entry.is_dir), (path("s/x"), 7, false));
    assert_eq!(entry.modified, Timestamp { seconds: 20, nanos: 0 });
}

#[test]
fn without_content_nothing_is_made_or_replaced() {
    check(
        "/E /COPY:A",
        "d/ l->x lonely m n@20",
        "l->y m/ n@10",
        "l:Changed:Skip lonely:Lonely:Skip m:Mismatched:Mismatch n:Newer:Skip d/=New",
    );
    check("/PURGE /COPY:A", "m", "m/ x", "m:Mismatched:Mismatch +x");
    check("/MIR /COPY:A", "m/", "m", "m:Mismatched:Mismatch m/=Avoided");
    check("/CREATE /COPY:A", "lonely", "", "lonely:Lonely:Copy");
    check("/CONFLICT:skip /COPY:A", "n@20", "n@10", "n:Newer:Skip");
}
