//! How many directories a job may hold open.

use quicopy_protocol::limits::WANTS_MAX;

/// Directories that each of three stages may hold open at once: wishes in flight, finished files that wait, and the batch that
/// is committed. Half of the descriptors is left for files and whatever else is open.
pub(super) fn dirs_held_max() -> usize {
    (descriptors_max() / 6).clamp(DIRS_HELD_MIN, WANTS_MAX)
}

/// With fewer nothing would get on.
const DIRS_HELD_MIN: usize = 64;

/// How many descriptors this process may have.
fn descriptors_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}
