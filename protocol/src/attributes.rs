//! DOS attributes, [`DosAttributes`]: what Robocopy's letters `RASHCNETO` stand for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Letter and bit of each attribute, in Robocopy's order.
///
/// Source: `FILE_ATTRIBUTE_*` of Windows; Samba keeps the same bits in `user.DOSATTRIB`.
const LETTERS: [(char, u16); 9] = [
    ('R', 0x0001),
    ('A', 0x0020),
    ('S', 0x0004),
    ('H', 0x0002),
    ('C', 0x0800),
    ('N', 0x2000),
    ('E', 0x4000),
    ('T', 0x0100),
    ('O', 0x1000),
];

/// A set of DOS attributes.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct DosAttributes(u16);

impl DosAttributes {
    /// No attribute.
    pub const NONE: Self = Self(0);
    /// R: not to be written to.
    pub const READ_ONLY: Self = Self(0x0001);
    /// H: left out of ordinary lists.
    pub const HIDDEN: Self = Self(0x0002);
    /// S: belongs to the system.
    pub const SYSTEM: Self = Self(0x0004);
    /// A: changed since the last backup.
    pub const ARCHIVE: Self = Self(0x0020);

    /// The known ones among the bits of Windows and Samba, which use more than these for other ends.
    pub fn from_bits_known(bits: u32) -> Self {
        let known = LETTERS.iter().fold(0, |known, (_, bit)| known | bit);
        Self((bits & u32::from(known)) as u16)
    }

    /// Reads letters in either case; `None` if there are none, or one is unknown.
    pub fn parse(letters: &str) -> Option<Self> {
        let bit = |letter: char| LETTERS.iter().find(|(known, _)| *known == letter).map(|at| at.1);
        let upper = letters.to_ascii_uppercase();
        let set = upper.chars().try_fold(0, |set, letter| Some(set | bit(letter)?))?;
        (set != 0).then_some(Self(set))
    }

    /// The bits, as Windows and Samba number them.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// Whether every bit stands for an attribute.
    pub fn is_known(self) -> bool {
        self == Self::from_bits_known(self.0.into())
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether both sets have an attribute in common.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all of `other` are in this set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// This set with those of `other`.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without those of `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// The letters, in Robocopy's order.
impl fmt::Display for DosAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = LETTERS.iter().filter(|(_, bit)| self.0 & bit != 0);
        letters.into_iter().try_for_each(|(letter, _)| write!(f, "{letter}"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn letters_come_back_in_robocopys_order() {
        assert_eq!(DosAttributes::parse("hSr").unwrap().to_string(), "RSH");
        assert_eq!(DosAttributes::parse("RASHCNETO").unwrap().to_string(), "RASHCNETO");
        assert_eq!(DosAttributes::parse(""), None);
        assert_eq!(DosAttributes::parse("RX"), None);
    }

    #[test]
    fn bits_without_a_letter_are_dropped() {
        let directory = 0x10;
        assert_eq!(DosAttributes::from_bits_known(directory | 0x20), DosAttributes::ARCHIVE);
        assert!(!DosAttributes(0x10).is_known());
    }

    #[test]
    fn sets_add_and_subtract() {
        let both = DosAttributes::ARCHIVE.with(DosAttributes::HIDDEN);
        assert!(both.contains(DosAttributes::HIDDEN) && both.intersects(DosAttributes::ARCHIVE));
        assert_eq!(both.without(DosAttributes::ARCHIVE), DosAttributes::HIDDEN);
        assert!(!DosAttributes::NONE.intersects(both) && both.contains(DosAttributes::NONE));
    }
}
