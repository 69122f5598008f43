//! The report, for all threads of a job.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::report::{Report, ReportEvent};

/// Takes events from any thread, in the order in which they come.
pub(super) struct Reporter {
    report: Mutex<Report>,
}

impl Reporter {
    pub(super) fn new(report: Report) -> Self {
        Self { report: Mutex::new(report) }
    }

    pub(super) fn tell(&self, event: ReportEvent) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.handle(Timestamp::now(), &event);
    }

    pub(super) fn into_inner(self) -> Report {
        self.report.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
