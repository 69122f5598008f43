//! Switches for failures that may pass.

use super::switch::{Group, Switch, number};

pub(super) const GROUP: Group = Group {
    title: "Retry",
    rows: &[
        Switch::value(
            "/R",
            "N",
            "retries",
            "Try a failed file, or a lost link, N times again",
            |raw, value| {
                raw.retries = Some(number(value, "a number of retries")?);
                Ok(())
            },
        )
        .or("3"),
        Switch::value("/W", "N", "wait", "Wait N seconds before each retry", |raw, value| {
            raw.wait_seconds = Some(number(value, "a number of seconds")?);
            Ok(())
        })
        .or("5"),
    ],
};
