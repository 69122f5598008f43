//! The removal list: an append-only spool that is written while directories are compared and read back when they are all
//! known.
//!
//! ```text
//! file    magic "quicopy-removals" | version u32
//! record  body length u32 | first 8 bytes of the body's BLAKE3 | body | body length once more
//! ```
//!
//! Numbers are little-endian. A record whose length or checksum does not hold ends the list: it was being written when
//! the machine stopped. Records stand in the order in which things are deleted, contents before their directory, so
//! every beginning of a list is safe to carry out. The length at the end lets a list be read backwards as well, each directory
//! before what it holds: so it is moved to the trash, in which a whole tree goes by one rename.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::record::{DirectoryRemovals, RECORD_ENTRIES_MAX, decode, encode};

const MAGIC: &[u8; 16] = b"quicopy-removals";
const VERSION: u32 = 2;
const CHECKSUM_BYTES: usize = 8;
const HEAD_BYTES: usize = MAGIC.len() + 4;

/// Bytes of a record's body: more than a longest path and as many longest names as a record takes.
const RECORD_BYTES_MAX: usize = 2 << 20;

/// Appends records to a spool.
#[derive(Debug)]
pub struct RemovalWriter<W> {
    output: W,
    record: Vec<u8>,
}

impl<W: Write> RemovalWriter<W> {
    /// Begins a list in an empty file; give it something buffered.
    ///
    /// # Errors
    /// Writing failed.
    pub fn new(mut output: W) -> io::Result<Self> {
        output.write_all(MAGIC)?;
        output.write_all(&VERSION.to_le_bytes())?;
        Ok(Self { output, record: Vec::new() })
    }

    /// Appends one record.
    ///
    /// # Errors
    /// Writing failed: the list is of no use any more.
    pub fn append(&mut self, removals: &DirectoryRemovals) -> io::Result<()> {
        assert!(removals.entries.len() <= RECORD_ENTRIES_MAX, "a record holds that many entries");
        self.record.clear();
        encode(removals, &mut self.record);
        let length = u32::try_from(self.record.len()).expect("a full record is below 2 MiB");
        self.output.write_all(&length.to_le_bytes())?;
        self.output.write_all(&checksum(&self.record))?;
        self.output.write_all(&self.record)?;
        self.output.write_all(&length.to_le_bytes())
    }

    /// Gives the file back, to be flushed and synced before the first removal.
    pub fn into_inner(self) -> W {
        self.output
    }
}

/// Why a removal list could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The disk failed.
    #[error("the removal list could not be read")]
    Read(#[from] io::Error),
    /// It is something else.
    #[error("not a removal list")]
    Foreign,
    /// A newer program wrote it.
    #[error(
        "the removal list has version {found}, this program knows {VERSION}; run the job again with the program that wrote it"
    )]
    Newer {
        /// The version in the file.
        found: u32,
    },
}

/// Reads records back, in the order in which they were appended.
#[derive(Debug)]
pub struct RemovalReader<R> {
    input: R,
    state: ReplayState,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ReplayState {
    Reading,
    Ended,
    Torn,
}

impl<R: Read> RemovalReader<R> {
    /// Begins at the start of a file; give it something buffered.
    ///
    /// # Errors
    /// It is not a removal list, is too new, or reading failed. A file that ends within its head is a torn empty list.
    pub fn new(mut input: R) -> Result<Self, ReplayError> {
        let mut head = [0; HEAD_BYTES];
        let length = read_up_to(&mut input, &mut head)?;
        if length < head.len() {
            return Ok(Self { input, state: ReplayState::Torn });
        }
        let (magic, version) = head.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(ReplayError::Foreign);
        }
        match version.try_into().map(u32::from_le_bytes) {
            Ok(VERSION) => Ok(Self { input, state: ReplayState::Reading }),
            Ok(found) if found > VERSION => Err(ReplayError::Newer { found }),
            _ => Err(ReplayError::Foreign),
        }
    }

    /// The next record; `None` at the end, or where the list is torn.
    ///
    /// # Errors
    /// Reading failed.
    pub fn next_record(&mut self) -> Result<Option<DirectoryRemovals>, ReplayError> {
        if self.state != ReplayState::Reading {
            return Ok(None);
        }
        let mut head = [0; 4 + CHECKSUM_BYTES];
        self.state = match read_up_to(&mut self.input, &mut head)? {
            0 => ReplayState::Ended,
            length if length < head.len() => ReplayState::Torn,
            _ => match self.read_body(&head)? {
                Some(removals) => return Ok(Some(removals)),
                None => ReplayState::Torn,
            },
        };
        Ok(None)
    }

    /// Whether the list ended in a record that does not hold.
    pub fn is_torn(&self) -> bool {
        self.state == ReplayState::Torn
    }

    fn read_body(
        &mut self,
        head: &[u8; 4 + CHECKSUM_BYTES],
    ) -> Result<Option<DirectoryRemovals>, ReplayError> {
        let (length, sum) = head.split_at(4);
        let length =
            length.try_into().map_or(usize::MAX, |bytes| u32::from_le_bytes(bytes) as usize);
        if length > RECORD_BYTES_MAX {
            return Ok(None);
        }
        let mut body = vec![0; length + 4];
        if read_up_to(&mut self.input, &mut body)? < body.len() {
            return Ok(None);
        }
        body.truncate(length);
        Ok(if checksum(&body) == sum { decode(&body) } else { None })
    }
}

/// Reads records back in the reverse order: a directory before what it holds.
#[derive(Debug)]
pub struct BackwardReader<R> {
    input: R,
    /// Where the part that was not read yet ends.
    end: u64,
}

impl<R: Read + Seek> BackwardReader<R> {
    /// Begins at the end of a file.
    ///
    /// # Errors
    /// It is not a removal list, is too new, or reading failed.
    pub fn new(mut input: R) -> Result<Self, ReplayError> {
        input.seek(SeekFrom::Start(0))?;
        RemovalReader::new(&mut input)?;
        let end = input.seek(SeekFrom::End(0))?;
        Ok(Self { input, end })
    }

    /// The record before; `None` at the beginning.
    ///
    /// # Errors
    /// Reading failed, or the list is damaged: what is left of it cannot be told.
    pub fn next_record(&mut self) -> Result<Option<DirectoryRemovals>, ReplayError> {
        if self.end == HEAD_BYTES as u64 {
            return Ok(None);
        }
        let damaged = || ReplayError::Read(io::ErrorKind::InvalidData.into());
        let tail_at = self.end.checked_sub(4).ok_or_else(damaged)?;
        let mut tail = [0; 4];
        self.read_at(tail_at, &mut tail)?;
        let length = u32::from_le_bytes(tail) as usize;
        let mut record = vec![0; 4 + CHECKSUM_BYTES + length.min(RECORD_BYTES_MAX)];
        let begin = tail_at.checked_sub(record.len() as u64).ok_or_else(damaged)?;
        self.read_at(begin, &mut record)?;
        let (head, body) = record.split_at(4 + CHECKSUM_BYTES);
        let is_whole = head[..4] == tail && head[4..] == checksum(body);
        let removals = decode(body).filter(|_| is_whole).ok_or_else(damaged)?;
        self.end = begin;
        Ok(Some(removals))
    }

    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.input.seek(SeekFrom::Start(at))?;
        self.input.read_exact(buffer)
    }
}

fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    *blake3::hash(body).as_bytes().first_chunk().expect("a BLAKE3 hash has 32 bytes")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use quicopy_protocol::meta::DirId;

    use super::super::record::RECORD_ENTRIES_MAX;
    use super::super::record::tests::{entry, sample};
    use super::*;
    use crate::plan::sample::path;

    fn written(records: &[DirectoryRemovals]) -> Vec<u8> {
        let mut writer = RemovalWriter::new(Vec::new()).unwrap();
        records.iter().for_each(|record| writer.append(record).unwrap());
        writer.into_inner()
    }

    fn read(bytes: &[u8]) -> Result<(Vec<DirectoryRemovals>, bool), ReplayError> {
        let mut reader = RemovalReader::new(bytes)?;
        let mut records = Vec::new();
        while let Some(record) = reader.next_record()? {
            records.push(record);
        }
        Ok((records, reader.is_torn()))
    }

    #[test]
    fn records_come_back_in_the_order_they_were_written() {
        assert_eq!(read(&written(&sample())).unwrap(), (sample(), false));
        assert_eq!(read(&written(&[])).unwrap(), (vec![], false));
    }

    fn read_backwards(bytes: &[u8]) -> Result<Vec<DirectoryRemovals>, ReplayError> {
        let mut reader = BackwardReader::new(io::Cursor::new(bytes))?;
        let mut records = Vec::new();
        while let Some(record) = reader.next_record()? {
            records.push(record);
        }
        records.reverse();
        Ok(records)
    }

    #[test]
    fn records_come_back_from_the_end_as_well() {
        assert_eq!(read_backwards(&written(&sample())).unwrap(), sample());
        assert_eq!(read_backwards(&written(&[])).unwrap(), []);
    }

    #[test]
    fn a_list_that_is_cut_gives_nothing_from_the_end_but_whole_records() {
        let (all, bytes) = (sample(), written(&sample()));
        for cut in 0..=bytes.len() {
            if let Ok(records) = read_backwards(&bytes[..cut]) {
                assert_eq!(records, all[..records.len()], "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_list_cut_at_any_byte_gives_the_records_before_the_cut() {
        let (all, bytes) = (sample(), written(&sample()));
        let ends: Vec<_> = (0..=all.len()).map(|count| written(&all[..count]).len()).collect();
        for cut in 0..=bytes.len() {
            let (records, is_torn) = read(&bytes[..cut]).unwrap();
            let whole = ends.iter().filter(|&&end| end <= cut).count().saturating_sub(1);
            assert_eq!(records, all[..whole], "cut at {cut}");
            assert_eq!(is_torn, !ends.contains(&cut), "cut at {cut}");
        }
    }

    #[test]
    fn a_full_record_of_longest_names_is_read_back() {
        let long = entry(&"x".repeat(255), None);
        let entries = vec![long; RECORD_ENTRIES_MAX];
        let at = path(&vec!["d".repeat(255); 16].join("/"));
        let full = DirectoryRemovals { found_under: DirId(0), path: at, entries };
        assert_eq!(read(&written(std::slice::from_ref(&full))).unwrap().0, [full]);
    }

    #[test]
    fn another_file_or_version_is_refused() {
        let mut bytes = written(&sample());
        bytes[MAGIC.len()] = 3;
        assert!(matches!(read(&bytes), Err(ReplayError::Newer { found: 3 })));
        bytes[MAGIC.len()] = 0;
        assert!(matches!(read(&bytes), Err(ReplayError::Foreign)));
        assert!(matches!(read(&[b'x'; 100]), Err(ReplayError::Foreign)));
    }

    proptest! {
        #[test]
        fn any_bytes_behind_a_list_leave_its_records_alone(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut list = written(&sample());
            list.extend(bytes);
            let (records, _) = read(&list).unwrap();
            prop_assert!(records.starts_with(&sample()));
            let _ = read_backwards(&list);
        }
    }
}
