//! Switches for the way between the sites.

use std::ffi::OsStr;
use std::num::NonZeroU64;

use quicopy_protocol::congestion::Policy;
use quicopy_protocol::transport::{Compression, LEVEL_MAX};

use super::rate::{Bandwidth, parse_rate, parse_size};
use super::raw::RawOptions;
use super::switch::{BadValue, Group, Switch, Treatment, number};

const SIZE: &str = "a number of bytes, such as 512K";
const RATE: &str = "a number of bytes a second above 0, such as 512K";

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
        Switch::optional(
            "/COMPRESS",
            ("MODE", "auto"),
            "compress",
            "Compress what shrinks: auto, as the link leaves time; off; LEVEL 1 to 19",
            set_compression,
        )
        .or("auto"),
        Switch::value(
            "/IPG",
            "N",
            "inter-packet-gap",
            "Wait N milliseconds after every 64 KiB; not with /MT",
            |raw, value| {
                raw.gap_milliseconds = Some(number(value, "a number of milliseconds")?);
                Ok(())
            },
        )
        .translated("a bound on the rate of all files together: 65,536,000 / N bytes a second"),
        Switch::value(
            "/IORATE",
            "N[KMG]",
            "io-rate",
            "Send at most N bytes a second, over all files together",
            |raw, value| {
                let rate = parse_size(value).and_then(NonZeroU64::new);
                raw.io_rate = Some(rate.ok_or(BadValue::new(RATE))?);
                Ok(())
            },
        ),
        Switch::value(
            "/THRESHOLD",
            "N[KMG]",
            "threshold",
            "Let files of less than N bytes pass at any rate",
            |raw, value| {
                raw.threshold_bytes = Some(parse_size(value).ok_or(BadValue::new(SIZE))?);
                Ok(())
            },
        ),
        Switch {
            treatment: Treatment::Note(
                "reads and writes have the size that suits the link and the disk",
            ),
            ..Switch::value(
                "/IOMAXSIZE",
                "N[KMG]",
                "io-max-size",
                "Read and write at most N bytes at once",
                |_, value| parse_size(value).map(drop).ok_or(BadValue::new(SIZE)),
            )
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
