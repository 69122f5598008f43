//! Names below a job's root: [`Name`] is one component, [`RelPath`] a list of them.
//!
//! Both are bytes, never text: a name travels as the file system gave it. Both are checked once, when they are made or
//! decoded, so that nothing behind them asks again whether a path is absolute or climbs out with `..`.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits::{NAME_BYTES_MAX, PATH_BYTES_MAX, PATH_DEPTH_MAX};
use crate::text::Escaped;

/// The folder in a share's root that belongs to the agent; no job may list, write or delete it.
pub const PRIVATE_DIR: &str = ".quicopy";

/// How the name of a partial file that stands beside its target begins; reserved like [`PRIVATE_DIR`].
pub const PARTIAL_PREFIX: &str = ".~quicopy-";

/// One path component: 1 to 255 bytes, neither `.` nor `..`, without `/` and NUL.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Name(Box<[u8]>);

/// Why some bytes are not a [`Name`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    /// No bytes at all.
    #[error("an empty name")]
    Empty,
    /// `.` or `..`.
    #[error("the name . or ..")]
    Dots,
    /// A byte that no name can hold.
    #[error("a name with a slash or a zero byte")]
    ForbiddenByte,
    /// More than [`NAME_BYTES_MAX`] bytes.
    #[error("a name of over {NAME_BYTES_MAX} bytes")]
    TooLong,
}

impl Name {
    /// Checks the bytes of one component.
    ///
    /// # Errors
    /// Says which rule the bytes break.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Result<Self, NameError> {
        let bytes = bytes.into();
        match &*bytes {
            [] => Err(NameError::Empty),
            b"." | b".." => Err(NameError::Dots),
            b if b.contains(&b'/') || b.contains(&0) => Err(NameError::ForbiddenByte),
            b if b.len() > NAME_BYTES_MAX => Err(NameError::TooLong),
            _ => Ok(Self(bytes)),
        }
    }

    /// The bytes as the file system knows them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the name is kept for the agent, in any case of its letters: [`PRIVATE_DIR`] and what begins with [`PARTIAL_PREFIX`].
    pub fn is_reserved(&self) -> bool {
        let prefix = PARTIAL_PREFIX.as_bytes();
        self.0.eq_ignore_ascii_case(PRIVATE_DIR.as_bytes())
            || self.0.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.0).fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Name;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a path component")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Name, E> {
                Name::new(bytes).map_err(E::custom)
            }
            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Name, E> {
                Name::new(bytes).map_err(E::custom)
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

/// A path below a job's root: up to [`PATH_DEPTH_MAX`] names, [`PATH_BYTES_MAX`] bytes with the slashes between them.
///
/// The empty path is the root itself. Paths are ordered component by component, a directory before what it holds and
/// names by their bytes: the order in which a depth-first walk meets directories, and in which listings travel.
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct RelPath {
    // Names joined by single slashes. Private, because every component is a valid `Name`.
    joined: Vec<u8>,
}

/// Why a path cannot be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PathError {
    /// One of its components is not a name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// More than [`PATH_DEPTH_MAX`] components.
    #[error("a path of over {PATH_DEPTH_MAX} components")]
    TooDeep,
    /// More than [`PATH_BYTES_MAX`] bytes.
    #[error("a path of over {PATH_BYTES_MAX} bytes")]
    TooLong,
}

impl RelPath {
    /// The job's root itself.
    pub const ROOT: Self = Self { joined: Vec::new() };

    /// Reads names separated by single slashes; the empty text is the root.
    ///
    /// # Errors
    /// A component is not a name, or the path exceeds a limit. A leading, trailing or double slash is an empty name.
    pub fn parse(joined: &[u8]) -> Result<Self, PathError> {
        let mut path = Self::ROOT;
        if joined.is_empty() {
            return Ok(path);
        }
        for component in joined.split(|&byte| byte == b'/') {
            path = path.join(&Name::new(component)?)?;
        }
        Ok(path)
    }

    /// The path of `name` inside the directory `self`.
    ///
    /// # Errors
    /// The result would exceed a limit.
    pub fn join(&self, name: &Name) -> Result<Self, PathError> {
        let mut joined = Vec::with_capacity(self.joined.len() + 1 + name.as_bytes().len());
        joined.extend_from_slice(&self.joined);
        if !joined.is_empty() {
            joined.push(b'/');
        }
        joined.extend_from_slice(name.as_bytes());
        if joined.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        let path = Self { joined };
        if path.depth() > PATH_DEPTH_MAX { Err(PathError::TooDeep) } else { Ok(path) }
    }

    /// Whether this is the job's root.
    pub fn is_root(&self) -> bool {
        self.joined.is_empty()
    }

    /// How many components the path has; 0 for the root.
    pub fn depth(&self) -> usize {
        self.components().count()
    }

    /// The bytes of each component, from the root downwards.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.joined.split(|&byte| byte == b'/').filter(|component| !component.is_empty())
    }

    /// The components as names, from the root downwards.
    pub fn names(&self) -> impl Iterator<Item = Name> {
        self.components().map(|component| Name(component.into()))
    }

    /// The directory that holds this path, and the last name; `None` for the root.
    pub fn split_last(&self) -> Option<(Self, Name)> {
        let at = match self.joined.iter().rposition(|&byte| byte == b'/') {
            _ if self.is_root() => return None,
            Some(slash) => slash,
            None => 0,
        };
        let name = self.joined.get(at..).unwrap_or_default();
        let name = name.strip_prefix(b"/").unwrap_or(name);
        Some((Self { joined: self.joined[..at].to_vec() }, Name(name.into())))
    }

    /// Whether `self` is `ancestor` or lies below it.
    pub fn is_at_or_below(&self, ancestor: &Self) -> bool {
        match self.joined.strip_prefix(&*ancestor.joined) {
            Some(rest) => ancestor.is_root() || rest.is_empty() || rest[0] == b'/',
            None => false,
        }
    }

    /// What follows `ancestor` in it, blind to ASCII case, without a leading slash; `None` if it does not lie at or below that.
    pub fn below_ignoring_case(&self, ancestor: &Self) -> Option<&[u8]> {
        let (head, rest) = self.joined.split_at_checked(ancestor.joined.len())?;
        let rest = match rest {
            _ if ancestor.is_root() => rest,
            [] => rest,
            [b'/', rest @ ..] => rest,
            [..] => return None,
        };
        head.eq_ignore_ascii_case(&ancestor.joined).then_some(rest)
    }

    /// The names joined by slashes, without a leading one; empty for the root.
    pub fn as_bytes(&self) -> &[u8] {
        &self.joined
    }
}

impl Ord for RelPath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.components().cmp(other.components())
    }
}

impl PartialOrd for RelPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<Name> for RelPath {
    fn from(name: Name) -> Self {
        Self { joined: name.0.into_vec() }
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.joined).fmt(f)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

// On the wire: the joined bytes. The slash cannot stand inside a name, so no second form exists.
impl Serialize for RelPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.joined)
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = RelPath;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a relative path")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<RelPath, E> {
                RelPath::parse(bytes).map_err(E::custom)
            }
            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<RelPath, E> {
                RelPath::parse(&bytes).map_err(E::custom)
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_could_climb_out_or_confuse_is_not_a_path() {
        for text in ["..", ".", "a/../b", "/a", "a/", "a//b", "a\0"] {
            assert!(RelPath::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert_eq!(Name::new(*b"a/b"), Err(NameError::ForbiddenByte));
        assert_eq!(Name::new(vec![b'x'; 256]), Err(NameError::TooLong));
        assert!(Name::new(vec![b'x'; 255]).is_ok());
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let deep = ["d"; PATH_DEPTH_MAX].join("/");
        assert!(RelPath::parse(deep.as_bytes()).is_ok());
        assert_eq!(RelPath::parse(format!("{deep}/d").as_bytes()), Err(PathError::TooDeep));
        let long = vec!["x".repeat(250); 17].join("/");
        assert_eq!(RelPath::parse(long.as_bytes()), Err(PathError::TooLong));
    }

    #[test]
    fn a_directory_comes_before_what_it_holds_and_that_before_its_next_sibling() {
        let mut paths = vec![path("a.b"), path("b"), path("a/x"), path(""), path("a")];
        paths.sort();
        assert_eq!(paths, vec![path(""), path("a"), path("a/x"), path("a.b"), path("b")]);
    }

    #[test]
    fn split_last_undoes_join() {
        assert_eq!(RelPath::ROOT.split_last(), None);
        let (parent, name) = path("a/b/c").split_last().unwrap();
        assert_eq!((parent, name.as_bytes()), (path("a/b"), &b"c"[..]));
        let (parent, name) = path("a").split_last().unwrap();
        assert_eq!((parent, name.as_bytes()), (RelPath::ROOT, &b"a"[..]));
    }

    #[test]
    fn below_means_whole_components() {
        assert!(path("a/b").is_at_or_below(&path("a")));
        assert!(path("a").is_at_or_below(&path("a")));
        assert!(path("a").is_at_or_below(&RelPath::ROOT));
        assert!(!path("ab").is_at_or_below(&path("a")));
        assert_eq!(path("A/b/C").below_ignoring_case(&path("a/B")), Some(&b"C"[..]));
        assert_eq!(path("A").below_ignoring_case(&path("a")), Some(&b""[..]));
        assert_eq!(path("a/b").below_ignoring_case(&RelPath::ROOT), Some(&b"a/b"[..]));
        assert_eq!(path("ab").below_ignoring_case(&path("A")), None);
        assert_eq!(path("a").below_ignoring_case(&path("a/b")), None);
    }

    #[test]
    fn reserved_names_are_known_in_any_case() {
        for name in [".quicopy", ".QuiCopy", ".~quicopy-1.part", ".~QUICOPY-x"] {
            assert!(Name::new(name.as_bytes()).unwrap().is_reserved(), "{name}");
        }
        assert!(!Name::new(*b".quicopyx").unwrap().is_reserved());
    }

    proptest! {
        #[test]
        fn parsing_any_bytes_returns_and_keeps_what_it_accepts(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(path) = RelPath::parse(&bytes) {
                prop_assert_eq!(path.as_bytes(), &*bytes);
                let rebuilt = path.names().try_fold(RelPath::ROOT, |dir, name| dir.join(&name)).unwrap();
                prop_assert_eq!(rebuilt, path);
            }
        }
    }
}
