//! The format of a sidecar.
//!
//! ```text
//! file    = magic (8 bytes) version (u32) record*
//! record  = length (u32, of body) checksum (u32, first bytes of BLAKE3 of body) body
//! body    = 1 size (u64) device (u64) inode (u64) path (rest)                  -- Start
//!         | 2 (offset (u64) length (u32) digest (32 bytes))*                   -- Checkpoint
//! ```
//!
//! Numbers are little-endian. Reading stops at the first record that is cut off, altered or unknown; what stands before it
//! counts. A file that begins with another magic or a newer version tells nothing.

use quicopy_protocol::limits::PATH_BYTES_MAX;
use quicopy_protocol::meta::Digest;
use quicopy_protocol::path::RelPath;

const MAGIC: [u8; 8] = *b"QCPYPART";
/// The format written here. A newer one is not read: the transfer begins from 0.
pub const VERSION: u32 = 1;
/// Claims in one record; more make a further record.
pub const CLAIMS_MAX: usize = 4096;

const START: u8 = 1;
const CHECKPOINT: u8 = 2;
const CLAIM_BYTES: usize = 8 + 4 + 32;
const BODY_BYTES_MAX: usize = 1 + CLAIMS_MAX * CLAIM_BYTES;
const _: () = assert!(1 + 24 + PATH_BYTES_MAX <= BODY_BYTES_MAX);

/// Which transfer a sidecar belongs to, and which file its claims are about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Start {
    /// The target's path below the job's root.
    pub path: RelPath,
    /// Size of the content in bytes when the transfer began.
    pub size_bytes: u64,
    /// Number of the partial's file system.
    pub device: u64,
    /// Number of the partial's inode: another file under its name proves nothing.
    pub inode: u64,
}

/// A chunk that was in the partial, durable, when the record was written.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Claim {
    /// Where in the file it stands, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u32,
    /// BLAKE3 of it.
    pub digest: Digest,
}

/// One entry of a sidecar.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Record {
    /// Always the first.
    Start(Start),
    /// At most [`CLAIMS_MAX`] chunks.
    Checkpoint(Vec<Claim>),
}

/// What a sidecar says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Replay {
    /// Its first record.
    pub start: Start,
    /// All claims in the order they were written; a later one may contradict an earlier.
    pub claims: Vec<Claim>,
    /// How many bytes of the file were understood: the next record goes there.
    pub good_bytes: u64,
}

/// Why a sidecar says nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReplayError {
    /// It ends before its first record, or begins with something else.
    #[error("no record of a partial file")]
    NoStart,
    /// It was written by a newer version.
    #[error("a record of format {found}, this version knows {VERSION}")]
    Newer {
        /// The format's number.
        found: u32,
    },
}

/// The bytes that every sidecar begins with.
pub fn header() -> [u8; 12] {
    let mut header = [0; 12];
    header[..8].copy_from_slice(&MAGIC);
    header[8..].copy_from_slice(&VERSION.to_le_bytes());
    header
}

impl Record {
    /// Appends the record's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut body = Vec::new();
        match self {
            Self::Start(start) => {
                body.push(START);
                for number in [start.size_bytes, start.device, start.inode] {
                    body.extend_from_slice(&number.to_le_bytes());
                }
                body.extend_from_slice(start.path.as_bytes());
            }
            Self::Checkpoint(claims) => {
                assert!(claims.len() <= CLAIMS_MAX, "a checkpoint is split before it is encoded");
                body.push(CHECKPOINT);
                for claim in claims {
                    body.extend_from_slice(&claim.offset.to_le_bytes());
                    body.extend_from_slice(&claim.length.to_le_bytes());
                    body.extend_from_slice(&claim.digest.0);
                }
            }
        }
        let length = u32::try_from(body.len()).expect("a body is far below 4 GiB");
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&checksum(&body));
        out.extend_from_slice(&body);
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let (tag, mut rest) = body.split_first()?;
        match *tag {
            START => {
                let size_bytes = u64::from_le_bytes(take(&mut rest)?);
                let device = u64::from_le_bytes(take(&mut rest)?);
                let inode = u64::from_le_bytes(take(&mut rest)?);
                let path = RelPath::parse(rest).ok()?;
                Some(Self::Start(Start { path, size_bytes, device, inode }))
            }
            CHECKPOINT => {
                let mut claims = Vec::with_capacity(rest.len() / CLAIM_BYTES);
                while !rest.is_empty() {
                    let offset = u64::from_le_bytes(take(&mut rest)?);
                    let length = u32::from_le_bytes(take(&mut rest)?);
                    let digest = Digest(take(&mut rest)?);
                    claims.push(Claim { offset, length, digest });
                }
                Some(Self::Checkpoint(claims))
            }
            _ => None,
        }
    }
}

/// Reads a sidecar as far as it is whole.
///
/// # Errors
/// Not even the beginning can be used.
pub fn replay(bytes: &[u8]) -> Result<Replay, ReplayError> {
    let mut rest = bytes;
    if take(&mut rest) != Some(MAGIC) {
        return Err(ReplayError::NoStart);
    }
    match take(&mut rest).map(u32::from_le_bytes) {
        Some(VERSION) => {}
        Some(found) if found > VERSION => return Err(ReplayError::Newer { found }),
        Some(_) | None => return Err(ReplayError::NoStart),
    }
    let Some(Record::Start(start)) = next_record(&mut rest) else {
        return Err(ReplayError::NoStart);
    };
    let mut claims = Vec::new();
    let mut good_bytes = bytes.len() - rest.len();
    while let Some(Record::Checkpoint(more)) = next_record(&mut rest) {
        claims.extend(more);
        good_bytes = bytes.len() - rest.len();
    }
    Ok(Replay { start, claims, good_bytes: good_bytes as u64 })
}

fn next_record(rest: &mut &[u8]) -> Option<Record> {
    let length = u32::from_le_bytes(take(rest)?) as usize;
    let expected = take(rest)?;
    if length > BODY_BYTES_MAX {
        return None;
    }
    let (body, after) = rest.split_at_checked(length)?;
    *rest = after;
    if checksum(body) == expected { Record::decode(body) } else { None }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*head)
}

fn checksum(body: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = *blake3::hash(body).as_bytes();
    [a, b, c, d]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn start() -> Start {
        Start { path: RelPath::parse(b"dir/file").unwrap(), size_bytes: 7, device: 8, inode: 9 }
    }

    fn file(checkpoints: &[Vec<Claim>]) -> Vec<u8> {
        let mut bytes = header().to_vec();
        Record::Start(start()).encode(&mut bytes);
        for claims in checkpoints {
            Record::Checkpoint(claims.clone()).encode(&mut bytes);
        }
        bytes
    }

    fn claims() -> impl Strategy<Value = Vec<Vec<Claim>>> {
        let claim = (any::<u64>(), any::<u32>(), any::<[u8; 32]>())
            .prop_map(|(offset, length, digest)| Claim { offset, length, digest: Digest(digest) });
        proptest::collection::vec(proptest::collection::vec(claim, 0..4), 0..4)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(checkpoints in claims()) {
            let bytes = file(&checkpoints);
            let found = replay(&bytes).unwrap();
            prop_assert_eq!(found.start, start());
            prop_assert_eq!(found.claims, checkpoints.concat());
            prop_assert_eq!(found.good_bytes, bytes.len() as u64);
        }

        #[test]
        fn cut_at_any_byte_it_says_a_prefix(checkpoints in claims(), cut in any::<proptest::sample::Index>()) {
            let bytes = file(&checkpoints);
            let cut = cut.index(bytes.len() + 1);
            match replay(&bytes[..cut]) {
                Ok(found) => {
                    prop_assert!(checkpoints.concat().starts_with(&found.claims));
                    prop_assert!(found.good_bytes <= cut as u64);
                    prop_assert_eq!(replay(&bytes[..found.good_bytes as usize]).unwrap(), found);
                }
                Err(error) => {
                    prop_assert_eq!(error, ReplayError::NoStart);
                    prop_assert!(cut < file(&[]).len());
                }
            }
        }

        #[test]
        fn one_flipped_bit_never_makes_a_claim(checkpoints in claims(), at in any::<proptest::sample::Index>(), bit in 0..8) {
            let mut bytes = file(&checkpoints);
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            if let Ok(found) = replay(&bytes) {
                prop_assert!(checkpoints.concat().starts_with(&found.claims));
            }
        }

        #[test]
        fn reading_any_bytes_returns(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = replay(&[&file(&[])[..], &bytes].concat());
            let _ = replay(&bytes);
        }
    }

    #[test]
    fn a_newer_format_is_said_to_be_one() {
        let mut bytes = file(&[]);
        bytes[8] = 2;
        assert_eq!(replay(&bytes), Err(ReplayError::Newer { found: 2 }));
    }
}
