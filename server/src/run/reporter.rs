//! The report, for all threads of a job.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::report::{Report, ReportEvent};

/// Takes events from any thread, in the order in which they come.
#[derive(Clone)]
pub(super) struct Reporter {
    report: Arc<Mutex<Report>>,
    /// Whether what is told now is told once more later.
    rehearsing: Arc<AtomicBool>,
}

impl Reporter {
    pub(super) fn new(report: Report) -> Self {
        Self { report: Arc::new(Mutex::new(report)), rehearsing: Arc::default() }
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

    /// Whether the log holds all that was told, if there is one.
    pub(super) fn log_is_whole(&self) -> bool {
        let report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.log_failure().is_none()
    }
}
