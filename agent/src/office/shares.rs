//! The shares' folders: each opened once, and known again.

use std::io;
use std::sync::{Arc, PoisonError};

use quicopy_engine::disk::{Share as Folder, ShareError as FolderError, ShareId};
use quicopy_engine::index::Index;
use quicopy_protocol::text::with_causes;

use super::Office;
use crate::share::Share;
use crate::share_id::ShareOffline;
use crate::state;

/// A share that is there and is the one that it was.
#[derive(Clone, Debug)]
pub struct OpenShare {
    /// Its folder.
    pub folder: Arc<Folder>,
    /// What earlier jobs have left in it; `None` if that cannot be read, which costs speed and the knowledge of
    /// conflicts.
    pub index: Option<Arc<Index>>,
    /// Smallest step of a time that it keeps, in nanoseconds.
    pub time_step_nanos: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Memory {
    index: Option<Arc<Index>>,
    time_step_nanos: u32,
}
impl Office {
    /// The share of that name, in any case of its letters: that is how Windows' shares are found.
    pub fn share(&self, name: &str) -> Option<&Share> {
        self.shares.iter().find(|share| share.name.as_str().eq_ignore_ascii_case(name))
    }

    /// Opens a share's folder, or gives the one that is open: its private folder can be held once only.
    ///
    /// # Errors
    /// The folder is gone.
    pub fn folder(&self, share: &Share) -> Result<Arc<Folder>, FolderError> {
        let now = Folder::open(&share.path)?;
        let place = |folder: &Folder| (folder.root().device(), folder.root().inode());
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        match folders.get(&share.name) {
            Some(held) if place(held) == place(&now) => Ok(Arc::clone(held)),
            // Another disk was mounted there. Jobs on the old one keep it until they end.
            Some(_) | None => {
                let now = Arc::new(now);
                folders.insert(share.name.clone(), Arc::clone(&now));
                Ok(now)
            }
        }
    }

    /// Opens a share's folder for a job, and makes sure that it is the one that it was.
    ///
    /// # Errors
    /// It is not, or it cannot be opened: no job may touch it.
    pub fn online(&self, share: &Share) -> Result<OpenShare, ShareOffline> {
        let folder = self.folder(share).map_err(|error| ShareOffline::folder(share, error))?;
        let id = self.known_shares.admit(share, &folder)?;
        // Held by another process, it is not ours to write.
        folder.private().map_err(|error| ShareOffline::folder(share, error))?;
        if folder.is_degraded() {
            return Err(ShareOffline::Degraded { name: share.name.clone() });
        }
        let Memory { index, time_step_nanos } = self.memory(share, id, &folder);
        Ok(OpenShare { folder, index, time_step_nanos })
    }

    /// What goes with a share's id, since another disk holds other files: found out once.
    fn memory(&self, share: &Share, id: ShareId, folder: &Folder) -> Memory {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        let found = memories.entry(id).or_insert_with(|| {
            let index = self.open_index(id).inspect_err(|error| {
                tracing::warn!("share {}: no memory of earlier jobs: {error}", share.name);
            });
            let time_step_nanos = quicopy_engine::destination::time_step_nanos(folder, true);
            Memory { index: index.ok(), time_step_nanos }
        });
        found.clone()
    }

    fn open_index(&self, id: ShareId) -> io::Result<Arc<Index>> {
        let file = state::open_for_change(&self.dir, &format!("index-{id}.redb"))?;
        let index = Index::open(file).map_err(|error| io::Error::other(with_causes(&error)))?;
        Ok(Arc::new(index))
    }
}
