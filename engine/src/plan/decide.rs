//! From a class to an action: Robocopy's class table.

use quicopy_protocol::meta::Kind;
use quicopy_protocol::options::{ConflictPolicy, CopyMode, JobPolicy, Recurse};
use quicopy_protocol::verdict::{Action, DirState, FileClass};

/// Whether the job deletes what only the destination has: `/PURGE`, which `/XX` cancels.
pub fn deletes(policy: &JobPolicy) -> bool {
    policy.purge && !policy.classes.exclude_extra
}

/// Decides what is done about an entry of the source, given how the sides differ.
///
/// `conflict` says that the destination's entry was changed since the last job wrote it; it matters only where something
/// would be overwritten. For a directory, [`Action::Copy`] means that it is made (or deferred), and [`Action::Skip`]
/// under [`FileClass::Same`] that it stands already.
///
/// A mismatched entry is exchanged under [`deletes`], and only if the job puts something in its place: with `/XL`, or for a
/// file under `/NOCOPY`, it stays, since taking it away alone would lose it for nothing. `/CREATE` makes only what is not
/// there: an empty file never replaces content, a directory's included.
///
/// Source: Robocopy's class table (XP010) and the help texts of its switches.
pub fn decide(class: FileClass, kind: &Kind, policy: &JobPolicy, conflict: bool) -> Action {
    let action = match kind {
        Kind::Special => Action::Skip,
        Kind::Directory => by_class(class, policy),
        Kind::File | Kind::Link { .. } | Kind::HardLink { .. } => match (policy.mode, class) {
            (CopyMode::Copy, _) | (CopyMode::CreateEmpty, FileClass::Lonely) => {
                by_class(class, policy)
            }
            (CopyMode::CreateEmpty | CopyMode::Nothing, FileClass::Mismatched) => Action::Mismatch,
            (CopyMode::CreateEmpty | CopyMode::Nothing, _) => Action::Skip,
        },
    };
    match action {
        Action::Copy | Action::Restamp if conflict => by_conflict(action, policy.conflict),
        Action::Copy
        | Action::Restamp
        | Action::Skip
        | Action::SkipConflict
        | Action::Mismatch
        | Action::Check
        | Action::Fix
        | Action::Fail => action,
    }
}

/// What a directory of the source is at the destination or is to become, by what [`decide`] said of it.
pub(super) fn directory_state(class: FileClass, action: Action, recurse: Recurse) -> DirState {
    match (action, recurse) {
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

fn by_class(class: FileClass, policy: &JobPolicy) -> Action {
    let classes = &policy.classes;
    let copy_unless = |excluded| if excluded { Action::Skip } else { Action::Copy };
    match class {
        FileClass::Lonely => copy_unless(classes.exclude_lonely),
        FileClass::Newer => copy_unless(classes.exclude_newer),
        FileClass::Older => copy_unless(classes.exclude_older),
        FileClass::Changed => copy_unless(classes.exclude_changed),
        FileClass::Same => copy_unless(!classes.include_same),
        FileClass::Tweaked if classes.include_tweaked => Action::Restamp,
        FileClass::Tweaked | FileClass::Modified => Action::Skip,
        FileClass::Mismatched if deletes(policy) && !classes.exclude_lonely => Action::Copy,
        FileClass::Mismatched => Action::Mismatch,
    }
}

fn by_conflict(action: Action, policy: ConflictPolicy) -> Action {
    match policy {
        ConflictPolicy::Overwrite | ConflictPolicy::Keep => action,
        ConflictPolicy::Skip => Action::SkipConflict,
        ConflictPolicy::Fail => Action::Fail,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::policy;
    use super::*;

    const CLASSES: [FileClass; 7] = [
        FileClass::Lonely,
        FileClass::Newer,
        FileClass::Older,
        FileClass::Changed,
        FileClass::Tweaked,
        FileClass::Same,
        FileClass::Mismatched,
    ];

    /// One letter for the action on each of [`CLASSES`]: Copy, Restamp, skip (.), Mismatch, left as conflict (!), Fail.
    fn row(kind: &Kind, switches: &str, conflict: bool) -> String {
        let letter = |class| match decide(class, kind, &policy(switches), conflict) {
            Action::Copy => 'C',
            Action::Restamp => 'R',
            Action::Skip => '.',
            Action::SkipConflict => '!',
            Action::Mismatch => 'M',
            Action::Check => 'K',
            Action::Fix => 'X',
            Action::Fail => 'F',
        };
        CLASSES.map(letter).iter().collect()
    }

    fn check(switches: &str, row_of_files: &str) {
        let link = Kind::Link { target: (*b"x").into() };
        assert_eq!(row(&Kind::File, switches, false), row_of_files, "file {switches}");
        assert_eq!(row(&link, switches, false), row_of_files, "link {switches}");
    }

    #[test]
    fn files_and_links_follow_the_class_table() {
        // Lonely, Newer, Older, Changed, Tweaked, Same, Mismatched
        check("", "CCCC..M"); // C01 to C05, C10, C12, C19
        check("/XO", "CC.C..M"); // C06
        check("/XN", "C.CC..M"); // C07
        check("/XC", "CCC...M"); // C08
        check("/IS", "CCCC.CM"); // C09
        check("/IT", "CCCCR.M"); // C11
        check("/IS /IT", "CCCCRCM");
        check("/XL", ".CCC..M"); // C14
        check("/XO /XN /XC", "C.....M"); // C16
        check("/XX", "CCCC..M");
        check("/PURGE", "CCCC..C"); // C22
        check("/PURGE /XX", "CCCC..M");
        check("/PURGE /XL", ".CCC..M");
        check("/CREATE", "C.....M"); // M06
        check("/CREATE /XL", "......M");
        check("/CREATE /IS /IT", "C.....M");
        check("/CREATE /PURGE", "C.....M");
        check("/NOCOPY", "......M"); // P23
        check("/NOCOPY /IS /IT /PURGE", "......M");
    }

    #[test]
    fn directories_are_made_whatever_the_job_does_with_files() {
        let check = |switches: &str, lonely, mismatched| {
            let found = row(&Kind::Directory, switches, false);
            assert_eq!((&found[..1], &found[6..]), (lonely, mismatched), "{switches}");
        };
        check("", "C", "M"); // C21
        check("/XL", ".", "M"); // C15
        check("/PURGE", "C", "C");
        check("/PURGE /XX", "C", "M");
        check("/CREATE", "C", "M");
        check("/NOCOPY", "C", "M"); // P24
        check("/NOCOPY /PURGE", "C", "C");
        assert_eq!(decide(FileClass::Same, &Kind::Directory, &policy(""), false), Action::Skip);
    }

    #[test]
    fn a_special_file_is_never_acted_on() {
        assert_eq!(row(&Kind::Special, "/IS /IT /PURGE", false), ".......");
    }

    #[test]
    fn a_conflict_matters_only_where_something_would_be_overwritten() {
        let check = |switches: &str, expected: &str| {
            // A lonely entry has nothing at the destination to be in conflict.
            assert_eq!(&row(&Kind::File, switches, true)[1..], expected, "{switches}");
        };
        check("", "CCC..M");
        check("/CONFLICT:keep", "CCC..M");
        check("/CONFLICT:skip", "!!!..M");
        check("/CONFLICT:fail", "FFF..M");
        check("/CONFLICT:skip /XO /IS /IT /PURGE", "!.!!!!");
        check("/CONFLICT:fail /XO /IS /IT /PURGE", "F.FFFF");
        check("/CONFLICT:fail /NOCOPY", ".....M");
    }
}
