//! Files of the source whose reading failed, and is tried again.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use quicopy_engine::send::OnRetry;
use quicopy_protocol::path::RelPath;

use super::reporter::Reporter;
use crate::report::ReportEvent;

/// Which files were read again, for what the report says when that ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Rereading(Arc<Mutex<HashSet<RelPath>>>);

impl Rereading {
    /// Notes and reports each further try.
    pub(super) fn reporting_to(&self, reporter: &Reporter) -> OnRetry {
        let (rereading, reporter) = (self.clone(), reporter.clone());
        OnRetry::new(move |path, failure, wait| {
            let (failure, path) = (failure.clone(), path.clone());
            rereading.paths().insert(path.clone());
            reporter.tell(ReportEvent::Retrying { failure, path, wait });
        })
    }

    /// Whether a file was read again. It is done with.
    pub(super) fn end(&self, path: &RelPath) -> bool {
        self.paths().remove(path)
    }

    fn paths(&self) -> std::sync::MutexGuard<'_, HashSet<RelPath>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
