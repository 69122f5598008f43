//! The header's Options line: the switches as Robocopy echoes them.

use std::os::unix::ffi::OsStrExt;

use quicopy_protocol::congestion::Policy;
use quicopy_protocol::options::{ConflictPolicy, CopyFlags, DeleteLimit, Retry};
use quicopy_protocol::text::Escaped;

use super::rate::rate_text;
use super::raw::RawOptions;

/// What the options come to once defaults are in.
pub(super) struct Effective {
    pub copy: CopyFlags,
    pub dcopy: CopyFlags,
    pub retry: Retry,
}

/// Writes the switches in Robocopy's order: `/E` brings `/S`, `/MIR` brings `/S /E /PURGE`, and `/R` and `/W` stand last.
///
/// Source: the order is that of logs from the original; rarer switches stand where their kind does.
pub(super) fn options_line(raw: &RawOptions, effective: &Effective) -> String {
    let report = &raw.report;
    let all_dirs = raw.empty_subdirs || raw.mirror;
    let mut line: Vec<String> = vec![];
    let mut flag = |given: bool, text: &str| {
        if given {
            line.push(text.to_owned());
        }
    };
    flag(takes_all_files(raw), "*.*");
    flag(report.verbose, "/V");
    flag(report.timestamps, "/TS");
    flag(report.full_paths, "/FP");
    flag(report.bytes, "/BYTES");
    flag(report.all_extras, "/X");
    flag(report.no_sizes, "/NS");
    flag(report.no_classes, "/NC");
    flag(report.no_dirs, "/NDL");
    flag(report.no_files, "/NFL");
    flag(report.no_summary, "/NJS");
    flag(report.no_header, "/NJH");
    flag(raw.list_only, "/L");
    flag(report.tee, "/TEE");
    flag(raw.subdirs || all_dirs, "/S");
    flag(all_dirs, "/E");
    if raw.copy_all {
        flag(true, "/COPYALL");
    } else {
        let dcopy = letters(effective.dcopy);
        let dcopy = if dcopy.is_empty() { "/NODCOPY" } else { &format!("/DCOPY:{dcopy}") };
        flag(true, dcopy);
        flag(true, &format!("/COPY:{}", letters(effective.copy)));
    }
    flag(raw.no_copy, "/NOCOPY");
    flag(raw.move_all, "/MOVE");
    flag(raw.move_files && !raw.move_all, "/MOV");
    flag(raw.purge || raw.mirror, "/PURGE");
    flag(raw.mirror, "/MIR");
    flag(raw.create, "/CREATE");
    flag(raw.restartable, "/Z");
    flag(report.no_progress, "/NP");
    flag(report.eta, "/ETA");
    value(&mut line, "/LEV", raw.levels);
    value(&mut line, "/MT", raw.threads);
    selection(&mut line, raw);
    ours(&mut line, raw);
    value(&mut line, "/R", Some(effective.retry.retries));
    value(&mut line, "/W", Some(effective.retry.wait_seconds));
    line.join(" ")
}

/// Whether no pattern narrows the files.
pub(super) fn takes_all_files(raw: &RawOptions) -> bool {
    raw.include_files.is_empty()
        || raw.include_files.iter().any(|p| matches!(p.as_bytes(), b"*.*" | b"*"))
}

fn selection(line: &mut Vec<String>, raw: &RawOptions) {
    let (classes, links, tolerance) = (raw.classes, raw.links, raw.tolerance);
    let both = links.exclude_dirs && links.exclude_files;
    for (given, text) in [
        (classes.include_same, "/IS"),
        (classes.include_tweaked, "/IT"),
        (classes.exclude_lonely, "/XL"),
        (classes.exclude_extra, "/XX"),
        (classes.exclude_older, "/XO"),
        (classes.exclude_newer, "/XN"),
        (classes.exclude_changed, "/XC"),
        (both, "/XJ"),
        (links.exclude_files && !both, "/XJF"),
        (links.exclude_dirs && !both, "/XJD"),
        (links.recreate, "/SL"),
        (tolerance.fat, "/FFT"),
        (tolerance.daylight_saving, "/DST"),
    ] {
        if given {
            line.push(text.to_owned());
        }
    }
    value(line, "/MAX", raw.max_bytes);
    value(line, "/MIN", raw.min_bytes);
}

fn ours(line: &mut Vec<String>, raw: &RawOptions) {
    value(line, "/BWLIMIT", raw.bandwidth);
    value(line, "/POLICY", raw.link_policy.map(link_policy));
    value(line, "/COMPRESS", raw.compression);
    match raw.max_delete {
        Some(DeleteLimit::Count(count)) => line.push(format!("/MAXDELETE:{count}")),
        Some(DeleteLimit::Percent(percent)) => line.push(format!("/MAXDELETE:{percent}%")),
        None => {}
    }
    let conflict = raw.conflict.map(|policy| match policy {
        ConflictPolicy::Overwrite => "overwrite",
        ConflictPolicy::Skip => "skip",
        ConflictPolicy::Keep => "keep",
        ConflictPolicy::Fail => "fail",
    });
    value(line, "/CONFLICT", conflict);
    if raw.force {
        line.push("/FORCE".to_owned());
    }
}

fn link_policy(policy: Policy) -> String {
    match policy {
        Policy::Fair => "fair".to_owned(),
        Policy::Low => "low".to_owned(),
        Policy::Fixed(rate) => format!("fixed:{}", rate_text(rate)),
    }
}

fn value(line: &mut Vec<String>, name: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        line.push(format!("{name}:{}", value.to_string()));
    }
}

fn letters(flags: CopyFlags) -> String {
    [
        (flags.data, 'D'),
        (flags.attributes, 'A'),
        (flags.times, 'T'),
        (flags.security, 'S'),
        (flags.owner, 'O'),
        (flags.skip_streams, 'X'),
    ]
    .into_iter()
    .filter_map(|(set, letter)| set.then_some(letter))
    .collect()
}

/// List items as the header shows them.
pub(super) fn shown(items: &[std::ffi::OsString]) -> Vec<String> {
    items.iter().map(|item| Escaped(item.as_bytes()).to_string()).collect()
}
