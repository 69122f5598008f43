//! What there is to send: [`Source`].

use std::collections::VecDeque;
use std::time::Duration;

use super::packet::CONTENT_BYTES;

/// Where content comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Supply {
    /// As much as fits.
    Endless,
    /// So many bytes.
    Bytes(u64),
    /// So many bytes a second: the link is faster than the disk.
    Trickle(f64),
}

/// Pieces of content, lost ones first.
#[derive(Debug)]
pub(crate) struct Source {
    supply: Supply,
    /// Since when it comes from there, and how many pieces had come before.
    since: Duration,
    before: u64,
    next: u64,
    lost: VecDeque<u64>,
}

impl Source {
    pub(crate) fn new(supply: Supply, since: Duration) -> Self {
        Self { supply, since, before: 0, next: 0, lost: VecDeque::new() }
    }

    /// From now on content comes from elsewhere.
    pub(crate) fn set_supply(&mut self, supply: Supply, now: Duration) {
        *self = Self {
            supply,
            since: now,
            before: self.next,
            next: self.next,
            lost: self.lost.split_off(0),
        };
    }

    pub(crate) fn has_more(&self, now: Duration) -> bool {
        now >= self.since && (!self.lost.is_empty() || self.next < self.made(now))
    }

    /// When there is more, if there is nothing now.
    pub(crate) fn next_at(&self, now: Duration) -> Option<Duration> {
        if now < self.since {
            return Some(self.since);
        }
        match self.supply {
            Supply::Trickle(rate) if self.next >= self.made(now) => {
                let seconds = ((self.next - self.before + 1) * CONTENT_BYTES) as f64 / rate;
                Some(self.since + Duration::from_secs_f64(seconds) + Duration::from_nanos(1))
            }
            Supply::Trickle(_) | Supply::Endless | Supply::Bytes(_) => None,
        }
    }

    pub(crate) fn take(&mut self) -> u64 {
        if let Some(piece) = self.lost.pop_front() {
            return piece;
        }
        self.next += 1;
        self.next - 1
    }

    pub(crate) fn give_back(&mut self, piece: u64) {
        self.lost.push_back(piece);
    }

    /// Pieces of all the content, if it has an end.
    pub(crate) fn total(&self) -> Option<u64> {
        match self.supply {
            Supply::Bytes(bytes) => Some(bytes.div_ceil(CONTENT_BYTES)),
            Supply::Endless | Supply::Trickle(_) => None,
        }
    }

    fn made(&self, now: Duration) -> u64 {
        match self.supply {
            Supply::Endless => u64::MAX,
            Supply::Bytes(bytes) => bytes.div_ceil(CONTENT_BYTES),
            Supply::Trickle(rate) => {
                let seconds = now.saturating_sub(self.since).as_secs_f64();
                self.before + (seconds * rate) as u64 / CONTENT_BYTES
            }
        }
    }
}
