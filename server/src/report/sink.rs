//! Where reports go: the console, which may go away, and the log, which must not.

use std::io::{self, Write};

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
