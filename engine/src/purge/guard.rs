//! Guards: pure questions whose answer may be that nothing is deleted, or that the job does not begin.

use std::ops::AddAssign;

use quicopy_protocol::meta::Entry;
use quicopy_protocol::options::{DeleteLimit, JobPolicy};
use quicopy_protocol::path::Name;

use crate::plan::{deletes, is_users};

/// A default guard never speaks up about so few entries: people delete twenty files without thinking of it as a disaster.
const UNGUARDED_MAX: u64 = 20;

/// How much the destination holds below the job's root, and how much of that is to be deleted.
///
/// Files are all entries but directories. What stays (excluded, mounted, in conflict) is not counted as extra.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Census {
    /// Files to be deleted, less those whose content this job reused for a new entry: a rename is not a loss.
    pub extra_files: u64,
    /// Entries to be deleted.
    pub extra_entries: u64,
    /// Files seen at the destination, those to be deleted included.
    pub destination_files: u64,
    /// Entries seen at the destination, those to be deleted included.
    pub destination_entries: u64,
}

impl AddAssign for Census {
    fn add_assign(&mut self, other: Self) {
        self.extra_files += other.extra_files;
        self.extra_entries += other.extra_entries;
        self.destination_files += other.destination_files;
        self.destination_entries += other.destination_entries;
    }
}

/// What the limit holds for that jobs have without asking.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DefaultLimit {
    /// No such limit: a person sits before an embedded agent.
    Off,
    /// A breach is only said: the trash can hold all that goes.
    Warn,
    /// A breach stops all deletions.
    Refuse,
}

/// The destination's own rules about deletions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GuardRules {
    /// The limit without `/MAXDELETE`: more than 20 and more than half of the files.
    pub default_limit: DefaultLimit,
    /// What the share allows, whatever the sender asks for.
    pub share_max: Option<DeleteLimit>,
}

/// What a guard says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ruling {
    /// Go on.
    Pass,
    /// Go on, and say this.
    Warn(String),
    /// Do nothing of that kind, say this, and count the job as failed in part.
    Refuse(String),
}

/// Whether the deletions of a job may begin; they are carried out all or not at all.
///
/// An explicit `/MAXDELETE` replaces the default limit and is exact: N entries may go, N + 1 may not. `/FORCE` passes
/// neither, so that a habit of writing it does not switch off everything.
pub fn guard(census: &Census, max_delete: Option<DeleteLimit>, rules: &GuardRules) -> Ruling {
    if let Some(limit) = rules.share_max.filter(|limit| exceeds(census, *limit)) {
        return Ruling::Refuse(format!(
            "share limit: {}; nothing extra was deleted; only the share's configuration can raise this limit",
            breach(census, limit)
        ));
    }
    if let Some(limit) = max_delete {
        if !exceeds(census, limit) {
            return Ruling::Pass;
        }
        return Ruling::Refuse(format!(
            "/MAXDELETE: {}; nothing extra was deleted; check the source, then pass /MAXDELETE:{}",
            breach(census, limit),
            census.extra_entries
        ));
    }
    if !is_most(census.extra_files, census.destination_files) {
        return Ruling::Pass;
    }
    let counts = format!(
        "D5: {} of {} files below the destination would be deleted (limit: more than {UNGUARDED_MAX} and more than half)",
        census.extra_files, census.destination_files
    );
    match rules.default_limit {
        DefaultLimit::Off => Ruling::Pass,
        DefaultLimit::Warn => Ruling::Warn(format!("{counts}; they go to the trash")),
        DefaultLimit::Refuse => Ruling::Refuse(format!(
            "{counts}; nothing extra was deleted; check the source, then pass /MAXDELETE:{}",
            census.extra_entries
        )),
    }
}

fn exceeds(census: &Census, limit: DeleteLimit) -> bool {
    match limit {
        DeleteLimit::Count(count) => census.extra_entries > count,
        DeleteLimit::Percent(percent) => {
            u128::from(census.extra_entries) * 100
                > u128::from(census.destination_entries) * u128::from(percent)
        }
    }
}

fn breach(census: &Census, limit: DeleteLimit) -> String {
    let Census { extra_entries, destination_entries, .. } = census;
    let limit = match limit {
        DeleteLimit::Count(count) => format!("{count}"),
        DeleteLimit::Percent(percent) => format!("{percent}%"),
    };
    format!(
        "{extra_entries} of {destination_entries} entries below the destination would be deleted (limit: {limit})"
    )
}

fn is_most(part: u64, whole: u64) -> bool {
    part > UNGUARDED_MAX && u128::from(part) * 2 > u128::from(whole)
}

/// What a job is about to write over.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Overwrites {
    /// Files whose version at the destination is the newer one.
    pub older: u64,
    /// All files that would be overwritten, those included.
    pub all: u64,
}

/// Whether overwrites of newer files may begin, which most of the time mean that source and destination were swapped.
///
/// `limit` is what the destination makes of a breach; `force` (`/FORCE`) passes.
pub fn wrong_way_round(overwrites: Overwrites, force: bool, limit: DefaultLimit) -> Ruling {
    let Overwrites { older, all } = overwrites;
    if force || !is_most(older, all) {
        return Ruling::Pass;
    }
    let counts = format!(
        "D8: {older} of {all} files to overwrite are newer at the destination (limit: more than {UNGUARDED_MAX} and more than half)"
    );
    match limit {
        DefaultLimit::Off => Ruling::Pass,
        DefaultLimit::Warn => {
            Ruling::Warn(format!("{counts}; are source and destination the right way round?"))
        }
        DefaultLimit::Refuse => Ruling::Refuse(format!(
            "{counts}; none of them was overwritten; check which side is the source, then pass /FORCE"
        )),
    }
}

/// Refuses a mirror whose source is empty while its destination is not: a disk that is not mounted looks like that.
///
/// Takes both root listings; returns the refusal's text. What a file system makes by itself (`lost+found`) and what
/// belongs to the agent does not count: a disk just formatted is as empty as a missing one.
pub fn empty_source(
    source: &[Entry],
    destination_is_empty: bool,
    policy: &JobPolicy,
) -> Option<String> {
    let is_refused = deletes(policy)
        && !policy.force
        && !destination_is_empty
        && !source.iter().any(|entry| is_users(&entry.name));
    is_refused.then(|| {
        "D2: the source is empty and the destination is not; nothing was changed; check that the source is mounted, \
         or pass /FORCE to delete everything at the destination"
            .to_owned()
    })
}

/// Says that nothing is deleted, since a marker is missing from the root of the source: another disk may be mounted there.
///
/// A marker that the job leaves out by name is there all the same.
pub fn missing_marker<'a>(
    mut markers: impl Iterator<Item = &'a Name>,
    source: &[Entry],
) -> Option<String> {
    let missing = markers.find(|marker| !source.iter().any(|entry| entry.name == **marker))?;
    Some(format!(
        "D3: the source has no {missing}, by which it is known; nothing was deleted; check that the right disk is mounted there"
    ))
}

/// A directory as a file system numbers it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FileId {
    /// Number of the file system.
    pub device: u64,
    /// Number of the directory in it.
    pub inode: u64,
}

/// Whether two trees are the same or one lies inside the other.
///
/// Each chain begins with the tree's root and goes up to the file system's root, both on one machine. A path that the
/// other side reaches through a bind mount has the same numbers.
pub fn overlaps(source: &[FileId], destination: &[FileId]) -> bool {
    let holds =
        |chain: &[FileId], other: &[FileId]| other.first().is_some_and(|root| chain.contains(root));
    holds(source, destination) || holds(destination, source)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::plan::sample::{entries, policy};

    const REFUSE: GuardRules = GuardRules { default_limit: DefaultLimit::Refuse, share_max: None };
    const WARN: GuardRules = GuardRules { default_limit: DefaultLimit::Warn, share_max: None };
    const OFF: GuardRules = GuardRules { default_limit: DefaultLimit::Off, share_max: None };

    /// `files` and `entries`: how many of how many would go. The answer begins with `expected`; empty is a pass.
    fn check(
        files: (u64, u64),
        entries: (u64, u64),
        max_delete: Option<DeleteLimit>,
        rules: GuardRules,
        expected: &str,
    ) {
        let census = Census {
            extra_files: files.0,
            extra_entries: entries.0,
            destination_files: files.1,
            destination_entries: entries.1,
        };
        let said = match guard(&census, max_delete, &rules) {
            Ruling::Pass => String::new(),
            Ruling::Warn(text) => format!("warning: {text}"),
            Ruling::Refuse(text) => text,
        };
        let holds = if expected.is_empty() { said.is_empty() } else { said.starts_with(expected) };
        assert!(holds, "{files:?} {entries:?} {max_delete:?}: {said:?}");
    }

    fn check_files(extra: u64, of: u64, expected: &str) {
        check((extra, of), (extra, of), None, REFUSE, expected);
    }

    #[test]
    fn the_default_limit_is_more_than_twenty_and_more_than_half() {
        check_files(51, 100, "D5"); // MIR-07
        check_files(50, 100, "");
        check_files(49, 100, "");
        check_files(20, 30, "");
        check_files(21, 30, "D5");
        check_files(20, 20, "");
        check_files(21, 21, "D5");
        check_files(21, 42, "");
        check_files(21, 41, "D5");
        check_files(0, 0, "");
        check_files(u64::MAX, u64::MAX, "D5");
        check((5, 100), (500, 600), None, REFUSE, "");
    }

    #[test]
    fn the_default_limit_warns_or_is_silent_where_the_destination_says_so() {
        check((60, 100), (60, 100), None, WARN, "warning: D5: 60 of 100 files");
        check((60, 100), (60, 100), None, OFF, "");
    }

    #[test]
    fn a_given_limit_is_exact_and_replaces_the_default() {
        let count = |count| Some(DeleteLimit::Count(count));
        check((60, 100), (60, 100), count(60), REFUSE, "");
        check((60, 100), (61, 100), count(60), REFUSE, "/MAXDELETE: 61 of 100 entries");
        check((1, 100), (1, 100), count(0), OFF, "/MAXDELETE");
        check((0, 100), (0, 100), count(0), REFUSE, "");
    }

    #[test]
    fn a_limit_in_percent_counts_the_entries_of_the_destination() {
        let percent = |percent| Some(DeleteLimit::Percent(percent));
        check((50, 100), (50, 100), percent(50), REFUSE, "");
        check(
            (51, 100),
            (51, 100),
            percent(50),
            REFUSE,
            "/MAXDELETE: 51 of 100 entries below the destination would be deleted (limit: 50%)",
        );
        check((100, 100), (100, 100), percent(100), REFUSE, "");
        check((1, 100), (1, 100), percent(0), REFUSE, "/MAXDELETE");
        check((1, 3), (1, 3), percent(33), REFUSE, "/MAXDELETE");
        check((0, 0), (u64::MAX, u64::MAX), percent(99), REFUSE, "/MAXDELETE");
    }

    #[test]
    fn what_the_share_allows_holds_whatever_the_sender_asks_for() {
        let share = GuardRules { share_max: Some(DeleteLimit::Count(10)), ..OFF };
        let asked = Some(DeleteLimit::Count(1000));
        check((10, 100), (10, 100), asked, share, "");
        check((11, 100), (11, 100), asked, share, "share limit: 11 of 100 entries");
        check((6, 100), (6, 100), Some(DeleteLimit::Count(5)), share, "/MAXDELETE");
    }

    #[test]
    fn a_refusal_says_the_counts_and_what_to_do() {
        let census = Census {
            extra_files: 60,
            extra_entries: 62,
            destination_files: 100,
            destination_entries: 110,
        };
        let Ruling::Refuse(text) = guard(&census, None, &REFUSE) else { unreachable!() };
        assert_eq!(
            text,
            "D5: 60 of 100 files below the destination would be deleted (limit: more than 20 and more than half); \
             nothing extra was deleted; check the source, then pass /MAXDELETE:62"
        );
    }

    #[test]
    fn writing_over_mostly_newer_files_is_held_back() {
        let check = |older, all, force, limit, expected: &str| {
            let said = match wrong_way_round(Overwrites { older, all }, force, limit) {
                Ruling::Pass => "pass",
                Ruling::Warn(_) => "warn",
                Ruling::Refuse(_) => "refuse",
            };
            assert_eq!(said, expected, "{older} of {all}");
        };
        check(20, 20, false, DefaultLimit::Refuse, "pass");
        check(21, 21, false, DefaultLimit::Refuse, "refuse");
        check(21, 42, false, DefaultLimit::Refuse, "pass");
        check(22, 42, false, DefaultLimit::Refuse, "refuse");
        check(22, 42, true, DefaultLimit::Refuse, "pass");
        check(22, 42, false, DefaultLimit::Warn, "warn");
        check(22, 42, false, DefaultLimit::Off, "pass");
    }

    #[test]
    fn a_mirror_of_an_empty_source_is_refused() {
        let check = |switches, source, destination_is_empty, is_refused| {
            let text = empty_source(&entries(source), destination_is_empty, &policy(switches));
            assert_eq!(text.is_some(), is_refused, "{switches} {source:?}");
        };
        check("/MIR", "", false, true); // P27, MIR-01
        check("/PURGE", "", false, true);
        check("/MIR", "", true, false);
        check("/MIR /FORCE", "", false, false);
        check("/MIR /XX", "", false, false);
        check("/E", "", false, false);
        check("/MIR", "a", false, false);
        check("/MIR", "!skipped.log", false, false);
        check("/MIR", "lost+found/ .quicopy/", false, true);
    }

    #[test]
    fn without_its_marker_a_source_is_not_the_one_it_was() {
        let check = |markers: &[&str], source, missing: Option<&str>| {
            let markers: Vec<_> =
                markers.iter().map(|name| Name::new(name.as_bytes()).unwrap()).collect();
            let text = missing_marker(markers.iter(), &entries(source));
            assert_eq!(text.is_some(), missing.is_some(), "{source}");
            assert!(text.unwrap_or_default().contains(missing.unwrap_or_default()), "{source}");
        };
        check(&[], "", None);
        check(&["here"], "a here", None);
        check(&["here"], "a here/", None);
        check(&["here"], "!here", None);
        check(&["here"], "a Here", Some("no here"));
        check(&["here", "too"], "here", Some("no too"));
    }

    #[test]
    fn trees_overlap_when_one_root_lies_on_the_way_up_from_the_other() {
        let chain = |text: &str| -> Vec<_> {
            text.bytes().map(|byte| FileId { device: 1, inode: byte.into() }).collect()
        };
        let check = |source, destination, expected| {
            assert_eq!(overlaps(&chain(source), &chain(destination)), expected);
            assert_eq!(overlaps(&chain(destination), &chain(source)), expected);
        };
        check("sx/", "dx/", false);
        check("sx/", "sx/", true);
        check("sx/", "dsx/", true);
        check("s/", "dcs/", true);
        check("s/", "/", true);
        check("", "d/", false);
        let there = [FileId { device: 2, inode: 7 }];
        assert!(!overlaps(&there, &[FileId { device: 1, inode: 7 }]));
    }
}
