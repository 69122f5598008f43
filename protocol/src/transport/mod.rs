//! Sockets: links over QUIC. Only with the feature `transport`.
//!
//! [`Listener`] and [`Dialer`] own a UDP socket each and give connections whose TLS handshake is over; [`sender_link`]
//! and [`agent_link`] turn a connection into a [`link`](crate::link), a pump task a stream, and compress what shrinks if both
//! sides can ([`Compression`]); [`pairing`] carries the few messages of a pairing. What may be said and when is the [`session`](crate::session)'s affair.

mod accept;
mod compress;
mod config;
mod controller;
mod endpoint;
mod gate;
mod lane;
mod link;
mod pacing;
pub mod pairing;
mod read;
mod sort;
mod watch;
mod write;

pub use compress::{Compression, LEVEL_MAX};
pub use config::{HANDSHAKE_TIMEOUT, IDLE_TIMEOUT, KEEP_ALIVE_INTERVAL, transport_config};
pub use endpoint::{BufferBytes, DialError, Dialer, Handshake, Listener, SocketError, TlsError};
pub use gate::{Admission, Gate, Pass};
pub use link::{LinkError, agent_link, sender_link};
pub use quinn::Connection;

/// Draws `length` bytes that only the two ends of this TLS session know, for whatever must be bound to it.
///
/// Source: RFC 5705, through RFC 8446 section 7.5. `None` if `length` is more than the exporter gives (255 hashes).
pub fn export_keying_material(
    connection: &Connection,
    label: &[u8],
    context: &[u8],
    length: usize,
) -> Option<Vec<u8>> {
    let mut secret = vec![0; length];
    connection.export_keying_material(&mut secret, label, context).ok()?;
    Some(secret)
}

/// The peer's certificate in DER, as the TLS handshake proved it; `None` if it showed none.
pub fn peer_certificate(connection: &Connection) -> Option<Vec<u8>> {
    let chain = connection
        .peer_identity()?
        .downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>()
        .ok()?;
    chain.first().map(|certificate| certificate.to_vec())
}

#[cfg(test)]
mod tests;
