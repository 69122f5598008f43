//! One large file, built in a partial file that outlives an interruption.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Instant;

use quicopy_protocol::limits::{CHECKPOINT_BYTES, CHECKPOINT_INTERVAL};
use quicopy_protocol::meta::{Attribute, Digest};
use quicopy_protocol::verdict::{Basis, Origins};

use super::basis::OldVersion;
use super::coverage::Coverage;
use super::error::{ReceiveError, Violation};
use super::hashing::InOrder;
use super::lists::{Lacking, Lists};
use super::on_disk::check_on_disk;
use super::partial::Partial;
use super::target::Target;
use crate::chunk::Params;
use crate::disk::file::{clear_range, set_file_meta, write_zeros};
use crate::disk::space::Promise;
use crate::disk::{DiskKind, Ignored};
use crate::journal::Claim;

/// What the sender said at the end of a file.
#[derive(Debug)]
struct End {
    digest: Digest,
    attributes: Vec<Attribute>,
}

/// A large file on its way in.
#[derive(Debug)]
pub(super) struct Large {
    pub(super) target: Target,
    pub(super) partial: Partial,
    // The partial held bytes of an earlier try: a hole must be made, it is not simply there.
    has_old_bytes: bool,
    basis: Basis,
    coverage: Coverage,
    hashing: InOrder,
    lists: Lists,
    old_version: Option<OldVersion>,
    promise: Promise,
    end: Option<End>,
    origins: Origins,
    // Chunks that are written and neither durable nor recorded.
    unrecorded: Vec<Claim>,
    unrecorded_bytes: u64,
    checked_at: Instant,
}

impl Large {
    /// A file of which the partial already has its full length.
    pub(super) fn new(
        target: Target,
        partial: Partial,
        has_old_bytes: bool,
        promise: Promise,
        now: Instant,
    ) -> Self {
        let old_version = match target.place.old() {
            Some(old) if target.delta && old.kind == DiskKind::File && old.size_bytes > 0 => {
                // Not there or not the same any more: then it is no basis, and the commit will say so.
                let opened = target.dir.open_file_for_read(&target.name).ok();
                opened.filter(|(_, found)| found.is_same_inode(old))
            }
            Some(_) | None => None,
        };
        let has_nothing = partial.claimed.is_empty() && old_version.is_none();
        Self {
            basis: if has_nothing { Basis::Nothing } else { Basis::Bytes },
            has_old_bytes,
            coverage: Coverage::new(target.size_bytes),
            hashing: InOrder::default(),
            lists: Lists::default(),
            old_version: old_version.map(|(file, stat)| OldVersion::new(file, stat.size_bytes)),
            promise,
            end: None,
            origins: Origins::default(),
            unrecorded: Vec::new(),
            unrecorded_bytes: 0,
            checked_at: now,
            target,
            partial,
        }
    }

    pub(super) fn basis(&self) -> Basis {
        self.basis
    }

    /// Writes a chunk whose hash was checked.
    pub(super) fn chunk(
        &mut self,
        offset: u64,
        digest: Digest,
        data: &[u8],
    ) -> Result<(), ReceiveError> {
        self.write(offset, digest, data)?;
        crate::crash_point!("agent_chunk_written");
        self.origins.literal_bytes += data.len() as u64;
        self.catch_up()
    }

    pub(super) fn hole(&mut self, offset: u64, length: u64) -> Result<(), ReceiveError> {
        self.coverage.insert(offset, length)?;
        self.promise.take_hole(length);
        if self.target.writing.dense {
            write_zeros(&self.partial.file, offset, length).map_err(ReceiveError::Disk)?;
        } else if self.has_old_bytes {
            clear_range(&self.partial.file, offset, length).map_err(ReceiveError::Disk)?;
        }
        self.origins.hole_bytes += length;
        self.hashing.take_hole(offset, length);
        self.catch_up()
    }

    /// Takes from the partial and the old version what they have of the listed chunks, and says what is lacking.
    pub(super) fn chunk_list(
        &mut self,
        average_bytes: u32,
        offset: u64,
        chunks: &[(u32, Digest)],
        last: bool,
    ) -> Result<Lacking, ReceiveError> {
        if self.basis == Basis::Nothing {
            return Err(Violation::List.into());
        }
        let size_bytes = self.target.size_bytes;
        let (params, first) = self.lists.accept(average_bytes, offset, chunks, last, size_bytes)?;
        let mut lacking = Lacking { runs: Vec::new(), answered: first };
        let mut buffer = Vec::new();
        let mut at = offset;
        for &(length, digest) in chunks {
            buffer.resize(length as usize, 0);
            if self.resume(at, digest, &mut buffer)?
                || self.reuse(params, at, digest, &mut buffer)?
            {
                self.catch_up()?;
            } else {
                lacking.push(lacking.answered);
            }
            lacking.answered += 1;
            at += u64::from(length);
        }
        Ok(lacking)
    }

    /// Takes a chunk from where it stands in the partial, if an earlier try claims some of it to be there and all of it is.
    fn resume(
        &mut self,
        offset: u64,
        digest: Digest,
        buffer: &mut [u8],
    ) -> Result<bool, ReceiveError> {
        // A part that cannot be read back is as good as absent: it is written anew.
        if !self.partial.claimed.touches(offset, buffer.len())
            || self.partial.file.read_exact_at(buffer, offset).is_err()
            || Digest::of(buffer) != digest
        {
            return Ok(false);
        }
        self.coverage.insert(offset, buffer.len() as u64)?;
        self.hashing.take(offset, buffer);
        self.origins.resumed_bytes += buffer.len() as u64;
        Ok(true)
    }

    /// Takes a chunk from the old version, if it is there.
    fn reuse(
        &mut self,
        params: Params,
        offset: u64,
        digest: Digest,
        buffer: &mut [u8],
    ) -> Result<bool, ReceiveError> {
        let Some(old_version) = &mut self.old_version else { return Ok(false) };
        match old_version.find(params, offset, digest, buffer) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) => {
                let path = &self.target.path;
                tracing::warn!(%path, %error, "old version cannot be read, all is sent");
                self.old_version = None;
                return Ok(false);
            }
        }
        self.write(offset, digest, buffer)?;
        self.origins.reused_bytes += buffer.len() as u64;
        Ok(true)
    }

    fn write(&mut self, offset: u64, digest: Digest, data: &[u8]) -> Result<(), ReceiveError> {
        let length = data.len() as u64;
        self.coverage.admit(offset, length)?;
        self.promise.take(length).map_err(|lacking_bytes| ReceiveError::Full { lacking_bytes })?;
        self.partial.file.write_all_at(data, offset).map_err(ReceiveError::Disk)?;
        self.coverage.insert(offset, length)?;
        self.hashing.take(offset, data);
        let length = u32::try_from(data.len()).map_err(|_| Violation::OutOfRange)?;
        self.unrecorded.push(Claim { offset, length, digest });
        self.unrecorded_bytes += u64::from(length);
        Ok(())
    }

    fn catch_up(&mut self) -> Result<(), ReceiveError> {
        self.hashing.catch_up(&self.coverage, &self.partial.file).map_err(ReceiveError::Disk)
    }

    /// Notes what the sender says of the whole file; parts of it may still be on their way.
    pub(super) fn end(
        &mut self,
        size_bytes: u64,
        digest: Digest,
        attributes: Vec<Attribute>,
    ) -> Result<(), ReceiveError> {
        if size_bytes != self.target.size_bytes {
            return Err(Violation::Size.into());
        }
        if self.end.is_some() {
            return Err(Violation::Ended.into());
        }
        self.end = Some(End { digest, attributes });
        Ok(())
    }

    /// Whether all parts and the end are there.
    pub(super) fn is_complete(&self) -> bool {
        self.end.is_some() && self.coverage.is_complete()
    }

    /// Compares the whole file with what the sender read, and sets its metadata.
    pub(super) fn finish(&mut self) -> Result<(Digest, Ignored), ReceiveError> {
        self.catch_up()?;
        let End { digest: announced, attributes } =
            self.end.as_ref().expect("a file is finished only when its end is there");
        let (announced, actual) = (*announced, self.hashing.digest());
        if actual != announced {
            return Err(ReceiveError::WholeDigest { announced, actual });
        }
        check_on_disk(&self.partial.file, self.target.writing, self.target.size_bytes, actual)?;
        let ignored = set_file_meta(&self.partial.file, &self.target.full_change(), attributes)
            .map_err(ReceiveError::Metadata)?;
        crate::crash_point!("agent_metadata_set");
        Ok((actual, ignored))
    }

    pub(super) fn origins(&self) -> Origins {
        self.origins
    }

    /// Whether so much was written, or so long ago, that it should be made durable and recorded.
    pub(super) fn is_checkpoint_due(&self, now: Instant) -> bool {
        self.unrecorded_bytes >= CHECKPOINT_BYTES
            || (!self.unrecorded.is_empty()
                && now.saturating_duration_since(self.checked_at) >= CHECKPOINT_INTERVAL)
    }

    /// Hands out what is to be recorded once the partial, as it is now, is durable.
    pub(super) fn take_unrecorded(&mut self, now: Instant) -> (Arc<File>, Vec<Claim>) {
        self.checked_at = now;
        self.unrecorded_bytes = 0;
        (Arc::clone(&self.partial.file), std::mem::take(&mut self.unrecorded))
    }

    /// Removes the partial and its record: what is in it is of no use.
    pub(super) fn discard(&self) {
        self.partial.discard();
    }
}
