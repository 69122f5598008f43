//! How a report looks and where it goes: [`ReportOptions`].

use std::path::{Path, PathBuf};

/// Robocopy's logging switches, as given; all off is Robocopy's default.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ReportOptions {
    /// `/V`: skipped files are named, with the reason.
    pub verbose: bool,
    /// `/X`: extra files that no file pattern includes are reported.
    pub all_extras: bool,
    /// `/TS`: file lines show the source's time, in UTC.
    pub timestamps: bool,
    /// `/FP`: file lines show full paths.
    pub full_paths: bool,
    /// `/BYTES`: sizes are plain numbers.
    pub bytes: bool,
    /// `/NS`: no sizes on file lines.
    pub no_sizes: bool,
    /// `/NC`: no classes on file lines.
    pub no_classes: bool,
    /// `/NFL`: no file lines.
    pub no_files: bool,
    /// `/NDL`: no directory lines; file lines show full paths.
    pub no_dirs: bool,
    /// `/NJH`: no header.
    pub no_header: bool,
    /// `/NJS`: no summary.
    pub no_summary: bool,
    /// `/NP`: no progress.
    pub no_progress: bool,
    /// `/ETA`: lines of files to copy show when they are expected to begin and to be there.
    pub eta: bool,
    /// `/TEE`: the console gets the report as well as the log.
    pub tee: bool,
    /// `--json`: standard output gets JSON; the report goes to the log only.
    pub json: bool,
    /// `/LOG`, `/LOG+`, `/UNILOG`, `/UNILOG+`
    pub log: Option<LogFile>,
    /// `/MT` was given: no directory lines, and file lines show full paths.
    pub multi_threaded: bool,
    /// `/L`: what is reported was not done.
    pub list_only: bool,
}

/// A log file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogFile {
    /// Where it is; its folder must exist.
    pub path: PathBuf,
    /// What happens to an older one.
    pub mode: LogMode,
    /// How its text is written.
    pub encoding: LogEncoding,
}

/// What happens to a log file that is there already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogMode {
    /// It is replaced (`/LOG`, `/UNILOG`).
    Overwrite,
    /// It grows (`/LOG+`, `/UNILOG+`). It must be in the same encoding.
    Append,
}

/// How a log's text is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogEncoding {
    /// UTF-8 without a mark, lines ending with a line feed (`/LOG`, `/LOG+`).
    #[default]
    Utf8,
    /// UTF-16 with a byte order mark and low bytes first, lines ending with CR LF (`/UNILOG`, `/UNILOG+`).
    Utf16,
}

impl LogFile {
    /// The same file, a relative path taken from `folder`.
    pub fn below(self, folder: &Path) -> Self {
        Self { path: folder.join(&self.path), ..self }
    }
}

impl ReportOptions {
    /// Whether file lines show full paths: nothing else would say which directory they belong to.
    pub(super) fn shows_full_paths(&self) -> bool {
        self.full_paths || self.no_dirs || self.multi_threaded
    }
}
