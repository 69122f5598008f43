//! Flows over one bottleneck: [`World`].

use std::time::Duration;

use quicopy_tests::lab::link::Link;
use quicopy_tests::lab::spec::LinkSpec;

use super::control::Control;
use super::packet::{Ack, DATAGRAM_BYTES, Data, HEADER_BYTES};
use super::receiver::Receiver;
use super::sender::{Sender, Stack};
use super::source::{Source, Supply};

/// How often the queue is looked at.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(10);
const INTERVALS_PER_SECOND: usize = 10;

/// A change of the link.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) at: Duration,
    pub(crate) forward: LinkSpec,
    pub(crate) back: LinkSpec,
}

/// What one flow did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    /// Bytes of content that arrived in each tenth of a second.
    pub(crate) tenths: Vec<u64>,
    /// Drops at the full queue.
    pub(crate) overflowed: u64,
    pub(crate) sent: u64,
    /// When the last piece came, for content that has an end.
    pub(crate) finished: Option<Duration>,
}

impl Record {
    /// Mean rate of content between two times in bits a second.
    pub(crate) fn rate_bps(&self, from: f64, to: f64) -> f64 {
        let tenth = |seconds: f64| (seconds * INTERVALS_PER_SECOND as f64).round() as usize;
        let (from, to) = (tenth(from), tenth(to).min(self.tenths.len()));
        let bytes: u64 = self.tenths[from.min(to)..to].iter().sum();
        bytes as f64 * 8.0 * INTERVALS_PER_SECOND as f64 / (to.max(from + 1) - from) as f64
    }

    /// Share of its packets that the queue dropped.
    pub(crate) fn own_drops(&self) -> f64 {
        self.overflowed as f64 / self.sent.max(1) as f64
    }
}

/// One bottleneck and its flows.
pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) records: Vec<Record>,
    /// What a ping would have taken, every 10 ms.
    pub(crate) pings: Vec<Duration>,
    pub(crate) senders: Vec<Sender>,
    receivers: Vec<Receiver>,
    counted: Vec<u64>,
    forward: Link<Data>,
    back: Link<Ack>,
    changes: Vec<Change>,
    handshakes: Vec<Option<Duration>>,
    next_sample: Duration,
}

impl World {
    pub(crate) fn new(forward: LinkSpec, back: LinkSpec, seed: u64) -> Self {
        Self {
            now: Duration::ZERO,
            records: Vec::new(),
            pings: Vec::new(),
            senders: Vec::new(),
            receivers: Vec::new(),
            counted: Vec::new(),
            forward: Link::new(forward, seed),
            back: Link::new(back, seed ^ 0x9e37_79b9_7f4a_7c15),
            changes: Vec::new(),
            handshakes: Vec::new(),
            next_sample: SAMPLE_INTERVAL,
        }
    }

    /// Adds a flow whose handshake begins at `start` and takes one round trip.
    pub(crate) fn add(
        &mut self,
        stack: Stack,
        control: Box<dyn Control>,
        supply: Supply,
        start: Duration,
    ) -> usize {
        let flow = self.senders.len();
        let ready = start + self.forward.spec().delay + self.back.spec().delay;
        self.senders.push(Sender::new(flow, stack, control, Source::new(supply, ready)));
        let (threshold, delay) = match stack {
            Stack::Quinn => (10, Duration::from_millis(25)),
            Stack::Tcp => (1, Duration::from_millis(40)),
        };
        self.receivers.push(Receiver::new(flow, threshold, delay));
        self.records.push(Record::default());
        self.counted.push(0);
        self.handshakes.push(Some(ready));
        flow
    }

    pub(crate) fn change_at(&mut self, seconds: f64, forward: LinkSpec, back: LinkSpec) {
        self.changes.push(Change { at: Duration::from_secs_f64(seconds), forward, back });
        self.changes.sort_by_key(|change| change.at);
    }

    /// Lets time pass until `seconds` after the start, or until everything is delivered.
    pub(crate) fn run(&mut self, seconds: f64) {
        let end = Duration::from_secs_f64(seconds);
        while let Some(next) = self.next_event().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.step();
            if self.is_finished() {
                return;
            }
        }
        self.now = end;
    }

    fn is_finished(&self) -> bool {
        self.records.iter().all(|record| record.finished.is_some())
    }

    fn next_event(&self) -> Option<Duration> {
        let timers = self.senders.iter().filter_map(|sender| sender.next_timer(self.now));
        let delays = self.receivers.iter().filter_map(Receiver::next_timer);
        let starts = self.handshakes.iter().flatten().copied();
        let others = [
            self.forward.next_event(),
            self.back.next_event(),
            self.changes.first().map(|change| change.at),
            Some(self.next_sample),
        ];
        others.into_iter().flatten().chain(timers).chain(delays).chain(starts).min()
    }

    fn step(&mut self) {
        let now = self.now;
        if self.changes.first().is_some_and(|change| change.at <= now) {
            let change = self.changes.remove(0);
            self.forward.change(now, change.forward);
            self.back.change(now, change.back);
        }
        if self.next_sample <= now {
            self.sample();
        }
        for flow in 0..self.senders.len() {
            if self.handshakes[flow].is_some_and(|at| at <= now) {
                self.handshakes[flow] = None;
                let round_trip = self.ping();
                self.senders[flow].handle_handshake(now, round_trip);
            }
        }
        while let Some(data) = self.forward.receive(now) {
            let receiver = &mut self.receivers[data.flow];
            let ack = receiver.handle(now, data.number, data.piece);
            let total = self.senders[data.flow].source.total();
            if total == Some(receiver.pieces_count()) {
                self.records[data.flow].finished.get_or_insert(now);
            }
            self.acknowledge(ack);
        }
        for flow in 0..self.receivers.len() {
            let ack = self.receivers[flow].handle_timer(now);
            self.acknowledge(ack);
        }
        while let Some(ack) = self.back.receive(now) {
            self.senders[ack.flow].handle_ack(now, &ack);
        }
        for sender in &mut self.senders {
            sender.handle_timer(now);
            let (forward, records) = (&mut self.forward, &mut self.records);
            sender.transmit(now, |data| {
                let dropped = forward.counters().overflowed;
                forward.send(now, DATAGRAM_BYTES as usize + HEADER_BYTES, data);
                records[data.flow].sent += 1;
                records[data.flow].overflowed += forward.counters().overflowed - dropped;
            });
        }
    }

    fn acknowledge(&mut self, ack: Option<Ack>) {
        if let Some(ack) = ack {
            self.back.send(self.now, ack.bytes(), ack);
        }
    }

    /// What the round trip of a small packet would be now.
    pub(crate) fn ping(&self) -> Duration {
        let (forward, back) = (self.forward.spec(), self.back.spec());
        let queued_bits = self.forward.queued_bytes() as f64 * 8.0;
        let queue = forward.rate_bps.map_or(0.0, |rate| queued_bits / rate as f64);
        forward.delay + back.delay + Duration::from_secs_f64(queue)
    }

    fn sample(&mut self) {
        self.pings.push(self.ping());
        self.next_sample += SAMPLE_INTERVAL;
        let per_tenth = 1000 / 10 / SAMPLE_INTERVAL.as_millis() as usize;
        if !self.pings.len().is_multiple_of(per_tenth) {
            return;
        }
        for (flow, receiver) in self.receivers.iter().enumerate() {
            let bytes = receiver.content_bytes();
            self.records[flow].tenths.push(bytes - self.counted[flow]);
            self.counted[flow] = bytes;
        }
    }

    /// The median of what a ping took between two times.
    pub(crate) fn median_ping(&self, from: f64, to: f64) -> Duration {
        let index = |seconds: f64| (seconds * 1e3) as usize / SAMPLE_INTERVAL.as_millis() as usize;
        let (from, to) = (index(from), index(to).min(self.pings.len()));
        let mut pings = self.pings[from.min(to)..to].to_vec();
        pings.sort();
        pings.get(pings.len() / 2).copied().unwrap_or_default()
    }
}
