//! From a stream into a channel: [`Reader`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_channel::Sender;
use bytes::Bytes;
use quinn::{ReadError, ReadExactError, RecvStream};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, timeout_at};

use super::compress::Agreement;
use super::compress::context::{ExpandError, Expander};
use super::lane::StreamKind;
use crate::codec::{DecodeError, Frame, FrameDecoder, FrameError, decode};
use crate::link::Close;
use crate::link_end::Ending;
use crate::message::{Lane, Message, ZSTD, lane_of};

/// Time in which a control frame must be complete once it has begun. Other lanes may be as slow as the link.
const CONTROL_FRAME_TIMEOUT: Duration = Duration::from_secs(30);
/// Parts of a stream, a packet's content each, that are taken off it at once. Every time costs a turn at the connection's lock.
const PARTS: usize = 16;

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
    #[error(transparent)]
    Expand(#[from] ExpandError),
    #[error("a compressed frame on the {0:?} lane ends inside a frame")]
    CutInside(Lane),
    #[error("more streams of the {0:?} lane are compressed than may be")]
    TooManyCompressed(Lane),
    #[error("the decompressor failed inside")]
    Panicked(#[from] JoinError),
    /// The connection is gone, or the peer gave the stream up: nobody's fault here.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl PumpError {
    /// Why the link cannot go on; `None` if it has ended already.
    fn breach(&self) -> Option<String> {
        match self {
            Self::Read(_) => None,
            Self::Decode(error) => Some(with_source(error)),
            Self::Frame(_)
            | Self::WrongLane { .. }
            | Self::Cut(_)
            | Self::Slow
            | Self::Expand(_)
            | Self::CutInside(_)
            | Self::TooManyCompressed(_)
            | Self::Panicked(_) => Some(self.to_string()),
        }
    }

    /// Ends the link for what the peer did, if it did wrong.
    pub(super) fn report(&self, ending: &Ending) {
        if let Some(breach) = self.breach() {
            ending.asked.set(Close::protocol(breach));
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

/// Reads one stream of a lane.
pub(super) struct Reader {
    pub(super) lane: Lane,
    pub(super) messages: Sender<Message>,
    pub(super) agreement: Arc<Agreement>,
    /// Streams of this lane that may still begin to be compressed.
    pub(super) compressible: Arc<AtomicUsize>,
}

/// Whether a reader goes on.
enum Delivered {
    All,
    /// Nobody takes messages any more.
    Nobody,
}

impl Reader {
    /// Passes messages on until the stream ends, or nobody takes them any more.
    pub(super) async fn pump(&self, stream: &mut RecvStream) -> Result<(), PumpError> {
        let mut decoder = match self.lane {
            Lane::Control => FrameDecoder::new(),
            Lane::Listing | Lane::Content | Lane::Verdict => FrameDecoder::taking_zstd(),
        };
        let mut expander = None;
        let mut begun: Option<Instant> = None;
        let mut parts: [Bytes; PARTS] = Default::default();
        loop {
            let read = stream.read_chunks(&mut parts);
            let count = match begun.filter(|_| self.lane == Lane::Control) {
                Some(begun) => timeout_at(begun + CONTROL_FRAME_TIMEOUT, read)
                    .await
                    .map_err(|_| PumpError::Slow)??,
                None => read.await?,
            };
            let Some(count) = count else {
                let is_cut = decoder.is_inside_frame();
                return if is_cut { Err(PumpError::Cut(self.lane)) } else { Ok(()) };
            };
            for part in &mut parts[..count] {
                decoder.push(&std::mem::take(part));
            }
            while let Some(frame) = decoder.next_frame()? {
                let delivered = match frame.number {
                    ZSTD => self.deliver_compressed(frame.body, &mut expander).await?,
                    _ => self.deliver(frame).await?,
                };
                if let Delivered::Nobody = delivered {
                    return Ok(());
                }
                begun = None;
            }
            let is_inside = decoder.is_inside_frame();
            begun = if is_inside { begun.or_else(|| Some(Instant::now())) } else { None };
        }
    }

    async fn deliver(&self, frame: Frame) -> Result<Delivered, PumpError> {
        let number = frame.number;
        if lane_of(number) != Some(self.lane) {
            return Err(PumpError::WrongLane { number, lane: self.lane });
        }
        let message = decode(frame)?;
        if let Message::Hello(hello) = &message {
            self.agreement.heard(hello.features);
        }
        Ok(match self.messages.send(message).await {
            Ok(()) => Delivered::All,
            Err(_) => Delivered::Nobody,
        })
    }

    /// Opens a compressed frame, on a thread where it keeps nobody waiting, and delivers what is in it.
    async fn deliver_compressed(
        &self,
        body: Bytes,
        expander: &mut Option<Expander>,
    ) -> Result<Delivered, PumpError> {
        let mut own = match expander.take() {
            Some(own) => own,
            None => self.begin_compressed()?,
        };
        let work = spawn_blocking(move || {
            let mut inside = FrameDecoder::new();
            let expanded = own.expand(&body).map(|expanded| inside.push(&expanded));
            (expanded, inside, own)
        });
        let (expanded, mut inside, own) = work.await?;
        expanded?;
        *expander = Some(own);
        while let Some(frame) = inside.next_frame()? {
            if let Delivered::Nobody = self.deliver(frame).await? {
                return Ok(Delivered::Nobody);
            }
        }
        match inside.is_inside_frame() {
            true => Err(PumpError::CutInside(self.lane)),
            false => Ok(Delivered::All),
        }
    }

    fn begin_compressed(&self) -> Result<Expander, PumpError> {
        if !self.agreement.offers_zstd() {
            return Err(FrameError::UnknownNumber { number: ZSTD }.into());
        }
        let taken = self
            .compressible
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.map_err(|_| PumpError::TooManyCompressed(self.lane))?;
        Ok(Expander::new())
    }
}
