//! A transfer second by second, from the samples of the link's counters.

use std::time::Duration;

use quicopy_tests::lab::emulator::Sample;

/// What site b received over time.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    samples: Vec<Sample>,
}

impl Series {
    /// From the samples of a whole lab.
    pub(crate) fn new(samples: Vec<Sample>) -> Self {
        Self { samples }
    }

    /// Bits a second of IP packets that came out between two times since the start of the lab.
    pub(crate) fn rate(&self, from: Duration, to: Duration) -> f64 {
        let span = to.saturating_sub(from).as_secs_f64();
        if span == 0.0 { 0.0 } else { (self.bytes_at(to) - self.bytes_at(from)) * 8.0 / span }
    }

    /// The rate of each whole second between two times.
    pub(crate) fn per_second(&self, from: Duration, to: Duration) -> Vec<f64> {
        let whole = to.saturating_sub(from).as_secs();
        let at = |second| from + Duration::from_secs(second);
        (0..whole).map(|second| self.rate(at(second), at(second + 1))).collect()
    }

    /// How long after `from` a half second began that had this rate or more.
    pub(crate) fn recovery(&self, from: Duration, to: Duration, rate: f64) -> Option<Duration> {
        const STEP: Duration = Duration::from_millis(50);
        const WINDOW: Duration = Duration::from_millis(500);
        let steps = (0..).map(|step| from + STEP * step).take_while(|at| *at + WINDOW <= to);
        steps.into_iter().find(|at| self.rate(*at, *at + WINDOW) >= rate).map(|at| at - from)
    }

    /// Delivered bytes at a time, drawn straight between two samples.
    fn bytes_at(&self, at: Duration) -> f64 {
        let after = self.samples.partition_point(|sample| sample.at <= at);
        let bytes = |sample: &Sample| sample.there.delivered_bytes as f64;
        match (
            after.checked_sub(1).and_then(|index| self.samples.get(index)),
            self.samples.get(after),
        ) {
            (Some(left), Some(right)) => {
                let part = (at - left.at).as_secs_f64() / (right.at - left.at).as_secs_f64();
                bytes(left) + (bytes(right) - bytes(left)) * part
            }
            (Some(only), None) | (None, Some(only)) => bytes(only),
            (None, None) => 0.0,
        }
    }
}

/// Rates in Mbit/s as one line.
pub(crate) fn line(rates: &[f64]) -> String {
    rates.iter().map(|rate| format!("{:.0}", rate / 1e6)).collect::<Vec<_>>().join(" ")
}

/// How evenly some share: 1 when all get the same, 1/n when one gets all.
///
/// Source: Jain, Chiu, Hawe: "A Quantitative Measure of Fairness", DEC TR-301, 1984.
pub(crate) fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    if squares == 0.0 { 1.0 } else { sum * sum / (shares.len() as f64 * squares) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// 1 Mbit/s, but for one second of nothing from the second on.
    fn series() -> Series {
        let samples = (0..=100).map(|tenth| {
            let at = f64::from(tenth) / 10.0;
            let mut sample = Sample { at: secs(at), ..Sample::default() };
            sample.there.delivered_bytes = (125_000.0 * (at.min(2.0) + (at - 3.0).max(0.0))) as u64;
            sample
        });
        Series::new(samples.collect())
    }

    #[test]
    fn a_second_without_packets_shows() {
        let rates = series().per_second(secs(0.05), secs(5.5));
        assert_eq!(line(&rates), "1 1 0 1 1");
        assert_eq!(rates.len(), 5);
    }

    #[test]
    fn a_recovery_takes_as_long_as_the_pause() {
        let found = series().recovery(secs(2.0), secs(9.0), 900_000.0);
        assert!(found.is_some_and(|found| (secs(0.9)..secs(1.05)).contains(&found)), "{found:?}");
        assert_eq!(series().recovery(secs(2.0), secs(9.0), 2e6), None);
    }

    #[test]
    fn sharing_evenly_is_one() {
        assert_eq!(jain(&[5.0, 5.0]), 1.0);
        assert_eq!(jain(&[5.0, 0.0]), 0.5);
        assert!((jain(&[60.0, 40.0]) - 0.9615).abs() < 1e-3);
    }
}
