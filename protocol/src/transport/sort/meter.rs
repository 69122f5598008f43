//! What the streams of a lane did.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::super::compress::effort::nominal;

/// What the streams of a lane did, counted by those who write them.
#[derive(Debug, Default)]
pub(in super::super) struct Meter {
    compressing_nanos: AtomicU64,
    nominal_nanos: AtomicU64,
    busy_streams: AtomicUsize,
    dense: AtomicU64,
    squeezed: AtomicU64,
    written: AtomicU64,
}

impl Meter {
    /// A stream takes bytes to be written.
    pub(in super::super) fn wrote(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A stream begins to compress a batch.
    pub(in super::super) fn compresses(&self) {
        self.busy_streams.fetch_add(1, Ordering::Relaxed);
    }

    /// It has.
    pub(in super::super) fn compressed(
        &self,
        took: Duration,
        level: i32,
        dense_bytes: usize,
        squeezed_bytes: usize,
    ) {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.busy_streams.fetch_sub(1, Ordering::Relaxed);
        self.compressing_nanos.fetch_add(nanos(took), Ordering::Relaxed);
        self.nominal_nanos.fetch_add(nanos(nominal(level, dense_bytes)), Ordering::Relaxed);
        self.dense.fetch_add(dense_bytes as u64, Ordering::Relaxed);
        self.squeezed.fetch_add(squeezed_bytes as u64, Ordering::Relaxed);
    }

    /// Bytes that streams have taken so far.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Streams that are compressing now.
    pub(super) fn busy_streams(&self) -> usize {
        self.busy_streams.load(Ordering::Relaxed)
    }

    pub(super) fn read(&self) -> Counts {
        let time = |nanos: &AtomicU64| Duration::from_nanos(nanos.load(Ordering::Relaxed));
        Counts {
            compressing: time(&self.compressing_nanos),
            nominal: time(&self.nominal_nanos),
            dense: self.dense.load(Ordering::Relaxed),
            squeezed: self.squeezed.load(Ordering::Relaxed),
            written: self.written(),
        }
    }
}

/// What a meter showed at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) compressing: Duration,
    pub(super) nominal: Duration,
    pub(super) dense: u64,
    pub(super) squeezed: u64,
    pub(super) written: u64,
}
