//! Carrying out the list of deletions: for good, or into the trash.

use std::collections::HashSet;
use std::io;

use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::meta::DirId;
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::{Kept, Removal};
use rustix::io::Errno;

use super::aside::WITHOUT_TRASH;
use super::event::{Done, Event};
use super::job::Job;
use super::presence;
use super::spool::{Order, Spool};
use crate::disk::{DirHandle, MetaChange};
use crate::fault;
use crate::purge::{DirectoryRemovals, RemovalEntry, RemovalKind, still_as_listed};
use crate::trash::Bin;

/// Carries out the list, but for what was found under the directories `spared`.
///
/// # Errors
/// The list cannot be read back: what it named before that is done.
pub(super) fn carry_out(
    job: &Job,
    spool: Spool,
    spared: &HashSet<DirId>,
    done: &mut Done,
) -> io::Result<()> {
    let order = match &job.bin {
        Some(_) => Order::DirectoriesFirst,
        None => Order::ContentsFirst,
    };
    let mut recorded = spool.read_back(order)?;
    crate::crash_point!("agent_removals_recorded");
    let mut remover = Remover { job, done, whole: HashSet::new(), found_under: None };
    while let Some(record) = recorded.next_record()? {
        if job.stop.is_set() {
            return Ok(());
        }
        if !spared.contains(&record.found_under) {
            remover.remove_from(&record);
        }
    }
    Ok(())
}

struct Remover<'a> {
    job: &'a Job,
    done: &'a mut Done,
    /// Directories that went with all that they held, of those that were found under the last directory.
    whole: HashSet<RelPath>,
    found_under: Option<DirId>,
}

impl Remover<'_> {
    fn remove_from(&mut self, record: &DirectoryRemovals) {
        let Some(tree) = self.job.tree() else { return };
        if self.found_under.replace(record.found_under) != Some(record.found_under) {
            self.whole.clear();
        }
        let is_gone = self.is_gone(&record.path);
        let dir = if is_gone { Ok(tree.root.clone()) } else { tree.root.open_path(&record.path) };
        let mut gone = Vec::new();
        for entry in &record.entries {
            if self.job.stop.is_set() {
                break;
            }
            let Ok(path) = record.path.join(&entry.name) else { continue };
            let removed = match &dir {
                Ok(_) if is_gone => Ok(Removed::ToTrash),
                Ok(dir) => self.remove(dir, entry, &path),
                Err(error) => Err(failure_of(entry, error)),
            };
            if let Ok(removed) = removed {
                self.done.deleted += 1;
                self.done.trashed += u64::from(removed == Removed::ToTrash);
                gone.push(path.clone());
                crate::crash_point!("agent_removed");
            }
            let is_dir = entry.kind == RemovalKind::Directory;
            self.job.tell(Event::Removed(Removal { path, is_dir, failure: removed.err() }));
        }
        forget(self.job, &gone);
    }

    /// Whether a directory above, or this one, went whole.
    fn is_gone(&self, path: &RelPath) -> bool {
        let mut at = path.clone();
        while !self.whole.is_empty() {
            if self.whole.contains(&at) {
                return true;
            }
            let Some((above, _)) = at.split_last() else { break };
            at = above;
        }
        false
    }

    fn remove(
        &mut self,
        dir: &DirHandle,
        entry: &RemovalEntry,
        path: &RelPath,
    ) -> Result<Removed, Failure> {
        if let Some(kept) = entry.kept {
            return Err(Failure::new(operation(entry), 145, kept_reason(kept)));
        }
        let now = dir.stat(&entry.name).map_err(|error| failure_of(entry, &error))?;
        // Somebody else removed it: what the job wanted.
        let Some(now) = now else { return Ok(Removed::ForGood) };
        if !still_as_listed(entry, &presence::present(dir, &entry.name, &now)) {
            return Err(Failure::new(
                operation(entry),
                32,
                "changed at the destination during the job, so it was not deleted; run again",
            ));
        }
        let act = || match &self.job.bin {
            Some(bin) => to_trash(self.job, bin, dir, entry, path),
            None => for_good(dir, entry),
        };
        let removed = match act() {
            // A read-only directory is no obstacle to its owner, as a read-only file is none.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => writable(dir, act),
            removed => removed,
        }
        .map_err(|error| failure_of(entry, &error))?;
        if removed == Removed::ToTrash && entry.kind == RemovalKind::Directory {
            self.whole.insert(path.clone());
        }
        Ok(removed)
    }
}

/// How something went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Removed {
    ForGood,
    ToTrash,
}

fn for_good(dir: &DirHandle, entry: &RemovalEntry) -> io::Result<Removed> {
    match entry.kind {
        RemovalKind::Directory => dir.remove_dir(&entry.name),
        RemovalKind::File | RemovalKind::Link | RemovalKind::Special => {
            dir.remove_file(&entry.name)
        }
    }?;
    Ok(Removed::ForGood)
}

/// Moves an entry to the trash. A directory goes with all that it holds, if nothing of that was to stay: what somebody put into
/// it since it was listed goes along, and can be given back like all the rest.
fn to_trash(
    job: &Job,
    bin: &Bin,
    dir: &DirHandle,
    entry: &RemovalEntry,
    path: &RelPath,
) -> io::Result<Removed> {
    let path = job.setup.below_share(path).ok_or(io::ErrorKind::InvalidFilename)?;
    bin.put(dir, &entry.name, &path)?;
    Ok(Removed::ToTrash)
}

/// Does something in a directory while its owner may write to it, and gives it its mode back.
fn writable<T>(dir: &DirHandle, act: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let mode = dir.own_stat()?.mode;
    let set = |mode| {
        let change = MetaChange { mode: Some(mode), ..MetaChange::default() };
        dir.set_own_meta(&change, None)
    };
    set(mode | 0o700)?;
    let acted = act();
    set(mode)?;
    acted
}

fn kept_reason(kept: Kept) -> &'static str {
    match kept {
        Kept::Named | Kept::HoldsKept | Kept::NotIncluded => {
            "it holds something that the job leaves out"
        }
        Kept::Mount => "a file system is mounted in it",
        Kept::Conflict => "it holds something that was changed at the destination",
        Kept::Unreadable => "something in it could not be read",
    }
}

fn failure_of(entry: &RemovalEntry, error: &io::Error) -> Failure {
    let mut failure = fault::failure(operation(entry), error);
    // Also between the project quotas of one file system, which nobody sees before.
    if Errno::from_io_error(error) == Some(Errno::XDEV) {
        failure.reason = format!(
            "nothing can be moved from here to the trash; {WITHOUT_TRASH} and it is deleted for good"
        );
    }
    failure
}

fn operation(entry: &RemovalEntry) -> Operation {
    match entry.kind {
        RemovalKind::Directory => Operation::DeleteExtraDirectory,
        RemovalKind::File | RemovalKind::Link | RemovalKind::Special => Operation::DeleteExtraFile,
    }
}

/// Makes the index forget what is gone. A failure costs a conflict that is none, some day.
fn forget(job: &Job, gone: &[RelPath]) {
    let Some(index) = &job.setup.index else { return };
    let gone: Vec<_> =
        gone.iter().filter_map(|path| Some((job.setup.below_share(path)?, None))).collect();
    if let Err(error) = index.put_batch(&gone) {
        tracing::warn!(%error, "deletions could not be noted in the index");
    }
}
