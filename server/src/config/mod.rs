//! What a user tells the sender once and for all: [`Config`].
//!
//! Two files of one folder: `sender.toml`, which people write, and `defaults.toml`, which `/REG` writes.

mod defaults;
mod path_map;

use std::io;
use std::path::{Path, PathBuf};

use quicopy_protocol::options::Retry;
use serde::Deserialize;

use crate::regular_file;
pub use path_map::{PathMap, WindowsPath};

const FILE: &str = "sender.toml";
const DEFAULTS_FILE: &str = "defaults.toml";

/// More than any map of paths takes.
const BYTES_MAX: u64 = 1 << 20;

/// The sender's configuration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Config {
    /// What paths of Windows stand for here.
    pub map: PathMap,
    /// `/R` and `/W` where a command line does not say.
    pub retry: Retry,
    /// The folder of its files; `None` if nothing says where it is.
    pub dir: Option<PathBuf>,
}

/// Why a configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The system does not let it be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{}:{line}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    #[serde(default)]
    map: PathMap,
}

impl Config {
    /// Reads the files of a folder; one that is not there says nothing.
    ///
    /// # Errors
    /// One cannot be read, holds an unknown key, or a value that makes no sense.
    pub fn load(dir: Option<PathBuf>) -> Result<Self, ConfigError> {
        let Some(dir) = dir else { return Ok(Self::default()) };
        let RawConfig { map } = parse(&dir.join(FILE))?;
        let retry = parse::<defaults::RawDefaults>(&dir.join(DEFAULTS_FILE))?.into();
        Ok(Self { map, retry, dir: Some(dir) })
    }

    /// The file that people write, for messages that ask them to.
    pub fn file(&self) -> PathBuf {
        self.dir.as_deref().unwrap_or(Path::new("")).join(FILE)
    }

    /// The file that makes `retry` the default, and its text; `None` if there is no place for it.
    pub fn defaults(&self, retry: Retry) -> Option<(PathBuf, String)> {
        Some((self.dir.as_deref()?.join(DEFAULTS_FILE), defaults::text(retry)))
    }
}

fn parse<T: Default + for<'de> Deserialize<'de>>(path: &Path) -> Result<T, ConfigError> {
    let read = || {
        String::from_utf8(regular_file::read(path, BYTES_MAX)?)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    };
    let text = match read() {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
        Err(source) => return Err(ConfigError::Read { path: path.to_owned(), source }),
    };
    toml::from_str(&text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = 1 + text.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count();
        ConfigError::Invalid { path: path.to_owned(), line, reason: error.message().to_owned() }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;

    fn load(sender: &str, defaults: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), sender).unwrap();
        fs::write(dir.path().join(DEFAULTS_FILE), defaults).unwrap();
        let dir_name = format!("{}/", dir.path().display());
        Config::load(Some(dir.path().to_owned()))
            .map_err(|error| error.to_string().replace(&dir_name, ""))
    }

    #[test]
    fn a_folder_without_files_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::load(Some(dir.path().to_owned())).unwrap();
        assert_eq!((config.map, config.retry), (PathMap::default(), Retry::default()));
    }

    #[test]
    fn defaults_that_were_stored_come_back() {
        let retry = Retry { retries: 7, wait_seconds: 1 };
        let stored = Config { dir: Some("/c".into()), ..Config::default() }.defaults(retry);
        let (path, text) = stored.unwrap();
        assert_eq!(path, Path::new("/c/defaults.toml"));
        assert_eq!(load("", &text).unwrap().retry, retry);
        assert_eq!(
            load("", "retries = 2").unwrap().retry,
            Retry { retries: 2, ..Retry::default() }
        );
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, says) in [
            ("[map]\n\n'D:' = 'x y'\n", "sender.toml:3: "),
            ("[map]\n'data' = '/data'\n", "sender.toml:2: "),
            ("[map]\n'D:\\' = 'relative'\n", "sender.toml:2: "),
            ("[maps]\n", "sender.toml:1: unknown field"),
        ] {
            let error = load(text, "").unwrap_err();
            assert!(error.starts_with(says), "{text}: {error}");
        }
        assert!(load("", "\nretries = -1").unwrap_err().starts_with("defaults.toml:2: "));
    }
}
