//! One entry of the source against what stands under its name.

use quicopy_protocol::meta::{Entry, Kind, Skip};
use quicopy_protocol::options::CopyMode;
use quicopy_protocol::verdict::{Action, FileClass};

use super::Knowledge;
use super::protect::{Protection, Site};
use super::stays::{instead_of_restamp, instead_of_skip};
use super::{Rules, decide};
use crate::compare::{Listed, classify};

/// How an entry of the source stands at the destination, and what is done about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Judgement {
    /// How the two sides differ.
    pub(super) class: FileClass,
    /// What is done about it.
    pub(super) action: Action,
    /// Whether what stands at the destination was changed since the last job wrote it.
    pub(super) conflict: bool,
}

impl Judgement {
    /// Judges an entry of the source against what stands under its name in `site`; `None` if the entry takes no part.
    ///
    /// What is protected at the destination gives way to nothing of another kind, nor does anything where the source is not
    /// known in full.
    pub(super) fn of(
        rules: &Rules<'_>,
        site: Site<'_>,
        knowledge: Knowledge,
        entry: &Entry,
        there: Option<&Listed>,
    ) -> Option<Self> {
        if is_skipped(entry) {
            return None;
        }
        let Rules { policy, tolerances, .. } = rules;
        let present = there.map(|listed| &listed.present);
        let class = classify(entry, present, tolerances, policy.copy);
        let conflict = class != FileClass::Same
            && there.is_some_and(|listed| rules.is_conflict(site.path, listed));
        let mut action = decide(class, &entry.kind, policy, conflict);
        let is_exchange = class == FileClass::Mismatched && action == Action::Copy;
        let is_protected =
            |listed: &Listed| Protection::of(rules, site, listed) != Protection::Open;
        let stays = knowledge == Knowledge::Incomplete || there.is_some_and(is_protected);
        if is_exchange && stays {
            action = Action::Mismatch;
        }
        // A directory is made nevertheless, as it is under /NOCOPY.
        let has_content = entry.kind != Kind::Directory || class == FileClass::Mismatched;
        if !policy.copy.data && policy.mode == CopyMode::Copy && has_content {
            action = without_content(class, action);
        }
        action = match (action, present) {
            (Action::Skip, Some(present)) => {
                instead_of_skip(policy, tolerances, class, entry, present)
            }
            (Action::Restamp, _) => instead_of_restamp(policy.content_check, &entry.kind),
            _ => action,
        };
        Some(Self { class, action, conflict })
    }
}

/// What is done about an entry of which no content may travel (`/COPY` without D): nothing is made of it, or gives way to it.
fn without_content(class: FileClass, action: Action) -> Action {
    match (class, action) {
        (FileClass::Mismatched, Action::Copy) => Action::Mismatch,
        (_, Action::Copy | Action::Restamp) => Action::Skip,
        (_, action) => action,
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
