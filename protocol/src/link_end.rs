//! How a link ends: [`LinkEnd`] asks for it and tells of it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_channel::{Receiver, Sender, bounded};

use crate::code::RefusalCode;
use crate::limits::TEXT_BYTES_MAX;
use crate::message::Refused;
use crate::text;

/// Why a side ends a link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Close {
    /// The kind of reason.
    pub code: CloseCode,
    /// The reason in words, unescaped; empty if the code says it all.
    pub reason: String,
}

/// The kind of reason why a link ends.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CloseCode {
    /// Everything was said. What is still under way is delivered first.
    Finished,
    /// That side went away without an end of the conversation.
    Abandoned,
    /// That side refuses to go on.
    Refused(RefusalCode),
    /// A code that this version does not know.
    Unknown(u64),
}

impl Close {
    /// Everything was said.
    pub fn finished() -> Self {
        Self { code: CloseCode::Finished, reason: String::new() }
    }

    /// This side goes away.
    pub fn abandoned() -> Self {
        Self { code: CloseCode::Abandoned, reason: String::new() }
    }

    /// This side found a message that the protocol does not allow.
    pub fn protocol(reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        text::cut(&mut reason, TEXT_BYTES_MAX);
        Self { code: CloseCode::Refused(RefusalCode::Protocol), reason }
    }
}

impl From<&Refused> for Close {
    fn from(refused: &Refused) -> Self {
        Self { code: CloseCode::Refused(refused.code), reason: refused.reason.clone() }
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, reason } = self;
        match code {
            CloseCode::Finished => f.write_str("everything was said")?,
            CloseCode::Abandoned => f.write_str("the program went away")?,
            CloseCode::Refused(code) => write!(f, "refused ({code:?})")?,
            CloseCode::Unknown(number) => write!(f, "code {number}")?,
        }
        if reason.is_empty() { Ok(()) } else { write!(f, ": {}", text::Escaped(reason.as_bytes())) }
    }
}

impl CloseCode {
    /// The application error code of a QUIC connection's end. Given by hand, never reused.
    pub fn to_wire(self) -> u64 {
        match self {
            Self::Finished => 0,
            Self::Abandoned => 1,
            Self::Refused(RefusalCode::Version) => 0x10,
            Self::Refused(RefusalCode::NotPermitted) => 0x11,
            Self::Refused(RefusalCode::DeleteNotPermitted) => 0x12,
            Self::Refused(RefusalCode::Busy) => 0x13,
            Self::Refused(RefusalCode::ShareOffline) => 0x14,
            Self::Refused(RefusalCode::Overlap) => 0x15,
            Self::Refused(RefusalCode::Unsupported) => 0x16,
            Self::Refused(RefusalCode::Stopping) => 0x17,
            Self::Refused(RefusalCode::Overloaded) => 0x18,
            Self::Refused(RefusalCode::Protocol) => 0x19,
            Self::Refused(RefusalCode::DestinationFailed) => 0x1a,
            Self::Refused(RefusalCode::Revoked) => 0x1b,
            Self::Refused(RefusalCode::SourceEmpty) => 0x1c,
            Self::Refused(RefusalCode::PlanChanged) => 0x1d,
            Self::Unknown(code) => code,
        }
    }

    /// Reads an application error code.
    pub fn from_wire(code: u64) -> Self {
        match code {
            0 => Self::Finished,
            1 => Self::Abandoned,
            0x10 => Self::Refused(RefusalCode::Version),
            0x11 => Self::Refused(RefusalCode::NotPermitted),
            0x12 => Self::Refused(RefusalCode::DeleteNotPermitted),
            0x13 => Self::Refused(RefusalCode::Busy),
            0x14 => Self::Refused(RefusalCode::ShareOffline),
            0x15 => Self::Refused(RefusalCode::Overlap),
            0x16 => Self::Refused(RefusalCode::Unsupported),
            0x17 => Self::Refused(RefusalCode::Stopping),
            0x18 => Self::Refused(RefusalCode::Overloaded),
            0x19 => Self::Refused(RefusalCode::Protocol),
            0x1a => Self::Refused(RefusalCode::DestinationFailed),
            0x1b => Self::Refused(RefusalCode::Revoked),
            0x1c => Self::Refused(RefusalCode::SourceEmpty),
            0x1d => Self::Refused(RefusalCode::PlanChanged),
            _ => Self::Unknown(code),
        }
    }
}

/// How a link ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LinkClosed {
    /// This side ended it.
    Local(Close),
    /// The other side ended it, and said why.
    Peer(Close),
    /// The other side's TLS denies this side access: it does not know its key, or not any more.
    Denied,
    /// Nobody ended it: the peer restarted or could not be reached any more. Worth another connection.
    Lost {
        /// What the transport saw.
        reason: String,
    },
}

impl fmt::Display for LinkClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(close) => write!(f, "ended here: {close}"),
            Self::Peer(close) => write!(f, "ended by the peer: {close}"),
            Self::Denied => f.write_str("the peer denies access"),
            Self::Lost { reason } => write!(f, "lost: {}", text::Escaped(reason.as_bytes())),
        }
    }
}

/// A handle on the end of a link. When the last clone is dropped, the link is abandoned.
#[derive(Clone)]
pub struct LinkEnd(Arc<Handle>);

/// Ends a link that has no supervisor.
type Hook = Box<dyn Fn(&Close) + Send + Sync>;

struct Handle {
    ending: Arc<Ending>,
    on_close: Option<Hook>,
}

impl LinkEnd {
    /// A handle for a link whose supervisor watches `ending.asked`.
    #[cfg(feature = "transport")]
    pub(crate) fn new(ending: Arc<Ending>) -> Self {
        Self(Arc::new(Handle { ending, on_close: None }))
    }

    /// A handle that ends the link itself.
    pub(crate) fn with_hook(
        ending: Arc<Ending>,
        hook: impl Fn(&Close) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Handle { ending, on_close: Some(Box::new(hook)) }))
    }

    /// Ends the link: with [`CloseCode::Finished`] once everything that was sent is delivered, otherwise without the
    /// listings, content and verdicts that wait, but with the control messages. Only the first call counts.
    pub fn close(&self, close: Close) {
        self.0.close(close);
    }

    /// Waits for the end of the link, whoever ends it.
    pub async fn closed(&self) -> LinkClosed {
        self.0.ending.closed.wait().await.clone()
    }

    /// As [`closed`](Self::closed), for a thread.
    pub fn closed_blocking(&self) -> LinkClosed {
        self.0.ending.closed.wait_blocking().clone()
    }

    /// How the link ended, if it has.
    pub fn reason(&self) -> Option<&LinkClosed> {
        self.0.ending.closed.get()
    }
}

impl fmt::Debug for LinkEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LinkEnd").field(&self.reason()).finish()
    }
}

impl Handle {
    fn close(&self, close: Close) {
        if self.ending.closed.get().is_none()
            && self.ending.asked.set(close.clone())
            && let Some(hook) = &self.on_close
        {
            hook(&close);
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close(Close::abandoned());
    }
}

/// What is asked of a link's end, and what became of it.
#[derive(Default)]
pub(crate) struct Ending {
    pub(crate) asked: Once<Close>,
    pub(crate) closed: Once<LinkClosed>,
}

/// A value that is set once and can be waited for, by threads and tasks.
pub(crate) struct Once<T> {
    value: OnceLock<T>,
    // Never carries anything: closing it is what wakes.
    latch: (Sender<()>, Receiver<()>),
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self { value: OnceLock::new(), latch: bounded(1) }
    }
}

impl<T> Once<T> {
    /// Sets the value if it is not set yet, and says whether that was so.
    pub(crate) fn set(&self, value: T) -> bool {
        let first = self.value.set(value).is_ok();
        self.latch.0.close();
        first
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.value.get()
    }

    pub(crate) async fn wait(&self) -> &T {
        let _ = self.latch.1.recv().await;
        self.value.get().expect("the latch opens after the value is set")
    }

    pub(crate) fn wait_blocking(&self) -> &T {
        let _ = self.latch.1.recv_blocking();
        self.value.get().expect("the latch opens after the value is set")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back_from_the_wire() {
        for code in 0..0x40 {
            assert_eq!(CloseCode::from_wire(code).to_wire(), code);
        }
    }
}
