//! From a stream into a channel: [`pump`].

use std::time::Duration;

use async_channel::Sender;
use quinn::{ReadError, ReadExactError, RecvStream};
use tokio::time::{Instant, timeout_at};

use super::lane::StreamKind;
use crate::codec::{DecodeError, FrameDecoder, FrameError, decode};
use crate::message::{Lane, Message, lane_of};

/// Time in which a control frame must be complete once it has begun. Other lanes may be as slow as the link.
const CONTROL_FRAME_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes taken off a stream at once.
const READ_BYTES: usize = 64 << 10;

/// Why a reader stopped before the stream's end.
#[derive(Debug, thiserror::Error)]
pub(super) enum PumpError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("message {number:#06x} on the {lane:?} lane")]
    WrongLane { number: u16, lane: Lane },
    #[error("the {0:?} lane ends inside a frame")]
    Cut(Lane),
    #[error("a control frame was not complete after {} s", CONTROL_FRAME_TIMEOUT.as_secs())]
    Slow,
    /// The connection is gone, or the peer gave the stream up: nobody's fault here.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl PumpError {
    /// What the peer did wrong, if it did.
    pub(super) fn breach(&self) -> Option<String> {
        match self {
            Self::Read(_) => None,
            Self::Decode(error) => Some(with_source(error)),
            Self::Frame(_) | Self::WrongLane { .. } | Self::Cut(_) | Self::Slow => {
                Some(self.to_string())
            }
        }
    }
}

fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Reads the byte that says what a stream carries; `None` if it ends before or says nothing that is known.
pub(super) async fn kind_of(stream: &mut RecvStream) -> Result<Option<StreamKind>, ReadError> {
    let mut byte = [0];
    match stream.read_exact(&mut byte).await {
        Ok(()) => Ok(StreamKind::from_wire(byte[0])),
        Err(ReadExactError::FinishedEarly(_)) => Ok(None),
        Err(ReadExactError::ReadError(error)) => Err(error),
    }
}

/// Passes messages on until the stream ends, or nobody takes them any more.
pub(super) async fn pump(
    stream: &mut RecvStream,
    lane: Lane,
    messages: &Sender<Message>,
) -> Result<(), PumpError> {
    let mut decoder = FrameDecoder::new();
    let mut begun: Option<Instant> = None;
    loop {
        let read = stream.read_chunk(READ_BYTES, true);
        let chunk = match begun.filter(|_| lane == Lane::Control) {
            Some(begun) => timeout_at(begun + CONTROL_FRAME_TIMEOUT, read)
                .await
                .map_err(|_| PumpError::Slow)??,
            None => read.await?,
        };
        let Some(chunk) = chunk else {
            return if decoder.is_inside_frame() { Err(PumpError::Cut(lane)) } else { Ok(()) };
        };
        decoder.push(&chunk.bytes);
        while let Some(frame) = decoder.next_frame()? {
            let number = frame.number;
            if lane_of(number) != Some(lane) {
                return Err(PumpError::WrongLane { number, lane });
            }
            if messages.send(decode(frame)?).await.is_err() {
                return Ok(());
            }
            begun = None;
        }
        begun =
            if decoder.is_inside_frame() { begun.or_else(|| Some(Instant::now())) } else { None };
    }
}
