//! One wish: its file, and what of it is on record.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::error::{ReceiveError, Violation};
use super::large::Large;
use super::target::Target;
use crate::disk::{Durable, Share};
use crate::journal::Sidecar;
use crate::journal::sidecar::AppendError;

/// Where files come in, and how they become durable.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) share: Arc<Share>,
    pub(super) durable: Arc<Durable>,
}

impl Disk {
    /// Asks whether a sync failed earlier.
    pub(super) fn check(&self) -> Result<(), ReceiveError> {
        if self.share.is_degraded() { Err(ReceiveError::Degraded) } else { Ok(()) }
    }
}

/// One wish. Locks are taken in the order `record`, `state`, and never the other way round.
#[derive(Debug)]
pub(super) struct Slot {
    // Held while a checkpoint is under way, during which the file goes on receiving.
    pub(super) record: Mutex<Option<Sidecar>>,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) enum State {
    Small(Box<Target>),
    Large(Box<Large>),
    /// Given up; what still arrives is dropped.
    Ended,
}

/// What a large file made of a frame.
pub(super) enum Taken {
    More,
    Dropped,
    CheckpointDue,
    Complete(Box<Large>),
}

impl Slot {
    pub(super) fn new(state: State, record: Option<Sidecar>) -> Self {
        Self { record: Mutex::new(record), state: Mutex::new(state) }
    }

    /// Takes the target of a small file, of which nothing else comes; `None` if it was given up.
    ///
    /// # Errors
    /// It is a large file.
    pub(super) fn take_small(&self) -> Result<Option<Box<Target>>, Violation> {
        match &mut *lock(&self.state) {
            State::Large(_) => Err(Violation::WrongFrame),
            state => match std::mem::replace(state, State::Ended) {
                State::Small(target) => Ok(Some(target)),
                State::Large(_) | State::Ended => Ok(None),
            },
        }
    }

    /// Hands a frame to a large file.
    pub(super) fn hand_in(
        &self,
        disk: &Disk,
        now: Instant,
        take: impl FnOnce(&mut Large) -> Result<(), ReceiveError>,
    ) -> Result<Taken, ReceiveError> {
        let mut state = lock(&self.state);
        let large = match &mut *state {
            State::Large(large) => large,
            State::Small(_) => return Err(Violation::WrongFrame.into()),
            State::Ended => return Ok(Taken::Dropped),
        };
        disk.check()?;
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

    /// Makes durable what was written, and then records it.
    pub(super) fn checkpoint(
        &self,
        disk: &Disk,
        record: &mut Option<Sidecar>,
        now: Instant,
    ) -> Result<(), ReceiveError> {
        let (file, claims, start, dirs) = {
            let State::Large(large) = &mut *lock(&self.state) else { return Ok(()) };
            let (file, claims) = large.take_unrecorded(now);
            let start = large.partial.start(&large.target.path, large.target.size_bytes);
            (file, claims, start, (large.partial.dir.clone(), large.partial.record.clone()))
        };
        if claims.is_empty() {
            return Ok(());
        }
        let syncs = disk.durable.syncs();
        let lost = |error| {
            disk.share.mark_degraded();
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
    pub(super) fn close(&self, disk: &Disk, now: Instant) {
        let mut record = lock(&self.record);
        if !disk.share.is_degraded()
            && let Err(error) = self.checkpoint(disk, &mut record, now)
        {
            tracing::warn!(%error, "the last part of a partial file cannot be kept");
        }
        // What was recorded earlier stands, unless a sync failed.
        let kept = record.is_some() && !disk.share.is_degraded();
        let state = std::mem::replace(&mut *lock(&self.state), State::Ended);
        if let State::Large(large) = state
            && !kept
        {
            large.discard();
        }
    }

    /// Ends a wish and removes what came of it.
    pub(super) fn discard(&self) {
        let state = std::mem::replace(&mut *lock(&self.state), State::Ended);
        if let State::Large(large) = state {
            large.discard();
        }
    }
}

/// A thread that panicked while it held the lock left a state that is no worse than any other: every byte is checked at the end.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
