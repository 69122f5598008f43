//! `/RH`: waiting until the job's hours come.

use std::time::Duration;

use jiff::{SignedDuration, Zoned};
use quicopy_engine::source::StopFlag;

use crate::cli::Hours;
use crate::report::ReportEvent;

/// How soon a clock that was set, or a machine that slept, is noticed.
const LOOK: Duration = Duration::from_secs(60);

/// The minute of the day, 0 to 1,439.
pub(super) fn minute_of_day(now: &Zoned) -> u16 {
    u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs())
}

/// When the hours come next; `None` if they are now.
///
/// On the day on which clocks skip their beginning that is when the clock stands where it would have stood; whoever waits looks
/// again meanwhile, and finds what is left of them.
fn opening(hours: Hours, now: &Zoned) -> Option<Zoned> {
    if hours.contains(minute_of_day(now)) {
        return None;
    }
    let [hour, minute] = [hours.from_minute / 60, hours.from_minute % 60]
        .map(|part| i8::try_from(part).unwrap_or(0));
    let on = |day: jiff::civil::Date| {
        day.at(hour, minute, 0, 0).to_zoned(now.time_zone().clone()).ok().filter(|at| at > now)
    };
    let today = on(now.date());
    let opening = today.or_else(|| on(now.date().tomorrow().ok()?));
    // Beyond what a calendar holds, and where a day has lost those hours.
    Some(opening.unwrap_or_else(|| now.saturating_add(SignedDuration::from_mins(1))))
}

/// Waits until the hours come, or the user asks to stop: then it says so.
pub(super) fn wait(hours: Hours, stop: &StopFlag, tell: impl Fn(ReportEvent)) -> bool {
    let mut is_told = false;
    loop {
        let now = Zoned::now();
        let Some(until) = opening(hours, &now) else { return stop.is_set() };
        if !std::mem::replace(&mut is_told, true) {
            tell(ReportEvent::Paused { until: until.timestamp() });
        }
        let left = Duration::try_from(now.duration_until(&until)).unwrap_or_default();
        if stop.wait(left.min(LOOK)) {
            return true;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;

    /// When hours come, asked at a time in Berlin: there clocks go from 2 to 3 on 2026-03-29, and from 3 to 2 on 2026-10-25.
    fn check((from_minute, to_minute): (u16, u16), now: &str, expected: Option<&str>) {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let zoned = |text: &str| text.parse::<Timestamp>().unwrap().to_zoned(berlin.clone());
        let opens = opening(Hours { from_minute, to_minute }, &zoned(now));
        assert_eq!(opens, expected.map(zoned), "{now}");
    }

    #[test]
    fn a_job_waits_for_the_next_beginning_of_its_hours() {
        let evening = (18 * 60, 20 * 60);
        check(evening, "2026-01-10T18:00+01", None);
        check(evening, "2026-01-10T19:59:59+01", None);
        check(evening, "2026-01-10T20:00+01", Some("2026-01-11T18:00+01"));
        check(evening, "2026-01-10T17:59:30+01", Some("2026-01-10T18:00+01"));
        check(evening, "2025-12-31T23:00+01", Some("2026-01-01T18:00+01"));
    }

    #[test]
    fn hours_may_lie_across_midnight() {
        let night = (23 * 60, 60);
        check(night, "2026-01-10T00:30+01", None);
        check(night, "2026-01-10T23:00+01", None);
        check(night, "2026-01-10T01:00+01", Some("2026-01-10T23:00+01"));
    }

    #[test]
    fn clocks_that_change_neither_lose_the_hours_for_good_nor_hold_the_job_for_ever() {
        let early = (2 * 60 + 30, 3 * 60 + 30);
        check(early, "2026-03-29T01:00+01", Some("2026-03-29T03:30+02"));
        check(early, "2026-03-29T03:00+02", None);
        check(early, "2026-03-29T03:30+02", Some("2026-03-30T02:30+02"));
        check(early, "2026-10-25T01:00+02", Some("2026-10-25T02:30+02"));
        check(early, "2026-10-25T02:00+01", Some("2026-10-26T02:30+01"));
        check(early, "2026-10-25T02:30+01", None);
    }

    #[test]
    fn who_asks_to_stop_need_not_wait_for_the_hours() {
        let now = Zoned::now();
        let minute = minute_of_day(&now);
        let hours = Hours { from_minute: (minute + 600) % 1440, to_minute: (minute + 660) % 1440 };
        let stop = StopFlag::default();
        stop.set();
        assert!(wait(hours, &stop, |_| {}));
    }
}
