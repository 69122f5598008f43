//! The messages, a file a family. [`Message`] is their sum; its numbers are given by hand in [`Message::number`].

mod content;
mod control;
mod listing;
mod outcome;
mod plan;

pub use content::*;
pub use control::*;
pub use listing::*;
pub use outcome::*;
pub use plan::*;

use crate::limits;

/// Where a message travels. Each lane keeps its order; between lanes there is none.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Lane {
    /// Both ways: hello, opening and ending a job, pings. Never behind bulk.
    Control,
    /// Sender to agent: directories as the scan finds them, then its end; chunk lists.
    Listing,
    /// Sender to agent, over several streams that take turns: content. Order holds within one stream only.
    Content,
    /// Agent to sender: plans, wishes, outcomes.
    Verdict,
}

/// One message of either side.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "each variant is its payload, documented there")]
pub enum Message {
    Hello(Hello),
    Refused(Refused),
    Ping(Ping),
    Pong(Ping),
    PairRequest(PairRequest),
    PairReply(PairReply),
    OpenJob(Box<OpenJob>),
    JobOpened(JobOpened),
    Goodbye(Goodbye),
    Listing(Listing),
    ScanEnd(ScanEnd),
    Plan(Plan),
    Extras(Extras),
    Want(Want),
    Lack(Lack),
    Cancel(Cancel),
    ChunkList(ChunkList),
    Chunk(Chunk),
    Hole(Hole),
    WholeFile(WholeFile),
    FileEnd(FileEnd),
    FileFailed(FileFailed),
    Outcomes(Outcomes),
    Retrying(Retrying),
    Notice(Notice),
    JobDone(JobDone),
}

/// One row a message: number, name, lane, largest body. Rows are added, never changed: a released number keeps its meaning.
macro_rules! table {
    ($($number:literal $name:ident $lane:ident $limit:ident,)*) => {
        /// Every number in use, ascending, with the message's name.
        pub const NUMBERS: &[(u16, &str)] = &[$(($number, stringify!($name))),*];

        impl Message {
            /// The number that stands for this kind of message in a frame.
            pub fn number(&self) -> u16 {
                match self { $(Self::$name(_) => $number,)* }
            }

            /// The name of this kind of message, as the specification writes it.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }

            /// The lane on which this message travels.
            pub fn lane(&self) -> Lane {
                match self { $(Self::$name(_) => Lane::$lane,)* }
            }
        }

        /// The lane of the message with this number; `None` if no message has it.
        pub fn lane_of(number: u16) -> Option<Lane> {
            match number { $($number => Some(Lane::$lane),)* _ => None }
        }

        /// Most bytes that the body of the message with this number may have; `None` if no message has it.
        pub fn body_limit(number: u16) -> Option<usize> {
            match number { $($number => Some(limits::$limit),)* _ => None }
        }
    };
}

table! {
    0x01 Hello Control HELLO_BYTES_MAX,
    0x02 Refused Control HELLO_BYTES_MAX,
    0x03 Ping Control CONTROL_BYTES_MAX,
    0x04 Pong Control CONTROL_BYTES_MAX,
    0x08 PairRequest Control PAIRING_FRAME_BYTES_MAX,
    0x09 PairReply Control PAIRING_FRAME_BYTES_MAX,
    0x10 OpenJob Control CONTROL_BYTES_MAX,
    0x11 JobOpened Control CONTROL_BYTES_MAX,
    0x12 Goodbye Control CONTROL_BYTES_MAX,
    0x20 Listing Listing BATCH_BYTES_MAX,
    0x21 ScanEnd Listing BATCH_BYTES_MAX,
    0x30 Plan Verdict BATCH_BYTES_MAX,
    0x31 Extras Verdict BATCH_BYTES_MAX,
    0x40 Want Verdict BATCH_BYTES_MAX,
    0x41 Lack Verdict BATCH_BYTES_MAX,
    0x42 Cancel Verdict BATCH_BYTES_MAX,
    0x43 ChunkList Listing BATCH_BYTES_MAX,
    0x50 Chunk Content CONTENT_BYTES_MAX,
    0x51 Hole Content CONTENT_BYTES_MAX,
    0x52 WholeFile Content CONTENT_BYTES_MAX,
    0x53 FileEnd Content CONTENT_BYTES_MAX,
    0x54 FileFailed Content CONTENT_BYTES_MAX,
    0x60 Outcomes Verdict BATCH_BYTES_MAX,
    0x61 Retrying Verdict BATCH_BYTES_MAX,
    0x62 Notice Verdict BATCH_BYTES_MAX,
    0x63 JobDone Verdict BATCH_BYTES_MAX,
}

/// The number of a frame that is no message: it holds whole frames of its stream, compressed. The transport makes and
/// opens it where [`ZSTD_STREAMS`](crate::version::ZSTD_STREAMS) is in force; nothing behind the transport meets it.
pub const ZSTD: u16 = 0x56;

// A `Ping` is left out: it is the payload of two messages, and which one is meant must be said.
macro_rules! from_payload {
    ($($name:ident)*) => {$(
        impl From<$name> for Message {
            fn from(payload: $name) -> Self {
                Self::$name(payload)
            }
        }
    )*};
}

from_payload! {
    Hello Refused PairRequest PairReply JobOpened Goodbye Listing ScanEnd Plan Extras Want Lack Cancel ChunkList
    Chunk Hole WholeFile FileEnd FileFailed Outcomes Retrying Notice JobDone
}

impl From<OpenJob> for Message {
    fn from(payload: OpenJob) -> Self {
        Self::OpenJob(Box::new(payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ascend_so_that_none_is_used_twice() {
        assert!(NUMBERS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn a_number_without_a_message_has_neither_lane_nor_limit() {
        assert!(NUMBERS.iter().all(|(used, _)| *used != ZSTD));
        for number in (0..=u16::MAX).filter(|n| NUMBERS.iter().all(|(used, _)| used != n)) {
            assert_eq!((lane_of(number), body_limit(number)), (None, None));
        }
    }
}
