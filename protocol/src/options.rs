//! What a job means, as both sites act on it: [`JobPolicy`]. The agent gets this meaning, never the switches it came from.

use serde::{Deserialize, Serialize};

use crate::path::RelPath;

/// Everything the two sites must agree on about one job.
///
/// Source: the meaning of each switch is Robocopy's, as its help text and resource-kit chapters give it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct JobPolicy {
    /// Which entries take part.
    pub selection: Selection,
    /// Which classes are acted on.
    pub classes: ClassFilter,
    /// What is copied of a file (`/COPY`).
    pub copy: CopyFlags,
    /// What is copied of a directory (`/DCOPY`).
    pub dcopy: CopyFlags,
    /// When two times count as equal.
    pub tolerance: Tolerance,
    /// What is done with files (`/CREATE`, `/NOCOPY`).
    pub mode: CopyMode,
    /// Whether extra and mismatched entries are deleted (`/PURGE`, `/MIR`).
    pub purge: bool,
    /// Compare and report, change nothing (`/L`).
    pub list_only: bool,
    /// What happens when an entry was changed at the destination since the last job wrote it (`/CONFLICT`).
    pub conflict: ConflictPolicy,
    /// Bound on deletions (`/MAXDELETE`).
    pub max_delete: Option<DeleteLimit>,
    /// Passes the guards that `/FORCE` may pass.
    pub force: bool,
    /// Retries after a failure, and seconds between them (`/R`, `/W`).
    pub retry: Retry,
    /// Whether a file that both sides have is built from the destination's old bytes where they match.
    pub delta: bool,
    /// Whether plans name entries of class Same too (`/V`).
    pub report_same: bool,
    /// Whether extra files that no file pattern includes are reported (`/X`).
    pub report_all_extras: bool,
}

/// Which entries take part in a job.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// Patterns of which a file's name must match one; empty means all. `*` and `?` as Robocopy, blind to ASCII case.
    pub include_files: Vec<String>,
    /// Files that are left out (`/XF`).
    pub exclude_files: Vec<Rule>,
    /// Directories that are left out (`/XD`).
    pub exclude_dirs: Vec<Rule>,
    /// Largest size of a file that takes part, in bytes (`/MAX`).
    pub max_bytes: Option<u64>,
    /// Smallest size of a file that takes part, in bytes (`/MIN`).
    pub min_bytes: Option<u64>,
    /// Whether the job enters directories.
    pub recurse: Recurse,
    /// Levels that take part, the root being 1 (`/LEV`); `None` means all.
    pub levels: Option<u32>,
    /// What becomes of links.
    pub links: LinkPolicy,
}

/// One item of an exclusion list.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Rule {
    /// A pattern for the last name of a path, at any depth. `*` and `?`, blind to ASCII case.
    Name(String),
    /// One path below the root: that entry and everything below it.
    Path(RelPath),
}

/// How far a job goes down.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum Recurse {
    /// The root directory only.
    #[default]
    RootOnly,
    /// Directories that hold something to copy (`/S`).
    NonEmpty,
    /// All directories (`/E`).
    All,
}

/// What becomes of symbolic links and mount points in the source.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct LinkPolicy {
    /// Recreate symbolic links as links (`/SL`); otherwise what they point to is copied.
    pub recreate: bool,
    /// Leave out links to directories, and mount points (`/XJ`, `/XJD`).
    pub exclude_dirs: bool,
    /// Leave out links to files (`/XJ`, `/XJF`).
    pub exclude_files: bool,
}

/// Which classes are acted on; see the class table of Robocopy.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct ClassFilter {
    /// `/XL`
    pub exclude_lonely: bool,
    /// `/XN`
    pub exclude_newer: bool,
    /// `/XO`
    pub exclude_older: bool,
    /// `/XC`
    pub exclude_changed: bool,
    /// `/XX`
    pub exclude_extra: bool,
    /// `/IS`
    pub include_same: bool,
    /// `/IT`
    pub include_tweaked: bool,
}

/// A set of Robocopy's copy flags.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct CopyFlags {
    /// D: content and `user.*` attributes.
    pub data: bool,
    /// A: permission bits and DOS attributes.
    pub attributes: bool,
    /// T: last write time.
    pub times: bool,
    /// S: access list.
    pub security: bool,
    /// O: owner and group.
    pub owner: bool,
    /// X: leave out the `user.*` attributes that D would bring.
    pub skip_streams: bool,
}

impl CopyFlags {
    /// No flag.
    pub const NONE: Self = Self {
        data: false,
        attributes: false,
        times: false,
        security: false,
        owner: false,
        skip_streams: false,
    };
    /// `/COPY:DAT`, Robocopy's default for files.
    pub const DAT: Self = Self { data: true, attributes: true, times: true, ..Self::NONE };
    /// `/DCOPY:DA`, Robocopy's default for directories.
    pub const DA: Self = Self { data: true, attributes: true, ..Self::NONE };
}

/// When two times count as equal.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Tolerance {
    /// Up to 2 s apart (`/FFT`).
    pub fat: bool,
    /// Exactly one hour apart, within the tolerance that holds otherwise (`/DST`).
    pub daylight_saving: bool,
}

/// What is done with files.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum CopyMode {
    /// Copy them.
    #[default]
    Copy,
    /// Make them with their times and no content (`/CREATE`).
    CreateEmpty,
    /// Leave them alone; directories are made and purged all the same (`/NOCOPY`).
    Nothing,
}

/// What happens when an entry was changed at the destination since the last job wrote it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum ConflictPolicy {
    /// Overwrite or delete it, and report.
    #[default]
    Overwrite,
    /// Leave it alone, and report.
    Skip,
    /// Keep it beside the new version under a name that says so.
    Keep,
    /// Leave it alone and count it as failed.
    Fail,
}

/// A bound on how many extra entries one job may delete.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum DeleteLimit {
    /// So many entries.
    Count(u64),
    /// So many in a hundred of the entries below the job's root at the destination; 0 to 100.
    Percent(u8),
}

/// How often and how patiently a failed operation is tried again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    /// Tries after the first.
    pub retries: u32,
    /// Seconds between two tries.
    pub wait_seconds: u32,
}

impl Default for Retry {
    /// `/R:3 /W:5`. Robocopy's own million retries, 30 s apart, hang a job for a year on one locked file.
    fn default() -> Self {
        Self { retries: 3, wait_seconds: 5 }
    }
}

/// How commits are made durable.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum Durability {
    /// Two file-system syncs for a batch of files.
    #[default]
    Group,
    /// Each file and its directory by itself.
    File,
    /// Not at all: what is reported as copied is written, no more.
    None,
}
