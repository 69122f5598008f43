//! Switches for the way between the sites.

use std::ffi::OsStr;

use quicopy_protocol::congestion::Policy;
use quicopy_protocol::transport::{Compression, LEVEL_MAX};

use super::rate::{Bandwidth, parse_rate};
use super::raw::RawOptions;
use super::switch::{BadValue, Group, Switch, Takes, number};

pub(super) const GROUP: Group = Group {
    title: "Network",
    rows: &[
        Switch::value(
            "/BWLIMIT",
            "RATE[@HHMM-HHMM]",
            "bandwidth-limit",
            "Send at most RATE bytes/s (800K; 10Mbit: bits/s), in those hours",
            |raw, value| {
                raw.bandwidth = Some(Bandwidth::parse(value)?);
                Ok(())
            },
        ),
        Switch::value(
            "/POLICY",
            "fair|low|fixed:RATE",
            "link-policy",
            "Take a fair share of the link, what others leave, or exactly RATE",
            |raw, value| {
                raw.link_policy = Some(parse_policy(value)?);
                Ok(())
            },
        ),
        Switch {
            slash: Some("/COMPRESS"),
            long: "compress",
            help: "Compress what shrinks: auto, as the link leaves time; off; LEVEL 1 to 19",
            default: Some("auto"),
            takes: Takes::Optional { name: "MODE", absent: "auto", set: set_compression },
        },
    ],
};

fn set_compression(raw: &mut RawOptions, value: &OsStr) -> Result<(), BadValue> {
    const WANTED: &str = "auto, off, or a level from 1 to 19";
    let text = value.to_ascii_lowercase();
    raw.compression = Some(match text.to_str() {
        Some("auto") => Compression::Auto,
        Some("off") => Compression::Off,
        _ => match number(&text, WANTED)? {
            level @ 1..=LEVEL_MAX => Compression::Level(level),
            _ => return Err(BadValue::new(WANTED)),
        },
    });
    Ok(())
}

fn parse_policy(value: &OsStr) -> Result<Policy, BadValue> {
    const WANTED: &str = "fair, low, or fixed: and a rate, such as fixed:98Mbit";
    let text = value.to_str().ok_or(BadValue::new(WANTED))?.to_ascii_lowercase();
    match (&*text, text.strip_prefix("fixed:").and_then(parse_rate)) {
        ("fair", _) => Ok(Policy::Fair),
        ("low", _) => Ok(Policy::Low),
        (_, Some(rate)) => Ok(Policy::Fixed(rate.get())),
        (_, None) => Err(BadValue::new(WANTED)),
    }
}
