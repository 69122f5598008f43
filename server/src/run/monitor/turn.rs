//! When the next run of a monitor is due: [`Turn`].

use std::time::{Duration, Instant};

use super::changes::Seen;
use crate::cli::Monitor;

/// The source is listed at least so often, whatever was seen: what happens behind links, or on another machine that shares the
/// disk, nobody tells.
const FULL_SCAN: Duration = Duration::from_secs(3600);

/// The wait between two runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    monitor: Monitor,
    since: Instant,
}

impl Turn {
    /// The wait after a run that ended at `since`.
    pub(super) fn new(monitor: Monitor, since: Instant) -> Self {
        Self { monitor, since }
    }

    /// Whether the next run is due: enough minutes have passed, and enough has changed, or nobody knows how much, or an hour is
    /// over.
    pub(super) fn is_due(&self, now: Instant, seen: Seen) -> bool {
        let passed = now.saturating_duration_since(self.since);
        let enough_changes = match seen {
            Seen::Changes(changes) => changes >= u64::from(self.monitor.changes),
            Seen::Unknown => true,
        };
        passed >= Duration::from_secs(60 * u64::from(self.monitor.minutes))
            && (enough_changes || passed >= FULL_SCAN)
    }

    /// Whole minutes that have passed.
    pub(super) fn minutes(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.since).as_secs() / 60
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The minute in which the next run begins, if so many changes are seen at some minutes.
    fn check((changes, minutes): (u32, u32), seen: impl Fn(u64) -> Seen, expected: u64) {
        let start = Instant::now();
        let turn = Turn::new(Monitor { changes, minutes }, start);
        let at = |second| start + Duration::from_secs(second);
        let due = (0..).find(|second| turn.is_due(at(*second), seen(second / 60)));
        assert_eq!(due, Some(expected * 60), "/MON:{changes} /MOT:{minutes}");
    }

    #[test]
    fn a_run_takes_enough_changes_and_enough_minutes() {
        check((1, 1), |_| Seen::Changes(1), 1);
        check((1, 5), |_| Seen::Changes(9), 5);
        check((3, 5), |minute| Seen::Changes(minute / 4), 12);
        check((3, 1), |minute| Seen::Changes(if minute < 2 { 2 } else { 3 }), 2);
    }

    #[test]
    fn too_few_changes_wait_for_the_hourly_scan() {
        check((3, 5), |_| Seen::Changes(2), 60);
        check((3, 90), |_| Seen::Changes(0), 90);
    }

    #[test]
    fn what_nobody_knows_counts_as_enough_and_hurries_nobody() {
        check((1000, 5), |_| Seen::Unknown, 5);
        check((1000, 5), |minute| if minute < 7 { Seen::Changes(0) } else { Seen::Unknown }, 7);
    }

    #[test]
    fn minutes_are_whole_ones() {
        let start = Instant::now();
        let turn = Turn::new(Monitor { changes: 1, minutes: 1 }, start);
        for (seconds, minutes) in [(0, 0), (59, 0), (60, 1), (3599, 59)] {
            assert_eq!(turn.minutes(start + Duration::from_secs(seconds)), minutes);
        }
    }
}
