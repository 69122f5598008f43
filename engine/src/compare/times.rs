//! When two times count as equal.

use std::cmp::Ordering;

use quicopy_protocol::meta::Timestamp;
use quicopy_protocol::options::Tolerance;

const HOUR_SECONDS: i64 = 3600;
const FAT_NANOS: u128 = 2_000_000_000;

/// What comparing two times must forgive: the job's wishes, and what the destination's file system cannot keep.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tolerances {
    /// What the job asks for (`/FFT`, `/DST`).
    pub asked: Tolerance,
    /// The step in which the destination keeps times, in nanoseconds: 1 for most, 100 for NTFS, 2,000,000,000 for FAT.
    /// 0 counts as 1.
    pub step_nanos: u64,
}

impl Tolerances {
    /// Tolerances for a destination that keeps nanoseconds.
    pub fn exact(asked: Tolerance) -> Self {
        Self { asked, step_nanos: 1 }
    }

    /// How the source's time stands to the destination's: [`Ordering::Greater`] when the source was written later.
    ///
    /// `/DST` forgives exactly one hour either way, within what is forgiven anyway.
    pub fn compare(&self, source: Timestamp, destination: Timestamp) -> Ordering {
        let shifted =
            |seconds: i64| Timestamp { seconds: source.seconds.saturating_add(seconds), ..source };
        let equal = self.near(source, destination)
            || self.asked.daylight_saving
                && (self.near(shifted(HOUR_SECONDS), destination)
                    || self.near(shifted(-HOUR_SECONDS), destination));
        if equal { Ordering::Equal } else { source.cmp(&destination) }
    }

    /// Whether the destination's time is what it keeps of the source's, whatever the job forgives.
    pub fn is_kept(&self, source: Timestamp, destination: Timestamp) -> bool {
        source == destination || self.round_down(source) == destination
    }

    // A copy keeps the source's time rounded down to the step. Rounding both and comparing the steps would call two
    // times within one step equal though neither is the other's copy; a distance below one step would do so across steps.
    fn near(&self, source: Timestamp, destination: Timestamp) -> bool {
        self.is_kept(source, destination)
            || self.asked.fat && source.abs_diff_nanos(destination) <= FAT_NANOS
    }

    fn round_down(&self, time: Timestamp) -> Timestamp {
        const SECOND: i128 = 1_000_000_000;
        let step = i128::from(self.step_nanos.max(1));
        let total = i128::from(time.seconds) * SECOND + i128::from(time.nanos);
        let rounded = total - total.rem_euclid(step);
        match i64::try_from(rounded.div_euclid(SECOND)) {
            Ok(seconds) => Timestamp { seconds, nanos: rounded.rem_euclid(SECOND) as u32 },
            Err(_) => time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONE: Tolerance = Tolerance { fat: false, daylight_saving: false };
    const FFT: Tolerance = Tolerance { fat: true, daylight_saving: false };
    const DST: Tolerance = Tolerance { fat: false, daylight_saving: true };
    const BOTH: Tolerance = Tolerance { fat: true, daylight_saving: true };

    fn time(seconds: f64) -> Timestamp {
        let whole = seconds.floor();
        Timestamp { seconds: whole as i64, nanos: ((seconds - whole) * 1e9).round() as u32 }
    }

    fn check(asked: Tolerance, step_nanos: u64, source: f64, destination: f64, result: Ordering) {
        let order = Tolerances { asked, step_nanos }.compare(time(source), time(destination));
        assert_eq!(order, result, "{source} to {destination} under {asked:?}, step {step_nanos}");
    }

    #[test]
    fn without_a_tolerance_a_nanosecond_counts() {
        check(NONE, 1, 10.0, 10.0, Ordering::Equal);
        check(NONE, 1, 10.000000001, 10.0, Ordering::Greater);
        check(NONE, 1, 10.0, 10.000000001, Ordering::Less);
        check(NONE, 0, 10.0, 10.0, Ordering::Equal);
    }

    #[test]
    fn fft_forgives_two_seconds_and_no_more() {
        check(FFT, 1, 10.9, 10.0, Ordering::Equal); // C23
        check(FFT, 1, 12.0, 10.0, Ordering::Equal);
        check(FFT, 1, 10.0, 12.0, Ordering::Equal);
        check(FFT, 1, 12.1, 10.0, Ordering::Greater);
        check(FFT, 1, 13.0, 10.0, Ordering::Greater); // C24
        check(FFT, 1, 10.0, 13.0, Ordering::Less);
    }

    #[test]
    fn dst_forgives_exactly_one_hour_within_the_active_tolerance() {
        check(DST, 1, 3610.0, 10.0, Ordering::Equal); // C25
        check(DST, 1, 10.0, 3610.0, Ordering::Equal);
        check(DST, 1, 3615.0, 10.0, Ordering::Greater); // C26
        check(DST, 1, 3611.0, 10.0, Ordering::Greater);
        check(BOTH, 1, 3611.0, 10.0, Ordering::Equal); // C27
        check(BOTH, 1, 3613.0, 10.0, Ordering::Greater);
        check(BOTH, 1, 11.0, 10.0, Ordering::Equal);
        check(DST, 1, 1810.0, 10.0, Ordering::Greater);
        check(DST, 1_000_000_000, 3610.7, 10.0, Ordering::Equal);
    }

    #[test]
    fn a_time_that_the_destination_rounded_down_is_equal() {
        check(NONE, 1_000_000_000, 10.7, 10.0, Ordering::Equal);
        check(NONE, 2_000_000_000, 11.7, 10.0, Ordering::Equal);
        check(NONE, 1_000_000_000, -0.5, -1.0, Ordering::Equal);
        check(NONE, 100, 10.000000150, 10.0000001, Ordering::Equal);
    }

    #[test]
    fn times_in_one_step_or_on_both_sides_of_its_edge_are_not_equal_for_that() {
        check(NONE, 1_000_000_000, 10.7, 11.0, Ordering::Less);
        check(NONE, 1_000_000_000, 11.0, 10.0, Ordering::Greater);
        check(NONE, 1_000_000_000, 10.2, 10.5, Ordering::Less);
        check(NONE, 1_000_000_000, 10.5, 10.5, Ordering::Equal);
    }

    proptest! {
        #[test]
        fn any_two_times_compare_and_a_copy_is_equal(
            seconds in any::<i64>(), nanos in 0u32..1_000_000_000, other in any::<i64>(), step in any::<u64>(),
            fat in any::<bool>(), daylight_saving in any::<bool>(),
        ) {
            let tolerances = Tolerances { asked: Tolerance { fat, daylight_saving }, step_nanos: step };
            let source = Timestamp { seconds, nanos };
            tolerances.compare(source, Timestamp { seconds: other, nanos: 0 });
            prop_assert_eq!(tolerances.compare(source, tolerances.round_down(source)), Ordering::Equal);
        }
    }
}
