//! Metadata of files that are not copied (`/SECFIX`, `/TIMFIX`).

use std::cmp::Ordering;

use quicopy_protocol::code::Operation;
use quicopy_protocol::meta::Attribute;
use quicopy_protocol::options::{CopyFlags, JobPolicy};

use super::job::Job;
use super::presence;
use super::setup::Setup;
use super::work::Work;
use crate::disk::metadata::{MODE_MAX, Scope};
use crate::disk::{DirHandle, MetaChange};
use crate::fault::Fault;

/// Whether the source must be asked for what no listing shows: access lists.
pub(super) fn asks_attributes(setup: &Setup) -> bool {
    let JobPolicy { fix, copy, .. } = &setup.policy;
    fix.security && copy.security && setup.rights.owner
}

/// Sets what the job fixes on a file that stays. Access lists are left alone without `attributes`.
pub(super) fn fix(job: &Job, work: &Work, attributes: Option<&[Attribute]>) -> Result<(), Fault> {
    let dir = job.open(&work.folder);
    let dir = dir.map_err(|error| Fault::of(Operation::AccessDestinationDirectory, &error))?;
    let change = change(&job.setup, work);
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

/// What differs of what the job fixes on a file. Its time only where it looks the same, see the plan.
fn change(setup: &Setup, work: &Work) -> MetaChange {
    let JobPolicy { fix, copy, .. } = &setup.policy;
    let Some(there) = &work.present else { return MetaChange::default() };
    let meta = &work.entry.meta;
    let looks_same = there.size_bytes == meta.size_bytes
        && setup.tolerances().compare(meta.modified, there.modified) == Ordering::Equal;
    let other_mode = (meta.mode ^ there.mode) & MODE_MAX != 0;
    let other_owner = (meta.owner, meta.group) != (there.owner, there.group);
    let flags = CopyFlags {
        attributes: fix.security && copy.attributes && other_mode,
        owner: fix.security && copy.owner && other_owner,
        times: fix.times && looks_same && meta.modified != there.modified,
        ..CopyFlags::NONE
    };
    MetaChange { scope: Scope::AccessLists, ..MetaChange::new(meta, flags, setup.rights.owner) }
}

fn check_unchanged(dir: &DirHandle, work: &Work) -> Result<(), Fault> {
    let name = &work.entry.name;
    let found = dir.stat(name).map_err(|error| Fault::of(Operation::ChangeAttributes, &error))?;
    let now = found.map(|stat| presence::present(dir, name, &stat));
    match work.present.as_ref().zip(now) {
        Some((planned, now)) if planned.is_unchanged(&now) => Ok(()),
        _ => Err(Fault::lasting(presence::changed_meanwhile())),
    }
}
