//! A QUIC connection as a link: [`sender_link`], [`agent_link`].
//!
//! | stream | opened by | lane |
//! | --- | --- | --- |
//! | one, both ways | sender | control |
//! | one | sender | listing |
//! | 16 | sender | content |
//! | one | agent | verdict |

use std::sync::Arc;

use async_channel::bounded;
use quinn::{Connection, ConnectionError, TransportErrorCode, VarInt};
use tokio::time::timeout;

use super::accept::Seat;
use super::compress::Compression;
use super::config::HANDSHAKE_TIMEOUT;
use super::lane::StreamKind;
use super::read;
use super::supervisor::Supervisor;
use super::tasks::Tasks;
use crate::code::RefusalCode;
use crate::limits::{CONTENT_STREAMS, ZSTD_CONTENT_STREAMS_MAX};
use crate::link::{AgentLink, Capacities, Close, CloseCode, SenderLink};
use crate::link_end::Ending;
use crate::message::Lane;

/// Why a connection did not become a link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The connection ended before.
    #[error("the connection ended before its streams were open")]
    Ended(#[from] ConnectionError),
    /// The peer did not open its control stream, or did not let us open ours, in time.
    #[error("the peer opened no streams within {} s", HANDSHAKE_TIMEOUT.as_secs())]
    TimedOut,
    /// The first stream is not what a job begins with.
    #[error("the connection does not begin with a control stream")]
    NotControl,
}

impl LinkError {
    /// Whether the peer's TLS denied access: it does not know this side's key.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Ended(error) if is_denied(error))
    }
}

/// Whether the peer ended a connection because it does not know this side: with the TLS alert `access_denied`, number 49, or,
/// where invitations are open and TLS lets strangers in, by refusing without a word.
///
/// Source: RFC 8446, section 6; RFC 9001, section 4.8, for its place among QUIC's error codes.
pub(super) fn is_denied(error: &ConnectionError) -> bool {
    let alert = TransportErrorCode::crypto(49);
    let refusal = wire_code(CloseCode::Refused(RefusalCode::NotPermitted));
    match error {
        ConnectionError::ConnectionClosed(close) => close.error_code == alert,
        ConnectionError::ApplicationClosed(close) => {
            close.error_code == refusal && close.reason.is_empty()
        }
        _ => false,
    }
}

/// Makes the sender's end of a link from a connection that it has dialled. Within a tokio runtime. `compression` is for what
/// this side sends, if the peer can read it.
///
/// # Errors
/// The streams could not be opened.
pub async fn sender_link(
    connection: Connection,
    capacities: Capacities,
    compression: Compression,
) -> Result<SenderLink, LinkError> {
    let opened = timeout(HANDSHAKE_TIMEOUT, async {
        let control = connection.open_bi().await?;
        let listing = connection.open_uni().await?;
        let mut content = Vec::with_capacity(CONTENT_STREAMS);
        for _ in 0..CONTENT_STREAMS {
            content.push(connection.open_uni().await?);
        }
        Ok::<_, ConnectionError>((control, listing, content))
    });
    let ((control_out, control_in), listing, content) =
        opened.await.map_err(|_| LinkError::TimedOut)??;

    let (control_tx, control_queue) = bounded(capacities.control);
    let (listing_tx, listing_queue) = bounded(capacities.listing);
    let (content_tx, content_queue) = bounded(capacities.content);
    let (control_arrived, control_rx) = bounded(capacities.control);
    let (verdict_arrived, verdict_rx) = bounded(capacities.verdict);

    let ending = Arc::<Ending>::default();
    let mut tasks = Tasks::new(connection.clone(), control_queue, Arc::clone(&ending));
    tasks.write_control(control_out);
    tasks.write(listing, Lane::Listing, &listing_queue, compression);
    tasks.write_content(content, &content_queue, compression);
    tasks.read_control(control_in, control_arrived);
    tasks.read(vec![Seat::new(Lane::Verdict, 1, 1, verdict_arrived)]);
    let (end, wire) = Supervisor::start(connection, tasks, ending);
    Ok(SenderLink { control_tx, listing_tx, content_tx, control_rx, verdict_rx, end, wire })
}

/// Makes the agent's end of a link from a connection that it has accepted. Within a tokio runtime.
///
/// # Errors
/// The peer does not open its control stream. The connection is closed then.
pub async fn agent_link(
    connection: Connection,
    capacities: Capacities,
) -> Result<AgentLink, LinkError> {
    let opened = timeout(HANDSHAKE_TIMEOUT, async {
        let (out, mut incoming) = connection.accept_bi().await?;
        let kind = read::kind_of(&mut incoming).await.ok().flatten();
        let verdict = connection.open_uni().await?;
        Ok::<_, ConnectionError>((kind, out, incoming, verdict))
    });
    let opened = match opened.await {
        Err(_) => Err(LinkError::TimedOut),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok((Some(StreamKind::Lane(Lane::Control)), out, incoming, verdict))) => {
            Ok((out, incoming, verdict))
        }
        Ok(Ok(_)) => Err(LinkError::NotControl),
    };
    let (control_out, control_in, verdict) = match opened {
        Ok(streams) => streams,
        Err(error) => {
            let close = Close::protocol(error.to_string());
            connection.close(wire_code(close.code), close.reason.as_bytes());
            return Err(error);
        }
    };

    let (control_tx, control_queue) = bounded(capacities.control);
    let (verdict_tx, verdict_queue) = bounded(capacities.verdict);
    let (control_arrived, control_rx) = bounded(capacities.control);
    let (listing_arrived, listing_rx) = bounded(capacities.listing);
    let (content_arrived, content_rx) = bounded(capacities.content);

    let ending = Arc::<Ending>::default();
    let mut tasks = Tasks::new(connection.clone(), control_queue, Arc::clone(&ending));
    tasks.answer_control(control_out);
    tasks.write(verdict, Lane::Verdict, &verdict_queue, Compression::Auto);
    tasks.read_control(control_in, control_arrived);
    tasks.read(vec![
        Seat::new(Lane::Listing, 1, 1, listing_arrived),
        Seat::new(Lane::Content, CONTENT_STREAMS, ZSTD_CONTENT_STREAMS_MAX, content_arrived),
    ]);
    let (end, wire) = Supervisor::start(connection, tasks, ending);
    Ok(AgentLink { control_tx, verdict_tx, control_rx, listing_rx, content_rx, end, wire })
}

/// The code of a QUIC connection's end.
pub(super) fn wire_code(code: CloseCode) -> VarInt {
    VarInt::from_u64(code.to_wire()).unwrap_or(VarInt::MAX)
}
