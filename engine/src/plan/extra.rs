//! One entry that only the destination has, and whether it may go.

use quicopy_protocol::meta::Kind;
use quicopy_protocol::options::{ConflictPolicy, Recurse, Selection};
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::{ExtraEntry, Kept};

use super::protect::{Protection, Site};
use super::{Rules, deletes};
use crate::compare::Listed;

/// One entry that only the destination has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Extra {
    /// Its name, and what stands there.
    pub listed: Listed,
    /// Why it stays whatever the job does.
    pub kept: Option<Kept>,
    /// Whether it was changed since the last job wrote it.
    pub conflict: bool,
}

impl Extra {
    /// Looks at an entry of `site`; `None` when the report does not speak of it, and it stays.
    pub(crate) fn judge(rules: &Rules<'_>, site: Site<'_>, listed: Listed) -> Option<Self> {
        let policy = rules.policy;
        let protected = match Protection::of(rules, site, &listed) {
            Protection::Private => return None,
            Protection::Kept(Kept::NotIncluded) if !policy.report_all_extras => return None,
            Protection::Kept(kept) => Some(kept),
            Protection::Open => None,
        };
        // What has no valid path cannot be named to anybody.
        site.path.join(&listed.name).ok()?;
        let conflict = rules.is_conflict(site.path, &listed);
        let is_spared = conflict && deletes(policy) && policy.conflict != ConflictPolicy::Overwrite;
        let kept = protected.or(is_spared.then_some(Kept::Conflict));
        Some(Self { listed, kept, conflict })
    }

    /// Looks at an entry of a directory that both sides have, and the source without it: there the job's own reach counts too.
    pub(super) fn beside(rules: &Rules<'_>, site: Site<'_>, listed: Listed) -> Option<Self> {
        let policy = rules.policy;
        let is_dir = listed.present.is_dir();
        if policy.classes.exclude_extra || is_dir && is_last_level(&policy.selection, site.path) {
            return None;
        }
        let mut extra = Self::judge(rules, site, listed)?;
        let is_beyond = is_dir && policy.selection.recurse == Recurse::RootOnly;
        if is_beyond && extra.kept.is_none() && deletes(policy) {
            extra.kept = Some(Kept::NotIncluded);
        }
        Some(extra)
    }

    /// How it is told to the sender; `path` is its own.
    pub fn entry(&self, path: RelPath) -> ExtraEntry {
        let present = &self.listed.present;
        ExtraEntry {
            path,
            is_dir: present.is_dir(),
            size_bytes: if present.kind == Kind::File { present.size_bytes } else { 0 },
            modified: present.modified,
            kept: self.kept,
            conflict: self.conflict,
        }
    }
}

/// Whether the job enters no directory below `dir`. The root is level 1.
fn is_last_level(selection: &Selection, dir: &RelPath) -> bool {
    let level = dir.depth() + 1;
    selection.levels.is_some_and(|levels| level >= usize::try_from(levels).unwrap_or(usize::MAX))
}
