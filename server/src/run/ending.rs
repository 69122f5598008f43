//! How an attempt ends. Whoever finds out says so here, and then nobody waits any more.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_channel::Receiver;
use quicopy_engine::source::StopFlag;
use quicopy_protocol::code::RefusalCode;
use quicopy_protocol::link::SenderLink;
use quicopy_protocol::message::{Message, Refused};

/// How an attempt ended.
#[derive(Debug, PartialEq)]
pub(super) enum End {
    /// The job reached its end, but for deletions if a guard held them back.
    Complete { held_back: bool },
    /// The link was lost: worth another attempt.
    Lost(String),
    /// The agent does not want this job, or not go on with it; or one side found the other, or itself, at fault.
    Refused(Refused),
    /// The source's root cannot be read.
    SourceFailed(String),
    /// The user asked to stop.
    Stopped,
    /// It is none of the job's hours any more (`/PF`).
    Paused,
}

impl End {
    /// One side broke the protocol.
    pub(super) fn protocol(reason: impl Into<String>) -> Self {
        Self::Refused(Refused::new(RefusalCode::Protocol, reason))
    }
}

/// The end of an attempt, as its threads share it.
#[derive(Debug)]
pub(super) struct Ending {
    over: StopFlag,
    found: Mutex<Option<End>>,
    /// What the listening thread hears; it is the one that lets all others go.
    verdicts: Receiver<Message>,
}

impl Ending {
    pub(super) fn new(link: &SenderLink) -> Self {
        Self {
            over: StopFlag::default(),
            found: Mutex::default(),
            verdicts: link.verdict_rx.clone(),
        }
    }

    /// Set when the attempt is over, for whatever reason.
    pub(super) fn over(&self) -> &StopFlag {
        &self.over
    }

    /// Ends the attempt. Only the first reason counts.
    pub(super) fn give_up(&self, end: End) {
        self.found().get_or_insert(end);
        self.verdicts.close();
    }

    /// Why somebody gave the attempt up, if somebody did.
    pub(super) fn take(&self) -> Option<End> {
        self.found().take()
    }

    /// Does the work of one thread. A panic in it ends the attempt, where the other threads would wait for this one for ever.
    pub(super) fn guard<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        // What the work leaves half done is not used any more but for the report, which is a fatal one.
        let done = catch_unwind(AssertUnwindSafe(work)).ok();
        if done.is_none() {
            self.give_up(End::protocol("quicopy itself failed; standard error says where"));
        }
        done
    }

    fn found(&self) -> MutexGuard<'_, Option<End>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use quicopy_protocol::link::{Capacities, pair};

    use super::*;

    #[test]
    fn a_panic_of_one_thread_ends_the_wait_of_another() {
        let (link, _agent) = pair(Capacities::default());
        let ending = Ending::new(&link);
        std::thread::scope(|scope| {
            let listening = scope.spawn(|| link.verdict_rx.recv_blocking());
            scope.spawn(|| ending.guard(|| panic!("a test")));
            assert!(listening.join().is_ok_and(|heard| heard.is_err()));
        });
        assert!(matches!(ending.take(), Some(End::Refused(_))));
    }

    #[test]
    fn the_first_reason_counts() {
        let (link, _agent) = pair(Capacities::default());
        let ending = Ending::new(&link);
        ending.give_up(End::Lost("first".to_owned()));
        ending.give_up(End::Stopped);
        assert_eq!(ending.take(), Some(End::Lost("first".to_owned())));
        assert_eq!(ending.guard(|| 1), Some(1));
    }
}
