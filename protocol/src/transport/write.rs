//! From a channel onto a stream: [`pump`] message by message, [`pump_batches`] by batches that may be compressed.

use std::sync::Arc;

use async_channel::Receiver;
use bytes::Bytes;
use quinn::{SendStream, WriteError};
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::task::{JoinError, spawn_blocking, yield_now};
use tokio::time::Instant;

use super::compress::Agreement;
use super::compress::context::{CompressError, Compressor};
use super::lane::StreamKind;
use super::sort::{Batch, Meter};
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
    Compress(#[from] CompressError),
    #[error("the compressor failed inside")]
    Panicked(#[from] JoinError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Writes the stream's first byte if it has one, then messages until the channel is closed and empty, then waits until the peer has all.
/// For the control lane: `agreement` learns what this side offers, and that it opens the job.
pub(super) async fn pump(
    stream: &mut SendStream,
    kind: Option<StreamKind>,
    messages: &Receiver<Message>,
    agreement: &Agreement,
) -> Result<(), PumpError> {
    let mut out = Out::begin(stream, kind).await?;
    while let Ok(message) = messages.recv().await {
        match &message {
            Message::Hello(hello) => agreement.offered(hello.features),
            Message::JobOpened(_) => agreement.opened(),
            _ => {}
        }
        let encoded = encode(&message)?;
        out.put(encoded.head).await?;
        out.put(encoded.data).await?;
    }
    out.finish().await;
    Ok(())
}

/// As [`pump`], for batches.
pub(super) async fn pump_batches(
    stream: &mut SendStream,
    kind: StreamKind,
    mut intake: Intake,
) -> Result<(), PumpError> {
    let mut out = Out::begin(stream, Some(kind)).await?;
    let mut compressor = None;
    while let Some(batch) = intake.next().await {
        match batch.level {
            None => {
                intake.meter.wrote(batch.bytes);
                for frame in batch.frames {
                    out.put(frame.head).await?;
                    out.put(frame.data).await?;
                }
            }
            Some(level) => {
                let frame = intake.compress(batch, level, &mut compressor).await?;
                out.put(frame).await?;
            }
        }
    }
    out.finish().await;
    Ok(())
}

/// A stream that is written in turns.
struct Out<'a> {
    stream: &'a mut SendStream,
    turn_bytes: usize,
}

impl<'a> Out<'a> {
    async fn begin(
        stream: &'a mut SendStream,
        kind: Option<StreamKind>,
    ) -> Result<Self, WriteError> {
        if let Some(kind) = kind {
            stream.write_all(&[kind.to_wire()]).await?;
        }
        Ok(Self { stream, turn_bytes: 0 })
    }

    async fn put(&mut self, mut bytes: Bytes) -> Result<(), WriteError> {
        while !bytes.is_empty() {
            let piece: Bytes = bytes.split_to(bytes.len().min(TURN_BYTES));
            self.turn_bytes += piece.len();
            self.stream.write_chunk(piece).await?;
            if self.turn_bytes >= TURN_BYTES {
                self.turn_bytes = 0;
                yield_now().await;
            }
        }
        Ok(())
    }

    async fn finish(self) {
        // Both fail only when the peer does not want the stream any more.
        let _ = self.stream.finish();
        let _ = self.stream.stopped().await;
    }
}

/// Where a stream takes its batches from: those meant for it first.
pub(super) struct Intake {
    own: Option<mpsc::Receiver<Batch>>,
    shared: Option<Arc<Mutex<mpsc::Receiver<Batch>>>>,
    freed: Arc<Notify>,
    meter: Arc<Meter>,
}

impl Intake {
    pub(super) fn new(
        own: Option<mpsc::Receiver<Batch>>,
        shared: Option<Arc<Mutex<mpsc::Receiver<Batch>>>>,
        freed: Arc<Notify>,
        meter: Arc<Meter>,
    ) -> Self {
        Self { own, shared, freed, meter }
    }

    async fn next(&mut self) -> Option<Batch> {
        loop {
            tokio::select! {
                biased;
                batch = from_own(&mut self.own), if self.own.is_some() => match batch {
                    Some(batch) => {
                        self.freed.notify_one();
                        return Some(batch);
                    }
                    None => self.own = None,
                },
                batch = from_shared(&self.shared), if self.shared.is_some() => match batch {
                    Some(batch) => return Some(batch),
                    None => self.shared = None,
                },
                else => return None,
            }
        }
    }

    /// Makes one frame of a batch, on a thread where it keeps nobody waiting.
    async fn compress(
        &self,
        batch: Batch,
        level: i32,
        compressor: &mut Option<Compressor>,
    ) -> Result<Bytes, PumpError> {
        let mut own = compressor.take().unwrap_or_else(Compressor::new);
        let dense_bytes = batch.bytes;
        self.meter.compresses();
        let work = spawn_blocking(move || {
            let begin = Instant::now();
            let frame = own.frame(&batch.frames, level);
            (frame, begin.elapsed(), own)
        });
        let (frame, took, own) = work.await?;
        *compressor = Some(own);
        let frame = frame?;
        self.meter.compressed(took, level, dense_bytes, frame.len());
        self.meter.wrote(frame.len());
        Ok(frame)
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        // Whoever waits for a place here waits no longer.
        self.own = None;
        self.freed.notify_one();
    }
}

async fn from_own(own: &mut Option<mpsc::Receiver<Batch>>) -> Option<Batch> {
    own.as_mut()?.recv().await
}

async fn from_shared(shared: &Option<Arc<Mutex<mpsc::Receiver<Batch>>>>) -> Option<Batch> {
    shared.as_ref()?.lock().await.recv().await
}
