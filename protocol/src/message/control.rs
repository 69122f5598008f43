//! Hello, opening a job, refusing it, pings, the end; and the envelope of pairing.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::code::RefusalCode;
use crate::limits::TEXT_BYTES_MAX;
use crate::options::{Durability, JobPolicy};
use crate::path::RelPath;
use crate::text;

/// First frame of each side, on the control lane. Its encoding never changes, whatever the version.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// Oldest protocol version this side speaks.
    pub version_min: u16,
    /// Newest protocol version this side speaks.
    pub version_max: u16,
    /// Optional parts this side can use, a bit each; those that both name are in force. Unknown bits are ignored.
    pub features: u64,
    /// Program and version, such as `quicopy 0.1.0`; for logs only.
    pub program: String,
}

/// The conversation ends here. Legal in every state, from either side; nothing follows it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// The kind of reason.
    pub code: RefusalCode,
    /// The reason in words, and what to do; at most 1 KiB, unescaped.
    pub reason: String,
}

impl Refused {
    /// Makes a refusal whose text keeps the limit: it may hold a peer's words or a system's, of any length.
    pub fn new(code: RefusalCode, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        text::cut(&mut reason, TEXT_BYTES_MAX);
        Self { code, reason }
    }
}

/// A job's random name, the same in all of its attempts.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct JobId(pub [u8; 16]);

impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The sender asks for a job. Second message of the sender; answered by [`JobOpened`] or [`Refused`].
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct OpenJob {
    /// The job. A connection with the id of a running job takes that job over at once.
    pub job: JobId,
    /// 0 for the first connection of the job, one more for each that follows.
    pub attempt: u32,
    /// The share, 1 to 64 bytes.
    pub share: String,
    /// The directory below the share that is the job's root at the destination; made if it is missing.
    pub path: RelPath,
    /// What the job means.
    pub policy: JobPolicy,
    /// Where the data comes from, to see overlaps.
    pub origin: Origin,
    /// Host and folder of the source, shown to whoever finds the destination locked.
    pub label: String,
}

/// The source tree's place, so that the agent can see that it is its own destination.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Hash that equal machines have in common and that tells nothing else about them.
    pub machine: [u8; 32],
    /// Device and inode of the source root and of each directory above it, up to the file system's root.
    pub chain: Vec<(u64, u64)>,
}

/// The job is open and the destination is locked for it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct JobOpened {
    /// Smallest step of a time that the destination keeps, in nanoseconds: 1, 100, 1,000,000,000, 2,000,000,000.
    pub time_step_nanos: u32,
    /// Whether the agent remembers what earlier jobs wrote, so that conflicts can be seen.
    pub conflicts_known: bool,
    /// Whether no job into this destination is on record.
    pub first_job: bool,
    /// How commits are made durable; shown in the report's header.
    pub durability: Durability,
    /// For how many days the destination keeps what this job deletes; `None` when it is gone at once.
    pub trash_days: Option<u16>,
}

/// Asks the other side for a [`Message::Pong`](super::Message::Pong) with the same number.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Ping {
    /// Comes back in the answer.
    pub number: u64,
}

/// The sender has the end of the job, or gives it up; it sends nothing more.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Goodbye {
    /// Whether the job reached its end. If not, the agent parks what it has and keeps partial files for resume.
    pub complete: bool,
}

/// Opaque to this crate: what the pairing dialogue says, sender to agent. On a connection made for pairing only.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct PairRequest {
    /// At most 4 KiB.
    pub body: Bytes,
}

/// The agent's answer to a [`PairRequest`].
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct PairReply {
    /// At most 4 KiB.
    pub body: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::encode;

    #[test]
    fn a_refusal_of_any_length_can_be_sent() {
        let refused = Refused::new(RefusalCode::ShareOffline, "ü".repeat(TEXT_BYTES_MAX));
        assert!(encode(&refused.into()).is_ok());
    }
}
