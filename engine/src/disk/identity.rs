//! What tells one share from another.

use std::fmt;
use std::io::{self, Read, Write};

use quicopy_protocol::path::{Name, PRIVATE_DIR};

use super::private::{check_private, own_name};
use super::share::{Share, ShareError};
use super::{Placement, RenameMode};

const ID_FILE: &str = "id";
/// The format written here; a newer one is refused.
pub(super) const ID_VERSION: u32 = 1;

/// What tells one share from another, and a share from the empty mount point it is mounted on.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct ShareId(pub [u8; 16]);

impl fmt::Display for ShareId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ShareId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Share {
    /// The identity that an agent gave the share; `None` if it has none. Makes nothing.
    ///
    /// # Errors
    /// The private folder is not ours alone, or the identity is damaged or newer than this version.
    pub fn read_id(&self) -> Result<Option<ShareId>, ShareError> {
        let dir = match self.root().open_dir(&own_name(PRIVATE_DIR)) {
            Ok(dir) => dir,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ShareError::Private(error)),
        };
        check_private(&dir, self.root())?;
        let mut text = String::new();
        match dir.open_file_for_read(&own_name(ID_FILE)) {
            Ok((file, _)) => file.take(256).read_to_string(&mut text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => Err(error),
        }
        .map_err(ShareError::Private)?;
        parse_id(&text).map(Some)
    }

    /// Gives the share an identity, in place of one it may have, and makes it durable. `id` is random.
    ///
    /// # Errors
    /// The private folder cannot be used or written.
    pub fn write_id(&self, id: ShareId) -> Result<(), ShareError> {
        let private = self.private()?;
        let write = || -> io::Result<()> {
            let make = |name: &Name| private.partial().create_file(name);
            let (temp, mut file) = self.make_temp(Placement::Private, make)?;
            writeln!(file, "quicopy share {ID_VERSION}\n{id}")?;
            file.sync_all()?;
            let name = own_name(ID_FILE);
            private.partial().rename(&temp, private.dir(), &name, RenameMode::Replace)?;
            Ok(rustix::fs::fsync(private.dir())?)
        };
        write().map_err(ShareError::Private)
    }
}

fn parse_id(text: &str) -> Result<ShareId, ShareError> {
    let mut lines = text.lines();
    let version = lines.next().and_then(|line| line.strip_prefix("quicopy share "));
    match version {
        Some(version) if version.parse() == Ok(ID_VERSION) => {}
        Some(version) if version.parse::<u32>().is_ok_and(|version| version > ID_VERSION) => {
            return Err(ShareError::NewerId { found: version.to_owned() });
        }
        _ => return Err(ShareError::DamagedId),
    }
    let digits = lines.next().filter(|line| line.len() == 32 && line.is_ascii());
    let number = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok());
    Ok(ShareId(number.ok_or(ShareError::DamagedId)?.to_be_bytes()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_kept_and_a_damaged_or_newer_one_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let share = Share::open(temp.path()).unwrap();
        assert_eq!(share.read_id().unwrap(), None);
        let id = ShareId([0xab; 16]);
        share.write_id(id).unwrap();
        assert_eq!(share.read_id().unwrap(), Some(id));
        assert!(matches!(parse_id("quicopy share 2\nx"), Err(ShareError::NewerId { .. })));
        for text in ["", "quicopy share 1\n", "quicopy share 1\n00", "quicopy share x\n"] {
            assert!(matches!(parse_id(text), Err(ShareError::DamagedId)), "{text:?}");
        }
    }
}
