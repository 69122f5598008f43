//! The row of the switch table, [`Switch`], and how a row reads its value.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::str::FromStr;

use super::raw::RawOptions;

/// One switch: everything that the parser, the help, the completions and the man page know about it.
#[derive(Clone, Copy, Debug)]
pub struct Switch {
    /// Robocopy's spelling in capitals with its slash, such as `/MIR`; `None` for what has a long form only.
    pub slash: Option<&'static str>,
    /// The long form without its dashes, such as `mirror`. Also the argument's id in clap.
    pub long: &'static str,
    /// What the switch does, in one line without a full stop.
    pub help: &'static str,
    /// What holds when it is not given, as shown in the man page.
    pub default: Option<&'static str>,
    /// Which value it takes, and what it sets.
    pub takes: Takes,
}

/// Which value a switch takes, and the function that puts it into [`RawOptions`].
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    /// `/E`, `--empty-subdirs`
    Nothing(fn(&mut RawOptions)),
    /// `/R:3`, `--retries 3`
    Value {
        /// What help calls the value.
        name: &'static str,
        /// Puts it into the options.
        set: SetValue,
    },
    /// `/MT`, `/MT:16`, `--threads`, `--threads=16`
    Optional {
        /// What help calls the value.
        name: &'static str,
        /// The value when none is given.
        absent: &'static str,
        /// Puts it into the options.
        set: SetValue,
    },
    /// `/XD a b`, up to the next switch; `--exclude-dir a --exclude-dir b`
    List {
        /// What help calls an item.
        name: &'static str,
        /// Adds one to the options.
        add: SetValue,
    },
}

/// Puts a value, or one more item of a list, into the options.
pub type SetValue = fn(&mut RawOptions, &OsStr) -> Result<(), BadValue>;

/// What a switch's value should have been, such as "a number from 1 to 128".
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(pub Cow<'static, str>);

impl BadValue {
    /// An answer to a value that is not as it should be.
    pub fn new(wanted: impl Into<Cow<'static, str>>) -> Self {
        Self(wanted.into())
    }
}

/// Rows that belong together, in the order in which help shows them.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Heading in the help and the man page.
    pub title: &'static str,
    /// The switches.
    pub rows: &'static [Switch],
}

/// All switches, by theme. Parser, help, completions, man page and tests walk this table.
pub const TABLE: &[Group] = &[
    super::copy::GROUP,
    super::select::GROUP,
    super::guard::GROUP,
    super::retry::GROUP,
    super::network::GROUP,
    super::logging::GROUP,
    super::job::GROUP,
];

/// Every row of [`TABLE`].
pub fn switches() -> impl Iterator<Item = &'static Switch> {
    TABLE.iter().flat_map(|group| group.rows)
}

impl Switch {
    /// A switch without a value.
    pub(super) const fn flag(
        slash: &'static str,
        long: &'static str,
        help: &'static str,
        set: fn(&mut RawOptions),
    ) -> Self {
        Self { slash: Some(slash), long, help, default: None, takes: Takes::Nothing(set) }
    }

    /// A switch with a value; `spelling` is Robocopy's, and the value's name is `name`.
    pub(super) const fn value(
        slash: &'static str,
        name: &'static str,
        long: &'static str,
        help: &'static str,
        set: SetValue,
    ) -> Self {
        Self { slash: Some(slash), long, help, default: None, takes: Takes::Value { name, set } }
    }

    /// A switch with a list of items.
    pub(super) const fn list(
        slash: &'static str,
        name: &'static str,
        long: &'static str,
        help: &'static str,
        add: SetValue,
    ) -> Self {
        Self { slash: Some(slash), long, help, default: None, takes: Takes::List { name, add } }
    }

    /// The same row, with what holds when the switch is absent.
    pub(super) const fn or(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    /// How the switch is written, Robocopy's form where there is one: `/R:N`, `/MT[:N]`, `/XD NAME...`, `--json`.
    pub fn spelling(&self) -> String {
        let (head, colon) = match self.slash {
            Some(slash) => (slash.to_owned(), ":"),
            None => (format!("--{}", self.long), " "),
        };
        match self.takes {
            Takes::Nothing(_) => head,
            Takes::Value { name, .. } => format!("{head}{colon}{name}"),
            Takes::Optional { name, .. } => format!("{head}[:{name}]"),
            Takes::List { name, .. } => format!("{head} {name}..."),
        }
    }
}

/// Reads a whole number.
pub(super) fn number<N: FromStr>(value: &OsStr, wanted: &'static str) -> Result<N, BadValue> {
    // `parse` would take a leading plus sign.
    let digits = value.to_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|text| text.parse().ok()).ok_or(BadValue::new(wanted))
}
