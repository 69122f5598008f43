//! The whole decision about one directory.

use quicopy_protocol::meta::{Entry, Kind, Skip};
use quicopy_protocol::options::Recurse;
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::{Action, DirState, FileClass, Kept, Tally, Verdict};

use super::protect::{Place, Protection};
use super::{Extra, Rules, decide, deletes};
use crate::compare::{Listed, NameKey, Pair, Present, classify, merge};
use crate::index;
use crate::purge::Census;

/// Whether what is missing from a listing is known to be missing at the source.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Knowledge {
    /// The directory and all above it were read to their ends without an error.
    Complete,
    /// This directory or one above it was not: nothing here is extra.
    Incomplete,
}

/// One directory as both sides listed it.
pub struct DirectoryInput<'a> {
    /// Its path below the job's root.
    pub path: &'a RelPath,
    /// The source's listing over all its parts, in strictly ascending order of name.
    pub entries: &'a [Entry],
    /// Whether that listing is complete.
    pub knowledge: Knowledge,
    /// The destination's listing in any order; empty when the directory is not there yet.
    pub present: Vec<Listed>,
    /// Whether the destination's directory is the root of a file system; when that is not known, `true` is the safe answer.
    pub file_system_root: bool,
}

/// What is to be done in one directory, and what is to be told about it.
#[derive(Debug, Default)]
pub struct DirectoryPlan {
    /// Decisions in ascending order of index, about all that is not simply the same; about the same files too if the job
    /// reports them. Directories only when mismatched, or left out by class or conflict.
    pub decisions: Vec<Decision>,
    /// Files and links of class Same that `decisions` does not name.
    pub same: Tally,
    /// Every directory of the source that its sender did not skip, in ascending order of index.
    pub directories: Vec<Subdirectory>,
    /// What only the destination has and what is to be told about it: directories first, then the others, each by name.
    pub extras: Vec<Extra>,
    /// How much the destination's listing holds; nothing is counted as extra yet.
    pub census: Census,
}

/// The decision about one entry, and what it meets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decision {
    /// What is told to the sender.
    pub verdict: Verdict,
    /// What stands at the destination, to be checked again before it is replaced. A directory that a file or link
    /// replaces goes with its tree: ask [`purge::survey`](crate::purge::survey) whether all of it may go.
    pub present: Option<Present>,
}

/// A directory of the source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subdirectory {
    /// Index in the listing.
    pub index: u32,
    /// What it is, or is to become: [`DirState::New`] and [`DirState::Deferred`] are still to be made.
    pub state: DirState,
    /// What stands under its name: the directory itself, or with [`DirState::New`] and [`DirState::Deferred`] what must give way.
    pub present: Option<Present>,
}

/// A sender's listing whose names do not ascend. Comparing it would take names that it holds for extra.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the listing's names are not in ascending order at entry {index}")]
pub struct UnsortedListing {
    /// The first entry that is out of order.
    pub index: usize,
}

/// Plans one directory: classes, actions, directories to enter, and what is extra.
///
/// What the sender skipped is neither copied nor extra. Only a complete listing makes anything extra. `/XX` leaves extras
/// out altogether. A file that no pattern includes is named only with `/X`; a directory that only the destination has is
/// extra whatever the patterns are. On the last level of `/LEV` such directories are not looked at; in a job without
/// `/S` and `/E` they are named but stay (as [`Kept::NotIncluded`]): Robocopy's own behaviour is not documented there, and
/// keeping loses nothing.
///
/// # Errors
/// The source's names do not strictly ascend.
pub fn plan_directory(
    rules: &Rules<'_>,
    input: DirectoryInput<'_>,
) -> Result<DirectoryPlan, UnsortedListing> {
    check_order(input.entries)?;
    let DirectoryInput { path, entries, knowledge, mut present, file_system_root } = input;
    let planner = Planner { rules, path, knowledge, file_system_root };
    // Some file systems list a name twice when the directory changes meanwhile.
    present.retain(|listed| !listed.name.is_reserved());
    present.sort_by(|a, b| NameKey::of(&a.name).cmp(&NameKey::of(&b.name)));
    present.dedup_by(|a, b| NameKey::of(&a.name) == NameKey::of(&b.name));

    let mut plan = DirectoryPlan::default();
    for listed in &present {
        plan.census.destination_entries += 1;
        plan.census.destination_files += u64::from(!listed.present.is_dir());
    }
    let mut index = 0;
    for pair in merge(entries, present) {
        match pair {
            Pair::Source(entry) => planner.entry(&mut plan, index, entry, None),
            Pair::Both(entry, listed) => planner.entry(&mut plan, index, entry, Some(listed)),
            Pair::Destination(listed) => {
                plan.extras.extend(planner.extra(listed));
                continue;
            }
        }
        index += 1;
    }
    plan.extras.sort_by_key(|extra| !extra.listed.present.is_dir());
    Ok(plan)
}

fn check_order(entries: &[Entry]) -> Result<(), UnsortedListing> {
    let out_of_order = entries
        .windows(2)
        .position(|pair| NameKey::of(&pair[0].name) >= NameKey::of(&pair[1].name));
    match out_of_order {
        Some(index) => Err(UnsortedListing { index: index + 1 }),
        None => Ok(()),
    }
}

/// Plans single names of one directory.
struct Planner<'a> {
    rules: &'a Rules<'a>,
    path: &'a RelPath,
    knowledge: Knowledge,
    file_system_root: bool,
}

impl Planner<'_> {
    fn entry(&self, plan: &mut DirectoryPlan, index: u32, entry: &Entry, there: Option<Listed>) {
        if is_skipped(entry) {
            return;
        }
        let Rules { policy, tolerances, .. } = self.rules;
        let class =
            classify(entry, there.as_ref().map(|listed| &listed.present), tolerances, policy.copy);
        let conflict = class != FileClass::Same
            && there.as_ref().is_some_and(|listed| self.is_conflict(listed));
        let mut action = decide(class, &entry.kind, policy, conflict);
        let is_exchange = class == FileClass::Mismatched && action == Action::Copy;
        if is_exchange && there.as_ref().is_some_and(|listed| self.is_protected(listed)) {
            action = Action::Mismatch;
        }

        let present = there.map(|listed| listed.present);
        let verdict = Verdict { index, class, action, conflict };
        if entry.kind == Kind::Directory {
            let state = self.state(class, action);
            let is_told = class == FileClass::Mismatched || state == DirState::Avoided;
            plan.directories.push(Subdirectory { index, state, present: present.clone() });
            if is_told {
                plan.decisions.push(Decision { verdict, present });
            }
        } else if class == FileClass::Same && action == Action::Skip && !policy.report_same {
            plan.same.entries += 1;
            plan.same.bytes = plan.same.bytes.saturating_add(entry.meta.size_bytes);
        } else {
            plan.decisions.push(Decision { verdict, present });
        }
    }

    fn state(&self, class: FileClass, action: Action) -> DirState {
        match (action, self.rules.policy.selection.recurse) {
            (_, Recurse::RootOnly) => DirState::Avoided,
            _ if class == FileClass::Same => DirState::Existing,
            (Action::Copy, Recurse::All) => DirState::New,
            (Action::Copy, Recurse::NonEmpty) => DirState::Deferred,
            (
                Action::Restamp
                | Action::Skip
                | Action::SkipConflict
                | Action::Mismatch
                | Action::Check
                | Action::Fix
                | Action::Fail,
                _,
            ) => DirState::Avoided,
        }
    }

    fn extra(&self, listed: Listed) -> Option<Extra> {
        let policy = self.rules.policy;
        if self.knowledge == Knowledge::Incomplete || policy.classes.exclude_extra {
            return None;
        }
        if listed.present.is_dir() && self.is_last_level() {
            return None;
        }
        let mut extra = Extra::judge(self.rules, self.path, listed, self.place())?;
        let is_beyond =
            extra.listed.present.is_dir() && policy.selection.recurse == Recurse::RootOnly;
        if is_beyond && extra.kept.is_none() && deletes(policy) {
            extra.kept = Some(Kept::NotIncluded);
        }
        Some(extra)
    }

    fn place(&self) -> Place {
        match self.file_system_root {
            true => Place::FileSystemRoot,
            false => Place::Walked,
        }
    }

    // The root is level 1.
    fn is_last_level(&self) -> bool {
        let level = self.path.depth() + 1;
        let levels = self.rules.policy.selection.levels;
        levels.is_some_and(|levels| level >= usize::try_from(levels).unwrap_or(usize::MAX))
    }

    fn is_protected(&self, listed: &Listed) -> bool {
        Protection::of(self.rules, self.path, listed, self.place()) != Protection::Open
    }

    fn is_conflict(&self, listed: &Listed) -> bool {
        let Ok(path) = self.path.join(&listed.name) else { return false };
        let record = (self.rules.records)(&path);
        record.is_some_and(|record| index::is_conflict(&record, &listed.present))
    }
}

/// Whether an entry of the source takes no part. What can never be copied is skipped even if its sender did not say so.
fn is_skipped(entry: &Entry) -> bool {
    match entry.skip {
        Some(
            Skip::Named
            | Skip::Large
            | Skip::Small
            | Skip::Attributes
            | Skip::Archive
            | Skip::TooOld
            | Skip::TooNew
            | Skip::Link
            | Skip::Loop
            | Skip::TooDeep
            | Skip::Special
            | Skip::Reserved
            | Skip::Unreadable,
        ) => true,
        None => entry.kind == Kind::Special || entry.name.is_reserved(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use quicopy_protocol::meta::Timestamp;
    use quicopy_protocol::options::Tolerance;

    use super::super::sample::{entries, listed, path, policy};
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
}
