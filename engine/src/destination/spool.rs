//! The list of deletions on the disk.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek, SeekFrom};

use quicopy_protocol::path::Name;

use crate::disk::{DirHandle, Placement, Share};
use crate::purge::{BackwardReader, DirectoryRemovals, RemovalReader, RemovalWriter};

/// The list while it is written: a file in the share's private folder that goes when this is dropped. One that a crash
/// leaves is swept at the next start: a list is never carried out by another run, which must look anew.
pub(super) struct Spool {
    writer: RemovalWriter<BufWriter<File>>,
    place: Place,
}

struct Place {
    dir: DirHandle,
    name: Name,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.dir.remove_file(&self.name);
    }
}

impl Spool {
    pub(super) fn create(share: &Share) -> io::Result<Self> {
        let dir = share.private().map_err(io::Error::other)?.partial().clone();
        let name = share.temp_name(Placement::Private);
        let file = dir.create_file(&name)?;
        let writer = RemovalWriter::new(BufWriter::new(file))?;
        Ok(Self { writer, place: Place { dir, name } })
    }

    pub(super) fn append(&mut self, removals: &DirectoryRemovals) -> io::Result<()> {
        self.writer.append(removals)
    }

    /// Makes the list durable before the first removal, and begins to read it.
    pub(super) fn read_back(self, order: Order) -> io::Result<Recorded> {
        let mut file =
            self.writer.into_inner().into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_data()?;
        file.seek(SeekFrom::Start(0))?;
        let reader = match order {
            Order::ContentsFirst => RemovalReader::new(BufReader::new(file)).map(Reader::Forward),
            Order::DirectoriesFirst => BackwardReader::new(file).map(Reader::Backward),
        }
        .map_err(io::Error::other)?;
        Ok(Recorded { reader, _place: self.place })
    }
}

/// In which order the list is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Order {
    /// As it was written.
    ContentsFirst,
    /// From its end.
    DirectoriesFirst,
}

/// The list while it is carried out.
pub(super) struct Recorded {
    reader: Reader,
    _place: Place,
}

enum Reader {
    Forward(RemovalReader<BufReader<File>>),
    Backward(BackwardReader<File>),
}

impl Recorded {
    /// The next record; an error where the list is damaged.
    pub(super) fn next_record(&mut self) -> io::Result<Option<DirectoryRemovals>> {
        match &mut self.reader {
            Reader::Forward(reader) => match reader.next_record().map_err(io::Error::other)? {
                None if reader.is_torn() => Err(io::Error::other("its end is damaged")),
                record => Ok(record),
            },
            Reader::Backward(reader) => reader.next_record().map_err(io::Error::other),
        }
    }
}
