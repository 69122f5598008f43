//! What paths of Windows stand for on this machine: [`PathMap`].
//!
//! ```toml
//! [map]
//! '\\SRV-PROD-01\Scripts$' = '/srv/scripts'      # a folder of this machine
//! '\\SRV-BKP-01\Scripts$' = 'backup:scripts'     # a share of an agent
//! 'D:\' = '/srv/d'
//! ```

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;

use quicopy_protocol::path::Name;
use serde::de::{self, Deserialize, Deserializer};

use crate::cli::Destination;

/// A full path as Windows writes it: `\\host\share\a`, or `D:\a`; with either slash.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct WindowsPath {
    /// `\\host` or `D:`, then what stands between slashes; neither empty nor `.` nor `..`.
    components: Vec<String>,
}

impl WindowsPath {
    /// Reads one; `None` if the text is of another form, or climbs with `..`. A path relative to a drive's current folder
    /// (`D:a`) is of another form: there is no such folder here.
    pub fn parse(text: &OsStr) -> Option<Self> {
        let text = text.to_str()?.replace('\\', "/");
        let (root, rest) = if let Some(unc) = text.strip_prefix("//") {
            let (host, rest) = unc.split_once('/')?;
            (format!(r"\\{host}"), rest)
        } else {
            let (drive, rest) = text.split_at_checked(2)?;
            let is_drive =
                matches!(drive.as_bytes(), [letter, b':'] if letter.is_ascii_alphabetic());
            let is_full = rest.is_empty() || rest.starts_with('/');
            (is_drive && is_full).then(|| (drive.to_owned(), rest))?
        };
        let mut components = vec![root];
        components.extend(rest.split('/').filter(|part| !part.is_empty()).map(str::to_owned));
        let path = Self { components };
        let names_a_share = path.components[0] != r"\\" && path.components.len() > 1;
        let climbs = path.components.iter().any(|part| matches!(&**part, "." | ".."));
        (!climbs && (names_a_share || !path.is_unc())).then_some(path)
    }

    /// Whether it names a share of a machine, and not a drive.
    pub fn is_unc(&self) -> bool {
        self.components[0].starts_with('\\')
    }

    /// The path below `root` that it names; `None` if it is elsewhere.
    pub fn rest_below(&self, root: &Self) -> Option<PathBuf> {
        Some(self.below(root)?.iter().collect())
    }

    /// What follows `head` in it, blind to case as Windows is; `None` if it is elsewhere.
    fn below(&self, head: &Self) -> Option<&[String]> {
        let (own, rest) = self.components.split_at_checked(head.components.len())?;
        let same = |(a, b): (&String, &String)| a.to_lowercase() == b.to_lowercase();
        own.iter().zip(&head.components).all(same).then_some(rest)
    }
}

impl fmt::Display for WindowsPath {
    /// With backslashes, none at the end but after a drive.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.components.len() == 1 && !self.is_unc() { "\\" } else { "" };
        write!(f, "{}{slash}", self.components.join("\\"))
    }
}

/// Folders of Windows, and the folders that they are for a sender: of its own machine, or in a share of an agent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PathMap {
    // The longest first: the entry that says most of a path is the one that holds.
    entries: Vec<(WindowsPath, Destination)>,
}

impl PathMap {
    /// What a path stands for; `None` if no entry says so.
    pub fn find(&self, path: &WindowsPath) -> Option<Destination> {
        let (rest, target) = self
            .entries
            .iter()
            .find_map(|(head, target)| Some((path.below(head)?, target.clone())))?;
        match target {
            Destination::Local(mut folder) => {
                folder.extend(rest);
                Some(Destination::Local(folder))
            }
            Destination::Remote(mut folder) => {
                for part in rest {
                    folder.path = folder.path.join(&Name::new(part.as_bytes()).ok()?).ok()?;
                }
                Some(Destination::Remote(folder))
            }
        }
    }
}

impl<'de> Deserialize<'de> for PathMap {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let entries = BTreeMap::<WindowsPath, Target>::deserialize(from)?;
        let mut entries: Vec<_> =
            entries.into_iter().map(|(path, Target(target))| (path, target)).collect();
        entries.sort_by_key(|(path, _)| Reverse(path.components.len()));
        let is_twice = |(at, (path, _)): (usize, &(WindowsPath, Destination))| {
            entries[..at].iter().any(|(other, _)| path.below(other).is_some_and(<[_]>::is_empty))
        };
        match entries.iter().enumerate().find(|entry| is_twice(*entry)) {
            Some((_, (path, _))) => Err(de::Error::custom(format!("{path} stands here twice"))),
            None => Ok(Self { entries }),
        }
    }
}

impl<'de> Deserialize<'de> for WindowsPath {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(OsStr::new(&text)).ok_or_else(|| {
            de::Error::custom(format!(
                r"'{text}' is no full path of Windows, such as '\\HOST\share' or 'D:\'"
            ))
        })
    }
}

/// What an entry leads to.
struct Target(Destination);

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        match Destination::parse(OsStr::new(&text), None) {
            Ok(Destination::Local(path)) if !path.is_absolute() => {
                Err(de::Error::custom(format!("'{text}' is neither a full path nor NAME:SHARE")))
            }
            Ok(target) => Ok(Self(target)),
            Err(error) => Err(de::Error::custom(format!("'{text}' is no folder: {error}"))),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MAP: &str = r"
        '\\SRV-PROD-01\Scripts$' = '/srv/scripts'
        '//srv-prod-01/Scripts$/old' = '/archive'
        '\\SRV-BKP-01\Scripts$\' = 'backup:scripts/x'
        'D:\' = '/srv/d'
        'd:/data' = 'quicopy://b:5000/data'
    ";

    fn find(text: &str) -> Option<String> {
        let map: PathMap = toml::from_str(MAP).unwrap();
        map.find(&WindowsPath::parse(OsStr::new(text)).unwrap()).map(|found| found.to_string())
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(find(text).as_deref(), Some(expected), "{text}");
    }

    #[test]
    fn the_entry_that_says_most_of_a_path_holds() {
        check(r"\\srv-prod-01\SCRIPTS$", "/srv/scripts");
        check(r"\\SRV-PROD-01\Scripts$\Sub\x y\", "/srv/scripts/Sub/x y");
        check(r"\\SRV-PROD-01\Scripts$\OLD\a", "/archive/a");
        check(r"//SRV-BKP-01/Scripts$/a", "quicopy://backup/scripts/x/a");
        check(r"D:\", "/srv/d");
        check(r"d:/other", "/srv/d/other");
        check(r"D:\Data\a", "quicopy://b:5000/data/a");
    }

    #[test]
    fn what_no_entry_names_is_not_found() {
        for text in [r"\\SRV-PROD-01\Scripts", r"\\OTHER\Scripts$", r"C:\data", r"E:"] {
            assert_eq!(find(text), None, "{text}");
        }
    }

    #[test]
    fn only_full_paths_of_windows_are_read() {
        for text in
            ["", "D", "D:a", "/data", r"\\host", r"\\\share", r"D:\a\..\b", "host:share", "DD:/"]
        {
            assert_eq!(WindowsPath::parse(OsStr::new(text)), None, "{text}");
        }
        for text in [r"\\host\share\a", r"D:\", r"D:\a"] {
            assert_eq!(WindowsPath::parse(OsStr::new(text)).unwrap().to_string(), text);
        }
    }

    #[test]
    fn no_folder_stands_there_twice() {
        assert!(toml::from_str::<PathMap>("'D:' = '/a'\n'd:/' = '/b'\n").is_err());
    }
}
