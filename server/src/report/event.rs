//! What happened in a job, as the report takes it: [`ReportEvent`].

use std::time::Duration;

use quicopy_protocol::code::Failure;
use quicopy_protocol::meta::{Entry, Meta, Skip, Timestamp};
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::{Action, ExtraEntry, FileClass, Removal};

use super::exit_code::ExitCode;
use super::summary::Summary;

/// One thing that happened. A job begins with `Started` and ends with `Finished`, whatever comes between; a monitor is several
/// of these one after another, and then `MonitorEnded`.
#[derive(Clone, Debug, PartialEq)]
pub enum ReportEvent {
    /// The job begins; nothing has been reached or changed.
    Started {
        /// The job's random name.
        job: String,
    },
    /// A directory of the source is entered. What follows is in it, up to the next of these.
    Directory {
        /// Its path.
        path: RelPath,
        /// What it is at the destination.
        class: DirectoryClass,
        /// Files in it that the file patterns include, before any exclusion.
        files: u64,
    },
    /// A file or link of the source was judged.
    File(FileVerdict),
    /// An entry of the source is left out by a filter.
    Skipped {
        /// Its path.
        path: RelPath,
        /// Whether it is a directory.
        is_dir: bool,
        /// Which filter.
        reason: Skip,
        /// Size in bytes, 0 for a directory.
        size_bytes: u64,
        /// Last write time.
        modified: Timestamp,
    },
    /// Only the destination has an entry.
    Extra(ExtraEntry),
    /// An operation failed for good.
    Error {
        /// What failed, and why.
        failure: Failure,
        /// The entry's path.
        path: RelPath,
        /// Whether it was tried as often as `/R` allows; false for what trying again cannot help.
        retries_exhausted: bool,
    },
    /// An operation failed and will be tried again.
    Retrying {
        /// What failed, and why.
        failure: Failure,
        /// The entry's path.
        path: RelPath,
        /// Time until the next try.
        wait: Duration,
    },
    /// The link was lost, or the agent was not reached; it will be tried again.
    Reconnecting {
        /// Windows error number that says the same: 53 not reached, 64 lost, 170 in use.
        code: u32,
        /// What happened, in words.
        reason: String,
        /// Time until the next try.
        wait: Duration,
    },
    /// A file or link is in place at the destination, verified and durable.
    Copied {
        /// Its path.
        path: RelPath,
        /// Size in bytes.
        size_bytes: u64,
    },
    /// A deletion at the destination is done with.
    Removed(Removal),
    /// Something the report says once.
    Notice(String),
    /// The job cannot begin, or breaks off: the exit code will be 16.
    Fatal(String),
    /// How far the job is. Shown on terminals, and as JSON.
    Progress(Progress),
    /// It is none of the job's hours: nothing begins before they come (`/RH`, `/PF`).
    Paused {
        /// When they come.
        until: jiff::Timestamp,
    },
    /// The job is over, or one run of a monitor.
    Finished {
        /// What it did.
        summary: Box<Summary>,
        /// What the program will exit with, if nothing follows.
        exit_code: ExitCode,
        /// Which run of a monitor it was, from 1; `None` without `/MON` and `/MOT`.
        run: Option<u32>,
    },
    /// A run of a monitor is over. The next begins after so many minutes and so many changes (`/MON`, `/MOT`).
    Monitoring {
        /// Minutes, 1 or more.
        minutes: u32,
        /// Changes in the source, 1 or more.
        changes: u32,
    },
    /// So much of that has come. Shown on terminals.
    Watched {
        /// Whole minutes since the run.
        minutes: u64,
        /// Changes in the source since it began.
        changes: u64,
    },
    /// A monitor was asked to stop. Only JSON shows it.
    MonitorEnded {
        /// What all runs did, added up.
        summary: Box<Summary>,
        /// What the program will exit with.
        exit_code: ExitCode,
        /// How many runs there were.
        runs: u32,
    },
}

/// What a directory of the source is at the destination.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DirectoryClass {
    /// It is missing there, and is made.
    New,
    /// It is there.
    Existing,
    /// Something that is no directory is there instead.
    Mismatched,
}

/// A file or link of the source, and what is done about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileVerdict {
    /// Its path.
    pub path: RelPath,
    /// How the sides differ.
    pub class: FileClass,
    /// What is done about it.
    pub action: Action,
    /// Whether the destination's entry was changed since the last job wrote it.
    pub conflict: bool,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Last write time at the source.
    pub modified: Timestamp,
}

impl FileVerdict {
    /// The verdict on an entry of the source.
    pub fn of(
        entry: &Entry,
        path: RelPath,
        class: FileClass,
        action: Action,
        conflict: bool,
    ) -> Self {
        let Meta { size_bytes, modified, .. } = entry.meta;
        Self { path, class, action, conflict, size_bytes, modified }
    }
}

/// How far a job is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// Whether more files may still be found, so that the totals grow.
    pub scanning: bool,
    /// Files that are done with.
    pub files_done: u64,
    /// Files to copy, as far as known.
    pub files_total: u64,
    /// Bytes that are done with.
    pub bytes_done: u64,
    /// Bytes to copy, as far as known.
    pub bytes_total: u64,
    /// Files on their way.
    pub current: Vec<CurrentFile>,
}

/// A file on its way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CurrentFile {
    /// Its path.
    pub path: RelPath,
    /// Bytes of it that are done with.
    pub bytes_done: u64,
    /// Its size.
    pub size_bytes: u64,
}
