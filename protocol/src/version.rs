//! Protocol versions and features, and what two sides agree on: [`negotiate`].

use std::fmt;

use crate::code::RefusalCode;
use crate::message::{Hello, Refused};

/// Newest protocol version that this crate speaks.
///
/// 1: everything on the crate's front page outside its second chapter, features included.
pub const VERSION: u16 = 1;
/// Oldest protocol version that this crate speaks.
pub const VERSION_MIN: u16 = 1;

/// Digests of ranges of the sorted listing, so that equal parts of two trees are never listed. Reserved.
pub const RANGE_DIGESTS: u64 = 1 << 0;
/// Refinement of regions that no whole chunk covers, in levels that change direction. Reserved.
pub const REFINE: u64 = 1 << 1;
/// Many small files in one frame. Withdrawn before it was built, since [`ZSTD_STREAMS`] does what it was for; the bit stays taken.
pub const PACKS: u64 = 1 << 2;
/// Streams compressed with one zstd context each.
pub const ZSTD_STREAMS: u64 = 1 << 3;
/// The agent tells which chunks of partial files it holds when a job opens. Reserved.
pub const RESUME_MAPS: u64 = 1 << 4;

/// Features that this crate can put in force.
pub const FEATURES: u64 = ZSTD_STREAMS;

/// What this crate says in its hello.
pub fn hello(program: impl Into<String>) -> Hello {
    Hello {
        version_min: VERSION_MIN,
        version_max: VERSION,
        features: FEATURES,
        program: program.into(),
    }
}

/// What holds for the rest of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Agreed {
    /// The newest version that both sides speak.
    pub version: u16,
    /// The features that both sides named.
    pub features: u64,
}

/// Which end of a job a side is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// It lists and sends; it opened the connection.
    Sender,
    /// It compares, plans and writes.
    Agent,
}

impl Role {
    /// The other end.
    pub fn peer(self) -> Self {
        match self {
            Self::Sender => Self::Agent,
            Self::Agent => Self::Sender,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sender => "sender",
            Self::Agent => "agent",
        })
    }
}

/// Finds what both sides can do. `role` is that of `ours`.
///
/// # Errors
/// There is no common version; the text is good for both sides and says which of them to upgrade.
pub fn negotiate(role: Role, ours: &Hello, theirs: &Hello) -> Result<Agreed, Refused> {
    let version = ours.version_max.min(theirs.version_max);
    if version >= ours.version_min.max(theirs.version_min) {
        return Ok(Agreed { version, features: ours.features & theirs.features });
    }
    let peer = role.peer();
    let behind = if ours.version_max < theirs.version_max { role } else { peer };
    let reason = format!(
        "this {role} speaks versions {} to {}, the {peer} {} to {}: upgrade the {behind}",
        ours.version_min, ours.version_max, theirs.version_min, theirs.version_max
    );
    Err(Refused::new(RefusalCode::Version, reason))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn speaks(version_min: u16, version_max: u16) -> Hello {
        Hello { version_min, version_max, features: 0b101, program: String::new() }
    }

    #[track_caller]
    fn check(ours: (u16, u16), theirs: (u16, u16), expected: Result<u16, &str>) {
        let (ours, theirs) = (speaks(ours.0, ours.1), speaks(theirs.0, theirs.1));
        let agreed = negotiate(Role::Agent, &ours, &theirs);
        assert_eq!(
            agreed.map(|agreed| agreed.version).map_err(|refused| refused.reason),
            expected.map_err(str::to_owned)
        );
    }

    #[test]
    fn the_newest_common_version_is_taken() {
        check((1, 1), (1, 1), Ok(1));
        check((1, 4), (2, 3), Ok(3));
        check((0, u16::MAX), (7, 9), Ok(9));
    }

    #[test]
    fn without_a_common_version_the_text_says_which_side_to_upgrade() {
        check(
            (1, 1),
            (7, 9),
            Err("this agent speaks versions 1 to 1, the sender 7 to 9: upgrade the agent"),
        );
        check(
            (7, 9),
            (1, 1),
            Err("this agent speaks versions 7 to 9, the sender 1 to 1: upgrade the sender"),
        );
    }

    #[test]
    fn features_are_in_force_when_both_name_them_and_unknown_ones_are_ignored() {
        let theirs = Hello { features: 0b110 | 1 << 63, ..speaks(1, 1) };
        assert_eq!(negotiate(Role::Sender, &speaks(1, 1), &theirs).unwrap().features, 0b100);
    }
}
