//! What a regulator learns from.

use std::time::Duration;

/// Share of the time from which on compressors are what the others wait for.
const BUSY: f64 = 0.65;

/// What happened on a lane in some time.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::transport) struct Interval {
    pub(in crate::transport) elapsed: Duration,
    /// Time in which there was nothing to send.
    pub(in crate::transport) starved: Duration,
    /// Time in which the link would have taken more than there was to leave.
    pub(in crate::transport) hungry: Duration,
    /// Time that compressing took, over all streams, and what it would take by the ladder ([`nominal`](super::nominal)).
    pub(in crate::transport) compressing: Duration,
    pub(in crate::transport) nominal: Duration,
    /// Streams that were compressing at the end.
    pub(in crate::transport) busy_streams: usize,
    /// Bytes taken from those who send.
    pub(in crate::transport) taken: u64,
    /// Bytes that went into compressors.
    pub(in crate::transport) dense: u64,
    /// Bytes that came out of them.
    pub(in crate::transport) squeezed: u64,
    /// Bytes written to streams, compressed or not.
    pub(in crate::transport) written: u64,
    /// Bytes that left, and those of them that were lost.
    pub(in crate::transport) sent: u64,
    pub(in crate::transport) lost: u64,
    /// Bytes a second that the congestion controller would let leave.
    pub(in crate::transport) allowed_rate: f64,
}

impl Interval {
    /// Adds the one that follows.
    pub(super) fn extend(&mut self, next: &Self) {
        *self = Self {
            elapsed: self.elapsed + next.elapsed,
            starved: self.starved + next.starved,
            hungry: self.hungry + next.hungry,
            compressing: self.compressing + next.compressing,
            nominal: self.nominal + next.nominal,
            busy_streams: next.busy_streams,
            taken: self.taken + next.taken,
            dense: self.dense + next.dense,
            squeezed: self.squeezed + next.squeezed,
            written: self.written + next.written,
            sent: self.sent + next.sent,
            lost: self.lost + next.lost,
            allowed_rate: next.allowed_rate,
        };
    }

    pub(super) fn rate(&self, bytes: u64) -> f64 {
        bytes as f64 / self.elapsed.as_secs_f64()
    }

    /// Whether the link was hungry for this share of the time or more.
    pub(super) fn is_hungry(&self, share: f64) -> bool {
        self.hungry >= self.elapsed.mul_f64(share)
    }

    /// Whether so many compressors were at work most of the time.
    pub(super) fn is_busy(&self, streams: usize) -> bool {
        if self.compressing.is_zero() {
            // None has come to an end.
            self.busy_streams >= streams
        } else {
            self.compressing >= self.elapsed.mul_f64(BUSY * streams as f64)
        }
    }
}
