//! The locks of trees, with the waiting that goes with them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::lock_table::{LockId, LockTable, Owner, Tree, Verdict};

/// How long a job that was told to stop may take to free its lock: it parks within 1.5 s, and a disk may be slow.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Who holds a lock, as far as others deal with it.
pub(super) trait Holder: Send + Sync + 'static {
    /// Finds out whether the holder's peer is there. Takes as long as silence needs to count as an answer.
    fn answers(&self) -> impl Future<Output = bool> + Send;
    /// Makes it stop, soon.
    fn stop(&self, cause: StopCause);
    /// Who it is, for the one that is refused.
    fn describe(&self) -> String;
}

/// Why a holder must give way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum StopCause {
    /// The same job has connected again.
    Superseded,
    /// Another job wants the tree, and the holder's peer is silent.
    Silent,
}

/// Another job holds the tree, and lives.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the destination is in use by {holder}; try again when it is done")]
pub(super) struct Busy {
    /// Who that is.
    pub(super) holder: String,
}

/// All locks of the agent.
#[derive(Debug)]
pub(super) struct Locks<H> {
    held: Mutex<Held<H>>,
    released: Notify,
}

#[derive(Debug)]
struct Held<H> {
    table: LockTable,
    holders: BTreeMap<LockId, Arc<H>>,
}

/// A lock. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct LockGuard<H: Holder> {
    locks: Arc<Locks<H>>,
    id: LockId,
}

impl<H: Holder> Locks<H> {
    pub(super) fn new() -> Arc<Self> {
        let held = Held { table: LockTable::default(), holders: BTreeMap::new() };
        Arc::new(Self { held: Mutex::new(held), released: Notify::new() })
    }

    /// Locks `tree` for `holder`: at once if it is free; after the former connection of the same job has stopped; or
    /// after those that hold it turned out to be silent and were parked.
    ///
    /// # Errors
    /// A job that lives holds it.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        tree: &Tree,
        owner: Owner,
        holder: Arc<H>,
    ) -> Result<LockGuard<H>, Busy> {
        'look: loop {
            // Registered before the look, so that a release in between is not missed.
            let mut released = std::pin::pin!(self.released.notified());
            released.as_mut().enable();
            let in_the_way = match self.look(tree, owner, &holder) {
                Look::Granted(id) => return Ok(LockGuard { locks: Arc::clone(self), id }),
                Look::Superseded(former) => {
                    former.iter().for_each(|holder| holder.stop(StopCause::Superseded));
                    former
                }
                Look::Contested(others) => {
                    for other in &others {
                        tokio::select! {
                            // It has come to its end meanwhile, as jobs in a row do.
                            () = &mut released => continue 'look,
                            answers = other.answers() => if answers {
                                return Err(Busy { holder: other.describe() });
                            },
                        }
                    }
                    others.iter().for_each(|holder| holder.stop(StopCause::Silent));
                    others
                }
            };
            if timeout(STOP_PATIENCE, released).await.is_err() {
                let holder = in_the_way.first().map(|holder| holder.describe()).unwrap_or_default();
                return Err(Busy { holder: format!("{holder}, which is being stopped") });
            }
        }
    }

    /// Locks `tree` for a moment in which nobody speaks for it, if no job holds it. A job that comes meanwhile waits.
    ///
    /// # Errors
    /// Somebody holds it.
    pub(super) fn try_hold(
        self: &Arc<Self>,
        tree: &Tree,
        owner: Owner,
    ) -> Result<LockGuard<H>, Busy> {
        let mut held = self.lock();
        match held.table.request(tree, owner) {
            Verdict::Granted(id) => Ok(LockGuard { locks: Arc::clone(self), id }),
            Verdict::Superseded(ids) | Verdict::Contested(ids) => {
                let holder = ids.iter().find_map(|id| held.holders.get(id));
                let holder = holder.map_or("another command".to_owned(), |job| job.describe());
                Err(Busy { holder })
            }
        }
    }

    fn look(&self, tree: &Tree, owner: Owner, holder: &Arc<H>) -> Look<H> {
        let mut held = self.lock();
        let verdict = held.table.request(tree, owner);
        let of = |ids: Vec<LockId>| {
            ids.iter().filter_map(|id| held.holders.get(id).cloned()).collect::<Vec<_>>()
        };
        match verdict {
            Verdict::Superseded(ids) => Look::Superseded(of(ids)),
            Verdict::Contested(ids) => Look::Contested(of(ids)),
            Verdict::Granted(id) => {
                held.holders.insert(id, Arc::clone(holder));
                Look::Granted(id)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held<H>> {
        // Both parts change in one call each, so that a panic in between is impossible.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Look<H> {
    Granted(LockId),
    Superseded(Vec<Arc<H>>),
    Contested(Vec<Arc<H>>),
}

impl<H: Holder> Drop for LockGuard<H> {
    fn drop(&mut self) {
        let mut held = self.locks.lock();
        held.table.release(self.id);
        held.holders.remove(&self.id);
        drop(held);
        self.locks.released.notify_waiters();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::lock_table::tests::{owner, tree};
    use super::*;

    /// A holder that frees its lock as soon as it is told to stop.
    struct Job {
        alive: bool,
        guard: Mutex<Option<LockGuard<Job>>>,
        stopped: Mutex<Option<StopCause>>,
    }

    impl Job {
        fn new(alive: bool) -> Arc<Self> {
            Arc::new(Self { alive, guard: Mutex::default(), stopped: Mutex::default() })
        }
    }

    impl Holder for Job {
        async fn answers(&self) -> bool {
            self.alive
        }
        fn stop(&self, cause: StopCause) {
            *self.stopped.lock().unwrap() = Some(cause);
            self.guard.lock().unwrap().take();
        }
        fn describe(&self) -> String {
            "web01".into()
        }
    }

    /// One job holds `data`, then another comes for `data/a`: its fate, and why the first was stopped.
    fn check(alive: bool, second: (u8, u8)) -> (Result<(), String>, Option<StopCause>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let locks = Locks::new();
            let first = Job::new(alive);
            let guard =
                locks.acquire(&tree("data"), owner(1, 1), Arc::clone(&first)).await.unwrap();
            *first.guard.lock().unwrap() = Some(guard);
            let owner = owner(second.0, second.1);
            let got = locks.acquire(&tree("data/a"), owner, Job::new(true)).await;
            let cause = *first.stopped.lock().unwrap();
            // Otherwise the two hold each other for ever.
            drop(first.guard.lock().unwrap().take());
            (got.map(drop).map_err(|busy| busy.holder), cause)
        })
    }

    #[test]
    fn a_job_that_lives_keeps_its_tree_and_is_named() {
        assert_eq!(check(true, (2, 2)), (Err("web01".into()), None));
    }

    #[test]
    fn a_job_whose_peer_is_silent_gives_way() {
        assert_eq!(check(false, (2, 2)), (Ok(()), Some(StopCause::Silent)));
    }

    #[test]
    fn a_job_that_comes_back_takes_over_at_once_though_its_former_connection_lives() {
        assert_eq!(check(true, (1, 1)), (Ok(()), Some(StopCause::Superseded)));
    }
}
