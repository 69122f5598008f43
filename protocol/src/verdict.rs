//! What comparing gives, what follows from it and what became of it: the nouns of plans and outcomes.

use serde::{Deserialize, Serialize};

use crate::code::Failure;
use crate::meta::Timestamp;
use crate::path::RelPath;

/// How one name differs between the two sides, in Robocopy's classes.
///
/// Extra is not among them: what the source does not have travels as [`ExtraEntry`].
///
/// Source: Robocopy.exe reference guide (XP010), "Using Robocopy File Classes".
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub enum FileClass {
    /// Same time, other size.
    Changed,
    /// Only at the source.
    Lonely,
    /// A file on one side and a directory or link on the other.
    Mismatched,
    /// Equal but for the content. No plan says so, for a quick check reads no content: it is what an entry of
    /// [`Action::Check`] turns out to be.
    Modified,
    /// The source was written later.
    Newer,
    /// The source was written earlier.
    Older,
    /// Equal in all that a quick check sees.
    Same,
    /// Same time and size, other attributes.
    Tweaked,
}

/// What the job does about an entry of the source.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// Its content travels, or the link or directory is made.
    Copy,
    /// Only its metadata is set (`/IT` on a tweaked file).
    Restamp,
    /// Nothing: its class is left alone.
    Skip,
    /// Nothing: it was changed at the destination, and the conflict policy says to leave it.
    SkipConflict,
    /// Nothing: a mismatch that no `/PURGE` resolves.
    Mismatch,
    /// Its content is compared; it is copied if that differs, and skipped otherwise, but for the metadata that `/IT` sets on a
    /// tweaked file. The outcome says which.
    Check,
    /// Its content is not copied, but what `/SECFIX`, `/TIMFIX` or `/COPY` without D name is set on it.
    Fix,
    /// It cannot be done; the failure follows as an outcome.
    Fail,
}

/// What a directory of the source is at the destination.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum DirState {
    /// It was there.
    Existing,
    /// It was made for this job, or would be.
    New,
    /// It will be made with the first entry that is copied into it (`/S`).
    Deferred,
    /// The job does not enter it: left out by class, or something else stands in its place.
    Avoided,
    /// It could not be made, entered or read; nothing in it is copied.
    Failed(Failure),
}

/// The decision about one entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Index in the directory's listing.
    pub index: u32,
    /// How the sides differ.
    pub class: FileClass,
    /// What is done about it.
    pub action: Action,
    /// Whether the destination's entry was changed since the last job wrote it.
    pub conflict: bool,
}

/// How many entries, and their bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Number of entries.
    pub entries: u64,
    /// Sum of their sizes.
    pub bytes: u64,
}

/// One entry that only the destination has.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ExtraEntry {
    /// Its path below the job's root.
    pub path: RelPath,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Size of a file in bytes, 0 otherwise.
    pub size_bytes: u64,
    /// Last write time.
    pub modified: Timestamp,
    /// Set when it stays whatever the job does.
    pub kept: Option<Kept>,
    /// Whether it was changed since the last job wrote it.
    pub conflict: bool,
}

impl ExtraEntry {
    /// Whether it takes no part in the job: such an entry is neither extra nor missing, and is not counted.
    pub fn is_left_out(&self) -> bool {
        match self.kept {
            Some(Kept::Named | Kept::Mount) => true,
            Some(Kept::HoldsKept | Kept::NotIncluded | Kept::Conflict | Kept::Unreadable)
            | None => false,
        }
    }
}

/// Why an entry that only the destination has stays there.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub enum Kept {
    /// Its name is excluded.
    Named,
    /// A directory that must stay for something below it.
    HoldsKept,
    /// No file pattern includes it; named only with `/X`.
    NotIncluded,
    /// A file system of its own is mounted there, or it belongs to the file system.
    Mount,
    /// The conflict policy says to leave it.
    Conflict,
    /// It could not be looked into.
    Unreadable,
}

/// What the agent has that a file may be built from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Basis {
    /// Nothing: every chunk is lacking, so the sender sends them as it reads, without a list.
    Nothing,
    /// A partial or older file: the sender sends chunk lists, and then the chunks that the agent says it lacks.
    Bytes,
    /// A file that may be the very same: the sender sends the hash of its content, in a
    /// [`FileEnd`](crate::message::FileEnd), and no content.
    Digest,
    /// The content, in its place: the sender sends attributes alone, in a [`FileEnd`](crate::message::FileEnd) with the hash
    /// of nothing.
    Content,
}

/// What became of one entry.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum OutcomeResult {
    /// In place, whole, verified, and durable as far as the destination's durability promises. In a job that only lists: it
    /// would be, for its content differs.
    Done(Origins),
    /// Its content stays: it was compared and found equal, or only its metadata was to be set, and is.
    Unchanged,
    /// Not done; the old version, if any, is untouched.
    Failed(Failure),
}

/// Where the bytes of a file came from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Origins {
    /// Bytes that travelled in this attempt.
    pub literal_bytes: u64,
    /// Bytes taken from an older version at the destination.
    pub reused_bytes: u64,
    /// Bytes taken from a partial file of an earlier attempt or run.
    pub resumed_bytes: u64,
    /// Bytes that are holes.
    pub hole_bytes: u64,
}

/// What became of one extra entry under `/PURGE`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Removal {
    /// Its path below the job's root.
    pub path: RelPath,
    /// Whether it was a directory.
    pub is_dir: bool,
    /// `None` when it is gone.
    pub failure: Option<Failure>,
}
