//! Deletions: spooled while directories are planned, carried out when everything else is done.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use quicopy_protocol::meta::Entry;
use quicopy_protocol::options::DeleteLimit;
use quicopy_protocol::path::Name;
use quicopy_protocol::verdict::ExtraEntry;

use super::event::{Done, Event};
use super::folder::Folder;
use super::job::Job;
use super::plan_name::PlanName;
use super::removing;
use super::spool::Spool;
use crate::plan::deletes;
use crate::purge::{
    Census, DefaultLimit, DirectoryRemovals, ExtraSink, RemovalKind, Ruling, guard, missing_marker,
};
use crate::trash;

/// Bytes of extras that are told at once. Whoever carries events bounds how many of them wait, so that this bounds what they take.
const LINES_BYTES_AIM: usize = 32 << 10;

/// What is known of the deletions so far.
pub(super) struct Removals {
    census: Census,
    /// What of it has given way to entries of another kind already.
    displaced: Census,
    /// Bytes of the files to be removed.
    bytes: u64,
    /// Why nothing is deleted, whatever is found.
    forbidden: Option<String>,
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
            bytes: 0,
            forbidden: None,
            protected_dirs: 0,
            spool: None,
            folders: Vec::new(),
        }
    }

    pub(super) fn count(&mut self, census: Census) {
        self.census += census;
    }

    /// Looks for the markers that the source's root must hold if anything is to be deleted.
    pub(super) fn look_for_markers(&mut self, job: &Job, root: &[Entry]) {
        let asked: [Option<&Name>; 2] =
            [job.setup.require_marker.as_ref(), job.setup.policy.marker.as_ref()];
        self.forbidden = missing_marker(asked.into_iter().flatten(), root);
    }

    /// Forbids all deletions, for this reason.
    pub(super) fn forbid(&mut self, reason: String) {
        self.forbidden.get_or_insert(reason);
    }

    /// Asks whether something may give way to an entry of another kind, and counts what goes with it if so.
    ///
    /// The guards are exact only at the end, when all is known. So a limit in numbers is used up as it goes, and beyond
    /// twenty files only an explicit `/MAXDELETE` lets more pass where the destination has a default limit and no trash.
    ///
    /// # Errors
    /// It stays, for this reason.
    pub(super) fn displaces(&mut self, going: Census, job: &Job) -> Result<(), String> {
        const UNGUARDED_MAX: u64 = 20;
        let (max_delete, rules) = (job.setup.policy.max_delete, &job.setup.guards);
        let mut all = self.displaced;
        all += going;
        let within = |limit: DeleteLimit| match limit {
            DeleteLimit::Count(count) => all.extra_entries <= count,
            DeleteLimit::Percent(percent) => percent >= 100,
        };
        if let Some(reason) = &self.forbidden {
            return Err(reason.clone());
        }
        if !rules.share_max.is_none_or(within) {
            return Err("only the share's configuration can raise its max_delete".to_owned());
        }
        let passes = match max_delete {
            Some(limit) => within(limit),
            None => {
                rules.default_limit != DefaultLimit::Refuse
                    || job.bin.is_some()
                    || all.extra_files <= UNGUARDED_MAX
            }
        };
        if !passes {
            return Err("pass /MAXDELETE:N to allow it".to_owned());
        }
        self.displaced = all;
        self.census += going;
        Ok(())
    }

    /// Notes a directory in which nothing is extra because its source could not be read.
    pub(super) fn protect(&mut self) {
        self.protected_dirs += 1;
    }

    /// Takes what a walk of one directory's extras finds.
    pub(super) fn sink<'a>(
        &'a mut self,
        job: &'a Job,
        folder: &'a Arc<Folder>,
        name: &'a mut PlanName,
    ) -> Sink<'a> {
        Sink { removals: self, job, folder, name, lines: Vec::new(), lines_bytes: 0 }
    }

    /// What the guards say of all deletions together.
    fn ruling(&self, job: &Job) -> Ruling {
        if !deletes(&job.setup.policy) || self.census.extra_entries == 0 {
            return Ruling::Pass;
        }
        if let Some(text) = &self.forbidden {
            return Ruling::Refuse(text.clone());
        }
        let mut rules = job.setup.guards;
        if rules.default_limit == DefaultLimit::Refuse && self.fits_the_trash(job) {
            rules.default_limit = DefaultLimit::Warn;
        }
        guard(&self.census, job.setup.policy.max_delete, &rules)
    }

    /// Whether there is a trash, and all of it may stay there.
    fn fits_the_trash(&self, job: &Job) -> bool {
        job.bin.is_some()
            && trash::capacity_bytes(&job.setup.share).is_ok_and(|bytes| self.bytes <= bytes)
    }

    /// Carries the list out, if the guard lets it pass. Everything else of the job is done and durable.
    pub(super) fn carry_out(self, job: &Job, done: &mut Done) {
        done.protected_dirs = self.protected_dirs;
        match self.ruling(job) {
            Ruling::Pass => {}
            Ruling::Warn(text) => job.tell(Event::Notice(text)),
            Ruling::Refuse(text) => done.guard = Some(text),
        }
        let Self { spool, folders, .. } = self;
        let Some(spool) = spool else { return };
        job.note_change();
        if done.guard.is_none() {
            // A failed copy may be the new name of an extra: what is extra beside it stays, unless it can be given back.
            let failed =
                |folder: &Folder| folder.copy_failed.load(Ordering::Acquire) && job.bin.is_none();
            let (spared, cleared): (Vec<_>, Vec<_>) =
                folders.iter().partition(|folder| failed(folder));
            done.protected_dirs += spared.len() as u64;
            cleared.iter().for_each(|folder| folder.touch());
            let spared = spared.iter().map(|folder| folder.id).collect();
            if let Err(error) = removing::carry_out(job, spool, &spared, done) {
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

/// Takes the extras of one directory: tells of them, and spools what may go.
pub(super) struct Sink<'a> {
    removals: &'a mut Removals,
    job: &'a Job,
    folder: &'a Arc<Folder>,
    name: &'a mut PlanName,
    lines: Vec<ExtraEntry>,
    lines_bytes: usize,
}

impl Sink<'_> {
    fn flush(&mut self) {
        if !self.lines.is_empty() {
            self.lines_bytes = 0;
            let entries = std::mem::take(&mut self.lines);
            self.job.tell(Event::Extras { dir: self.folder.id, entries });
        }
    }
}

impl ExtraSink for Sink<'_> {
    type Error = io::Error;

    fn report(&mut self, entry: ExtraEntry) -> io::Result<()> {
        self.lines_bytes += size_of::<ExtraEntry>() + entry.path.as_bytes().len();
        self.lines.push(entry);
        if self.lines_bytes >= LINES_BYTES_AIM {
            self.flush();
        }
        Ok(())
    }

    fn remove(&mut self, removals: DirectoryRemovals) -> io::Result<()> {
        self.name.removals(&removals);
        let files = removals.entries.iter().filter(|entry| entry.kind == RemovalKind::File);
        self.removals.bytes += files.map(|entry| entry.size_bytes).sum::<u64>();
        // Under /L nothing is spooled: the report says it all.
        if self.job.setup.policy.list_only {
            return Ok(());
        }
        let spool = match &mut self.removals.spool {
            Some(spool) => spool,
            none => none.insert(Spool::create(&self.job.setup.share)?),
        };
        spool.append(&removals)?;
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
