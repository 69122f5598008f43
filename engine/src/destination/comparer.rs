//! Plans directories, one after the other in the order of the scan.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::Sender;
use quicopy_protocol::meta::{Entry, Skip};
use quicopy_protocol::options::PlanId;
use quicopy_protocol::path::{Name, RelPath};
use quicopy_protocol::verdict::{Action, DirState, Kept};

use super::Refusal;
use super::arrival::{Arrival, Arrivals, There};
use super::assign::Assigner;
use super::event::Event;
use super::folder::{Children, Folder, children, refuse};
use super::job::Job;
use super::listing::Listing;
use super::plan_name::PlanName;
use super::presence::{Lister, folded};
use super::removal::Removals;
use super::work::Work;
use super::wrong_way::HeldBack;
use crate::compare::Folded;
use crate::plan::{DirectoryInput, Extra, Knowledge, Rules, deletes, plan_directory};
use crate::purge::{self, Find, Ruling};

/// A directory whose own directories may still come.
struct Open {
    folder: Arc<Folder>,
    children: Children,
    knowledge: Knowledge,
}

/// Plans a job's directories.
pub(super) struct Comparer<'a> {
    job: &'a Job,
    arrivals: Arrivals<'a>,
    work: Sender<Work>,
    removals: Removals,
    held_back: HeldBack,
    name: PlanName,
    above: Vec<Open>,
    planned: u64,
}

/// What planning came to.
pub(super) struct Planned {
    /// What is to be removed.
    pub(super) removals: Removals,
    /// How many directories there were.
    pub(super) directories: u64,
    /// The name of the plan.
    pub(super) name: PlanId,
    /// What is to be said of overwrites of newer files.
    pub(super) overwrites: Ruling,
}

impl<'a> Comparer<'a> {
    pub(super) fn new(job: &'a Job, work: Sender<Work>, removals: Removals) -> Self {
        let arrivals = Arrivals::new(job);
        let setup = &job.setup;
        let held_back = HeldBack::new(setup.policy.force, setup.guards.default_limit);
        let (name, above) = (PlanName::new(), Vec::new());
        Self { job, arrivals, work, removals, held_back, name, above, planned: 0 }
    }

    /// Ends the planning.
    pub(super) fn finish(mut self) -> Planned {
        while let Some(open) = self.above.pop() {
            self.job.release(&open.folder);
        }
        let held_back = self.held_back.judge();
        self.send(held_back);
        Planned {
            removals: self.removals,
            directories: self.planned,
            name: self.name.finish(),
            overwrites: self.held_back.ruling(),
        }
    }

    /// Notes what was listed, as it comes.
    pub(super) fn note_listed(&mut self, entries: &[Entry]) {
        let let_go = self.held_back.note_listed(entries);
        self.send(let_go);
    }

    fn send(&self, works: Vec<Work>) {
        for work in works {
            // The other end is gone only when the job is parked.
            let _ = self.work.send(work);
        }
    }

    /// Plans one directory.
    ///
    /// # Errors
    /// The job cannot go on: its guard, its sender or its destination forbid it.
    pub(super) fn plan(&mut self, listing: &Listing) -> Result<(), Refusal> {
        self.planned += 1;
        let parent_path = listing.path.split_last();
        let is_parent = |open: &Open| {
            parent_path.as_ref().is_some_and(|(parent, _)| open.folder.path == *parent)
        };
        while let Some(open) = self.above.pop_if(|open| !is_parent(open)) {
            self.job.release(&open.folder);
        }
        let arrival = match &parent_path {
            None => self.arrivals.root(listing)?,
            Some((_, name)) => self.arrive(listing, name)?,
        };
        if self.job.stop.is_set() {
            // A stop may have cut short what the arrival says.
            return Ok(());
        }
        match arrival {
            Arrival::Avoided(state) => {
                self.avoid(listing, state);
                Ok(())
            }
            Arrival::Absent(state) => self.enter(listing, state, None),
            Arrival::Entered(state, there) => self.enter(listing, state, Some(there)),
        }
    }

    fn arrive(&mut self, listing: &Listing, name: &Name) -> Result<Arrival, Refusal> {
        let Some(parent) = self.above.last_mut() else {
            return Err(Refusal::protocol("a listing whose parent directory was not listed"));
        };
        if parent.folder.avoided {
            return Ok(Arrival::Avoided(DirState::Avoided));
        }
        let Some(child) = parent.children.remove(name) else {
            return Err(Refusal::protocol("a listing that its parent directory does not name"));
        };
        if let Some(failure) = &listing.failure
            && child.displaces()
        {
            // Nobody knows what would come instead.
            self.removals.protect();
            return Ok(Arrival::Avoided(DirState::Failed(failure.clone())));
        }
        Ok(self.arrivals.below(&parent.folder, &listing.path, &child))
    }

    /// Notes a directory that the job does not work in.
    fn avoid(&mut self, listing: &Listing, state: DirState) {
        let folder = Arc::new(Folder { avoided: true, ..Folder::new(listing, self.parent()) });
        let failed = matches!(state, DirState::Failed(_));
        if failed && let Some(parent) = &folder.parent {
            parent.copy_failed.store(true, Ordering::Release);
        }
        self.name.directory(&listing.path, &state);
        let dir = listing.dir;
        self.job.tell(Event::Plan { dir, state, verdicts: Vec::new(), same: Default::default() });
        self.above.push(Open {
            folder: Arc::clone(&folder),
            children: Children::new(),
            knowledge: Knowledge::Incomplete,
        });
        self.job.begin_folder(&folder, 0);
    }

    /// Plans a directory that the job works in, and puts its entries in work.
    fn enter(
        &mut self,
        listing: &Listing,
        state: DirState,
        there: Option<There>,
    ) -> Result<(), Refusal> {
        let entries = &listing.entries;
        let (handle, found, folded) = match there {
            Some(There { handle, found, listed }) => {
                let folded = folded(&handle, entries, listed);
                (Some(handle), found, folded)
            }
            None => (None, None, Folded::default()),
        };
        let Folded { listed, collisions, is_unclear } = folded;
        let knowledge = self.knowledge(listing);
        let job = self.job;
        if is_unclear && knowledge == Knowledge::Complete && deletes(&job.setup.policy) {
            self.removals.protect();
            job.tell(Event::Notice(format!(
                "{}: the destination's file system does not tell all names in it apart, so nothing is deleted there",
                listing.path
            )));
        }
        let records = |path: &RelPath| job.record(path);
        let rules = Rules {
            policy: &job.setup.policy,
            tolerances: job.setup.tolerances(),
            names: &job.filter,
            records: &records,
        };
        let input = DirectoryInput {
            path: &listing.path,
            entries,
            knowledge: if is_unclear { Knowledge::Incomplete } else { knowledge },
            present: listed,
            file_system_root: found.is_none_or(|stat| stat.is_mount),
        };
        let plan =
            plan_directory(&rules, input).map_err(|error| Refusal::protocol(&error.to_string()))?;

        let incomplete = listing.failure.is_some() && found.is_some();
        let folder = Arc::new(Folder { found, incomplete, ..Folder::new(listing, self.parent()) });
        folder.is_made.store(handle.is_some(), Ordering::Release);
        if entries.iter().any(|entry| entry.skip == Some(Skip::Unreadable)) {
            // What could not be looked at may be the new name of something that is extra here.
            folder.copy_failed.store(true, Ordering::Release);
        }
        if state == DirState::New {
            folder.touch();
        }
        if handle.is_some() && found.is_none() {
            job.hold(&folder);
        }
        let mut children = children(entries, plan.directories, &plan.decisions, rules.policy);
        refuse(&mut children, &collisions);
        if listing.path.is_root() {
            self.removals.look_for_markers(job, entries);
        }
        self.removals.count(plan.census);
        let can_delete = handle.as_ref().is_none_or(|handle| job.can_delete_in(handle));
        let removals = &mut self.removals;
        let assigner = Assigner {
            job,
            rules: &rules,
            folder: &folder,
            removals,
            can_delete,
            collisions: &collisions,
        };
        let (verdicts, work) = assigner.assign(entries, plan.decisions);
        for verdict in verdicts.iter().filter(|verdict| verdict.action == Action::Mismatch) {
            // What stands in its place stays.
            let name = entries.get(verdict.index as usize).map(|entry| &entry.name);
            if let Some(child) = name.and_then(|name| children.get_mut(name)) {
                child.state = DirState::Avoided;
            }
        }
        let makes_any = children.values().any(|child| child.state == DirState::New);
        if let Some(handle) = &handle
            && (makes_any || !work.is_empty())
        {
            job.open_up(&folder, handle);
        }
        self.name.directory(&listing.path, &state);
        self.name.verdicts(&listing.path, entries, &verdicts);
        let entries_in_work = work.len() as u64;
        let go = self.held_back.sift(&verdicts, work);
        job.tell(Event::Plan { dir: listing.dir, state, verdicts, same: plan.same });
        let extras =
            if can_delete { plan.extras } else { self.keep(&rules, &listing.path, plan.extras) };
        self.follow(&rules, &folder, extras)?;
        self.above.push(Open { folder: Arc::clone(&folder), children, knowledge });
        job.begin_folder(&folder, entries_in_work);
        self.send(go);
        Ok(())
    }

    /// Whether what a listing lacks is known to be missing at the source: it, and all above it, was read to the end.
    fn knowledge(&mut self, listing: &Listing) -> Knowledge {
        if listing.failure.is_some() {
            self.removals.protect();
            return Knowledge::Incomplete;
        }
        // It may be a mount point, which was not looked into: nobody knows what it lacks.
        let empty_mounts = self.job.setup.policy.selection.links.empty_mounts;
        if empty_mounts && listing.entries.is_empty() && !listing.path.is_root() {
            return Knowledge::Incomplete;
        }
        self.above.last().map_or(Knowledge::Complete, |above| above.knowledge)
    }

    /// Keeps what is extra in a directory from which nothing can be moved to the trash.
    fn keep(&self, rules: &Rules<'_>, path: &RelPath, mut extras: Vec<Extra>) -> Vec<Extra> {
        if deletes(rules.policy) && !extras.is_empty() {
            for extra in extras.iter_mut().filter(|extra| extra.kept.is_none()) {
                extra.kept = Some(Kept::Mount);
            }
            self.job.tell_out_of_reach(path);
        }
        extras
    }

    /// Follows what is extra in a directory to the bottom.
    fn follow(
        &mut self,
        rules: &Rules<'_>,
        folder: &Arc<Folder>,
        extras: Vec<Extra>,
    ) -> Result<(), Refusal> {
        if extras.is_empty() {
            return Ok(());
        }
        let at = Find { dir: folder.id, path: &folder.path };
        let mut lister = Lister { job: self.job };
        let mut sink = self.removals.sink(self.job, folder, &mut self.name);
        let census =
            purge::find(rules, at, extras, &mut lister, &mut sink).map_err(Refusal::from_spool)?;
        drop(sink);
        self.removals.count(census);
        Ok(())
    }

    /// The directory that holds the one that is planned; what is not above that is released already.
    fn parent(&self) -> Option<Arc<Folder>> {
        self.above.last().map(|open| Arc::clone(&open.folder))
    }
}
