//! A directory itself, and what its sender leaves out of it.

use quicopy_protocol::code::Failure;
use quicopy_protocol::meta::{Entry, Kind, Skip};
use quicopy_protocol::path::{Name, RelPath};
use quicopy_protocol::verdict::DirState;

use super::{Accounts, Tell, error, is_file};
use crate::report::{Column, DirectoryClass, ReportEvent};
use crate::run::offers::Offer;

impl Accounts {
    /// Counts a directory itself, and what its sender leaves out.
    pub(super) fn enter(&mut self, offer: &Offer, state: &DirState, tell: Tell<'_>) {
        let scanned = &offer.scanned;
        // One that was not read to its end is a failure, and nothing else besides.
        let unread = scanned.failure.as_ref().map(|_| Column::Failed);
        let (class, column) = match state {
            DirState::Existing => {
                // An earlier attempt may have made it without having had the time to say so.
                let is_made = self.told.begun.remove(&scanned.path);
                let column = if is_made { Column::Copied } else { Column::Skipped };
                (DirectoryClass::Existing, unread.unwrap_or(column))
            }
            DirState::New => (DirectoryClass::New, unread.unwrap_or(Column::Copied)),
            DirState::Deferred => {
                let column = unread.unwrap_or(Column::Skipped);
                self.making.defer(scanned.path.clone(), column);
                (DirectoryClass::New, column)
            }
            // Counted with its name in the directory above.
            DirState::Avoided => return,
            DirState::Failed(failure) => {
                self.counted.summary.dirs.add(Column::Failed, 1);
                tell(error(failure, &scanned.path));
                return;
            }
        };
        self.counted.summary.dirs.add(column, 1);
        let files = scanned.entries.iter().filter(|scanned| {
            is_file(&scanned.entry.kind) && self.filter.file_included(&scanned.entry.name)
        });
        let files = files.count() as u64;
        tell(ReportEvent::Directory { path: scanned.path.clone(), class, files });
        if let Some(failure) = &scanned.failure {
            tell(error(failure, &scanned.path));
        }
        for scanned_entry in &scanned.entries {
            let entry = &scanned_entry.entry;
            if let Some(skip) = entry.skip {
                let path = place(&scanned.path, &entry.name);
                self.skipped(entry, skip, path, tell);
            }
        }
        for (index, failure) in &scanned.failures {
            let Some(entry) = scanned.entries.get(*index as usize) else { continue };
            let name = &entry.entry.name;
            match scanned.path.join(name) {
                Ok(path) => tell(error(failure, &path)),
                // A path beyond the limits is named by its directory and its last name.
                Err(_) => {
                    let reason = format!("{name} in it: {}", failure.reason);
                    let failure = Failure::new(failure.operation, failure.windows_code, reason);
                    tell(error(&failure, &scanned.path));
                }
            }
        }
    }

    fn skipped(&mut self, entry: &Entry, reason: Skip, path: RelPath, tell: Tell<'_>) {
        let is_dir = entry.kind == Kind::Directory;
        let column = match reason {
            Skip::Unreadable => Column::Failed,
            // Without /S and /E, and below the last level, directories take no part.
            Skip::TooDeep => return,
            Skip::Named if !is_dir && !self.filter.file_included(&entry.name) => return,
            Skip::Special => {
                return tell(ReportEvent::Notice(format!(
                    "{path}: a device, socket or pipe is not copied"
                )));
            }
            Skip::Reserved => {
                return tell(ReportEvent::Notice(format!(
                    "{path}: the name is kept for quicopy's own files and is not copied"
                )));
            }
            Skip::Loop => {
                tell(ReportEvent::Notice(format!(
                    "{path}: leads back to a directory above it and is not entered"
                )));
                Column::Skipped
            }
            Skip::Named
            | Skip::Large
            | Skip::Small
            | Skip::Attributes
            | Skip::Archive
            | Skip::TooOld
            | Skip::TooNew
            | Skip::Link => Column::Skipped,
        };
        if is_dir {
            self.counted.summary.dirs.add(column, 1);
        } else {
            self.counted.summary.add_file(column, entry.meta.size_bytes);
        }
        if reason != Skip::Unreadable {
            let size_bytes = if is_dir { 0 } else { entry.meta.size_bytes };
            let modified = entry.meta.modified;
            tell(ReportEvent::Skipped { path, is_dir, reason, size_bytes, modified });
        }
    }
}

/// An entry's path, or that of its directory if its own is beyond the limits.
fn place(dir: &RelPath, name: &Name) -> RelPath {
    dir.join(name).unwrap_or_else(|_| dir.clone())
}
