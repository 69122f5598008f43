//! Where the configuration and the state of this agent live.

use std::env;
use std::path::{Path, PathBuf};

/// What the process's environment says about places.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Environment {
    /// `QUICOPY_HOME`: moves all configuration and state under one folder.
    pub quicopy_home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub xdg_config: Option<PathBuf>,
    /// `XDG_STATE_HOME`.
    pub xdg_state: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// Whether this is the superuser.
    pub superuser: bool,
}

impl Environment {
    /// Reads the environment of this process. A variable that is empty counts as absent.
    pub fn of_process() -> Self {
        let path = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            quicopy_home: path("QUICOPY_HOME"),
            // Relative paths in these two are to be ignored. Source: XDG Base Directory Specification 0.8.
            xdg_config: path("XDG_CONFIG_HOME").filter(|path| path.is_absolute()),
            xdg_state: path("XDG_STATE_HOME").filter(|path| path.is_absolute()),
            home: path("HOME"),
            superuser: rustix::process::geteuid().is_root(),
        }
    }

    /// The configuration file that is read if none is named, whether it exists or not.
    pub fn config_file(&self, state_dir: Option<&Path>) -> Option<PathBuf> {
        if let Some(home) = state_dir.or(self.quicopy_home.as_deref()) {
            return Some(home.join("agent/agent.toml"));
        }
        if self.superuser {
            return Some("/etc/quicopy/agent.toml".into());
        }
        let config = self.xdg_config.clone().or_else(|| Some(self.home.as_ref()?.join(".config")));
        Some(config?.join("quicopy/agent.toml"))
    }

    /// The state folder: below `state_dir` if the command line names one, else below `QUICOPY_HOME`, else below the
    /// `configured` one, else where such things belong. `None` without any of them and without a home.
    ///
    /// Always a subfolder `agent` of its own, so that a sender's state may stand beside it.
    pub fn state_folder(
        &self,
        state_dir: Option<&Path>,
        configured: Option<&Path>,
    ) -> Option<PathBuf> {
        let named = state_dir.or(self.quicopy_home.as_deref()).or(configured);
        let base = match named {
            Some(named) => named.to_path_buf(),
            None if self.superuser => "/var/lib/quicopy".into(),
            None => match (&self.xdg_state, &self.home) {
                (Some(state), _) => state.join("quicopy"),
                (None, Some(home)) => home.join(".local/state/quicopy"),
                (None, None) => return None,
            },
        };
        Some(base.join("agent"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Environment {
        Environment { home: Some("/home/u".into()), ..Environment::default() }
    }

    fn check(environment: &Environment, state_dir: Option<&str>, config: &str, state: &str) {
        let state_dir = state_dir.map(Path::new);
        assert_eq!(environment.config_file(state_dir), Some(config.into()));
        assert_eq!(environment.state_folder(state_dir, None), Some(state.into()));
    }

    #[test]
    fn one_folder_takes_all_when_it_is_named() {
        let moved = Environment { quicopy_home: Some("/q".into()), ..user() };
        check(&moved, None, "/q/agent/agent.toml", "/q/agent");
        check(&moved, Some("/s"), "/s/agent/agent.toml", "/s/agent");
    }

    #[test]
    fn a_user_has_the_folders_of_the_desktop_and_the_system_its_own() {
        check(
            &user(),
            None,
            "/home/u/.config/quicopy/agent.toml",
            "/home/u/.local/state/quicopy/agent",
        );
        let xdg = Environment {
            xdg_config: Some("/c".into()),
            xdg_state: Some("/s".into()),
            ..Environment::default()
        };
        check(&xdg, None, "/c/quicopy/agent.toml", "/s/quicopy/agent");
        let root = Environment { superuser: true, ..user() };
        check(&root, None, "/etc/quicopy/agent.toml", "/var/lib/quicopy/agent");
        assert_eq!(Environment::default().state_folder(None, None), None);
    }

    #[test]
    fn the_file_says_where_the_state_is_unless_somebody_closer_does() {
        let configured = Some(Path::new("/f"));
        assert_eq!(user().state_folder(None, configured), Some("/f/agent".into()));
        let moved = Environment { quicopy_home: Some("/q".into()), ..user() };
        assert_eq!(moved.state_folder(None, configured), Some("/q/agent".into()));
        assert_eq!(user().state_folder(Some(Path::new("/s")), configured), Some("/s/agent".into()));
    }
}
