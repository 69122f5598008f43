//! What a sender may do, and where.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// One right of a sender over the shares it may reach.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Permit {
    /// List, create and overwrite; set mode, attributes and times; make links that stay inside
    /// the share.
    Write,
    /// Delete what the source does not have (`/MIR`, `/PURGE`).
    Delete,
    /// Set owner and group.
    Owner,
    /// Make links that lead out of the share, where the share consents too.
    OutsideLinks,
}

impl Permit {
    /// Every permit, in the order in which they print.
    pub const ALL: [Self; 4] = [Self::Write, Self::Delete, Self::Owner, Self::OutsideLinks];

    /// The word of the command line and of the peer file.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Owner => "owner",
            Self::OutsideLinks => "outside-links",
        }
    }

    /// The bit of the join reply: given by hand, never reused.
    const fn bit(self) -> u8 {
        match self {
            Self::Write => 1,
            Self::Delete => 2,
            Self::Owner => 4,
            Self::OutsideLinks => 8,
        }
    }
}

/// A set of permits. Prints and parses as `write,delete`; the empty set as `none`.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Permits(u8);

impl Permits {
    /// No right at all.
    pub const NONE: Self = Self(0);
    /// What an invitation gives unless told otherwise: `write`, and no deleting.
    pub const DEFAULT: Self = Self(Permit::Write.bit());

    /// Whether the set holds `permit`.
    pub const fn allows(self, permit: Permit) -> bool {
        self.0 & permit.bit() != 0
    }

    /// The permits of the set, in the order of [`Permit::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Permit> {
        Permit::ALL.into_iter().filter(move |&permit| self.allows(permit))
    }

    /// The set as the join reply carries it.
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    /// Reads what [`bits`](Self::bits) gave; `None` for bits that no permit has.
    pub(crate) fn from_bits(bits: u8) -> Option<Self> {
        let known = Permit::ALL.into_iter().fold(0, |bits, permit| bits | permit.bit());
        (bits & !known == 0).then_some(Self(bits))
    }
}

impl FromIterator<Permit> for Permits {
    fn from_iter<I: IntoIterator<Item = Permit>>(permits: I) -> Self {
        Self(permits.into_iter().fold(0, |bits, permit| bits | permit.bit()))
    }
}

impl fmt::Display for Permits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE {
            return f.pad("none");
        }
        f.pad(&self.iter().map(Permit::word).collect::<Vec<_>>().join(","))
    }
}

impl fmt::Debug for Permits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permits({self})")
    }
}

/// A word that is not a permit.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{word:?} is not a permit; choose from write, delete, owner, outside-links, or none")]
pub struct UnknownPermit {
    /// The word as it was given.
    pub word: String,
}

impl FromStr for Permit {
    type Err = UnknownPermit;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|permit| permit.word().eq_ignore_ascii_case(word))
            .ok_or_else(|| UnknownPermit { word: word.into() })
    }
}

impl FromStr for Permits {
    type Err = UnknownPermit;

    fn from_str(list: &str) -> Result<Self, Self::Err> {
        if list.trim().eq_ignore_ascii_case("none") {
            return Ok(Self::NONE);
        }
        list.split(',').map(|word| word.trim().parse()).collect()
    }
}

impl Serialize for Permits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Permit::word))
    }
}

impl<'de> Deserialize<'de> for Permits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        words.iter().map(|word| word.parse()).collect::<Result<_, _>>().map_err(de::Error::custom)
    }
}

/// Longest name of a share that a peer entry holds, in bytes.
pub const SHARE_NAME_BYTES_MAX: usize = 255;

/// Most shares that one peer entry names one by one.
pub const SHARES_MAX: usize = 256;

/// Which shares a sender may reach. Stands in a peer file as `"all"` or a list of names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Shares {
    /// Every share of the agent, those added later included.
    All,
    /// These shares; an empty set is none.
    Only(BTreeSet<String>),
}

/// Why a list of shares cannot stand in a peer entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SharesError {
    /// More names than a peer entry holds.
    #[error("{count} shares are named, at most {SHARES_MAX} fit: leave the list away for all")]
    TooMany {
        /// How many were named.
        count: usize,
    },
    /// A name that is empty, too long, or holds a control character.
    #[error("a share's name has 1 to {SHARE_NAME_BYTES_MAX} bytes and no control characters")]
    BadName,
}

impl Shares {
    /// Names shares one by one.
    ///
    /// # Errors
    ///
    /// More than [`SHARES_MAX`] names, or one that is empty, longer than
    /// [`SHARE_NAME_BYTES_MAX`] bytes, or holds a control character.
    pub fn only<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Result<Self, SharesError> {
        let names = names.into_iter().map(Into::into).collect::<BTreeSet<String>>();
        if names.len() > SHARES_MAX {
            return Err(SharesError::TooMany { count: names.len() });
        }
        let fits = |name: &String| {
            (1..=SHARE_NAME_BYTES_MAX).contains(&name.len()) && !name.contains(char::is_control)
        };
        if names.iter().all(fits) { Ok(Self::Only(names)) } else { Err(SharesError::BadName) }
    }

    /// Whether `share` is among them.
    pub fn contains(&self, share: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(share),
        }
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.pad("all"),
            Self::Only(names) if names.is_empty() => f.pad("none"),
            Self::Only(names) => {
                f.pad(&names.iter().map(String::as_str).collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// The two spellings of [`Shares`] in a file.
#[derive(Deserialize)]
#[serde(untagged, expecting = "shares are \"all\" or a list of names")]
enum SharesText {
    Word(String),
    Names(Vec<String>),
}

impl Serialize for Shares {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::Only(names) => serializer.collect_seq(names),
        }
    }
}

impl<'de> Deserialize<'de> for Shares {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match SharesText::deserialize(deserializer)? {
            SharesText::Word(word) if word == "all" => Ok(Self::All),
            SharesText::Word(_) => Err(de::Error::custom("shares are \"all\" or a list of names")),
            SharesText::Names(names) => Self::only(names).map_err(de::Error::custom),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(list: &str, printed: &str) {
        let permits = list.parse::<Permits>().unwrap();
        assert_eq!(permits.to_string(), printed);
        assert_eq!(printed.parse::<Permits>().unwrap(), permits);
        assert_eq!(Permits::from_bits(permits.bits()), Some(permits));
    }

    #[test]
    fn permits_print_and_parse_in_one_order() {
        check("write", "write");
        check("delete, WRITE", "write,delete");
        check("write,write", "write");
        check("outside-links,owner", "owner,outside-links");
        check("none", "none");
    }

    #[test]
    fn an_unknown_permit_is_refused_with_the_valid_ones() {
        for list in ["", "wirte", "write,", "write;delete", "none,write"] {
            let error = list.parse::<Permits>().unwrap_err().to_string();
            assert!(error.contains("write, delete, owner, outside-links"), "{error}");
        }
        assert_eq!(Permits::from_bits(0x80), None);
    }

    #[test]
    fn an_invitation_gives_no_right_to_delete_by_itself() {
        assert_eq!(Permits::DEFAULT.to_string(), "write");
        assert!(!Permits::DEFAULT.allows(Permit::Delete));
    }

    #[test]
    fn a_list_of_shares_holds_what_it_names() {
        let shares = Shares::only(["Scripts$", "www"]).unwrap();
        assert!(shares.contains("www") && !shares.contains("WWW"));
        assert!(Shares::All.contains("anything"));
        assert!(!Shares::only([""; 0]).unwrap().contains("www"));
        assert_eq!(Shares::only([""]), Err(SharesError::BadName));
        assert_eq!(Shares::only(["a\nb"]), Err(SharesError::BadName));
        let many = (0..=SHARES_MAX).map(|number| number.to_string());
        assert_eq!(Shares::only(many), Err(SharesError::TooMany { count: SHARES_MAX + 1 }));
    }
}
