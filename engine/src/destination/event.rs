//! What goes into a job at the destination, and what comes out of it.

use bytes::Bytes;
use quicopy_protocol::code::Failure;
use quicopy_protocol::meta::{Attribute, Digest, DirId, Entry, EntryId, Meta, WantId};
use quicopy_protocol::options::PlanId;
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::{
    Basis, DirState, ExtraEntry, OutcomeResult, Removal, Tally, Verdict,
};

/// A part of a source directory's listing, or the end of the scan. In the order they were sent.
#[derive(Debug)]
pub enum Listed {
    /// One part of a directory.
    Part {
        /// The directory's number.
        dir: DirId,
        /// Its path below the job's root.
        path: RelPath,
        /// Its own metadata.
        meta: Meta,
        /// Its own attributes; in its first part.
        attributes: Vec<Attribute>,
        /// Entries, ascending by name over all parts.
        entries: Vec<Entry>,
        /// What follows.
        end: PartEnd,
    },
    /// No directory follows.
    End,
}

/// What follows a part of a listing.
#[derive(Debug)]
pub enum PartEnd {
    /// Another part.
    More,
    /// Nothing: the directory was read to its end.
    Complete,
    /// Nothing: the directory could not be read to its end.
    Incomplete(Failure),
}

/// Content of a wanted file, or what it consists of. In any order.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields are those of the messages of the same names")]
pub enum Content {
    /// Which chunks a wanted file has, that has a basis here.
    Chunks { want: WantId, average_bytes: u32, offset: u64, chunks: Vec<(u32, Digest)>, last: bool },
    /// One chunk.
    Chunk { want: WantId, offset: u64, digest: Digest, data: Bytes },
    /// A hole.
    Hole { want: WantId, offset: u64, length: u64 },
    /// A small file whole.
    Whole { want: WantId, digest: Digest, attributes: Vec<Attribute>, data: Bytes },
    /// All was sent.
    End { want: WantId, size_bytes: u64, digest: Digest, attributes: Vec<Attribute> },
    /// The source could not deliver.
    Failed { want: WantId, failure: Failure },
}

/// What a job at the destination says. The only way it speaks.
#[derive(Debug)]
pub enum Event {
    /// The decision about a directory.
    Plan {
        /// The directory.
        dir: DirId,
        /// What it is at the destination.
        state: DirState,
        /// Entries that are not simply the same.
        verdicts: Vec<Verdict>,
        /// The others.
        same: Tally,
    },
    /// What only the destination has.
    Extras {
        /// The directory under which it was found.
        dir: DirId,
        /// The entries.
        entries: Vec<ExtraEntry>,
    },
    /// Content is wanted.
    Want {
        /// Number of the wish.
        want: WantId,
        /// The file.
        entry: EntryId,
        /// What there is of it.
        basis: Basis,
    },
    /// Answer to [`Content::Chunks`].
    Lack {
        /// The wish.
        want: WantId,
        /// Runs of chunk indices that are lacking.
        runs: Vec<(u32, u32)>,
        /// Chunks answered so far.
        answered: u32,
    },
    /// Content is not wanted any more.
    Cancel(WantId),
    /// What became of an entry.
    Outcome(EntryId, OutcomeResult),
    /// A try failed, another follows after so many seconds.
    Retrying(EntryId, Failure, u32),
    /// All entries of the directories before this one are done with.
    Settled(DirId),
    /// What became of an extra entry.
    Removed(Removal),
    /// Something to say once.
    Notice(String),
    /// The job has reached its end.
    Done(Done),
}

/// How a job ended.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Done {
    /// Entries deleted.
    pub deleted: u64,
    /// Those of them that are in the trash.
    pub trashed: u64,
    /// Directories in which nothing was deleted for lack of knowledge, or because a copy failed.
    pub protected_dirs: u64,
    /// The guard that held deletions back.
    pub guard: Option<String>,
    /// The name of the plan, where one was asked for: by a job that only lists, or that carries out one of that name.
    pub plan: Option<PlanId>,
    /// Directories planned.
    pub directories: u64,
}
