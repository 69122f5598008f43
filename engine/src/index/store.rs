//! The database file behind the index.

use std::fs::File;
use std::sync::atomic::{AtomicU32, Ordering};

use redb::backends::FileBackend;
use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, StorageError,
    TableDefinition,
};

use quicopy_protocol::path::RelPath;

use super::record::{RECORD_BYTES, Record};

/// Memory for pages of the database: enough for the upper levels of a tree of millions of paths, and little beside
/// what a job has in flight.
const CACHE_BYTES: usize = 16 << 20;

/// Batches from one durable one to the next. Pages that a batch frees are used again only after a durable one, so this
/// bounds how far the file grows, and what a crash may forget.
const BATCHES_A_FLUSH: u32 = 64;

/// Version of the tables below. What changes their meaning raises it; what only adds a table does not.
const VERSION: u32 = 1;

const ABOUT: TableDefinition<'_, &str, u32> = TableDefinition::new("about");
const FILES: TableDefinition<'_, &[u8], &[u8; RECORD_BYTES]> = TableDefinition::new("files");

/// Why the index could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// A newer program wrote it.
    #[error(
        "the index has version {found}, this program knows {VERSION}; update quicopy, or delete the index file: \
         that loses only the memory of conflicts"
    )]
    Newer {
        /// The version in the file.
        found: u32,
    },
    /// Another process has it open.
    #[error("the index is open in another process")]
    InUse,
    /// The file could not be read or written, or holds nonsense.
    #[error("the index failed")]
    Database(#[source] Box<redb::Error>),
}

impl<E: Into<redb::Error>> From<E> for IndexError {
    fn from(error: E) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

/// An open index. All methods take `&self`: readers do not wait, writers wait for each other.
#[derive(Debug)]
pub struct Index {
    database: Database,
    batches: AtomicU32,
}

impl Index {
    /// Opens the index in `file`, which was opened for reading and writing and by nobody else in this process.
    ///
    /// An empty file becomes an empty index, and so does a damaged one: what it remembered is lost.
    ///
    /// # Errors
    /// It is in use, was written by a newer program, or the disk failed.
    pub fn open(file: File) -> Result<Self, IndexError> {
        let again = file.try_clone().map_err(StorageError::Io)?;
        match Self::create(file) {
            Err(IndexError::Database(error)) if is_damage(&error) => {
                tracing::warn!(%error, "the index is damaged and starts anew; conflicts are not known");
                again.set_len(0).map_err(StorageError::Io)?;
                Self::create(again)
            }
            opened => opened,
        }
    }

    fn create(file: File) -> Result<Self, IndexError> {
        let database = FileBackend::new(file)
            .and_then(|backend| {
                Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend)
            })
            .map_err(|error| match error {
                DatabaseError::DatabaseAlreadyOpen => IndexError::InUse,
                error => error.into(),
            })?;
        let transaction = database.begin_write()?;
        {
            let mut about = transaction.open_table(ABOUT)?;
            let found = about.get("version")?.map(|version| version.value());
            match found {
                Some(VERSION) => {}
                Some(found) if found > VERSION => return Err(IndexError::Newer { found }),
                Some(_) | None => {
                    about.insert("version", VERSION)?;
                }
            }
            transaction.open_table(FILES)?;
        }
        transaction.commit()?;
        Ok(Self { database, batches: AtomicU32::new(0) })
    }

    /// What is remembered of `path`, a path below the share.
    ///
    /// # Errors
    /// The file could not be read.
    pub fn get(&self, path: &RelPath) -> Result<Option<Record>, IndexError> {
        let files = self.database.begin_read()?.open_table(FILES)?;
        Ok(files.get(path.as_bytes())?.map(|value| Record::decode(value.value())))
    }

    /// Remembers (`Some`) or forgets (`None`) paths below the share, all or none of them.
    ///
    /// They outlast a crash of the machine only after the next [`flush`](Self::flush), or after some more batches: until
    /// then it forgets the newest of them, which may show as a conflict that is none.
    ///
    /// # Errors
    /// The file could not be written.
    pub fn put_batch(&self, batch: &[(RelPath, Option<Record>)]) -> Result<(), IndexError> {
        let count = self.batches.fetch_add(1, Ordering::Relaxed);
        let is_due = count % BATCHES_A_FLUSH == BATCHES_A_FLUSH - 1;
        self.write(if is_due { Durability::Immediate } else { Durability::None }, batch)
    }

    /// Makes everything that was put durable.
    ///
    /// # Errors
    /// The file could not be written.
    pub fn flush(&self) -> Result<(), IndexError> {
        self.write(Durability::Immediate, &[])
    }

    fn write(
        &self,
        durability: Durability,
        batch: &[(RelPath, Option<Record>)],
    ) -> Result<(), IndexError> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(durability)?;
        {
            let mut files = transaction.open_table(FILES)?;
            for (path, record) in batch {
                match record {
                    Some(record) => {
                        files.insert(path.as_bytes(), &record.encode())?;
                    }
                    None => {
                        files.remove(path.as_bytes())?;
                    }
                }
            }
        }
        Ok(transaction.commit()?)
    }

    /// Whether anything at or below `path` is remembered. If not, no job ran there, and conflicts are not known.
    ///
    /// # Errors
    /// The file could not be read.
    pub fn has_any_below(&self, path: &RelPath) -> Result<bool, IndexError> {
        let files = self.database.begin_read()?.open_table(FILES)?;
        if path.is_root() {
            return Ok(files.range::<&[u8]>(..)?.next().transpose()?.is_some());
        }
        if files.get(path.as_bytes())?.is_some() {
            return Ok(true);
        }
        // `0` is the byte after `/`.
        let (from, to) = ([path.as_bytes(), b"/"].concat(), [path.as_bytes(), b"0"].concat());
        Ok(files.range(from.as_slice()..to.as_slice())?.next().transpose()?.is_some())
    }
}

/// Whether the file holds something that is not an index, as opposed to a disk that failed.
fn is_damage(error: &redb::Error) -> bool {
    match error {
        redb::Error::Corrupted(_)
        | redb::Error::UpgradeRequired(_)
        | redb::Error::RepairAborted
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableIsMultimap(_) => true,
        redb::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{Seek, Write};

    use quicopy_protocol::meta::Timestamp;

    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes()).unwrap()
    }

    fn record(size_bytes: u64) -> Record {
        let time = Timestamp { seconds: -1, nanos: 999_999_999 };
        Record { size_bytes, modified: time, inode: 3, changed: time }
    }

    #[test]
    fn what_was_put_is_there_after_the_index_was_closed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let index = Index::open(file.reopen().unwrap()).unwrap();
        index.put_batch(&[(path("a/b"), Some(record(1))), (path("c"), Some(record(2)))]).unwrap();
        assert_eq!(index.get(&path("a/b")).unwrap(), Some(record(1)));
        index.put_batch(&[(path("a/b"), Some(record(3))), (path("c"), None)]).unwrap();
        index.flush().unwrap();
        drop(index);
        let index = Index::open(file.reopen().unwrap()).unwrap();
        assert_eq!(index.get(&path("a/b")).unwrap(), Some(record(3)));
        assert_eq!(index.get(&path("c")).unwrap(), None);
    }

    #[test]
    fn below_means_whole_components() {
        let index = Index::open(tempfile::tempfile().unwrap()).unwrap();
        let check = |at: &str, expected| {
            assert_eq!(index.has_any_below(&path(at)).unwrap(), expected, "{at:?}");
        };
        check("", false);
        index
            .put_batch(&[(path("a.b/x"), Some(record(1))), (path("ab"), Some(record(1)))])
            .unwrap();
        check("", true);
        check("a.b", true);
        check("a.b/x", true);
        check("a", false);
        check("ab", true);
        check("a.b/x/y", false);
    }

    #[test]
    fn a_damaged_file_starts_anew_and_can_be_used() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[0x5a; 10_000]).unwrap();
        file.rewind().unwrap();
        let index = Index::open(file).unwrap();
        assert!(!index.has_any_below(&RelPath::ROOT).unwrap());
        index.put_batch(&[(path("a"), Some(record(1)))]).unwrap();
        assert!(index.has_any_below(&RelPath::ROOT).unwrap());
    }

    #[test]
    fn a_newer_version_is_refused_with_what_to_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let index = Index::open(file.reopen().unwrap()).unwrap();
        let transaction = index.database.begin_write().unwrap();
        transaction.open_table(ABOUT).unwrap().insert("version", VERSION + 1).unwrap();
        transaction.commit().unwrap();
        drop(index);
        let error = Index::open(file.reopen().unwrap()).unwrap_err();
        assert!(matches!(error, IndexError::Newer { found: 2 }), "{error}");
        assert!(error.to_string().contains("update quicopy, or delete the index file"));
    }

    #[test]
    fn an_index_in_use_says_so() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let _index = Index::open(file.reopen().unwrap()).unwrap();
        assert!(matches!(Index::open(file.reopen().unwrap()), Err(IndexError::InUse)));
    }
}
