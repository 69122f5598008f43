//! A request to stop, seen by every thread of a job.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A flag that one thread sets, once, and others look at or wait on. Clones are the same flag.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    set: Mutex<bool>,
    changed: Condvar,
}

impl StopFlag {
    /// Asks everybody to stop, and ends their waits.
    pub fn set(&self) {
        *self.lock() = true;
        self.0.changed.notify_all();
    }

    /// Whether somebody asked to stop.
    pub fn is_set(&self) -> bool {
        *self.lock()
    }

    /// Waits for `time`, or until somebody asks to stop; says whether somebody did.
    pub fn wait(&self, time: Duration) -> bool {
        let wait = self.0.changed.wait_timeout_while(self.lock(), time, |set| !*set);
        let (set, _) = wait.unwrap_or_else(PoisonError::into_inner);
        *set
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.0.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_ends_waits_and_holds_for_all_clones() {
        let stop = StopFlag::default();
        assert!(!stop.is_set() && !stop.wait(Duration::ZERO));
        let other = stop.clone();
        let waiting = std::thread::spawn(move || other.wait(Duration::from_secs(3600)));
        stop.set();
        assert!(waiting.join().is_ok_and(|stopped| stopped));
        assert!(stop.wait(Duration::from_secs(3600)));
    }
}
