//! One readable TOML file of the state folder, read cheaply and changed safely.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::store::{Exposure, StateDir, StoreError};

/// Most bytes of such a file: room for thousands of peers, and no more memory than that if
/// somebody puts something else there.
const DOCUMENT_BYTES_MAX: u64 = 1 << 20;

/// The number in `version = 1` of each file. A file with a higher one is refused.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// What such a file holds. A missing file is the default.
pub(crate) trait Document: Clone + Default + DeserializeOwned + Serialize {
    /// Name of the file in the state folder.
    const FILE_NAME: &'static str;
    /// Comment lines at the top, for whoever opens the file.
    const HEADER: &'static str;
    /// Who besides the owner may read it.
    const EXPOSURE: Exposure;

    /// Says what the syntax alone cannot see, such as two entries of one name.
    fn check(&self) -> Result<(), String>;
}

/// Access to one [`Document`] on the disk.
///
/// A read always looks at the disk, so a change by another process counts at once; the text is
/// parsed again only if it differs from the last one. Comparing bytes, and not the file's time,
/// misses no change however fast it follows another.
pub(crate) struct DocumentFile<T> {
    dir: StateDir,
    last: Mutex<Option<Parsed<T>>>,
}

struct Parsed<T> {
    text: Zeroizing<Vec<u8>>,
    value: Arc<T>,
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

impl<T: Document> DocumentFile<T> {
    pub(crate) fn new(dir: &StateDir) -> Self {
        Self { dir: dir.clone(), last: Mutex::new(None) }
    }

    /// Returns what the file holds now.
    pub(crate) fn read(&self) -> Result<Arc<T>, StoreError> {
        let Some(text) = self.dir.read(T::FILE_NAME, T::EXPOSURE, DOCUMENT_BYTES_MAX)? else {
            return Ok(Arc::default());
        };
        // A panic elsewhere cannot leave half a value here, so poison means nothing.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(parsed) = last.as_ref().filter(|parsed| parsed.text == text) {
            return Ok(Arc::clone(&parsed.value));
        }
        let value = Arc::new(self.parse(&text)?);
        *last = Some(Parsed { text, value: Arc::clone(&value) });
        Ok(value)
    }

    /// Changes the file under the folder's lock, and returns when the change is on the disk.
    ///
    /// If `edit` fails, or changes nothing, nothing is written.
    pub(crate) fn change<R, E: From<StoreError>>(
        &self,
        edit: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        let locked = self.dir.lock()?;
        let before = self.read()?;
        let mut value = T::clone(&before);
        let result = edit(&mut value)?;
        let text = self.print(&value)?;
        if *text != *self.print(&before)? {
            locked.replace(T::FILE_NAME, text.as_bytes())?;
        }
        Ok(result)
    }

    fn parse(&self, text: &[u8]) -> Result<T, StoreError> {
        let text = str::from_utf8(text).map_err(|_| self.malformed("is not UTF-8 text"))?;
        let explain = |error: toml::de::Error| {
            let line = error.span().map(|span| 1 + text[..span.start].matches('\n').count());
            match line {
                Some(line) => self.malformed(&format!("line {line}: {}", error.message())),
                None => self.malformed(error.message()),
            }
        };
        let VersionOnly { version } = toml::from_str(text).map_err(explain)?;
        if version > FORMAT_VERSION {
            let path = self.dir.path().join(T::FILE_NAME);
            return Err(StoreError::NewerFormat { path, found: version, known: FORMAT_VERSION });
        }
        let value = toml::from_str::<T>(text).map_err(explain)?;
        value.check().map_err(|reason| self.malformed(&reason))?;
        Ok(value)
    }

    fn print(&self, value: &T) -> Result<Zeroizing<String>, StoreError> {
        value.check().map_err(|reason| self.malformed(&reason))?;
        let body = toml::to_string(value).map_err(|error| self.malformed(&error.to_string()))?;
        let text = Zeroizing::new(format!("{}\n{body}", T::HEADER));
        if text.len() as u64 > DOCUMENT_BYTES_MAX {
            let path = self.dir.path().join(T::FILE_NAME);
            return Err(StoreError::TooLarge { path, bytes_max: DOCUMENT_BYTES_MAX });
        }
        Ok(text)
    }

    fn malformed(&self, reason: &str) -> StoreError {
        let path = self.dir.path().join(T::FILE_NAME);
        StoreError::Malformed { path, reason: reason.trim().replace('\n', ", ") }
    }
}

impl<T> fmt::Debug for DocumentFile<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentFile").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// Times in the files: RFC 3339 in UTC, whole seconds.
pub(crate) mod timestamp {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    pub(crate) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        let time = jiff::Timestamp::try_from(*time).map_err(ser::Error::custom)?;
        to.collect_str(&format_args!("{time:.0}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(from)?;
        let time = text.parse::<jiff::Timestamp>().map_err(|_| {
            de::Error::custom(format!("{text:?} is not a time such as \"2030-01-31T00:00:00Z\""))
        })?;
        Ok(time.into())
    }

    /// The same for a time that may be absent.
    pub(crate) mod optional {
        use super::{Deserialize, Deserializer, Serializer, SystemTime};

        #[derive(Deserialize)]
        struct Present(#[serde(with = "super")] SystemTime);

        pub(crate) fn serialize<S: Serializer>(
            time: &Option<SystemTime>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            match time {
                Some(time) => super::serialize(time, to),
                None => to.serialize_none(),
            }
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<SystemTime>, D::Error> {
            Ok(Option::<Present>::deserialize(from)?.map(|Present(time)| time))
        }
    }
}
