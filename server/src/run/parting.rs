//! The end of an attempt's link: why it ended, and ending it in order.

use std::future::Future;
use std::time::Duration;

use quicopy_protocol::code::RefusalCode;
use quicopy_protocol::link::{Close, CloseCode, LinkClosed};
use quicopy_protocol::message::{Goodbye, Refused};

use super::attempt::{Attempt, TICK};
use super::ending::End;
use super::remote;

/// How long the agent may take to answer, and to end the link once it says nothing more. As long as a silent link lasts.
const PATIENCE: Duration = Duration::from_secs(30);

impl Attempt<'_> {
    /// Why there is nothing more to hear.
    pub(super) fn end_of_link(&self) -> End {
        if let Some(end) = self.ending.take() {
            return end;
        }
        if self.setting.stop.is_set() {
            return End::Stopped;
        }
        match self.patiently(self.link.end.closed()) {
            Some(LinkClosed::Peer(Close { code: CloseCode::Refused(code), reason })) => {
                End::Refused(Refused { code, reason })
            }
            Some(LinkClosed::Denied) => End::Refused(remote::not_known()),
            Some(closed) => End::Lost(closed.to_string()),
            None => self.out_of_patience(),
        }
    }

    pub(super) fn out_of_patience(&self) -> End {
        match self.setting.stop.is_set() {
            true => End::Stopped,
            false => End::Lost(format!("the agent was silent for {} s", PATIENCE.as_secs())),
        }
    }

    /// Waits for the agent: not for ever, and no longer once the user asks to stop.
    pub(super) fn patiently<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        self.setting.runtime.block_on(async {
            tokio::select! {
                biased;
                answer = answer => Some(answer),
                () = tokio::time::sleep(PATIENCE) => None,
                () = super::stopped(self.setting.stop) => None,
            }
        })
    }

    /// Ends the link when the user asks to stop: whatever waits for it comes to its end.
    pub(super) fn watch_for_stop(&self) {
        while !self.ending.over().wait(TICK / 4) {
            if self.setting.stop.is_set() {
                self.say_goodbye(&End::Stopped);
                return;
            }
        }
    }

    /// Ends the link in order: the agent learns whether the job is over or goes on another time.
    pub(super) fn say_goodbye(&self, end: &End) {
        let close = match end {
            End::Complete { .. } => {
                quicopy_engine::crash_point!("sender_before_goodbye");
                let _ = self.link.control_tx.try_send(Goodbye { complete: true }.into());
                Close::finished()
            }
            End::Stopped | End::Paused | End::SourceFailed(_) => {
                let _ = self.link.control_tx.try_send(Goodbye { complete: false }.into());
                Close::abandoned()
            }
            End::Refused(refused) if refused.code == RefusalCode::Protocol => Close::from(refused),
            End::Refused(_) | End::Lost(_) => Close::abandoned(),
        };
        self.link.end.close(close);
        let closed = self.link.end.closed();
        let _ = self
            .setting
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, closed).await.ok() });
    }
}
