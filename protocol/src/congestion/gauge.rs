//! What a controller shows: [`Gauge`].

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::policy::Estimate;

/// Shared between the controller, which writes once a round trip, and whoever shows or remembers the path.
///
/// It outlives the connection.
#[derive(Debug, Default)]
pub struct Gauge {
    estimate: Mutex<Option<Estimate>>,
}

impl Gauge {
    /// What the controller knew last; `None` until a full round trip of content was measured.
    pub fn read(&self) -> Option<Estimate> {
        *self.lock()
    }

    pub(super) fn write(&self, estimate: Option<Estimate>) {
        *self.lock() = estimate;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Estimate>> {
        // An estimate is whole at any time, so a writer's panic spoils nothing.
        self.estimate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
