//! All files of one job on their way in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use quicopy_protocol::limits::{ATTRIBUTES_BYTES_MAX, WHOLE_FILE_BYTES_MAX};
use quicopy_protocol::meta::{Attribute, Digest, WantId};
use quicopy_protocol::path::{Name, RelPath};
use quicopy_protocol::verdict::Basis;

use super::error::{ReceiveError, Violation};
use super::large::Large;
use super::lists::Lacking;
use super::partial::{Key, Partial};
use super::slot::{Disk, Slot, State, Taken, lock};
use super::small;
use super::target::Target;
use crate::commit::{Displaced, Ready};
use crate::disk::space::{Ledger, Space};
use crate::disk::{DirHandle, Durable, Stat, Tree};
use crate::journal::Sidecar;

/// What follows from a frame.
#[derive(Debug)]
pub enum Step {
    /// More of the file has to come.
    More,
    /// The file is complete and right; the wish is closed. Give it to the committer.
    Ready(Box<Ready>),
    /// The file was given up earlier; the frame was dropped.
    Dropped,
}

/// What follows from a chunk list.
#[derive(Debug)]
pub struct Answer {
    /// To be sent to the sender.
    pub lacking: Lacking,
    /// As for any other frame.
    pub step: Step,
}

/// Receives the files of one job. Frames may be handed in from several threads, also those of one file.
#[derive(Debug)]
pub struct Receiver {
    disk: Disk,
    root: RelPath,
    peer: Box<[u8]>,
    ledger: Ledger,
    files: Mutex<HashMap<WantId, Arc<Slot>>>,
}

impl Receiver {
    /// For one job with its root at `tree`. `peer` is the sender's fingerprint: partial files belong to it.
    pub fn new(tree: &Tree, peer: &[u8], durable: Arc<Durable>) -> Self {
        Self {
            disk: Disk { share: Arc::clone(&tree.share), durable },
            root: tree.path.clone(),
            peer: peer.into(),
            ledger: Ledger::default(),
            files: Mutex::new(HashMap::new()),
        }
    }

    /// Opens a wish and says what there is to build the file from. `want` must be new.
    ///
    /// # Errors
    /// No partial file can be made. The wish is not open then.
    pub fn begin(&self, want: WantId, target: Target, now: Instant) -> Result<Basis, ReceiveError> {
        self.check(&target)?;
        let (state, record, basis) = if target.size_bytes <= WHOLE_FILE_BYTES_MAX {
            (State::Small(Box::new(target)), None, Basis::Nothing)
        } else {
            let (large, record) = self.begin_large(target, now)?;
            let basis = large.basis();
            (State::Large(Box::new(large)), record, basis)
        };
        let before = lock(&self.files).insert(want, Arc::new(Slot::new(state, record)));
        assert!(before.is_none(), "a wish is opened once");
        Ok(basis)
    }

    fn begin_large(
        &self,
        target: Target,
        now: Instant,
    ) -> Result<(Large, Option<Sidecar>), ReceiveError> {
        let private = self.disk.share.private()?;
        let key = Key::new(&self.peer, &self.root, &target.path);
        let mut partial = Partial::open(&self.disk.share, &private, &target.dir, &target.path, key)
            .map_err(ReceiveError::Disk)?;
        if let Err(error) = partial.file.set_len(target.size_bytes) {
            partial.discard();
            return Err(ReceiveError::Disk(error));
        }
        let record = partial.sidecar.take();
        let there = partial.claimed.bytes();
        let space = Space::of(&partial.dir).map_err(ReceiveError::Disk)?;
        let promise = self.ledger.promise(target.size_bytes.saturating_sub(there), space);
        Ok((Large::new(target, partial, record.is_some(), promise, now), record))
    }

    /// Takes a small file.
    ///
    /// # Errors
    /// It is not what was listed, or cannot be written.
    pub fn whole_file(
        &self,
        want: WantId,
        digest: Digest,
        attributes: &[Attribute],
        data: &[u8],
    ) -> Result<Step, ReceiveError> {
        let slot = self.slot(want)?;
        check_attributes(attributes)?;
        let target = slot.take_small()?;
        self.forget(want);
        let Some(target) = target else { return Ok(Step::Dropped) };
        if data.len() as u64 != target.size_bytes {
            return Err(Violation::Size.into());
        }
        if Digest::of(data) != digest {
            return Err(Violation::Digest.into());
        }
        self.write_small(*target, (digest, data), attributes).map(|ready| Step::Ready(ready.into()))
    }

    /// Makes a file without content that no frame brings (`/CREATE`).
    ///
    /// # Errors
    /// It cannot be made.
    pub fn empty_file(&self, target: Target) -> Result<Ready, ReceiveError> {
        let target = Target { size_bytes: 0, ..target };
        self.write_small(target, (Digest::of(&[]), &[]), &[])
    }

    /// Makes a symbolic link. Whether `text` may be the text of a link was decided before.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn link(&self, target: Target, text: &[u8]) -> Result<Ready, ReceiveError> {
        self.check(&target)?;
        let private = self.disk.share.private()?;
        small::make_link(&self.disk.share, &private, target, text)
    }

    /// Makes another name of the file `first` in `dir`, which is as `found`.
    ///
    /// # Errors
    /// It cannot be made: another file system, or too many names.
    pub fn hard_link(
        &self,
        target: Target,
        dir: &DirHandle,
        first: &Name,
        found: &Stat,
    ) -> Result<Ready, ReceiveError> {
        self.check(&target)?;
        let private = self.disk.share.private()?;
        small::make_hard_link(&self.disk.share, &private, target, (dir, first, found))
    }

    fn write_small(
        &self,
        target: Target,
        content: (Digest, &[u8]),
        attributes: &[Attribute],
    ) -> Result<Ready, ReceiveError> {
        self.check(&target)?;
        let private = self.disk.share.private()?;
        small::write_file(
            &self.disk.share,
            &private,
            &self.disk.durable,
            target,
            content,
            attributes,
        )
    }

    /// Takes one chunk of a large file.
    ///
    /// # Errors
    /// It breaks the rules, or cannot be written.
    pub fn chunk(
        &self,
        want: WantId,
        offset: u64,
        digest: Digest,
        data: &[u8],
        now: Instant,
    ) -> Result<Step, ReceiveError> {
        let slot = self.slot(want)?;
        // Outside the lock: other threads may write other parts of the file meanwhile.
        if Digest::of(data) != digest {
            return Err(Violation::Digest.into());
        }
        self.step(want, &slot, now, |large| large.chunk(offset, digest, data))
    }

    /// Takes a hole of a large file.
    ///
    /// # Errors
    /// It breaks the rules, or cannot be made.
    pub fn hole(
        &self,
        want: WantId,
        offset: u64,
        length: u64,
        now: Instant,
    ) -> Result<Step, ReceiveError> {
        let slot = self.slot(want)?;
        self.step(want, &slot, now, |large| large.hole(offset, length))
    }

    /// Takes a chunk list of a large file, and says which of its chunks are lacking. This reads and writes what is not.
    ///
    /// # Errors
    /// It breaks the rules, or what is there already cannot be written.
    pub fn chunk_list(
        &self,
        want: WantId,
        average_bytes: u32,
        offset: u64,
        chunks: &[(u32, Digest)],
        last: bool,
        now: Instant,
    ) -> Result<Answer, ReceiveError> {
        let slot = self.slot(want)?;
        let mut lacking = Lacking::default();
        let step = self.step(want, &slot, now, |large| {
            lacking = large.chunk_list(average_bytes, offset, chunks, last)?;
            Ok(())
        })?;
        Ok(Answer { lacking, step })
    }

    /// Takes the end of a large file; its parts may still be on their way.
    ///
    /// # Errors
    /// It breaks the rules, the file is not what the sender read, or its metadata cannot be set.
    pub fn end(
        &self,
        want: WantId,
        size_bytes: u64,
        digest: Digest,
        attributes: Vec<Attribute>,
        now: Instant,
    ) -> Result<Step, ReceiveError> {
        let slot = self.slot(want)?;
        check_attributes(&attributes)?;
        let step =
            self.step(want, &slot, now, |large| large.end(size_bytes, digest, attributes))?;
        if matches!(step, Step::Dropped) {
            self.forget(want);
        }
        Ok(step)
    }

    /// The sender cannot read the file as listed. What came of it is kept for the next try.
    ///
    /// # Errors
    /// No such wish is open.
    pub fn failed(&self, want: WantId, now: Instant) -> Result<(), ReceiveError> {
        let slot = self.slot(want)?;
        self.forget(want);
        slot.close(&self.disk, now);
        Ok(())
    }

    /// Makes durable and records what came of every large file, and closes all wishes: the link is lost, or the agent stops.
    pub fn park(&self, now: Instant) {
        let slots = std::mem::take(&mut *lock(&self.files));
        for slot in slots.into_values() {
            slot.close(&self.disk, now);
        }
    }

    /// Hands a frame to a large file, and sees to what follows from it.
    fn step(
        &self,
        want: WantId,
        slot: &Slot,
        now: Instant,
        take: impl FnOnce(&mut Large) -> Result<(), ReceiveError>,
    ) -> Result<Step, ReceiveError> {
        match slot.hand_in(&self.disk, now, take) {
            Ok(Taken::More) => Ok(Step::More),
            Ok(Taken::Dropped) => Ok(Step::Dropped),
            Ok(Taken::CheckpointDue) => {
                // One that is under way already will do.
                if let Ok(mut record) = slot.record.try_lock() {
                    slot.checkpoint(&self.disk, &mut record, now)
                        .inspect_err(|_| slot.discard())?;
                }
                Ok(Step::More)
            }
            Ok(Taken::Complete(large)) => {
                self.forget(want);
                // Waits for a checkpoint that another thread has under way.
                drop(lock(&slot.record).take());
                let ready = self.finish(large)?;
                Ok(Step::Ready(Box::new(ready)))
            }
            Err(error @ ReceiveError::Violation(_)) => Err(error),
            Err(error) => {
                slot.discard();
                Err(error)
            }
        }
    }

    fn finish(&self, mut large: Box<Large>) -> Result<Ready, ReceiveError> {
        let (digest, ignored) = large.finish().inspect_err(|_| large.discard())?;
        let origins = large.origins();
        let Large { target, partial: Partial { dir, name, file, stat, record, .. }, .. } = *large;
        Ok(Ready {
            covered: small::covered(&self.disk.share, &self.disk.durable, &target.dir, file),
            from: Displaced { dir, name },
            record: Some(record),
            size_bytes: target.size_bytes,
            digest: Some(digest),
            origins,
            ..small::ready(target, stat.inode, ignored)
        })
    }

    fn check(&self, target: &Target) -> Result<(), ReceiveError> {
        if target.name.is_reserved() {
            return Err(ReceiveError::Reserved);
        }
        self.disk.check()
    }

    fn slot(&self, want: WantId) -> Result<Arc<Slot>, Violation> {
        lock(&self.files).get(&want).cloned().ok_or(Violation::UnknownWant)
    }

    fn forget(&self, want: WantId) {
        lock(&self.files).remove(&want);
    }
}

fn check_attributes(attributes: &[Attribute]) -> Result<(), Violation> {
    let bytes: usize = attributes.iter().map(|one| one.name.len() + one.value.len()).sum();
    if bytes > ATTRIBUTES_BYTES_MAX { Err(Violation::Attributes) } else { Ok(()) }
}
