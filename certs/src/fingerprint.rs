//! The name of a key: what is pinned, printed, compared by eye and looked up.

use std::{fmt, str::FromStr};

use ring::digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes in a fingerprint: the output of SHA-256.
pub const FINGERPRINT_BYTES: usize = 32;

/// SHA-256 of a public key in its DER `SubjectPublicKeyInfo` form.
///
/// It names the key and not the certificate around it, so a certificate can be made anew, with
/// other dates or another subject, without anybody having to pair again. The same value as
/// `openssl x509 -pubkey -noout | openssl pkey -pubin -outform DER | sha256sum`.
///
/// Prints as sixteen groups of four hexadecimal digits joined by `-`, which survives a shell
/// unquoted; parsing takes either case, and `-`, `:` or white space between digits.
///
/// Source of the form: RFC 7469, section 2.4 (public key pinning).
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint([u8; FINGERPRINT_BYTES]);

impl Fingerprint {
    /// Returns the fingerprint of a DER encoded `SubjectPublicKeyInfo`.
    pub fn of_spki(spki_der: &[u8]) -> Self {
        let mut bytes = [0; FINGERPRINT_BYTES];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, spki_der).as_ref());
        Self(bytes)
    }

    /// Takes a fingerprint that was carried as bytes, as in a token.
    pub const fn from_bytes(bytes: [u8; FINGERPRINT_BYTES]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the digest.
    pub const fn as_bytes(&self) -> &[u8; FINGERPRINT_BYTES] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pair) in self.0.chunks_exact(2).enumerate() {
            if index > 0 {
                f.write_str("-")?;
            }
            write!(f, "{:02x}{:02x}", pair[0], pair[1])?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Why a text is not a fingerprint.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FingerprintParseError {
    /// A character that is neither a hexadecimal digit nor a separator.
    #[error("a fingerprint holds hexadecimal digits only, not {0:?}")]
    BadCharacter(char),
    /// Too few or too many digits.
    #[error("a fingerprint has 64 hexadecimal digits, not {digits}")]
    BadLength {
        /// How many digits were found; counting stops at 65.
        digits: usize,
    },
}

impl FromStr for Fingerprint {
    type Err = FingerprintParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0_u8; FINGERPRINT_BYTES];
        let mut digits = 0;
        for character in text.chars() {
            if matches!(character, '-' | ':') || character.is_ascii_whitespace() {
                continue;
            }
            let value =
                character.to_digit(16).ok_or(FingerprintParseError::BadCharacter(character))?;
            let Some(byte) = bytes.get_mut(digits / 2) else {
                return Err(FingerprintParseError::BadLength { digits: digits + 1 });
            };
            *byte = *byte << 4 | value as u8;
            digits += 1;
        }
        if digits != 2 * FINGERPRINT_BYTES {
            return Err(FingerprintParseError::BadLength { digits });
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
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
    fn the_fingerprint_of_nothing_is_the_published_digest() {
        // FIPS 180-4 test vector for the empty message.
        let text =
            "e3b0-c442-98fc-1c14-9afb-f4c8-996f-b924-27ae-41e4-649b-934c-a495-991b-7852-b855";
        assert_eq!(Fingerprint::of_spki(b"").to_string(), text);
    }

    #[test]
    fn separators_and_case_do_not_matter() {
        let print = Fingerprint::of_spki(b"");
        for separator in ["", ":", " ", "-"] {
            let text = print.to_string().replace('-', separator);
            assert_eq!(text.parse(), Ok(print));
            assert_eq!(text.to_uppercase().parse(), Ok(print));
        }
    }

    #[test]
    fn what_is_not_a_fingerprint_is_refused_with_the_reason() {
        let check = |text: &str, error| assert_eq!(text.parse::<Fingerprint>(), Err(error));
        check("", FingerprintParseError::BadLength { digits: 0 });
        check("abcd", FingerprintParseError::BadLength { digits: 4 });
        check(&"a".repeat(65), FingerprintParseError::BadLength { digits: 65 });
        check("abcg", FingerprintParseError::BadCharacter('g'));
        check("web01", FingerprintParseError::BadCharacter('w'));
    }

    proptest! {
        #[test]
        fn a_printed_fingerprint_reads_back(bytes: [u8; FINGERPRINT_BYTES]) {
            let print = Fingerprint::from_bytes(bytes);
            prop_assert_eq!(print.to_string().parse(), Ok(print));
        }
    }
}
