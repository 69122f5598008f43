//! Invitations: what a sender needs to be let in.

use std::net::SocketAddr;
use std::sync::PoisonError;
use std::time::Duration;

use quicopy_certs::pairing::invite::Now;
use quicopy_certs::pairing::token::Token;
use quicopy_certs::{Permits, Shares};
use quicopy_protocol::limits::PAIRING_BYTES_MAX;
use ring::rand::SystemRandom;

use super::{Office, OfficeError};
use crate::request::{Invited, Reply, stamp};
use crate::share::ShareName;

/// Bytes of the shares' names in one invitation: what a turn of pairing holds, less room for the rest of it.
const SHARE_LIST_BYTES_MAX: usize = PAIRING_BYTES_MAX - 512;

impl Office {
    pub(super) fn invite(
        &self,
        names: Vec<ShareName>,
        permits: Permits,
        ttl: Duration,
    ) -> Result<Reply, OfficeError> {
        let shares = if names.is_empty() { Shares::All } else { self.named(&names)? };
        let now = Now::read();
        let random = SystemRandom::new();
        let (secret, invitation) = self.invitations.create(now, ttl, permits, shares, &random)?;
        let fingerprint = self.identity.fingerprint();
        let address = *self.address.lock().unwrap_or_else(PoisonError::into_inner);
        let token = Token::new(fingerprint, secret, address_hints(address))?;
        Ok(Reply::Invited(Invited {
            token: token.reveal().to_string(),
            expires: stamp(invitation.expires_at),
            fingerprint: fingerprint.to_string(),
        }))
    }

    /// The shares of an invitation, as they are spelt here. Without any configured, they are those that the agent will
    /// be started with.
    fn named(&self, names: &[ShareName]) -> Result<Shares, OfficeError> {
        let spelt = |name| -> Result<&ShareName, OfficeError> {
            if self.shares.is_empty() { Ok(name) } else { Ok(&self.find(name)?.name) }
        };
        let spelt = names.iter().map(spelt).collect::<Result<Vec<_>, _>>()?;
        let list_bytes = spelt.iter().map(|name| name.as_str().len() + 1).sum::<usize>();
        if list_bytes > SHARE_LIST_BYTES_MAX {
            return Err(OfficeError::TooManyShares { count: names.len() });
        }
        Ok(Shares::only(spelt.into_iter().map(ShareName::as_str))?)
    }
}

/// Where a sender may try to find this agent: the address it listens on or, if that is any, the host's name.
pub(super) fn address_hints(listen: SocketAddr) -> Vec<String> {
    if !listen.ip().is_unspecified() {
        return vec![listen.to_string()];
    }
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    let plain = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic());
    if plain && host.len() <= 200 { vec![format!("{host}:{}", listen.port())] } else { Vec::new() }
}
