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
        Switch::flag("/REG", "remember", "Make /R and /W the defaults of later jobs", |raw| {
            raw.remember = true;
        })
        .translated("kept in defaults.toml beside the sender's configuration, for this user"),
        Switch::flag("/TBD", "wait-for-share", "Try again, too, when the share is not there yet", |raw| {
            raw.tbd = true;
        })
        .translated("a share that the agent does not know, or that is offline, is tried again under /R and /W"),
    ],
};
