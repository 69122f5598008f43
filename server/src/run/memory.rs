//! What the way to each agent gave, so that the next job begins there: [`LinkMemory`].

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use quicopy_certs::Fingerprint;
use quicopy_protocol::congestion::Estimate;
use serde::{Deserialize, Serialize};

const FOLDER: &str = "links";
/// A newer form is not read: what it knew is measured again.
const VERSION: u32 = 1;
/// Lines change. A controller checks what it is told, but a stale memory costs it that check.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Far more than a record takes.
const BYTES_MAX: u64 = 4 << 10;
/// Round trips at the remembered rate after which a lower rate is believed: a job that sent less may have had no more to send.
const ROUNDS_TO_BELIEVE: u32 = 30;

/// The file that holds what is known of the way to one agent. Losing it loses a second or two.
pub(super) struct LinkMemory {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    bytes_per_second: u64,
    round_trip_us: u64,
    loss: f64,
    /// Since 1970.
    seen_seconds: i64,
}

impl LinkMemory {
    /// The memory of the way to the agent with this key, in the sender's own folder.
    pub(super) fn new(state: &Path, agent: &Fingerprint) -> Self {
        let name: String = agent.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { path: state.join(FOLDER).join(name + ".json") }
    }

    /// What is remembered, if it is still worth something.
    pub(super) fn recall(&self, now: Timestamp) -> Option<Estimate> {
        let mut text = Vec::new();
        fs::File::open(&self.path).ok()?.take(BYTES_MAX).read_to_end(&mut text).ok()?;
        let record: Record = serde_json::from_slice(&text).ok()?;
        let seen = Timestamp::from_second(record.seen_seconds).ok()?;
        let is_fresh = now.duration_since(seen).abs() < KEPT;
        let is_sane = record.bytes_per_second > 0
            && record.round_trip_us > 0
            && (0.0..1.0).contains(&record.loss);
        (record.version == VERSION && is_fresh && is_sane).then(|| Estimate {
            rate: record.bytes_per_second,
            min_rtt: Duration::from_micros(record.round_trip_us),
            loss: record.loss,
        })
    }

    /// Remembers a link.
    ///
    /// # Errors
    /// The file cannot be written; the old one stays.
    pub(super) fn note(&self, estimate: Estimate, now: Timestamp) -> io::Result<()> {
        let record = Record {
            version: VERSION,
            bytes_per_second: estimate.rate,
            round_trip_us: u64::try_from(estimate.min_rtt.as_micros()).unwrap_or(u64::MAX),
            loss: estimate.loss,
            seen_seconds: now.as_second(),
        };
        let folder = self.path.parent().expect("the path was joined from a folder and a name");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // Jobs that end at once each write a file of their own; the last rename wins.
        let new = self.path.with_extension(format!("{}.new", std::process::id()));
        let _ = fs::remove_file(&new);
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        let written = file.write_all(&serde_json::to_vec(&record)?);
        let placed = written.and_then(|()| fs::rename(&new, &self.path));
        if placed.is_err() {
            let _ = fs::remove_file(&new);
        }
        placed
    }
}

/// What to remember after a job that sent so many bytes: what it measured, unless it sent too little to tell a slower link
/// from having nothing to send.
pub(super) fn learned(before: Option<Estimate>, after: Estimate, sent_bytes: u64) -> Estimate {
    match before {
        Some(before) if after.rate < before.rate => {
            let believed =
                before.rate as f64 * before.min_rtt.as_secs_f64() * f64::from(ROUNDS_TO_BELIEVE);
            if sent_bytes as f64 >= believed {
                after
            } else {
                Estimate { rate: before.rate, ..after }
            }
        }
        Some(_) | None => after,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn estimate(rate: u64) -> Estimate {
        Estimate { rate, min_rtt: Duration::from_millis(100), loss: 0.01 }
    }

    #[test]
    fn what_was_noted_is_recalled_for_a_month() {
        let state = tempfile::tempdir().unwrap();
        let memory = LinkMemory::new(state.path(), &Fingerprint::from_bytes([7; 32]));
        let then = Timestamp::now();
        assert_eq!(memory.recall(then), None);
        memory.note(estimate(1000), then).unwrap();
        memory.note(estimate(2000), then).unwrap();
        assert_eq!(memory.recall(then), Some(estimate(2000)));
        assert_eq!(memory.recall(then + SignedDuration::from_hours(24 * 31)), None);
        let other = LinkMemory::new(state.path(), &Fingerprint::from_bytes([8; 32]));
        assert_eq!(other.recall(then), None);
    }

    #[test]
    fn what_cannot_be_read_is_not_known() {
        let state = tempfile::tempdir().unwrap();
        let memory = LinkMemory::new(state.path(), &Fingerprint::from_bytes([7; 32]));
        let now = Timestamp::now();
        memory.note(estimate(1000), now).unwrap();
        let good = fs::read_to_string(&memory.path).unwrap();
        for bad in [
            String::new(),
            "{}".into(),
            good.replace("\"version\":1", "\"version\":2"),
            good.replace("1000", "0"),
            good.replace("0.01", "1.5"),
        ] {
            fs::write(&memory.path, &bad).unwrap();
            assert_eq!(memory.recall(now), None, "{bad}");
        }
    }

    #[test]
    fn a_short_job_does_not_make_a_link_slower() {
        let before = Some(estimate(1_000_000));
        assert_eq!(learned(before, estimate(1_000), 1_000).rate, 1_000_000);
        assert_eq!(learned(before, estimate(1_000), 1 << 30).rate, 1_000);
        assert_eq!(learned(before, estimate(2_000_000), 1_000).rate, 2_000_000);
        assert_eq!(learned(None, estimate(1_000), 1_000).rate, 1_000);
    }
}
