//! What the agent is told to do: the configuration file, the command line over it, defaults under it.

mod file;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub use file::parse_listen;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;

use crate::places::Environment;
use crate::share::{Share, ShareName};
use file::{RawConfig, RawShare};

/// The port on which agents are looked for.
pub const DEFAULT_PORT: u16 = 47470;
/// Both address families, any address.
pub const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), DEFAULT_PORT);
/// What the agent acts on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The agent's own state folder.
    pub state_folder: PathBuf,
    /// The shares, by name.
    pub shares: Vec<Share>,
    /// How much is done at once.
    pub limits: Limits,
}

/// How much the agent does at once. What is over a limit is refused, and the sender tries again later.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Jobs at once; 1 to 256.
    #[serde(deserialize_with = "file::limit")]
    pub jobs: usize,
    /// Jobs at once of one peer; 1 to 256.
    #[serde(deserialize_with = "file::limit")]
    pub jobs_per_peer: usize,
    /// Connections of known peers at once; 1 to 256.
    #[serde(deserialize_with = "file::limit")]
    pub connections: usize,
}

impl Default for Limits {
    /// As many as a small server carries: with 128 MiB a peer at most 1 GiB is in flight.
    fn default() -> Self {
        Self { jobs: 8, jobs_per_peer: 2, connections: 64 }
    }
}

/// What the command line says over the file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Overrides {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--state-dir`
    pub state_dir: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<SocketAddr>,
    /// `--share`, which adds to the file's shares.
    pub shares: Vec<(ShareName, PathBuf)>,
}

/// Why there is no configuration to act on.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file says what makes no sense.
    #[error("{path}:{line}: {reason}", path = .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The same share twice.
    #[error("share {name} is given twice (case does not count); rename one of them")]
    ShareTwice {
        /// The share.
        name: ShareName,
    },
    /// Neither a home nor another place for the state.
    #[error("no folder for the agent's state: HOME is not set; name one with --state-dir")]
    NoStateFolder,
}

impl Config {
    /// Reads the file, if there is one, and puts the command line over it.
    ///
    /// # Errors
    /// The file that was asked for is missing; a file cannot be read or does not parse; a share is given twice.
    pub fn load(overrides: Overrides, environment: &Environment) -> Result<Self, ConfigError> {
        let state_dir = overrides.state_dir.as_deref();
        let (file, raw) = match &overrides.config {
            Some(path) => (Some(path.clone()), RawConfig::read(path)?),
            None => match environment.config_file(state_dir) {
                Some(path) if path.exists() => (Some(path.clone()), RawConfig::read(&path)?),
                Some(_) | None => (None, RawConfig::default()),
            },
        };
        let state_folder = environment
            .state_folder(state_dir, raw.state_dir.as_ref().map(|path| path.0.as_path()))
            .ok_or(ConfigError::NoStateFolder)?;
        let from_file = raw.shares.into_iter().map(|(name, share)| share.named(name));
        let from_line = overrides.shares.into_iter();
        let from_line = from_line.map(|(name, path)| RawShare::of(path).named(name));
        let shares = unique(from_file.chain(from_line))?;
        let listen = overrides.listen.or(raw.listen.map(|listen| listen.0));
        Ok(Self {
            file,
            listen: listen.unwrap_or(DEFAULT_LISTEN),
            state_folder,
            shares,
            limits: raw.limits,
        })
    }
}

/// Names that differ in case alone would be one to people who write `\\HOST\Share`.
fn unique(shares: impl Iterator<Item = Share>) -> Result<Vec<Share>, ConfigError> {
    let mut by_name: BTreeMap<String, Share> = BTreeMap::new();
    for share in shares {
        let key = share.name.as_str().to_ascii_lowercase();
        if by_name.contains_key(&key) {
            return Err(ConfigError::ShareTwice { name: share.name });
        }
        by_name.insert(key, share);
    }
    Ok(by_name.into_values().collect())
}
