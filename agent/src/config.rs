//! What the agent is told to do: the configuration file, the command line over it, defaults under it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use quicopy_engine::trash::DAYS_DEFAULT;
use quicopy_protocol::options::{DeleteLimit, Durability};
use quicopy_protocol::path::Name;
use serde::{Deserialize, Deserializer, de};

use crate::places::Environment;
use crate::share::{OutsideLinks, Share, ShareName};

/// The port on which agents are looked for.
pub const DEFAULT_PORT: u16 = 47470;
/// Both address families, any address.
pub const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), DEFAULT_PORT);
/// Most bytes of a configuration file: room for thousands of shares.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Most days that a share keeps what is deleted: ten years.
const TRASH_DAYS_MAX: u16 = 3650;

/// What the agent acts on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The agent's own state folder.
    pub state_folder: PathBuf,
    /// The shares, by name.
    pub shares: Vec<Share>,
    /// How much is done at once.
    pub limits: Limits,
}

/// How much the agent does at once. What is over a limit is refused, and the sender tries again later.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Jobs at once; 1 to 256.
    #[serde(deserialize_with = "limit")]
    pub jobs: usize,
    /// Jobs at once of one peer; 1 to 256.
    #[serde(deserialize_with = "limit")]
    pub jobs_per_peer: usize,
    /// Connections of known peers at once; 1 to 256.
    #[serde(deserialize_with = "limit")]
    pub connections: usize,
}

impl Default for Limits {
    /// As many as a small server carries: with 128 MiB a peer at most 1 GiB is in flight.
    fn default() -> Self {
        Self { jobs: 8, jobs_per_peer: 2, connections: 64 }
    }
}

/// What the command line says over the file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Overrides {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--state-dir`
    pub state_dir: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<SocketAddr>,
    /// `--share`, which adds to the file's shares.
    pub shares: Vec<(ShareName, PathBuf)>,
}

/// Why there is no configuration to act on.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file says what makes no sense.
    #[error("{path}:{line}: {reason}", path = .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The same share twice.
    #[error("share {name} is given twice (case does not count); rename one of them")]
    ShareTwice {
        /// The share.
        name: ShareName,
    },
    /// Neither a home nor another place for the state.
    #[error("no folder for the agent's state: HOME is not set; name one with --state-dir")]
    NoStateFolder,
}

impl Config {
    /// Reads the file, if there is one, and puts the command line over it.
    ///
    /// # Errors
    /// The file that was asked for is missing; a file cannot be read or does not parse; a share is given twice.
    pub fn load(overrides: Overrides, environment: &Environment) -> Result<Self, ConfigError> {
        let state_dir = overrides.state_dir.as_deref();
        let (file, raw) = match &overrides.config {
            Some(path) => (Some(path.clone()), RawConfig::read(path)?),
            None => match environment.config_file(state_dir) {
                Some(path) if path.exists() => (Some(path.clone()), RawConfig::read(&path)?),
                Some(_) | None => (None, RawConfig::default()),
            },
        };
        let state_folder = environment
            .state_folder(state_dir, raw.state_dir.as_ref().map(|path| path.0.as_path()))
            .ok_or(ConfigError::NoStateFolder)?;
        let from_file = raw.shares.into_iter().map(|(name, share)| share.named(name));
        let from_line = overrides.shares.into_iter();
        let from_line = from_line.map(|(name, path)| RawShare::of(path).named(name));
        let shares = unique(from_file.chain(from_line))?;
        let listen = overrides.listen.or(raw.listen.map(|listen| listen.0));
        Ok(Self {
            file,
            listen: listen.unwrap_or(DEFAULT_LISTEN),
            state_folder,
            shares,
            limits: raw.limits,
        })
    }
}

/// Names that differ in case alone would be one to people who write `\\HOST\Share`.
fn unique(shares: impl Iterator<Item = Share>) -> Result<Vec<Share>, ConfigError> {
    let mut by_name: BTreeMap<String, Share> = BTreeMap::new();
    for share in shares {
        let key = share.name.as_str().to_ascii_lowercase();
        if by_name.contains_key(&key) {
            return Err(ConfigError::ShareTwice { name: share.name });
        }
        by_name.insert(key, share);
    }
    Ok(by_name.into_values().collect())
}

/// The file as it is written. Checks that need nothing but the value happen while it is read, so that the error has
/// the line.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawConfig {
    listen: Option<Listen>,
    state_dir: Option<AbsolutePath>,
    shares: BTreeMap<ShareName, RawShare>,
    limits: Limits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawShare {
    path: AbsolutePath,
    #[serde(default)]
    durability: RawDurability,
    #[serde(default)]
    outside_links: bool,
    max_delete: Option<RawDeleteLimit>,
    #[serde(default)]
    trash: RawTrash,
    require_marker: Option<RawMarker>,
}

impl RawConfig {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(CONFIG_BYTES_MAX).read_to_string(&mut text))
            .map_err(|source| ConfigError::Read { path: path.into(), source })?;
        Self::parse(&text).map_err(|(line, reason)| ConfigError::Malformed {
            path: path.into(),
            line,
            reason,
        })
    }

    fn parse(text: &str) -> Result<Self, (usize, String)> {
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = 1 + text.as_bytes()[..start].iter().filter(|&&byte| byte == b'\n').count();
            (line, error.message().trim().replace('\n', ", "))
        })
    }
}

impl RawShare {
    /// A share from the command line: a folder and defaults.
    fn of(path: PathBuf) -> Self {
        Self {
            path: AbsolutePath(path),
            durability: RawDurability::default(),
            outside_links: false,
            max_delete: None,
            trash: RawTrash::default(),
            require_marker: None,
        }
    }

    fn named(self, name: ShareName) -> Share {
        let outside_links =
            if self.outside_links { OutsideLinks::Consent } else { OutsideLinks::Refuse };
        Share {
            name,
            path: self.path.0,
            durability: self.durability.into(),
            outside_links,
            max_delete: self.max_delete.map(|limit| limit.0),
            trash_days: self.trash.0,
            require_marker: self.require_marker.map(|marker| marker.0),
        }
    }
}

struct Listen(SocketAddr);

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        parse_listen(&String::deserialize(from)?).map(Self).map_err(de::Error::custom)
    }
}

/// Reads an address to listen on; the port may be left away.
///
/// # Errors
/// Says what such an address looks like.
pub fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let with_port = text.parse::<SocketAddr>().ok();
    let bare = || text.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    with_port.or_else(|| Some(SocketAddr::new(bare()?, DEFAULT_PORT))).ok_or_else(|| {
        format!(
            "{text:?} is not an address to listen on; write \"[::]:47470\" for all, or one such as \"192.0.2.7:47470\""
        )
    })
}

struct AbsolutePath(PathBuf);

impl<'de> Deserialize<'de> for AbsolutePath {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let path = PathBuf::deserialize(from)?;
        if path.is_absolute() {
            return Ok(Self(path));
        }
        Err(de::Error::custom(format!(
            "{path:?} is not an absolute path; begin it with a slash, since the agent may start anywhere"
        )))
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawDurability {
    #[default]
    Group,
    File,
    None,
}

impl From<RawDurability> for Durability {
    fn from(raw: RawDurability) -> Self {
        match raw {
            RawDurability::Group => Self::Group,
            RawDurability::File => Self::File,
            RawDurability::None => Self::None,
        }
    }
}

struct RawDeleteLimit(DeleteLimit);

impl<'de> Deserialize<'de> for RawDeleteLimit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "max_delete is a number such as 500, or a share such as \"10%\""
        )]
        enum Written {
            Count(u64),
            Percent(String),
        }
        match Written::deserialize(from)? {
            Written::Count(count) => Ok(Self(DeleteLimit::Count(count))),
            Written::Percent(text) => {
                let percent = text.strip_suffix('%').and_then(|number| number.trim().parse().ok());
                let percent = percent.filter(|percent| *percent <= 100);
                percent.map(|percent| Self(DeleteLimit::Percent(percent))).ok_or_else(|| {
                    de::Error::custom(format!(
                        "max_delete = {text:?} is neither a number such as 500 nor a share such as \"10%\""
                    ))
                })
            }
        }
    }
}

/// Days for which a share keeps what is deleted.
struct RawTrash(Option<u16>);

impl Default for RawTrash {
    fn default() -> Self {
        Self(Some(DAYS_DEFAULT))
    }
}

impl<'de> Deserialize<'de> for RawTrash {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        if text == "off" {
            return Ok(Self(None));
        }
        let days = text.strip_suffix('d').and_then(|number| number.parse().ok());
        let days = days.filter(|days| (1..=TRASH_DAYS_MAX).contains(days));
        days.map(|days| Self(Some(days))).ok_or_else(|| {
            de::Error::custom(format!(
                "trash = {text:?} is neither \"off\" nor days such as \"7d\", 1 to {TRASH_DAYS_MAX}"
            ))
        })
    }
}

/// What the root of a source must hold.
struct RawMarker(Name);

impl<'de> Deserialize<'de> for RawMarker {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Name::new(text.clone().into_bytes()).map(Self).map_err(|error| {
            de::Error::custom(format!(
                "require_marker = {text:?} is not the name of a file in the source's root: {error}"
            ))
        })
    }
}

fn limit<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let number = u64::deserialize(from)?;
    match usize::try_from(number) {
        Ok(limit @ 1..=256) => Ok(limit),
        Ok(_) | Err(_) => Err(de::Error::custom(format!("a limit is 1 to 256, not {number}"))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What the file `text` makes of the agent, or `line: reason`.
    fn load(text: &str, overrides: Overrides) -> Result<Config, String> {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("agent.toml");
        std::fs::write(&path, text).unwrap();
        let environment = Environment { home: Some("/home/u".into()), ..Environment::default() };
        let overrides = Overrides { config: Some(path.clone()), ..overrides };
        Config::load(overrides, &environment)
            .map_err(|error| error.to_string().replace(&format!("{}:", path.display()), ""))
    }

    fn check_error(text: &str, begins: &str, says: &str) {
        let error = load(text, Overrides::default()).unwrap_err();
        assert!(error.starts_with(begins) && error.contains(says), "{text:?}: {error}");
    }

    #[test]
    fn a_full_file_says_it_all() {
        let text = r#"
            listen = "127.0.0.1:5000"
            state_dir = "/var/q"
            [limits]
            jobs = 3
            [shares."Scripts$"]
            path = "/srv/scripts"
            durability = "file"
            outside_links = true
            max_delete = "10%"
            trash = "30d"
            require_marker = ".this-is-it"
            [shares.data]
            path = "/srv/data"
            max_delete = 500
        "#;
        let config = load(text, Overrides::default()).unwrap();
        assert_eq!(config.listen, "127.0.0.1:5000".parse().unwrap());
        assert_eq!(config.state_folder, Path::new("/var/q/agent"));
        assert_eq!(config.limits, Limits { jobs: 3, ..Limits::default() });
        let [data, scripts] = &*config.shares else { panic!("{:?}", config.shares) };
        assert_eq!(scripts.name.as_str(), "Scripts$");
        assert_eq!(scripts.durability, Durability::File);
        assert_eq!(scripts.outside_links, OutsideLinks::Consent);
        assert_eq!(scripts.max_delete, Some(DeleteLimit::Percent(10)));
        assert_eq!(data.path, Path::new("/srv/data"));
        assert_eq!(data.max_delete, Some(DeleteLimit::Count(500)));
        assert_eq!(data.outside_links, OutsideLinks::Refuse);
        assert_eq!((scripts.trash_days, data.trash_days), (Some(30), Some(7)));
        assert_eq!(scripts.require_marker, Name::new(*b".this-is-it").ok());
        let off = load("[shares.a]\npath = \"/a\"\ntrash = \"off\"", Overrides::default());
        assert_eq!(off.unwrap().shares[0].trash_days, None);
    }

    #[test]
    fn the_example_says_what_holds_without_it() {
        let example = include_str!("../packaging/agent.toml");
        let config = load(example, Overrides::default()).unwrap();
        let spelt_out: String = example
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(setting) if setting.contains(" = ") || setting.starts_with('[') => setting,
                Some(_) | None => line,
            })
            .map(|line| format!("{line}\n"))
            .collect();
        let spelt_out = load(&spelt_out, Overrides::default()).unwrap();
        assert_eq!((spelt_out.listen, spelt_out.limits), (config.listen, config.limits));
        assert_eq!(spelt_out.shares[0].trash_days, config.shares[0].trash_days);
        assert_eq!(spelt_out.shares[0].durability, config.shares[0].durability);
    }

    #[test]
    fn mistakes_are_named_with_their_line_and_what_would_be_right() {
        check_error("\nlitsen = \"[::]:1\"", "2: ", "expected one of `listen`, `state_dir`");
        check_error("listen = \"everywhere\"", "1: ", "\"[::]:47470\"");
        check_error("listen = \"[::]:99999\"", "1: ", "not an address");
        check_error("state_dir = \"here\"", "1: ", "begin it with a slash");
        check_error("[shares.data]\npath = \"srv\"", "2: ", "not an absolute path");
        check_error("[shares.data]", "1: ", "missing field `path`");
        check_error("[shares.\"a b\"]\npath = \"/a\"", "1: ", "cannot name a share");
        check_error("[shares.a]\npath = \"/a\"\npaht = 1", "3: ", "unknown field `paht`");
        check_error(
            "[shares.a]\npath = \"/a\"\ndurability = \"x\"",
            "3: ",
            "`group`, `file`, `none`",
        );
        check_error("[shares.a]\npath = \"/a\"\nmax_delete = \"101%\"", "3: ", "\"10%\"");
        check_error("[shares.a]\npath = \"/a\"\nmax_delete = true", "3: ", "such as 500");
        for trash in ["7", "0d", "12h", "", "off ", "9999d"] {
            let text = format!("[shares.a]\npath = \"/a\"\ntrash = {trash:?}");
            check_error(&text, "3: ", "\"7d\"");
        }
        check_error("[shares.a]\npath = \"/a\"\nrequire_marker = \"a/b\"", "3: ", "root");
        check_error("[limits]\n\njobs = 0", "3: ", "1 to 256, not 0");
        check_error("[limits]\nspeed = 1", "2: ", "unknown field `speed`");
        check_error("listen = ", "1: ", "");
        check_error("[shares.a]\npath=\"/a\"\n[shares.A]\npath=\"/b\"", "share a ", "twice");
    }

    #[test]
    fn the_command_line_wins_over_the_file_and_adds_to_its_shares() {
        let overrides = Overrides {
            listen: Some("[::1]:9".parse().unwrap()),
            shares: vec![("more".parse().unwrap(), "/more".into())],
            state_dir: Some("/mine".into()),
            ..Overrides::default()
        };
        let text = "listen = \"[::]:1\"\nstate_dir = \"/file\"\n[shares.data]\npath = \"/data\"";
        let config = load(text, overrides).unwrap();
        assert_eq!(config.listen, "[::1]:9".parse().unwrap());
        assert_eq!(config.state_folder, Path::new("/mine/agent"));
        assert_eq!(config.shares.len(), 2);
    }

    #[test]
    fn no_file_is_needed_but_one_that_is_named_is() {
        let environment =
            Environment { home: Some("/nonexistent".into()), ..Environment::default() };
        let config = Config::load(Overrides::default(), &environment).unwrap();
        assert_eq!((config.listen, config.file), (DEFAULT_LISTEN, None));
        let named =
            Overrides { config: Some("/nonexistent/x.toml".into()), ..Overrides::default() };
        let error = Config::load(named, &environment).unwrap_err().to_string();
        assert!(error.starts_with("cannot read /nonexistent/x.toml"), "{error}");
    }

    #[test]
    fn the_port_may_be_left_away() {
        assert_eq!(parse_listen("[::]"), Ok(DEFAULT_LISTEN));
        assert_eq!(parse_listen("192.0.2.7"), Ok("192.0.2.7:47470".parse().unwrap()));
    }
}
