#![allow(clippy::unwrap_used)]

use super::ladder::speed;
use super::*;

const MS: Duration = Duration::from_millis(1);
const TICK: Duration = Duration::from_millis(50);
const STEP: Duration = Duration::from_millis(5);
/// What QUIC keeps for a connection beside what is in flight.
const BUFFER_BYTES: f64 = 16e6;
/// What of the data is left at each rung, measured on source code.
const LEFT: [f64; TOP + 1] = [0.239, 0.211, 0.189, 0.18, 0.177, 0.175, 0.172, 0.167, 0.164];

/// A link, a machine and data.
#[derive(Clone, Copy)]
struct World {
    /// Bytes a second.
    link_rate: f64,
    round_trip: Duration,
    /// What the congestion controller lets leave at first.
    first_rate: f64,
    cores: f64,
    /// Cores that are taken by others, and cores that a byte a second on the link takes of the transport.
    others: f64,
    transport: f64,
    /// How fast a core is beside that of the ladder.
    machine: f64,
    /// Most bytes a second that can be read.
    source_rate: f64,
    /// Share of the data that remains, beside [`LEFT`].
    density: f64,
}

impl World {
    fn new(mbit: f64, round_trip: Duration) -> Self {
        Self {
            link_rate: mbit * 1e6 / 8.0,
            round_trip,
            first_rate: (mbit * 1e6 / 8.0).min(1.25e6),
            cores: 2.0,
            others: 0.0,
            transport: 6e-9,
            machine: 1.0,
            source_rate: 1e9,
            density: 1.0,
        }
    }

    fn remembered(self) -> Self {
        Self { first_rate: self.link_rate / 2.0, ..self }
    }

    fn streams_max(&self) -> usize {
        (self.cores as usize).max(STREAMS_MIN)
    }
}

/// What decides: the regulator, or always the same.
enum Mind {
    Regulated(Box<Regulator>),
    Fixed(Option<i32>),
}

/// A world at work.
struct Run {
    world: World,
    mind: Mind,
    allowed: f64,
    backlog: f64,
    left_over: f64,
    /// Bytes taken since the beginning.
    taken: f64,
    levels: Vec<Option<i32>>,
}

impl Run {
    fn new(world: World, mind: Mind) -> Self {
        let allowed = world.first_rate;
        Self { world, mind, allowed, backlog: 0.0, left_over: 0.0, taken: 0.0, levels: Vec::new() }
    }

    fn regulated(world: World) -> Self {
        let regulator = Regulator::new(world.round_trip, world.first_rate, world.streams_max());
        Self::new(world, Mind::Regulated(Box::new(regulator)))
    }

    fn effort(&self) -> Effort {
        match &self.mind {
            Mind::Regulated(regulator) => regulator.effort(),
            Mind::Fixed(level) => Effort { level: *level, streams: self.world.streams_max() },
        }
    }

    /// One tick of `TICK`, in steps of `STEP`. What is taken ends at `total` bytes.
    fn tick(&mut self, total: f64) {
        let effort = self.effort();
        self.levels.push(effort.level);
        let mut interval = Interval { elapsed: TICK, ..Interval::default() };
        let (mut taken, mut written, mut sent) = (0.0, 0.0, 0.0);
        let (mut hungry, mut starved, mut compressing) = (0.0, 0.0, 0.0);
        let seconds = STEP.as_secs_f64();
        for _ in 0..TICK.as_millis() / STEP.as_millis() {
            self.allowed = (self.allowed
                * 2_f64.powf(seconds / self.world.round_trip.as_secs_f64()))
            .min(self.world.link_rate);
            let busy = self.world.others + self.world.transport * self.allowed;
            let source = (self.world.source_rate * seconds).min(total - self.taken);
            let is_held = match &self.mind {
                Mind::Regulated(regulator) => regulator.has_ample(written as u64),
                Mind::Fixed(_) => false,
            };
            let room = if is_held { 0.0 } else { (BUFFER_BYTES - self.backlog).max(0.0) };
            let (take, write) = match effort.level {
                None => (source.min(room), source.min(room)),
                Some(level) => {
                    let rung = (0..=TOP).find(|rung| super::level(*rung) == level).unwrap();
                    let left = (LEFT[rung] * self.world.density).min(1.0);
                    let streams = effort.streams as f64;
                    let share = ((self.world.cores - busy) / streams).clamp(0.05, 1.0);
                    let each = speed(rung) * self.world.machine * share * seconds;
                    let take = (each * streams).min(source).min(room / left);
                    compressing += take / each * seconds;
                    (take, take * left)
                }
            };
            starved += if take < 0.99 * room && take >= source { seconds } else { 0.0 };
            self.taken += take;
            taken += take;
            written += write;
            self.backlog += write;
            let most = self.allowed * seconds;
            let leaves = self.backlog.min(most);
            self.backlog -= leaves;
            sent += leaves;
            hungry += seconds * (1.0 - leaves / most);
            self.left_over += most - leaves;
        }
        if let Some(level) = effort.level {
            (interval.dense, interval.squeezed) = (taken as u64, written as u64);
            interval.nominal = nominal(level, taken as usize);
            interval.compressing = Duration::from_secs_f64(compressing);
        }
        interval.taken = taken as u64;
        interval.written = written as u64;
        interval.sent = (sent / CONTENT_SHARE) as u64;
        interval.hungry = Duration::from_secs_f64(hungry);
        interval.starved = Duration::from_secs_f64(starved);
        interval.allowed_rate = self.allowed;
        if let Mind::Regulated(regulator) = &mut self.mind {
            regulator.handle_interval(&interval);
        }
    }

    /// Seconds until so many bytes have left, or for ever if it takes minutes.
    fn seconds(mut self, total: f64) -> f64 {
        for ticks in 1..1200 {
            self.tick(total);
            if self.taken > total - 1.0 && self.backlog < 1.0 {
                return f64::from(ticks) * TICK.as_secs_f64();
            }
        }
        f64::INFINITY
    }

    /// The levels of the last of many ticks.
    fn settle(mut self) -> Vec<Option<i32>> {
        (0..2000).for_each(|_| self.tick(f64::MAX));
        self.levels.split_off(1400)
    }
}

/// Seconds at the best level that never changes.
fn best(world: World, total: f64) -> (f64, Option<i32>) {
    let levels = (0..=TOP).map(|rung| Some(level(rung))).chain([None]);
    let runs = levels.map(|level| (Run::new(world, Mind::Fixed(level)).seconds(total), level));
    runs.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
}

/// Takes no more time for so many bytes than the best of all levels and this share.
#[track_caller]
fn check(world: World, total: f64, share: f64) {
    let (least, level) = best(world, total);
    let seconds = Run::regulated(world).seconds(total);
    let told = format!(
        "{} Mbit/s from {:.1} MB/s, machine {}, others {}: {seconds:.2} s, {level:?} takes {least:.2} s",
        world.link_rate * 8e-6,
        world.first_rate / 1e6,
        world.machine,
        world.others
    );
    assert!(seconds <= least * (1.0 + share) + 0.1, "{told}");
}

#[test]
fn no_level_that_never_changes_is_better_by_more_than_a_few_hundredths() {
    for mbit in [1.0, 5.0, 20.0, 100.0, 300.0, 1000.0] {
        for machine in [0.3, 1.0, 2.0] {
            for others in [0.0, 1.0] {
                let world = World { machine, others, ..World::new(mbit, 100 * MS) };
                for world in [world, world.remembered()] {
                    check(world, 15.0 * world.link_rate * 4.0, 0.06);
                }
            }
        }
    }
}

#[test]
fn a_short_job_over_a_remembered_link_costs_little_more_than_at_the_best_level() {
    for machine in [0.3, 0.6, 1.0] {
        let world = World { machine, ..World::new(100.0, 100 * MS) };
        check(world.remembered(), 128e6, 0.08);
        check(world, 128e6, 0.08);
    }
}

#[track_caller]
fn check_levels(world: World, expected: std::ops::RangeInclusive<i32>) {
    let levels = Run::regulated(world).settle();
    let fits = levels.iter().filter(|level| level.is_some_and(|level| expected.contains(&level)));
    assert!(
        fits.count() * 100 >= levels.len() * 90,
        "{} Mbit/s: {:?}",
        world.link_rate * 8e-6,
        levels[levels.len() - 99..].to_vec()
    );
}

#[test]
fn the_slower_the_link_the_harder_the_level() {
    check_levels(World::new(1.0, 100 * MS), 19..=19);
    check_levels(World::new(20.0, 100 * MS), 12..=17);
    check_levels(World::new(100.0, 100 * MS), 7..=12);
    check_levels(World::new(500.0, 100 * MS), 1..=3);
    check_levels(World::new(20.0, 5 * MS), 12..=17);
}

#[test]
fn a_local_link_is_compressed_only_if_it_is_slow() {
    check_levels(World::new(100.0, MS / 5), 7..=12);
    check_levels(World::new(1000.0, MS / 5), 1..=1);
    let levels = Run::regulated(World::new(10_000.0, MS / 5)).settle();
    let raw = levels.iter().filter(|level| level.is_none()).count();
    assert!(raw * 100 >= levels.len() * 95, "{raw} of {}", levels.len());
}

#[test]
fn more_streams_come_before_easier_levels() {
    let busiest = |mbit| {
        let mut run = Run::regulated(World { cores: 4.0, ..World::new(mbit, 100 * MS) });
        let streams = (0..800).map(|_| {
            run.tick(f64::MAX);
            run.effort().streams
        });
        streams.skip(400).max().unwrap()
    };
    assert_eq!(busiest(10.0), STREAMS_MIN);
    assert_eq!(busiest(1500.0), 4);
}

#[test]
fn a_processor_that_others_take_lowers_the_level_within_a_second() {
    let mut run = Run::regulated(World::new(100.0, 100 * MS));
    (0..200).for_each(|_| run.tick(f64::MAX));
    let before = run.levels.last().copied().flatten().unwrap();
    run.world.others = 1.7;
    (0..100).for_each(|_| run.tick(f64::MAX));
    let after = run.levels.last().copied().flatten().unwrap();
    assert!(before >= 7 && after <= 3, "{before}, then {after}");
    // What the link lacked meanwhile, of the seconds that have passed.
    let lacked = run.left_over / run.world.link_rate;
    assert!(lacked < 1.0, "{lacked:.2} s");
}

#[test]
fn a_transport_that_gets_too_little_of_the_processor_is_no_slow_link() {
    let mut run = Run::regulated(World::new(100.0, 100 * MS));
    (0..100).for_each(|_| run.tick(f64::MAX));
    let before = run.levels.last().copied().flatten();
    // For a second the link seems ten times slower, and nothing is hungry.
    run.world.link_rate /= 10.0;
    (0..20).for_each(|_| run.tick(f64::MAX));
    assert!(run.levels.last().copied().flatten() <= before.max(Some(12)));
}

#[test]
fn a_source_that_is_slow_teaches_nothing() {
    let world = World { source_rate: 1e6, ..World::new(100.0, 100 * MS) };
    let mut run = Run::regulated(world);
    let before = run.effort();
    (0..200).for_each(|_| run.tick(f64::MAX));
    assert_eq!(run.effort(), before);
}

#[test]
fn an_agent_that_asks_for_no_more_than_the_link_takes_does_not_hide_it() {
    let mut regulator = Regulator::new(100 * MS, 1e6, 2);
    for _ in 0..200 {
        regulator.handle_interval(&Interval {
            elapsed: TICK,
            starved: TICK * 9 / 10,
            compressing: TICK / 10,
            nominal: TICK / 10,
            dense: 1_000_000,
            squeezed: 210_000,
            written: 210_000,
            sent: 215_000,
            ..Interval::default()
        });
    }
    assert!(regulator.effort().level > Some(9), "{:?}", regulator.effort());
}

#[test]
fn nobody_waits_for_bytes_that_were_miscounted() {
    let mut regulator = Regulator::new(100 * MS, 1e6, 2);
    let written =
        Interval { elapsed: TICK, written: 5_000_000, sent: 50_000, ..Interval::default() };
    regulator.handle_interval(&Interval { allowed_rate: 1e6, ..written });
    assert!(regulator.has_ample(0));
    let still = Interval { elapsed: TICK, allowed_rate: 1e6, ..Interval::default() };
    (0..20).for_each(|_| regulator.handle_interval(&still));
    assert!(!regulator.has_ample(0));
}

#[test]
fn what_does_not_shrink_is_not_tried_hard() {
    let world = World { density: 9.0, ..World::new(100.0, 100 * MS) };
    let mut run = Run::regulated(world);
    (0..100).for_each(|_| run.tick(f64::MAX));
    assert_eq!(run.effort().level, Some(1));
}

#[test]
fn a_link_that_becomes_fast_is_followed_once_what_waits_has_left() {
    let mut run = Run::regulated(World::new(0.8, 100 * MS));
    (0..400).for_each(|_| run.tick(f64::MAX));
    assert!(run.effort().level >= Some(17));
    // 16 MB take 1.3 s.
    run.world.link_rate = 12.5e6;
    (0..50).for_each(|_| run.tick(f64::MAX));
    assert!(run.effort().level.is_some_and(|level| level <= 12), "{:?}", run.effort());
}
