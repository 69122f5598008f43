//! Metadata of files whose content stays (`/IT`, `/SECFIX`, `/TIMFIX`, `/COPY` without D).

use quicopy_protocol::code::Operation;
use quicopy_protocol::meta::{Attribute, Kind};
use quicopy_protocol::options::{CopyFlags, JobPolicy};
use quicopy_protocol::verdict::{Origins, OutcomeResult};

use super::job::Job;
use super::presence;
use super::setup::Setup;
use super::work::{Task, Work};
use crate::commit::CommitError;
use crate::compare::classify;
use crate::disk::metadata::{DosChange, Scope};
use crate::disk::{DirHandle, MetaChange};
use crate::fault::Fault;
use crate::plan::fixed_parts;

/// What is to be set on a file.
#[derive(Default)]
struct Setting {
    parts: CopyFlags,
    dos: DosChange,
}

impl Setting {
    /// All that is copied where the file is restamped, else what the plan found to fix.
    fn of(setup: &Setup, work: &Work) -> Self {
        let (entry, policy, tolerances) = (&work.entry, &setup.policy, setup.tolerances());
        let Some(there) = &work.present else { return Self::default() };
        let class = classify(entry, Some(there), &tolerances, policy.copy);
        if policy.restamps(class) {
            return Self { parts: policy.copy, dos: listed_attributes(policy, work) };
        }
        let parts = fixed_parts(policy, &tolerances, class, &entry.meta, there);
        let dos = match parts.attributes {
            true => after_source(DosChange::default(), work),
            false => DosChange::default(),
        };
        Self { parts, dos }
    }
}

/// Whether the source must be asked for what no listing shows: access lists.
pub(super) fn asks_attributes(setup: &Setup, work: &Work) -> bool {
    work.entry.kind == Kind::File && setup.rights.owner && Setting::of(setup, work).parts.security
}

/// Sets what the job asks for on a file whose content stays. Access lists are left alone without `attributes`.
pub(super) fn fix(job: &Job, work: &Work, attributes: Option<&[Attribute]>) -> Result<(), Fault> {
    let dir = job.open(&work.folder);
    let dir = dir.map_err(|error| Fault::of(Operation::AccessDestinationDirectory, &error))?;
    let Setting { parts, dos } = Setting::of(&job.setup, work);
    let change = MetaChange::new(&work.entry.meta, parts, job.setup.rights.owner);
    let change = MetaChange { scope: Scope::AccessLists, dos, ..change };
    if change.is_empty() && attributes.is_none() {
        return Ok(());
    }
    check_unchanged(&dir, work)?;
    let name = &work.entry.name;
    let fault = |error: std::io::Error| Fault::of(Operation::ChangeAttributes, &error);
    let ignored = dir.set_meta(name, &change, attributes).map_err(fault)?;
    job.tell_ignored(&ignored);
    job.note_change();
    if let (Some(path), Ok(Some(stat))) = (work.path(), dir.stat(name)) {
        job.remember(path, &stat);
    }
    Ok(())
}

/// What becomes of an entry whose metadata is set.
pub(super) fn outcome(work: &Work) -> OutcomeResult {
    match &work.task {
        Task::Restamp(_) => OutcomeResult::Done(Origins::default()),
        Task::Copy(_) | Task::Check(_) | Task::Fix(_) | Task::Refuse(_) => OutcomeResult::Unchanged,
    }
}

/// How the DOS attributes of an entry change whose content, with which they come along, does not travel.
pub(super) fn listed_attributes(policy: &JobPolicy, work: &Work) -> DosChange {
    let change = DosChange { add: policy.attributes_add, remove: policy.attributes_remove };
    if policy.copy.attributes { after_source(change, work) } else { change }
}

/// A change that makes the DOS attributes those of the source first, if they were listed.
fn after_source(change: DosChange, work: &Work) -> DosChange {
    let there = work.present.as_ref().and_then(|there| there.attributes);
    match work.entry.meta.attributes {
        Some(source) => change.after(source, there.unwrap_or_default()),
        None => change,
    }
}

fn check_unchanged(dir: &DirHandle, work: &Work) -> Result<(), Fault> {
    let name = &work.entry.name;
    let found = dir.stat(name).map_err(|error| Fault::of(Operation::ChangeAttributes, &error))?;
    let now = found.map(|stat| presence::present(dir, name, &stat));
    match work.present.as_ref().zip(now) {
        Some((planned, now)) if planned.is_unchanged(&now) => Ok(()),
        _ => Err(Fault::lasting(CommitError::Changed.failure())),
    }
}
