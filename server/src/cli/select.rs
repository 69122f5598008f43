//! Switches that choose what takes part.

use super::switch::{Group, Switch, number};

const BYTES: &str = "a number of bytes";

pub(super) const GROUP: Group = Group {
    title: "Select",
    rows: &[
        Switch::list(
            "/IF",
            "PATTERN",
            "include-file",
            "Copy only files of these names, like FILE",
            |raw, item| {
                raw.include_files.push(item.to_owned());
                Ok(())
            },
        ),
        Switch::list(
            "/XF",
            "NAME",
            "exclude-file",
            "Leave out files of these names or paths (* and ?)",
            |raw, item| {
                raw.exclude_files.push(item.to_owned());
                Ok(())
            },
        ),
        Switch::list(
            "/XD",
            "NAME",
            "exclude-dir",
            "Leave out directories of these names or paths",
            |raw, item| {
                raw.exclude_dirs.push(item.to_owned());
                Ok(())
            },
        ),
        Switch::flag(
            "/XC",
            "exclude-changed",
            "Leave out files of the same time but another size",
            |raw| {
                raw.classes.exclude_changed = true;
            },
        ),
        Switch::flag(
            "/XN",
            "exclude-newer",
            "Leave out files that are newer than the destination's",
            |raw| {
                raw.classes.exclude_newer = true;
            },
        ),
        Switch::flag(
            "/XO",
            "exclude-older",
            "Leave out files that are older than the destination's",
            |raw| {
                raw.classes.exclude_older = true;
            },
        ),
        Switch::flag(
            "/XX",
            "exclude-extra",
            "Neither report nor delete what only the destination has",
            |raw| {
                raw.classes.exclude_extra = true;
            },
        ),
        Switch::flag("/XL", "exclude-lonely", "Leave out what only the source has", |raw| {
            raw.classes.exclude_lonely = true;
        }),
        Switch::flag("/IS", "include-same", "Copy files that look the same, too", |raw| {
            raw.classes.include_same = true;
        }),
        Switch::flag(
            "/IT",
            "include-tweaked",
            "Copy attributes of files that differ in nothing else",
            |raw| {
                raw.classes.include_tweaked = true;
            },
        ),
        Switch::flag(
            "/IM",
            "include-modified",
            "Copy files that look the same and are not",
            |raw| raw.include_modified = true,
        )
        .translated("files that look the same are compared by their content: change times are each machine's own"),
        Switch::flag(
            "/VERIFY",
            "verify",
            "Compare every file on both sides by its content",
            |raw| raw.verify = true,
        ),
        Switch::value("/MAX", "BYTES", "max-size", "Leave out larger files", |raw, value| {
            raw.max_bytes = Some(number(value, BYTES)?);
            Ok(())
        }),
        Switch::value("/MIN", "BYTES", "min-size", "Leave out smaller files", |raw, value| {
            raw.min_bytes = Some(number(value, BYTES)?);
            Ok(())
        }),
        Switch::flag("/XJ", "exclude-links", "Leave out symbolic links, and mount points", |raw| {
            raw.links.exclude_dirs = true;
            raw.links.exclude_files = true;
        }),
        Switch::flag(
            "/XJD",
            "exclude-dir-links",
            "Leave out links to directories, and mount points",
            |raw| {
                raw.links.exclude_dirs = true;
            },
        ),
        Switch::flag("/XJF", "exclude-file-links", "Leave out links to files", |raw| {
            raw.links.exclude_files = true;
        }),
        Switch::flag("/FFT", "fat-times", "Take times up to 2 seconds apart as equal", |raw| {
            raw.tolerance.fat = true;
        }),
        Switch::flag("/DST", "dst-times", "Take times exactly one hour apart as equal", |raw| {
            raw.tolerance.daylight_saving = true;
        }),
    ],
};
