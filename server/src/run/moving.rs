//! `/MOV` and `/MOVE`: sources go once their copies are durable.

use std::ops::ControlFlow;

use quicopy_engine::filter::Filter;
use quicopy_engine::scan::{Scan, ScannedEntry};
use quicopy_engine::source::{Source, StopFlag};
use quicopy_protocol::code::Failure;
use quicopy_protocol::options::JobPolicy;
use quicopy_protocol::path::RelPath;

use crate::cli::MoveMode;

/// Removes what was moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mover(pub(super) MoveMode);

impl Mover {
    /// Removes a file or link whose copy is durable.
    pub(super) fn remove(
        &self,
        source: &Source,
        path: &RelPath,
        scanned: &ScannedEntry,
    ) -> Result<(), Failure> {
        match self.0 {
            MoveMode::Keep => Ok(()),
            MoveMode::Files | MoveMode::FilesAndDirectories => {
                let entry = &scanned.entry;
                source.remove_file(path, &entry.kind, &entry.meta, &scanned.identity)
            }
        }
    }

    /// Removes the directories that the job has emptied, from the bottom up; those that hold anything stay, and the root
    /// does. Returns what could not be removed.
    pub(super) fn remove_emptied(
        &self,
        source: &Source,
        filter: &Filter,
        policy: &JobPolicy,
        stop: &StopFlag,
    ) -> Vec<(RelPath, Failure)> {
        if self.0 != MoveMode::FilesAndDirectories {
            return Vec::new();
        }
        let mut directories = Vec::new();
        let scan = Scan { source, filter, policy, stop };
        // What cannot be listed holds something.
        let _ = scan.run(1, &mut |scanned| {
            directories.push(scanned.path);
            ControlFlow::Continue(())
        });
        let mut failures = Vec::new();
        for path in directories.into_iter().rev() {
            if let Err(failure) = source.remove_empty_dir(&path) {
                failures.push((path, failure));
            }
        }
        failures
    }
}
