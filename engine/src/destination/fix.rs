//! Metadata of files whose content stays (`/IT`, `/SECFIX`, `/TIMFIX`, `/COPY` without D).

use quicopy_protocol::code::Operation;
use quicopy_protocol::meta::{Attribute, Kind};
use quicopy_protocol::options::{CopyFlags, JobPolicy};
use quicopy_protocol::verdict::{FileClass, Origins, OutcomeResult};

use super::job::Job;
use super::presence;
use super::setup::Setup;
use super::work::{Task, Work};
use crate::commit::CommitError;
use crate::compare::classify;
use crate::disk::metadata::{DosChange, Scope};
use crate::disk::{DirHandle, MetaChange};
use crate::fault::Fault;
use crate::plan::{fixed_parts, restamps};

/// Whether the source must be asked for what no listing shows: access lists.
pub(super) fn asks_attributes(setup: &Setup, work: &Work) -> bool {
    parts(setup, work).security && setup.rights.owner && work.entry.kind == Kind::File
}

/// Sets what the job asks for on a file whose content stays. Access lists are left alone without `attributes`.
pub(super) fn fix(job: &Job, work: &Work, attributes: Option<&[Attribute]>) -> Result<(), Fault> {
    let dir = job.open(&work.folder);
    let dir = dir.map_err(|error| Fault::of(Operation::AccessDestinationDirectory, &error))?;
    let (parts, may_own) = (parts(&job.setup, work), job.setup.rights.owner);
    let policy = &job.setup.policy;
    let dos = match class(&job.setup, work).is_some_and(|class| restamps(policy, class)) {
        true => listed_attributes(policy, work),
        false if parts.attributes => dos_change(work),
        false => DosChange::default(),
    };
    let change = MetaChange::new(&work.entry.meta, parts, may_own);
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

/// How the DOS attributes of an entry change whose content, with which they come along, does not travel: the listing has them.
pub(super) fn listed_attributes(policy: &JobPolicy, work: &Work) -> DosChange {
    let change = DosChange { add: policy.attributes_add, remove: policy.attributes_remove };
    match work.entry.meta.attributes {
        Some(source) if policy.copy.attributes => {
            let there = work.present.as_ref().and_then(|there| there.attributes);
            change.after(source, there.unwrap_or_default())
        }
        _ => change,
    }
}

/// What is to be set on the file: all that is copied where it is restamped, else what the plan found to fix.
fn parts(setup: &Setup, work: &Work) -> CopyFlags {
    let (entry, policy) = (&work.entry, &setup.policy);
    let (Some(there), Some(class)) = (&work.present, class(setup, work)) else {
        return CopyFlags::NONE;
    };
    match restamps(policy, class) {
        true => policy.copy,
        false => fixed_parts(policy, &setup.tolerances(), class, &entry.meta, there),
    }
}

/// How the file differs, but for its content.
fn class(setup: &Setup, work: &Work) -> Option<FileClass> {
    let there = work.present.as_ref()?;
    Some(classify(&work.entry, Some(there), &setup.tolerances(), setup.policy.copy))
}

/// What makes the DOS attributes those of the source, as far as both were listed.
fn dos_change(work: &Work) -> DosChange {
    let there = work.present.as_ref().and_then(|there| there.attributes);
    match (work.entry.meta.attributes, there) {
        (Some(source), Some(there)) => DosChange::default().after(source, there),
        (None, _) | (_, None) => DosChange::default(),
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
