//! One direction of a link as a machine: [`Link`].
//!
//! Time is a [`Duration`] since a start that the caller chose, and must not go backwards.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fastrand::Rng;

use super::spec::{LinkSpec, Loss};

/// What a link did with its packets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Packets that were given to it.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Packets that came out, duplicates too.
    pub delivered: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Packets that found the queue full.
    pub overflowed: u64,
    /// Packets lost by chance.
    pub lost: u64,
    /// Packets that came while the link was down, or too large.
    pub cut: u64,
    /// Packets that came out a second time.
    pub duplicated: u64,
    /// Packets that came out before one sent earlier.
    pub reordered: u64,
    /// Most bytes that ever waited in the queue.
    pub queue_bytes_max: usize,
}

/// Carries packets of type `T` one way.
#[derive(Debug)]
pub struct Link<T> {
    spec: LinkSpec,
    rng: Rng,
    /// Waiting for the bottleneck, and when the first of them began to leave.
    queue: VecDeque<Packet<T>>,
    queued_bytes: usize,
    /// What of the first packet has left already, in bits, and until when that is counted.
    served_bits: f64,
    served_at: Duration,
    /// On their way, by the time of their arrival; the second number keeps those of one moment in order.
    flying: BTreeMap<(Duration, u64), Packet<T>>,
    next_number: u64,
    last_arrival: Duration,
    newest_out: u64,
    in_burst: bool,
    counters: Counters,
}

#[derive(Clone, Debug)]
struct Packet<T> {
    number: u64,
    bytes: usize,
    payload: T,
}

impl<T: Clone> Link<T> {
    /// An empty link. The same seed and calls give the same fates.
    pub fn new(spec: LinkSpec, seed: u64) -> Self {
        Self {
            spec,
            rng: Rng::with_seed(seed),
            queue: VecDeque::new(),
            queued_bytes: 0,
            served_bits: 0.0,
            served_at: Duration::ZERO,
            flying: BTreeMap::new(),
            next_number: 0,
            last_arrival: Duration::ZERO,
            newest_out: 0,
            in_burst: false,
            counters: Counters::default(),
        }
    }

    /// What it is like now.
    pub fn spec(&self) -> &LinkSpec {
        &self.spec
    }

    /// Changes what it is like. What waits in the queue leaves at the new rate; what is on its way arrives as it would have.
    pub fn change(&mut self, now: Duration, spec: LinkSpec) {
        self.advance(now);
        self.spec = spec;
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Bytes that wait for the bottleneck.
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Gives it a packet of so many bytes, IP header included.
    pub fn send(&mut self, now: Duration, bytes: usize, payload: T) {
        self.advance(now);
        let number = self.next_number;
        self.next_number += 1;
        self.counters.sent += 1;
        self.counters.sent_bytes += bytes as u64;
        if bytes > self.spec.mtu {
            self.counters.cut += 1;
            return;
        }
        let packet = Packet { number, bytes, payload };
        if self.spec.rate_bps.is_none() && self.queue.is_empty() {
            self.fly(now, packet);
            return;
        }
        if self.queued_bytes + bytes > self.spec.queue_bytes && !self.queue.is_empty() {
            self.counters.overflowed += 1;
            return;
        }
        if self.queue.is_empty() {
            self.served_bits = 0.0;
            self.served_at = now;
        }
        self.queued_bytes += bytes;
        self.counters.queue_bytes_max = self.counters.queue_bytes_max.max(self.queued_bytes);
        self.queue.push_back(packet);
    }

    /// When something happens next, if nothing is sent.
    pub fn next_event(&self) -> Option<Duration> {
        let arrival = self.flying.keys().next().map(|(at, _)| *at);
        match (arrival, self.next_departure()) {
            (Some(arrival), Some(departure)) => Some(arrival.min(departure)),
            (arrival, departure) => arrival.or(departure),
        }
    }

    /// The next packet that has arrived by `now`. Call it until there is none.
    pub fn receive(&mut self, now: Duration) -> Option<T> {
        self.advance(now);
        let entry = self.flying.first_entry().filter(|entry| entry.key().0 <= now)?;
        let packet = entry.remove();
        self.counters.delivered += 1;
        self.counters.delivered_bytes += packet.bytes as u64;
        if packet.number < self.newest_out {
            self.counters.reordered += 1;
        }
        self.newest_out = self.newest_out.max(packet.number);
        Some(packet.payload)
    }

    /// Lets leave the queue what has been served by `now`.
    fn advance(&mut self, now: Duration) {
        while let Some(at) = self.next_departure().filter(|at| *at <= now) {
            let Some(packet) = self.queue.pop_front() else { break };
            self.queued_bytes -= packet.bytes;
            self.served_bits = 0.0;
            self.served_at = at;
            self.fly(at, packet);
        }
        // Counted up to now, so that a change of rate bends the line here and not at the packet's start.
        if let (Some(rate), false) = (self.spec.rate_bps, self.queue.is_empty()) {
            self.served_bits += now.saturating_sub(self.served_at).as_secs_f64() * rate as f64;
            self.served_at = self.served_at.max(now);
        }
    }

    fn next_departure(&self) -> Option<Duration> {
        let first = self.queue.front()?;
        let Some(rate) = self.spec.rate_bps else { return Some(self.served_at) };
        let left = (first.bytes as f64 * 8.0 - self.served_bits).max(0.0);
        Some(self.served_at + Duration::from_nanos((left / rate as f64 * 1e9).ceil() as u64))
    }

    fn fly(&mut self, now: Duration, packet: Packet<T>) {
        if self.spec.is_down {
            self.counters.cut += 1;
            return;
        }
        if self.is_lost() {
            self.counters.lost += 1;
            return;
        }
        if self.spec.duplicates > 0.0 && self.rng.f64() < self.spec.duplicates {
            self.counters.duplicated += 1;
            let at = self.arrival(now);
            self.take_off(at, packet.clone());
        }
        let at = self.arrival(now);
        self.take_off(at, packet);
    }

    fn take_off(&mut self, at: Duration, packet: Packet<T>) {
        let mut key = (at, packet.number);
        while self.flying.contains_key(&key) {
            // Only a duplicate shares its moment and number.
            key.0 += Duration::from_nanos(1);
        }
        self.flying.insert(key, packet);
    }

    fn arrival(&mut self, now: Duration) -> Duration {
        let mut at = now + self.spec.delay;
        if !self.spec.jitter.is_zero() {
            at += self.spec.jitter.mul_f64(self.rng.f64());
        }
        if !self.spec.reorders {
            at = at.max(self.last_arrival);
        }
        self.last_arrival = self.last_arrival.max(at);
        at
    }

    fn is_lost(&mut self) -> bool {
        match self.spec.loss {
            Loss::Never => false,
            Loss::Random(probability) => self.rng.f64() < probability,
            Loss::Bursts { share, mean_packets } => {
                // Leaves the bad state after `mean_packets` on average; enters it so often that `share` are lost.
                let leaves = 1.0 / mean_packets.max(1.0);
                let enters = (leaves * share / (1.0 - share).max(f64::EPSILON)).min(1.0);
                let flips = self.rng.f64() < if self.in_burst { leaves } else { enters };
                self.in_burst ^= flips;
                self.in_burst
            }
        }
    }
}
