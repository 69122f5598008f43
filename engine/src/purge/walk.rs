//! Extra trees, walked to the bottom: what may go, what stays, and in which order.

use std::convert::Infallible;

use quicopy_protocol::meta::DirId;
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::{ExtraEntry, Kept};

use super::guard::Census;
use super::record::{DirectoryRemovals, RECORD_ENTRIES_MAX, RemovalEntry};
use crate::compare::{Listed, NameKey, Present};
use crate::plan::{Extra, Place, Rules, Site, deletes};

/// Lines of the report that wait until it is known whether the directories above them stay.
const LINES_WAITING_MAX: usize = 4096;

/// Lists directories of the destination, never through a link and never across a mount.
pub trait TreeLister {
    /// What a directory holds, in any order; `None` when it could not be read to its end, of which the lister has told.
    fn list(&mut self, dir: &RelPath) -> Option<Vec<Listed>>;
}

/// Takes what a walk finds.
pub trait ExtraSink {
    /// Why it can take no more.
    type Error;

    /// Takes a line of the report; a directory comes before what it holds.
    ///
    /// # Errors
    /// The walk ends with this error.
    fn report(&mut self, entry: ExtraEntry) -> Result<(), Self::Error>;

    /// Takes entries that may go; what a directory holds comes before the directory.
    ///
    /// # Errors
    /// The walk ends with this error.
    fn remove(&mut self, removals: DirectoryRemovals) -> Result<(), Self::Error>;
}

/// A directory that both sides have, in which something extra was found.
#[derive(Clone, Copy, Debug)]
pub struct Find<'a> {
    /// Its number.
    pub dir: DirId,
    /// Its path below the job's root.
    pub path: &'a RelPath,
}

/// Follows the extras of one directory to their bottoms.
///
/// Without deletions the extras are reported and not looked into. With them, all below an extra directory is extra too,
/// except what is excluded by name, in conflict (as the policy says), or mounted: that stays, and so do the directories
/// above it, as [`Kept::HoldsKept`]. Links are never followed.
///
/// Returns what is to be deleted, and what the walk saw below the extra directories.
///
/// # Errors
/// Those of the sink.
pub fn find<S: ExtraSink>(
    rules: &Rules<'_>,
    at: Find<'_>,
    extras: Vec<Extra>,
    lister: &mut dyn TreeLister,
    sink: &mut S,
) -> Result<Census, S::Error> {
    let mut walk = Walk::new(rules, at.dir, lister, sink);
    let mut entries = Vec::new();
    for extra in extras {
        if let Ok(path) = at.path.join(&extra.listed.name) {
            walk.extra(path, &extra, &mut entries)?;
        }
    }
    walk.flush_lines()?;
    walk.remove(at.path, entries)?;
    Ok(walk.census)
}

/// Asks whether a directory that is to give way to a file or link may go with its whole tree.
///
/// `Ok` counts what would go, the directory included; `Err` says why it must stay.
///
/// # Errors
/// Something in it is protected or could not be read.
pub fn survey(
    rules: &Rules<'_>,
    path: &RelPath,
    directory: &Present,
    lister: &mut dyn TreeLister,
) -> Result<Census, Kept> {
    debug_assert!(directory.is_dir(), "only a directory has a tree");
    let mut sink = Ignore;
    let mut walk = Walk::new(rules, DirId(0), lister, &mut sink);
    let Ok(kept) = walk.contents(path);
    walk.census.extra_entries += 1;
    match kept {
        Some(kept) => Err(kept),
        None => Ok(walk.census),
    }
}

struct Ignore;

impl ExtraSink for Ignore {
    type Error = Infallible;

    fn report(&mut self, _entry: ExtraEntry) -> Result<(), Infallible> {
        Ok(())
    }

    fn remove(&mut self, _removals: DirectoryRemovals) -> Result<(), Infallible> {
        Ok(())
    }
}

struct Walk<'a, S> {
    rules: &'a Rules<'a>,
    found_under: DirId,
    lister: &'a mut dyn TreeLister,
    sink: &'a mut S,
    census: Census,
    lines: Vec<ExtraEntry>,
    lines_gone: usize,
}

impl<'a, S: ExtraSink> Walk<'a, S> {
    fn new(
        rules: &'a Rules<'a>,
        found_under: DirId,
        lister: &'a mut dyn TreeLister,
        sink: &'a mut S,
    ) -> Self {
        let census = Census::default();
        Self { rules, found_under, lister, sink, census, lines: Vec::new(), lines_gone: 0 }
    }

    /// Looks at one entry, adds it to `entries` if it may go, and says whether it stays.
    fn extra(
        &mut self,
        path: RelPath,
        extra: &Extra,
        entries: &mut Vec<RemovalEntry>,
    ) -> Result<bool, S::Error> {
        let Listed { name, present } = &extra.listed;
        let line = self.add_line(extra.entry(path.clone()))?;
        if extra.kept.is_some() {
            return Ok(true);
        }
        if present.is_dir()
            && deletes(self.rules.policy)
            && let Some(kept) = self.contents(&path)?
        {
            if !self.label(line, kept) {
                entries.push(RemovalEntry::new(name, present, Some(kept)));
            }
            return Ok(true);
        }
        self.census.extra_entries += 1;
        self.census.extra_files += u64::from(!present.is_dir());
        if deletes(self.rules.policy) {
            entries.push(RemovalEntry::new(name, present, None));
        }
        Ok(false)
    }

    /// Walks what an extra directory holds; says why the directory must stay, if it must.
    fn contents(&mut self, dir: &RelPath) -> Result<Option<Kept>, S::Error> {
        let Some(mut listing) = self.lister.list(dir) else {
            return Ok(Some(Kept::Unreadable));
        };
        // Files first: their lines then stand below the line of the directory that holds them.
        listing.sort_by(|a, b| order(a).cmp(&order(b)));
        listing.dedup_by(|a, b| NameKey::of(&a.name) == NameKey::of(&b.name));

        let mut entries = Vec::new();
        let mut stays = false;
        for listed in listing {
            // What has no valid path cannot be named to anybody, so it stays.
            let Ok(path) = dir.join(&listed.name) else {
                stays = true;
                continue;
            };
            let is_dir = listed.present.is_dir();
            let site = Site { path: dir, place: Place::ExtraTree };
            let Some(extra) = Extra::judge(self.rules, site, listed) else {
                stays = true;
                continue;
            };
            self.census.destination_entries += 1;
            self.census.destination_files += u64::from(!is_dir);
            stays |= self.extra(path, &extra, &mut entries)?;
        }
        self.remove(dir, entries)?;
        Ok(stays.then_some(Kept::HoldsKept))
    }

    fn remove(&mut self, path: &RelPath, mut entries: Vec<RemovalEntry>) -> Result<(), S::Error> {
        while !entries.is_empty() {
            let rest = entries.split_off(entries.len().min(RECORD_ENTRIES_MAX));
            self.sink.remove(DirectoryRemovals {
                found_under: self.found_under,
                path: path.clone(),
                entries,
            })?;
            entries = rest;
        }
        Ok(())
    }

    /// Puts a line at the end of the report and gives its number.
    fn add_line(&mut self, entry: ExtraEntry) -> Result<usize, S::Error> {
        if self.lines.len() == LINES_WAITING_MAX {
            self.flush_lines()?;
        }
        self.lines.push(entry);
        Ok(self.lines_gone + self.lines.len() - 1)
    }

    /// Marks a directory as staying; says whether its line was still here.
    fn label(&mut self, line: usize, kept: Kept) -> bool {
        let waiting = line.checked_sub(self.lines_gone).and_then(|at| self.lines.get_mut(at));
        waiting.map(|entry| entry.kept = Some(kept)).is_some()
    }

    fn flush_lines(&mut self) -> Result<(), S::Error> {
        self.lines_gone += self.lines.len();
        self.lines.drain(..).try_for_each(|entry| self.sink.report(entry))
    }
}

fn order(listed: &Listed) -> (bool, NameKey<'_>) {
    (listed.present.is_dir(), NameKey::of(&listed.name))
}
