//! What the paths of a command line mean on this machine: [`Folders`].

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use quicopy_protocol::text::Escaped;

use super::Surroundings;
use super::destination::{Destination, DestinationError};
use super::rules::clean;
use crate::config::{Config, WindowsPath};
use crate::job_file;

/// Why a path leads nowhere.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FolderError {
    /// Data flows away from here only.
    #[error("Source \"{}\" is on another machine : run the sender there.", shown(.0))]
    RemoteSource(OsString),
    /// A share of another machine as the source, by Windows' name: it may be a folder of this one under its old name.
    #[error(
        "Source \"{path}\" is on another machine : run the sender there.\n        If it is a folder of this one, add to {} below [map] : '{path}' = '/its/folder'",
        file.display()
    )]
    UnmappedSource {
        /// The source.
        path: WindowsPath,
        /// The configuration.
        file: PathBuf,
    },
    /// A path with a drive letter, or a file by a path of Windows.
    #[error(
        "\"{path}\" is nowhere here : this system has no drive letters and no UNC paths of its own.\n        Add to {} below [map] what it stands for : '{path}' = '/its/folder'",
        file.display()
    )]
    Unmapped {
        /// The path.
        path: WindowsPath,
        /// The configuration.
        file: PathBuf,
    },
    /// A folder that cannot be read.
    #[error("\"{}\" is no folder : {source}.", shown(.typed))]
    Unreadable {
        /// What was typed.
        typed: OsString,
        /// What is wrong with it.
        source: DestinationError,
    },
}

/// Reads paths with what the configuration says of those of Windows.
#[derive(Clone, Copy)]
pub(super) struct Folders<'a> {
    pub surroundings: &'a Surroundings<'a>,
    pub config: &'a Config,
}

impl Folders<'_> {
    /// The source: a folder of this machine.
    pub(super) fn source(&self, typed: &OsStr) -> Result<PathBuf, FolderError> {
        let windows = WindowsPath::parse(typed).filter(WindowsPath::is_unc);
        match (self.destination(typed)?, windows) {
            (Destination::Local(path), _) => Ok(path),
            (Destination::Remote(_), Some(path)) if self.config.map.find(&path).is_none() => {
                Err(FolderError::UnmappedSource { path, file: self.config.file() })
            }
            (Destination::Remote(_), _) => Err(FolderError::RemoteSource(typed.to_owned())),
        }
    }

    /// A folder of this machine, absolute, or of an agent.
    pub(super) fn destination(&self, typed: &OsStr) -> Result<Destination, FolderError> {
        let windows = WindowsPath::parse(typed);
        if let Some(found) = windows.as_ref().and_then(|path| self.config.map.find(path)) {
            return Ok(found);
        }
        match (Destination::parse(typed, self.surroundings.home), windows) {
            (Ok(Destination::Local(path)), _) => Ok(Destination::Local(self.absolute(&path))),
            (Ok(remote @ Destination::Remote(_)), _) => Ok(remote),
            (Err(DestinationError::DriveLetter), Some(path)) => Err(self.unmapped(path)),
            (Err(source), _) => Err(FolderError::Unreadable { typed: typed.to_owned(), source }),
        }
    }

    /// A file of this machine, such as a log.
    pub(super) fn file(&self, typed: &Path) -> Result<PathBuf, FolderError> {
        let Some(path) = WindowsPath::parse(typed.as_os_str()) else {
            return Ok(self.absolute(typed));
        };
        match self.config.map.find(&path) {
            Some(Destination::Local(path)) => Ok(path),
            Some(Destination::Remote(_)) | None => Err(self.unmapped(path)),
        }
    }

    /// The file that `/SAVE` writes.
    pub(super) fn job_to_save(&self, typed: &Path) -> Result<PathBuf, FolderError> {
        Ok(job_file::file_to_save(&self.file(typed)?, self.surroundings.cwd))
    }

    /// An item of a list, as it is written without Windows' paths. `source` and `destination` are the job's, each as typed and
    /// as it was read. What Windows or a host would take for a path below one of them is one, however it is spelled.
    pub(super) fn item(
        &self,
        item: &OsStr,
        source: (&OsStr, &Path),
        destination: (&OsStr, &Destination),
    ) -> Result<OsString, FolderError> {
        let windows = WindowsPath::parse(item);
        let rest = |typed: &OsStr| windows.as_ref()?.rest_below(&WindowsPath::parse(typed)?);
        if let Some(rest) = rest(source.0) {
            return Ok(source.1.join(rest).into());
        }
        if let (Some(rest), Destination::Local(path)) = (rest(destination.0), destination.1) {
            return Ok(path.join(rest).into());
        }
        let mapped = windows.as_ref().and_then(|path| self.config.map.find(path));
        let found = mapped.or_else(|| Destination::parse(item, None).ok());
        match (found, destination.1, windows) {
            (Some(Destination::Remote(found)), Destination::Remote(root), _) => {
                Ok(found.below(root).map_or(item.to_owned(), |rest| {
                    let mut item = destination.0.to_owned();
                    item.push("/");
                    item.push(OsStr::from_bytes(rest));
                    item
                }))
            }
            (Some(Destination::Local(path)), _, Some(_)) => Ok(path.into()),
            // Only a share may be a destination as it is typed; that of another job leaves nothing out.
            (None, _, Some(path)) if !path.is_unc() => Err(self.unmapped(path)),
            (Some(_) | None, ..) => Ok(item.to_owned()),
        }
    }

    /// The folder as a job file has it: the same wherever the job is started from.
    pub(super) fn saved(&self, typed: &OsStr) -> OsString {
        match (WindowsPath::parse(typed), self.destination(typed)) {
            (None, Ok(Destination::Local(path))) => {
                let mut path = path.into_os_string();
                if !path.as_bytes().ends_with(b"/") {
                    path.push("/");
                }
                path
            }
            (_, _) => typed.to_owned(),
        }
    }

    /// A path below the current folder. Backslashes are slashes, as in scripts from Windows, unless there is such a name.
    fn absolute(&self, path: &Path) -> PathBuf {
        let absolute = clean(&self.surroundings.cwd.join(path));
        let bytes = path.as_os_str().as_bytes();
        if !bytes.contains(&b'\\') || (self.surroundings.exists)(&absolute) {
            return absolute;
        }
        let slashed = bytes.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect();
        clean(&self.surroundings.cwd.join(OsString::from_vec(slashed)))
    }

    fn unmapped(&self, path: WindowsPath) -> FolderError {
        FolderError::Unmapped { path, file: self.config.file() }
    }
}

fn shown(typed: &OsStr) -> Escaped<'_> {
    Escaped(typed.as_bytes())
}
