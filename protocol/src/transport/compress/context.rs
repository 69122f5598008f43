//! One stream's zstd context: [`Compressor`] makes `Zstd` frames, [`Expander`] opens them.

use bincode::config::standard;
use bytes::Bytes;
use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, compress_bound, get_error_name,
};

use crate::codec::{Encoded, FRAME_HEAD_BYTES};
use crate::limits::{EXPANDED_BYTES_MAX, ZSTD_BYTES_MAX, ZSTD_WINDOW_LOG_MAX};
use crate::message::ZSTD;

/// Entries of zstd's tables, as a power of two; 0 is what the level says. From level 6 on that would be 12 MiB and more a
/// context; so bounded it is some 5 MiB, and costs a hundredth of the ratio (measured on source code).
fn tables_log(level: i32) -> u32 {
    match level {
        ..6 => 0,
        6..13 => 19,
        // Trees, with two links an entry.
        13.. => 18,
    }
}

/// What a frame needs beside its content: the head, `length`, and the end and the beginning of a zstd frame.
const SLACK_BYTES: usize = 64;

/// zstd itself failed at what cannot fail: memory is short, or it has a bug.
#[derive(Debug, thiserror::Error)]
#[error("zstd cannot compress: {0}")]
pub(in super::super) struct CompressError(&'static str);

/// The sending side.
pub(in super::super) struct Compressor {
    context: CCtx<'static>,
    /// The level of the zstd frame that is open.
    level: Option<i32>,
}

impl Compressor {
    /// A context for a stream that carries nothing yet.
    pub(in super::super) fn new() -> Self {
        Self { context: CCtx::create(), level: None }
    }

    /// Makes one `Zstd` frame of whole frames that have at most [`EXPANDED_BYTES_MAX`] together.
    ///
    /// Another level than before begins another zstd frame, which knows nothing of what came before: libzstd changes it in
    /// the middle only with worker threads of its own.
    pub(in super::super) fn frame(
        &mut self,
        frames: &[Encoded],
        level: i32,
    ) -> Result<Bytes, CompressError> {
        let length = frames.iter().map(Encoded::len).sum::<usize>();
        assert!(length <= EXPANDED_BYTES_MAX, "a batch is cut below the limit");
        let mut body = Vec::with_capacity(SLACK_BYTES + compress_bound(length));
        body.resize(FRAME_HEAD_BYTES, 0);
        bincode::encode_into_std_write(length as u32, &mut body, standard())
            .expect("memory takes any number");
        let failed = |code| CompressError(get_error_name(code));
        if self.level != Some(level) {
            if self.level.is_some() {
                fill(&mut body, |out| self.context.end_stream(out)).map_err(failed)?;
            }
            self.begin(level).map_err(failed)?;
        }
        for piece in frames.iter().flat_map(|frame| [&frame.head, &frame.data]) {
            let mut input = InBuffer::around(piece);
            while input.pos() < piece.len() {
                let more = |out: &mut OutBuffer<'_, Vec<u8>>| {
                    self.context.compress_stream(out, &mut input).map(|_| 0)
                };
                fill(&mut body, more).map_err(failed)?;
            }
        }
        fill(&mut body, |out| self.context.flush_stream(out)).map_err(failed)?;
        let body_bytes = body.len() - FRAME_HEAD_BYTES;
        assert!(body_bytes <= ZSTD_BYTES_MAX, "zstd keeps its own bound");
        body[..4].copy_from_slice(&(body_bytes as u32).to_le_bytes());
        body[4..FRAME_HEAD_BYTES].copy_from_slice(&ZSTD.to_le_bytes());
        Ok(body.into())
    }

    fn begin(&mut self, level: i32) -> Result<(), usize> {
        self.level = Some(level);
        let tables = tables_log(level);
        for parameter in [
            CParameter::CompressionLevel(level),
            CParameter::WindowLog(ZSTD_WINDOW_LOG_MAX),
            CParameter::HashLog(tables),
            CParameter::ChainLog(tables),
        ] {
            self.context.set_parameter(parameter)?;
        }
        Ok(())
    }
}

/// Appends what a step of zstd gives, until it has no more; makes room where the bound was not enough.
fn fill(
    body: &mut Vec<u8>,
    mut step: impl FnMut(&mut OutBuffer<'_, Vec<u8>>) -> Result<usize, usize>,
) -> Result<(), usize> {
    loop {
        let at = body.len();
        if body.capacity() - at < SLACK_BYTES {
            body.reserve(SLACK_BYTES);
        }
        if step(&mut OutBuffer::around_pos(body, at))? == 0 {
            return Ok(());
        }
    }
}

/// Why a `Zstd` frame cannot be opened. Nothing on the stream can be read any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(in super::super) enum ExpandError {
    #[error("a compressed frame does not say its length")]
    NoLength,
    #[error("a compressed frame of {0} bytes, 1 to {EXPANDED_BYTES_MAX} are allowed")]
    Length(u32),
    #[error("a compressed frame expands to more than the {0} bytes that it says")]
    TooLong(u32),
    #[error("a compressed frame expands to {actual} bytes, and says {length}")]
    TooShort { actual: usize, length: u32 },
    #[error("a compressed frame does not expand: {0}")]
    Corrupt(&'static str),
}

/// The receiving side. Holds at most the window and some 400 KiB.
pub(in super::super) struct Expander {
    context: DCtx<'static>,
}

impl Expander {
    /// A context for a stream that has carried nothing yet.
    pub(in super::super) fn new() -> Self {
        let mut context = DCtx::create();
        context
            .set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))
            .expect("libzstd knows this window");
        Self { context }
    }

    /// Opens the body of a `Zstd` frame. Never makes more than it says, nor more than is allowed.
    pub(in super::super) fn expand(&mut self, body: &[u8]) -> Result<Vec<u8>, ExpandError> {
        let (length, used) = bincode::decode_from_slice::<u32, _>(body, standard())
            .map_err(|_| ExpandError::NoLength)?;
        let wanted = length as usize;
        if !(1..=EXPANDED_BYTES_MAX).contains(&wanted) {
            return Err(ExpandError::Length(length));
        }
        // The byte beyond shows whether more would come.
        let mut expanded = Vec::with_capacity(wanted + 1);
        let body = &body[used..];
        let mut input = InBuffer::around(body);
        loop {
            let at = expanded.len();
            let mut output = OutBuffer::around_pos(&mut expanded, at);
            self.context
                .decompress_stream(&mut output, &mut input)
                .map_err(|code| ExpandError::Corrupt(get_error_name(code)))?;
            if expanded.len() > wanted {
                return Err(ExpandError::TooLong(length));
            }
            // With room left, whatever was taken in has come out.
            if input.pos() == body.len() {
                break;
            }
        }
        match expanded.len() {
            actual if actual < wanted => Err(ExpandError::TooShort { actual, length }),
            _ => Ok(expanded),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn encoded(data: &[u8]) -> Encoded {
        Encoded { head: Bytes::from_static(b"head"), data: Bytes::copy_from_slice(data) }
    }

    fn text(seed: usize, bytes: usize) -> Vec<u8> {
        (seed..).flat_map(|n| format!("line {n}, {}\n", n * n).into_bytes()).take(bytes).collect()
    }

    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 1_u64;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(bytes)
        .collect()
    }

    fn body(frame: &Bytes) -> Bytes {
        assert_eq!(frame[4..6], ZSTD.to_le_bytes());
        assert_eq!(u32::from_le_bytes(frame[..4].try_into().unwrap()) as usize, frame.len() - 6);
        frame.slice(6..)
    }

    #[test]
    fn frames_come_back_over_changes_of_the_level() {
        let (mut compressor, mut expander) = (Compressor::new(), Expander::new());
        for (turn, level) in [3, 3, 19, 1, 6, 6, 12].into_iter().enumerate() {
            let frames = [encoded(&text(turn, 50_000)), encoded(b""), encoded(&noise(300_000))];
            let frame = compressor.frame(&frames, level).unwrap();
            let expected: Vec<u8> = frames.iter().flat_map(Encoded::to_vec).collect();
            assert_eq!(expander.expand(&body(&frame)).unwrap(), expected);
            assert!(frame.len() < expected.len());
        }
    }

    #[test]
    fn the_largest_batch_of_noise_keeps_the_limit() {
        let (mut compressor, mut expander) = (Compressor::new(), Expander::new());
        for level in [1, 19] {
            let noise = noise(EXPANDED_BYTES_MAX - 4);
            let frame = compressor.frame(&[encoded(&noise)], level).unwrap();
            assert_eq!(expander.expand(&body(&frame)).unwrap().len(), EXPANDED_BYTES_MAX);
        }
    }

    #[test]
    fn a_stream_remembers_what_it_carried_before() {
        let mut compressor = Compressor::new();
        let noise = encoded(&noise(100_000));
        let first = compressor.frame(std::slice::from_ref(&noise), 3).unwrap().len();
        let again = compressor.frame(&[noise], 3).unwrap().len();
        assert!(first > 100_000 && again < 1_000, "{first} then {again}");
    }

    #[test]
    fn contexts_stay_within_their_budget() {
        let sample = [encoded(&text(0, 100_000))];
        for level in 1..=19 {
            let mut compressor = Compressor::new();
            compressor.frame(&sample, level).unwrap();
            let bytes = compressor.context.sizeof();
            assert!(bytes <= 6 << 20, "level {level}: {bytes}");
        }
        let (mut compressor, mut expander) = (Compressor::new(), Expander::new());
        expander.expand(&body(&compressor.frame(&sample, 19).unwrap())).unwrap();
        assert!(expander.context.sizeof() < 3 << 20, "{}", expander.context.sizeof());
    }

    /// The body of a frame that claims `length` and goes on with `compressed`.
    fn claim(length: u32, compressed: &[u8]) -> Vec<u8> {
        let mut body = bincode::encode_to_vec(length, standard()).unwrap();
        body.extend_from_slice(compressed);
        body
    }

    fn compressed(data: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(data, 1).unwrap()
    }

    #[track_caller]
    fn check(body: &[u8], expected: ExpandError) {
        assert_eq!(Expander::new().expand(body), Err(expected));
    }

    #[test]
    fn a_frame_that_is_not_what_it_says_is_refused() {
        check(b"", ExpandError::NoLength);
        check(&[251, 1], ExpandError::NoLength);
        check(&claim(0, &compressed(b"")), ExpandError::Length(0));
        let limit = EXPANDED_BYTES_MAX as u32;
        check(&claim(limit + 1, &compressed(b"x")), ExpandError::Length(limit + 1));
        check(&claim(9, &compressed(&[0; 8])), ExpandError::TooShort { actual: 8, length: 9 });
        check(&claim(7, &compressed(&[0; 8])), ExpandError::TooLong(7));
        let cut = compressed(&noise(5000));
        let cut = claim(5000, &cut[..3000]);
        assert!(matches!(Expander::new().expand(&cut), Err(ExpandError::TooShort { .. })));
        let trailing = [compressed(&[0; 8]), b"trailing".to_vec()].concat();
        assert!(matches!(
            Expander::new().expand(&claim(8, &trailing)),
            Err(ExpandError::Corrupt(_))
        ));
    }

    #[test]
    fn a_bomb_goes_off_within_what_it_says() {
        let bomb = compressed(&vec![0; 64 << 20]);
        assert!(bomb.len() < 10_000);
        let limit = EXPANDED_BYTES_MAX as u32;
        check(&claim(limit, &bomb), ExpandError::TooLong(limit));
        let many: Vec<u8> = (0..60).flat_map(|_| compressed(&vec![0; 1 << 20])).collect();
        check(&claim(limit, &many), ExpandError::TooLong(limit));
    }

    #[test]
    fn a_window_beyond_the_limit_is_refused() {
        let mut context = CCtx::create();
        context.set_parameter(CParameter::WindowLog(ZSTD_WINDOW_LOG_MAX + 1)).unwrap();
        let mut wide = Vec::with_capacity(1 << 20);
        let data = noise(1000);
        let mut input = InBuffer::around(&data);
        context.compress_stream(&mut OutBuffer::around(&mut wide), &mut input).unwrap();
        fill(&mut wide, |out| context.flush_stream(out)).unwrap();
        assert!(matches!(
            Expander::new().expand(&claim(1000, &wide)),
            Err(ExpandError::Corrupt(reason)) if reason.contains("memory")
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_return_and_make_no_more_than_they_say(
            length in 0..2 * EXPANDED_BYTES_MAX as u32,
            bytes in vec(any::<u8>(), 0..300),
            flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut damaged = compressed(&text(bytes.len(), 20_000));
            for (at, byte) in flips {
                let at = at.index(damaged.len());
                damaged[at] = byte;
            }
            for body in [claim(length, &bytes), claim(20_000, &damaged), bytes] {
                let mut expander = Expander::new();
                for _ in 0..2 {
                    if let Ok(expanded) = expander.expand(&body) {
                        prop_assert!(expanded.len() <= EXPANDED_BYTES_MAX);
                    }
                    prop_assert!(expander.context.sizeof() < 3 << 20);
                }
            }
        }
    }
}
