//! How late things were: [`Lateness`].

use std::{fmt, time::Duration};

/// Later than this is too late: a share of every round trip worth emulating that no controller could overlook.
pub const TOO_LATE: Duration = Duration::from_millis(1);

/// Steps to a power of two, which bounds the error of a quantile to 1/16.
const STEPS: u32 = 16;

/// A histogram with logarithmic buckets, so that it takes any number of delays and no memory to speak of.
#[derive(Clone, Debug)]
pub struct Lateness {
    buckets: Vec<u64>,
    count: u64,
    too_late: u64,
    most: Duration,
}

impl Default for Lateness {
    fn default() -> Self {
        Self { buckets: vec![0; bucket(u64::MAX) + 1], count: 0, too_late: 0, most: Duration::ZERO }
    }
}

impl Lateness {
    /// Takes one delay.
    pub fn record(&mut self, late: Duration) {
        let nanos = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanos)] += 1;
        self.count += 1;
        self.too_late += u64::from(late > TOO_LATE);
        self.most = self.most.max(late);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The delay that `share` of them, 0 to 1, did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return Duration::from_nanos(least(index)).min(self.most);
            }
        }
        Duration::ZERO
    }

    /// The longest.
    pub fn most(&self) -> Duration {
        self.most
    }

    /// Share of them, 0 to 1, beyond [`TOO_LATE`].
    pub fn too_late(&self) -> f64 {
        self.too_late as f64 / self.count.max(1) as f64
    }
}

impl fmt::Display for Lateness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "median {:.3} ms, p99 {:.3} ms, most {:.1} ms, {:.2} % later than 1 ms",
            self.quantile(0.5).as_secs_f64() * 1e3,
            self.quantile(0.99).as_secs_f64() * 1e3,
            self.most.as_secs_f64() * 1e3,
            self.too_late() * 100.0,
        )
    }
}

/// Below [`STEPS`] one bucket a nanosecond, then so many to each power of two.
fn bucket(nanos: u64) -> usize {
    let power = nanos.max(1).ilog2();
    if nanos < u64::from(STEPS) {
        return nanos as usize;
    }
    let step = (nanos >> (power - STEPS.ilog2())) - u64::from(STEPS);
    ((power - STEPS.ilog2() + 1) * STEPS) as usize + step as usize
}

/// The least number of nanoseconds in a bucket.
fn least(index: usize) -> u64 {
    let (power, step) = (index as u32 / STEPS, index as u64 % u64::from(STEPS));
    if power == 0 { step } else { (u64::from(STEPS) + step) << (power - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for index in 1..bucket(u64::MAX) {
            assert_eq!(bucket(least(index)), index);
            assert_eq!(bucket(least(index) - 1), index - 1);
        }
    }

    #[test]
    fn quantiles_are_right_within_a_step() {
        let mut all = Lateness::default();
        (1..=1000).for_each(|us| all.record(Duration::from_micros(us)));
        let median = all.quantile(0.5).as_secs_f64() * 1e6;
        assert!((468.0..=501.0).contains(&median), "{median}");
        assert_eq!(all.most(), Duration::from_millis(1));
        assert_eq!(all.too_late(), 0.0);
        all.record(Duration::from_millis(2));
        assert!(all.too_late() > 0.0);
    }

    #[test]
    fn nothing_was_never_late() {
        assert_eq!(Lateness::default().quantile(0.99), Duration::ZERO);
    }
}
