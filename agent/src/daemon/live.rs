//! What is going on: connections and jobs, how many of each, and a handle to stop each.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quicopy_certs::Fingerprint;
use quicopy_protocol::code::RefusalCode;
use quicopy_protocol::link::CloseCode;
use quicopy_protocol::message::{JobId, Refused};
use quicopy_protocol::transport::Connection;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::accept::wire_code;
use super::lock_table::Owner;
use super::locks::{Holder, StopCause};
use super::trust::Rights;
use crate::config::Limits;
use crate::history::JobRecord;
use crate::job::Command;

/// Connections at once of one peer: its jobs, and as many that it has lost and we have not noticed yet.
const CONNECTIONS_PER_PEER_MAX: usize = 4;
/// Shortest silence that counts as one; on long links it is three round trips.
const SILENCE_MIN: Duration = Duration::from_secs(1);
/// Longest: no link that works takes longer for a round trip, and a peer must not make us wait by delaying its answers.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Commands that a job has yet to look at: some questions whether it lives, and one end.
pub(super) const COMMANDS_MAX: usize = 16;

/// One job that is being served.
#[derive(Debug)]
pub(super) struct LiveJob {
    /// To whom its lock belongs.
    pub(super) owner: Owner,
    /// What it was let in with.
    pub(super) rights: Rights,
    /// What is known about it, for people.
    pub(super) record: JobRecord,
    /// What it is told.
    pub(super) commands: async_channel::Sender<Command>,
    /// The connection below its link.
    pub(super) connection: Connection,
}

impl LiveJob {
    /// Makes the job stop, and tells its sender why.
    pub(super) fn park(&self, code: RefusalCode, reason: &str) {
        let refused = Refused::new(code, reason);
        if self.commands.try_send(Command::Park(refused)).is_err() {
            // It has ended, or does not listen any more: without a connection it will.
            self.connection.close(wire_code(CloseCode::Refused(code)), reason.as_bytes());
        }
    }
}

impl Holder for LiveJob {
    async fn answers(&self) -> bool {
        let silence = (3 * self.connection.rtt()).clamp(SILENCE_MIN, SILENCE_MAX);
        let (answer, answered) = oneshot::channel();
        if self.commands.try_send(Command::Ping(answer)).is_err() {
            return false;
        }
        matches!(timeout(silence, answered).await, Ok(Ok(())))
    }

    fn stop(&self, cause: StopCause) {
        match cause {
            StopCause::Superseded => {
                self.park(RefusalCode::Busy, "the job has connected again");
            }
            StopCause::Silent => {
                let reason = "another job took the destination while this one was silent";
                self.park(RefusalCode::Busy, reason);
            }
        }
    }

    fn describe(&self) -> String {
        let JobRecord { label, peer, started, .. } = &self.record;
        format!("{label} (peer {peer}, since {started:.0})")
    }
}

/// A limit is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Overloaded {
    /// Of the agent.
    #[error(
        "the agent serves as many jobs as it takes ({0}); try again later, or raise limits.jobs on the agent"
    )]
    Jobs(usize),
    /// Of one peer.
    #[error(
        "the agent serves {0} jobs of this sender, as many as it takes; try again later, or raise limits.jobs_per_peer on the agent"
    )]
    JobsOfPeer(usize),
    /// Of the agent.
    #[error("the agent has as many connections as it takes ({0}); try again later")]
    Connections(usize),
    /// Of one peer.
    #[error("the agent has {0} connections of this sender, as many as it takes; try again later")]
    ConnectionsOfPeer(usize),
}

/// Everything that is going on.
#[derive(Debug)]
pub(super) struct Live {
    limits: Limits,
    state: Mutex<State>,
    job_ended: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Jobs by a number that is never used again: the same job may stand here twice while it takes itself over.
    jobs: BTreeMap<u64, (Fingerprint, JobId, Option<Arc<LiveJob>>)>,
    last: u64,
    connections: HashMap<Fingerprint, usize>,
}

/// A place among the jobs, given back when dropped.
#[derive(Debug)]
pub(super) struct JobSeat {
    live: Arc<Live>,
    number: u64,
}

/// A place among the connections, given back when dropped.
#[derive(Debug)]
pub(super) struct ConnectionSeat {
    live: Arc<Live>,
    peer: Fingerprint,
}

impl Live {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, state: Mutex::default(), job_ended: Notify::new() })
    }

    /// Counts a connection of a known peer.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn take_connection(
        self: &Arc<Self>,
        peer: Fingerprint,
    ) -> Result<ConnectionSeat, Overloaded> {
        let mut state = self.lock();
        if state.connections.values().sum::<usize>() >= self.limits.connections {
            return Err(Overloaded::Connections(self.limits.connections));
        }
        let of_peer = state.connections.entry(peer).or_default();
        let most = CONNECTIONS_PER_PEER_MAX.max(2 * self.limits.jobs_per_peer);
        if *of_peer >= most {
            return Err(Overloaded::ConnectionsOfPeer(most));
        }
        *of_peer += 1;
        Ok(ConnectionSeat { live: Arc::clone(self), peer })
    }

    /// Counts a job. One that takes over its own former connection is counted once.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn take_job(self: &Arc<Self>, owner: Owner) -> Result<JobSeat, Overloaded> {
        let mut state = self.lock();
        let mut others =
            state.jobs.values().map(|(peer, job, _)| (*peer, *job)).collect::<Vec<_>>();
        others.retain(|&(peer, job)| (peer, job) != (owner.peer, owner.job));
        if others.len() >= self.limits.jobs {
            return Err(Overloaded::Jobs(self.limits.jobs));
        }
        let of_peer = others.iter().filter(|(peer, _)| *peer == owner.peer).count();
        if of_peer >= self.limits.jobs_per_peer {
            return Err(Overloaded::JobsOfPeer(self.limits.jobs_per_peer));
        }
        state.last += 1;
        let number = state.last;
        state.jobs.insert(number, (owner.peer, owner.job, None));
        Ok(JobSeat { live: Arc::clone(self), number })
    }

    /// The jobs that are being served.
    pub(super) fn jobs(&self) -> Vec<Arc<LiveJob>> {
        self.lock().jobs.values().filter_map(|(_, _, job)| job.clone()).collect()
    }

    /// Waits until no job is served.
    pub(super) async fn all_ended(&self) {
        loop {
            let mut ended = std::pin::pin!(self.job_ended.notified());
            ended.as_mut().enable();
            if self.lock().jobs.is_empty() {
                return;
            }
            ended.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Counts are right at every moment, whoever panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JobSeat {
    /// Shows the job to those who list or stop jobs.
    pub(super) fn occupy(&self, job: Arc<LiveJob>) {
        if let Some((_, _, seat)) = self.live.lock().jobs.get_mut(&self.number) {
            *seat = Some(job);
        }
    }
}

impl Drop for JobSeat {
    fn drop(&mut self) {
        self.live.lock().jobs.remove(&self.number);
        self.live.job_ended.notify_waiters();
    }
}

impl Drop for ConnectionSeat {
    fn drop(&mut self) {
        let mut state = self.live.lock();
        match state.connections.get_mut(&self.peer) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => drop(state.connections.remove(&self.peer)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::lock_table::tests::owner;
    use super::*;

    fn live() -> Arc<Live> {
        Live::new(Limits { jobs: 3, jobs_per_peer: 2, connections: 6 })
    }

    #[test]
    fn jobs_are_counted_for_each_peer_and_for_all() {
        let live = live();
        let take = |peer, job| live.take_job(owner(peer, job));
        let held = [take(1, 1).unwrap(), take(1, 2).unwrap()];
        assert_eq!(take(1, 3).unwrap_err(), Overloaded::JobsOfPeer(2));
        let third = take(2, 1).unwrap();
        assert_eq!(take(3, 1).unwrap_err(), Overloaded::Jobs(3));
        drop(held);
        take(3, 1).unwrap();
        drop(third);
    }

    #[test]
    fn a_job_that_takes_itself_over_needs_no_place_of_its_own() {
        let live = live();
        let _held = [1, 2].map(|job| live.take_job(owner(1, job)).unwrap());
        live.take_job(owner(1, 2)).unwrap();
        assert_eq!(live.take_job(owner(1, 3)).unwrap_err(), Overloaded::JobsOfPeer(2));
    }

    #[test]
    fn connections_are_counted_for_each_peer_and_for_all() {
        let live = live();
        let take = |peer: u8| live.take_connection(Fingerprint::from_bytes([peer; 32]));
        let of_one = [1, 1, 1, 1].map(|peer| take(peer).unwrap());
        assert_eq!(take(1).unwrap_err(), Overloaded::ConnectionsOfPeer(4));
        let _others = [2, 3].map(|peer| take(peer).unwrap());
        assert_eq!(take(4).unwrap_err(), Overloaded::Connections(6));
        drop(of_one);
        take(1).unwrap();
    }

    #[test]
    fn the_end_of_all_jobs_is_noticed() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let live = live();
            live.all_ended().await;
            let seat = live.take_job(owner(1, 1)).unwrap();
            let ended = live.all_ended();
            let (_, ()) = tokio::join!(ended, async move { drop(seat) });
        });
    }
}
