//! Batches: their folders, what is written in them, and the lock that a running job has on its own.

use std::fs::File;
use std::io::{self, Read, Write};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::about::About;
use super::damaged::Damaged;
use super::name::BatchName;
use crate::disk::private::own_name;
use crate::disk::{DirHandle, DiskKind, Share};

pub(super) const TRASH: &str = "trash";
pub(super) const BELOW: &str = "below";
const ABOUT: &str = "about";
/// Longest text of a batch that is read.
const ABOUT_BYTES_MAX: u64 = 4096;

/// How often the folder is made again when somebody, finding it empty, removes it meanwhile.
const TRIES: usize = 8;

/// The trash of a share, if it has one. Makes nothing.
pub(super) fn open(share: &Share) -> io::Result<Option<DirHandle>> {
    if share.root().stat(&own_name(quicopy_protocol::path::PRIVATE_DIR))?.is_none() {
        return Ok(None);
    }
    let private = share.private().map_err(io::Error::other)?;
    let kind = private.dir().stat(&own_name(TRASH))?.map(|stat| stat.kind);
    let opened = match kind {
        None => return Ok(None),
        Some(DiskKind::Directory) => open_dir(private.dir(), TRASH),
        Some(DiskKind::Link) => {
            Err(io::Error::other("it is a link, and none is followed here; move it away"))
        }
        Some(DiskKind::File | DiskKind::Special) => {
            Err(io::Error::other("it is not a folder; move it away"))
        }
    };
    opened.map_err(|error| Damaged::trash(error).into())
}

pub(super) fn open_dir(dir: &DirHandle, text: &str) -> io::Result<Option<DirHandle>> {
    match dir.open_dir(&own_name(text)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// The batches of a trash, the oldest first, and whatever else bears the name of one.
pub(super) fn list(trash: &DirHandle) -> io::Result<Vec<BatchName>> {
    let entries = trash.list().map_err(Damaged::trash)?.into_iter();
    let mut batches: Vec<_> = entries.filter_map(|entry| BatchName::parse(&entry.name)).collect();
    batches.sort_unstable();
    Ok(batches)
}

/// A batch that is open.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) name: BatchName,
    pub(super) dir: DirHandle,
}

/// A batch that nobody else works in until this is dropped.
#[derive(Debug)]
pub(super) struct Hold {
    _about: File,
}

impl Batch {
    /// Opens a batch; `None` if it is gone.
    pub(super) fn open(trash: &DirHandle, name: BatchName) -> io::Result<Option<Self>> {
        match trash.open_dir(&name.folder()) {
            Ok(dir) => Ok(Some(Self { name, dir })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a batch, or opens the one of a run that began in the same second, and holds it.
    pub(super) fn make(share: &Share, name: BatchName, about: &About) -> io::Result<(Self, Hold)> {
        let private = share.private().map_err(io::Error::other)?;
        let mut last = Errno::BUSY.into();
        for _ in 0..TRIES {
            let made = private.dir().open_or_make_dir(&own_name(TRASH)).and_then(|trash| {
                let batch = Self { name, dir: trash.open_or_make_dir(&name.folder())? };
                let hold = batch.hold(Some(about))?;
                // Whoever gave it up before it was held has taken it away, and has a folder that nobody lists.
                let is_there = batch.is_still_in(&trash)?;
                Ok(hold.filter(|_| is_there).map(|hold| (batch, hold)))
            });
            match made {
                Ok(Some(made)) => return Ok(made),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// Whether its folder still bears its name: looked at while it is held, since it may be given up until then.
    pub(super) fn is_still_in(&self, trash: &DirHandle) -> io::Result<bool> {
        let own = self.dir.own_stat()?;
        Ok(trash.stat(&self.name.folder())?.is_some_and(|found| found.is_same_inode(&own)))
    }

    /// What is written about it.
    ///
    /// # Errors
    /// A newer version wrote it, or it cannot be read. One that is missing says nothing.
    pub(super) fn about(&self) -> io::Result<About> {
        let mut text = Vec::new();
        match self.dir.open_file_for_read(&own_name(ABOUT)) {
            Ok((file, _)) => drop(file.take(ABOUT_BYTES_MAX).read_to_end(&mut text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        About::decode(&String::from_utf8_lossy(&text)).map_err(|newer| {
            io::Error::other(format!(
                "it has format {newer}; a newer version of this program knows it"
            ))
        })
    }

    /// Keeps everybody else from it; `None` if somebody works in it, such as the job that fills it.
    pub(super) fn hold(&self, new: Option<&About>) -> io::Result<Option<Hold>> {
        let name = own_name(ABOUT);
        let mut file = match self.dir.open_file_for_update(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match self.dir.create_file(&name) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
                    made => made?,
                }
            }
            opened => opened?.0,
        };
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let is_empty = file.metadata()?.len() == 0;
        if let Some(about) = new
            && is_empty
        {
            file.write_all(about.encode().as_bytes())?;
            file.sync_all()?;
        }
        Ok(Some(Hold { _about: file }))
    }
}
