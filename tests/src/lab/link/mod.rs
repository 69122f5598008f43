//! One direction of a link as a machine: [`Link`].
//!
//! Time is a [`Duration`] since a start that the caller chose, and must not go backwards.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;

pub use self::counters::Counters;
use super::spec::{LinkSpec, Loss};

mod counters;
#[cfg(test)]
mod tests;

/// Carries packets of type `T` one way.
#[derive(Debug)]
pub struct Link<T> {
    spec: LinkSpec,
    rng: Rng,
    /// Waiting for the bottleneck.
    queue: VecDeque<Packet<T>>,
    queued_bytes: usize,
    /// What of the first packet has left already, and until when that is counted.
    served: Work,
    served_at: Duration,
    /// On their way, by the time of their arrival; those of one moment in the order in which they left.
    flying: VecDeque<Flight<T>>,
    next_number: u64,
    last_arrival: Duration,
    newest_out: u64,
    in_burst: bool,
    counters: Counters,
}

/// What a bottleneck does, in billionths of a bit: bits a second times nanoseconds, so that nothing is ever rounded.
type Work = u128;

/// A packet on its way.
#[derive(Debug)]
struct Flight<T> {
    arrives_at: Duration,
    packet: Packet<T>,
}

#[derive(Clone, Debug)]
struct Packet<T> {
    number: u64,
    bytes: usize,
    payload: T,
}

impl<T> Packet<T> {
    fn work(&self) -> Work {
        self.bytes as Work * 8 * 1_000_000_000
    }
}

impl<T: Clone> Link<T> {
    /// An empty link. The same seed and calls give the same fates.
    pub fn new(spec: LinkSpec, seed: u64) -> Self {
        Self {
            spec,
            rng: Rng::with_seed(seed),
            queue: VecDeque::new(),
            queued_bytes: 0,
            served: 0,
            served_at: Duration::ZERO,
            flying: VecDeque::new(),
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
            self.served = 0;
            self.served_at = now;
        }
        self.queued_bytes += bytes;
        self.counters.queue_bytes_max = self.counters.queue_bytes_max.max(self.queued_bytes);
        self.queue.push_back(packet);
    }

    /// The earliest moment at which something may come out, if nothing is sent and nothing changes. It may prove to
    /// be lost or late by then.
    pub fn next_event(&self) -> Option<Duration> {
        let arrival = self.flying.front().map(|first| first.arrives_at);
        let departure = self.next_departure().map(|at| at + self.spec.delay);
        match (arrival, departure) {
            (Some(arrival), Some(departure)) => Some(arrival.min(departure)),
            (arrival, departure) => arrival.or(departure),
        }
    }

    /// The next packet that has arrived by `now`. Call it until there is none.
    pub fn receive(&mut self, now: Duration) -> Option<T> {
        self.receive_timed(now).map(|(_, payload)| payload)
    }

    /// The same with the moment at which it arrived.
    pub fn receive_timed(&mut self, now: Duration) -> Option<(Duration, T)> {
        self.advance(now);
        self.flying.front().filter(|first| first.arrives_at <= now)?;
        let Flight { arrives_at, packet } = self.flying.pop_front()?;
        self.counters.delivered += 1;
        self.counters.delivered_bytes += packet.bytes as u64;
        if packet.number < self.newest_out {
            self.counters.reordered += 1;
        }
        self.newest_out = self.newest_out.max(packet.number);
        Some((arrives_at, packet.payload))
    }

    /// Lets leave the queue what has been served by `now`.
    fn advance(&mut self, now: Duration) {
        while let Some(at) = self.next_departure().filter(|at| *at <= now) {
            self.serve_until(at);
            let Some(packet) = self.queue.pop_front() else { break };
            // What was done beyond this packet within its last nanosecond counts for the next one.
            self.served = self.served.saturating_sub(packet.work());
            self.queued_bytes -= packet.bytes;
            self.fly(at, packet);
        }
        // Counted up to now, so that a change of rate bends the line here and not at the packet's start.
        self.serve_until(now);
    }

    fn serve_until(&mut self, at: Duration) {
        if let (Some(rate), false) = (self.spec.rate_bps, self.queue.is_empty()) {
            self.served += at.saturating_sub(self.served_at).as_nanos() * Work::from(rate);
        }
        self.served_at = self.served_at.max(at);
    }

    fn next_departure(&self) -> Option<Duration> {
        let first = self.queue.front()?;
        let Some(rate) = self.spec.rate_bps else { return Some(self.served_at) };
        if rate == 0 {
            return None;
        }
        let left = first.work().saturating_sub(self.served);
        // More than centuries is never, so it need not be exact.
        let nanos = u64::try_from(left.div_ceil(Work::from(rate))).unwrap_or(u64::MAX);
        Some(self.served_at + Duration::from_nanos(nanos))
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

    fn take_off(&mut self, arrives_at: Duration, packet: Packet<T>) {
        // The last place unless packets overtake each other, and then one close to it.
        let place = match self.flying.back() {
            Some(last) if last.arrives_at > arrives_at => {
                self.flying.partition_point(|other| other.arrives_at <= arrives_at)
            }
            Some(_) | None => self.flying.len(),
        };
        self.flying.insert(place, Flight { arrives_at, packet });
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
                // More than every other packet lost at least takes longer runs than that.
                let kept = 1.0 - share;
                let leaves = (1.0 / mean_packets.max(1.0)).min(kept / share.max(f64::EPSILON));
                let enters = if kept > 0.0 { leaves * share / kept } else { 1.0 };
                let flips = self.rng.f64() < if self.in_burst { leaves } else { enters };
                self.in_burst ^= flips;
                self.in_burst
            }
        }
    }
}
