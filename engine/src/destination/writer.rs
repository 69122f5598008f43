//! Takes content in: verifies and writes it, and sees to what follows.

use std::collections::HashMap;

use crossbeam_channel::Sender;
use quicopy_protocol::meta::WantId;

use super::Refusal;
use super::event::{Content, Event};
use super::finisher::{Finisher, Try};
use super::job::Job;
use crate::commit::Order;
use crate::fault::Fault;
use crate::receive::{ReceiveError, Step, Violation};

/// Takes a flow of content until it ends. Run by each writer.
pub(super) fn run(
    job: &Job,
    finisher: &Finisher<'_>,
    flow: &async_channel::Receiver<Content>,
    commits: &Sender<Order<Try>>,
) {
    let mut answered = Answered::new();
    while let Ok(content) = flow.recv_blocking() {
        let (want, taken) = take(job, finisher, content, &mut answered);
        match taken {
            Ok(Step::More | Step::Dropped) => {}
            Ok(Step::Ready(ready)) => {
                if let Some(entry) = finisher.land(want) {
                    finisher.ready(entry, ready, commits);
                }
            }
            // It overtook the end of its file on another stream; that it may come was checked before.
            Err(ReceiveError::Violation(Violation::UnknownWant)) => {}
            Err(ReceiveError::Violation(violation)) => {
                job.refuse(Refusal::protocol(&violation.to_string()));
            }
            Err(error) => {
                if let Some(entry) = finisher.land(want) {
                    job.tell(Event::Cancel(want));
                    finisher.failed(entry, error.into());
                }
            }
        }
    }
}

/// Chunks answered of files with lists: an answer is due for every list, wanted or not.
type Answered = HashMap<WantId, u32>;

fn take(
    job: &Job,
    finisher: &Finisher<'_>,
    content: Content,
    answered: &mut Answered,
) -> (WantId, Result<Step, ReceiveError>) {
    let (receiver, now) = (job.receiver(), job.now());
    match content {
        Content::Chunks { want, average_bytes, offset, chunks, last } => {
            let answer = receiver.chunk_list(want, average_bytes, offset, &chunks, last, now);
            let so_far = answered.entry(want).or_default();
            *so_far = so_far.saturating_add(u32::try_from(chunks.len()).unwrap_or(u32::MAX));
            let so_far = *so_far;
            if last {
                answered.remove(&want);
            }
            let (runs, step) = match answer {
                Ok(answer) => (answer.lacking.runs, Ok(answer.step)),
                Err(error) => (Vec::new(), Err(error)),
            };
            job.tell(Event::Lack { want, runs, answered: so_far });
            (want, step)
        }
        Content::Chunk { want, offset, digest, data } => {
            (want, receiver.chunk(want, offset, digest, &data, now))
        }
        Content::Hole { want, offset, length } => (want, receiver.hole(want, offset, length, now)),
        Content::Whole { want, digest, attributes, data } => {
            (want, receiver.whole_file(want, digest, &attributes, &data))
        }
        Content::End { want, size_bytes, digest, attributes } => {
            (want, receiver.end(want, size_bytes, digest, attributes, now))
        }
        Content::Failed { want, failure } => {
            let taken = receiver.failed(want, now).map(|()| Step::Dropped);
            if let Some(entry) = finisher.land(want) {
                finisher.failed(entry, Fault::lasting(failure));
            }
            (want, taken)
        }
    }
}
