//! What leaves on one stream in a row ([`Batch`]), and where it goes ([`Outlets`]).

use std::sync::Arc;

use tokio::sync::mpsc::Permit;
use tokio::sync::{Notify, mpsc};

use super::Meter;
use crate::codec::Encoded;

/// Where a batch is full. Twice that compresses better by a hundredth, and costs twice the memory.
const BATCH_BYTES_AIM: usize = 512 << 10;
/// What is smaller when it must leave would not shrink.
const DENSE_BYTES_MIN: usize = 256;

/// Whole frames that leave on one stream, in a row.
#[derive(Debug, Default)]
pub(in super::super) struct Batch {
    pub(in super::super) frames: Vec<Encoded>,
    pub(in super::super) bytes: usize,
    /// The level to compress them at; `None` for as they are.
    pub(in super::super) level: Option<i32>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn has_room_for(&self, frame: &Encoded) -> bool {
        self.is_empty() || self.bytes + frame.len() <= BATCH_BYTES_AIM
    }

    pub(super) fn push(&mut self, frame: Encoded) {
        self.bytes += frame.len();
        self.frames.push(frame);
    }

    /// Takes what was gathered, to be compressed at `level`.
    pub(super) fn seal(&mut self, level: Option<i32>) -> Self {
        let level = level.filter(|_| self.bytes >= DENSE_BYTES_MIN);
        Self { level, ..std::mem::take(self) }
    }
}

/// Where batches go.
pub(in super::super) struct Outlets {
    /// One a stream that compresses; all of one lane's batches if it is the only one and keeps the order.
    pub(in super::super) dense: Vec<mpsc::Sender<Batch>>,
    /// Taken from by every stream; none where the order is kept.
    pub(in super::super) raw: Option<mpsc::Sender<Batch>>,
    /// Told when a stream takes a dense batch.
    pub(in super::super) freed: Arc<Notify>,
    pub(in super::super) meter: Arc<Meter>,
}

impl Outlets {
    /// A place in the first of `streams` that has one; `None` when nobody takes anything any more.
    pub(super) async fn dense_place(&self, streams: usize) -> Option<Permit<'_, Batch>> {
        loop {
            let mut is_open = false;
            for stream in self.dense.iter().take(streams) {
                match stream.try_reserve() {
                    Ok(place) => return Some(place),
                    Err(mpsc::error::TrySendError::Full(())) => is_open = true,
                    Err(mpsc::error::TrySendError::Closed(())) => {}
                }
            }
            if !is_open {
                return None;
            }
            self.freed.notified().await;
        }
    }

    pub(super) async fn raw_place(&self) -> Option<Permit<'_, Batch>> {
        match &self.raw {
            Some(raw) => raw.reserve().await.ok(),
            None => self.dense_place(1).await,
        }
    }
}
