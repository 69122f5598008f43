//! The one line that an administrator carries from the agent to the sender.
//!
//! ```text
//! token     = "qcp1" base32(payload checksum)         RFC 4648 alphabet in lower case, no padding
//! payload   = length(u16)                             bytes of payload and checksum, big endian
//!             agent fingerprint(32) secret(16)
//!             count(u8) { length(u8) address }        ASCII, host:port
//! checksum  = first 4 bytes of BLAKE3("qcp1" payload)
//! ```
//!
//! Letters and digits only, so that a double click selects it whole and no shell, mail program or
//! URL touches it. White space is skipped when reading, for lines that were wrapped on the way.

use std::{fmt, iter, str::FromStr};

use ring::rand::SecureRandom;
use zeroize::Zeroizing;

use crate::fingerprint::{FINGERPRINT_BYTES, Fingerprint};

/// Most address hints in a token.
pub const ADDRESSES_MAX: usize = 8;

/// Longest address hint, in bytes. A host name has at most 253 characters (RFC 1035, 2.3.4); one
/// that leaves no room for a port is not worth carrying.
pub const ADDRESS_BYTES_MAX: usize = 255;

/// How every token of this form begins. A new form gets a new number.
const PREFIX: &str = "qcp1";
/// What tokens of every form begin with.
const FAMILY: &str = "qcp";
const SECRET_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 4;
/// Longest text worth looking at: the longest token, and as much again in white space.
const TEXT_BYTES_MAX: usize = 8192;

/// The 128 bits that make an invitation work once. Wiped when dropped, never printed.
#[derive(Eq, PartialEq)]
pub struct Secret(Zeroizing<[u8; SECRET_BYTES]>);

impl Secret {
    /// Draws a secret.
    ///
    /// # Errors
    ///
    /// The source gives no randomness.
    pub fn generate(random: &dyn SecureRandom) -> Result<Self, ring::error::Unspecified> {
        let mut secret = Self::of([0; SECRET_BYTES]);
        random.fill(secret.0.as_mut())?;
        Ok(secret)
    }

    pub(super) fn of(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What an invitation says: whom to trust, where it may be found, and the secret that opens.
#[derive(Debug, Eq, PartialEq)]
pub struct Token {
    agent: Fingerprint,
    secret: Secret,
    addresses: Vec<String>,
}

/// Why a token cannot carry these addresses.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenAddressError {
    /// Too many of them.
    #[error("a token carries at most {ADDRESSES_MAX} addresses, not {count}")]
    TooMany {
        /// How many were given.
        count: usize,
    },
    /// One that is empty, too long, or not plain ASCII.
    #[error("{address:?} is not an address of 1 to {ADDRESS_BYTES_MAX} plain characters")]
    BadAddress {
        /// The address.
        address: String,
    },
}

impl Token {
    /// Makes a token. `addresses` are `host:port` hints, and there may be none.
    ///
    /// # Errors
    ///
    /// More than [`ADDRESSES_MAX`] addresses, or one that is empty, longer than
    /// [`ADDRESS_BYTES_MAX`], or holds anything but visible ASCII.
    pub fn new(
        agent: Fingerprint,
        secret: Secret,
        addresses: Vec<String>,
    ) -> Result<Self, TokenAddressError> {
        if addresses.len() > ADDRESSES_MAX {
            return Err(TokenAddressError::TooMany { count: addresses.len() });
        }
        match addresses.iter().find(|address| !is_address(address.as_bytes())) {
            Some(address) => Err(TokenAddressError::BadAddress { address: address.clone() }),
            None => Ok(Self { agent, secret, addresses }),
        }
    }

    /// The key of the agent that invites.
    pub fn agent(&self) -> Fingerprint {
        self.agent
    }

    /// The secret to prove.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Where the agent may be found, `host:port` each.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Returns the token as the text to be shown once. Whoever reads it can join.
    pub fn reveal(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(self.payload());
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + bytes.len() * 2));
        text.push_str(PREFIX);
        encode_base32(&bytes, &mut text);
        text
    }

    fn payload(&self) -> Vec<u8> {
        let addresses_bytes = self.addresses.iter().map(|address| 1 + address.len()).sum::<usize>();
        let payload_bytes = 2 + FINGERPRINT_BYTES + SECRET_BYTES + 1 + addresses_bytes;
        let all_bytes = u16::try_from(payload_bytes + CHECKSUM_BYTES)
            .expect("eight addresses of 255 bytes fit 16 bits");
        let mut payload = Vec::with_capacity(usize::from(all_bytes));
        payload.extend_from_slice(&all_bytes.to_be_bytes());
        payload.extend_from_slice(self.agent.as_bytes());
        payload.extend_from_slice(self.secret.as_bytes());
        payload.push(self.addresses.len() as u8);
        for address in &self.addresses {
            payload.push(address.len() as u8);
            payload.extend_from_slice(address.as_bytes());
        }
        payload
    }
}

/// Why a text is not a token. No variant repeats what was typed: it may be nearly right.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenParseError {
    /// It does not begin as a token does.
    #[error("this is not a token: one begins with {PREFIX}")]
    NotAToken,
    /// A token of a later form.
    #[error("this token was made by a newer agent; update this program")]
    NewerForm,
    /// A character that tokens do not have.
    #[error("character {position} of the token is not one of a-z and 2-7; copy it again")]
    BadCharacter {
        /// Which character, counted from 1 and without white space.
        position: usize,
    },
    /// The end is missing, or there is more than one token.
    #[error("the token has {actual} characters and should have {expected}; copy it whole")]
    BadLength {
        /// How many characters its own length announces.
        expected: usize,
        /// How many there are.
        actual: usize,
    },
    /// The checksum does not fit.
    #[error("the token is mistyped; copy it again")]
    BadChecksum,
    /// The checksum fits what makes no sense: not a slip of the hand.
    #[error("the token's contents make no sense; ask for another")]
    Malformed,
}

impl FromStr for Token {
    type Err = TokenParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(TokenParseError::NotAToken);
        }
        let mut dense = Zeroizing::new(String::with_capacity(text.len()));
        dense.extend(text.chars().filter(|character| !character.is_whitespace()));
        let Some(digits) = dense.strip_prefix(PREFIX) else {
            let number = dense.strip_prefix(FAMILY).and_then(|rest| rest.chars().next());
            return Err(match number {
                Some('2'..='9') => TokenParseError::NewerForm,
                Some(_) | None => TokenParseError::NotAToken,
            });
        };
        let bytes = decode_base32(digits)?;
        let expected_bytes = match bytes.first_chunk() {
            Some(length) => usize::from(u16::from_be_bytes(*length)),
            None => 2 + FINGERPRINT_BYTES + SECRET_BYTES + 1 + CHECKSUM_BYTES,
        };
        let (expected, actual) = (base32_length(expected_bytes), digits.len());
        if expected != actual {
            let prefix = PREFIX.len();
            return Err(TokenParseError::BadLength {
                expected: prefix + expected,
                actual: prefix + actual,
            });
        }
        let (payload, sum) =
            bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(TokenParseError::Malformed)?;
        if checksum(payload) != *sum {
            return Err(TokenParseError::BadChecksum);
        }
        let token = parse_payload(payload).ok_or(TokenParseError::Malformed)?;
        // The last digit has bits to spare; with any but zeros, two texts would be one token.
        if token.reveal() == dense { Ok(token) } else { Err(TokenParseError::BadChecksum) }
    }
}

fn parse_payload(payload: &[u8]) -> Option<Token> {
    let (_length, rest) = payload.split_first_chunk::<2>()?;
    let (agent, rest) = rest.split_first_chunk::<FINGERPRINT_BYTES>()?;
    let (secret, rest) = rest.split_first_chunk::<SECRET_BYTES>()?;
    let (count, mut rest) = rest.split_first()?;
    let mut addresses = Vec::new();
    for _ in 0..*count {
        let (length, after) = rest.split_first()?;
        let (address, after) = after.split_at_checked(usize::from(*length))?;
        addresses.push(str::from_utf8(address).ok()?.to_owned());
        rest = after;
    }
    if !rest.is_empty() {
        return None;
    }
    Token::new(Fingerprint::from_bytes(*agent), Secret::of(*secret), addresses).ok()
}

fn is_address(address: &[u8]) -> bool {
    (1..=ADDRESS_BYTES_MAX).contains(&address.len()) && address.iter().all(u8::is_ascii_graphic)
}

fn checksum(payload: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(PREFIX.as_bytes()).update(payload);
    let mut sum = [0; CHECKSUM_BYTES];
    hasher.finalize_xof().fill(&mut sum);
    sum
}

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// How many base32 digits `bytes` bytes take without padding.
const fn base32_length(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

fn encode_base32(bytes: &[u8], text: &mut String) {
    let (mut pending, mut pending_bits) = (0_u32, 0);
    // Four zero bits at the end push out the last digit, and never begin another.
    let padding = iter::once((0, 4));
    for (value, bits) in bytes.iter().map(|&byte| (u32::from(byte), 8)).chain(padding) {
        pending = pending << bits | value;
        pending_bits += bits;
        while pending_bits >= 5 {
            pending_bits -= 5;
            text.push(BASE32[(pending >> pending_bits & 31) as usize].into());
        }
    }
}

fn decode_base32(digits: &str) -> Result<Zeroizing<Vec<u8>>, TokenParseError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len()));
    let (mut pending, mut pending_bits) = (0_u32, 0);
    for (index, digit) in digits.chars().enumerate() {
        let value = match digit {
            'a'..='z' => digit as u32 - 'a' as u32,
            '2'..='7' => digit as u32 - '2' as u32 + 26,
            _ => return Err(TokenParseError::BadCharacter { position: PREFIX.len() + index + 1 }),
        };
        pending = (pending << 5 | value) & 0xfff;
        pending_bits += 5;
        if pending_bits >= 8 {
            pending_bits -= 8;
            bytes.push((pending >> pending_bits) as u8);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(addresses: &[&str]) -> Token {
        let addresses = addresses.iter().map(|&address| address.into()).collect();
        Token::new(Fingerprint::of_spki(b"agent"), Secret::of([7; 16]), addresses).unwrap()
    }

    fn check(text: &str, error: TokenParseError) {
        assert_eq!(text.parse::<Token>(), Err(error));
    }

    #[test]
    fn a_token_is_one_word_that_a_double_click_selects() {
        let text = token(&["agent.example:47470", "[2001:db8::1]:47470"]).reveal();
        assert!(text.starts_with("qcp1") && text.chars().all(|c| c.is_ascii_alphanumeric()));
        assert!(token(&[]).reveal().len() < 100);
    }

    #[test]
    fn a_token_that_was_wrapped_on_the_way_still_reads() {
        let token = token(&["agent.example:47470"]);
        let text = token.reveal();
        let wrapped = format!("  {}\r\n  {}\n", &text[..40], &text[40..]);
        assert_eq!(wrapped.parse(), Ok(token));
    }

    #[test]
    fn a_token_that_was_cut_or_doubled_says_so() {
        let text = token(&["a:1"]).reveal();
        for length in PREFIX.len()..text.len() {
            let error = text[..length].parse::<Token>().unwrap_err();
            assert!(
                matches!(error, TokenParseError::BadLength { .. } | TokenParseError::BadChecksum),
                "{error}"
            );
        }
        let twice = format!("{}{}", *text, *text);
        assert!(twice.parse::<Token>().is_err());
        let cut = text[..text.len() - 8].parse::<Token>().unwrap_err();
        assert_eq!(
            cut,
            TokenParseError::BadLength { expected: text.len(), actual: text.len() - 8 }
        );
    }

    #[test]
    fn what_is_no_token_is_told_apart_from_what_is_a_bad_one() {
        check("", TokenParseError::NotAToken);
        check("web01", TokenParseError::NotAToken);
        check("QCP1ABC", TokenParseError::NotAToken);
        check("qcp2abc", TokenParseError::NewerForm);
        check("qcp1abc!", TokenParseError::BadCharacter { position: 8 });
        check(&" ".repeat(TEXT_BYTES_MAX + 1), TokenParseError::NotAToken);
    }

    #[test]
    fn a_right_checksum_over_nonsense_is_refused() {
        for tamper in [0_u8, 9, 255] {
            let mut payload = token(&["a:1"]).payload();
            payload[50] = tamper; // the number of addresses
            payload.extend_from_slice(&checksum(&payload));
            let mut text = PREFIX.to_owned();
            encode_base32(&payload, &mut text);
            check(&text, TokenParseError::Malformed);
        }
    }

    #[test]
    fn addresses_are_few_short_and_plain() {
        let make = |addresses: &[&str]| {
            let addresses = addresses.iter().map(|&address| address.into()).collect();
            Token::new(Fingerprint::of_spki(b""), Secret::of([0; 16]), addresses).map(drop)
        };
        assert_eq!(make(&["a:1"; 9]), Err(TokenAddressError::TooMany { count: 9 }));
        for address in ["", "a b", "a\x1b[2J", "büro:1", &"a".repeat(256)] {
            assert!(matches!(make(&[address]), Err(TokenAddressError::BadAddress { .. })));
        }
        assert_eq!(make(&["a".repeat(255).as_str(); 8]), Ok(()));
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        assert!(format!("{:?}", token(&[])).contains("secret: Secret(..)"));
    }

    #[test]
    fn base32_is_that_of_the_standard() {
        // RFC 4648, section 10, in lower case and without padding.
        for (bytes, text) in
            [("", ""), ("f", "my"), ("fo", "mzxq"), ("foo", "mzxw6"), ("foobar", "mzxw6ytboi")]
        {
            let mut encoded = String::new();
            encode_base32(bytes.as_bytes(), &mut encoded);
            assert_eq!(encoded, text);
            assert_eq!(*decode_base32(text).unwrap(), bytes.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn a_token_reads_back_as_it_was_printed(
            agent: [u8; 32],
            secret: [u8; 16],
            addresses in prop::collection::vec("[!-~]{1,255}", 0..=ADDRESSES_MAX),
        ) {
            let agent = Fingerprint::from_bytes(agent);
            let token = Token::new(agent, Secret::of(secret), addresses).unwrap();
            prop_assert_eq!(token.reveal().parse(), Ok(token));
        }

        #[test]
        fn a_token_with_one_other_character_is_refused(
            secret: [u8; 16],
            position: prop::sample::Index,
            other in any::<char>().prop_filter("white space is skipped", |c| !c.is_whitespace()),
        ) {
            let addresses = vec!["agent.example:47470".to_owned()];
            let token = Token::new(Fingerprint::of_spki(b""), Secret::of(secret), addresses).unwrap();
            let mut characters = token.reveal().chars().collect::<Vec<_>>();
            let changed = position.get_mut(characters.as_mut_slice());
            prop_assume!(*changed != other);
            *changed = other;
            prop_assert!(String::from_iter(characters).parse::<Token>().is_err());
        }

        #[test]
        fn any_text_ends_in_a_token_or_an_error(text in any::<String>(), tail in "[a-z2-7]{0,200}") {
            let _ = text.parse::<Token>();
            let _ = format!("qcp1{tail}").parse::<Token>();
        }
    }
}
