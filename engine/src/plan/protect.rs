//! What may never be deleted or replaced at the destination, whatever the job asks for.

use quicopy_protocol::meta::Kind;
use quicopy_protocol::options::ConflictPolicy;
use quicopy_protocol::path::{Name, RelPath};
use quicopy_protocol::verdict::Kept;

use super::Rules;
use crate::compare::Listed;
use crate::filter::Filter;

/// What stands between a name and the time of the version that `/CONFLICT:keep` keeps.
pub(crate) const KEPT_MARK: &str = ".conflict-";

/// Names that belong to a file system, not to its user, in its root directory.
const SYSTEM_DIRS: [&str; 3] = ["lost+found", "System Volume Information", "$RECYCLE.BIN"];

/// Which names a job leaves out; paths are below the job's root.
pub trait NameRules {
    /// Whether `/XF` leaves out the file (or link) `name` in `dir`.
    fn file_excluded(&self, dir: &RelPath, name: &Name) -> bool;
    /// Whether `/XD` leaves out the directory `path`.
    fn dir_excluded(&self, path: &RelPath) -> bool;
    /// Whether a file's name matches one of the job's file patterns, or there are none.
    fn file_included(&self, name: &Name) -> bool;
}

impl NameRules for Filter {
    fn file_excluded(&self, dir: &RelPath, name: &Name) -> bool {
        self.file_name_excluded(dir, name)
    }

    fn dir_excluded(&self, path: &RelPath) -> bool {
        self.dir_excluded(path)
    }

    fn file_included(&self, name: &Name) -> bool {
        self.file_included(name)
    }
}

/// What a directory of the destination is to its entries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// Both sides have it.
    Walked,
    /// Both have it, and it is the root of a file system, or may be.
    FileSystemRoot,
    /// Only the destination has it.
    ExtraTree,
}

/// A directory of the destination whose entries are looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    /// Its path below the job's root.
    pub(crate) path: &'a RelPath,
    /// What it is to its entries.
    pub(crate) place: Place,
}

impl Site<'_> {
    /// Whether what it holds is a directory of the file system's own, which the job does not enter.
    pub(super) fn keeps_for_itself(&self, listed: &Listed) -> bool {
        self.place == Place::FileSystemRoot
            && listed.present.is_dir()
            && is_system_dir(&listed.name)
    }
}

/// How an entry of the destination is guarded against deletion and replacement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protection {
    /// It is not.
    Open,
    /// It stays, and is named in the report.
    Kept(Kept),
    /// It is the agent's own: it stays and is never spoken of.
    Private,
}

impl Protection {
    /// Looks at one entry of the directory `site`.
    ///
    /// An excluded name protects at every depth, inside extra trees too; there is no switch for the opposite. A pattern
    /// of files protects what it does not include only where the source has been: a directory that only the destination
    /// has goes with all it holds.
    pub(crate) fn of(rules: &Rules<'_>, site: Site<'_>, listed: &Listed) -> Self {
        let Site { path: dir, place } = site;
        let Listed { name, present } = listed;
        if name.is_reserved() {
            return Self::Private;
        }
        if rules.policy.conflict == ConflictPolicy::Keep && is_kept_version(name) {
            return Self::Kept(Kept::Conflict);
        }
        if present.mounted || place == Place::FileSystemRoot && is_system_dir(name) {
            return Self::Kept(Kept::Mount);
        }
        let is_dir = present.is_dir();
        // A link may stand for either, so either list protects it.
        let is_link = matches!(present.kind, Kind::Link { .. });
        let is_excluded = |as_dir| match as_dir {
            // A path beyond the limits is in no rule and in no list, so it is left alone.
            true => dir.join(name).map_or(true, |path| rules.names.dir_excluded(&path)),
            false => rules.names.file_excluded(dir, name),
        };
        if (is_dir || is_link) && is_excluded(true) || !is_dir && is_excluded(false) {
            return Self::Kept(Kept::Named);
        }
        if place != Place::ExtraTree && !is_dir && !rules.names.file_included(name) {
            return Self::Kept(Kept::NotIncluded);
        }
        Self::Open
    }
}

/// Whether a name is that of a version kept by `/CONFLICT:keep`: `NAME.conflict-SECONDS`.
fn is_kept_version(name: &Name) -> bool {
    let mark = KEPT_MARK.as_bytes();
    let bytes = name.as_bytes();
    let at = bytes.windows(mark.len()).rposition(|window| window == mark);
    at.is_some_and(|at| {
        let seconds = &bytes[at + mark.len()..];
        !seconds.is_empty() && seconds.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-')
    })
}

/// Whether a name is that of a directory which a file system keeps for itself in its root.
pub(crate) fn is_system_dir(name: &Name) -> bool {
    SYSTEM_DIRS.iter().any(|known| name.as_bytes().eq_ignore_ascii_case(known.as_bytes()))
}

/// Whether the source's root holds anything that a person may have put there: neither the agent's own nor what a
/// file system makes by itself, as on a disk just formatted.
pub(crate) fn is_users(name: &Name) -> bool {
    !name.is_reserved() && !is_system_dir(name)
}
