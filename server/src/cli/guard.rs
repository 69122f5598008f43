//! Switches that keep a job from doing harm.

use std::ffi::OsStr;

use quicopy_protocol::options::{ConflictPolicy, DeleteLimit};

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
