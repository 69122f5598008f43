//! The configuration file as it is written. Checks that need nothing but the value happen while it is read, so that the error
//! has the line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use quicopy_engine::trash::DAYS_DEFAULT;
use quicopy_protocol::options::{DeleteLimit, Durability};
use quicopy_protocol::path::Name;
use serde::{Deserialize, Deserializer, de};

use super::{ConfigError, DEFAULT_PORT, Limits};
use crate::share::{OutsideLinks, Share, ShareName};

/// Most bytes of a configuration file: room for thousands of shares.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Most days that a share keeps what is deleted: ten years.
const TRASH_DAYS_MAX: u16 = 3650;

/// What it says, or would say if it were there.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawConfig {
    pub(super) listen: Option<Listen>,
    pub(super) state_dir: Option<AbsolutePath>,
    pub(super) shares: BTreeMap<ShareName, RawShare>,
    pub(super) limits: Limits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawShare {
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
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
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
    pub(super) fn of(path: PathBuf) -> Self {
        Self {
            path: AbsolutePath(path),
            durability: RawDurability::default(),
            outside_links: false,
            max_delete: None,
            trash: RawTrash::default(),
            require_marker: None,
        }
    }

    pub(super) fn named(self, name: ShareName) -> Share {
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

pub(super) struct Listen(pub(super) SocketAddr);

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

pub(super) struct AbsolutePath(pub(super) PathBuf);

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

pub(super) fn limit<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let number = u64::deserialize(from)?;
    match usize::try_from(number) {
        Ok(limit @ 1..=256) => Ok(limit),
        Ok(_) | Err(_) => Err(de::Error::custom(format!("a limit is 1 to 256, not {number}"))),
    }
}
