//! Whether a share is the folder that it was: an id in the share, and the agent's memory of it.
//!
//! A backup disk that is not mounted leaves an empty folder behind, and a mirror into that folder fills the wrong disk.
//! A disk exchanged for another would have its files deleted. So each share carries an id in its private folder, and
//! the agent remembers which id stood under which name.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use quicopy_certs::StateDir;
use quicopy_engine::disk::{Share as Folder, ShareError as FolderError, ShareId};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::share::{Share, ShareName};
use crate::state;

/// The file in the state folder that remembers the ids.
const KNOWN_FILE: &str = "shares.toml";
/// Most bytes of that file.
const KNOWN_BYTES_MAX: u64 = 1 << 20;
/// The number in `version = 1` of that file.
const FORMAT_VERSION: u32 = 1;

/// What a share looks like beside what is remembered of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Never seen before: to be adopted without asking, with the id that it may bring along.
    New(Option<ShareId>),
    /// As remembered.
    Known(ShareId),
    /// The id is gone: likely the disk is not mounted.
    Missing,
    /// The id is another's: likely the disk is not the one it was.
    Changed(ShareId),
    /// There is something in the place of an id that is none.
    Damaged,
}

/// Compares what is remembered with what stands in the folder.
fn judge(known: Option<ShareId>, found: Option<ShareId>) -> Standing {
    match (known, found) {
        (None, found) => Standing::New(found),
        (Some(_), None) => Standing::Missing,
        (Some(known), Some(found)) if known == found => Standing::Known(known),
        (Some(_), Some(found)) => Standing::Changed(found),
    }
}

/// Why no job may touch a share now.
#[derive(Debug, thiserror::Error)]
pub enum ShareOffline {
    /// Its id is gone.
    #[error(
        "share {name} is offline: its identity is missing, so its disk may not be mounted; if the folder is right, run on the agent: quicopy-agent adopt {name}"
    )]
    Missing {
        /// The share.
        name: ShareName,
    },
    /// Its id is another's.
    #[error(
        "share {name} is offline: the folder carries the identity of another; if it is right, run on the agent: quicopy-agent adopt {name}"
    )]
    Changed {
        /// The share.
        name: ShareName,
    },
    /// Its id cannot be understood.
    #[error(
        "share {name} is offline: its identity is damaged; check the disk, then run on the agent: quicopy-agent adopt {name}"
    )]
    Damaged {
        /// The share.
        name: ShareName,
    },
    /// What was written did not reach its disk.
    #[error(
        "share {name} is offline: a write to its disk failed; check the disk, then run on the agent: quicopy-agent adopt {name}"
    )]
    Degraded {
        /// The share.
        name: ShareName,
    },
    /// The folder cannot be used.
    #[error("share {name} is offline: {source}{}", cause(.source))]
    Folder {
        /// The share.
        name: ShareName,
        /// Why.
        source: FolderError,
    },
    /// The memory of it fails.
    #[error("cannot {action} {path}: {source}", path = .path.display())]
    Memory {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// The system's own words below an error, where there are any.
fn cause(error: &FolderError) -> String {
    std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default()
}

impl ShareOffline {
    /// A folder that could not be opened.
    pub fn folder(share: &Share, source: FolderError) -> Self {
        Self::Folder { name: share.name.clone(), source }
    }
}

/// The agent's memory of its shares' ids.
#[derive(Debug)]
pub struct KnownShares {
    dir: StateDir,
    /// Keeps two changes of the file apart.
    writing: Mutex<()>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct KnownFile {
    version: u32,
    #[serde(default)]
    shares: BTreeMap<ShareName, KnownShare>,
}

/// What is remembered of one share. The path is for whoever reads the file.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct KnownShare {
    #[serde(with = "id_text")]
    id: ShareId,
    path: String,
}

impl Default for KnownFile {
    fn default() -> Self {
        Self { version: FORMAT_VERSION, shares: BTreeMap::new() }
    }
}

impl KnownShares {
    /// Takes the memory in a state folder, which need not exist yet.
    pub fn new(dir: &StateDir) -> Self {
        Self { dir: dir.clone(), writing: Mutex::default() }
    }

    /// Looks at a share and changes nothing.
    ///
    /// # Errors
    /// The folder or the memory cannot be read.
    pub fn standing(&self, share: &Share, folder: &Folder) -> Result<Standing, ShareOffline> {
        let known = self.read().map_err(|source| self.failed("read", source))?;
        let known = known.shares.get(&share.name).map(|known| known.id);
        match folder.read_id() {
            Ok(found) => Ok(judge(known, found)),
            Err(FolderError::DamagedId) => Ok(Standing::Damaged),
            Err(error) => Err(ShareOffline::folder(share, error)),
        }
    }

    /// Makes sure that a share is what it was before a job touches it, and returns its id. One that was never seen is
    /// adopted.
    ///
    /// # Errors
    /// Its id is missing, another's or damaged, or something cannot be read or written.
    pub fn admit(&self, share: &Share, folder: &Folder) -> Result<ShareId, ShareOffline> {
        let name = share.name.clone();
        match self.standing(share, folder)? {
            Standing::Known(id) => Ok(id),
            Standing::New(_) => self.accept(share, folder).map(|(_, id)| id),
            Standing::Missing => Err(ShareOffline::Missing { name }),
            Standing::Changed(_) => Err(ShareOffline::Changed { name }),
            Standing::Damaged => Err(ShareOffline::Damaged { name }),
        }
    }

    /// Takes a share as it stands there now: its id is remembered, and made if there is none. Returns what was found.
    ///
    /// A share without an id gets a new one, never the one that is remembered: the disk that carries that one may come
    /// back, and must then not be taken for this folder.
    ///
    /// # Errors
    /// Something cannot be read or written.
    pub fn adopt(&self, share: &Share, folder: &Folder) -> Result<Standing, ShareOffline> {
        self.accept(share, folder).map(|(standing, _)| standing)
    }

    fn accept(&self, share: &Share, folder: &Folder) -> Result<(Standing, ShareId), ShareOffline> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let standing = self.standing(share, folder)?;
        let id = match standing {
            Standing::Known(id) | Standing::New(Some(id)) | Standing::Changed(id) => id,
            Standing::New(None) | Standing::Missing | Standing::Damaged => {
                let id = random_id().map_err(|source| self.failed("make an id for", source))?;
                folder.write_id(id).map_err(|error| ShareOffline::folder(share, error))?;
                id
            }
        };
        self.remember(share, id).map_err(|source| self.failed("write", source))?;
        Ok((standing, id))
    }

    fn remember(&self, share: &Share, id: ShareId) -> io::Result<()> {
        let mut known = self.read()?;
        let path = share.path.display().to_string();
        known.shares.insert(share.name.clone(), KnownShare { id, path });
        let text = toml::to_string(&known).map_err(io::Error::other)?;
        state::replace_file(&self.dir, KNOWN_FILE, text.as_bytes())
    }

    fn read(&self) -> io::Result<KnownFile> {
        let Some(bytes) = state::read_file(&self.dir, KNOWN_FILE, KNOWN_BYTES_MAX)? else {
            return Ok(KnownFile::default());
        };
        let known: KnownFile = toml::from_slice(&bytes).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, error.message().to_owned())
        })?;
        if known.version > FORMAT_VERSION {
            return Err(io::Error::other("it was written by a newer version; update the program"));
        }
        Ok(known)
    }

    fn failed(&self, action: &'static str, source: io::Error) -> ShareOffline {
        ShareOffline::Memory { action, path: self.dir.path().join(KNOWN_FILE), source }
    }
}

fn random_id() -> io::Result<ShareId> {
    let mut bytes = [0; 16];
    let drawn = SystemRandom::new().fill(&mut bytes);
    drawn.map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(ShareId(bytes))
}

/// An id in the file: 32 hexadecimal digits.
mod id_text {
    use quicopy_engine::disk::ShareId;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(id: &ShareId, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ShareId, D::Error> {
        let text = String::deserialize(from)?;
        let digits = (text.len() == 32).then_some(&*text);
        let number = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok());
        let number = number.ok_or_else(|| de::Error::custom("an id has 32 hexadecimal digits"))?;
        Ok(ShareId(number.to_be_bytes()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::share;

    struct World {
        _temp: tempfile::TempDir,
        known: KnownShares,
        share: Share,
    }

    impl World {
        fn new() -> Self {
            let (temp, dir) = state::tests::folder();
            let path = temp.path().join("data");
            fs::create_dir(&path).unwrap();
            let share = share::tests::plain("data", &path);
            Self { known: KnownShares::new(&dir), share, _temp: temp }
        }

        fn folder(&self) -> Folder {
            Folder::open(&self.share.path).unwrap()
        }

        fn standing(&self) -> Standing {
            self.known.standing(&self.share, &self.folder()).unwrap()
        }

        fn admit(&self) -> Result<ShareId, ShareOffline> {
            self.known.admit(&self.share, &self.folder())
        }

        fn adopt(&self) -> Standing {
            self.known.adopt(&self.share, &self.folder()).unwrap()
        }

        fn id(&self) -> ShareId {
            self.folder().read_id().unwrap().unwrap()
        }
    }

    fn lose_identity(folder: &Path) {
        fs::remove_dir_all(folder.join(".quicopy")).unwrap();
    }

    #[test]
    fn a_share_seen_for_the_first_time_is_adopted_by_itself() {
        let world = World::new();
        assert_eq!(world.standing(), Standing::New(None));
        world.admit().unwrap();
        world.admit().unwrap();
        assert_eq!(world.standing(), Standing::Known(world.id()));
    }

    #[test]
    fn a_share_that_brings_an_id_along_keeps_it() {
        let (one, other) = (World::new(), World::new());
        one.admit().unwrap();
        let before = one.id();
        other.known.admit(&one.share, &one.folder()).unwrap();
        assert_eq!(one.id(), before);
    }

    #[test]
    fn a_share_without_its_id_is_offline_until_it_is_adopted() {
        let world = World::new();
        world.admit().unwrap();
        let before = world.id();
        lose_identity(&world.share.path);
        let error = world.admit().unwrap_err();
        assert!(matches!(error, ShareOffline::Missing { .. }));
        assert!(error.to_string().ends_with("quicopy-agent adopt data"), "{error}");
        assert_eq!(world.adopt(), Standing::Missing);
        world.admit().unwrap();
        assert_ne!(world.id(), before, "the lost disk must not be taken for this folder");
    }

    #[test]
    fn a_share_with_anothers_id_is_offline_until_it_is_adopted() {
        let world = World::new();
        world.admit().unwrap();
        let other = ShareId([7; 16]);
        world.folder().write_id(other).unwrap();
        assert!(matches!(world.admit(), Err(ShareOffline::Changed { .. })));
        assert_eq!(world.adopt(), Standing::Changed(other));
        world.admit().unwrap();
        assert_eq!(world.id(), other);
    }

    #[test]
    fn a_damaged_id_is_offline_until_it_is_adopted() {
        let world = World::new();
        world.admit().unwrap();
        fs::write(world.share.path.join(".quicopy/id"), "scribble").unwrap();
        assert!(matches!(world.admit(), Err(ShareOffline::Damaged { .. })));
        assert_eq!(world.adopt(), Standing::Damaged);
        world.admit().unwrap();
    }

    #[test]
    fn a_memory_of_a_newer_form_is_refused() {
        let world = World::new();
        state::replace_file(&world.known.dir, KNOWN_FILE, b"version = 2\n").unwrap();
        let error = world.admit().unwrap_err().to_string();
        assert!(error.contains("update the program"), "{error}");
    }
}
