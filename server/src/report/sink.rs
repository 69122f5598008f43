//! Where reports go: the console, which may go away, and the log, which must not.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use super::options::{LogFile, LogMode};

/// Why the log cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("ERROR : Opening Log File \"{}\" : {source}", path.display())]
pub struct LogError {
    /// The log.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

/// Opens a log. The folder must exist; the file may.
pub(super) fn open_log(log: &LogFile) -> Result<File, LogError> {
    let mut options = OpenOptions::new();
    match log.mode {
        LogMode::Overwrite => options.write(true).create(true).truncate(true),
        LogMode::Append => options.append(true).create(true),
    };
    options.open(&log.path).map_err(|source| LogError { path: log.path.clone(), source })
}

/// A writer that is used until it fails once.
pub(super) struct Sink {
    to: Option<Box<dyn Write + Send>>,
    failure: Option<io::Error>,
}

impl Sink {
    pub(super) fn new(to: impl Write + Send + 'static) -> Self {
        Self { to: Some(Box::new(to)), failure: None }
    }

    /// Writes and flushes, so that whoever follows the report sees each line when it is written.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let Some(to) = &mut self.to else { return };
        if bytes.is_empty() {
            return;
        }
        if let Err(error) = to.write_all(bytes).and_then(|()| to.flush()) {
            self.to = None;
            self.failure = Some(error);
        }
    }

    /// What ended the writing, if something did.
    pub(super) fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }
}
