//! What a job means, as both sites act on it: [`JobPolicy`]. The agent gets this meaning, never the switches it came from.

use serde::{Deserialize, Serialize};

use crate::attributes::DosAttributes;
use crate::meta::Timestamp;
use crate::path::{Name, RelPath};
use crate::verdict::FileClass;

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
    /// Which files are compared by their content (`/IM`, `/VERIFY`).
    pub content_check: ContentCheck,
    /// What is set on files that are not copied (`/SECFIX`, `/TIMFIX`).
    pub fix: Fix,
    /// DOS attributes that copied files gain (`/A+`).
    pub attributes_add: DosAttributes,
    /// DOS attributes that copied files lose (`/A-`); after those that they gain.
    pub attributes_remove: DosAttributes,
    /// How files are written at the destination.
    pub writing: Writing,
    /// Free space at the destination below which the job pauses (`/LFSM`).
    pub space_floor: Option<SpaceFloor>,
    /// Whether extra and mismatched entries are deleted (`/PURGE`, `/MIR`).
    pub purge: bool,
    /// Compare and report, change nothing (`/L`).
    pub list_only: bool,
    /// What happens when an entry was changed at the destination since the last job wrote it (`/CONFLICT`).
    pub conflict: ConflictPolicy,
    /// Bound on deletions (`/MAXDELETE`).
    pub max_delete: Option<DeleteLimit>,
    /// A name that the source's root must hold, or nothing is deleted: a drive that is not mounted does not have it.
    pub marker: Option<Name>,
    /// Days for which the destination keeps what is overwritten, and deleted, in its trash (`/TRASH`). What is deleted from
    /// an agent's share it keeps as its own configuration says, whatever this is.
    pub trash_days: Option<u16>,
    /// Carry out the plan of this name and no other (`/PLAN`).
    pub plan: Option<PlanId>,
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

impl JobPolicy {
    /// Whether a file of this class gets all that is copied of its metadata, though its content stays (`/IT`).
    pub fn restamps(&self, class: FileClass) -> bool {
        class == FileClass::Tweaked && self.classes.include_tweaked
    }

    /// Whether the DOS attributes of files are compared: to read them costs a call for each file on both sides, so it is done
    /// only where a difference would be mended (`/IT`, `/COPY:A` without D).
    pub fn compares_attributes(&self) -> bool {
        self.copy.attributes && (self.classes.include_tweaked || !self.copy.data)
    }

    /// Whether listings carry the DOS attributes of files: to be compared, or because no content will bring them (`/CREATE`).
    pub fn lists_attributes(&self) -> bool {
        self.compares_attributes() || self.copy.attributes && self.mode == CopyMode::CreateEmpty
    }
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
    /// DOS attributes of files that take part.
    pub attributes: AttributeFilter,
    /// Times of last write of files that take part (`/MAXAGE`, `/MINAGE`).
    pub modified: TimeRange,
    /// Times of last access of files that take part (`/MAXLAD`, `/MINLAD`).
    pub accessed: TimeRange,
}

/// Which DOS attributes a file of the source must have to take part.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct AttributeFilter {
    /// All of these (`/A` and `/M`: Archive).
    pub all_of: DosAttributes,
    /// At least one of these, unless the set is empty (`/IA`).
    pub any_of: DosAttributes,
    /// None of these (`/XA`).
    pub none_of: DosAttributes,
}

/// A range of times, both ends within it; an end that is missing is open.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct TimeRange {
    /// Earliest.
    pub from: Option<Timestamp>,
    /// Latest.
    pub to: Option<Timestamp>,
}

impl TimeRange {
    /// Whether every time is within it.
    pub fn is_open(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }
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
    /// Make the directory of a mount point, and do not enter it (`/SJ`).
    pub empty_mounts: bool,
    /// Recreate further names of one file as hard links (`/HARDLINKS`); otherwise each is a file of its own.
    pub hard_links: bool,
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

/// Which files that both sides have are compared by their content.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum ContentCheck {
    /// None: time and size decide.
    #[default]
    Never,
    /// Those that look the same (`/IM`).
    LooksSame,
    /// All that would not be copied anyway (`/VERIFY`).
    Always,
}

/// What is set on files that both sides have and that are not copied.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Fix {
    /// What of S and O the copy flags name, and the permission bits (`/SECFIX`).
    pub security: bool,
    /// The last write time (`/TIMFIX`).
    pub times: bool,
}

/// How files are written at the destination.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Writing {
    /// Write the zeros of holes (`/SPARSE:N`).
    pub dense: bool,
    /// Keep copied bytes out of the page cache (`/J`).
    pub unbuffered: bool,
    /// Share no blocks with older versions, even where the file system could (`/NOCLONE`).
    pub no_clone: bool,
    /// Read each file back from the disk before it takes its place (`/READBACK`).
    pub read_back: bool,
}

/// Free space that a job leaves at the destination.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum SpaceFloor {
    /// So many in a hundred of the file system's bytes; 0 to 100.
    Percent(u8),
    /// So many bytes.
    Bytes(u64),
}

impl Default for SpaceFloor {
    /// Source: Robocopy's help text on `/LFSM` without a size.
    fn default() -> Self {
        Self::Percent(10)
    }
}

/// The name of a plan: a hash of all that a job would do. Two jobs with equal plans would do the same to the same.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct PlanId(pub [u8; 16]);

impl std::fmt::Display for PlanId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
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
