//! Names of peers, safe to print, to type and to put in front of a colon.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest name of a peer, in bytes. A host name's label has at most 63 (RFC 1035, 2.3.4).
pub const PEER_NAME_BYTES_MAX: usize = 64;

/// What one side calls the other.
///
/// Names come from the other side when it joins, and are later shown in lists and logs, and typed
/// as in `NAME:SHARE/path`. So a name holds letters and digits of any script and `. - _ @ +`
/// only, begins with a letter or digit, and has 1 to 64 bytes: no control character, no
/// white space, no separator of paths, no option in disguise.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PeerName(String);

/// Why a text cannot be the name of a peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PeerNameError {
    /// The text is empty or too long.
    #[error("a peer's name has 1 to {PEER_NAME_BYTES_MAX} bytes, not {bytes}")]
    BadLength {
        /// Length of the text in bytes.
        bytes: usize,
    },
    /// A character that names do not hold, or do not begin with.
    #[error(
        "a peer's name holds letters, digits and . - _ @ + and begins with a letter or digit; \
         {0:?} does not fit"
    )]
    BadCharacter(char),
}

impl PeerName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Makes a name out of any text, such as a host name: what does not fit becomes `-`, what is
    /// too long is cut, and nothing at all becomes `peer`.
    pub fn resembling(text: &str) -> Self {
        let fitting = text
            .chars()
            .map(|character| if is_name_character(character) { character } else { '-' })
            .collect::<String>();
        let begun = fitting.trim_start_matches(|first: char| !first.is_alphanumeric());
        let cut = &begun[..begun.floor_char_boundary(PEER_NAME_BYTES_MAX)];
        Self(if cut.is_empty() { "peer".into() } else { cut.into() })
    }

    /// The name for the `number`th peer that would like to be called so: `web`, `web-2`, `web-3`.
    pub(crate) fn numbered(&self, number: usize) -> Self {
        let suffix = format!("-{number}");
        let room = PEER_NAME_BYTES_MAX - suffix.len();
        Self(format!("{}{suffix}", &self.0[..self.0.floor_char_boundary(room)]))
    }
}

fn is_name_character(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '.' | '-' | '_' | '@' | '+')
}

impl FromStr for PeerName {
    type Err = PeerNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let first = text.chars().next().ok_or(PeerNameError::BadLength { bytes: 0 })?;
        if text.len() > PEER_NAME_BYTES_MAX {
            return Err(PeerNameError::BadLength { bytes: text.len() });
        }
        if !first.is_alphanumeric() {
            return Err(PeerNameError::BadCharacter(first));
        }
        match text.chars().find(|&character| !is_name_character(character)) {
            Some(character) => Err(PeerNameError::BadCharacter(character)),
            None => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for PeerName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PeerName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn host_names_are_names() {
        for text in ["web01", "files.example.com", "büro-2", "svc_backup@web01", "7"] {
            assert_eq!(text.parse::<PeerName>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn what_would_confuse_a_shell_a_path_or_a_terminal_is_refused() {
        for text in ["a b", "a:b", "a/b", "a\\b", "a\nb", "\x1b[2J", "-rf", ".hidden", "a\u{202e}b"]
        {
            assert!(matches!(text.parse::<PeerName>(), Err(PeerNameError::BadCharacter(_))));
        }
        for text in ["", &"x".repeat(65)] {
            assert!(matches!(text.parse::<PeerName>(), Err(PeerNameError::BadLength { .. })));
        }
    }

    proptest! {
        #[test]
        fn any_text_resembles_a_valid_name(text in any::<String>(), number in 2_usize..9999) {
            let name = PeerName::resembling(&text);
            prop_assert_eq!(name.as_str().parse(), Ok(name.clone()));
            let other = name.numbered(number);
            prop_assert_eq!(other.as_str().parse(), Ok(other.clone()));
            prop_assert_ne!(name, other);
        }
    }
}
