//! Switches for the way between the sites.

use super::rate::Bandwidth;
use super::switch::{Group, Switch};

pub(super) const GROUP: Group = Group {
    title: "Network",
    rows: &[Switch::value(
        "/BWLIMIT",
        "RATE[@HHMM-HHMM]",
        "bandwidth-limit",
        "Send at most RATE bytes/s (800K; 10Mbit: bits/s), in those hours",
        |raw, value| {
            raw.bandwidth = Some(Bandwidth::parse(value)?);
            Ok(())
        },
    )],
};
