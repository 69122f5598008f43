//! Messages to bytes and back: [`encode`], [`decode`].

use bincode::config::{self, Config};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::check::{self, Invalid};
use super::frame::{FRAME_HEAD_BYTES, Frame};
use super::list;
use crate::message::{Chunk, Message, WholeFile, body_limit};
use crate::meta::{Attribute, Digest, WantId};

/// A message as it goes onto a stream: first `head`, then `data`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Encoded {
    /// The frame's head and the fields.
    pub head: Bytes,
    /// Content that ends the frame, the same memory as in the message; empty for most.
    pub data: Bytes,
}

impl Encoded {
    /// Bytes of the whole frame.
    #[allow(clippy::len_without_is_empty, reason = "a frame has a head")]
    pub fn len(&self) -> usize {
        self.head.len() + self.data.len()
    }

    /// The whole frame in one piece, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        [&*self.head, &*self.data].concat()
    }
}

/// Why a message of our own cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// It breaks a rule that the other side checks.
    #[error("{message} cannot be sent: {source}")]
    Invalid {
        /// The message's name.
        message: &'static str,
        /// The rule.
        source: Invalid,
    },
    /// Its body is longer than the protocol allows.
    #[error("{message} cannot be sent: {length} bytes, {limit} are allowed")]
    TooLong {
        /// The message's name.
        message: &'static str,
        /// Length of its body.
        length: usize,
        /// Length that it may have.
        limit: usize,
    },
}

/// Why the body of a frame is not a message.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// No message has this number.
    #[error("message number {number:#06x} is not known")]
    UnknownNumber {
        /// The number.
        number: u16,
    },
    /// The bytes are not the message's fields.
    #[error("message {number:#06x} does not decode")]
    Malformed {
        /// The number.
        number: u16,
        /// What the decoder stumbled over.
        source: bincode::error::DecodeError,
    },
    /// Bytes follow the last field.
    #[error("message {number:#06x} has {excess} bytes too many")]
    TrailingBytes {
        /// The number.
        number: u16,
        /// How many.
        excess: usize,
    },
    /// It decodes and says what it may not say.
    #[error("message {number:#06x} is not valid")]
    Invalid {
        /// The number.
        number: u16,
        /// The rule that it breaks.
        source: Invalid,
    },
}

// The fields of the two messages that end with content.
#[derive(Serialize, Deserialize)]
struct ChunkHead {
    want: WantId,
    offset: u64,
    digest: Digest,
}

#[derive(Serialize)]
struct WholeFileHead<'a> {
    want: WantId,
    digest: Digest,
    attributes: &'a [Attribute],
}

#[derive(Deserialize)]
struct OwnedWholeFileHead {
    want: WantId,
    digest: Digest,
    #[serde(deserialize_with = "list::batch")]
    attributes: Vec<Attribute>,
}

/// Makes the frame of a message.
///
/// # Errors
/// The other side would refuse it.
pub fn encode(message: &Message) -> Result<Encoded, EncodeError> {
    check::check(message)
        .map_err(|source| EncodeError::Invalid { message: message.name(), source })?;
    let mut head = vec![0; FRAME_HEAD_BYTES];
    let mut content = Bytes::new();
    match message {
        Message::Hello(payload) => put(&mut head, payload),
        Message::Refused(payload) => put(&mut head, payload),
        Message::Ping(payload) | Message::Pong(payload) => put(&mut head, payload),
        Message::PairRequest(payload) => put(&mut head, payload),
        Message::PairReply(payload) => put(&mut head, payload),
        Message::OpenJob(payload) => put(&mut head, payload),
        Message::JobOpened(payload) => put(&mut head, payload),
        Message::Goodbye(payload) => put(&mut head, payload),
        Message::Listing(payload) => put(&mut head, payload),
        Message::ScanEnd(payload) => put(&mut head, payload),
        Message::Plan(payload) => put(&mut head, payload),
        Message::Extras(payload) => put(&mut head, payload),
        Message::Want(payload) => put(&mut head, payload),
        Message::Lack(payload) => put(&mut head, payload),
        Message::Cancel(payload) => put(&mut head, payload),
        Message::ChunkList(payload) => put(&mut head, payload),
        Message::Chunk(Chunk { want, offset, digest, data }) => {
            put(&mut head, &ChunkHead { want: *want, offset: *offset, digest: *digest });
            content = data.clone();
        }
        Message::Hole(payload) => put(&mut head, payload),
        Message::WholeFile(WholeFile { want, digest, attributes, data }) => {
            put(&mut head, &WholeFileHead { want: *want, digest: *digest, attributes });
            content = data.clone();
        }
        Message::FileEnd(payload) => put(&mut head, payload),
        Message::FileFailed(payload) => put(&mut head, payload),
        Message::Outcomes(payload) => put(&mut head, payload),
        Message::Retrying(payload) => put(&mut head, payload),
        Message::Notice(payload) => put(&mut head, payload),
        Message::JobDone(payload) => put(&mut head, payload),
    }
    let length = head.len() - FRAME_HEAD_BYTES + content.len();
    let limit = body_limit(message.number()).expect("every message has a row in the table");
    let too_long = EncodeError::TooLong { message: message.name(), length, limit };
    let Some(wire_length) = u32::try_from(length).ok().filter(|_| length <= limit) else {
        return Err(too_long);
    };
    head[..4].copy_from_slice(&wire_length.to_le_bytes());
    head[4..FRAME_HEAD_BYTES].copy_from_slice(&message.number().to_le_bytes());
    Ok(Encoded { head: head.into(), data: content })
}

/// Reads the message in a frame.
///
/// What it allocates is bounded: texts and byte strings by eight times the frame, lists by
/// [`BATCH_ITEMS_MAX`](crate::limits::BATCH_ITEMS_MAX).
///
/// # Errors
/// The bytes are not that message, or the message breaks a rule that every message of its kind keeps.
pub fn decode(frame: Frame) -> Result<Message, DecodeError> {
    let Frame { number, body } = frame;
    let message = match number {
        0x01 => Message::Hello(whole(number, &body)?),
        0x02 => Message::Refused(whole(number, &body)?),
        0x03 => Message::Ping(whole(number, &body)?),
        0x04 => Message::Pong(whole(number, &body)?),
        0x08 => Message::PairRequest(whole(number, &body)?),
        0x09 => Message::PairReply(whole(number, &body)?),
        0x10 => Message::OpenJob(whole(number, &body)?),
        0x11 => Message::JobOpened(whole(number, &body)?),
        0x12 => Message::Goodbye(whole(number, &body)?),
        0x20 => Message::Listing(whole(number, &body)?),
        0x21 => Message::ScanEnd(whole(number, &body)?),
        0x30 => Message::Plan(whole(number, &body)?),
        0x31 => Message::Extras(whole(number, &body)?),
        0x40 => Message::Want(whole(number, &body)?),
        0x41 => Message::Lack(whole(number, &body)?),
        0x42 => Message::Cancel(whole(number, &body)?),
        0x43 => Message::ChunkList(whole(number, &body)?),
        0x50 => {
            let (ChunkHead { want, offset, digest }, data) = head_and_content(number, &body)?;
            Message::Chunk(Chunk { want, offset, digest, data })
        }
        0x51 => Message::Hole(whole(number, &body)?),
        0x52 => {
            let (head, data) = head_and_content(number, &body)?;
            let OwnedWholeFileHead { want, digest, attributes } = head;
            Message::WholeFile(WholeFile { want, digest, attributes, data })
        }
        0x53 => Message::FileEnd(whole(number, &body)?),
        0x54 => Message::FileFailed(whole(number, &body)?),
        0x60 => Message::Outcomes(whole(number, &body)?),
        0x61 => Message::Retrying(whole(number, &body)?),
        0x62 => Message::Notice(whole(number, &body)?),
        0x63 => Message::JobDone(whole(number, &body)?),
        _ => return Err(DecodeError::UnknownNumber { number }),
    };
    check::check(&message).map_err(|source| DecodeError::Invalid { number, source })?;
    Ok(message)
}

fn put<T: Serialize>(head: &mut Vec<u8>, fields: &T) {
    bincode::serde::encode_into_std_write(fields, head, config::standard())
        .expect("payloads are plain data, and memory takes any length");
}

fn whole<T: DeserializeOwned>(number: u16, body: &[u8]) -> Result<T, DecodeError> {
    let (payload, used) = take(number, body)?;
    match body.len() - used {
        0 => Ok(payload),
        excess => Err(DecodeError::TrailingBytes { number, excess }),
    }
}

fn head_and_content<T: DeserializeOwned>(
    number: u16,
    body: &Bytes,
) -> Result<(T, Bytes), DecodeError> {
    let (head, used) = take(number, body)?;
    Ok((head, body.slice(used..)))
}

/// Decodes from the beginning of `body`.
///
/// bincode counts every integer with the size it has in memory, up to eight times that on the wire, and reserves what a
/// text claims if the limit allows it: so the limit follows the body, in steps since it is part of a type.
fn take<T: DeserializeOwned>(number: u16, body: &[u8]) -> Result<(T, usize), DecodeError> {
    fn run<T: DeserializeOwned, C: Config>(
        body: &[u8],
        config: C,
    ) -> Result<(T, usize), bincode::error::DecodeError> {
        bincode::serde::decode_from_slice(body, config)
    }
    let standard = config::standard();
    match body.len() {
        ..0x80 => run(body, standard.with_limit::<{ 8 * 0x80 }>()),
        0x80..0x1000 => run(body, standard.with_limit::<{ 8 * 0x1000 }>()),
        0x1000..0x1_0000 => run(body, standard.with_limit::<{ 8 * 0x1_0000 }>()),
        _ => run(body, standard.with_limit::<{ 8 * crate::limits::CONTENT_BYTES_MAX }>()),
    }
    .map_err(|source| DecodeError::Malformed { number, source })
}
