//! One entry that only the destination has, and whether it may go.

use quicopy_protocol::meta::Kind;
use quicopy_protocol::options::ConflictPolicy;
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::{ExtraEntry, Kept};

use super::protect::{Place, Protection};
use super::{Rules, deletes};
use crate::compare::Listed;
use crate::index;

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
    /// Looks at an entry of `dir`; `None` when the report does not speak of it, and it stays.
    pub(crate) fn judge(
        rules: &Rules<'_>,
        dir: &RelPath,
        listed: Listed,
        place: Place,
    ) -> Option<Self> {
        let policy = rules.policy;
        let protected = match Protection::of(rules, dir, &listed, place) {
            Protection::Private => return None,
            Protection::Kept(Kept::NotIncluded) if !policy.report_all_extras => return None,
            Protection::Kept(kept) => Some(kept),
            Protection::Open => None,
        };
        let record = (rules.records)(&dir.join(&listed.name).ok()?);
        let conflict = record.is_some_and(|record| index::is_conflict(&record, &listed.present));
        let is_spared = conflict && deletes(policy) && policy.conflict != ConflictPolicy::Overwrite;
        let kept = protected.or(is_spared.then_some(Kept::Conflict));
        Some(Self { listed, kept, conflict })
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
