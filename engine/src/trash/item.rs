//! What is in the trash.

use std::io;
use std::ops::ControlFlow;

use quicopy_protocol::path::{Name, RelPath};

use super::Why;
use super::about::About;
use super::batch::{self, BELOW, Batch, open_dir};
use super::id::ItemId;
use super::name::BatchName;
use crate::disk::{DirHandle, DiskEntry, DiskKind, Share, Stat};

/// Fewest characters of an id that stand for the whole.
const ID_CHARACTERS_MIN: usize = 4;
/// Fewest characters of a job's id that stand for the whole: as many as lists show.
const JOB_CHARACTERS_MIN: usize = 8;
/// Things of one job that are given back at once.
const FOUND_MAX: usize = 1_000_000;

/// One thing in the trash.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its short name.
    pub id: ItemId,
    /// The batch that it lies in.
    pub batch: BatchName,
    /// Where it was, below the share.
    pub path: RelPath,
    /// Why it is here.
    pub why: Why,
    /// What it is.
    pub stat: Stat,
}

/// One thing in the trash, while it is looked at.
#[derive(Debug)]
pub struct Seen<'a> {
    /// What it is.
    pub found: Found,
    /// Who put it there.
    pub about: &'a About,
    place: &'a DirHandle,
}

/// What something comes to, with all that it holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Size {
    /// Bytes of the files.
    pub bytes: u64,
    /// Entries, itself included.
    pub entries: u64,
}

impl std::ops::AddAssign for Size {
    fn add_assign(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.entries += other.entries;
    }
}

impl Seen<'_> {
    /// Counts it.
    ///
    /// # Errors
    /// A directory in it cannot be read.
    pub fn size(&self) -> io::Result<Size> {
        match self.found.path.split_last() {
            Some((_, name)) => size_of(self.place, &name, &self.found.stat),
            None => Ok(Size::default()),
        }
    }
}

impl Found {
    /// Opens the batch, and the folder in it, that it lies in; `None` if they are gone.
    pub(super) fn open(&self, share: &Share) -> io::Result<Option<(Batch, DirHandle)>> {
        let Some(trash) = batch::open(share)? else { return Ok(None) };
        let Some(batch) = Batch::open(&trash, self.batch)? else { return Ok(None) };
        let mut node = batch.dir.clone();
        for name in self.path.split_last().map(|(parent, _)| parent).unwrap_or_default().names() {
            let Some(below) = open_dir(&node, BELOW)? else { return Ok(None) };
            node = match below.open_dir(&name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                opened => opened?,
            };
        }
        Ok(open_dir(&node, self.why.folder())?.map(|place| (batch, place)))
    }
}

/// How many entries something in `dir` is, with all that it holds; 0 if it is not there.
///
/// # Errors
/// A directory in it cannot be read.
pub fn count(dir: &DirHandle, name: &Name) -> io::Result<u64> {
    match dir.stat(name)? {
        Some(stat) => Ok(size_of(dir, name, &stat)?.entries),
        None => Ok(0),
    }
}

pub(super) fn size_of(dir: &DirHandle, name: &Name, stat: &Stat) -> io::Result<Size> {
    match stat.kind {
        DiskKind::File => Ok(Size { bytes: stat.size_bytes, entries: 1 }),
        DiskKind::Link | DiskKind::Special => Ok(Size { bytes: 0, entries: 1 }),
        DiskKind::Directory => {
            let mut size = Size { bytes: 0, entries: 1 };
            let dir = dir.open_dir(name)?;
            for entry in dir.list()? {
                size += size_of(&dir, &entry.name, &entry.stat)?;
            }
            Ok(size)
        }
    }
}

/// Hands out what is in a share's trash, the oldest batch first, with what is known of the batch, until told to stop.
///
/// # Errors
/// The trash cannot be read, or a newer version wrote in it.
pub fn items(share: &Share, mut take: impl FnMut(Seen<'_>) -> ControlFlow<()>) -> io::Result<()> {
    let Some(trash) = batch::open(share)? else { return Ok(()) };
    for name in batch::list(&trash)? {
        let Some(batch) = Batch::open(&trash, name)? else { continue };
        let about = batch.about()?;
        let walk = Walk { share, batch: &batch, about: &about };
        if walk.node(&batch.dir, &RelPath::ROOT, &mut take)?.is_break() {
            break;
        }
    }
    Ok(())
}

struct Walk<'a> {
    share: &'a Share,
    batch: &'a Batch,
    about: &'a About,
}

impl Walk<'_> {
    /// Hands out what lies in one node and below it. What still has its first name in the share was not overwritten after all,
    /// and is left out.
    fn node(
        &self,
        dir: &DirHandle,
        path: &RelPath,
        take: &mut dyn FnMut(Seen<'_>) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        for why in Why::ALL {
            let Some(place) = open_dir(dir, why.folder())? else { continue };
            for DiskEntry { name, stat } in place.list()? {
                let Ok(path) = path.join(&name) else { continue };
                if why == Why::Overwritten && is_at(self.share, &path, &stat) {
                    continue;
                }
                let batch = self.batch.name;
                let found = Found { id: ItemId::of(&batch, why, &path), batch, path, why, stat };
                if take(Seen { found, about: self.about, place: &place }).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        let Some(below) = open_dir(dir, BELOW)? else { return Ok(ControlFlow::Continue(())) };
        for DiskEntry { name, stat } in below.list()? {
            let Ok(path) = path.join(&name) else { continue };
            if stat.kind == DiskKind::Directory
                && self.node(&below.open_dir(&name)?, &path, take)?.is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Whether this very file stands at `path`.
fn is_at(share: &Share, path: &RelPath, stat: &Stat) -> bool {
    if stat.links < 2 {
        return false;
    }
    let there = path.split_last().and_then(|(parent, name)| {
        share.root().open_path(&parent).and_then(|dir| dir.stat(&name)).ok().flatten()
    });
    there.is_some_and(|there| there.is_same_inode(stat))
}

/// Why a text names nothing that can be given back.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Nothing in the trash is called that.
    #[error("nothing in the trash has the id {0}; see: quicopy-agent trash list")]
    Unknown(String),
    /// It may mean several.
    #[error("{text} may mean {first} or {second}; write more of it")]
    Ambiguous {
        /// What was asked for.
        text: String,
        /// One of them.
        first: ItemId,
        /// Another.
        second: ItemId,
    },
    /// A job left more than can be given back in one go.
    #[error("the job left over {FOUND_MAX} entries in the trash; restore them one by one")]
    TooMany,
    /// The trash cannot be read.
    #[error("the trash cannot be read")]
    Disk(#[from] io::Error),
}

/// Finds what `text` means: the id of one thing, or the beginning of one; or the id of a job, or its first eight characters
/// or more, for all that this job left in the trash, the shallowest first.
///
/// # Errors
/// It means nothing, or several things.
pub fn find(share: &Share, text: &str) -> Result<Vec<Found>, FindError> {
    let wanted = text.to_ascii_lowercase();
    let (mut one, mut other, mut of_job) = (None, None, Vec::new());
    let is_id = wanted.len() >= ID_CHARACTERS_MIN;
    let is_job = wanted.len() >= JOB_CHARACTERS_MIN;
    items(share, |Seen { found, .. }| {
        if is_id && found.id.as_str().starts_with(&wanted) {
            match &one {
                None => one = Some(found.clone()),
                Some(_) => other = Some(found.id),
            }
        }
        if is_job && found.batch.job_text().starts_with(&wanted) {
            of_job.push(found);
        }
        if of_job.len() > FOUND_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if of_job.len() > FOUND_MAX {
        return Err(FindError::TooMany);
    }
    match (one, other, of_job.is_empty()) {
        (Some(first), Some(second), _) => {
            Err(FindError::Ambiguous { text: text.into(), first: first.id, second })
        }
        (Some(found), None, true) => Ok(vec![found]),
        (None, _, false) => {
            of_job.sort_by_key(|found| (found.path.depth(), found.batch));
            Ok(of_job)
        }
        (Some(first), None, false) => {
            let second = of_job[0].id;
            Err(FindError::Ambiguous { text: text.into(), first: first.id, second })
        }
        (None, _, true) => Err(FindError::Unknown(text.into())),
    }
}
