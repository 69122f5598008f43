//! How fast a job may send: [`Pace`], of `/BWLIMIT`, `/IoRate`, `/IPG` and `/Threshold` together.

use std::num::NonZeroU64;

use super::rate::Bandwidth;

/// Robocopy waits after so many bytes under `/IPG`. Source: measurements that others published, on which its users' tables rest.
const GAP_BLOCK_BYTES: u64 = 64 << 10;

/// Bounds on the rate at which content leaves, over all files of a job together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Pace {
    /// Most bytes a second, always (`/IoRate`, `/IPG`).
    pub rate: Option<NonZeroU64>,
    /// Most bytes a second, perhaps at some hours only (`/BWLIMIT`).
    pub bandwidth: Option<Bandwidth>,
    /// Files of fewer bytes leave at any rate (`/Threshold`); 0 bounds all.
    pub threshold_bytes: u64,
}

impl Pace {
    /// Most bytes a second at a minute of the local day (0 to 1,439), if there is a bound: the lowest that holds.
    pub fn limit_at(&self, minute: u16) -> Option<NonZeroU64> {
        let of_hours = self.bandwidth.and_then(|bandwidth| bandwidth.limit_at(minute));
        [self.rate, of_hours].into_iter().flatten().min()
    }

    /// Whether nothing is ever bounded.
    pub fn is_open(&self) -> bool {
        self.rate.is_none() && self.bandwidth.is_none()
    }

    /// Whether a file of so many bytes is bounded.
    pub fn bounds(&self, file_bytes: u64) -> bool {
        file_bytes >= self.threshold_bytes
    }
}

/// The rate that gaps of so many milliseconds after every 64 KiB cannot exceed, however fast the link: 65,536,000 / n bytes a second.
/// No gap bounds nothing.
pub(super) fn rate_of_gap(milliseconds: u32) -> Option<NonZeroU64> {
    let rate = (GAP_BLOCK_BYTES * 1000).checked_div(milliseconds.into())?;
    Some(NonZeroU64::new(rate).unwrap_or(NonZeroU64::MIN))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_comes_to_a_rate() {
        for (milliseconds, rate) in [
            (1, 65_536_000),
            (10, 6_553_600),
            (100, 655_360),
            (1000, 65_536),
            (u32::MAX, 1),
            (0, 0),
        ] {
            assert_eq!(rate_of_gap(milliseconds), NonZeroU64::new(rate));
        }
    }

    #[test]
    fn of_several_bounds_the_lowest_holds() {
        let pace = Pace {
            rate: NonZeroU64::new(2 << 20),
            bandwidth: Some(Bandwidth::parse("1M@0800-1800".as_ref()).unwrap()),
            threshold_bytes: 100,
        };
        assert_eq!(pace.limit_at(9 * 60).map(NonZeroU64::get), Some(1 << 20));
        assert_eq!(pace.limit_at(20 * 60).map(NonZeroU64::get), Some(2 << 20));
        assert_eq!(Pace::default().limit_at(0), None);
        assert!(!pace.bounds(99) && pace.bounds(100) && Pace::default().bounds(0));
    }
}
