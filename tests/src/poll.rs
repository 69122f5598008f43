//! Waiting for something to happen: the only place where a test sleeps.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Time between two looks: far below what a person notices, far above what a look costs.
const STEP: Duration = Duration::from_millis(10);

/// Waits until `happened` says so, and returns whether it did within `limit`.
pub fn happens_within(limit: Duration, mut happened: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    loop {
        if happened() {
            return true;
        }
        if started.elapsed() >= limit {
            return false;
        }
        thread::sleep(STEP);
    }
}

/// Waits until `happened` says so.
///
/// # Panics
///
/// When it has not happened within `limit`; `what` says in the message what did not.
pub fn wait_until(limit: Duration, what: &str, happened: impl FnMut() -> bool) {
    assert!(happens_within(limit, happened), "not within {limit:?}: {what}");
}

/// Whether the tests that take long were asked for, with `SLOW_TESTS=1`; says so if not.
#[expect(clippy::print_stderr, reason = "a skipped test must not look like a passed one")]
pub fn slow_tests_wanted() -> bool {
    let wanted = std::env::var_os("SLOW_TESTS").is_some_and(|value| value == "1");
    if !wanted {
        eprintln!("skipped: set SLOW_TESTS=1 to run it");
    }
    wanted
}
