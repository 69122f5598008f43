//! Whole jobs over a link that delays and reorders, without a socket: both sessions must agree to every step.
//!
//! A seed decides the source tree, what each side does next and when each message arrives. A failure prints its seed.

#![allow(clippy::unwrap_used)]

mod agent;
mod sender;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;
use crate::code::Operation;
use crate::message::*;
use crate::meta::*;
use crate::options::{Durability, JobPolicy};
use crate::path::{Name, RelPath};
use crate::verdict::*;
use crate::version;
use agent::Agent;
use sender::Sender;

/// Numbers that look random; the same seed gives the same ones. Source: Marsaglia, "Xorshift RNGs" (2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// Queues that keep their order, each delivered whenever the dice say.
#[derive(Default)]
struct Lanes(BTreeMap<usize, VecDeque<Message>>);

impl Lanes {
    fn put(&mut self, dice: &mut Dice, message: Message) {
        let lane = match message.lane() {
            Lane::Control => 0,
            Lane::Listing => 1,
            Lane::Verdict => 2,
            Lane::Content => 3 + dice.below(16),
        };
        self.0.entry(lane).or_default().push_back(message);
    }

    fn take(&mut self, dice: &mut Dice) -> Option<Message> {
        let at = (!self.0.is_empty()).then(|| dice.below(self.0.len()))?;
        let lane = *self.0.keys().nth(at)?;
        let queue = self.0.get_mut(&lane)?;
        let message = queue.pop_front();
        if queue.is_empty() {
            self.0.remove(&lane);
        }
        message
    }
}

fn denied() -> Failure {
    Failure::new(Operation::CopyFile, 5, "denied")
}

const DIGEST: Digest = Digest([0; 32]);

/// A message that may not come a second time at the same place.
fn is_unique(message: &Message) -> bool {
    match message {
        Message::Outcomes(outcomes) => !outcomes.entries.is_empty(),
        Message::Hello(_)
        | Message::OpenJob(_)
        | Message::JobOpened(_)
        | Message::Goodbye(_)
        | Message::Listing(_)
        | Message::ScanEnd(_)
        | Message::Plan(_)
        | Message::Want(_)
        | Message::WholeFile(_)
        | Message::FileEnd(_)
        | Message::FileFailed(_)
        | Message::Pong(_)
        | Message::JobDone(_) => true,
        Message::ChunkList(list) => list.last || !list.chunks.is_empty(),
        Message::Lack(lack) => !lack.runs.is_empty(),
        Message::Refused(_)
        | Message::Ping(_)
        | Message::PairRequest(_)
        | Message::PairReply(_)
        | Message::Extras(_)
        | Message::Cancel(_)
        | Message::Chunk(_)
        | Message::Hole(_)
        | Message::Retrying(_)
        | Message::Notice(_) => false,
    }
}

/// Runs one attempt of a job; `cut_after` messages the link is gone. Returns whether it came to its end.
fn run(seed: u64, cut_after: usize, seen: &mut BTreeSet<&'static str>) -> bool {
    let dice = &mut Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (mut sender, mut agent) = (Sender::new(dice), Agent::new());
    let (mut to_agent, mut to_sender) = (Lanes::default(), Lanes::default());
    let mut outbox_sender = vec![Message::from(version::hello("sender"))];
    let mut outbox_agent = Vec::new();
    for step in 0..100_000 {
        for message in outbox_sender.drain(..) {
            let sent = sender.session.handle_send(&message);
            assert_eq!(sent, Ok(()), "seed {seed}: sender sends {message:?}");
            seen.insert(message.name());
            to_agent.put(dice, message);
        }
        for message in outbox_agent.drain(..) {
            let sent = agent.session.handle_send(&message);
            assert_eq!(sent, Ok(()), "seed {seed}: agent sends {message:?}");
            seen.insert(message.name());
            to_sender.put(dice, message);
        }
        if step == cut_after {
            return false;
        }
        if (sender.session.phase(), agent.session.phase()) == (Phase::Ended, Phase::Ended) {
            assert!(to_agent.0.is_empty() && to_sender.0.is_empty(), "seed {seed}");
            assert_eq!((sender.serving.len(), sender.parts.len()), (0, 0), "seed {seed}");
            return true;
        }
        match dice.below(4) {
            0 => outbox_sender.extend(sender.act(dice)),
            1 => outbox_agent.extend(agent.act(dice)),
            2 => {
                let Some(message) = to_agent.take(dice) else { continue };
                let received = agent.session.handle_message(&message);
                assert_eq!(received, Ok(()), "seed {seed}: agent receives {message:?}");
                if is_unique(&message) {
                    let again = agent.session.clone().handle_message(&message);
                    assert!(again.is_err(), "seed {seed}: agent receives twice {message:?}");
                }
                outbox_agent.extend(agent.receive(dice, message));
            }
            _ => {
                let Some(message) = to_sender.take(dice) else { continue };
                let received = sender.session.handle_message(&message);
                assert_eq!(received, Ok(()), "seed {seed}: sender receives {message:?}");
                if is_unique(&message) {
                    let again = sender.session.clone().handle_message(&message);
                    assert!(again.is_err(), "seed {seed}: sender receives twice {message:?}");
                }
                outbox_sender.extend(sender.receive(dice, message));
            }
        }
    }
    panic!("seed {seed}: the job does not come to its end");
}

#[test]
fn jobs_come_to_their_end_whatever_arrives_when() {
    let mut seen = BTreeSet::new();
    for seed in 0..400 {
        assert!(run(seed, usize::MAX, &mut seen));
    }
    let unseen: Vec<_> =
        NUMBERS.iter().map(|row| row.1).filter(|name| !seen.contains(name)).collect();
    assert_eq!(unseen, ["Refused", "Ping", "Pong", "PairRequest", "PairReply", "Extras"]);
}

#[test]
fn a_job_that_is_cut_anywhere_begins_anew() {
    for seed in 0..60 {
        for cut_after in (1..).step_by(97) {
            if run(seed, cut_after, &mut BTreeSet::new()) {
                break;
            }
        }
    }
}
