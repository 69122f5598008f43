//! Listing the source: a few threads read directories ahead, and one hands them out in the order of [`RelPath`].
//!
//! The order is that of a depth-first walk, a directory before what it holds and names by their bytes, whatever the
//! threads do. What is read ahead is bounded in entries, so that memory does not grow with the tree. One bad entry or
//! directory is a [`Failure`] at its place, never the end of the scan.
//!
//! ```text
//! threads:  open, list, stat   ->  judge (rules, pure)  ->  order (pure)  ->  sink
//! ```

mod hard_links;
mod judge;
mod order;
mod walk;

use std::ops::ControlFlow;

use quicopy_protocol::code::Failure;
use quicopy_protocol::limits::DIRECTORY_BYTES_MAX;
use quicopy_protocol::meta::{Attribute, Entry, Meta};
use quicopy_protocol::options::JobPolicy;
use quicopy_protocol::path::RelPath;

use crate::filter::Filter;
use crate::source::{FollowedLink, Identity, Source, StopFlag};

/// One directory of the source as the job sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScannedDir {
    /// Its path below the job's root.
    pub path: RelPath,
    /// Its own metadata.
    pub meta: Meta,
    /// Its own attributes, as `/DCOPY` asks for.
    pub attributes: Vec<Attribute>,
    /// All that it holds, also what a rule leaves out, in strictly ascending order of name.
    pub entries: Vec<ScannedEntry>,
    /// What went wrong with single entries, by index in ascending order. Each of them is skipped as unreadable.
    pub failures: Vec<(u32, Failure)>,
    /// Set when it could not be read to its end: then nothing may be concluded from what is missing.
    pub failure: Option<Failure>,
}

/// One line of a listing, and how to know the file again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScannedEntry {
    /// What travels.
    pub entry: Entry,
    /// The file or directory that was looked at; behind a link that is followed, the target's.
    pub identity: Identity,
    /// How many names that file has; 1 behind a link.
    pub names: u32,
    /// The link that was followed to it.
    pub link: Option<Box<FollowedLink>>,
}

/// What a scan needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Scan<'a> {
    /// The tree.
    pub source: &'a Source,
    /// The rules of `policy.selection`, compiled.
    pub filter: &'a Filter,
    /// What the job means; its selection, retries and the copy flags of directories count here.
    pub policy: &'a JobPolicy,
    /// Ends the scan early.
    pub stop: &'a StopFlag,
}

/// How a scan went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ScanSummary {
    /// How many directories were handed out.
    pub directories: u64,
    /// Whether those are all.
    pub end: ScanEnd,
}

/// Why a scan ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ScanEnd {
    /// Every directory that takes part was handed out, readable or not.
    Complete,
    /// The sink or the stop flag ended it.
    Stopped,
}

impl Scan<'_> {
    /// Walks the tree with `threads` threads (1 to 8, see [`threads`]) and gives each directory to `sink`, on the thread that calls.
    ///
    /// A directory that fails is tried again under `/R` and `/W`. If it fails for good, it is handed out with what could be read.
    ///
    /// # Errors
    /// The root could not be read in full. Nothing was handed out then: without the root nothing is known.
    pub fn run(
        &self,
        threads: usize,
        sink: &mut dyn FnMut(ScannedDir) -> ControlFlow<()>,
    ) -> Result<ScanSummary, Failure> {
        let reads_attributes = self.filter.asks_attributes() || self.policy.lists_attributes();
        let disk = walk::Disk { reads_attributes, stop: self.stop };
        walk::Walk::new(self, &disk, DIRECTORY_BYTES_MAX).run(threads, sink)
    }
}

/// How many threads a scan should use: as many as there are processors, at least 4 and at most 8.
///
/// Source: measured on 2 processors, where 4 and 8 threads lose nothing with a warm cache; waiting for a disk needs more than there are processors.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(4, |count| count.get().clamp(4, 8))
}

#[cfg(test)]
mod tests;
