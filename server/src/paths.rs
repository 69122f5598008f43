//! Where this sender keeps its identity, its trust and its history: [`StateDir`]; and where its configuration is: [`config_dir`].

use std::ffi::{OsStr, OsString};
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
    /// `XDG_CONFIG_HOME`
    pub xdg_config_home: Option<OsString>,
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
            xdg_config_home: variable("XDG_CONFIG_HOME"),
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
        let xdg = environment.xdg_state_home.as_deref();
        let path = below(option, environment, cwd, xdg, ".local/state");
        Ok(Self { path: path.ok_or(StateDirError::Nowhere)? })
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

/// The folder of the sender's configuration: the one of its state below `--state-dir` or `QUICOPY_HOME`; else `quicopy`
/// below `XDG_CONFIG_HOME`, else below `~/.config`. `None` without any of them.
pub fn config_dir(option: Option<&Path>, environment: &Environment, cwd: &Path) -> Option<PathBuf> {
    below(option, environment, cwd, environment.xdg_config_home.as_deref(), ".config")
}

fn below(
    option: Option<&Path>,
    environment: &Environment,
    cwd: &Path,
    xdg: Option<&OsStr>,
    of_home: &str,
) -> Option<PathBuf> {
    let Environment { quicopy_home, home, .. } = environment;
    if let Some(dir) = option.or(quicopy_home.as_deref().map(Path::new)) {
        return Some(cwd.join(dir).join(OWN_FOLDER));
    }
    let xdg = xdg.map(PathBuf::from).filter(|path| path.is_absolute());
    let dir = xdg.or_else(|| Some(Path::new(home.as_ref()?).join(of_home)))?;
    Some(cwd.join(dir).join("quicopy"))
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
            ..Environment::default()
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
    fn the_configuration_is_beside_the_state_only_where_one_folder_holds_both() {
        let environment = Environment { home: Some("/h".into()), ..Environment::default() };
        let find = |option: Option<&str>, environment: &Environment| {
            config_dir(option.map(Path::new), environment, Path::new("/cwd"))
        };
        assert_eq!(find(Some("s"), &environment), Some("/cwd/s/sender".into()));
        assert_eq!(find(None, &environment), Some("/h/.config/quicopy".into()));
        let xdg = Environment { xdg_config_home: Some("/x".into()), ..environment };
        assert_eq!(find(None, &xdg), Some("/x/quicopy".into()));
        assert_eq!(find(None, &Environment::default()), None);
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
