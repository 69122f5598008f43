//! Switches for the report.

use std::ffi::OsStr;

use super::raw::RawOptions;
use super::switch::{BadValue, Group, Switch};
use crate::report::{LogEncoding, LogFile, LogMode};

pub(super) const GROUP: Group = Group {
    title: "Log",
    rows: &[
        Switch::value(
            "/LOG",
            "FILE",
            "log",
            "Write the report to FILE, in place of an older one; it is no file of its own job",
            |raw, value| set_log(raw, value, LogMode::Overwrite, LogEncoding::Utf8),
        ),
        Switch::value(
            "/LOG+",
            "FILE",
            "log-append",
            "Write the report to the end of FILE",
            |raw, value| set_log(raw, value, LogMode::Append, LogEncoding::Utf8),
        ),
        Switch::value("/UNILOG", "FILE", "log-utf16", "/LOG in UTF-16", |raw, value| {
            set_log(raw, value, LogMode::Overwrite, LogEncoding::Utf16)
        }),
        Switch::value("/UNILOG+", "FILE", "log-utf16-append", "/LOG+ in UTF-16", |raw, value| {
            set_log(raw, value, LogMode::Append, LogEncoding::Utf16)
        }),
        Switch::noted(
            "/UNICODE",
            "unicode",
            "Write Unicode to the console",
            "the console gets UTF-8, as always",
        ),
        Switch::flag(
            "/TEE",
            "tee",
            "Write the report to the console as well as to the log",
            |raw| {
                raw.report.tee = true;
            },
        ),
        Switch::flag(
            "",
            "json",
            "Write JSON to standard output, one object a line; the report goes to the log only",
            |raw| raw.report.json = true,
        )
        .long_only(),
        Switch::flag("/V", "verbose", "Name skipped files too, with the reason", |raw| {
            raw.report.verbose = true;
        }),
        Switch::flag(
            "/X",
            "report-extra",
            "Report all extra files, not only those that FILE names",
            |raw| {
                raw.report.all_extras = true;
            },
        ),
        Switch::flag("/TS", "timestamps", "Show the time of source files", |raw| {
            raw.report.timestamps = true;
        }),
        Switch::flag("/FP", "full-paths", "Show full paths", |raw| raw.report.full_paths = true),
        Switch::flag("/BYTES", "bytes", "Show sizes as bytes", |raw| raw.report.bytes = true),
        Switch::flag("/NS", "no-size", "Show no sizes", |raw| raw.report.no_sizes = true),
        Switch::flag("/NC", "no-class", "Show no file classes", |raw| {
            raw.report.no_classes = true;
        }),
        Switch::flag("/NFL", "no-file-list", "Show no file lines", |raw| {
            raw.report.no_files = true
        }),
        Switch::flag("/NDL", "no-dir-list", "Show no directory lines", |raw| {
            raw.report.no_dirs = true;
        }),
        Switch::flag("/NJH", "no-header", "Show no header", |raw| raw.report.no_header = true),
        Switch::flag("/NJS", "no-summary", "Show no summary", |raw| raw.report.no_summary = true),
        Switch::flag("/NP", "no-progress", "Show no progress", |raw| raw.report.no_progress = true),
        Switch::flag(
            "/ETA",
            "eta",
            "Show when files are expected to begin, and to be there",
            |raw| {
                raw.report.eta = true;
            },
        ),
        Switch::noted(
            "/DEBUG",
            "debug",
            "Report on the volumes",
            "QUICOPY_LOG=debug in the environment writes diagnostics",
        ),
    ],
};

fn set_log(
    raw: &mut RawOptions,
    value: &OsStr,
    mode: LogMode,
    encoding: LogEncoding,
) -> Result<(), BadValue> {
    if value.is_empty() {
        return Err(BadValue::new("the name of a file"));
    }
    raw.report.log = Some(LogFile { path: value.into(), mode, encoding });
    Ok(())
}
