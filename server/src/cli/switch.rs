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
    /// What becomes of it here.
    pub treatment: Treatment,
}

/// What becomes of a switch here. None is accepted and silently ignored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Treatment {
    /// It means what it means to Robocopy; or it is ours.
    Native,
    /// It means the closest thing; the report says once which.
    Translate(&'static str),
    /// It is accepted and changes nothing; the report says once why.
    Note(&'static str),
    /// It is refused, with this reason.
    Refuse(&'static str),
}

impl Treatment {
    /// In a word, as the reference page has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Translate(_) => "translate",
            Self::Note(_) => "note",
            Self::Refuse(_) => "refuse",
        }
    }

    /// What is said of it, unless it is native.
    pub fn text(self) -> Option<&'static str> {
        match self {
            Self::Native => None,
            Self::Translate(text) | Self::Note(text) | Self::Refuse(text) => Some(text),
        }
    }
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
    super::writing::GROUP,
    super::select::GROUP,
    super::attributes::GROUP,
    super::ages::GROUP,
    super::guard::GROUP,
    super::retry::GROUP,
    super::schedule::GROUP,
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
        Self::row(slash, long, help, Takes::Nothing(set))
    }

    /// A switch with a value; `spelling` is Robocopy's, and the value's name is `name`.
    pub(super) const fn value(
        slash: &'static str,
        name: &'static str,
        long: &'static str,
        help: &'static str,
        set: SetValue,
    ) -> Self {
        Self::row(slash, long, help, Takes::Value { name, set })
    }

    /// A switch whose value may be left away; `absent` stands for it then.
    pub(super) const fn optional(
        slash: &'static str,
        (name, absent): (&'static str, &'static str),
        long: &'static str,
        help: &'static str,
        set: SetValue,
    ) -> Self {
        Self::row(slash, long, help, Takes::Optional { name, absent, set })
    }

    /// A switch with a list of items.
    pub(super) const fn list(
        slash: &'static str,
        name: &'static str,
        long: &'static str,
        help: &'static str,
        add: SetValue,
    ) -> Self {
        Self::row(slash, long, help, Takes::List { name, add })
    }

    /// A switch that is refused, so that it sets nothing.
    pub(super) const fn refused(
        slash: &'static str,
        long: &'static str,
        help: &'static str,
        reason: &'static str,
    ) -> Self {
        let treatment = Treatment::Refuse(reason);
        Self { treatment, ..Self::flag(slash, long, help, |_| {}) }
    }

    /// A switch that is accepted and sets nothing.
    pub(super) const fn noted(
        slash: &'static str,
        long: &'static str,
        help: &'static str,
        reason: &'static str,
    ) -> Self {
        let treatment = Treatment::Note(reason);
        Self { treatment, ..Self::flag(slash, long, help, |_| {}) }
    }

    const fn row(
        slash: &'static str,
        long: &'static str,
        help: &'static str,
        takes: Takes,
    ) -> Self {
        let (slash, default, treatment) = (Some(slash), None, Treatment::Native);
        Self { slash, long, help, default, takes, treatment }
    }

    /// The same row without Robocopy's spelling: a switch that has a long form only.
    pub(super) const fn long_only(self) -> Self {
        Self { slash: None, ..self }
    }

    /// The same row, which means the closest thing there is; `text` says what.
    pub(super) const fn translated(self, text: &'static str) -> Self {
        Self { treatment: Treatment::Translate(text), ..self }
    }

    /// The same row, with what holds when the switch is absent.
    pub(super) const fn or(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    /// Its name, Robocopy's where there is one: `/R`, `--json`.
    pub fn name(&self) -> String {
        self.slash.map_or_else(|| format!("--{}", self.long), str::to_owned)
    }

    /// How the switch is written, Robocopy's form where there is one: `/R:N`, `/MT[:N]`, `/XD NAME...`, `--json`.
    pub fn spelling(&self) -> String {
        let (head, colon) = (self.name(), if self.slash.is_some() { ":" } else { " " });
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
