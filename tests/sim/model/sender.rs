//! The near end: [`Sender`], quinn's rules about what may leave and what counts as lost.

use std::collections::BTreeMap;
use std::time::Duration;

use super::control::Control;
use super::pacer::Pacer;
use super::packet::{Ack, DATAGRAM_BYTES, Data};
use super::rtt::Rtt;
use super::source::Source;

/// Packets in one call of quinn's `poll_transmit`, of which the controller hears at once.
const BATCH_PACKETS: u64 = 10;
/// Source: RFC 9002, section 6.2 (its constants are quinn's too).
const TIME_THRESHOLD: f64 = 9.0 / 8.0;
/// What quinn assumes of the receiver's delay.
const ACK_DELAY_MAX: Duration = Duration::from_millis(25);
/// Period of the task that wakes a silent connection.
const WAKE_INTERVAL: Duration = Duration::from_millis(250);

/// Which stack a sender is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stack {
    /// Our transport: patient with reordering, timers of 1 ms, woken while silent.
    Quinn,
    /// A TCP: three packets that overtake make a loss, exact timers.
    Tcp,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    at: Duration,
    piece: Option<u64>,
}

/// One flow's sender.
pub(crate) struct Sender {
    pub(crate) flow: usize,
    pub(crate) control: Box<dyn Control>,
    pub(crate) source: Source,
    pub(crate) sent_packets: u64,
    pub(crate) lost_packets: u64,
    stack: Stack,
    pacer: Pacer,
    pub(crate) rtt: Rtt,
    in_flight: BTreeMap<u64, InFlight>,
    next_number: u64,
    largest_acked: Option<u64>,
    last_sent_at: Duration,
    last_ack_at: Duration,
    loss_time: Option<Duration>,
    pto_count: u32,
    probes: u32,
    pacing_until: Option<Duration>,
    app_limited: bool,
    next_wake: Duration,
}

impl Sender {
    pub(crate) fn new(
        flow: usize,
        stack: Stack,
        control: Box<dyn Control>,
        source: Source,
    ) -> Self {
        Self {
            flow,
            control,
            source,
            sent_packets: 0,
            lost_packets: 0,
            stack,
            pacer: Pacer::default(),
            rtt: Rtt::new(Duration::from_millis(100)),
            in_flight: BTreeMap::new(),
            next_number: 0,
            largest_acked: None,
            last_sent_at: Duration::ZERO,
            last_ack_at: Duration::ZERO,
            loss_time: None,
            pto_count: 0,
            probes: 0,
            pacing_until: None,
            app_limited: false,
            next_wake: WAKE_INTERVAL,
        }
    }

    /// The handshake's round trip: a first sample, of two packets, before any content.
    pub(crate) fn handle_handshake(&mut self, now: Duration, round_trip: Duration) {
        let sent = now.saturating_sub(round_trip);
        self.rtt.update(Duration::ZERO, round_trip);
        self.control.on_sent(sent, 2 * DATAGRAM_BYTES);
        self.control.on_ack(now, sent, DATAGRAM_BYTES, true);
        self.control.on_ack(now, sent, DATAGRAM_BYTES, true);
        self.control.on_end_acks(now, 0, true);
        self.last_ack_at = now;
    }

    pub(crate) fn in_flight_bytes(&self) -> u64 {
        self.in_flight.len() as u64 * DATAGRAM_BYTES
    }

    pub(crate) fn next_timer(&self, now: Duration) -> Option<Duration> {
        let wake =
            (self.stack == Stack::Quinn && !self.in_flight.is_empty()).then_some(self.next_wake);
        let recovery = self.loss_time.or_else(|| self.pto_at());
        [self.tick(self.pacing_until), self.tick(recovery), wake, self.source.next_at(now)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Tokio's timers have a resolution of 1 ms.
    fn tick(&self, at: Option<Duration>) -> Option<Duration> {
        let at = at?;
        Some(match self.stack {
            Stack::Tcp => at,
            Stack::Quinn => {
                Duration::from_millis((at + Duration::from_nanos(999_999)).as_millis() as u64)
            }
        })
    }

    pub(crate) fn handle_timer(&mut self, now: Duration) {
        if self.pacing_until.is_some_and(|at| at <= now) {
            self.pacing_until = None;
        }
        if self.next_wake <= now {
            self.next_wake = now + WAKE_INTERVAL;
        }
        if self.loss_time.is_some() {
            if self.loss_time.is_some_and(|at| at <= now) {
                self.detect_lost(now);
            }
        } else if self.pto_at().is_some_and(|at| at <= now) {
            self.probes += 2;
            self.pto_count += 1;
            if self.stack == Stack::Tcp && self.pto_count > 1 {
                // A retransmission timeout: everything in flight is lost.
                self.lose_all(now);
            }
        }
    }

    pub(crate) fn transmit(&mut self, now: Duration, mut out: impl FnMut(Data)) {
        let mut batch = 0;
        let mut is_blocked = false;
        loop {
            let has_more = self.source.has_more(now);
            if !has_more && self.probes == 0 {
                break;
            }
            if self.probes == 0 && !self.admits(now) {
                is_blocked = true;
                break;
            }
            let piece = has_more.then(|| self.source.take());
            if piece.is_none() || self.probes > 0 {
                self.probes = self.probes.saturating_sub(1);
            }
            let number = self.next_number;
            self.next_number += 1;
            self.in_flight.insert(number, InFlight { at: now, piece });
            self.last_sent_at = now;
            self.sent_packets += 1;
            self.pacer.on_sent(DATAGRAM_BYTES);
            out(Data { flow: self.flow, number, piece });
            batch += 1;
            if batch == BATCH_PACKETS {
                self.control.on_sent(now, batch * DATAGRAM_BYTES);
                batch = 0;
            }
        }
        if batch > 0 {
            self.control.on_sent(now, batch * DATAGRAM_BYTES);
        }
        self.app_limited = !is_blocked;
    }

    fn admits(&mut self, now: Duration) -> bool {
        let window = self.control.window(now);
        if self.in_flight_bytes() + DATAGRAM_BYTES >= window {
            return false;
        }
        let pacing = self.control.pacing();
        self.pacing_until = self.pacer.delay(now, pacing, window, self.rtt.smoothed());
        self.pacing_until.is_none()
    }

    pub(crate) fn handle_ack(&mut self, now: Duration, ack: &Ack) {
        let Some(&(_, largest)) = ack.ranges.first() else { return };
        let is_new_largest = self.largest_acked.is_none_or(|before| largest > before);
        let largest_sent = self.in_flight.get(&largest).map(|packet| packet.at);
        let mut acked = Vec::new();
        for (first, last) in ack.ranges.iter() {
            acked.extend(self.in_flight.range(first..=last).map(|(number, _)| *number));
        }
        if acked.is_empty() {
            return;
        }
        if is_new_largest {
            self.largest_acked = Some(largest);
        }
        acked.sort_unstable();
        for number in acked {
            if let Some(packet) = self.in_flight.remove(&number) {
                self.control.on_ack(now, packet.at, DATAGRAM_BYTES, self.app_limited);
            }
        }
        self.control.on_end_acks(now, self.in_flight_bytes(), self.app_limited);
        if let (true, Some(sent)) = (is_new_largest, largest_sent) {
            self.rtt.update(ack.delay.min(ACK_DELAY_MAX), now - sent);
        }
        self.last_ack_at = now;
        self.detect_lost(now);
        self.pto_count = 0;
    }

    fn detect_lost(&mut self, now: Duration) {
        let Some(largest) = self.largest_acked else { return };
        let delay = self.rtt.conservative().mul_f64(TIME_THRESHOLD);
        let threshold = match self.stack {
            Stack::Quinn => 64,
            Stack::Tcp => 3,
        };
        self.loss_time = None;
        let mut lost = Vec::new();
        for (number, packet) in self.in_flight.range(..largest) {
            if now.saturating_sub(packet.at) >= delay || largest >= number + threshold {
                lost.push(*number);
            } else {
                self.loss_time = Some(packet.at + delay);
                break;
            }
        }
        self.lose(now, &lost);
    }

    fn lose_all(&mut self, now: Duration) {
        let all: Vec<u64> = self.in_flight.keys().copied().collect();
        self.lose(now, &all);
    }

    fn lose(&mut self, now: Duration, numbers: &[u64]) {
        let mut latest_sent = Duration::ZERO;
        let mut span = (Duration::MAX, Duration::ZERO);
        for number in numbers {
            let Some(packet) = self.in_flight.remove(number) else { continue };
            latest_sent = latest_sent.max(packet.at);
            span = (span.0.min(packet.at), span.1.max(packet.at));
            if let Some(piece) = packet.piece {
                self.source.give_back(piece);
            }
        }
        if numbers.is_empty() {
            return;
        }
        self.lost_packets += numbers.len() as u64;
        let persistent = span.1.saturating_sub(span.0) > 3 * self.rtt.probe_timeout();
        self.control.on_loss(now, latest_sent, persistent, numbers.len() as u64 * DATAGRAM_BYTES);
    }

    fn pto_at(&self) -> Option<Duration> {
        if self.in_flight.is_empty() {
            return None;
        }
        let timeout = self.rtt.probe_timeout() + ACK_DELAY_MAX;
        let timeout = if self.stack == Stack::Tcp {
            timeout.max(Duration::from_millis(200))
        } else {
            timeout
        };
        Some(self.last_sent_at + timeout * 2u32.pow(self.pto_count.min(16)))
    }

    pub(crate) fn describe(&self) -> String {
        self.control.describe()
    }
}
