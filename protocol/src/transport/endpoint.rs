//! The QUIC endpoints: [`Listener`], [`Dialer`].

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, MtuDiscoveryConfig,
    Runtime, ServerConfig, TokioRuntime,
};
use quinn_proto::HashedConnectionIdGenerator;
use ring::hmac;

use super::config::{HANDSHAKE_TIMEOUT, transport_config};
use super::gate::{Admission, Gate, Pass};
use super::socket::{BatchSocket, BufferBytes, JUMBO_PAYLOAD_BYTES, route_payload_max};
use crate::congestion::Settings;
use crate::version::Role;

/// Attempts to connect that wait for the accept loop; the library's default is 65,536.
const INCOMING_MAX: usize = 64;
/// Bytes kept for one of them.
const INCOMING_BYTES_MAX: u64 = 64 << 10;
/// Bytes kept for all of them.
const INCOMING_BYTES_TOTAL_MAX: u64 = 4 << 20;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The address is taken, not ours or not allowed.
    #[error("cannot use UDP address {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// The TLS configuration is not one that QUIC can use.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A TLS configuration that QUIC cannot use: it lacks TLS 1.3 with AES-128-GCM, which every QUIC handshake begins with.
#[derive(Debug, thiserror::Error)]
#[error("the TLS configuration is not fit for QUIC")]
pub struct TlsError(#[from] quinn::crypto::rustls::NoInitialCipherSuite);

/// Why a connection did not come about.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The TLS configuration is not one that QUIC can use.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address or this endpoint cannot be used.
    #[error("cannot connect to {address}")]
    Unusable {
        /// The address.
        address: SocketAddr,
        /// What is wrong with it.
        source: quinn::ConnectError,
    },
    /// The handshake failed: the certificate was refused, or the peer closed.
    #[error("the handshake with {address} failed")]
    Handshake {
        /// The peer.
        address: SocketAddr,
        /// What ended it.
        source: ConnectionError,
    },
    /// No handshake within [`HANDSHAKE_TIMEOUT`].
    #[error("no answer from {address} within {} s", HANDSHAKE_TIMEOUT.as_secs())]
    TimedOut {
        /// The peer.
        address: SocketAddr,
    },
}

impl DialError {
    /// Whether the peer's TLS denied access: it does not know this side's key.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Handshake { source, .. } if super::link::is_denied(source))
    }
}

/// The agent's socket: takes connections.
#[derive(Clone, Debug)]
pub struct Listener {
    endpoint: Endpoint,
    gate: Gate,
    buffers: BufferBytes,
}

impl Listener {
    /// Listens on `address`; an unspecified IPv6 address takes IPv4 too.
    ///
    /// `reset_key` is part of the agent's state: with the same key, an agent that was restarted ends the connections of
    /// the one before it at once, instead of leaving its peers to wait for their timeout (RFC 9000, section 10.3).
    /// To be called within a tokio runtime.
    ///
    /// # Errors
    /// The socket cannot be bound, or the TLS configuration is not fit for QUIC.
    pub fn bind(
        address: SocketAddr,
        tls: Arc<rustls::ServerConfig>,
        reset_key: &[u8; 64],
    ) -> Result<Self, SocketError> {
        let tls = QuicServerConfig::try_from(tls).map_err(TlsError)?;
        let mut server = ServerConfig::with_crypto(Arc::new(tls));
        server
            .transport_config(Arc::new(transport_config(Role::Agent, Settings::default())))
            .max_incoming(INCOMING_MAX)
            .incoming_buffer_size(INCOMING_BYTES_MAX)
            .incoming_buffer_size_total(INCOMING_BYTES_TOTAL_MAX);
        let bound = |source| SocketError::Bind { address, source };
        let (socket, buffers) = BatchSocket::bind(address).map_err(bound)?;
        let config = endpoint_config(reset_key);
        let endpoint = Endpoint::new_with_abstract_socket(config, Some(server), socket, runtime())
            .map_err(bound)?;
        Ok(Self { endpoint, gate: Gate::new(), buffers })
    }

    /// The address that it listens on, with the port that it got.
    ///
    /// # Errors
    /// The operating system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// The socket's buffers.
    pub fn buffers(&self) -> BufferBytes {
        self.buffers
    }

    /// The next connection whose handshake may begin, with its pass through the gate; `None` once the listener is closed.
    ///
    /// Attempts beyond the gate's budget are dropped without an answer, or made to prove their address first.
    pub async fn accept(&self) -> Option<Handshake> {
        loop {
            let incoming = self.endpoint.accept().await?;
            let address = incoming.remote_address();
            match self.gate.admit(address.ip(), incoming.remote_address_validated()) {
                Admission::Pass(pass) => match incoming.accept() {
                    Ok(connecting) => return Some(Handshake { connecting, pass, address }),
                    Err(error) => tracing::debug!(%address, %error, "handshake not begun"),
                },
                // Fails only for an address that is validated, and the gate asks for no proof twice.
                Admission::Retry => drop(incoming.retry()),
                Admission::Drop => incoming.ignore(),
            }
        }
    }

    /// Takes no more connections and ends those there are, then waits until their peers are told.
    pub async fn close(&self, close: &crate::link::Close) {
        self.endpoint.close(super::link::wire_code(close.code), close.reason.as_bytes());
        self.endpoint.wait_idle().await;
    }
}

/// A handshake that the gate let in.
#[derive(Debug)]
pub struct Handshake {
    connecting: quinn::Connecting,
    pass: Pass,
    address: SocketAddr,
}

impl Handshake {
    /// Where it comes from.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Carries it out. Keep the pass until it is known who the peer is.
    ///
    /// # Errors
    /// It failed, or took longer than [`HANDSHAKE_TIMEOUT`].
    pub async fn complete(self) -> Result<(Connection, Pass), DialError> {
        let connection = handshake(self.address, self.connecting).await?;
        Ok((connection, self.pass))
    }
}

/// The sender's socket: makes connections.
#[derive(Clone, Debug)]
pub struct Dialer {
    endpoint: Endpoint,
    socket: Arc<BatchSocket>,
    buffers: BufferBytes,
    congestion: Settings,
}

impl Dialer {
    /// Takes a socket on a free port, for both address families where there are both. Within a tokio runtime.
    ///
    /// # Errors
    /// There is no socket to be had.
    pub fn bind() -> Result<Self, SocketError> {
        let any = |ip| SocketAddr::new(ip, 0);
        let v6 = any(Ipv6Addr::UNSPECIFIED.into());
        let v4 = any(Ipv4Addr::UNSPECIFIED.into());
        let bound = |source| SocketError::Bind { address: v4, source };
        let config = taking_jumbo(EndpointConfig::default());
        let (socket, buffers) =
            BatchSocket::bind(v6).or_else(|_| BatchSocket::bind(v4)).map_err(bound)?;
        let shared = Arc::<BatchSocket>::clone(&socket);
        let endpoint =
            Endpoint::new_with_abstract_socket(config, None, shared, runtime()).map_err(bound)?;
        Ok(Self { endpoint, socket, buffers, congestion: Settings::default() })
    }

    /// The same for connections whose congestion control is set up like this.
    #[must_use]
    pub fn with_congestion(self, congestion: Settings) -> Self {
        Self { congestion, ..self }
    }

    /// The socket's buffers.
    pub fn buffers(&self) -> BufferBytes {
        self.buffers
    }

    /// Connects to an agent. Peers know each other by their keys, so the server's name says nothing and is always the same.
    ///
    /// # Errors
    /// No connection within [`HANDSHAKE_TIMEOUT`].
    pub async fn connect(
        &self,
        address: SocketAddr,
        tls: Arc<rustls::ClientConfig>,
    ) -> Result<Connection, DialError> {
        let tls = QuicClientConfig::try_from(tls).map_err(TlsError)?;
        let mut client = ClientConfig::new(Arc::new(tls));
        let mut transport = transport_config(Role::Sender, self.congestion.clone());
        let payload_max = route_payload_max(address);
        self.socket.admit(payload_max);
        let mut discovery = MtuDiscoveryConfig::default();
        discovery.upper_bound(payload_max);
        transport.mtu_discovery_config(Some(discovery));
        client.transport_config(Arc::new(transport));
        let connecting = self
            .endpoint
            .connect_with(client, address, SERVER_NAME)
            .map_err(|source| DialError::Unusable { address, source })?;
        handshake(address, connecting).await
    }

    /// Waits until the peers of all ended connections are told. Call it before the program ends.
    pub async fn wait_idle(&self) {
        self.endpoint.wait_idle().await;
    }
}

/// What the client's TLS says the server is called.
const SERVER_NAME: &str = "quicopy";

async fn handshake(
    address: SocketAddr,
    connecting: quinn::Connecting,
) -> Result<Connection, DialError> {
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, connecting).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(source)) => Err(DialError::Handshake { address, source }),
        Err(_) => Err(DialError::TimedOut { address }),
    }
}

/// A reset is only sent for a connection id that this endpoint could have made: ids must come from the key as well.
fn endpoint_config(reset_key: &[u8; 64]) -> EndpointConfig {
    let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, reset_key), b"connection ids");
    let id_key = derived.as_ref().first_chunk().map(|head| u64::from_le_bytes(*head));
    let id_key = id_key.expect("a SHA-256 has 32 bytes");
    let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, reset_key)));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(id_key)));
    taking_jumbo(config)
}

fn taking_jumbo(mut config: EndpointConfig) -> EndpointConfig {
    config.max_udp_payload_size(JUMBO_PAYLOAD_BYTES).expect("QUIC allows 1200 bytes and more");
    config
}

fn runtime() -> Arc<dyn Runtime> {
    Arc::new(TokioRuntime)
}
