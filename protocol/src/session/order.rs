//! Which message belongs to which phase: one table for both sides.

use std::fmt;

use crate::message::Message;
use crate::version::Role;

/// Where a conversation stands, as one side sees it. They follow each other; any may be left for [`Phase::Ended`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Phase {
    /// Until both have said hello.
    Greeting,
    /// The sender may open a job.
    Ready,
    /// The agent looks whether it can be done.
    Opening,
    /// The sender lists, the agent plans and wants, content flows.
    Running,
    /// The same without listings: the scan is over.
    Scanned,
    /// The agent has done all it will do.
    Done,
    /// Nothing more is said.
    Ended,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "before the hellos",
            Self::Ready => "before a job is asked for",
            Self::Opening => "while the job is being opened",
            Self::Running => "while the scan runs",
            Self::Scanned => "after the scan",
            Self::Done => "after the job",
            Self::Ended => "after the end",
        })
    }
}

/// The phases in which `author` may send `message`. Both sides ask it, each about its own phase.
///
/// A [`Notice`](crate::message::Notice) may overtake the `JobOpened` before it, on another lane; therefore it is legal earlier than it is sent.
pub(super) fn phases_of(message: &Message, author: Role) -> &'static [Phase] {
    use Phase::{Done, Greeting, Opening, Ready, Running, Scanned};
    match (message, author) {
        (Message::Hello(_), _) => &[Greeting],
        (Message::Refused(_), _) => &[Greeting, Ready, Opening, Running, Scanned, Done],
        (Message::Ping(_) | Message::Pong(_), _) => &[Ready, Opening, Running, Scanned, Done],
        (Message::OpenJob(_), Role::Sender) => &[Greeting, Ready],
        (Message::JobOpened(_), Role::Agent) => &[Opening],
        (Message::Goodbye(_), Role::Sender) => &[Ready, Opening, Running, Scanned, Done],
        // From the moment the job is asked for.
        (Message::Listing(_) | Message::ScanEnd(_), Role::Sender) => &[Greeting, Opening, Running],
        (
            Message::ChunkList(_)
            | Message::Chunk(_)
            | Message::Hole(_)
            | Message::WholeFile(_)
            | Message::FileEnd(_)
            | Message::FileFailed(_),
            Role::Sender,
        ) => &[Running, Scanned],
        (Message::Notice(_), Role::Agent) => &[Opening, Running, Scanned],
        (
            Message::Plan(_)
            | Message::Extras(_)
            | Message::Want(_)
            | Message::Lack(_)
            | Message::Cancel(_)
            | Message::Outcomes(_)
            | Message::Retrying(_),
            Role::Agent,
        ) => &[Running, Scanned],
        (Message::JobDone(_), Role::Agent) => &[Scanned],
        (Message::PairRequest(_) | Message::PairReply(_), _)
        | (
            Message::JobOpened(_)
            | Message::Plan(_)
            | Message::Extras(_)
            | Message::Want(_)
            | Message::Lack(_)
            | Message::Cancel(_)
            | Message::Outcomes(_)
            | Message::Retrying(_)
            | Message::Notice(_)
            | Message::JobDone(_),
            Role::Sender,
        )
        | (
            Message::OpenJob(_)
            | Message::Goodbye(_)
            | Message::Listing(_)
            | Message::ScanEnd(_)
            | Message::ChunkList(_)
            | Message::Chunk(_)
            | Message::Hole(_)
            | Message::WholeFile(_)
            | Message::FileEnd(_)
            | Message::FileFailed(_),
            Role::Agent,
        ) => &[],
    }
}
