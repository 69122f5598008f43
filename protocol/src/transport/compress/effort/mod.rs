//! How hard to compress: [`Regulator`].
//!
//! The link shall never wait for the compressors, and what time is left goes into the level. The level **rises** only while the
//! link is never hungry (whatever the congestion window lets leave is there), by a rung at a time, and only if compressing will
//! keep ahead on the next one too; with a reserve that waits to leave it need only keep up. It **falls** at once when the link
//! is hungry and the compressors are busy. Where even the easiest level is far behind, as within a fast local network, nothing is
//! compressed.
//!
//! A rung too low costs some hundredths, one too high a third and more: in doubt it stays low. Nor is a link believed that
//! becomes slower while the level rises: a transport that gets too little of the processor looks just so.

mod interval;
mod ladder;
mod patience;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub(in super::super) use interval::Interval;
pub(in super::super) use ladder::nominal;
use ladder::{Pace, TOP, gain, level};
use patience::Patience;

/// How far ahead of the link compressing shall keep: reading, hashing and encrypting take their time as well.
const AHEAD: f64 = 1.6;
/// The same while there is a reserve: then a mistake shows before the link is hungry.
const AHEAD_WITH_RESERVE: f64 = 1.0;
/// What waits to leave counts as a reserve from this much of the link's time.
const RESERVE: Duration = Duration::from_millis(250);
/// From this much on nothing more is compressed: it would be at a level that was chosen too early, and on a slow link a short
/// job would be over before the level has risen.
const AMPLE: Duration = Duration::from_millis(500);
/// After so long without anything that leaves it is not believed that anything waits.
const STILL_MAX: Duration = Duration::from_secs(1);
/// Share of what leaves that is content; the rest is heads.
const CONTENT_SHARE: f64 = 0.97;
/// What is learnt from, other than that the link is hungry.
const SPAN: Duration = Duration::from_millis(250);
/// Share of an interval in which a link is hungry whose level must fall, and for how long: longer than a first batch takes ...
const STARVING: f64 = 0.5;
const STARVING_TIME: Duration = Duration::from_millis(100);
/// ... share of a span in which one is that waits for somebody ...
const HUNGRY: f64 = 0.2;
/// ... and one that does not.
const CALM: f64 = 0.02;
/// A level is at most so many times faster than the one before it: a link that is still being explored looks faster than it is.
const FALL_MAX: f64 = 2.0;
/// A link whose rate grows so much within a span is still being explored.
const GROWTH: f64 = 1.2;
/// What is left of the highest rate after each span: half of it after six seconds.
const RATE_FADE: f64 = 0.97;
/// What shrinks to no less gains nothing from a harder level: small files that are compressed already, which no probe sees.
const VAIN: f64 = 0.95;
/// Streams that are compressed while they suffice: one would compress better by a fiftieth, but its window alone does not
/// fill a long link whose losses take two round trips to repair.
const STREAMS_MIN: usize = 2;
/// A link of this round trip or more is slow at first, whatever it is later: it begins higher up the ladder.
const NEAR: Duration = Duration::from_millis(20);
const FAR_RUNG: usize = 2;
/// A link that takes so many bytes a second as they are is faster than compressing pays on most machines.
const RAW_RATE_MAX: f64 = 150e6;
/// How much faster the link must seem than what is taken, before it is tried without compressing.
const RAW_PAYS: f64 = 1.5;
/// What a trial must come to, of what was before, to be kept.
const TRIAL_KEEPS: f64 = 0.95;
/// Spans to wait after the first failure, and at most, before a level is tried again, or compressing given up or taken up.
const RISE_PATIENCE: (u32, u32) = (2, 64);
const TRIAL_PATIENCE: (u32, u32) = (1, 256);
/// Calm spans after which a failure counts half.
const FORGETTING: u32 = 16;

/// How hard to try.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in super::super) struct Effort {
    /// Level of zstd; `None` compresses nothing.
    pub(in super::super) level: Option<i32>,
    /// Streams that are compressed side by side.
    pub(in super::super) streams: usize,
}

/// Chooses the effort from what happened.
#[derive(Debug)]
pub(in super::super) struct Regulator {
    rung: Option<usize>,
    streams: usize,
    streams_max: usize,
    pace: Pace,
    /// Bytes a second: the most that left in the last seconds.
    peak_rate: f64,
    /// Bytes a second that the congestion controller would let leave.
    allowed_rate: f64,
    /// Bytes that were written and have not left, as far as can be seen.
    waiting: f64,
    /// How long nothing has left.
    still: Duration,
    /// Since the last decision, or since the last span was over.
    span: Interval,
    /// How long the link has now been starving beside busy compressors.
    starving: Duration,
    /// The effort has just changed: what happens next is still of the one before.
    is_settling: bool,
    calm_spans: u32,
    rise: Patience,
    /// The last decision is on trial: what it goes back to, and the bytes a second that were taken before.
    trial: Option<(Option<usize>, f64)>,
    trials: Patience,
}

impl Regulator {
    /// For a link of this round trip, which so many bytes a second may leave on at first, and a machine that compresses so many
    /// streams at once.
    pub(in super::super) fn new(
        round_trip: Duration,
        allowed_rate: f64,
        streams_max: usize,
    ) -> Self {
        let rung = if round_trip < NEAR { 0 } else { FAR_RUNG };
        let streams_max = streams_max.max(STREAMS_MIN);
        Self {
            rung: Some(rung),
            streams: STREAMS_MIN,
            streams_max,
            pace: Pace::default(),
            peak_rate: 0.0,
            allowed_rate,
            waiting: 0.0,
            still: Duration::ZERO,
            span: Interval::default(),
            starving: Duration::ZERO,
            is_settling: false,
            calm_spans: 0,
            rise: Patience::new(RISE_PATIENCE),
            trial: None,
            trials: Patience::new(TRIAL_PATIENCE),
        }
    }

    /// What to do now.
    pub(in super::super) fn effort(&self) -> Effort {
        Effort { level: self.rung.map(level), streams: self.streams }
    }

    /// Whether so much waits to leave that nothing more needs to be compressed now; `written` since the last interval.
    pub(in super::super) fn has_ample(&self, written: u64) -> bool {
        let waiting = self.waiting + written as f64;
        self.rung.is_some() && waiting > AMPLE.as_secs_f64() * self.link_rate()
    }

    /// Learns from an interval, best of some 50 ms.
    pub(in super::super) fn handle_interval(&mut self, interval: &Interval) {
        if interval.elapsed.is_zero() {
            return;
        }
        let Interval { compressing, nominal, dense, squeezed, .. } = *interval;
        self.pace.learn(compressing, nominal, dense, squeezed);
        self.weigh_waiting(interval);
        self.allowed_rate = interval.allowed_rate;
        if std::mem::take(&mut self.is_settling) {
            return;
        }
        self.span.extend(interval);
        if interval.is_hungry(STARVING) && interval.is_busy(self.streams) {
            self.starving += interval.elapsed;
        } else {
            self.starving = Duration::ZERO;
        }
        if self.starving >= STARVING_TIME {
            self.hurry();
        }
        if self.span.elapsed >= SPAN {
            let span = std::mem::take(&mut self.span);
            self.handle_span(&span);
        }
    }

    /// Counts what waits to leave. Of a link that was hungry it is known: no more than has come since. Of one on which nothing
    /// moves nothing is: nobody must wait for it to come true.
    fn weigh_waiting(&mut self, interval: &Interval) {
        let left = CONTENT_SHARE * interval.sent.saturating_sub(interval.lost) as f64;
        self.waiting = (self.waiting + interval.written as f64 - left).max(0.0);
        self.still =
            if interval.sent == 0 { self.still + interval.elapsed } else { Duration::ZERO };
        if !interval.hungry.is_zero() || self.still >= STILL_MAX {
            self.waiting = self.waiting.min(interval.written as f64);
        }
    }

    /// The link waits: falls to what keeps ahead of it, if the present level is known not to.
    fn hurry(&mut self) {
        let wanted = AHEAD * self.link_rate();
        let (Some(rung), Some(false)) = (self.rung, self.keeps(wanted)) else { return };
        if self.streams < self.streams_max {
            self.change(self.rung, self.streams + 1);
        } else if rung > 0 {
            let easier = (0..rung).rev().take_while(|&easier| gain(easier, rung) <= FALL_MAX);
            let keeps = |&easier: &usize| self.keeps_at(easier, self.streams, wanted);
            let chosen = easier.clone().find(keeps).or(easier.last()).unwrap_or(rung - 1);
            self.fall(chosen);
        }
    }

    fn handle_span(&mut self, span: &Interval) {
        self.rise.pass_span();
        self.trials.pass_span();
        let sent_rate = span.rate(span.sent);
        let is_explored = sent_rate <= GROWTH * self.peak_rate;
        self.peak_rate = sent_rate.max(RATE_FADE * self.peak_rate);
        let taken_rate = span.rate(span.taken);
        let is_behind = span.is_hungry(HUNGRY) && span.is_busy(self.streams);
        if span.is_hungry(HUNGRY) && span.starved > span.elapsed / 2 && !is_behind {
            // Whoever reads the files is the slowest here, and nothing can be learnt.
            return;
        }
        if let Some((before, taken_before)) = self.trial.take() {
            if taken_rate < taken_before * TRIAL_KEEPS {
                self.change(before, self.streams);
                self.trials.fail();
            } else {
                self.trials.forget();
            }
            return;
        }
        let Some(rung) = self.rung else {
            if taken_rate < RAW_RATE_MAX {
                self.try_out(Some(0), taken_rate);
            }
            return;
        };
        if span.dense == 0 && taken_rate > RAW_RATE_MAX {
            self.change(None, self.streams);
        } else if span.squeezed as f64 > VAIN * span.dense as f64 {
            self.change(Some(0), self.streams);
        } else if is_behind {
            self.give_way(rung, taken_rate);
        } else if !span.is_hungry(CALM) && is_explored {
            self.handle_calm(rung);
        }
    }

    /// The link has waited for a whole span, whatever is known of the machine.
    fn give_way(&mut self, rung: usize, taken_rate: f64) {
        if self.streams < self.streams_max {
            self.change(self.rung, self.streams + 1);
        } else if rung > 0 {
            self.fall(rung - 1);
        } else if self.link_rate() > RAW_PAYS * taken_rate {
            self.try_out(None, taken_rate);
        }
    }

    /// The link has all it takes: there may be time for more.
    fn handle_calm(&mut self, rung: usize) {
        self.calm_spans += 1;
        if self.calm_spans.is_multiple_of(FORGETTING) {
            self.rise.forget_half();
        }
        let has_reserve = self.waiting >= RESERVE.as_secs_f64() * self.peak_rate;
        let wanted = AHEAD * self.peak_rate;
        // The last steps take ten times the processor for some hundredths: not all that there is.
        let is_small_step = rung < TOP && gain(rung, rung + 1) <= FALL_MAX;
        let ahead = if has_reserve && is_small_step { AHEAD_WITH_RESERVE } else { AHEAD };
        if rung < TOP && self.keeps_at(rung + 1, self.streams, ahead * self.peak_rate) {
            if self.rise.is_over() {
                self.change(Some(rung + 1), self.streams);
            }
        } else if self.streams > STREAMS_MIN && self.keeps_at(rung, self.streams - 1, wanted) {
            self.change(self.rung, self.streams - 1);
        }
    }

    /// Bytes a second that the link would take, if there were enough.
    fn link_rate(&self) -> f64 {
        self.peak_rate.max(self.allowed_rate)
    }

    /// Whether what is done now gives so many bytes a second, if that can be told.
    fn keeps(&self, wanted: f64) -> Option<bool> {
        Some(self.pace.output(self.rung?)? * self.streams as f64 >= wanted)
    }

    fn keeps_at(&self, rung: usize, streams: usize, wanted: f64) -> bool {
        self.pace.output(rung).is_some_and(|output| output * streams as f64 >= wanted)
    }

    fn fall(&mut self, rung: usize) {
        self.rise.fail();
        self.calm_spans = 0;
        self.change(Some(rung), self.streams);
    }

    /// Turns compressing on or off, to see whether more gets through.
    fn try_out(&mut self, rung: Option<usize>, taken_rate: f64) {
        if self.trials.is_over() {
            self.trial = Some((self.rung, taken_rate));
            self.change(rung, self.streams);
        }
    }

    fn change(&mut self, rung: Option<usize>, streams: usize) {
        (self.rung, self.streams) = (rung, streams);
        self.span = Interval::default();
        self.starving = Duration::ZERO;
        self.is_settling = true;
    }
}
