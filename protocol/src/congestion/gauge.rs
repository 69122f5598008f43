//! What a controller shows: [`Gauge`].

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::policy::Estimate;

/// What a controller knew last.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// The path; `None` until a full round trip of content was measured.
    pub estimate: Option<Estimate>,
    /// Bytes that may be in flight.
    pub window_bytes: u64,
}

/// Shared between the controller, which writes once a round trip, and whoever shows or remembers the path.
///
/// It outlives the connection.
#[derive(Debug, Default)]
pub struct Gauge {
    reading: Mutex<Reading>,
}

impl Gauge {
    /// What the controller knew last.
    pub fn read(&self) -> Reading {
        *self.lock()
    }

    pub(super) fn write(&self, reading: Reading) {
        *self.lock() = reading;
    }

    fn lock(&self) -> MutexGuard<'_, Reading> {
        // A reading is whole at any time, so a writer's panic spoils nothing.
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
