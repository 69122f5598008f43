//! Links over real sockets on the loopback interface.

#![allow(clippy::unwrap_used)]

mod breaches;
mod compression;
mod links;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::VarInt;
use rustls::crypto::ring::default_provider;
use rustls::version::TLS13;
use tokio::time::Instant;

use super::*;
use crate::code::RefusalCode;
use crate::codec::Encoded;
use crate::congestion::{Gauge, Settings};
use crate::limits::{CHUNK_BYTES_MAX, ZSTD_CONTENT_STREAMS_MAX};
use crate::link::{AgentLink, Capacities, Close, CloseCode, LinkClosed, SenderLink};
use crate::message::{Cancel, Chunk, ChunkList, Lane, Message, Notice, Ping, ScanEnd, WholeFile};
use crate::meta::{Digest, WantId};
use crate::version;

const RESET_KEY: [u8; 64] = [7; 64];

fn tls() -> (Arc<rustls::ServerConfig>, Arc<rustls::ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["quicopy".to_owned()]).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(default_provider());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![made.cert.der().clone()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into(),
        )
        .unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

/// Both sockets and a connection between them.
struct Wire {
    listener: Listener,
    _dialer: Dialer,
    at_sender: Connection,
    at_agent: Connection,
}

async fn connect() -> Wire {
    connect_with(Settings::default()).await
}

/// The congestion control is the sender's.
async fn connect_with(congestion: Settings) -> Wire {
    let (server, client) = tls();
    let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), server, &RESET_KEY).unwrap();
    let dialer = Dialer::bind().unwrap().with_congestion(congestion);
    let address = listener.local_addr().unwrap();
    let accept = async { listener.accept().await.unwrap().complete().await.unwrap().0 };
    let (at_agent, at_sender) = tokio::join!(accept, dialer.connect(address, client));
    Wire { at_sender: at_sender.unwrap(), at_agent, listener, _dialer: dialer }
}

async fn links() -> (SenderLink, AgentLink, Wire) {
    links_with(Compression::Auto).await
}

async fn links_with(compression: Compression) -> (SenderLink, AgentLink, Wire) {
    links_over(connect().await, compression).await
}

async fn links_over(wire: Wire, compression: Compression) -> (SenderLink, AgentLink, Wire) {
    let (sender, agent) = tokio::join!(
        sender_link(wire.at_sender.clone(), Capacities::default(), compression),
        agent_link(wire.at_agent.clone(), Capacities::default())
    );
    (sender.unwrap(), agent.unwrap(), wire)
}

fn ping(number: u64) -> Message {
    Message::Ping(Ping { number })
}

fn chunk(want: u64, bytes: usize) -> Message {
    let data = Bytes::from(vec![want as u8; bytes]);
    Chunk { want: WantId(want), offset: 0, digest: Digest::of(&data), data }.into()
}

#[track_caller]
fn assert_protocol(error: quinn::ConnectionError, text: &str) {
    let quinn::ConnectionError::ApplicationClosed(frame) = error else { panic!("{error}") };
    assert_eq!(frame.error_code, VarInt::from_u32(0x19));
    let reason = String::from_utf8_lossy(&frame.reason).into_owned();
    assert!(reason.contains(text), "{reason}");
}
