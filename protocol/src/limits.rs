//! Every maximum that a peer can push against, by name.

use std::time::Duration;

/// Bytes in one path component. Source: `NAME_MAX` of Linux.
pub const NAME_BYTES_MAX: usize = 255;
/// Bytes in a path, slashes included. Source: `PATH_MAX` of Linux.
pub const PATH_BYTES_MAX: usize = 4096;
/// Components in a path: far deeper than real trees, and few enough that a walk by handles stays cheap.
pub const PATH_DEPTH_MAX: usize = 256;
/// Bytes in the text of a symbolic link. Source: `PATH_MAX` of Linux less its terminating zero.
pub const LINK_TARGET_BYTES_MAX: usize = 4095;
/// Bytes in a text that is meant for a person: an error, a hint, a host's name.
pub const TEXT_BYTES_MAX: usize = 1024;
/// Bytes in a share's name.
pub const SHARE_BYTES_MAX: usize = 64;

/// Body of a hello frame.
pub const HELLO_BYTES_MAX: usize = 4 << 10;
/// Body of a control frame: opening a job, refusing it, pings, its end.
pub const CONTROL_BYTES_MAX: usize = 64 << 10;
/// What one side says to the other in one turn of pairing.
pub const PAIRING_BYTES_MAX: usize = 4 << 10;
/// Body of a frame that carries a turn of pairing: the turn and its length.
pub const PAIRING_FRAME_BYTES_MAX: usize = PAIRING_BYTES_MAX + 16;
/// Pings that may wait for their answer, each way.
pub const PINGS_MAX: usize = 8;
/// Body of a frame that carries many small items: listings, plans, outcomes, chunk lists.
pub const BATCH_BYTES_MAX: usize = 1 << 20;
/// Items in such a frame.
pub const BATCH_ITEMS_MAX: usize = 4096;
/// What a writer aims to stay under, so that the items fit whatever the last one is: half of [`BATCH_BYTES_MAX`].
pub const BATCH_BYTES_AIM: usize = BATCH_BYTES_MAX / 2;

/// Bytes of content in one chunk.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Body of a frame that carries content: a chunk and its head.
pub const CONTENT_BYTES_MAX: usize = CHUNK_BYTES_MAX + ATTRIBUTES_BYTES_MAX + (8 << 10);
/// What a `Zstd` frame may expand to: whole frames, among them the largest that carries content.
pub const EXPANDED_BYTES_MAX: usize = CONTENT_BYTES_MAX + (8 << 10);
/// Body of a `Zstd` frame: what does not shrink grows by less than a hundredth.
pub const ZSTD_BYTES_MAX: usize = EXPANDED_BYTES_MAX + (16 << 10);
/// Window of a compressed stream, as a power of two: 2 MiB, so that the files before a batch help it, and all the decoders
/// of a connection fit 16 MiB.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 21;
/// Content streams that may be compressed. Each costs the sender a context and the agent a window; and the fewer they are,
/// the more of its neighbours a file finds in its context.
pub const ZSTD_CONTENT_STREAMS_MAX: usize = 4;
/// Bytes in a file. Source: the largest offset of POSIX, `off_t` of 64 bits; no sum of two such sizes overflows.
pub const FILE_BYTES_MAX: u64 = i64::MAX as u64;
/// A file up to this size travels in one frame and has no resumable partial.
pub const WHOLE_FILE_BYTES_MAX: u64 = 1 << 20;
/// All extended attributes of one entry together, names and values. Source: `XATTR_SIZE_MAX` of Linux, applied to the sum.
pub const ATTRIBUTES_BYTES_MAX: usize = 64 << 10;
/// Extended attributes of one entry: what keeps the lengths that stand before names and values within [`CONTENT_BYTES_MAX`].
pub const ATTRIBUTES_MAX: usize = 1024;

/// Entries that the sender may have listed and the agent not yet settled. Bounds the memory of both.
pub const UNSETTLED_ENTRIES_MAX: usize = 65_536;
/// Bytes of names, link texts and records in those listings. Bounds the memory of both; one directory alone may go beyond it.
pub const UNSETTLED_BYTES_MAX: usize = 16 << 20;
/// What one entry or directory counts for among those bytes, besides its name or path and link text: its record.
pub const UNSETTLED_RECORD_BYTES: usize = 64;
/// Entries in one directory. A larger one cannot be listed in bounded memory and is refused as unreadable.
pub const DIRECTORY_ENTRIES_MAX: usize = 10_000_000;
/// Bytes of names, link texts and records in the listing of one directory, counted as for [`UNSETTLED_BYTES_MAX`]: enough for
/// [`DIRECTORY_ENTRIES_MAX`] names of 43 bytes. A larger one is refused as unreadable.
pub const DIRECTORY_BYTES_MAX: usize = 1 << 30;

/// Wishes for content that the agent may have open. Most are for small files and cost neither side a descriptor while they
/// wait; the number only has to exceed what a long link swallows in a round trip.
pub const WANTS_MAX: usize = 16_384;
/// Wishes among them for files above [`WHOLE_FILE_BYTES_MAX`]: each costs the agent a descriptor.
pub const LARGE_WANTS_MAX: usize = 64;
/// Chunk-list items that the sender may send ahead of the agent's answers.
pub const CHUNK_LIST_AHEAD_MAX: usize = 16_384;
/// Streams that carry content side by side: enough to spread loss over, so that no stream gathers more gaps than QUIC's reassembly takes.
pub const CONTENT_STREAMS: usize = 16;

/// Bytes of a large file that may become durable with one checkpoint; what a crash may cost.
pub const CHECKPOINT_BYTES: u64 = 64 << 20;
/// Longest time between two checkpoints of a file that receives bytes.
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);
