//! Cutting a stream of bytes into frames: [`FrameDecoder`].

use bytes::{Buf, Bytes, BytesMut};

use crate::limits::ZSTD_BYTES_MAX;
use crate::message::{ZSTD, body_limit};

/// Bytes before a frame's body: its length and its number.
pub const FRAME_HEAD_BYTES: usize = 6;

/// A body this small is copied out, so that it does not keep a large buffer alive.
const COPY_BYTES_MAX: usize = 4 << 10;

/// One frame whose length is within the limit of its number; the body is not decoded yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    /// The message's number, one that [`body_limit`] knows; or [`ZSTD`], from a decoder that takes it.
    pub number: u16,
    /// The body.
    pub body: Bytes,
}

/// Why bytes are not the beginning of a frame. The stream cannot be read any further.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FrameError {
    /// No message has this number, in this version and with the features in force.
    #[error("message number {number:#06x} is not known")]
    UnknownNumber {
        /// The number.
        number: u16,
    },
    /// The body is longer than messages of this number may be.
    #[error("a frame of message {number:#06x} with {length} bytes, {limit} are allowed")]
    TooLong {
        /// The number.
        number: u16,
        /// Length that the frame claims.
        length: u32,
        /// Length that it may have.
        limit: usize,
    },
}

/// Cuts a stream of bytes into frames.
///
/// Give it what arrives with [`push`](Self::push), then take frames from [`next_frame`](Self::next_frame) until it
/// returns `None`. If that is kept, it never holds more than one frame and one push.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    buffer: BytesMut,
    takes_zstd: bool,
}

impl FrameDecoder {
    /// A decoder at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// A decoder at the beginning of a stream that may be compressed: it gives [`ZSTD`] frames as well.
    pub fn taking_zstd() -> Self {
        Self { takes_zstd: true, ..Self::default() }
    }

    /// Takes bytes off the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, if it is there in full.
    ///
    /// # Errors
    /// The stream does not go on with a frame. The same error comes again from then on.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some((length, number)) = self.head()? else { return Ok(None) };
        let frame_bytes = FRAME_HEAD_BYTES + length;
        if self.buffer.len() < frame_bytes {
            self.buffer.reserve(frame_bytes - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(FRAME_HEAD_BYTES);
        let body = if length <= COPY_BYTES_MAX {
            let body = Bytes::copy_from_slice(&self.buffer[..length]);
            self.buffer.advance(length);
            body
        } else {
            self.buffer.split_to(length).freeze()
        };
        Ok(Some(Frame { number, body }))
    }

    /// Whether a frame has begun and not ended; a stream that ends now was cut.
    pub fn is_inside_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    fn head(&self) -> Result<Option<(usize, u16)>, FrameError> {
        let Some(mut head) = self.buffer.get(..FRAME_HEAD_BYTES) else { return Ok(None) };
        let (length, number) = (head.get_u32_le(), head.get_u16_le());
        let limit = match number {
            ZSTD if self.takes_zstd => ZSTD_BYTES_MAX,
            number => body_limit(number).ok_or(FrameError::UnknownNumber { number })?,
        };
        match usize::try_from(length) {
            Ok(bytes) if bytes <= limit => Ok(Some((bytes, number))),
            _ => Err(FrameError::TooLong { number, length, limit }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::codec::{encode, samples};
    use crate::message::NUMBERS;
    use proptest::prelude::*;

    fn head(length: u32, number: u16) -> Vec<u8> {
        [&length.to_le_bytes()[..], &number.to_le_bytes()].concat()
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_anything_is_buffered() {
        for &(number, _) in NUMBERS {
            let limit = body_limit(number).unwrap();
            for length in [u32::try_from(limit).unwrap() + 1, 1 << 31, u32::MAX] {
                let mut decoder = FrameDecoder::new();
                decoder.push(&head(length, number));
                let capacity = decoder.buffer.capacity();
                assert_eq!(
                    decoder.next_frame(),
                    Err(FrameError::TooLong { number, length, limit })
                );
                assert_eq!(decoder.buffer.capacity(), capacity);
            }
        }
    }

    #[test]
    fn a_length_at_the_limit_is_waited_for() {
        for &(number, _) in NUMBERS {
            let limit = body_limit(number).unwrap();
            let mut decoder = FrameDecoder::new();
            decoder.push(&head(u32::try_from(limit).unwrap(), number));
            assert_eq!(decoder.next_frame(), Ok(None));
            assert!(decoder.is_inside_frame());
            decoder.push(&vec![0; limit]);
            assert_eq!(decoder.next_frame().unwrap().unwrap().body.len(), limit);
            assert!(!decoder.is_inside_frame());
        }
    }

    #[test]
    fn an_unknown_number_ends_the_stream() {
        let mut decoder = FrameDecoder::new();
        decoder.push(&head(0, 0xfff0));
        for _ in 0..2 {
            assert_eq!(decoder.next_frame(), Err(FrameError::UnknownNumber { number: 0xfff0 }));
        }
    }

    #[test]
    fn compressed_frames_are_known_only_where_they_are_taken() {
        let length = u32::try_from(ZSTD_BYTES_MAX).unwrap();
        let next = |mut decoder: FrameDecoder, length| {
            decoder.push(&head(length, ZSTD));
            decoder.next_frame()
        };
        let unknown = FrameError::UnknownNumber { number: ZSTD };
        assert_eq!(next(FrameDecoder::new(), length), Err(unknown));
        assert_eq!(next(FrameDecoder::taking_zstd(), length), Ok(None));
        assert!(matches!(
            next(FrameDecoder::taking_zstd(), length + 1),
            Err(FrameError::TooLong { limit: ZSTD_BYTES_MAX, .. })
        ));
    }

    #[test]
    fn a_frame_cut_at_any_byte_waits_for_the_rest() {
        for message in samples::one_of_each() {
            let bytes = encode(&message).unwrap().to_vec();
            let step = 1 + bytes.len() / 500;
            for cut in (1..bytes.len()).step_by(step) {
                let mut decoder = FrameDecoder::new();
                decoder.push(&bytes[..cut]);
                assert_eq!(decoder.next_frame(), Ok(None), "{} cut at {cut}", message.name());
                decoder.push(&bytes[cut..]);
                let frame = decoder.next_frame().unwrap().unwrap();
                assert_eq!((frame.number, &*frame.body), (message.number(), &bytes[6..]));
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same_frames(
            bytes in proptest::collection::vec(prop_oneof![3 => Just(0_u8), 1 => any::<u8>()], 0..256),
            piece in 1_usize..64,
        ) {
            let frames = |pieces: &mut dyn Iterator<Item = &[u8]>| {
                let (mut decoder, mut frames) = (FrameDecoder::new(), Vec::new());
                for piece in pieces {
                    decoder.push(piece);
                    loop {
                        match decoder.next_frame() {
                            Ok(Some(frame)) => frames.push(frame),
                            Ok(None) => break,
                            Err(error) => return (frames, Some(error)),
                        }
                    }
                }
                (frames, None)
            };
            prop_assert_eq!(frames(&mut bytes.chunks(piece)), frames(&mut std::iter::once(&*bytes)));
        }
    }
}
