//! All files of one job on their way in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use quicopy_protocol::limits::{ATTRIBUTES_BYTES_MAX, WHOLE_FILE_BYTES_MAX};
use quicopy_protocol::meta::{Attribute, Digest, WantId};
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::Basis;

use super::error::{ReceiveError, Violation};
use super::large::Large;
use super::lists::Lacking;
use super::partial::{Key, Partial};
use super::small;
use super::target::Target;
use crate::commit::{Displaced, Ready};
use crate::disk::space::{Ledger, Space};
use crate::disk::{Durable, Share, Tree};
use crate::journal::Sidecar;
use crate::journal::sidecar::AppendError;

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
    share: Arc<Share>,
    durable: Arc<Durable>,
    root: RelPath,
    peer: Box<[u8]>,
    ledger: Ledger,
    files: Mutex<HashMap<WantId, Arc<Slot>>>,
}

/// One wish. Locks are taken in the order `record`, `state`, and never the other way round.
#[derive(Debug)]
struct Slot {
    // Held while a checkpoint is under way, during which the file goes on receiving.
    record: Mutex<Option<Sidecar>>,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Small(Box<Target>),
    Large(Box<Large>),
    /// Given up; what still arrives is dropped.
    Ended,
}

impl Receiver {
    /// For one job with its root at `tree`. `peer` is the sender's fingerprint: partial files belong to it.
    pub fn new(tree: &Tree, peer: &[u8], durable: Arc<Durable>) -> Self {
        Self {
            share: Arc::clone(&tree.share),
            durable,
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
        let slot = Slot { record: Mutex::new(record), state: Mutex::new(state) };
        let before = lock(&self.files).insert(want, Arc::new(slot));
        assert!(before.is_none(), "a wish is opened once");
        Ok(basis)
    }

    fn begin_large(
        &self,
        target: Target,
        now: Instant,
    ) -> Result<(Large, Option<Sidecar>), ReceiveError> {
        let private = self.share.private()?;
        let key = Key::new(&self.peer, &self.root, &target.path);
        let mut partial = Partial::open(&self.share, &private, &target.dir, &target.path, key)
            .map_err(ReceiveError::Disk)?;
        if let Err(error) = partial.file.set_len(target.size_bytes) {
            partial.discard();
            return Err(ReceiveError::Disk(error));
        }
        let record = partial.sidecar.take();
        let there: u64 = partial.claims.iter().map(|claim| u64::from(claim.length)).sum();
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
        let target = match &mut *lock(&slot.state) {
            State::Large(_) => return Err(Violation::WrongFrame.into()),
            state => match std::mem::replace(state, State::Ended) {
                State::Small(target) => *target,
                State::Large(_) | State::Ended => {
                    self.forget(want);
                    return Ok(Step::Dropped);
                }
            },
        };
        self.forget(want);
        if data.len() as u64 != target.size_bytes {
            return Err(Violation::Size.into());
        }
        if Digest::of(data) != digest {
            return Err(Violation::Digest.into());
        }
        self.write_small(target, (digest, data), attributes).map(|ready| Step::Ready(ready.into()))
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
        let private = self.share.private()?;
        small::make_link(&self.share, &private, target, text)
    }

    fn write_small(
        &self,
        target: Target,
        content: (Digest, &[u8]),
        attributes: &[Attribute],
    ) -> Result<Ready, ReceiveError> {
        self.check(&target)?;
        let private = self.share.private()?;
        small::write_file(&self.share, &private, &self.durable, target, content, attributes)
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
        self.close(&slot, now);
        Ok(())
    }

    /// Makes durable and records what came of every large file, and closes all wishes: the link is lost, or the agent stops.
    pub fn park(&self, now: Instant) {
        let slots = std::mem::take(&mut *lock(&self.files));
        for slot in slots.into_values() {
            self.close(&slot, now);
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
        match self.hand_in(slot, now, take) {
            Ok(Taken::More) => Ok(Step::More),
            Ok(Taken::Dropped) => Ok(Step::Dropped),
            Ok(Taken::CheckpointDue) => {
                // One that is under way already will do.
                if let Ok(mut record) = slot.record.try_lock() {
                    self.checkpoint(slot, &mut record, now).inspect_err(|_| self.discard(slot))?;
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
                self.discard(slot);
                Err(error)
            }
        }
    }

    fn hand_in(
        &self,
        slot: &Slot,
        now: Instant,
        take: impl FnOnce(&mut Large) -> Result<(), ReceiveError>,
    ) -> Result<Taken, ReceiveError> {
        let mut state = lock(&slot.state);
        let large = match &mut *state {
            State::Large(large) => large,
            State::Small(_) => return Err(Violation::WrongFrame.into()),
            State::Ended => return Ok(Taken::Dropped),
        };
        self.check_share()?;
        take(large)?;
        if large.is_complete()
            && let State::Large(large) = std::mem::replace(&mut *state, State::Ended)
        {
            return Ok(Taken::Complete(large));
        }
        match &*state {
            State::Large(large) if large.is_checkpoint_due(now) => Ok(Taken::CheckpointDue),
            State::Large(_) | State::Small(_) | State::Ended => Ok(Taken::More),
        }
    }

    fn finish(&self, mut large: Box<Large>) -> Result<Ready, ReceiveError> {
        let (digest, ignored) = large.finish().inspect_err(|_| large.discard())?;
        let origins = large.origins();
        let Large { target, partial: Partial { dir, name, file, stat, record, .. }, .. } = *large;
        Ok(Ready {
            covered: small::covered(&self.share, &self.durable, &target.dir, file),
            from: Displaced { dir, name },
            record: Some(record),
            size_bytes: target.size_bytes,
            digest: Some(digest),
            origins,
            ..small::ready(target, stat.inode, ignored)
        })
    }

    /// Makes durable what was written, and then records it.
    fn checkpoint(
        &self,
        slot: &Slot,
        record: &mut Option<Sidecar>,
        now: Instant,
    ) -> Result<(), ReceiveError> {
        let (file, claims, start, dirs) = {
            let State::Large(large) = &mut *lock(&slot.state) else { return Ok(()) };
            let (file, claims) = large.take_unrecorded(now);
            let start = large.partial.start(&large.target.path, large.target.size_bytes);
            (file, claims, start, (large.partial.dir.clone(), large.partial.record.clone()))
        };
        if claims.is_empty() {
            return Ok(());
        }
        let syncs = self.durable.syncs();
        let lost = |error| {
            self.share.mark_degraded();
            ReceiveError::Sync(error)
        };
        syncs.data(&file).map_err(lost)?;
        crate::crash_point!("agent_checkpoint_data_synced");
        let (dir, (record_dir, record_name)) = dirs;
        let is_new = record.is_none();
        let sidecar = match record {
            Some(sidecar) => sidecar,
            None => record.insert(
                Sidecar::create(&record_dir, &record_name, &start).map_err(ReceiveError::Disk)?,
            ),
        };
        sidecar.append(&claims, syncs).map_err(|error| match error {
            AppendError::Write(error) => ReceiveError::Disk(error),
            AppendError::Sync(error) => lost(error),
        })?;
        if is_new {
            syncs.directory(&record_dir).map_err(lost)?;
            if dir.inode() != record_dir.inode() {
                syncs.directory(&dir).map_err(lost)?;
            }
        }
        crate::crash_point!("agent_checkpoint_recorded");
        Ok(())
    }

    /// Ends a wish, keeping what a later try can go on with.
    fn close(&self, slot: &Slot, now: Instant) {
        let mut record = lock(&slot.record);
        if !self.share.is_degraded()
            && let Err(error) = self.checkpoint(slot, &mut record, now)
        {
            tracing::warn!(%error, "the last part of a partial file cannot be kept");
        }
        // What was recorded earlier stands, unless a sync failed.
        let kept = record.is_some() && !self.share.is_degraded();
        let state = std::mem::replace(&mut *lock(&slot.state), State::Ended);
        if let State::Large(large) = state
            && !kept
        {
            large.discard();
        }
    }

    /// Ends a wish and removes what came of it.
    fn discard(&self, slot: &Slot) {
        let state = std::mem::replace(&mut *lock(&slot.state), State::Ended);
        if let State::Large(large) = state {
            large.discard();
        }
    }

    fn check(&self, target: &Target) -> Result<(), ReceiveError> {
        if target.name.is_reserved() {
            return Err(ReceiveError::Reserved);
        }
        self.check_share()
    }

    fn check_share(&self) -> Result<(), ReceiveError> {
        if self.share.is_degraded() { Err(ReceiveError::Degraded) } else { Ok(()) }
    }

    fn slot(&self, want: WantId) -> Result<Arc<Slot>, Violation> {
        lock(&self.files).get(&want).cloned().ok_or(Violation::UnknownWant)
    }

    fn forget(&self, want: WantId) {
        lock(&self.files).remove(&want);
    }
}

/// What a large file made of a frame.
enum Taken {
    More,
    Dropped,
    CheckpointDue,
    Complete(Box<Large>),
}

fn check_attributes(attributes: &[Attribute]) -> Result<(), Violation> {
    let bytes: usize = attributes.iter().map(|one| one.name.len() + one.value.len()).sum();
    if bytes > ATTRIBUTES_BYTES_MAX { Err(Violation::Attributes) } else { Ok(()) }
}

/// A thread that panicked while it held the lock left a state that is no worse than any other: every byte is checked at the end.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
