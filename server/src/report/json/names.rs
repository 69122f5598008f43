//! The words that the schema has for classes, actions and reasons. They never change.

use quicopy_protocol::meta::Skip;
use quicopy_protocol::verdict::{Action, FileClass, Kept};

use crate::report::event::DirectoryClass;

pub(super) fn directory_class(class: DirectoryClass) -> &'static str {
    match class {
        DirectoryClass::New => "new",
        DirectoryClass::Existing => "existing",
        DirectoryClass::Mismatched => "mismatched",
    }
}

pub(super) fn file_class(class: FileClass) -> &'static str {
    match class {
        FileClass::Changed => "changed",
        FileClass::Lonely => "lonely",
        FileClass::Mismatched => "mismatched",
        FileClass::Modified => "modified",
        FileClass::Newer => "newer",
        FileClass::Older => "older",
        FileClass::Same => "same",
        FileClass::Tweaked => "tweaked",
    }
}

pub(super) fn action(action: Action) -> &'static str {
    match action {
        Action::Copy => "copy",
        Action::Restamp => "restamp",
        Action::Skip => "skip",
        Action::SkipConflict => "skip_conflict",
        Action::Mismatch => "mismatch",
        Action::Check => "check",
        Action::Fix => "fix",
        Action::Fail => "fail",
    }
}

pub(super) fn skip(reason: Skip) -> &'static str {
    match reason {
        Skip::Named => "named",
        Skip::Large => "large",
        Skip::Small => "small",
        Skip::Attributes => "attributes",
        Skip::Archive => "archive",
        Skip::TooOld => "too_old",
        Skip::TooNew => "too_new",
        Skip::Link => "link",
        Skip::Loop => "loop",
        Skip::TooDeep => "too_deep",
        Skip::Special => "special",
        Skip::Reserved => "reserved",
        Skip::Unreadable => "unreadable",
    }
}

pub(super) fn kept(reason: Kept) -> &'static str {
    match reason {
        Kept::Named => "named",
        Kept::HoldsKept => "holds_kept",
        Kept::NotIncluded => "not_included",
        Kept::Mount => "mount",
        Kept::Conflict => "conflict",
        Kept::Unreadable => "unreadable",
    }
}
