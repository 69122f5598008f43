//! Result and error codes on the wire.

use serde::{Deserialize, Serialize};

use crate::limits::TEXT_BYTES_MAX;
use crate::text;

/// Why a side ends the conversation, or does not begin a job.
///
/// The sender exits with 16 on each of them; [`RefusalCode::may_pass`] says which are worth another try.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub enum RefusalCode {
    /// The two sides have no protocol version in common.
    Version,
    /// This peer may not do that, or what it names does not exist here: the answer never says which.
    NotPermitted,
    /// The job would delete, and this peer may not.
    DeleteNotPermitted,
    /// Another job holds the destination.
    Busy,
    /// The share is not what the agent knows under its name, or its disk failed.
    ShareOffline,
    /// Source and destination are the same tree, or one holds the other.
    Overlap,
    /// The job asks for something this agent cannot do.
    Unsupported,
    /// The agent is stopping.
    Stopping,
    /// The agent has as many jobs as it takes.
    Overloaded,
    /// A message that the protocol does not allow there.
    Protocol,
    /// The destination could not be opened or written at all.
    DestinationFailed,
    /// The peer's right was withdrawn.
    Revoked,
    /// A mirror of an empty source into a destination that is not empty.
    SourceEmpty,
    /// The plan that was to be carried out is not the one that would be now.
    PlanChanged,
}

impl RefusalCode {
    /// Whether the same request may succeed later without anybody doing anything.
    pub fn may_pass(self) -> bool {
        match self {
            Self::Busy | Self::Stopping | Self::Overloaded => true,
            Self::Version
            | Self::NotPermitted
            | Self::DeleteNotPermitted
            | Self::ShareOffline
            | Self::Overlap
            | Self::Unsupported
            | Self::Protocol
            | Self::DestinationFailed
            | Self::Revoked
            | Self::SourceEmpty
            | Self::PlanChanged => false,
        }
    }
}

/// What went wrong with one entry, as far as the other side must know.
///
/// The number is that of the operating system's error in Robocopy's terms, so that existing log readers keep working.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// What was being done.
    pub operation: Operation,
    /// Windows error number that says the same: 5 access denied, 112 disk full.
    pub windows_code: u32,
    /// The reason in words, and what to do if that is known; at most 1 KiB, unescaped.
    pub reason: String,
}

impl Failure {
    /// Makes a failure whose text keeps the limit.
    pub fn new(operation: Operation, windows_code: u32, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        text::cut(&mut reason, TEXT_BYTES_MAX);
        Self { operation, windows_code, reason }
    }
}

/// The step of a job that failed, named as Robocopy's log names it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub enum Operation {
    /// `Accessing Source Directory`
    AccessSourceDirectory,
    /// `Scanning Source Directory`
    ScanSourceDirectory,
    /// `Accessing Destination Directory`
    AccessDestinationDirectory,
    /// `Scanning Destination Directory`
    ScanDestinationDirectory,
    /// `Creating Destination Directory`
    CreateDirectory,
    /// `Copying File`
    CopyFile,
    /// `Changing File Attributes`
    ChangeAttributes,
    /// `Time-Stamping Destination File`
    StampFile,
    /// `Copying NTFS Security to Destination File`, for owners and access lists too
    CopySecurity,
    /// `Deleting Extra File`
    DeleteExtraFile,
    /// `Deleting Extra Directory`
    DeleteExtraDirectory,
    /// `Deleting Source File`
    DeleteSourceFile,
    /// `Deleting Source Directory`
    DeleteSourceDirectory,
}

impl Operation {
    /// The words that stand in Robocopy's log.
    pub fn label(self) -> &'static str {
        match self {
            Self::AccessSourceDirectory => "Accessing Source Directory",
            Self::ScanSourceDirectory => "Scanning Source Directory",
            Self::AccessDestinationDirectory => "Accessing Destination Directory",
            Self::ScanDestinationDirectory => "Scanning Destination Directory",
            Self::CreateDirectory => "Creating Destination Directory",
            Self::CopyFile => "Copying File",
            Self::ChangeAttributes => "Changing File Attributes",
            Self::StampFile => "Time-Stamping Destination File",
            Self::CopySecurity => "Copying NTFS Security to Destination File",
            Self::DeleteExtraFile => "Deleting Extra File",
            Self::DeleteExtraDirectory => "Deleting Extra Directory",
            Self::DeleteSourceFile => "Deleting Source File",
            Self::DeleteSourceDirectory => "Deleting Source Directory",
        }
    }
}
