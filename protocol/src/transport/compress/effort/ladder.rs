//! What the levels cost: the ladder, and [`Pace`], how fast this machine climbs it.

use std::time::Duration;

/// A level of zstd that differs from its neighbours in what it gives, and how fast it is beside them: MB/s on source code, one
/// core of a server of 2023, tables as bounded in `context`. Only the proportions matter.
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
/// The hardest rung.
pub(super) const TOP: usize = LADDER.len() - 1;
/// Share of what is known that the latest compressing replaces, when it took as long as `PACE_SPAN` or longer.
const PACE_SPAN: Duration = Duration::from_millis(500);

/// Level of zstd of a rung.
pub(super) fn level(rung: usize) -> i32 {
    LADDER[rung].0
}

/// Bytes a second that one stream takes by the ladder.
pub(super) fn speed(rung: usize) -> f64 {
    LADDER[rung].1 * 1e6
}

/// How many times faster `rung` is than `other`.
pub(super) fn gain(rung: usize, other: usize) -> f64 {
    speed(rung) / speed(other)
}

/// What compressing so much at a level would take by the ladder; levels between two rungs take what the harder one takes.
pub(in super::super::super) fn nominal(level: i32, dense_bytes: usize) -> Duration {
    let row = LADDER.iter().find(|row| row.0 >= level).unwrap_or(&LADDER[TOP]);
    Duration::from_secs_f64(dense_bytes as f64 / (row.1 * 1e6))
}

/// How fast this machine compresses this data at the moment, whoever else uses its processor.
///
/// It is the same at all levels, so that batches of different levels tell of the same thing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// Time that compressing took, all in all, and what it would have taken by the ladder; in seconds.
    took: f64,
    nominal: f64,
    /// Bytes before and after.
    dense: f64,
    squeezed: f64,
}

impl Pace {
    /// Learns from some compressing; what was known before fades.
    pub(super) fn learn(&mut self, took: Duration, nominal: Duration, dense: u64, squeezed: u64) {
        let keeps = 1.0 / (1.0 + took.as_secs_f64() / PACE_SPAN.as_secs_f64());
        let fade = |known: &mut f64, new: f64| *known = keeps * *known + new;
        fade(&mut self.took, took.as_secs_f64());
        fade(&mut self.nominal, nominal.as_secs_f64());
        fade(&mut self.dense, dense as f64);
        fade(&mut self.squeezed, squeezed as f64);
    }

    /// Bytes a second that come out of one stream at this rung; `None` while nothing was compressed.
    pub(super) fn output(&self, rung: usize) -> Option<f64> {
        let is_known = self.took > 0.0 && self.dense > 0.0;
        is_known.then(|| speed(rung) * self.nominal / self.took * self.squeezed / self.dense)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn the_pace_is_the_same_whatever_the_level() {
        let paces = [0, 4, TOP].map(|rung| {
            let mut pace = Pace::default();
            let nominal = nominal(level(rung), MIB);
            pace.learn(nominal * 2, nominal, MIB as u64, MIB as u64 / 5);
            pace.output(0).unwrap()
        });
        assert!(paces.iter().all(|pace| (pace / 33e6 - 1.0).abs() < 1e-3), "{paces:?}");
    }

    #[test]
    fn a_machine_that_becomes_slow_is_known_soon() {
        let mut pace = Pace::default();
        let nominal = nominal(5, MIB);
        for slowness in [1, 4] {
            let took = nominal * slowness;
            (0..1500 / took.as_millis().max(1)).for_each(|_| {
                pace.learn(took, nominal, MIB as u64, MIB as u64 / 5);
            });
        }
        let slow = pace.output(2).unwrap();
        assert!((slow / (25e6 / 4.0) - 1.0).abs() < 0.3, "{slow}");
    }

    #[test]
    fn levels_that_are_no_rung_count_as_the_next_harder() {
        assert_eq!(nominal(4, MIB), nominal(5, MIB));
        assert_eq!(nominal(22, MIB), nominal(19, MIB));
    }

    #[test]
    fn nothing_is_known_before_something_was_compressed() {
        assert!(Pace::default().output(0).is_none());
    }
}
