//! Points at which a test may kill the process, to see what a crash leaves behind.
//!
//! Without the feature `crash-points` a point is nothing. With it, the environment variable `QUICOPY_CRASH_POINT`, set to
//! `NAME` or `NAME:N`, kills the process with SIGKILL when it passes that point for the first (the N-th) time.

/// Kills the process here if a test armed this point.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(feature = "crash-points")]
        $crate::crash::reach($name);
    };
}

/// Every crash point, in the order a job passes them, so that a test can walk through all.
pub const POINTS: &[&str] = &[
    "sender_scanning",
    "sender_chunk_sent",
    "sender_before_file_end",
    "sender_before_goodbye",
    "agent_directory_made",
    "agent_partial_created",
    "agent_journal_started",
    "agent_chunk_written",
    "agent_checkpoint_data_synced",
    "agent_checkpoint_recorded",
    "agent_metadata_set",
    "agent_batch_synced",
    "agent_renamed",
    "agent_batch_renamed",
    "agent_batch_durable",
    "agent_removals_recorded",
    "agent_removed",
    "agent_removals_done",
];

/// Kills the process if the environment armed the point `name`, and it was passed as often as asked for.
#[cfg(feature = "crash-points")]
pub fn reach(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static ARMED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    assert!(POINTS.contains(&name), "crash point {name} is not in the list");
    let armed = ARMED.get_or_init(|| {
        let text = std::env::var("QUICOPY_CRASH_POINT").ok()?;
        let (name, times) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), times.parse().expect("QUICOPY_CRASH_POINT=NAME:N takes a number")))
    });
    if let Some((point, times)) = armed
        && point == name
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *times
    {
        let own = rustix::process::getpid();
        let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}
