//! From a knock to a peer whose business is known: handshakes, who it is, what it came for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quicopy_certs::Fingerprint;
use quicopy_certs::tls::{Admission, Purpose, peer_fingerprint};
use quicopy_protocol::code::RefusalCode;
use quicopy_protocol::link::CloseCode;
use quicopy_protocol::transport::{Connection, Handshake, Listener, peer_certificate};
use quinn::crypto::rustls::HandshakeData;

use super::{Agent, pair, serve};
use quicopy_protocol::text::with_causes;

/// How often strangers are mentioned in the log.
const STRANGER_LOG_PERIOD: Duration = Duration::from_secs(10);

/// The agent's two questions about whoever knocks, answered from its files.
pub(super) fn admission(agent: &Arc<Agent>) -> Admission {
    let (known, open) = (Arc::clone(agent), Arc::clone(agent));
    Admission {
        known: Arc::new(move |peer| known.trust.knows(&known.office, peer)),
        joins_open: Arc::new(move || open.trust.joins_open(&open.office)),
    }
}

/// Takes connections until the listener is closed.
pub(super) async fn accept(agent: Arc<Agent>, listener: Listener) {
    let admission = admission(&agent);
    while let Some(handshake) = listener.accept().await {
        // Bounded: the gate lets 32 be under way, and known peers are counted right after.
        tokio::spawn(meet(Arc::clone(&agent), admission.clone(), handshake));
    }
}

async fn meet(agent: Arc<Agent>, admission: Admission, handshake: Handshake) {
    let address = handshake.address();
    let (connection, pass) = match handshake.complete().await {
        Ok(met) => met,
        Err(error) => {
            tracing::debug!(%address, "{}", with_causes(&error));
            return agent.strangers.note();
        }
    };
    let Some((purpose, peer)) = business(&admission, &connection) else {
        // No word of explanation for whoever is not known.
        connection.close(wire_code(CloseCode::Refused(RefusalCode::NotPermitted)), b"");
        return agent.strangers.note();
    };
    match purpose {
        Purpose::Join => {
            // The pass is held to the end: until it has joined, the peer is a stranger.
            let close = if agent.joins.take(Instant::now()) {
                match pair::join(&agent, &connection, peer).await {
                    Ok(()) => CloseCode::Finished,
                    Err(error) => {
                        tracing::info!(%address, "a join was cut short: {}", with_causes(&error));
                        CloseCode::Refused(RefusalCode::Protocol)
                    }
                }
            } else {
                tracing::warn!(%address, "a join was refused: too many of late");
                CloseCode::Refused(RefusalCode::Overloaded)
            };
            connection.close(wire_code(close), b"");
            drop(pass);
        }
        Purpose::Job => {
            drop(pass);
            serve::serve(agent, connection, peer).await;
        }
    }
}

/// Who the peer is and what it may be here for; `None` if nothing.
fn business(admission: &Admission, connection: &Connection) -> Option<(Purpose, Fingerprint)> {
    let peer = peer_fingerprint(&[peer_certificate(connection)?.into()]).ok()?;
    let data = connection.handshake_data()?.downcast::<HandshakeData>().ok()?;
    Some((admission.purpose(&data.protocol?, &peer).ok()?, peer))
}

/// The code of a QUIC connection's end.
pub(super) fn wire_code(code: CloseCode) -> quinn::VarInt {
    quinn::VarInt::from_u64(code.to_wire()).unwrap_or(quinn::VarInt::MAX)
}

/// Counts strangers, so that a flood of them is one line of the log now and then.
#[derive(Debug)]
pub(super) struct Strangers {
    count: AtomicU64,
    last: Mutex<Option<Instant>>,
}

impl Strangers {
    pub(super) fn new() -> Self {
        Self { count: AtomicU64::new(0), last: Mutex::new(None) }
    }

    fn note(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if last.is_none_or(|last| now.duration_since(last) >= STRANGER_LOG_PERIOD) {
            *last = Some(now);
            let count = self.count.swap(0, Ordering::Relaxed);
            tracing::info!("{count} connections by strangers were refused");
        }
    }
}
