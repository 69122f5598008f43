//! The report as JSON: one object a line, the last of them the summary.
//!
//! Every object has a `type`. The first (`started`) and the last (`summary`) carry `schema`, the number of this
//! schema's version: fields may be added to a version, and none changes or goes. Times are seconds since 1970-01-01
//! UTC, sizes bytes. Text is pure ASCII with JSON's own escapes, so names come through whole and move no terminal;
//! a name that is not UTF-8 is shown with `\xNN` and has its bytes in `path_hex`.

mod ascii;
mod names;

use std::borrow::Cow;

use quicopy_protocol::code::Failure;
use quicopy_protocol::path::RelPath;
use quicopy_protocol::text::Escaped;
use serde::Serialize;

use super::event::ReportEvent;
use super::exit_code::ExitCode;
use super::header::HeaderText;
use super::summary::{Counts, Summary};
use ascii::Ascii;

/// Version of the schema that `--json` writes.
pub const SCHEMA: u32 = 1;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Started {
        schema: u32,
        job: &'a str,
        source: &'a str,
        destination: &'a str,
        options: &'a str,
    },
    Directory {
        #[serde(flatten)]
        path: PathText<'a>,
        class: &'static str,
        files: u64,
    },
    File {
        #[serde(flatten)]
        path: PathText<'a>,
        class: &'static str,
        action: &'static str,
        conflict: bool,
        size: u64,
        modified: i64,
    },
    Skipped {
        #[serde(flatten)]
        path: PathText<'a>,
        directory: bool,
        reason: &'static str,
        size: u64,
        modified: i64,
    },
    Extra {
        #[serde(flatten)]
        path: PathText<'a>,
        directory: bool,
        size: u64,
        modified: i64,
        kept: Option<&'static str>,
        conflict: bool,
    },
    Error {
        #[serde(flatten)]
        path: PathText<'a>,
        #[serde(flatten)]
        failure: FailureText<'a>,
        retries_exhausted: bool,
    },
    Retrying {
        #[serde(flatten)]
        path: PathText<'a>,
        #[serde(flatten)]
        failure: FailureText<'a>,
        wait: u64,
    },
    Reconnecting {
        code: u32,
        reason: &'a str,
        wait: u64,
    },
    Copied {
        #[serde(flatten)]
        path: PathText<'a>,
        size: u64,
    },
    Removed {
        #[serde(flatten)]
        path: PathText<'a>,
        directory: bool,
        #[serde(flatten)]
        failure: Option<FailureText<'a>>,
    },
    Notice {
        text: &'a str,
    },
    Fatal {
        reason: &'a str,
    },
    Progress {
        scanning: bool,
        files_done: u64,
        files_total: u64,
        bytes_done: u64,
        bytes_total: u64,
    },
    Paused {
        until: i64,
    },
    Monitoring {
        minutes: u32,
        changes: u32,
    },
    Summary(SummaryLine),
}

#[derive(Serialize)]
struct SummaryLine {
    schema: u32,
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runs: Option<u32>,
    dirs: Row,
    files: Row,
    bytes: Row,
    seconds: f64,
    seconds_lost: f64,
    wire_bytes_sent: u64,
    wire_bytes_received: u64,
    literal_bytes: u64,
    reused_bytes: u64,
    resumed_bytes: u64,
    resent_bytes: u64,
    reconnects: u64,
    deleted: u64,
    conflicts: u64,
}

#[derive(Serialize)]
struct Row {
    total: u64,
    copied: u64,
    skipped: u64,
    mismatched: u64,
    failed: u64,
    extras: u64,
}

#[derive(Serialize)]
struct PathText<'a> {
    path: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
}

#[derive(Serialize)]
struct FailureText<'a> {
    operation: &'static str,
    code: u32,
    reason: &'a str,
}

/// Writes one event, with a line feed at its end; nothing for one that only a terminal shows.
pub(super) fn render(header: &HeaderText, event: &ReportEvent) -> Vec<u8> {
    let mut out = vec![];
    let Some(line) = line(header, event) else { return out };
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Ascii);
    line.serialize(&mut serializer).expect("a vector takes all, and no key is anything but text");
    out.push(b'\n');
    out
}

fn line<'a>(header: &'a HeaderText, event: &'a ReportEvent) -> Option<Line<'a>> {
    Some(match event {
        ReportEvent::Started { job } => Line::Started {
            schema: SCHEMA,
            job,
            source: &header.source,
            destination: &header.destination,
            options: &header.options,
        },
        ReportEvent::Directory { path, class, files } => Line::Directory {
            path: path.into(),
            class: names::directory_class(*class),
            files: *files,
        },
        ReportEvent::File(file) => Line::File {
            path: (&file.path).into(),
            class: names::file_class(file.class),
            action: names::action(file.action),
            conflict: file.conflict,
            size: file.size_bytes,
            modified: file.modified.seconds,
        },
        ReportEvent::Skipped { path, is_dir, reason, size_bytes, modified } => Line::Skipped {
            path: path.into(),
            directory: *is_dir,
            reason: names::skip(*reason),
            size: *size_bytes,
            modified: modified.seconds,
        },
        ReportEvent::Extra(extra) => Line::Extra {
            path: (&extra.path).into(),
            directory: extra.is_dir,
            size: extra.size_bytes,
            modified: extra.modified.seconds,
            kept: extra.kept.map(names::kept),
            conflict: extra.conflict,
        },
        ReportEvent::Error { failure, path, retries_exhausted } => Line::Error {
            path: path.into(),
            failure: failure.into(),
            retries_exhausted: *retries_exhausted,
        },
        ReportEvent::Retrying { failure, path, wait } => {
            Line::Retrying { path: path.into(), failure: failure.into(), wait: wait.as_secs() }
        }
        ReportEvent::Reconnecting { code, reason, wait } => {
            Line::Reconnecting { code: *code, reason, wait: wait.as_secs() }
        }
        ReportEvent::Copied { path, size_bytes } => {
            Line::Copied { path: path.into(), size: *size_bytes }
        }
        ReportEvent::Removed(removal) => Line::Removed {
            path: (&removal.path).into(),
            directory: removal.is_dir,
            failure: removal.failure.as_ref().map(FailureText::from),
        },
        ReportEvent::Notice(text) => Line::Notice { text },
        ReportEvent::Fatal(reason) => Line::Fatal { reason },
        ReportEvent::Progress(progress) => Line::Progress {
            scanning: progress.scanning,
            files_done: progress.files_done,
            files_total: progress.files_total,
            bytes_done: progress.bytes_done,
            bytes_total: progress.bytes_total,
        },
        ReportEvent::Paused { until } => Line::Paused { until: until.as_second() },
        ReportEvent::Finished { summary, exit_code, run } => {
            Line::Summary(SummaryLine { run: *run, ..SummaryLine::new(summary, *exit_code) })
        }
        ReportEvent::Monitoring { minutes, changes } => {
            Line::Monitoring { minutes: *minutes, changes: *changes }
        }
        ReportEvent::Watched { .. } => return None,
        ReportEvent::MonitorEnded { summary, exit_code, runs } => Line::Summary(SummaryLine {
            runs: Some(*runs),
            ..SummaryLine::new(summary, *exit_code)
        }),
    })
}

impl SummaryLine {
    fn new(summary: &Summary, exit_code: ExitCode) -> Self {
        Self {
            schema: SCHEMA,
            exit_code: exit_code.number(),
            run: None,
            runs: None,
            dirs: (&summary.dirs).into(),
            files: (&summary.files).into(),
            bytes: (&summary.bytes).into(),
            seconds: summary.times.total.as_secs_f64(),
            seconds_lost: summary.times.lost.as_secs_f64(),
            wire_bytes_sent: summary.wire_bytes_sent,
            wire_bytes_received: summary.wire_bytes_received,
            literal_bytes: summary.literal_bytes,
            reused_bytes: summary.reused_bytes,
            resumed_bytes: summary.resumed_bytes,
            resent_bytes: summary.resent_bytes,
            reconnects: summary.reconnects,
            deleted: summary.deleted,
            conflicts: summary.conflicts,
        }
    }
}

impl From<&Counts> for Row {
    fn from(counts: &Counts) -> Self {
        let Counts { copied, skipped, mismatched, failed, extras } = *counts;
        Self { total: counts.total(), copied, skipped, mismatched, failed, extras }
    }
}

impl<'a> From<&'a RelPath> for PathText<'a> {
    fn from(path: &'a RelPath) -> Self {
        let bytes = path.as_bytes();
        match str::from_utf8(bytes) {
            Ok(text) => Self { path: text.into(), path_hex: None },
            Err(_) => Self {
                path: Escaped(bytes).to_string().into(),
                path_hex: Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
            },
        }
    }
}

impl<'a> From<&'a Failure> for FailureText<'a> {
    fn from(failure: &'a Failure) -> Self {
        Self {
            operation: failure.operation.label(),
            code: failure.windows_code,
            reason: &failure.reason,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::DirectoryClass;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn json(event: &ReportEvent) -> Value {
        let bytes = render(&HeaderText::default(), event);
        assert!(bytes.is_ascii() && bytes.ends_with(b"\n"));
        serde_json::from_slice(&bytes).unwrap()
    }

    fn keys(value: &Value) -> BTreeSet<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn the_summary_has_exactly_the_fields_of_the_schema() {
        let finished = ReportEvent::Finished {
            summary: Box::default(),
            exit_code: ExitCode::FATAL,
            run: None,
        };
        let value = json(&finished);
        let expected = [
            "type",
            "schema",
            "exit_code",
            "dirs",
            "files",
            "bytes",
            "seconds",
            "seconds_lost",
            "wire_bytes_sent",
            "wire_bytes_received",
            "literal_bytes",
            "reused_bytes",
            "resumed_bytes",
            "resent_bytes",
            "reconnects",
            "deleted",
            "conflicts",
        ];
        assert_eq!(keys(&value), BTreeSet::from(expected));
        let row = ["total", "copied", "skipped", "mismatched", "failed", "extras"];
        for name in ["dirs", "files", "bytes"] {
            assert_eq!(keys(&value[name]), BTreeSet::from(row), "{name}");
        }
        assert_eq!(value["type"], "summary");
        assert_eq!(value["exit_code"], 16);
    }

    #[test]
    fn runs_of_a_monitor_have_numbers_and_the_last_summary_says_how_many() {
        let (summary, exit_code) = (Box::<Summary>::default, ExitCode::FATAL);
        let run = ReportEvent::Finished { summary: summary(), exit_code, run: Some(2) };
        let whole = ReportEvent::MonitorEnded { summary: summary(), exit_code, runs: 2 };
        let (run, whole) = (json(&run), json(&whole));
        assert_eq!((&run["run"], run.get("runs")), (&2.into(), None));
        assert_eq!(
            (&whole["runs"], whole.get("run"), &whole["type"]),
            (&2.into(), None, &"summary".into())
        );
        let watched = ReportEvent::Watched { minutes: 1, changes: 1 };
        assert!(render(&HeaderText::default(), &watched).is_empty());
    }

    #[test]
    fn names_come_through_whole_and_move_no_terminal() {
        let name = "a\u{9b}\u{202e}\"ü😀\\\n\u{7f}";
        let path = RelPath::parse(name.as_bytes()).unwrap();
        let value = json(&ReportEvent::Directory { path, class: DirectoryClass::New, files: 0 });
        assert_eq!(value["path"], name);
        assert_eq!(value.get("path_hex"), None);
    }

    #[test]
    fn a_name_that_is_no_text_has_its_bytes_beside_it() {
        let path = RelPath::parse(b"caf\xe9").unwrap();
        let value = json(&ReportEvent::Directory { path, class: DirectoryClass::New, files: 0 });
        assert_eq!(
            (value["path"].as_str(), value["path_hex"].as_str()),
            (Some("caf\\xe9"), Some("636166e9"))
        );
    }

    #[test]
    fn an_outcome_without_a_failure_names_none() {
        let removal = quicopy_protocol::verdict::Removal {
            path: RelPath::parse(b"x").unwrap(),
            is_dir: false,
            failure: None,
        };
        assert_eq!(
            keys(&json(&ReportEvent::Removed(removal))),
            BTreeSet::from(["type", "path", "directory"])
        );
    }
}
