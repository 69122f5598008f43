//! Robocopy's report of a job: on the console, in a log, as JSON, and as progress.
//!
//! The run of a job tells a [`Report`] what happened, as [`ReportEvent`]s; each form is a function of those. Nothing
//! here decides anything about a file. Standard output carries the report, standard error the progress, and
//! why there is no log.

mod eta;
mod event;
mod exit_code;
mod header;
mod json;
mod line;
mod log;
mod options;
mod order;
mod progress;
mod sink;
mod size;
mod summary;
mod text;
mod totals;
mod usage;

#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use quicopy_protocol::text::Escaped;
use quicopy_protocol::verdict::{Action, FileClass};

pub use event::{CurrentFile, DirectoryClass, FileVerdict, Progress, ReportEvent};
pub use exit_code::{Ending, ExitCode};
pub use header::HeaderText;
pub use json::SCHEMA;
pub use log::LogError;
pub use options::{LogEncoding, LogFile, LogMode, ReportOptions};
pub use summary::{Column, Counts, Summary, Times};
pub use usage::usage_page;

use order::DirectoryOrder;
use progress::Bars;
use sink::Sink;
use text::TextReport;

/// All that a job shows of itself.
pub struct Report {
    text: TextReport,
    order: DirectoryOrder,
    console: Sink,
    log: Option<Sink>,
    bars: Option<Bars>,
    status: Status,
}

/// What a terminal shows of a monitor that waits: a line that is written again and again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Status {
    /// Nobody looks.
    Off,
    /// It may be shown.
    Clear,
    /// It stands there, and no line may follow it on the same line.
    Shown,
}

impl Report {
    /// Opens the log, if there is one, and takes hold of standard output.
    ///
    /// # Errors
    /// The log cannot be opened, or is in another encoding. Nothing has been shown; the job must not begin.
    pub fn open(options: ReportOptions, header: HeaderText) -> Result<Self, LogError> {
        let stdout = io::stdout();
        let shows_status = stdout.is_terminal();
        let is_terminal = shows_status && io::stderr().is_terminal();
        let text = TextReport::new(options, header, TimeZone::system());
        let mut report = Self::new(text, stdout)?;
        let options = &report.text.options;
        if is_terminal && !options.no_progress && !options.json {
            report.bars = Some(Bars::new());
        }
        if shows_status && !options.json {
            report.status = Status::Clear;
        }
        Ok(report)
    }

    fn new(text: TextReport, console: impl Write + Send + 'static) -> Result<Self, LogError> {
        let log = match &text.options.log {
            Some(log) => {
                let (file, mark) = log::open(log)?;
                let mut sink = Sink::new(file);
                sink.write(mark);
                if let Some(error) = sink.failure() {
                    return Err(LogError::writing(&log.path, error));
                }
                Some(sink)
            }
            None => None,
        };
        let (order, console) = (DirectoryOrder::default(), Sink::new(console));
        let mut report = Self { text, order, console, log, bars: None, status: Status::Off };
        report.name_log();
        Ok(report)
    }

    /// Without `/TEE` the console learns only where the report is.
    fn name_log(&mut self) {
        let options = &self.text.options;
        if let Some(log) = &options.log
            && !options.tee
            && !options.json
        {
            let path = Escaped(log.path.as_os_str().as_bytes());
            self.console.write(format!("\n Log File : {path}\n").as_bytes());
        }
    }

    /// Takes what happened, and when. That the log takes no more is said on standard error, once.
    pub fn handle(&mut self, at: Timestamp, event: &ReportEvent) {
        if let Some(bars) = &mut self.bars {
            match event {
                // Those of the run before are done with for good.
                ReportEvent::Started { .. } => *bars = Bars::new(),
                ReportEvent::Progress(progress) => bars.show(progress),
                ReportEvent::Finished { .. } => bars.clear(),
                _ => {}
            }
        }
        let lines = self.text.render(at, event);
        let lines = self.order.pass(event, lines);
        let options = &self.text.options;
        if let (Some(sink), Some(log)) = (&mut self.log, &options.log) {
            let was_whole = sink.failure().is_none();
            sink.write(&log.encoding.encode(&lines));
            if was_whole && let Some(error) = sink.failure() {
                let text = format!("{}\n", LogError::writing(&log.path, error));
                // Nobody may be left to read that either.
                let diagnose = || drop(io::stderr().lock().write_all(text.as_bytes()));
                match &self.bars {
                    Some(bars) => bars.suspend(diagnose),
                    None => diagnose(),
                }
            }
        }
        let console = &mut self.console;
        show_status(&mut self.status, console, event, &lines);
        if options.json {
            if options.verbose || !is_of_the_same(event) {
                console.write(&json::render(&self.text.header, event));
            }
        } else if !lines.is_empty() && (options.log.is_none() || options.tee) {
            match &self.bars {
                Some(bars) => bars.suspend(|| console.write(lines.as_bytes())),
                None => console.write(lines.as_bytes()),
            }
        }
    }

    /// What ended the writing of the log before the job's end, such as a full disk.
    pub fn log_failure(&self) -> Option<&io::Error> {
        self.log.as_ref().and_then(Sink::failure)
    }
}

/// Writes how far a waiting monitor is, or ends the line on which that stands.
fn show_status(status: &mut Status, console: &mut Sink, event: &ReportEvent, lines: &str) {
    match (*status, event) {
        (Status::Off, _) => {}
        (Status::Clear | Status::Shown, ReportEvent::Watched { minutes, changes }) => {
            console.write(format!("\r{minutes:>4} mins : {changes} changes.").as_bytes());
            *status = Status::Shown;
        }
        (Status::Shown, event)
            if !lines.is_empty() || matches!(event, ReportEvent::MonitorEnded { .. }) =>
        {
            console.write(b"\n");
            *status = Status::Clear;
        }
        (Status::Clear | Status::Shown, _) => {}
    }
}

/// Whether it only says that a file is the same on both sides, which nobody hears without `/V`.
fn is_of_the_same(event: &ReportEvent) -> bool {
    let ReportEvent::File(file) = event else { return false };
    file.class == FileClass::Same && file.action == Action::Skip
}

/// What `/QUIT` shows: the header of a job that is not run.
pub fn job_page(at: Timestamp, text: &HeaderText) -> String {
    let header = header::render(text, &at.to_zoned(TimeZone::system()));
    format!("{header} Quitting : /QUIT Specified on Command Line.\n")
}

/// The last line of `--json` for a command line that cannot be read: a summary of nothing, with exit code 16.
pub fn json_of_nothing() -> Vec<u8> {
    json_of(ExitCode::FATAL)
}

/// The last line of `--json` for a job that was only looked at (`/QUIT`): a summary of nothing, with exit code 0.
pub fn json_of_a_look() -> Vec<u8> {
    json_of(ExitCode::of(&Summary::default(), Ending::Complete))
}

fn json_of(exit_code: ExitCode) -> Vec<u8> {
    let finished = ReportEvent::Finished { summary: Box::default(), exit_code, run: None };
    json::render(&HeaderText::default(), &finished)
}
