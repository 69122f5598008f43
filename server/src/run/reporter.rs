//! The report, for all threads of a job.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::report::{Report, ReportEvent};

/// Takes events from any thread, in the order in which they come.
pub(super) struct Reporter {
    report: Mutex<Report>,
    /// Whether what is told now is told once more later.
    rehearsing: AtomicBool,
}

impl Reporter {
    pub(super) fn new(report: Report) -> Self {
        Self { report: Mutex::new(report), rehearsing: AtomicBool::new(false) }
    }

    /// Keeps to itself what a rehearsal tells, but for lost links.
    pub(super) fn rehearse(&self, rehearsing: bool) {
        self.rehearsing.store(rehearsing, Ordering::Release);
    }

    pub(super) fn tell(&self, event: ReportEvent) {
        if self.rehearsing.load(Ordering::Acquire)
            && !matches!(event, ReportEvent::Reconnecting { .. })
        {
            return;
        }
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.handle(Timestamp::now(), &event);
    }

    pub(super) fn into_inner(self) -> Report {
        self.report.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
