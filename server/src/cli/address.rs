//! The network address of an agent as a person types it.

use std::fmt;

/// UDP port on which agents listen when nothing else is said.
pub const DEFAULT_PORT: u16 = 47470;

/// `HOST[:PORT]`; an IPv6 address with a port stands in brackets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Address {
    /// A name or an IP address, without brackets; in a DESTINATION possibly the name of a paired agent.
    pub host: String,
    /// The port, if one was typed.
    pub port: Option<u16>,
}

/// Why a text is not an [`Address`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddressError {
    /// No host.
    #[error("the host is missing")]
    NoHost,
    /// A host with blanks, slashes, control characters or a stray bracket.
    #[error("the host holds a character that no host has")]
    BadHost,
    /// A port that is not a number from 1 to 65,535.
    #[error("the port is not a number from 1 to 65535")]
    BadPort,
}

impl Address {
    /// Reads `HOST`, `HOST:PORT`, `[IPV6]`, `[IPV6]:PORT` or a bare IPv6 address.
    ///
    /// # Errors
    /// Says which part is wrong.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or(AddressError::BadHost)?;
                match rest.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if rest.is_empty() => (host, None),
                    None => return Err(AddressError::BadHost),
                }
            }
            None => match text.split_once(':') {
                Some((_, rest)) if rest.contains(':') => (text, None),
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        if host.is_empty() {
            return Err(AddressError::NoHost);
        }
        let is_fit = |c: char| !c.is_control() && !c.is_whitespace() && !"/\\[]@?#".contains(c);
        if !host.chars().all(is_fit) {
            return Err(AddressError::BadHost);
        }
        let port = port.map(parse_port).transpose()?;
        Ok(Self { host: host.to_owned(), port })
    }
}

fn parse_port(text: &str) -> Result<u16, AddressError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port @ 1..) if digits => Ok(port),
        _ => Err(AddressError::BadPort),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hosts_come_with_and_without_a_port() {
        for (text, host, port) in [
            ("b", "b", None),
            ("b:1", "b", Some(1)),
            ("[::1]", "::1", None),
            ("[::1]:47470", "::1", Some(47470)),
            ("2001:db8::1", "2001:db8::1", None),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((&*address.host, address.port), (host, port), "{text}");
            assert_eq!(Address::parse(&address.to_string()), Ok(address));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in
            ["", ":1", "b:", "b:0", "b:65536", "b:+1", "[::1", "[::1]x", "a b", "a/b", "a\n"]
        {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
    }
}
