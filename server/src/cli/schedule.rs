//! Switches that say when a job runs: [`Monitor`] (`/MON`, `/MOT`) and [`RunHours`] (`/RH`, `/PF`).

use std::ffi::OsStr;
use std::fmt;

use super::rate::Hours;
use super::switch::{BadValue, Group, Switch, number};

pub(super) const GROUP: Group = Group {
    title: "Schedule",
    rows: &[
        Switch::value(
            "/MON",
            "N",
            "monitor-changes",
            "Run again whenever N changes were seen, for ever",
            |raw, value| {
                raw.monitor_changes = Some(count(value, "a number of changes, 1 or more")?);
                Ok(())
            },
        ),
        Switch::value(
            "/MOT",
            "M",
            "monitor-minutes",
            "Run again after M minutes if something changed, for ever",
            |raw, value| {
                raw.monitor_minutes = Some(count(value, "a number of minutes, 1 or more")?);
                Ok(())
            },
        ),
        Switch::value(
            "/RH",
            "HHMM-HHMM",
            "run-hours",
            "Start copies at these hours only, in local time",
            |raw, value| {
                raw.run_hours = Some(parse_window(value)?);
                Ok(())
            },
        ),
        Switch::flag("/PF", "per-file", "Look at /RH before each file, not each pass", |raw| {
            raw.run_hours_per_file = true;
        }),
    ],
};

fn count(value: &OsStr, wanted: &'static str) -> Result<u32, BadValue> {
    match number(value, wanted)? {
        0 => Err(BadValue::new(wanted)),
        count => Ok(count),
    }
}

/// Run again and again, each time after so many changes and so many minutes; both must have come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Monitor {
    /// Changes in the source since the last run, 1 or more.
    pub changes: u32,
    /// Minutes since the last run, 1 or more.
    pub minutes: u32,
}

impl Monitor {
    /// What `/MON` and `/MOT` come to; `None` if neither was given.
    ///
    /// The one that is missing is 1. Source: Robocopy's own line, `Waiting for 1 minutes and 1 changes`.
    pub(super) fn of(changes: Option<u32>, minutes: Option<u32>) -> Option<Self> {
        let given = changes.or(minutes).is_some();
        given.then(|| Self { changes: changes.unwrap_or(1), minutes: minutes.unwrap_or(1) })
    }
}

/// When copies may start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RunHours {
    /// The window, in local time.
    pub hours: Hours,
    /// The clock is looked at before each file (`/PF`), not only before each pass over the source.
    pub per_file: bool,
}

/// A window must be longer than so many minutes. Source: Robocopy's documentation.
const WINDOW_MINUTES_MIN: u16 = 2;

const DAY_MINUTES: u16 = 24 * 60;

/// The value of `/RH`, `hhmm-hhmm`.
fn parse_window(value: &OsStr) -> Result<Hours, BadValue> {
    let wanted = || BadValue::new("hours such as 1800-0600, over two minutes long");
    let hours = value.to_str().and_then(Hours::parse).ok_or_else(wanted)?;
    let minutes = (DAY_MINUTES + hours.to_minute - hours.from_minute) % DAY_MINUTES;
    if minutes > WINDOW_MINUTES_MIN { Ok(hours) } else { Err(wanted()) }
}

impl fmt::Display for Hours {
    /// `hhmm-hhmm`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from_minute: from, to_minute: to } = self;
        write!(f, "{:02}{:02}-{:02}{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_half_of_a_monitor_is_one() {
        let monitor = |changes, minutes| Some(Monitor { changes, minutes });
        assert_eq!(Monitor::of(None, None), None);
        assert_eq!(Monitor::of(Some(3), None), monitor(3, 1));
        assert_eq!(Monitor::of(None, Some(5)), monitor(1, 5));
        assert_eq!(Monitor::of(Some(3), Some(5)), monitor(3, 5));
    }

    #[test]
    fn a_window_may_cross_midnight_and_is_longer_than_two_minutes() {
        let parse = |text: &str| parse_window(OsStr::new(text));
        for text in ["1700-0900", "0000-0003", "2359-0002"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        for text in
            ["", "0000-0002", "2359-0001", "0800-0800", "800-1800", "0800-2400", "0860-1000"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
