//! What the sender has listed and the agent has not settled yet: the files it may ask for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quicopy_engine::scan::ScannedDir;
use quicopy_engine::source::{Identity, OfferedFile};
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
    /// How many names each file has in them, by device and number; in jobs that move.
    names: Option<HashMap<(u64, u64), u32>>,
}

impl Held {
    fn count(&mut self, scanned: &ScannedDir, count: impl Fn(u32) -> u32) {
        let Some(names) = &mut self.names else { return };
        let files = scanned
            .entries
            .iter()
            .filter(|scanned| scanned.entry.kind == Kind::File && scanned.entry.skip.is_none());
        for Identity { device, inode, .. } in files.map(|scanned| &scanned.identity) {
            let names_of = names.entry((*device, *inode)).or_default();
            *names_of = count(*names_of);
            if *names_of == 0 {
                names.remove(&(*device, *inode));
            }
        }
    }

    fn names_of(&self, file: &Identity) -> u32 {
        let names = self.names.as_ref().and_then(|names| names.get(&(file.device, file.inode)));
        names.copied().unwrap_or_default()
    }
}

impl Offers {
    /// None yet. A job that moves must know which files can be reached under several names, as through a link.
    pub(super) fn new(moves: bool) -> Self {
        let names = moves.then(HashMap::new);
        Self(Mutex::new(Held { names, ..Held::default() }))
    }

    /// Adds the next directory of the scan.
    pub(super) fn add(&self, scanned: ScannedDir) -> Arc<Offer> {
        let mut held = self.held();
        let id = DirId(held.first + held.offers.len() as u64);
        held.count(&scanned, |names| names + 1);
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
        while held.first < dir.0
            && let Some(offer) = held.offers.pop_front()
        {
            held.count(&offer.scanned, |names| names - 1);
            held.first += 1;
        }
    }

    /// Whether a file has a name among what is not settled.
    pub(super) fn has_name(&self, file: &Identity) -> bool {
        self.held().names_of(file) > 0
    }

    /// Whether a file that is not settled has another name there.
    pub(super) fn has_other_name(&self, file: &Identity) -> bool {
        self.held().names_of(file) > 1
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
