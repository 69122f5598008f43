//! What the shares keep of what was deleted: shown, given back, thrown away.

use quicopy_engine::trash::FindError;
use quicopy_protocol::text::with_causes;

use super::{Office, OfficeError};
use crate::request::{Emptied, Reply, TrashList};
use crate::share::{Share, ShareName};
use crate::trash::{self, RestoreRefused, Restoring};

impl Office {
    /// The share of that name, or all of them.
    fn chosen(&self, name: Option<&ShareName>) -> Result<Vec<&Share>, OfficeError> {
        match name {
            Some(name) => Ok(vec![self.find(name)?]),
            None => Ok(self.shares.iter().collect()),
        }
    }

    pub(super) fn list_trash(&self, name: Option<&ShareName>) -> Result<Reply, OfficeError> {
        let mut list = TrashList::default();
        for share in self.chosen(name)? {
            let listed = self.online(share).map_err(|error| with_causes(&error)).and_then(|open| {
                trash::list(&share.name, &open.folder, &mut list)
                    .map_err(|error| format!("share {}: {error}", share.name))
            });
            list.notes.extend(listed.err());
        }
        Ok(Reply::Trash(list))
    }

    /// Finds what `id` means in the trash of one share, or of the first that has such a thing.
    ///
    /// # Errors
    /// No share has it, or it means several things.
    pub(crate) fn find_in_trash(
        &self,
        id: &str,
        to: Option<&str>,
        name: Option<&ShareName>,
    ) -> Result<Restoring, OfficeError> {
        let mut last = OfficeError::Restore(FindError::Unknown(id.to_owned()).into());
        for share in self.chosen(name)? {
            let found = self.online(share).map_err(OfficeError::from).and_then(|open| {
                Ok(Restoring::find(&share.name, &open.folder, open.index, id, to)?)
            });
            match found {
                Err(OfficeError::Restore(RestoreRefused::Find(FindError::Unknown(_)))) => {}
                // Another share may have it.
                Err(OfficeError::Restore(RestoreRefused::Find(
                    source @ (FindError::Disk(_) | FindError::Unread { .. }),
                ))) => last = OfficeError::Trash { name: share.name.clone(), source },
                Err(error @ OfficeError::Share(_)) => last = error,
                found => return found,
            }
        }
        Err(last)
    }

    pub(super) fn empty_trash(
        &self,
        name: Option<&ShareName>,
        older_days: u16,
    ) -> Result<Reply, OfficeError> {
        let mut emptied = Emptied::default();
        for share in self.chosen(name)? {
            let open = match self.online(share) {
                Ok(open) => open,
                Err(offline) => {
                    emptied.refused.push(with_causes(&offline));
                    continue;
                }
            };
            if let Err(error) = trash::empty(&share.name, &open.folder, older_days, &mut emptied) {
                emptied.refused.push(format!("share {}: {error}", share.name));
            }
        }
        Ok(Reply::Emptied(emptied))
    }
}
