//! Short names of what is in the trash.

use std::fmt;

use quicopy_protocol::path::RelPath;

use super::Why;
use super::name::BatchName;

/// Digits and letters without those that are taken for others. Source: Crockford's Base32.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Characters of an id, 50 bits: among 100,000 things two have the same with a chance of 1 in 200,000.
const LENGTH: usize = 10;

/// The name of one thing in the trash: it follows from the batch, the path and the reason, so that it stays what it is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ItemId([u8; LENGTH]);

impl ItemId {
    pub(super) fn of(batch: &BatchName, why: Why, path: &RelPath) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in [batch.to_string().as_bytes(), why.folder().as_bytes(), path.as_bytes()] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let hash = hasher.finalize();
        let mut bits = u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("it has 32 bytes"));
        let mut text = [0; LENGTH];
        for letter in &mut text {
            *letter = ALPHABET[(bits % 32) as usize];
            bits /= 32;
        }
        Self(text)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("the alphabet is ASCII")
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_id_follows_from_what_it_names_and_from_nothing_else() {
        let batch = BatchName { begun: 1, job: [2; 16], number: 1 };
        let path = |text: &str| RelPath::parse(text.as_bytes()).unwrap();
        let id = ItemId::of(&batch, Why::Deleted, &path("a/b"));
        assert_eq!(id, ItemId::of(&batch, Why::Deleted, &path("a/b")));
        assert_ne!(id, ItemId::of(&batch, Why::Overwritten, &path("a/b")));
        assert_ne!(id, ItemId::of(&batch, Why::Deleted, &path("a/c")));
        let other = BatchName { number: 2, ..batch };
        assert_ne!(id, ItemId::of(&other, Why::Deleted, &path("a/b")));
        assert!(
            id.as_str().len() == 10 && id.as_str().bytes().all(|byte| ALPHABET.contains(&byte))
        );
    }
}
