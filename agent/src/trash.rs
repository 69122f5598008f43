//! The trash of shares, as an administrator sees it: listing, giving back, emptying.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use quicopy_engine::disk::Share as Folder;
use quicopy_engine::index::Index;
use quicopy_engine::trash::{self, Damaged, FindError, Finding, Found, Seen};
use quicopy_protocol::path::RelPath;
use quicopy_protocol::text::with_causes;

use crate::request::{Emptied, Restored, TrashList, TrashRecord};
use crate::share::ShareName;

/// Things that one list names: a screenful a hundred times over, and a small part of the longest reply.
const ITEMS_MAX: usize = 10_000;

/// What is to be given back, and where.
#[derive(Debug)]
pub(crate) struct Restoring {
    /// The share's name.
    pub(crate) share: ShareName,
    /// Its folder.
    pub(crate) folder: Arc<Folder>,
    /// What jobs have left in it.
    pub(crate) index: Option<Arc<Index>>,
    /// Each thing, with where it goes.
    pub(crate) things: Vec<(Found, RelPath)>,
    /// What of the same job cannot be read.
    pub(crate) unread: Vec<Damaged>,
}

/// Why nothing can be given back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreRefused {
    /// No such thing.
    #[error(transparent)]
    Find(#[from] FindError),
    /// Not a path below the share.
    #[error(
        "{0:?} is not a path below the share's root; write it without a slash in front, and without .."
    )]
    BadPlace(String),
    /// Several things, one place.
    #[error("{0} is a job that left several things; --to takes one of them")]
    OnePlace(String),
}

impl Restoring {
    /// Finds what `id` means in a share's trash.
    pub(crate) fn find(
        share: &ShareName,
        folder: &Arc<Folder>,
        index: Option<Arc<Index>>,
        id: &str,
        to: Option<&str>,
    ) -> Result<Self, RestoreRefused> {
        let to = to.map(|to| {
            RelPath::parse(to.as_bytes()).map_err(|_| RestoreRefused::BadPlace(to.to_owned()))
        });
        let to = to.transpose()?;
        let Finding { found, unread } = trash::find(folder, id)?;
        if to.is_some() && found.len() > 1 {
            return Err(RestoreRefused::OnePlace(id.to_owned()));
        }
        let place = |found: &Found| to.clone().unwrap_or_else(|| found.path.clone());
        let things = found.into_iter().map(|found| (place(&found), found));
        let things = things.map(|(place, found)| (found, place)).collect();
        Ok(Self { share: share.clone(), folder: Arc::clone(folder), index, things, unread })
    }

    /// The one directory of the share, or file, that is changed.
    pub(crate) fn tree(&self) -> RelPath {
        match &*self.things {
            [(_, place)] => place.clone(),
            _ => RelPath::ROOT,
        }
    }

    /// Gives everything back that can be.
    pub(crate) fn carry_out(&self) -> Restored {
        let refused = self.unread.iter().map(|damaged| in_share(&self.share, damaged)).collect();
        let mut restored = Restored { refused, ..Restored::default() };
        let mut back = Vec::new();
        for (found, place) in &self.things {
            match trash::restore(&self.folder, found, place) {
                Ok(()) => {
                    restored.places.push(format!("{}/{place}", self.share));
                    back.push((place.clone(), None));
                }
                Err(error) => {
                    restored.refused.push(format!("{}: {}", found.id, with_causes(&error)))
                }
            }
        }
        // To the next job it is a file like any other: no conflict with one that stood there once.
        if let Some(index) = &self.index
            && let Err(error) = index.put_batch(&back)
        {
            tracing::warn!(%error, "what was restored could not be noted in the index");
        }
        restored
    }
}

/// Adds what is in a share's trash to a list.
pub(crate) fn list(
    share: &ShareName,
    folder: &Folder,
    list: &mut TrashList,
) -> std::io::Result<()> {
    let unread = trash::items(folder, |seen| {
        if list.items.len() < ITEMS_MAX {
            list.items.push(record(share, &seen));
        } else {
            list.left_out += 1;
        }
        ControlFlow::Continue(())
    })?;
    list.notes.extend(unread.iter().map(|damaged| in_share(share, damaged)));
    Ok(())
}

fn in_share(share: &ShareName, damaged: &Damaged) -> String {
    format!("share {share}: {damaged}")
}

fn record(share: &ShareName, seen: &Seen<'_>) -> TrashRecord {
    let found = &seen.found;
    let size = seen.size().unwrap_or_default();
    TrashRecord {
        id: found.id.to_string(),
        when: Timestamp::from_second(found.batch.begun).unwrap_or_default(),
        share: share.to_string(),
        path: found.path.to_string(),
        size_bytes: size.bytes,
        entries: size.entries,
        why: found.why.folder().to_owned(),
        peer: seen.about.by.clone(),
        job: found.batch.job_text(),
    }
}

/// Empties a share's trash.
pub(crate) fn empty(
    share: &ShareName,
    folder: &Folder,
    older_days: u16,
    emptied: &mut Emptied,
) -> std::io::Result<()> {
    let older = Duration::from_secs(u64::from(older_days) * 24 * 60 * 60);
    let gone = trash::empty(folder, older, now())?;
    emptied.entries += gone.size.entries;
    emptied.bytes += gone.size.bytes;
    if gone.held > 0 {
        emptied.notes.push(format!("share {share}: what a running job put there stays"));
    }
    emptied.refused.extend(gone.damaged.iter().map(|damaged| in_share(share, damaged)));
    Ok(())
}

/// The wall clock, as a file's time.
pub(crate) fn now() -> quicopy_protocol::meta::Timestamp {
    let now = Timestamp::now();
    quicopy_protocol::meta::Timestamp {
        seconds: now.as_second(),
        nanos: now.subsec_nanosecond().unsigned_abs(),
    }
}
