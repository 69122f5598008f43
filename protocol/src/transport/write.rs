//! From a channel onto a stream: [`pump`].

use async_channel::Receiver;
use bytes::Bytes;
use quinn::{SendStream, WriteError};
use tokio::task::yield_now;

use super::lane::StreamKind;
use crate::codec::{EncodeError, encode};
use crate::message::Message;

/// What a writer hands over before the others get their turn: a writer whose stream always has room would otherwise
/// fill the whole window by itself, and gather on one stream more gaps than QUIC's reassembly takes.
const TURN_BYTES: usize = 128 << 10;

/// Why a writer stopped.
#[derive(Debug, thiserror::Error)]
pub(super) enum PumpError {
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Writes the stream's first byte if it has one, then messages until the channel is closed and empty, then waits until the peer has all.
pub(super) async fn pump(
    stream: &mut SendStream,
    kind: Option<StreamKind>,
    messages: &Receiver<Message>,
) -> Result<(), PumpError> {
    if let Some(kind) = kind {
        stream.write_all(&[kind.to_wire()]).await?;
    }
    let mut turn_bytes = 0;
    while let Ok(message) = messages.recv().await {
        let encoded = encode(&message)?;
        for mut bytes in [encoded.head, encoded.data] {
            while !bytes.is_empty() {
                let piece: Bytes = bytes.split_to(bytes.len().min(TURN_BYTES));
                turn_bytes += piece.len();
                stream.write_chunk(piece).await?;
                if turn_bytes >= TURN_BYTES {
                    turn_bytes = 0;
                    yield_now().await;
                }
            }
        }
    }
    // Both fail only when the peer does not want the stream any more.
    let _ = stream.finish();
    let _ = stream.stopped().await;
    Ok(())
}
