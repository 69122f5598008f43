//! Metadata of files that are not copied (`/SECFIX`, `/TIMFIX`).

use quicopy_protocol::code::Operation;
use quicopy_protocol::meta::Attribute;
use quicopy_protocol::options::CopyFlags;

use super::job::Job;
use super::presence;
use super::setup::Setup;
use super::work::Work;
use crate::commit::CommitError;
use crate::compare::classify;
use crate::disk::metadata::Scope;
use crate::disk::{DirHandle, MetaChange};
use crate::fault::Fault;
use crate::plan::fixed_parts;

/// Whether the source must be asked for what no listing shows: access lists.
pub(super) fn asks_attributes(setup: &Setup, work: &Work) -> bool {
    parts(setup, work).security && setup.rights.owner
}

/// Sets what the job fixes on a file that stays. Access lists are left alone without `attributes`.
pub(super) fn fix(job: &Job, work: &Work, attributes: Option<&[Attribute]>) -> Result<(), Fault> {
    let dir = job.open(&work.folder);
    let dir = dir.map_err(|error| Fault::of(Operation::AccessDestinationDirectory, &error))?;
    let (parts, may_own) = (parts(&job.setup, work), job.setup.rights.owner);
    let change = MetaChange::new(&work.entry.meta, parts, may_own);
    let change = MetaChange { scope: Scope::AccessLists, ..change };
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

/// What the plan found to fix on the file.
fn parts(setup: &Setup, work: &Work) -> CopyFlags {
    let (entry, policy) = (&work.entry, &setup.policy);
    let Some(there) = &work.present else { return CopyFlags::NONE };
    let tolerances = setup.tolerances();
    let class = classify(entry, Some(there), &tolerances, policy.copy);
    fixed_parts(policy, &tolerances, class, &entry.meta, there)
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
