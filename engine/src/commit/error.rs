//! Why a finished file did not take its place.

use std::io;

use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::path::Name;
use rustix::io::Errno;

use crate::fault::{self, ALREADY_EXISTS, ALTERED_OUTSIDE, Fault};

/// Why an entry that was complete is not in place, or not known to be.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// What stands at the target's name is not what the job saw there when it decided; it was left alone.
    #[error("changed at the destination during the job, so it was left alone; run again")]
    Changed,
    /// The file system takes the target's name for that of another entry, which was left alone.
    #[error("the destination does not tell {name} from {other}; rename one of them")]
    OneName {
        /// The target's name.
        name: Name,
        /// The other one, under which the destination lists it.
        other: Name,
    },
    /// The file system refused.
    #[error("cannot be put in place")]
    Disk(#[source] io::Error),
    /// The version that it replaces was to be kept in the trash, and cannot be: it stays in its place.
    #[error("the version that it replaces cannot be kept in the trash, so it was not replaced")]
    NotKept(#[source] io::Error),
    /// Data or names may not have reached the disk.
    #[error("could not be made durable, and was thrown away")]
    Sync(#[source] io::Error),
    /// A sync failed earlier; nothing is committed on this share until somebody looked at its disk.
    #[error("the destination's disk failed earlier in this job")]
    Degraded,
}

impl CommitError {
    /// Whether waiting may help. After [`Changed`](Self::Changed) a new look at the target is due first, which the next job takes.
    pub fn is_transient(&self) -> bool {
        match self {
            // A rename that cannot leave the private folder: the next try stands beside its target.
            Self::Disk(error) if Errno::from_io_error(error) == Some(Errno::XDEV) => true,
            Self::Disk(error) => fault::is_transient(error),
            Self::NotKept(error) => fault::is_transient(error),
            Self::Changed | Self::OneName { .. } | Self::Sync(_) | Self::Degraded => false,
        }
    }

    /// What travels and is logged.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Changed => Failure::new(Operation::CopyFile, ALTERED_OUTSIDE, self.to_string()),
            Self::OneName { .. } => {
                Failure::new(Operation::CopyFile, ALREADY_EXISTS, self.to_string())
            }
            Self::Disk(error) => fault::failure(Operation::CopyFile, error),
            Self::NotKept(error) => {
                let code = fault::windows_code(error);
                let hint = match Errno::from_io_error(error) {
                    Some(Errno::XDEV) => "another file system than the trash's is mounted here",
                    _ => &*error.to_string(),
                };
                let reason = format!(
                    "{self}: {hint}; leave /TRASH away, or set trash = \"off\" for the agent's share, and it is"
                );
                Failure::new(Operation::CopyFile, code, reason)
            }
            Self::Sync(error) => {
                let code = fault::windows_code(error);
                let reason = format!("{self}: {error}; check the destination's disk");
                Failure::new(Operation::CopyFile, code, reason)
            }
            Self::Degraded => {
                let reason = format!("{self}; check it before the next job");
                Failure::new(Operation::CopyFile, fault::windows_code(&Errno::IO.into()), reason)
            }
        }
    }
}

impl From<CommitError> for Fault {
    fn from(error: CommitError) -> Self {
        match error.is_transient() {
            true => Self::passing(error.failure()),
            false => Self::lasting(error.failure()),
        }
    }
}
