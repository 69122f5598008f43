//! Switches that tests of this folder wait for. The tables mark their rows themselves.

use quicopy_tests::process::Finished;

/// Switches that the program does not know yet. Whoever builds one deletes it here, and the tests that need it begin.
const WAITING: &[&str] = &["/MON", "/RH", "/TBD"];

/// Whether a test that needs `switch` must wait for it, after a run in which it stood.
///
/// # Panics
///
/// When the program knows a switch that is still on the list, or does not know one that is not.
#[track_caller]
pub(super) fn waits_for(switch: &str, finished: &Finished) -> bool {
    let is_known = !finished.stderr.contains("is not supported yet");
    let is_waiting = WAITING.contains(&switch);
    assert!(
        is_known != is_waiting,
        "{switch} is known: {is_known}, and listed: {is_waiting}\n{finished}"
    );
    is_waiting
}
