//! Deletions: spooled while directories are planned, carried out when everything else is done.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::limits::BATCH_ITEMS_MAX;
use quicopy_protocol::meta::DirId;
use quicopy_protocol::options::DeleteLimit;
use quicopy_protocol::path::{Name, RelPath};
use quicopy_protocol::verdict::{ExtraEntry, Kept, Removal};

use super::event::{Done, Event};
use super::folder::Folder;
use super::job::Job;
use super::presence;
use crate::disk::{DirHandle, DiskKind, MetaChange, Placement, Share};
use crate::fault;
use crate::plan::deletes;
use crate::purge::{
    Census, DefaultLimit, DirectoryRemovals, ExtraSink, GuardRules, RemovalEntry, RemovalKind,
    RemovalReader, RemovalWriter, Ruling, guard, still_as_listed,
};

/// What is known of the deletions so far.
pub(super) struct Removals {
    census: Census,
    /// What of it has given way to files and links already.
    displaced: Census,
    protected_dirs: u64,
    /// Opened with the first entry: most jobs have none.
    spool: Option<Spool>,
    /// Directories with something to remove, to ask at the end whether a copy failed in them.
    folders: Vec<Arc<Folder>>,
}

impl Removals {
    pub(super) fn new() -> Self {
        Self {
            census: Census::default(),
            displaced: Census::default(),
            protected_dirs: 0,
            spool: None,
            folders: Vec::new(),
        }
    }

    pub(super) fn count(&mut self, census: Census) {
        self.census += census;
    }

    /// Asks whether a directory may give way to a file, and counts what goes with it if so.
    ///
    /// The guards are exact only at the end, when all is known. So a limit in numbers is used up as it goes, and beyond
    /// twenty files only an explicit `/MAXDELETE` lets a tree pass where the destination has a default limit.
    pub(super) fn displaces(
        &mut self,
        tree: Census,
        max_delete: Option<DeleteLimit>,
        rules: &GuardRules,
    ) -> bool {
        const UNGUARDED_MAX: u64 = 20;
        let mut all = self.displaced;
        all += tree;
        let within = |limit: DeleteLimit| match limit {
            DeleteLimit::Count(count) => all.extra_entries <= count,
            DeleteLimit::Percent(percent) => percent >= 100,
        };
        let passes = rules.share_max.is_none_or(within)
            && match max_delete {
                Some(limit) => within(limit),
                None => {
                    rules.default_limit != DefaultLimit::Refuse || all.extra_files <= UNGUARDED_MAX
                }
            };
        if passes {
            self.displaced = all;
            self.census += tree;
        }
        passes
    }

    /// Notes a directory in which nothing is extra because its source could not be read.
    pub(super) fn protect(&mut self) {
        self.protected_dirs += 1;
    }

    /// Takes what a walk of one directory's extras finds.
    pub(super) fn sink<'a>(&'a mut self, job: &'a Job, folder: &'a Arc<Folder>) -> Sink<'a> {
        Sink { removals: self, job, folder, lines: Vec::new() }
    }

    /// Carries the list out, if the guard lets it pass. Everything else of the job is done and durable.
    pub(super) fn carry_out(self, job: &Job, done: &mut Done) {
        let Self { census, spool, folders, protected_dirs, .. } = self;
        done.protected_dirs = protected_dirs;
        let policy = &job.setup.policy;
        if deletes(policy) && census.extra_entries > 0 {
            match guard(&census, policy.max_delete, &job.setup.guards) {
                Ruling::Pass => {}
                Ruling::Warn(text) => job.tell(Event::Notice(text)),
                Ruling::Refuse(text) => done.guard = Some(text),
            }
        }
        let Some(spool) = spool else { return };
        job.note_change();
        if done.guard.is_none() {
            // A failed copy may be the new name of an extra: what is extra beside it stays.
            let (spared, cleared): (Vec<_>, Vec<_>) =
                folders.iter().partition(|folder| folder.copy_failed.load(Ordering::Acquire));
            done.protected_dirs += spared.len() as u64;
            cleared.iter().for_each(|folder| folder.touch());
            let spared = spared.iter().map(|folder| folder.id).collect();
            if let Err(error) = spool.read_back().and_then(|reader| {
                crate::crash_point!("agent_removals_recorded");
                remove_all(job, reader, &spared, done)
            }) {
                done.guard = Some(format!(
                    "the list of deletions could not be read back: {error}; nothing more was deleted; run again"
                ));
            }
        }
        for folder in folders {
            job.stamp(&folder);
        }
        crate::crash_point!("agent_removals_done");
    }
}

/// The list while it is written: a file in the share's private folder that goes when this is dropped. One that a crash
/// leaves is swept at the next start: a list is never carried out by another run, which must look anew.
struct Spool {
    writer: RemovalWriter<BufWriter<File>>,
    place: SpoolPlace,
}

struct SpoolPlace {
    dir: DirHandle,
    name: Name,
}

impl Spool {
    fn create(share: &Share) -> io::Result<Self> {
        let dir = share.private().map_err(io::Error::other)?.partial().clone();
        let name = share.temp_name(Placement::Private);
        let file = dir.create_file(&name)?;
        let writer = RemovalWriter::new(BufWriter::new(file))?;
        Ok(Self { writer, place: SpoolPlace { dir, name } })
    }

    /// Makes the list durable before the first removal, and begins at its start.
    fn read_back(self) -> io::Result<Recorded> {
        let mut file =
            self.writer.into_inner().into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_data()?;
        file.seek(SeekFrom::Start(0))?;
        let reader = RemovalReader::new(BufReader::new(file)).map_err(io::Error::other)?;
        Ok(Recorded { reader, _place: self.place })
    }
}

/// The list while it is carried out.
struct Recorded {
    reader: RemovalReader<BufReader<File>>,
    _place: SpoolPlace,
}

impl Drop for SpoolPlace {
    fn drop(&mut self) {
        let _ = self.dir.remove_file(&self.name);
    }
}

fn remove_all(
    job: &Job,
    mut recorded: Recorded,
    spared: &HashSet<DirId>,
    done: &mut Done,
) -> io::Result<()> {
    while let Some(record) = recorded.reader.next_record().map_err(io::Error::other)? {
        if job.stop.is_set() {
            return Ok(());
        }
        if !spared.contains(&record.found_under) {
            remove_from(job, &record, done);
        }
    }
    if recorded.reader.is_torn() { Err(io::Error::other("its end is damaged")) } else { Ok(()) }
}

fn remove_from(job: &Job, record: &DirectoryRemovals, done: &mut Done) {
    let Some(tree) = job.tree() else { return };
    let dir = tree.root.open_path(&record.path);
    let mut gone = Vec::new();
    for entry in &record.entries {
        if job.stop.is_set() {
            break;
        }
        let Ok(path) = record.path.join(&entry.name) else { continue };
        let failure = match &dir {
            Ok(dir) => remove(dir, entry).err(),
            Err(error) => Some(failure_of(entry, error)),
        };
        if failure.is_none() {
            done.deleted += 1;
            gone.push(path.clone());
            crate::crash_point!("agent_removed");
        }
        let is_dir = entry.kind == RemovalKind::Directory;
        job.tell(Event::Removed(Removal { path, is_dir, failure }));
    }
    forget(job, &gone);
}

fn remove(dir: &DirHandle, entry: &RemovalEntry) -> Result<(), Failure> {
    if let Some(kept) = entry.kept {
        return Err(Failure::new(operation(entry), 145, kept_reason(kept)));
    }
    let now = dir.stat(&entry.name).map_err(|error| failure_of(entry, &error))?;
    // Somebody else removed it: what the job wanted.
    let Some(now) = now else { return Ok(()) };
    if !still_as_listed(entry, &presence::present(dir, &entry.name, &now)) {
        return Err(Failure::new(
            operation(entry),
            32,
            "changed at the destination during the job, so it was not deleted; run again",
        ));
    }
    let remove = || match entry.kind {
        RemovalKind::Directory => dir.remove_dir(&entry.name),
        RemovalKind::File | RemovalKind::Link | RemovalKind::Special => {
            dir.remove_file(&entry.name)
        }
    };
    match remove() {
        // A read-only directory is no obstacle to its owner, as a read-only file is none.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => writable(dir, remove),
        removed => removed,
    }
    .map_err(|error| failure_of(entry, &error))
}

/// Does something in a directory while its owner may write to it, and gives it its mode back.
fn writable(dir: &DirHandle, act: impl Fn() -> io::Result<()>) -> io::Result<()> {
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

/// Removes what a new entry took the place of: a file, or a directory with all that it holds. Never follows a link.
/// Returns how many entries that were.
///
/// # Errors
/// A part cannot be removed, or a file system is mounted in it: the rest stays.
pub(super) fn remove_whole(dir: &DirHandle, name: &Name) -> io::Result<u64> {
    let Some(stat) = dir.stat(name)? else { return Ok(0) };
    if dir.is_mount_point(&stat) {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    let mut removed = 1;
    if stat.kind == DiskKind::Directory {
        let inner = dir.open_dir(name)?;
        for entry in inner.list()? {
            removed += remove_whole(&inner, &entry.name)?;
        }
        dir.remove_dir(name)?;
    } else {
        dir.remove_file(name)?;
    }
    Ok(removed)
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
    fault::failure(operation(entry), error)
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

/// Takes the extras of one directory: tells of them, and spools what may go.
pub(super) struct Sink<'a> {
    removals: &'a mut Removals,
    job: &'a Job,
    folder: &'a Arc<Folder>,
    lines: Vec<ExtraEntry>,
}

impl Sink<'_> {
    fn flush(&mut self) {
        if !self.lines.is_empty() {
            let entries = std::mem::take(&mut self.lines);
            self.job.tell(Event::Extras { dir: self.folder.id, entries });
        }
    }
}

impl ExtraSink for Sink<'_> {
    type Error = io::Error;

    fn report(&mut self, entry: ExtraEntry) -> io::Result<()> {
        self.lines.push(entry);
        if self.lines.len() == BATCH_ITEMS_MAX {
            self.flush();
        }
        Ok(())
    }

    fn remove(&mut self, removals: DirectoryRemovals) -> io::Result<()> {
        // Under /L nothing is spooled: the report says it all.
        if self.job.setup.policy.list_only {
            return Ok(());
        }
        let spool = match &mut self.removals.spool {
            Some(spool) => spool,
            none => none.insert(Spool::create(&self.job.setup.share)?),
        };
        spool.writer.append(&removals)?;
        if !self.folder.has_removals.swap(true, Ordering::AcqRel) {
            self.removals.folders.push(Arc::clone(self.folder));
        }
        Ok(())
    }
}

impl Drop for Sink<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}
