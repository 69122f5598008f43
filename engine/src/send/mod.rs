//! Answering one wish for a file: its content, checked against its listing before the first byte and after the last.
//!
//! | the agent has | the file is | what is sent |
//! | --- | --- | --- |
//! | nothing | at most 1 MiB | the whole of it, at once |
//! | nothing | larger | blocks of one size and holes in file order, as they are read; the end |
//! | something | any | lists of chunk hashes, ahead of their answers; the chunks that are lacking; holes; the end |
//!
//! [`Serving`] is one wish under way and never waits for an answer, so that few threads can serve many wishes; [`serve`]
//! drives one to its end on the thread that calls.
//!
//! A failed read is tried again under `/R` and `/W`. A file that left its listed state is not: it fails at once, saying
//! "run again", since it cannot come back to that state, and its next listing will tell the truth.

mod answer;
mod listed;
mod pass;
mod pieces;
mod pool;
mod reader;
mod serving;
mod sink;

pub use answer::{BadAnswer, Lacking};
pub use reader::OnRetry;
pub use serving::{Context, SendError, Serving, Step};
pub use sink::{ChunkListing, Closed, ContentSink};

use async_channel::{Receiver, TryRecvError};
use quicopy_protocol::code::Failure;
use quicopy_protocol::verdict::Basis;

use crate::source::{OfferedFile, StopFlag};

/// What became of a wish.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Served {
    /// Bytes of content that were given to the sink, also if the file failed after that.
    pub literal_bytes: u64,
    /// How it ended.
    pub end: ServeEnd,
}

/// How serving a wish ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ServeEnd {
    /// The sink has all of it.
    Sent,
    /// The file could not be read as listed, and the sink was told so.
    Failed(Failure),
    /// Nobody waits for the rest: the answers ended, or the job was stopped. The sink was told nothing.
    Cancelled,
    /// The sink takes nothing any more.
    Closed,
    /// The agent answered what nobody asked. The sink was told nothing.
    BadAnswer(BadAnswer),
}

/// Serves the wish for `file` to its end, on this thread.
///
/// `answers` brings what the agent lacks of the lists; closing it cancels the wish, so it must be open also when the
/// agent has nothing and no answer comes.
pub fn serve(
    context: &Context,
    file: OfferedFile,
    basis: Basis,
    answers: &Receiver<Lacking>,
    sink: &mut dyn ContentSink,
) -> Served {
    let fail = |error, sink| end_of_failure(error, &context.stop, sink);
    let mut serving = match Serving::open(context.clone(), file, basis) {
        Ok(serving) => serving,
        Err(error) => return Served { literal_bytes: 0, end: fail(error.into(), sink) },
    };
    let end = match drive(&mut serving, answers, sink) {
        Ok(end) => end,
        Err(error) => fail(error, sink),
    };
    Served { literal_bytes: serving.literal_bytes(), end }
}

fn drive(
    serving: &mut Serving,
    answers: &Receiver<Lacking>,
    sink: &mut dyn ContentSink,
) -> Result<ServeEnd, SendError> {
    loop {
        let step = serving.advance(sink)?;
        let answer = match step {
            Step::Done => return Ok(ServeEnd::Sent),
            Step::More => answers.try_recv(),
            Step::AwaitsAnswer => answers.recv_blocking().map_err(|_| TryRecvError::Closed),
        };
        match answer {
            Ok(lacking) => serving.handle_answer(&lacking)?,
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Closed) => return Ok(ServeEnd::Cancelled),
        }
    }
}

fn end_of_failure(error: SendError, stop: &StopFlag, sink: &mut dyn ContentSink) -> ServeEnd {
    match error {
        // The stop cut its retries short: that is no verdict on the file.
        SendError::File(error) if error.is_transient() && stop.is_set() => ServeEnd::Cancelled,
        SendError::File(error) => {
            let failure = error.failure();
            match sink.failed(failure.clone()) {
                Ok(()) => ServeEnd::Failed(failure),
                Err(Closed) => ServeEnd::Closed,
            }
        }
        SendError::Stopped => ServeEnd::Cancelled,
        SendError::Closed(Closed) => ServeEnd::Closed,
        SendError::BadAnswer(error) => ServeEnd::BadAnswer(error),
    }
}

#[cfg(test)]
mod tests;
