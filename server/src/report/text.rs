//! Robocopy's report: each event as the lines it comes to.
//!
//! Lines end with a line feed; what a log makes of that is its encoding's business.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::path::RelPath;
use quicopy_protocol::text::Escaped;
use quicopy_protocol::verdict::{ExtraEntry, Removal};

use super::eta::Arrivals;
use super::event::{FileVerdict, ReportEvent};
use super::header::{self, HeaderText};
use super::line::{self, FileLine};
use super::options::ReportOptions;
use super::totals;

/// Renders events, each once for console and log.
pub(super) struct TextReport {
    pub options: ReportOptions,
    pub header: HeaderText,
    /// The zone of the header, the summary, arrivals and error lines.
    zone: TimeZone,
    arrivals: Arrivals,
    /// The directory that was told last: bare names are in it.
    directory: Option<RelPath>,
}

#[derive(Clone, Copy)]
enum Side {
    Source,
    Destination,
}

impl TextReport {
    pub(super) fn new(options: ReportOptions, header: HeaderText, zone: TimeZone) -> Self {
        Self { options, header, zone, arrivals: Arrivals::default(), directory: None }
    }

    /// The lines of one event that happened `at`; empty for what the options leave out.
    pub(super) fn render(&mut self, at: Timestamp, event: &ReportEvent) -> String {
        if let ReportEvent::Started { .. } = event {
            self.arrivals = Arrivals::default();
        }
        let arrival = self.arrival(at, event);
        if let ReportEvent::Directory { path, .. } = event {
            self.directory = Some(path.clone());
        }
        let options = &self.options;
        match event {
            ReportEvent::Started { .. } if options.no_header => String::new(),
            ReportEvent::Started { .. } => header::render(&self.header, &self.local(at)),
            ReportEvent::Directory { path, class, files } => {
                self.directory(line::directory_label(*class), i128::from(*files), path)
            }
            ReportEvent::File(file) => self.file(file, &arrival),
            ReportEvent::Skipped { path, is_dir, reason, size_bytes, modified } => {
                match line::filtered_label(*reason, options.verbose) {
                    Some(label) if *is_dir => self.directory(
                        &format!("{:>12}", format!("{} dir", label.trim())),
                        -1,
                        path,
                    ),
                    Some(_) if options.no_files => String::new(),
                    Some(label) => {
                        let (size_bytes, modified) = (*size_bytes, *modified);
                        let name = &self.name(Side::Source, path);
                        line::file(
                            options,
                            FileLine { label: &label, size_bytes, modified, name, arrival: "" },
                        )
                    }
                    None => String::new(),
                }
            }
            ReportEvent::Extra(extra) => self.extra(extra),
            ReportEvent::Error { failure, path, retries_exhausted } => {
                let limit =
                    if *retries_exhausted { "\nERROR: RETRY LIMIT EXCEEDED.\n" } else { "" };
                format!("{}{limit}\n", self.failure(at, failure, path))
            }
            ReportEvent::Retrying { failure, path, wait } => {
                format!("{}{}", self.failure(at, failure, path), waiting(*wait))
            }
            ReportEvent::Reconnecting { code, reason, wait } => {
                let operation = Operation::AccessDestinationDirectory;
                let failure = Failure::new(operation, *code, reason);
                format!("{}{}", self.failure(at, &failure, &RelPath::ROOT), waiting(*wait))
            }
            ReportEvent::Removed(removal) => self.removal(at, removal),
            ReportEvent::Notice(text) => format!("    NOTE : {}\n", escaped(text)),
            ReportEvent::Fatal(text) => format!("\nERROR : {}\n", escaped(text)),
            ReportEvent::Copied { .. }
            | ReportEvent::Progress(_)
            | ReportEvent::Watched { .. }
            | ReportEvent::MonitorEnded { .. } => String::new(),
            ReportEvent::Paused { until } => {
                let [at, until] = [at, *until].map(|at| self.clock(at));
                format!("    Hours : Paused at {at} until {until}...\n")
            }
            ReportEvent::Monitoring { minutes, changes } => {
                format!("  Monitor : Waiting for {minutes} minutes and {changes} changes...\n")
            }
            ReportEvent::Finished { .. } if options.no_summary => String::new(),
            ReportEvent::Finished { summary, exit_code, .. } => {
                totals::render(summary, *exit_code, &self.local(at), options)
            }
        }
    }

    fn directory(&self, label: &str, count: i128, path: &RelPath) -> String {
        if self.options.no_dirs || self.options.multi_threaded {
            return String::new();
        }
        line::directory(label, count, &self.directory_path(Side::Source, path))
    }

    /// When a file to copy is expected, after its name (`/ETA`).
    fn arrival(&mut self, at: Timestamp, event: &ReportEvent) -> String {
        let expected = match event {
            ReportEvent::Progress(progress) => {
                self.arrivals.progress(at, progress);
                None
            }
            ReportEvent::File(file) if self.options.eta && line::is_to_travel(file) => {
                self.arrivals.expect(at, file.size_bytes)
            }
            _ => None,
        };
        let Some((begins, ends)) = expected else { return String::new() };
        let [begins, ends] = [begins, ends].map(|at| self.clock(at));
        format!("\t\t{begins} -> {ends}")
    }

    fn file(&self, file: &FileVerdict, arrival: &str) -> String {
        let FileVerdict { size_bytes, modified, .. } = *file;
        let name = &self.name(Side::Source, &file.path);
        let line = |label, arrival| {
            line::file(&self.options, FileLine { label, size_bytes, modified, name, arrival })
        };
        let mut lines = String::new();
        // A conflict is reported in every mode.
        if file.conflict {
            lines += &line("*CONFLICT", "");
        }
        match line::verdict_label(file, self.options.verbose) {
            Some(label) if !self.options.no_files => lines + &line(&label, arrival),
            Some(_) | None => lines,
        }
    }

    /// What only the destination has is shown with its path there, and directories in every mode: they may go with all they hold.
    fn extra(&self, extra: &ExtraEntry) -> String {
        let label = line::extra_label(extra);
        match extra.is_dir {
            true if self.options.no_dirs => String::new(),
            true => {
                line::directory(label, -1, &self.directory_path(Side::Destination, &extra.path))
            }
            false if self.options.no_files => String::new(),
            false => {
                let ExtraEntry { size_bytes, modified, .. } = *extra;
                let name = &self.name(Side::Destination, &extra.path);
                let line = FileLine { label, size_bytes, modified, name, arrival: "" };
                line::file(&self.options, line)
            }
        }
    }

    fn removal(&self, at: Timestamp, removal: &Removal) -> String {
        match &removal.failure {
            // The line of the extra entry has said that it goes.
            None => String::new(),
            Some(failure) => format!("{}\n", self.failure(at, failure, &removal.path)),
        }
    }

    fn failure(&self, at: Timestamp, failure: &Failure, path: &RelPath) -> String {
        let (code, operation) = (failure.windows_code, failure.operation.label());
        let path = self.full_path(side(failure.operation), path);
        let (time, reason) = (self.stamp(at), escaped(&failure.reason));
        format!("{time} ERROR {code} (0x{code:08X}) {operation} {path}\n{reason}\n")
    }

    fn local(&self, at: Timestamp) -> Zoned {
        at.to_zoned(self.zone.clone())
    }

    fn clock(&self, at: Timestamp) -> String {
        self.local(at).strftime("%H:%M").to_string()
    }

    fn stamp(&self, at: Timestamp) -> String {
        self.local(at).strftime("%Y/%m/%d %H:%M:%S").to_string()
    }

    /// A file as its line shows it: its last name, or in full if it is asked for or the line stands below another directory's.
    fn name(&self, side: Side, path: &RelPath) -> String {
        let is_below = |dir: &RelPath| match (side, &self.directory) {
            (Side::Source, Some(told)) => told == dir,
            // What is extra stands below the line of an extra directory.
            (Side::Source, None) | (Side::Destination, _) => true,
        };
        match path.split_last() {
            Some((dir, name)) if !self.options.shows_full_paths() && is_below(&dir) => {
                name.to_string()
            }
            Some(_) | None => self.full_path(side, path),
        }
    }

    fn full_path(&self, side: Side, path: &RelPath) -> String {
        let root = match side {
            Side::Source => &self.header.source,
            Side::Destination => &self.header.destination,
        };
        format!("{root}{path}")
    }

    fn directory_path(&self, side: Side, path: &RelPath) -> String {
        let slash = if path.is_root() { "" } else { "/" };
        self.full_path(side, path) + slash
    }
}

/// Whose path an error line shows.
fn side(operation: Operation) -> Side {
    match operation {
        Operation::AccessSourceDirectory
        | Operation::ScanSourceDirectory
        | Operation::CopyFile
        | Operation::DeleteSourceFile
        | Operation::DeleteSourceDirectory => Side::Source,
        Operation::AccessDestinationDirectory
        | Operation::ScanDestinationDirectory
        | Operation::CreateDirectory
        | Operation::ChangeAttributes
        | Operation::StampFile
        | Operation::CopySecurity
        | Operation::DeleteExtraFile
        | Operation::DeleteExtraDirectory => Side::Destination,
    }
}

/// Robocopy adds the second half when it wakes up. Other files go on meanwhile here, so the line is written whole.
fn waiting(wait: Duration) -> String {
    format!("Waiting {} seconds... Retrying...\n", wait.as_secs())
}

fn escaped(text: &str) -> Escaped<'_> {
    Escaped(text.as_bytes())
}
