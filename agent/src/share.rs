//! Shares: the folders that senders may address, by name.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use quicopy_protocol::limits::SHARE_BYTES_MAX;
use quicopy_protocol::options::{DeleteLimit, Durability};
use quicopy_protocol::path::Name;
use serde::{Deserialize, Deserializer, Serialize, de};

/// What a sender writes for a share: 1 to 64 of `A-Z a-z 0-9 . _ $ -`, beginning with a letter, digit or `_`.
///
/// The letters are those that every way of writing a destination lets through: `//HOST/NAME/path`, `NAME:SHARE/path`
/// and a URL. The dollar sign is there for Windows' hidden shares.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct ShareName(String);

/// A text that cannot be a share's name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{name:?} cannot name a share; use 1 to {SHARE_BYTES_MAX} of A-Z a-z 0-9 . _ $ - and begin with a letter, a digit or _"
)]
pub struct BadShareName {
    /// The text.
    pub name: String,
}

impl ShareName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ShareName {
    type Err = BadShareName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._$-".contains(&byte);
        let begins = name.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_');
        let valid = begins && name.len() <= SHARE_BYTES_MAX && name.bytes().all(fits);
        if valid { Ok(Self(name.into())) } else { Err(BadShareName { name: name.into() }) }
    }
}

impl fmt::Display for ShareName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for ShareName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// Whether links that would lead out of the share may be made in it, by senders with the permit for that.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OutsideLinks {
    /// Never, whatever the sender's permits are.
    #[default]
    Refuse,
    /// By senders with the permit `outside-links`.
    Consent,
}

/// One share, as configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Share {
    /// What senders call it.
    pub name: ShareName,
    /// Its folder: absolute, not yet looked at.
    pub path: PathBuf,
    /// How commits are made durable in it.
    pub durability: Durability,
    /// Whether links may lead out of it.
    pub outside_links: OutsideLinks,
    /// Most entries that one job may delete in it, whatever the sender asks for.
    pub max_delete: Option<DeleteLimit>,
    /// For how many days what jobs delete is kept in its trash; `None` when it is gone at once.
    pub trash_days: Option<u16>,
    /// What the root of a source must hold if a job is to delete anything.
    pub require_marker: Option<Name>,
}

/// Why the shares cannot be served as they are.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// The folder is not there, or cannot be looked at.
    #[error("share {name}: cannot open {path}: {source}; make the folder, or mount its disk, before the agent starts", path = .path.display())]
    Unreadable {
        /// The share.
        name: ShareName,
        /// Its folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Something else stands there.
    #[error("share {name}: {path} is not a folder", path = .path.display())]
    NotAFolder {
        /// The share.
        name: ShareName,
        /// What stands there.
        path: PathBuf,
    },
    /// Two jobs could write the same file under two names.
    #[error(
        "shares {first} and {second} overlap: one folder is, or holds, the other; keep one of them"
    )]
    Overlap {
        /// One of the two.
        first: ShareName,
        /// The other.
        second: ShareName,
    },
    /// A sender could overwrite the agent's keys, or read what it knows.
    #[error("share {name} and the state folder {state} overlap; move the state elsewhere with --state-dir", state = .state.display())]
    HoldsState {
        /// The share.
        name: ShareName,
        /// The state folder.
        state: PathBuf,
    },
}

/// Device and inode of a folder and of each folder above it, itself first.
type Chain = Vec<(u64, u64)>;

/// Looks at every share's folder, and refuses what would let two names write one file.
///
/// # Errors
/// A folder is missing or not a folder; two shares overlap, by path or because the same folder shows under two paths
/// (a bind mount, a link); a share and the `state` folder overlap.
pub fn check_folders(shares: &[Share], state: &Path) -> Result<(), ShareError> {
    let state_chain = folder_chain(state).unwrap_or_default();
    let mut seen: Vec<(&Share, Chain)> = Vec::new();
    for share in shares {
        let chain = open_chain(share)?;
        if overlap(&chain, &state_chain) {
            let (name, state) = (share.name.clone(), state.to_path_buf());
            return Err(ShareError::HoldsState { name, state });
        }
        if let Some((other, _)) = seen.iter().find(|(_, other)| overlap(&chain, other)) {
            let (first, second) = (other.name.clone(), share.name.clone());
            return Err(ShareError::Overlap { first, second });
        }
        seen.push((share, chain));
    }
    Ok(())
}

fn open_chain(share: &Share) -> Result<Chain, ShareError> {
    let (name, path) = (share.name.clone(), share.path.clone());
    match fs::metadata(&path) {
        Ok(metadata) if !metadata.is_dir() => return Err(ShareError::NotAFolder { name, path }),
        Ok(_) => {}
        Err(source) => return Err(ShareError::Unreadable { name, path, source }),
    }
    folder_chain(&path).map_err(|source| ShareError::Unreadable { name, path, source })
}

/// Links are resolved first, so that the chain is that of the folder itself.
fn folder_chain(path: &Path) -> io::Result<Chain> {
    let place = |folder: &Path| fs::metadata(folder).map(|found| (found.dev(), found.ino()));
    path.canonicalize()?.ancestors().map(place).collect()
}

/// Whether the folder of one chain is, or stands above, the folder of the other.
fn overlap(one: &Chain, other: &Chain) -> bool {
    one.first().is_some_and(|folder| other.contains(folder))
        || other.first().is_some_and(|folder| one.contains(folder))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;

    /// A share with nothing but a name and a folder.
    pub(crate) fn plain(name: &str, path: &Path) -> Share {
        Share {
            name: name.parse().unwrap(),
            path: path.to_path_buf(),
            durability: Durability::Group,
            outside_links: OutsideLinks::Refuse,
            max_delete: None,
            trash_days: Some(7),
            require_marker: None,
        }
    }

    /// Folders `a/b`, `ab`, `c`, `state`, a link `to-b` and a file `f`; shares are numbered in the order given.
    fn check(paths: &[&str]) -> String {
        let root = tempfile::tempdir().unwrap();
        for folder in ["a/b", "ab", "c", "state"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        std::os::unix::fs::symlink("a/b", root.path().join("to-b")).unwrap();
        fs::write(root.path().join("f"), "").unwrap();
        let shares = paths.iter().enumerate();
        let shares = shares
            .map(|(number, path)| plain(&format!("s{number}"), &root.path().join(path)))
            .collect::<Vec<_>>();
        match check_folders(&shares, &root.path().join("state")) {
            Ok(()) => "fine".into(),
            Err(ShareError::Overlap { first, second }) => format!("{first} {second}"),
            Err(ShareError::HoldsState { name, .. }) => format!("{name} state"),
            Err(ShareError::Unreadable { name, .. }) => format!("{name} unreadable"),
            Err(ShareError::NotAFolder { name, .. }) => format!("{name} not a folder"),
        }
    }

    #[test]
    fn folders_side_by_side_do_not_overlap() {
        assert_eq!(check(&[]), "fine");
        assert_eq!(check(&["a", "ab", "c"]), "fine");
    }

    #[test]
    fn a_folder_in_another_a_folder_twice_and_a_link_into_one_overlap() {
        assert_eq!(check(&["a", "a"]), "s0 s1");
        assert_eq!(check(&["c", "a", "a/b"]), "s1 s2");
        assert_eq!(check(&["a/b", "c", "a"]), "s0 s2");
        assert_eq!(check(&["a", "to-b"]), "s0 s1");
        assert_eq!(check(&["a/../c", "c"]), "s0 s1");
    }

    #[test]
    fn a_share_never_holds_the_agents_own_state() {
        assert_eq!(check(&["c", "."]), "s1 state");
        assert_eq!(check(&["state"]), "s0 state");
    }

    #[test]
    fn a_share_is_a_folder_that_exists() {
        assert_eq!(check(&["missing"]), "s0 unreadable");
        assert_eq!(check(&["a", "f"]), "s1 not a folder");
    }

    #[test]
    fn names_hold_what_every_spelling_of_a_destination_lets_through() {
        for name in ["data", "Scripts$", "www.example.com", "_x", "7", &"x".repeat(64)] {
            assert_eq!(name.parse::<ShareName>().unwrap().as_str(), name);
        }
        for name in ["", ".", "..", "-x", "$", "a/b", "a:b", "a b", "ä", "a\n", &"x".repeat(65)] {
            assert_eq!(name.parse::<ShareName>(), Err(BadShareName { name: name.into() }));
        }
    }
}
