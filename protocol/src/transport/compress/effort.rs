//! How hard to compress: [`Regulator`].
//!
//! The aim is a compressor that could give about twice what the link takes: then the link never waits, and what time is
//! left goes into the level. Where even the easiest level is far behind, as within a fast local network, nothing is compressed.

use std::time::Duration;

/// Levels of zstd that differ in what they give, and how fast each is beside the others: MB/s on source code, one core of a
/// server of 2023, tables as bounded here. Only their proportions matter.
const LADDER: &[(i32, f64)] = &[
    (1, 330.0),
    (3, 250.0),
    (5, 125.0),
    (6, 95.0),
    (7, 80.0),
    (9, 67.0),
    (12, 45.0),
    (17, 5.0),
    (19, 2.5),
];
/// How far ahead of the link compressing shall keep.
const AHEAD: f64 = 2.0;
/// What shrinks to no less gains nothing from a harder level: small files that are compressed already, which no probe sees.
const VAIN: f64 = 0.95;
/// Share of the time from which on compressors are what the others wait for: more than they need to be twice ahead.
const BUSY: f64 = 0.65;
/// While so much waits to leave, nobody is behind.
const RESERVE: Duration = Duration::from_millis(250);
/// Streams that are compressed while they suffice: one would compress better by a fiftieth, but its window alone does not
/// fill a long link whose losses take two round trips to repair.
const STREAMS_MIN: usize = 2;
/// A link of this round trip or more is slow at first, whatever it is later: it begins higher up the ladder.
const NEAR: Duration = Duration::from_millis(20);
const FAR_RUNG: usize = 3;
/// A link that takes so many bytes a second as they are is faster than compressing pays on most machines.
const RAW_RATE_MAX: f64 = 150e6;
/// How much faster the link must seem than what is taken, before it is tried without compressing.
const RAW_PAYS: f64 = 1.5;
/// What a trial must come to, of what was before, to be kept.
const TRIAL_KEEPS: f64 = 0.95;
/// Intervals between two trials that failed: doubles up to this.
const PATIENCE_MAX: u32 = 256;

/// How hard to try.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in super::super) struct Effort {
    /// Level of zstd; `None` compresses nothing.
    pub(in super::super) level: Option<i32>,
    /// Streams that are compressed side by side.
    pub(in super::super) streams: usize,
}

/// What happened on a lane in some time.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Interval {
    pub(in super::super) elapsed: Duration,
    /// Time in which there was nothing to send.
    pub(in super::super) starved: Duration,
    /// Time that compressing took, over all streams.
    pub(in super::super) compressing: Duration,
    /// Bytes taken from those who send.
    pub(in super::super) taken: u64,
    /// Bytes that went into compressors.
    pub(in super::super) dense: u64,
    /// Bytes that came out of them.
    pub(in super::super) squeezed: u64,
    /// Bytes written to streams, compressed or not.
    pub(in super::super) written: u64,
    /// Bytes that left.
    pub(in super::super) sent: u64,
    /// Bytes a second that the congestion controller would let leave.
    pub(in super::super) allowed_rate: f64,
}

/// Chooses the effort from what happened.
#[derive(Debug)]
pub(in super::super) struct Regulator {
    rung: Option<usize>,
    streams: usize,
    streams_max: usize,
    /// Bytes that were written and have not left, as far as can be seen.
    backlog: u64,
    /// The last decision is on trial: what it goes back to, and the bytes a second that were taken before.
    trial: Option<(Option<usize>, f64)>,
    /// Intervals to wait before the next trial, and after the next one that fails.
    wait: u32,
    patience: u32,
}

impl Regulator {
    /// For a link of this round trip, and a machine that compresses so many streams at once.
    pub(in super::super) fn new(round_trip: Duration, streams_max: usize) -> Self {
        let rung = if round_trip < NEAR { 0 } else { FAR_RUNG };
        let streams_max = streams_max.max(STREAMS_MIN);
        Self {
            rung: Some(rung),
            streams: STREAMS_MIN,
            streams_max,
            backlog: 0,
            trial: None,
            wait: 0,
            patience: 1,
        }
    }

    /// What to do now.
    pub(in super::super) fn effort(&self) -> Effort {
        Effort { level: self.rung.map(|rung| LADDER[rung].0), streams: self.streams }
    }

    /// Learns from an interval, best of some 250 ms.
    pub(in super::super) fn handle_interval(&mut self, interval: &Interval) {
        self.wait = self.wait.saturating_sub(1);
        // Heads and what is sent again make this fall by some hundredths of what is sent: it forgets, and never runs away.
        self.backlog = (self.backlog + interval.written).saturating_sub(interval.sent);
        let rate = |bytes: u64| bytes as f64 / interval.elapsed.as_secs_f64();
        let is_ahead = self.backlog as f64 > RESERVE.as_secs_f64() * rate(interval.sent);
        if interval.elapsed.is_zero() || (interval.starved > interval.elapsed / 2 && !is_ahead) {
            // Whoever reads the files is the slowest here, and nothing can be learnt. What waits to leave shows that it is
            // the link instead, which keeps the agent from asking for more.
            return;
        }
        let taken_rate = rate(interval.taken);
        if let Some((before, taken_before)) = self.trial.take() {
            if taken_rate < taken_before * TRIAL_KEEPS {
                self.rung = before;
                self.wait = self.patience;
                self.patience = (self.patience * 2).min(PATIENCE_MAX);
            } else {
                self.patience = 1;
            }
            return;
        }
        let Some(rung) = self.rung else {
            if taken_rate < RAW_RATE_MAX {
                self.try_out(Some(0), taken_rate);
            }
            return;
        };
        if interval.compressing.is_zero() {
            if taken_rate > RAW_RATE_MAX {
                self.rung = None;
            }
            return;
        }
        if interval.squeezed as f64 > VAIN * interval.dense as f64 {
            self.rung = Some(0);
            return;
        }
        let compressing = interval.compressing.as_secs_f64();
        let all_streams = self.streams as f64 * interval.elapsed.as_secs_f64();
        let capacity = interval.squeezed as f64 / compressing * self.streams as f64;
        let link_rate = rate(interval.sent).max(interval.allowed_rate);
        let at = |other: usize| capacity * LADDER[other].1 / LADDER[rung].1;
        let keeps_ahead = |capacity: f64| capacity >= AHEAD * link_rate;
        let is_busy = compressing > BUSY * all_streams;
        if is_busy && !is_ahead {
            // The link takes all there is, and would take more.
            if self.streams < self.streams_max {
                self.streams += 1;
            } else if rung > 0 {
                // At most twice as fast at once: a link that is still being explored looks faster than it is.
                let faster = |other: &usize| LADDER[*other].1 / LADDER[rung].1 <= AHEAD;
                let easier = (0..rung).rev().take_while(faster);
                let chosen = easier.clone().find(|&rung| keeps_ahead(at(rung)));
                self.rung = Some(chosen.or(easier.last()).unwrap_or(rung - 1));
            } else if link_rate > RAW_PAYS * taken_rate {
                self.try_out(None, taken_rate);
            }
        } else if rung + 1 < LADDER.len() && keeps_ahead(at(rung + 1)) {
            self.rung = Some(rung + 1);
        } else if self.streams > STREAMS_MIN
            && keeps_ahead(capacity * (self.streams - 1) as f64 / self.streams as f64)
        {
            self.streams -= 1;
        }
    }

    /// Turns compressing on or off, to see whether more gets through.
    fn try_out(&mut self, rung: Option<usize>, taken_rate: f64) {
        if self.wait == 0 {
            self.trial = Some((self.rung, taken_rate));
            self.rung = rung;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const TICK: Duration = Duration::from_millis(250);

    /// A link, and what a machine makes of it: data shrinks to a fifth, at each level a little more.
    struct World {
        link_rate: f64,
        /// Speed of this machine beside that of the ladder.
        machine: f64,
        /// What is written and has not left.
        backlog: f64,
    }

    impl World {
        fn pass(&mut self, effort: Effort) -> Interval {
            const BACKLOG_MAX: f64 = 32e6;
            let seconds = TICK.as_secs_f64();
            let room = self.link_rate * seconds + BACKLOG_MAX - self.backlog;
            let (taken, written, compressing) = match effort.level {
                None => (room, room, 0.0),
                Some(level) => {
                    let rung = LADDER.iter().position(|row| row.0 == level).unwrap_or_default();
                    let ratio = 5.0 + 0.2 * rung as f64;
                    let speed = self.machine * LADDER[rung].1 * 1e6;
                    let taken = (speed * effort.streams as f64 * seconds).min(room * ratio);
                    (taken, taken / ratio, taken / speed)
                }
            };
            let sent = (self.backlog + written).min(self.link_rate * seconds);
            self.backlog += written - sent;
            Interval {
                elapsed: TICK,
                starved: Duration::ZERO,
                compressing: Duration::from_secs_f64(compressing),
                taken: taken as u64,
                dense: taken as u64,
                squeezed: if effort.level.is_some() { written as u64 } else { 0 },
                written: written as u64,
                sent: sent as u64,
                allowed_rate: self.link_rate,
            }
        }
    }

    /// The efforts of the last of many intervals.
    fn settle(round_trip: Duration, mbit: f64, streams_max: usize) -> Vec<Effort> {
        let mut regulator = Regulator::new(round_trip, streams_max);
        let mut world = World { link_rate: mbit * 1e6 / 8.0, machine: 1.0, backlog: 0.0 };
        let mut efforts = Vec::new();
        for _ in 0..800 {
            let effort = regulator.effort();
            efforts.push(effort);
            regulator.handle_interval(&world.pass(effort));
        }
        efforts.split_off(600)
    }

    #[track_caller]
    fn check(round_trip: Duration, mbit: f64, streams_max: usize, level: Option<i32>) {
        let efforts = settle(round_trip, mbit, streams_max);
        let steady = efforts.iter().filter(|effort| effort.level == level).count();
        assert!(steady * 100 >= efforts.len() * 95, "{:?}", efforts[efforts.len() - 9..].to_vec());
    }

    #[test]
    fn the_slower_the_link_the_harder_the_level() {
        check(100 * MS, 1.0, 2, Some(19));
        check(100 * MS, 20.0, 2, Some(12));
        check(100 * MS, 100.0, 2, Some(7));
        check(100 * MS, 100.0, 4, Some(7));
        check(100 * MS, 500.0, 2, Some(1));
        check(5 * MS, 20.0, 2, Some(12));
    }

    #[test]
    fn a_local_link_is_compressed_only_if_it_is_slow() {
        check(MS / 5, 100.0, 2, Some(7));
        check(MS / 5, 1000.0, 2, Some(1));
        check(MS / 5, 10_000.0, 2, None);
        check(5 * MS, 10_000.0, 2, None);
    }

    #[test]
    fn more_streams_come_before_easier_levels() {
        let busiest = |mbit| settle(100 * MS, mbit, 4).iter().map(|effort| effort.streams).max();
        assert_eq!(busiest(10.0), Some(STREAMS_MIN));
        assert_eq!(busiest(1500.0), Some(4));
    }

    #[test]
    fn a_source_that_is_slow_teaches_nothing() {
        let mut regulator = Regulator::new(100 * MS, 2);
        let before = regulator.effort();
        for _ in 0..9 {
            regulator.handle_interval(&Interval {
                elapsed: TICK,
                starved: TICK * 2 / 3,
                compressing: TICK,
                ..Interval::default()
            });
        }
        assert_eq!(regulator.effort(), before);
    }

    #[test]
    fn an_agent_that_asks_for_no_more_than_the_link_takes_does_not_hide_it() {
        let mut regulator = Regulator::new(100 * MS, 2);
        for _ in 0..40 {
            regulator.handle_interval(&Interval {
                elapsed: TICK,
                starved: TICK * 9 / 10,
                compressing: TICK / 10,
                dense: 5_000_000,
                squeezed: 1_100_000,
                written: 1_100_000,
                sent: 1_000_000,
                ..Interval::default()
            });
        }
        assert!(regulator.effort().level > Some(9), "{:?}", regulator.effort());
    }

    #[test]
    fn what_does_not_shrink_is_not_tried_hard() {
        let mut regulator = Regulator::new(100 * MS, 2);
        regulator.handle_interval(&Interval {
            elapsed: TICK,
            compressing: TICK,
            dense: 10_000_000,
            squeezed: 9_900_000,
            written: 9_900_000,
            sent: 1_000_000,
            ..Interval::default()
        });
        assert_eq!(regulator.effort().level, Some(1));
    }

    #[test]
    fn a_link_that_becomes_fast_is_followed_once_what_waits_has_left() {
        let mut regulator = Regulator::new(100 * MS, 2);
        let mut world = World { link_rate: 1e6, machine: 1.0, backlog: 0.0 };
        let mut run = |regulator: &mut Regulator, link_rate, intervals| {
            world.link_rate = link_rate;
            for _ in 0..intervals {
                let interval = world.pass(regulator.effort());
                regulator.handle_interval(&interval);
            }
            regulator.effort().level
        };
        assert!(run(&mut regulator, 0.1e6, 40) >= Some(17));
        // 32 MB take 2.6 s.
        let fast = run(&mut regulator, 12.5e6, 14);
        assert!(fast.is_some_and(|level| level <= 7), "{fast:?}");
    }
}
