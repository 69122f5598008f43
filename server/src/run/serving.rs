//! Files on their way out: a few threads serve all wishes, a step of one after a step of another where one waits.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Condvar, Mutex, PoisonError};

use quicopy_engine::send::{Context, Lacking, SendError, Serving, Step};
use quicopy_engine::source::{FileError, OfferedFile};
use quicopy_protocol::code::{Failure, Operation};
use quicopy_protocol::meta::{EntryId, WantId};
use quicopy_protocol::verdict::Basis;

use super::outlet::Outlet;
use super::progress::Meter;

/// Wishes under way, shared by the threads that serve them and the one that hears the agent.
#[derive(Default)]
pub(super) struct Desk {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Ticket>,
    /// Wait for the agent's answer to their lists.
    waiting: HashMap<WantId, Ticket>,
    /// Answers for files that are being served at this moment, and whether they are not wanted any more.
    notes: HashMap<WantId, Notes>,
    /// How many are being served at this moment.
    in_hand: usize,
    /// Nothing is begun (`/PF`).
    held: bool,
    /// Files that were found in another state than they were listed in.
    changed: HashSet<EntryId>,
    closed: bool,
}

#[derive(Default)]
struct Notes {
    answers: Vec<Lacking>,
    cancelled: bool,
}

impl State {
    /// Takes the next wish that may be served.
    fn pop(&mut self) -> Option<Ticket> {
        let at = match self.held {
            false => 0,
            true => self.queue.iter().position(Ticket::is_begun)?,
        };
        let ticket = self.queue.remove(at)?;
        self.in_hand += 1;
        Some(ticket)
    }
}

/// One wish.
struct Ticket {
    want: WantId,
    stage: Stage,
}

impl Ticket {
    fn is_begun(&self) -> bool {
        !matches!(self.stage, Stage::Asked { .. })
    }
}

enum Stage {
    Asked {
        entry: EntryId,
        file: OfferedFile,
        basis: Basis,
    },
    Open {
        entry: EntryId,
        serving: Box<Serving>,
    },
    /// Nothing more is sent but this, once the lists that were sent are answered.
    Failing(Failure),
}

impl Desk {
    /// Takes a wish.
    pub(super) fn ask(&self, want: WantId, entry: EntryId, file: OfferedFile, basis: Basis) {
        let mut state = self.lock();
        state.notes.insert(want, Notes::default());
        state.queue.push_back(Ticket { want, stage: Stage::Asked { entry, file, basis } });
        self.news.notify_one();
    }

    /// Takes the agent's answer to lists of a wish. One that comes after the wish ended is dropped.
    pub(super) fn answer(&self, want: WantId, answer: Lacking) {
        let mut state = self.lock();
        if let Some(notes) = state.notes.get_mut(&want) {
            notes.answers.push(answer);
            self.wake(&mut state, want);
        }
    }

    /// The agent does not need the rest of a wish.
    pub(super) fn cancel(&self, want: WantId) {
        let mut state = self.lock();
        if let Some(notes) = state.notes.get_mut(&want) {
            notes.cancelled = true;
            self.wake(&mut state, want);
        }
    }

    /// Begins no further file, or goes on to do so. What was begun is served to its end.
    pub(super) fn hold(&self, held: bool) {
        self.lock().held = held;
        self.news.notify_all();
    }

    /// Whether there is nothing to do but what is held back.
    pub(super) fn waits_for_release(&self) -> bool {
        let state = self.lock();
        let is_idle = state.in_hand == 0 && state.waiting.is_empty();
        state.held
            && is_idle
            && !state.queue.is_empty()
            && !state.queue.iter().any(Ticket::is_begun)
    }

    /// Whether a file failed because it was not in the state any more in which it was listed: listed again, it may be copied.
    /// Answers once.
    pub(super) fn take_changed(&self, entry: EntryId) -> bool {
        self.lock().changed.remove(&entry)
    }

    /// Sends all threads home.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.news.notify_all();
    }

    fn wake(&self, state: &mut State, want: WantId) {
        if let Some(ticket) = state.waiting.remove(&want) {
            // What was begun goes on before what was not.
            state.queue.push_front(ticket);
            self.news.notify_one();
        }
    }

    /// Serves wishes until the desk is closed or nobody takes content any more. Run by each thread.
    pub(super) fn serve(&self, context: &Context, outlet: &Outlet, meter: &Meter) {
        while let Some(ticket) = self.next() {
            let want = ticket.want;
            match self.carry_on(ticket, context, outlet, meter) {
                Outcome::Waits(ticket) => self.park(ticket),
                Outcome::Over => {
                    meter.end_file(want);
                    let mut state = self.lock();
                    state.notes.remove(&want);
                    state.in_hand -= 1;
                }
                Outcome::Closed => return self.close(),
            }
        }
    }

    fn next(&self) -> Option<Ticket> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(ticket) = state.pop() {
                return Some(ticket);
            }
            state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lays a wish aside until its answer comes; the answer may have come meanwhile.
    fn park(&self, ticket: Ticket) {
        let mut state = self.lock();
        state.in_hand -= 1;
        let is_failing = matches!(ticket.stage, Stage::Failing(_));
        let has_news = state.notes.get_mut(&ticket.want).is_some_and(|notes| {
            let answered = !notes.answers.is_empty();
            if is_failing {
                // Answers are only waited for, and cancelled it is anyway.
                notes.answers.clear();
            }
            answered || (notes.cancelled && !is_failing)
        });
        if has_news {
            state.queue.push_front(ticket);
        } else {
            state.waiting.insert(ticket.want, ticket);
        }
    }

    fn notes(&self, want: WantId) -> Notes {
        let mut state = self.lock();
        let Some(notes) = state.notes.get_mut(&want) else { return Notes::default() };
        Notes { answers: std::mem::take(&mut notes.answers), cancelled: notes.cancelled }
    }

    fn carry_on(
        &self,
        ticket: Ticket,
        context: &Context,
        outlet: &Outlet,
        meter: &Meter,
    ) -> Outcome {
        let Ticket { want, stage } = ticket;
        let (entry, mut serving) = match stage {
            Stage::Open { entry, serving } => (entry, serving),
            Stage::Failing(failure) => return fail(want, failure, outlet),
            Stage::Asked { entry, file, basis } => {
                meter.begin_file(want, entry, &file);
                match Serving::open(context.clone(), file, basis) {
                    Ok(serving) => (entry, Box::new(serving)),
                    Err(error) => return self.fail_file(want, entry, &error, outlet),
                }
            }
        };
        let mut sink = outlet.wish(want, serving.size_bytes(), meter);
        loop {
            let notes = self.notes(want);
            if notes.cancelled {
                return fail(want, cancelled(), outlet);
            }
            for answer in &notes.answers {
                if let Err(error) = serving.handle_answer(answer) {
                    outlet.break_off(error.to_string());
                    return Outcome::Closed;
                }
            }
            let before = serving.literal_bytes();
            let step = serving.advance(&mut sink);
            meter.sent(want, entry, serving.literal_bytes() - before);
            match step {
                Ok(Step::More) => {}
                Ok(Step::AwaitsAnswer) => {
                    return Outcome::Waits(Ticket { want, stage: Stage::Open { entry, serving } });
                }
                Ok(Step::Done) => return Outcome::Over,
                Err(SendError::File(error)) => {
                    return self.fail_file(want, entry, &error, outlet);
                }
                Err(SendError::Stopped | SendError::Closed(_) | SendError::BadAnswer(_)) => {
                    return Outcome::Closed;
                }
            }
        }
    }

    fn fail_file(
        &self,
        want: WantId,
        entry: EntryId,
        error: &FileError,
        outlet: &Outlet,
    ) -> Outcome {
        match error {
            FileError::Vanished | FileError::Changed | FileError::Replaced => {
                self.lock().changed.insert(entry);
            }
            FileError::Io(_) => {}
        }
        fail(want, error.failure(), outlet)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Outcome {
    Waits(Ticket),
    Over,
    Closed,
}

/// Ends a wish with a failure, now or when its lists are answered. Every wish ends with a word from the sender, so that the
/// agent knows when nothing of it follows.
fn fail(want: WantId, failure: Failure, outlet: &Outlet) -> Outcome {
    match outlet.fail(want, &failure) {
        Ok(true) => Outcome::Over,
        Ok(false) => Outcome::Waits(Ticket { want, stage: Stage::Failing(failure) }),
        Err(_) => Outcome::Closed,
    }
}

/// Windows error 1223: cancelled by the user. Source: winerror.h.
fn cancelled() -> Failure {
    Failure::new(Operation::CopyFile, 1223, "not wanted any more")
}

#[cfg(test)]
mod tests {
    use quicopy_engine::source::Identity;
    use quicopy_protocol::meta::{DirId, Meta};
    use quicopy_protocol::path::RelPath;

    use super::*;

    fn ask(desk: &Desk, number: u64) {
        let entry = EntryId { dir: DirId(0), index: 0 };
        let (meta, identity) = (Meta::default(), Identity::default());
        let file = OfferedFile { path: RelPath::ROOT, meta, identity };
        desk.ask(WantId(number), entry, file, Basis::Nothing);
    }

    #[test]
    fn what_is_held_back_waits_and_what_was_begun_does_not() {
        let desk = Desk::default();
        ask(&desk, 1);
        let begun = desk.next();
        ask(&desk, 2);
        desk.hold(true);
        assert!(begun.is_some() && !desk.waits_for_release(), "one is in hand");
        let failure = Failure::new(Operation::CopyFile, 5, "denied");
        desk.park(Ticket { want: WantId(1), stage: Stage::Failing(failure) });
        assert!(!desk.waits_for_release(), "it waits for an answer");
        desk.answer(WantId(1), Lacking { runs: Vec::new(), answered: 0 });
        assert_eq!(desk.next().map(|ticket| ticket.want), Some(WantId(1)));
        desk.lock().in_hand -= 1;
        assert!(desk.waits_for_release());
        desk.hold(false);
        assert!(!desk.waits_for_release());
        assert_eq!(desk.next().map(|ticket| ticket.want), Some(WantId(2)));
    }
}
