//! The far end: [`Receiver`].

use std::rc::Rc;
use std::time::Duration;

use super::packet::{Ack, CONTENT_BYTES};

/// Ranges in one acknowledgement. Source: quinn-proto 0.11, `MAX_ACK_BLOCKS`.
const RANGES_MAX: usize = 64;

/// Counts what comes in and acknowledges it.
#[derive(Debug)]
pub(crate) struct Receiver {
    flow: usize,
    /// Packets after which it acknowledges at once.
    threshold: u32,
    delay_max: Duration,
    /// Latest range last.
    ranges: Vec<(u64, u64)>,
    largest_at: Duration,
    unacknowledged: u32,
    earliest_unacknowledged: Option<Duration>,
    pieces: Vec<u64>,
    pieces_count: u64,
}

impl Receiver {
    pub(crate) fn new(flow: usize, threshold: u32, delay_max: Duration) -> Self {
        Self {
            flow,
            threshold,
            delay_max,
            ranges: Vec::new(),
            largest_at: Duration::ZERO,
            unacknowledged: 0,
            earliest_unacknowledged: None,
            pieces: Vec::new(),
            pieces_count: 0,
        }
    }

    /// Bytes of content that came in, each counted once.
    pub(crate) fn content_bytes(&self) -> u64 {
        self.pieces_count * CONTENT_BYTES
    }

    pub(crate) fn pieces_count(&self) -> u64 {
        self.pieces_count
    }

    pub(crate) fn handle(&mut self, now: Duration, number: u64, piece: Option<u64>) -> Option<Ack> {
        if self.ranges.last().is_none_or(|(_, last)| number > *last) {
            self.largest_at = now;
        }
        self.insert(number);
        if let Some(piece) = piece {
            self.count(piece);
        }
        self.unacknowledged += 1;
        self.earliest_unacknowledged.get_or_insert(now);
        (self.unacknowledged > self.threshold).then(|| self.acknowledge(now))
    }

    pub(crate) fn next_timer(&self) -> Option<Duration> {
        self.earliest_unacknowledged.map(|at| at + self.delay_max)
    }

    pub(crate) fn handle_timer(&mut self, now: Duration) -> Option<Ack> {
        self.next_timer().is_some_and(|at| at <= now).then(|| self.acknowledge(now))
    }

    fn acknowledge(&mut self, now: Duration) -> Ack {
        self.unacknowledged = 0;
        self.earliest_unacknowledged = None;
        let ranges: Rc<[(u64, u64)]> = self.ranges.iter().rev().copied().collect();
        Ack { flow: self.flow, ranges, delay: now - self.largest_at }
    }

    fn insert(&mut self, number: u64) {
        let at = self.ranges.partition_point(|(_, last)| *last < number);
        if self.ranges.get(at).is_some_and(|(first, _)| *first <= number) {
            return;
        }
        let joins_left = at > 0 && self.ranges[at - 1].1 + 1 == number;
        let joins_right = self.ranges.get(at).is_some_and(|(first, _)| number + 1 == *first);
        match (joins_left, joins_right) {
            (true, true) => {
                self.ranges[at - 1].1 = self.ranges[at].1;
                self.ranges.remove(at);
            }
            (true, false) => self.ranges[at - 1].1 = number,
            (false, true) => self.ranges[at].0 = number,
            (false, false) => self.ranges.insert(at, (number, number)),
        }
        if self.ranges.len() > RANGES_MAX {
            self.ranges.remove(0);
        }
    }

    fn count(&mut self, piece: u64) {
        let (word, bit) = ((piece / 64) as usize, 1 << (piece % 64));
        if self.pieces.len() <= word {
            self.pieces.resize(word + 1, 0);
        }
        if self.pieces[word] & bit == 0 {
            self.pieces[word] |= bit;
            self.pieces_count += 1;
        }
    }
}
