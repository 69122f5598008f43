//! Switches for the age of files, and how [`Age`]s become times.

use std::ffi::OsStr;

use jiff::Zoned;
use jiff::civil::Date;
use quicopy_protocol::meta::Timestamp;
use quicopy_protocol::options::TimeRange;

use super::switch::{BadValue, Group, Switch, number};

const WANTED: &str = "a number of days below 1900, or a date as YYYYMMDD";
const LAST_ACCESS: &str =
    "last access is what the mount keeps: up to a day old with relatime, never new with noatime";

pub(super) const GROUP: Group = Group {
    title: "Age",
    rows: &[
        Switch::value(
            "/MAXAGE",
            "DAYS|DATE",
            "max-age",
            "Leave out files last written before so many days, or that date",
            |raw, value| {
                raw.max_age = Some(Age::parse(value)?);
                Ok(())
            },
        ),
        Switch::value(
            "/MINAGE",
            "DAYS|DATE",
            "min-age",
            "Leave out files last written since",
            |raw, value| {
                raw.min_age = Some(Age::parse(value)?);
                Ok(())
            },
        ),
        Switch::value(
            "/MAXLAD",
            "DAYS|DATE",
            "max-last-access",
            "Leave out files last read before",
            |raw, value| {
                raw.max_access_age = Some(Age::parse(value)?);
                Ok(())
            },
        )
        .translated(LAST_ACCESS),
        Switch::value(
            "/MINLAD",
            "DAYS|DATE",
            "min-last-access",
            "Leave out files last read since",
            |raw, value| {
                raw.min_access_age = Some(Age::parse(value)?);
                Ok(())
            },
        )
        .translated(LAST_ACCESS),
    ],
};

/// Numbers from here on are dates. Source: Robocopy's help text.
const DAYS_END: u32 = 1900;

const DAY_SECONDS: i64 = 86_400;

/// How old something may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Age {
    /// So many days before the job starts, 0 to 1,899, to the second and not to midnight.
    Days(u32),
    /// Since the midnight with which a date begins, in local time.
    Since(Date),
}

impl Age {
    fn parse(value: &OsStr) -> Result<Self, BadValue> {
        let number: u32 = number(value, WANTED)?;
        if number < DAYS_END {
            return Ok(Self::Days(number));
        }
        let part = |divisor, modulus| number / divisor % modulus;
        let date = || {
            let year = i16::try_from(number / 10_000).ok()?;
            let (month, day) =
                (i8::try_from(part(100, 100)).ok()?, i8::try_from(part(1, 100)).ok()?);
            Date::new(year, month, day).ok()
        };
        date().map(Self::Since).ok_or(BadValue::new(WANTED))
    }

    /// The second that it means for a job that starts at `now`, in whose zone dates begin.
    fn second(self, now: &Zoned) -> i64 {
        match self {
            Self::Days(days) => now.timestamp().as_second() - i64::from(days) * DAY_SECONDS,
            // Only years beyond 9998 are no time in some zone: as far off as can be.
            Self::Since(date) => date
                .to_zoned(now.time_zone().clone())
                .map_or(i64::MAX, |midnight| midnight.timestamp().as_second()),
        }
    }
}

/// The times of files that are at most `oldest` and at least `youngest` old.
pub(super) fn range(oldest: Option<Age>, youngest: Option<Age>, now: &Zoned) -> TimeRange {
    let time = |age: Age| Timestamp { seconds: age.second(now), nanos: 0 };
    TimeRange { from: oldest.map(time), to: youngest.map(time) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn second(value: &str, now: &str) -> i64 {
        Age::parse(OsStr::new(value)).unwrap().second(&now.parse().unwrap())
    }

    #[test]
    fn days_count_back_from_the_start_to_the_second() {
        let now = "2024-03-31T12:00:05.9+02:00[Europe/Berlin]";
        let start: Zoned = now.parse().unwrap();
        assert_eq!(second("2", now), start.timestamp().as_second() - 2 * DAY_SECONDS);
        assert_eq!(second("0", now), start.timestamp().as_second());
        assert_eq!(second("1899", now), start.timestamp().as_second() - 1899 * DAY_SECONDS);
    }

    #[test]
    fn a_date_begins_at_local_midnight() {
        let now = "2024-06-01T12:00:00+02:00[Europe/Berlin]";
        let midnight: jiff::Timestamp = "2024-01-01T00:00:00+01:00".parse().unwrap();
        assert_eq!(second("20240101", now), midnight.as_second());
    }

    #[test]
    fn what_is_neither_days_nor_a_date_is_refused() {
        for text in ["", "-1", "1900", "20240230", "20241301", "2024-01-01", "99999999999", "7d"] {
            assert!(Age::parse(OsStr::new(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn the_oldest_is_where_a_range_begins() {
        let now: Zoned = "2024-06-01T12:00:00+00:00[UTC]".parse().unwrap();
        let range = range(Some(Age::Days(7)), Some(Age::Days(1)), &now);
        let seconds = |time: Option<Timestamp>| time.unwrap().seconds;
        assert_eq!(seconds(range.to) - seconds(range.from), 6 * DAY_SECONDS);
        assert!(super::range(None, None, &now).is_open());
    }
}
