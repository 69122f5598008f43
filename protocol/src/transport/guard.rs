//! The end of tasks that move messages outwards: [`Guard`].

use std::sync::Arc;
use std::time::Duration;

use quinn::{SendStream, VarInt, WriteError};
use tokio::time::sleep;

use super::sort::Sorter;
use super::write;
use crate::link::Close;
use crate::link_end::{Ending, Once};

/// How long a peer may stay after it has stopped a stream: longer than any orderly end takes.
const STOPPED_GRACE: Duration = Duration::from_secs(10);

/// Runs a task that moves messages outwards, and heeds what ends it early.
pub(super) struct Guard {
    /// Set when what is left shall be thrown away.
    give_up: Arc<Once<()>>,
    ending: Arc<Ending>,
}

impl Guard {
    pub(super) fn new(give_up: Arc<Once<()>>, ending: Arc<Ending>) -> Self {
        Self { give_up, ending }
    }

    /// Writes one stream.
    pub(super) async fn write(
        self,
        mut stream: SendStream,
        pump: impl AsyncFnOnce(&mut SendStream) -> Result<(), write::PumpError>,
    ) {
        let written = tokio::select! {
            biased;
            _ = self.give_up.wait() => None,
            written = pump(&mut stream) => Some(written),
        };
        match written {
            None => drop(stream.reset(VarInt::from_u32(0))),
            Some(Err(write::PumpError::Write(WriteError::Stopped(_)))) => self.miss_end().await,
            // The connection is gone: its end says why.
            Some(Err(write::PumpError::Write(_)) | Ok(())) => {}
            Some(Err(error)) => self.fail(&error),
        }
    }

    /// The peer takes no more from this stream. It does so on its way out, too; but if it stays, the job would wait for ever.
    async fn miss_end(&self) {
        tokio::select! {
            _ = self.give_up.wait() => {}
            _ = self.ending.asked.wait() => {}
            _ = self.ending.closed.wait() => {}
            () = sleep(STOPPED_GRACE) => {
                self.ending.asked.set(Close::protocol("a stream of the job was stopped"));
            }
        }
    }

    /// Feeds the streams of a lane.
    pub(super) async fn sort(self, sorter: Sorter) {
        tokio::select! {
            biased;
            _ = self.give_up.wait() => {}
            sorted = sorter.run() => if let Err(error) = sorted { self.fail(&error) },
        }
    }

    fn fail(&self, error: &(dyn std::error::Error + 'static)) {
        tracing::error!(error, "message not sent");
        self.ending.asked.set(Close::protocol(error.to_string()));
    }
}
