//! The removal list: an append-only spool that is written while directories are compared and read back when they are all
//! known.
//!
//! ```text
//! file    magic "quicopy-removals" | version u32
//! record  body length u32 | first 8 bytes of the body's BLAKE3 | body
//! ```
//!
//! Numbers are little-endian. A record whose length or checksum does not hold ends the list: it was being written when
//! the machine stopped. Records stand in the order in which they are carried out, contents before their directory, so
//! every beginning of a list is safe to carry out.

use std::io::{self, Read, Write};

use super::record::{DirectoryRemovals, RECORD_ENTRIES_MAX, decode, encode};

const MAGIC: &[u8; 16] = b"quicopy-removals";
const VERSION: u32 = 1;
const CHECKSUM_BYTES: usize = 8;

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
        self.output.write_all(&self.record)
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
        let mut head = [0; MAGIC.len() + 4];
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
        let mut body = vec![0; length];
        let is_whole = read_up_to(&mut self.input, &mut body)? == length && checksum(&body) == sum;
        Ok(if is_whole { decode(&body) } else { None })
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
        bytes[MAGIC.len()] = 2;
        assert!(matches!(read(&bytes), Err(ReplayError::Newer { found: 2 })));
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
        }
    }
}
