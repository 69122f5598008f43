//! What can go wrong with a file on its way in.

use std::io;

use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::meta::Digest;
use rustix::io::Errno;

use crate::disk::ShareError;
use crate::fault::{self, Fault};

/// A peer broke the rules of the content messages. It cannot happen by accident: the connection ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Violation {
    /// A frame for a wish that is not open.
    #[error("content for a wish that is not open")]
    UnknownWant,
    /// A chunk for a small file, or a whole file for a large one.
    #[error("a frame of the wrong kind for this file")]
    WrongFrame,
    /// Bytes beyond the size that was listed, or an empty range.
    #[error("content outside the file's listed size")]
    OutOfRange,
    /// Bytes that came before.
    #[error("content for a part of the file that is there already")]
    Overlap,
    /// The bytes do not have the hash that came with them.
    #[error("content that does not have its own hash")]
    Digest,
    /// The size at the end is not the one that was listed.
    #[error("a file that ends with another size than was listed")]
    Size,
    /// A chunk list without being asked for, out of order, or with chunks that are too large.
    #[error("a chunk list that breaks the rules")]
    List,
    /// A second end of the same file.
    #[error("a second end of the same file")]
    Ended,
    /// Attributes that exceed their limit.
    #[error("attributes that exceed their limit")]
    Attributes,
}

/// Why a file was not received. Unless it is a violation, what still arrives for its wish is dropped up to the file's end.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The peer's fault; the connection must end.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The file system refused.
    #[error("cannot be written")]
    Disk(#[source] io::Error),
    /// Its metadata cannot be set.
    #[error("its metadata cannot be set")]
    Metadata(#[source] io::Error),
    /// Its name is kept for the agent.
    #[error("its name is kept for quicopy's own files")]
    Reserved,
    /// The share's private folder cannot be used.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// It does not fit.
    #[error("the destination lacks {lacking_bytes} bytes for it")]
    Full {
        /// Bytes that are missing beside what other files in flight will take.
        lacking_bytes: u64,
    },
    /// All parts are there and right, and do not make the file that the sender read. The partial is gone; the next try begins from 0.
    #[error("received bytes hash to {actual}, the sender announced {announced}")]
    WholeDigest {
        /// What the sender announced.
        announced: Digest,
        /// What the received bytes hash to.
        actual: Digest,
    },
    /// What was written is not what the disk gives back. The partial is gone; the next try begins from 0.
    #[error(
        "the disk gives back other bytes than were written: {actual} instead of {expected}; check the disk"
    )]
    ReadBack {
        /// What the content hashes to.
        expected: Digest,
        /// What was read back hashes to.
        actual: Digest,
    },
    /// Its parts came in such an order that keeping track would take too much memory. The next try goes in order.
    #[error("its parts came in too many pieces")]
    TooScattered,
    /// What was received could not be made durable.
    #[error("could not be made durable, and was thrown away")]
    Sync(#[source] io::Error),
    /// A sync failed earlier; nothing is received on this share until somebody looked at its disk.
    #[error("the destination's disk failed earlier in this job")]
    Degraded,
}

impl ReceiveError {
    /// Whether the same wish may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Disk(error) | Self::Metadata(error) => fault::is_transient(error),
            Self::Full { .. }
            | Self::WholeDigest { .. }
            | Self::ReadBack { .. }
            | Self::TooScattered => true,
            Self::Violation(_)
            | Self::Reserved
            | Self::Share(_)
            | Self::Sync(_)
            | Self::Degraded => false,
        }
    }

    /// What travels and is logged.
    pub fn failure(&self) -> Failure {
        let code = |errno: Errno| fault::windows_code(&errno.into());
        match self {
            Self::Disk(error) => fault::failure(Operation::CopyFile, error),
            Self::Metadata(error) => fault::failure(Operation::ChangeAttributes, error),
            Self::Full { .. } => {
                let reason = format!("{self}; free some space at the destination and run again");
                Failure::new(Operation::CopyFile, code(Errno::NOSPC), reason)
            }
            Self::Sync(error) => {
                let reason = format!("{self}: {error}; check the destination's disk");
                Failure::new(Operation::CopyFile, fault::windows_code(error), reason)
            }
            Self::Degraded => {
                let reason = format!("{self}; check it before the next job");
                Failure::new(Operation::CopyFile, code(Errno::IO), reason)
            }
            // Source: ERROR_CRC of winerror.h.
            Self::WholeDigest { .. } | Self::ReadBack { .. } => {
                Failure::new(Operation::CopyFile, 23, self.to_string())
            }
            Self::Reserved | Self::Share(_) => {
                Failure::new(Operation::CopyFile, code(Errno::ACCESS), self.to_string())
            }
            // Source: ERROR_INVALID_DATA of winerror.h.
            Self::Violation(_) | Self::TooScattered => {
                Failure::new(Operation::CopyFile, 13, self.to_string())
            }
        }
    }
}

impl From<ReceiveError> for Fault {
    fn from(error: ReceiveError) -> Self {
        let fault = match error.is_transient() {
            true => Self::passing(error.failure()),
            false => Self::lasting(error.failure()),
        };
        let lacking_bytes = match error {
            ReceiveError::Full { lacking_bytes } => Some(lacking_bytes),
            _ => None,
        };
        Self { lacking_bytes, ..fault }
    }
}
