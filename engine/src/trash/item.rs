//! What is in the trash.

use std::io;
use std::ops::ControlFlow;

use quicopy_protocol::path::{Name, RelPath};

use super::Why;
use super::about::About;
use super::batch::{self, BELOW, Batch, open_dir};
use super::damaged::Damaged;
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

/// Hands out what is in a share's trash, the oldest batch first, with what is known of the batch, until told to stop. Returns
/// what could not be read, or was written by a newer version.
///
/// # Errors
/// Nothing of the trash can be read.
pub fn items(
    share: &Share,
    mut take: impl FnMut(Seen<'_>) -> ControlFlow<()>,
) -> io::Result<Vec<Damaged>> {
    let mut unread = Vec::new();
    let Some(trash) = batch::open(share)? else { return Ok(unread) };
    for name in batch::list(&trash)? {
        let opened = Batch::open(&trash, name)
            .and_then(|batch| batch.map(|batch| Ok((batch.about()?, batch))).transpose());
        let (about, batch) = match opened {
            Ok(Some(opened)) => opened,
            Ok(None) => continue,
            Err(error) => {
                unread.push(Damaged::batch(&name, error));
                continue;
            }
        };
        let mut walk =
            Walk { share, batch: &batch, about: &about, unread: &mut unread, take: &mut take };
        if walk.node(&batch.dir, &RelPath::ROOT).is_break() {
            break;
        }
    }
    Ok(unread)
}

struct Walk<'a, 'b> {
    share: &'a Share,
    batch: &'a Batch,
    about: &'a About,
    unread: &'a mut Vec<Damaged>,
    take: &'a mut (dyn FnMut(Seen<'_>) -> ControlFlow<()> + 'b),
}

impl Walk<'_, '_> {
    /// Hands out what lies in one node and below it, and notes what cannot be read of it.
    fn node(&mut self, dir: &DirHandle, path: &RelPath) -> ControlFlow<()> {
        for why in Why::ALL {
            match self.things(dir, path, why) {
                Ok(flow) => flow?,
                Err(error) => self.note(path, error),
            }
        }
        let (below, entries) = match list_dir(dir, BELOW) {
            Ok(Some(below)) => below,
            Ok(None) => return ControlFlow::Continue(()),
            Err(error) => {
                self.note(path, error);
                return ControlFlow::Continue(());
            }
        };
        for DiskEntry { name, stat } in entries {
            let Ok(path) = path.join(&name) else { continue };
            if stat.kind != DiskKind::Directory {
                continue;
            }
            match below.open_dir(&name) {
                Ok(node) => self.node(&node, &path)?,
                Err(error) => self.note(&path, error),
            }
        }
        ControlFlow::Continue(())
    }

    /// Hands out what lies in a node for one reason. What still has its first name in the share was not replaced after all,
    /// and is left out.
    fn things(&mut self, dir: &DirHandle, path: &RelPath, why: Why) -> io::Result<ControlFlow<()>> {
        let Some((place, entries)) = list_dir(dir, why.folder())? else {
            return Ok(ControlFlow::Continue(()));
        };
        for DiskEntry { name, stat } in entries {
            let Ok(path) = path.join(&name) else { continue };
            if is_at(self.share, &path, &stat) {
                continue;
            }
            let batch = self.batch.name;
            let found = Found { id: ItemId::of(&batch, why, &path), batch, path, why, stat };
            if (self.take)(Seen { found, about: self.about, place: &place }).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn note(&mut self, path: &RelPath, error: io::Error) {
        self.unread.push(Damaged::node(&self.batch.name, path, error));
    }
}

fn list_dir(dir: &DirHandle, text: &str) -> io::Result<Option<(DirHandle, Vec<DiskEntry>)>> {
    let Some(dir) = open_dir(dir, text)? else { return Ok(None) };
    let entries = dir.list()?;
    Ok(Some((dir, entries)))
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
    /// Nothing that can be read is called that, and not everything can.
    #[error("nothing in the trash that can be read has the id {text}; {unread}")]
    Unread {
        /// What was asked for.
        text: String,
        /// The first that cannot.
        unread: Damaged,
    },
    /// The trash cannot be read.
    #[error("the trash cannot be read")]
    Disk(#[source] io::Error),
}

/// What a text means.
#[derive(Debug)]
pub struct Finding {
    /// The things, the shallowest first.
    pub found: Vec<Found>,
    /// What of the same job cannot be read.
    pub unread: Vec<Damaged>,
}

/// Finds what `text` means: the id of one thing, or the beginning of one; or the id of a job, or its first eight characters
/// or more, for all that this job left in the trash.
///
/// # Errors
/// It means nothing, or several things.
pub fn find(share: &Share, text: &str) -> Result<Finding, FindError> {
    let wanted = text.to_ascii_lowercase();
    let (mut one, mut other, mut of_job) = (None, None, Vec::new());
    let is_id = wanted.len() >= ID_CHARACTERS_MIN;
    let is_job = wanted.len() >= JOB_CHARACTERS_MIN;
    let mut unread = items(share, |Seen { found, .. }| {
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
    })
    .map_err(FindError::Disk)?;
    if of_job.len() > FOUND_MAX {
        return Err(FindError::TooMany);
    }
    match (one, other, of_job.is_empty()) {
        (Some(first), Some(second), _) => {
            Err(FindError::Ambiguous { text: text.into(), first: first.id, second })
        }
        (Some(found), None, true) => Ok(Finding { found: vec![found], unread: Vec::new() }),
        (None, _, false) => {
            of_job.sort_by_key(|found| (found.path.depth(), found.batch));
            let is_of_job = |batch: BatchName| batch.job_text().starts_with(&wanted);
            unread.retain(|damaged| damaged.batch.is_some_and(is_of_job));
            Ok(Finding { found: of_job, unread })
        }
        (Some(first), None, false) => {
            let second = of_job[0].id;
            Err(FindError::Ambiguous { text: text.into(), first: first.id, second })
        }
        (None, _, true) => Err(match unread.into_iter().next() {
            Some(unread) => FindError::Unread { text: text.into(), unread },
            None => FindError::Unknown(text.into()),
        }),
    }
}
