//! Compressed streams: `Zstd` frames, made and opened off the runtime's own threads.
//!
//! - [`context`]: one stream's context, on either side; pure
//! - [`probe`]: whether something is worth it; pure
//! - [`effort`]: how hard to try, from whether the link is hungry; pure
//!
//! A content stream goes on in one context over all batches that travel on it, and batches come in the order of paths, so
//! that a small file is compressed with its neighbours. That it takes frames as they are, and any frames, is why there is
//! no message for many small files.

pub(super) mod context;
pub(super) mod effort;
pub(super) mod probe;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::version::ZSTD_STREAMS;

/// Levels that a user may ask for: those of zstd that are meant for any use.
pub const LEVEL_MAX: u8 = 19;

/// What a side does about compressing what it sends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Compression {
    /// What can be compressed is, as hard as the link leaves time for.
    #[default]
    Auto,
    /// Nothing is.
    Off,
    /// What can be compressed is, at this level of zstd, 1 to [`LEVEL_MAX`].
    Level(u8),
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Off => f.write_str("off"),
            Self::Level(level) => write!(f, "{level}"),
        }
    }
}

/// What was settled on a connection's control stream: which features the two hellos have put in force, and whether this
/// side has let the peer's job in.
#[derive(Debug, Default)]
pub(super) struct Agreement {
    ours: AtomicU64,
    theirs: AtomicU64,
    is_opened: AtomicBool,
}

impl Agreement {
    /// This side has named its features.
    pub(super) fn offered(&self, features: u64) {
        self.ours.store(features, Ordering::Relaxed);
    }

    /// The peer has named its features.
    pub(super) fn heard(&self, features: u64) {
        self.theirs.store(features, Ordering::Relaxed);
    }

    /// This side has opened the job that the peer asked for.
    pub(super) fn opened(&self) {
        self.is_opened.store(true, Ordering::Relaxed);
    }

    /// Whether it has: from then on it reads what the peer sends.
    pub(super) fn is_opened(&self) -> bool {
        self.is_opened.load(Ordering::Relaxed)
    }

    /// Whether the peer may take it that this side opens compressed frames. Its hello may come later than those, on another
    /// stream.
    pub(super) fn offers_zstd(&self) -> bool {
        self.ours.load(Ordering::Relaxed) & ZSTD_STREAMS != 0
    }

    /// Whether streams may be compressed.
    pub(super) fn has_zstd(&self) -> bool {
        self.offers_zstd() && self.theirs.load(Ordering::Relaxed) & ZSTD_STREAMS != 0
    }
}
