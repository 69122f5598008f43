//! Where this sender keeps its identity, its trust and its history: [`StateDir`].

use std::ffi::OsString;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The sender's folder under `QUICOPY_HOME`, beside the agent's.
const OWN_FOLDER: &str = "sender";

/// What the environment says of folders.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `QUICOPY_HOME`
    pub quicopy_home: Option<OsString>,
    /// `XDG_STATE_HOME`
    pub xdg_state_home: Option<OsString>,
    /// `HOME`
    pub home: Option<OsString>,
}

/// The folder of this sender's state; only its owner may look into it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StateDir {
    path: PathBuf,
}

/// Why there is no state folder.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// Nothing says where it is.
    #[error("no folder for the state: set HOME or QUICOPY_HOME, or give --state-dir")]
    Nowhere,
    /// It cannot be made, or closed to others.
    #[error("cannot make the state folder {}: {source}", path.display())]
    Make {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Environment {
    /// Reads the process's environment; an empty variable counts as none.
    pub fn of_process() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            quicopy_home: variable("QUICOPY_HOME"),
            xdg_state_home: variable("XDG_STATE_HOME"),
            home: variable("HOME"),
        }
    }
}

impl StateDir {
    /// Finds the folder: `sender` below `--state-dir`, else below `QUICOPY_HOME`; else `quicopy` below `XDG_STATE_HOME`,
    /// else below `~/.local/state`. The same for root, who may well run the sender from a scheduler.
    ///
    /// Relative paths begin at `cwd`, but XDG's rules ignore a relative `XDG_STATE_HOME`.
    ///
    /// # Errors
    /// None of them is given.
    ///
    /// Source: XDG Base Directory Specification 0.8.
    pub fn locate(
        option: Option<&Path>,
        environment: &Environment,
        cwd: &Path,
    ) -> Result<Self, StateDirError> {
        let Environment { quicopy_home, xdg_state_home, home } = environment;
        let xdg = || xdg_state_home.as_ref().map(PathBuf::from).filter(|path| path.is_absolute());
        let of_home = || home.as_ref().map(|home| Path::new(home).join(".local/state"));
        let below = match option.or(quicopy_home.as_deref().map(Path::new)) {
            Some(dir) => dir.join(OWN_FOLDER),
            None => xdg().or_else(of_home).ok_or(StateDirError::Nowhere)?.join("quicopy"),
        };
        Ok(Self { path: cwd.join(below) })
    }

    /// Makes the folder, and those above it, if they are missing; closes it to everybody else.
    ///
    /// # Errors
    /// The system refuses either.
    pub fn make(&self) -> Result<&Path, StateDirError> {
        let make = || {
            if let Some(parent) = self.path.parent() {
                fs::create_dir_all(parent)?;
            }
            match DirBuilder::new().mode(0o700).create(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if fs::metadata(&self.path)?.permissions().mode() & 0o077 != 0 {
                        fs::set_permissions(&self.path, Permissions::from_mode(0o700))?;
                    }
                    Ok(())
                }
                made => made,
            }
        };
        match make() {
            Ok(()) => Ok(&self.path),
            Err(source) => Err(StateDirError::Make { path: self.path.clone(), source }),
        }
    }

    /// The folder, which may not exist yet.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(option: &str, quicopy_home: &str, xdg: &str, home: &str, expected: &str) {
        let given = |text: &str| Some(OsString::from(text)).filter(|text| !text.is_empty());
        let environment = Environment {
            quicopy_home: given(quicopy_home),
            xdg_state_home: given(xdg),
            home: given(home),
        };
        let option = given(option).map(PathBuf::from);
        let found = StateDir::locate(option.as_deref(), &environment, Path::new("/cwd"));
        assert_eq!(found.unwrap().path(), Path::new(expected));
    }

    #[test]
    fn the_option_comes_before_the_variables_and_they_before_the_home() {
        check("/s", "/q", "/x", "/h", "/s/sender");
        check("", "/q", "/x", "/h", "/q/sender");
        check("", "", "/x", "/h", "/x/quicopy");
        check("", "", "", "/h", "/h/.local/state/quicopy");
        check("s", "", "", "", "/cwd/s/sender");
        check("", "", "relative", "/h", "/h/.local/state/quicopy");
        let nothing = StateDir::locate(None, &Environment::default(), Path::new("/"));
        assert!(matches!(nothing, Err(StateDirError::Nowhere)));
    }

    #[test]
    fn the_folder_is_closed_to_others_even_if_it_was_open() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("a/b");
        let state = StateDir::locate(Some(&home), &Environment::default(), dir.path()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(state.make().unwrap()), 0o700);
        fs::set_permissions(state.path(), Permissions::from_mode(0o755)).unwrap();
        assert_eq!(mode(state.make().unwrap()), 0o700);
    }
}
