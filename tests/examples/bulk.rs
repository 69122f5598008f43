//! Bulk over the real transport, memory to memory: what congestion control makes of a link, without files and sessions.
//!
//! ```text
//! linklab --loss 1% -- '$B bulk receive $B_ADDR:4433 /tmp/cert & sleep 1; $A bulk send $B_ADDR:4433 /tmp/cert 12'
//! ```
//!
//! The receiver prints what came in each second, in Mbit/s of content; the sender its window, round trip and losses.

#![allow(clippy::print_stdout)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use quicopy_protocol::limits::CONTENT_STREAMS;
use quicopy_protocol::transport::{Connection, Dialer, Listener};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::version::TLS13;
use tokio::time::{interval, sleep};

const SECOND: Duration = Duration::from_secs(1);
const PIECE: Bytes = Bytes::from_static(&[7; 64 << 10]);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["receive", address, certificate] => receive(address.parse()?, certificate).await,
        ["send", address, certificate, seconds] => {
            send(address.parse()?, certificate, seconds.parse()?).await
        }
        _ => anyhow::bail!(
            "bulk receive ADDRESS CERTIFICATE | bulk send ADDRESS CERTIFICATE SECONDS"
        ),
    }
}

async fn receive(address: SocketAddr, certificate: &str) -> anyhow::Result<()> {
    let made = rcgen::generate_simple_self_signed(["quicopy".to_owned()])?;
    tokio::fs::write(certificate, made.cert.der()).await?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())?;
    let listener = Listener::bind(address, Arc::new(tls), &[7; 64])?;
    while let Some(handshake) = listener.accept().await {
        if let Ok((connection, _pass)) = handshake.complete().await {
            tokio::spawn(drain(connection));
        }
    }
    Ok(())
}

async fn drain(connection: Connection) {
    let received = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&received);
    let who = connection.remote_address().port();
    let printer = tokio::spawn(async move {
        let mut ticks = interval(SECOND);
        for second in 0.. {
            ticks.tick().await;
            let bytes = counted.swap(0, Ordering::Relaxed);
            println!("{who} {second:3} s: {:7.2} Mbit/s", bytes as f64 * 8e-6);
        }
    });
    while let Ok(mut stream) = connection.accept_uni().await {
        let received = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok(Some(chunk)) = stream.read_chunk(1 << 20, false).await {
                received.fetch_add(chunk.bytes.len() as u64, Ordering::Relaxed);
            }
        });
    }
    printer.abort();
}

async fn send(address: SocketAddr, certificate: &str, seconds: u64) -> anyhow::Result<()> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(tokio::fs::read(certificate).await?))?;
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let dialer = Dialer::bind()?;
    let connection = dialer.connect(address, Arc::new(tls)).await?;
    for _ in 0..CONTENT_STREAMS {
        let mut stream = connection.open_uni().await?;
        tokio::spawn(async move {
            while stream.write_chunk(PIECE).await.is_ok() {
                tokio::task::yield_now().await;
            }
        });
    }
    let mut before = connection.stats().path;
    for second in 0..seconds {
        sleep(SECOND).await;
        let path = connection.stats().path;
        println!(
            "    {second:3} s: window {:6} packets, round trip {:6.1} ms, sent {:6}, lost {:5}",
            path.cwnd / 1452,
            path.rtt.as_secs_f64() * 1e3,
            path.sent_packets - before.sent_packets,
            path.lost_packets - before.lost_packets,
        );
        before = path;
    }
    Ok(())
}
