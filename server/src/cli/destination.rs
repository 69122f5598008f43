//! Where a job goes: a folder of this machine, or a share of an agent.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use quicopy_protocol::limits::SHARE_BYTES_MAX;
use quicopy_protocol::path::{PathError, RelPath};
use quicopy_protocol::text::Escaped;

use super::address::{Address, AddressError};

/// A job's destination.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Destination {
    /// A folder that an agent embedded in this process writes.
    Local(PathBuf),
    /// A folder in a share of an agent.
    Remote(RemoteFolder),
}

/// A folder that an agent exports, or one below it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RemoteFolder {
    /// The agent: the name it was paired under, or its host.
    pub agent: Address,
    /// The share, 1 to 64 bytes.
    pub share: String,
    /// The folder below the share; the root for the share itself.
    pub path: RelPath,
}

/// Why a text is not a [`Destination`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DestinationError {
    /// A form with a host whose host is wrong.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No share, or one that cannot be a share's name.
    #[error(
        "the share is missing, or over {SHARE_BYTES_MAX} bytes long, or holds control characters"
    )]
    BadShare,
    /// A path below the share that climbs out, or is too long.
    #[error("the path below the share has {0}")]
    BadPath(#[from] PathError),
    /// Bytes that are not UTF-8 in a form that names an agent.
    #[error("a remote folder is written in UTF-8")]
    NotText,
    /// `C:` on a system without drives.
    #[error("this system has no drive letters")]
    DriveLetter,
    /// One backslash at the beginning: what a shell leaves of two.
    #[error(r"a shell has taken backslashes from it; write '\\HOST\Share' in single quotes")]
    LostBackslash,
}

impl Destination {
    /// Reads what the user typed, trying the forms in this order: `quicopy://HOST[:PORT]/SHARE[/path]`, a UNC path with
    /// either slash, a local path, `NAME-OR-HOST:SHARE[/path]`.
    ///
    /// `home` stands for a leading `~`, which no shell has replaced when a scheduler starts the program.
    ///
    /// # Errors
    /// The text has the form of a remote folder and is none, or begins with a drive letter.
    pub fn parse(typed: &OsStr, home: Option<&Path>) -> Result<Self, DestinationError> {
        let bytes = typed.as_bytes();
        if let Some(rest) = strip_scheme(bytes) {
            return RemoteFolder::parse(rest, |byte| byte == b'/').map(Self::Remote);
        }
        if let [b'/', b'/', rest @ ..] | [b'\\', b'\\', rest @ ..] = bytes {
            return RemoteFolder::parse(rest, |byte| matches!(byte, b'/' | b'\\'))
                .map(Self::Remote);
        }
        match bytes {
            [letter, b':', ..] if letter.is_ascii_alphabetic() => {
                Err(DestinationError::DriveLetter)
            }
            [b'\\', ..] => Err(DestinationError::LostBackslash),
            [b'~'] | [b'~', b'/', ..] => Ok(Self::Local(expand_home(bytes, home))),
            [b'/' | b'.' | b'~', ..] => Ok(Self::Local(typed.into())),
            _ if !bytes.contains(&b':') => Ok(Self::Local(typed.into())),
            _ => RemoteFolder::parse_host_colon_share(bytes).map(Self::Remote),
        }
    }
}

impl RemoteFolder {
    /// `HOST/SHARE/path` with the caller's idea of a slash.
    fn parse(bytes: &[u8], is_slash: impl Fn(u8) -> bool) -> Result<Self, DestinationError> {
        let end = bytes.iter().position(|&byte| is_slash(byte)).unwrap_or(bytes.len());
        let agent = Address::parse(text(&bytes[..end])?)?;
        let below = bytes[end..].split(|&byte| is_slash(byte));
        Self::new(agent, below)
    }

    /// `HOST:SHARE/path`; an IPv6 address stands in brackets.
    fn parse_host_colon_share(bytes: &[u8]) -> Result<Self, DestinationError> {
        let text = text(bytes)?;
        let colon = match text.find("]:") {
            Some(bracket) if text.starts_with('[') => bracket + 1,
            Some(_) | None => text.find(':').ok_or(AddressError::NoHost)?,
        };
        let agent = Address::parse(&text[..colon])?;
        Self::new(agent, text.as_bytes()[colon + 1..].split(|&byte| byte == b'/'))
    }

    /// The path below `root` that it names; `None` if it is elsewhere. Blind to case, as hosts are, and the agent of a share that
    /// was one of Windows may be.
    pub(super) fn below(&self, root: &Self) -> Option<&[u8]> {
        let is_same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
        let (agent, root_agent) = (self.agent.to_string(), root.agent.to_string());
        if !is_same(&agent, &root_agent) || !is_same(&self.share, &root.share) {
            return None;
        }
        self.path.below_ignoring_case(&root.path)
    }

    fn new<'a>(
        agent: Address,
        components: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Self, DestinationError> {
        let mut components = components.filter(|component| !component.is_empty());
        let share = text(components.next().ok_or(DestinationError::BadShare)?)?;
        if share.len() > SHARE_BYTES_MAX || share.chars().any(char::is_control) {
            return Err(DestinationError::BadShare);
        }
        let path = RelPath::parse(&components.collect::<Vec<_>>().join(&b'/'))?;
        Ok(Self { agent, share: share.to_owned(), path })
    }
}

impl fmt::Display for Destination {
    /// A path, escaped, or the form that begins with `quicopy://`; without a trailing slash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => Escaped(path.as_os_str().as_bytes()).fmt(f),
            Self::Remote(folder) => folder.fmt(f),
        }
    }
}

impl fmt::Display for RemoteFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "quicopy://{}/{}", self.agent, Escaped(self.share.as_bytes()))?;
        if self.path.is_root() { Ok(()) } else { write!(f, "/{}", self.path) }
    }
}

fn strip_scheme(bytes: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"quicopy://";
    let (head, rest) = bytes.split_at_checked(SCHEME.len())?;
    head.eq_ignore_ascii_case(SCHEME).then_some(rest)
}

fn expand_home(bytes: &[u8], home: Option<&Path>) -> PathBuf {
    let below = OsStr::from_bytes(bytes[1..].strip_prefix(b"/").unwrap_or_default());
    match home {
        Some(home) => home.join(below),
        None => OsStr::from_bytes(bytes).into(),
    }
}

fn text(bytes: &[u8]) -> Result<&str, DestinationError> {
    str::from_utf8(bytes).map_err(|_| DestinationError::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(typed: &str) -> Result<Destination, DestinationError> {
        Destination::parse(OsStr::new(typed), Some(Path::new("/home/ann")))
    }

    fn check_remote(typed: &str, shown: &str) {
        match parse(typed) {
            Ok(Destination::Remote(folder)) => assert_eq!(folder.to_string(), shown, "{typed}"),
            wrong => panic!("{typed}: {wrong:?}"),
        }
    }

    #[test]
    fn an_agent_is_named_in_three_forms() {
        check_remote("quicopy://b/data", "quicopy://b/data");
        check_remote("QUICOPY://b:5000/data/a/b/", "quicopy://b:5000/data/a/b");
        check_remote("quicopy://[::1]:5000/data", "quicopy://[::1]:5000/data");
        check_remote(r"\\B\Scripts$\x\y", "quicopy://B/Scripts$/x/y");
        check_remote("//B/Scripts$/x", "quicopy://B/Scripts$/x");
        check_remote(r"\\B\Scripts$\", "quicopy://B/Scripts$");
        check_remote("branch:data", "quicopy://branch/data");
        check_remote("branch:data/x", "quicopy://branch/data/x");
        check_remote("branch:/data/x", "quicopy://branch/data/x");
        check_remote("[::1]:data", "quicopy://[::1]/data");
    }

    #[test]
    fn what_looks_local_is_local() {
        for (typed, path) in [
            ("/data", "/data"),
            ("./b:c", "./b:c"),
            ("..", ".."),
            ("plain", "plain"),
            ("a/b", "a/b"),
            ("~", "/home/ann"),
            ("~/x", "/home/ann/x"),
            ("~bob/x", "~bob/x"),
        ] {
            assert_eq!(parse(typed), Ok(Destination::Local(path.into())), "{typed}");
        }
    }

    #[test]
    fn a_remote_folder_that_is_none_is_refused() {
        for typed in [
            "quicopy://",
            "quicopy://b",
            "quicopy://b/",
            "quicopy://b/s/../x",
            "quicopy://b:0/s",
            "//b",
            r"\\b\",
            "b:",
            ":s",
            "//b/s/..",
            "b:s/./x",
        ] {
            assert!(parse(typed).is_err(), "{typed}");
        }
        assert_eq!(parse(r"C:\data"), Err(DestinationError::DriveLetter));
        assert_eq!(parse("d:"), Err(DestinationError::DriveLetter));
        assert_eq!(parse(r"\srvData$"), Err(DestinationError::LostBackslash));
    }
}
