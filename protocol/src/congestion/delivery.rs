//! How fast the path delivers: [`Sampler`].
//!
//! Source: draft-cheng-iccrg-delivery-rate-estimation-02. A sample is what was delivered between the sending of a packet
//! and its acknowledgement, divided by the longer of the time it took to send that and the time it took to acknowledge it:
//! acknowledgements that come in bunches, or packets that left in one, then do not pass for a faster path.

use std::collections::VecDeque;
use std::time::Duration;

/// Sendings that are remembered; quinn hands over up to ten packets at a time, so this is more than a gigabyte in flight.
const RECORDS_MAX: usize = 1 << 16;

/// One delivery-rate sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// Bytes a second.
    pub(super) rate: f64,
    /// What had been delivered in total when the packet was sent: tells the rounds apart.
    pub(super) delivered_before: u64,
    /// Whether there was too little to send when the packet left, so that the path may carry more.
    pub(super) is_app_limited: bool,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    sent: Duration,
    delivered: u64,
    delivered_at: Duration,
    first_sent: Duration,
    is_app_limited: bool,
}

/// Matches acknowledgements with sendings.
#[derive(Clone, Debug, Default)]
pub(super) struct Sampler {
    /// In the order of sending; no two share a time.
    records: VecDeque<Record>,
    delivered: u64,
    delivered_at: Duration,
    /// When the packet left that was acknowledged last.
    first_sent: Duration,
    /// Samples are app-limited until more than this has been delivered.
    app_limited_until: Option<u64>,
    /// Of the packets of this batch of acknowledgements, the one sent last.
    newest: Option<Record>,
}

impl Sampler {
    /// Bytes delivered so far.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Notes that packets leave. `is_idle` if nothing was in flight: the clocks start anew.
    pub(super) fn handle_sent(&mut self, now: Duration, is_idle: bool) {
        if is_idle {
            self.first_sent = now;
            self.delivered_at = now;
        }
        if self.records.back().is_some_and(|last| last.sent >= now) {
            return;
        }
        if self.records.len() == RECORDS_MAX {
            self.records.pop_front();
        }
        self.records.push_back(Record {
            sent: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent: self.first_sent,
            is_app_limited: self.app_limited_until.is_some_and(|until| self.delivered <= until),
        });
    }

    /// Forgets what left before: the path was silent, and says nothing of its rate.
    pub(super) fn restart(&mut self, now: Duration) {
        self.records.clear();
        self.newest = None;
        self.first_sent = now;
        self.delivered_at = now;
    }

    /// Counts a packet as delivered. One that was never seen leaving counts, but gives no sample.
    pub(super) fn handle_ack(&mut self, now: Duration, sent: Duration, bytes: u64) {
        self.delivered = self.delivered.saturating_add(bytes);
        self.delivered_at = self.delivered_at.max(now);
        let at = self.records.partition_point(|record| record.sent < sent);
        let Some(record) = self.records.get(at).filter(|record| record.sent == sent) else {
            return;
        };
        if self.newest.is_none_or(|newest| newest.sent < sent) {
            self.newest = Some(*record);
        }
    }

    /// The sample of the batch that is complete now. `min_rtt` is the shortest round trip known: a shorter interval is a
    /// bunch and says nothing.
    pub(super) fn handle_end_acks(
        &mut self,
        in_flight: u64,
        app_limited: bool,
        min_rtt: Duration,
    ) -> Option<Sample> {
        if app_limited {
            self.app_limited_until = Some(self.delivered.saturating_add(in_flight));
        }
        let record = self.newest.take()?;
        self.first_sent = self.first_sent.max(record.sent);
        // What left long before the packet acknowledged last will not be asked for again.
        while self.records.front().is_some_and(|first| first.sent + 8 * min_rtt < record.sent) {
            self.records.pop_front();
        }
        let send_span = record.sent.saturating_sub(record.first_sent);
        let ack_span = self.delivered_at.saturating_sub(record.delivered_at);
        let span = send_span.max(ack_span);
        if span.is_zero() || span < min_rtt / 2 {
            return None;
        }
        Some(Sample {
            rate: (self.delivered - record.delivered) as f64 / span.as_secs_f64(),
            delivered_before: record.delivered,
            is_app_limited: record.is_app_limited,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(100);
    const BYTES: u64 = 1000;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A packet each `sent_every` ms; batches of `batch` are acknowledged when the last of them is a round trip old.
    fn rate(sent_every: u64, batch: u64) -> f64 {
        let mut sampler = Sampler::default();
        let mut last = None;
        for step in 0..1000 {
            let now = ms(step);
            if step % sent_every == 0 {
                sampler.handle_sent(now, step == 0);
            }
            if step >= 100 && (step - 100) % (sent_every * batch) == sent_every * (batch - 1) {
                for back in (0..batch).rev() {
                    sampler.handle_ack(now, ms(step - 100 - back * sent_every), BYTES);
                }
                last = sampler.handle_end_acks(0, false, RTT).or(last);
            }
        }
        last.expect("a sample").rate
    }

    #[test]
    fn a_steady_flow_is_measured_exactly() {
        assert_eq!(rate(1, 1).round(), 1e6);
        assert_eq!(rate(10, 1).round(), 1e5);
    }

    #[test]
    fn acknowledgements_in_bunches_do_not_pass_for_speed() {
        assert!(rate(1, 20) <= 1.01e6);
        assert!(rate(1, 20) >= 0.8e6);
    }

    #[test]
    fn a_packet_that_never_left_gives_no_sample() {
        let mut sampler = Sampler::default();
        sampler.handle_ack(ms(100), ms(1), BYTES);
        assert_eq!(sampler.handle_end_acks(0, false, RTT), None);
        assert_eq!(sampler.delivered(), BYTES);
    }

    #[test]
    fn what_leaves_while_there_is_too_little_to_send_is_marked() {
        let mut sampler = Sampler::default();
        for (at, app_limited, marked) in [(0, true, false), (200, false, true), (400, false, false)]
        {
            sampler.handle_sent(ms(at), true);
            sampler.handle_ack(ms(at + 100), ms(at), BYTES);
            let sample = sampler.handle_end_acks(0, app_limited, RTT).expect("a sample");
            assert_eq!(sample.is_app_limited, marked, "at {at} ms");
        }
    }
}
