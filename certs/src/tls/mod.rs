//! TLS for both roles: version 1.3, both ends show a key, nothing is resumed.
//!
//! | matter | choice |
//! | --- | --- |
//! | who the peer is | the fingerprint of its key, and a signature made with that key in this handshake |
//! | names, dates, issuers in certificates | ignored: a wrong clock must not stop a backup |
//! | resumption, tickets, 0-RTT | off at both ends: each would skip the look at the key |
//! | what a connection is for | ALPN: [`Purpose::Job`] or [`Purpose::Join`] |
//! | ciphers | AES-128-GCM first, which QUIC needs for its first packets anyway |
//!
//! **Strangers.** The agent must let an unknown key through the handshake while an invitation is
//! open, or nobody could ever join; but when it looks at the key, TLS has not told it yet what
//! the connection is for. So there are two looks. During the handshake a key passes if it is
//! known *or* an invitation is open. Right after it, before a byte of ours is read, the agent
//! calls [`Admission::purpose`], where an unknown key may only join and a known one may only do
//! what it asks for. Both looks ask the same two questions, at that moment.
//!
//! In TLS 1.3 the client has finished its handshake before the server has seen its certificate. A
//! stranger therefore learns of its refusal from the first thing it reads: the alert.

mod verify;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod handshake_tests;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    ClientConfig, ServerConfig,
    client::Resumption,
    crypto::{CryptoProvider, ring},
    server::NoServerSessionStorage,
    sign::SingleCertAndKey,
    version::TLS13,
};

/// What the transport hands out as the identity of a peer, for [`peer_fingerprint`].
pub use rustls::pki_types::CertificateDer;

pub use self::verify::{CERTIFICATE_BYTES_MAX, PeerKeyError};
use self::verify::{PinnedServer, SelectedClients};
use crate::{fingerprint::Fingerprint, identity::Identity};

/// The server name to hand to the transport, which wants one. It is neither sent nor checked.
pub const SERVER_NAME: &str = "quicopy";

/// The TLS alert with which an agent turns away whom it does not know: `access_denied`
/// (RFC 8446, section 6). QUIC reports it as error code 0x0131 (RFC 9001, section 4.8).
pub const NOT_KNOWN_ALERT: u8 = 49;

/// What a connection is for; on the wire, its ALPN protocol (RFC 7301).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// Jobs, between two that know each other: `quicopy/1`.
    Job,
    /// Pairing, with a token: `quicopy-join/1`.
    Join,
}

impl Purpose {
    /// The ALPN protocol: our name for the protocol, and its major version.
    pub const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Job => b"quicopy/1",
            Self::Join => b"quicopy-join/1",
        }
    }

    fn of_alpn(alpn: &[u8]) -> Option<Self> {
        [Self::Job, Self::Join].into_iter().find(|purpose| purpose.alpn() == alpn)
    }
}

/// The agent's two questions about whoever knocks, answered anew each time.
#[derive(Clone)]
pub struct Admission {
    /// Whether a sender of this key is known. One whose entry has expired is: it is told so when
    /// it asks for a job.
    pub known: Arc<dyn Fn(&Fingerprint) -> bool + Send + Sync>,
    /// Whether any invitation is open.
    pub joins_open: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// The peer may not do what it came for. It is told no more than that.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("this peer is not known here")]
pub struct NotAdmitted {}

impl Admission {
    /// Tells what a connection may be used for, once its handshake has finished.
    ///
    /// `alpn` is what the handshake settled on, `peer` the key that the sender has proved.
    ///
    /// # Errors
    ///
    /// A stranger wants to run jobs, anybody wants to join while no invitation is open, or the
    /// protocol is not ours. Close the connection.
    pub fn purpose(&self, alpn: &[u8], peer: &Fingerprint) -> Result<Purpose, NotAdmitted> {
        let purpose = Purpose::of_alpn(alpn).ok_or(NotAdmitted {})?;
        let admitted = match purpose {
            Purpose::Job => (self.known)(peer),
            Purpose::Join => (self.joins_open)(),
        };
        if admitted { Ok(purpose) } else { Err(NotAdmitted {}) }
    }

    fn may_finish_handshake(&self, peer: &Fingerprint) -> bool {
        (self.known)(peer) || (self.joins_open)()
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").finish_non_exhaustive()
    }
}

/// A sender's TLS, which talks to one agent only.
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// For the transport.
    pub config: Arc<ClientConfig>,
    stranger: Arc<Mutex<Option<Fingerprint>>>,
}

impl ClientTls {
    /// The key that another than the pinned agent has shown, if that ever happened.
    ///
    /// The transport reports a failed handshake as text. This is how the sender tells a changed
    /// key, at which everything stops, from a bad link, which it tries again.
    pub fn stranger(&self) -> Option<Fingerprint> {
        *self.stranger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the TLS of a sender that talks to the agent with the key `agent` and nobody else.
pub fn client_tls(identity: &Identity, agent: Fingerprint, purpose: Purpose) -> ClientTls {
    let stranger = Arc::default();
    let verifier = PinnedServer::new(agent, Arc::clone(&stranger), &provider());
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("the provider has TLS 1.3 cipher suites and key exchanges")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(certificate_of(identity)));
    config.alpn_protocols = vec![purpose.alpn().to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false;
    config.cert_decompressors = Vec::new();
    ClientTls { config: Arc::new(config), stranger }
}

/// Returns the TLS of an agent that lets in whom `admission` admits.
pub fn server_config(identity: &Identity, admission: Admission) -> Arc<ServerConfig> {
    let verifier = SelectedClients::new(admission, &provider());
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("the provider has TLS 1.3 cipher suites and key exchanges")
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(certificate_of(identity)));
    config.alpn_protocols = [Purpose::Job, Purpose::Join].map(|it| it.alpn().to_vec()).into();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.cert_decompressors = Vec::new();
    Arc::new(config)
}

/// Returns the fingerprint of the peer at the other end of a connection, from the certificates
/// that the transport says it has shown.
///
/// # Errors
///
/// There is not exactly one certificate, or it cannot be parsed: impossible after a handshake of
/// ours.
pub fn peer_fingerprint(certificates: &[CertificateDer<'_>]) -> Result<Fingerprint, PeerKeyError> {
    match certificates {
        [] => Err(PeerKeyError::NoCertificate),
        [certificate, others @ ..] => verify::key_of(certificate, others),
    }
}

fn certificate_of(identity: &Identity) -> SingleCertAndKey {
    SingleCertAndKey::from(identity.certified_key())
}

/// The one TLS provider of the program, with the suites of TLS 1.3 alone.
fn provider() -> Arc<CryptoProvider> {
    let cipher_suites = vec![
        ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
        ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ring::cipher_suite::TLS13_AES_256_GCM_SHA384,
    ];
    Arc::new(CryptoProvider { cipher_suites, ..ring::default_provider() })
}
