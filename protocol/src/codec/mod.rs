//! Frames and what is in them: the only place where bytes become messages.
//!
//! A frame is the length of its body (`u32`), the message's number (`u16`), both little-endian, and the body. The body is
//! the payload's fields in bincode's standard configuration (version 2: little-endian, variable-length integers).
//! [`Chunk`](crate::message::Chunk) and [`WholeFile`](crate::message::WholeFile) end with their content as it is, from the
//! last field to the end of the frame, so that content is never copied: [`encode`] hands it out as its own slice, and
//! [`decode`] returns a part of the frame.
//!
//! Nothing here trusts a length: [`FrameDecoder`] compares it with the limit of that number before it buffers, lists are
//! counted before they are decoded, and [`Invalid`] says what a message that decodes may still not say.

mod body;
mod check;
mod frame;
pub(crate) mod list;

#[cfg(test)]
mod golden;
#[cfg(test)]
pub(crate) mod samples;

pub use body::{DecodeError, EncodeError, Encoded, decode, encode};
pub use check::Invalid;
pub use frame::{FRAME_HEAD_BYTES, Frame, FrameDecoder, FrameError};
