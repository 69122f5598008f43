//! What the sender has listed and the agent has not settled yet: the files it may ask for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quicopy_engine::scan::ScannedDir;
use quicopy_engine::source::OfferedFile;
use quicopy_protocol::meta::{DirId, EntryId, Kind};
use quicopy_protocol::path::RelPath;

/// A directory that was listed.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) id: DirId,
    pub(super) scanned: ScannedDir,
}

impl Offer {
    /// The file at an index, as it was listed; `None` for what is no file, is left out or does not exist.
    pub(super) fn file(&self, index: u32) -> Option<OfferedFile> {
        let scanned = self.scanned.entries.get(usize::try_from(index).ok()?)?;
        let entry = &scanned.entry;
        if entry.kind != Kind::File || entry.skip.is_some() {
            return None;
        }
        let path = self.scanned.path.join(&entry.name).ok()?;
        Some(OfferedFile { path, meta: entry.meta, identity: scanned.identity })
    }
}

/// The directories that are not settled, from the oldest on. The session machine bounds how many there may be.
#[derive(Debug, Default)]
pub(super) struct Offers(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    first: u64,
    offers: VecDeque<Arc<Offer>>,
}

impl Offers {
    /// Adds the next directory of the scan.
    pub(super) fn add(&self, scanned: ScannedDir) -> Arc<Offer> {
        let mut held = self.held();
        let id = DirId(held.first + held.offers.len() as u64);
        let offer = Arc::new(Offer { id, scanned });
        held.offers.push_back(Arc::clone(&offer));
        offer
    }

    /// The directory with that number, if it is listed and not settled.
    pub(super) fn find(&self, dir: DirId) -> Option<Arc<Offer>> {
        let held = self.held();
        let at = usize::try_from(dir.0.checked_sub(held.first)?).ok()?;
        held.offers.get(at).cloned()
    }

    /// The file that an entry names.
    pub(super) fn file(&self, entry: EntryId) -> Option<OfferedFile> {
        self.find(entry.dir)?.file(entry.index)
    }

    /// The path of what an entry names, whatever it is.
    pub(super) fn path(&self, entry: EntryId) -> Option<RelPath> {
        let offer = self.find(entry.dir)?;
        let scanned = offer.scanned.entries.get(usize::try_from(entry.index).ok()?)?;
        offer.scanned.path.join(&scanned.entry.name).ok()
    }

    /// Forgets all directories before `dir`.
    pub(super) fn settle(&self, dir: DirId) {
        let mut held = self.held();
        while held.first < dir.0 && held.offers.pop_front().is_some() {
            held.first += 1;
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
