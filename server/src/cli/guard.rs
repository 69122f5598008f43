//! Switches that keep a job from doing harm.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use quicopy_protocol::options::{ConflictPolicy, DeleteLimit, PlanId};
use quicopy_protocol::path::Name;

use super::raw::RawOptions;
use super::switch::{BadValue, Group, Switch, number};

pub(super) const GROUP: Group = Group {
    title: "Guard",
    rows: &[
        Switch::flag("/L", "list-only", "List what would be done, change nothing", |raw| {
            raw.list_only = true;
        }),
        Switch::value(
            "/MAXDELETE",
            "N|N%",
            "max-delete",
            "Delete nothing if more than N entries, or N %, would go",
            set_max_delete,
        ),
        Switch::value(
            "/CONFLICT",
            "POLICY",
            "conflict",
            "What was changed at the destination: overwrite, skip, keep, fail",
            set_conflict,
        )
        .or("overwrite"),
        Switch::flag(
            "/FORCE",
            "force",
            "Go on where a guard asks to be sure, as with an empty source",
            |raw| {
                raw.force = true;
            },
        ),
        Switch::optional(
            "/TRASH",
            ("DAYS", "7"),
            "trash",
            "Keep what is overwritten or deleted aside for so many days",
            |raw, value| {
                const WANTED: &str = "a number of days from 1 to 3650";
                match number(value, WANTED)? {
                    days @ 1..=3650 => raw.trash_days = Some(days),
                    _ => return Err(BadValue::new(WANTED)),
                }
                Ok(())
            },
        ),
        Switch::value(
            "/PLAN",
            "ID",
            "plan",
            "Do what /L listed under that ID, and nothing if it is no longer the same",
            |raw, value| {
                raw.plan = Some(parse_plan(value).ok_or(BadValue::new("the ID that /L printed"))?);
                Ok(())
            },
        ),
        Switch::value(
            "",
            "NAME",
            "require-marker",
            "Delete nothing unless the source's root holds an entry of that name",
            |raw, value| {
                let name = Name::new(value.as_bytes());
                raw.marker = Some(name.map_err(|_| BadValue::new("a name without a path"))?);
                Ok(())
            },
        )
        .long_only(),
    ],
};

fn set_max_delete(raw: &mut RawOptions, value: &OsStr) -> Result<(), BadValue> {
    const WANTED: &str = "a number of entries, or of percent from 0% to 100%";
    let limit = match value.to_str().and_then(|text| text.strip_suffix('%')) {
        Some(percent) => match number(OsStr::new(percent), WANTED)? {
            percent @ 0..=100 => DeleteLimit::Percent(percent),
            _ => return Err(BadValue::new(WANTED)),
        },
        None => DeleteLimit::Count(number(value, WANTED)?),
    };
    raw.max_delete = Some(limit);
    Ok(())
}

/// Reads the 32 hexadecimal digits that a [`PlanId`] is shown as.
fn parse_plan(value: &OsStr) -> Option<PlanId> {
    let text = value.to_str().filter(|text| text.len() == 32)?;
    // `from_str_radix` would take a plus sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = digits.then(|| u128::from_str_radix(text, 16).ok())??;
    Some(PlanId(number.to_be_bytes()))
}

fn set_conflict(raw: &mut RawOptions, value: &OsStr) -> Result<(), BadValue> {
    let policy = match value.to_ascii_lowercase().to_str() {
        Some("overwrite") => ConflictPolicy::Overwrite,
        Some("skip") => ConflictPolicy::Skip,
        Some("keep") => ConflictPolicy::Keep,
        Some("fail") => ConflictPolicy::Fail,
        _ => return Err(BadValue::new("one of overwrite, skip, keep, fail")),
    };
    raw.conflict = Some(policy);
    Ok(())
}
