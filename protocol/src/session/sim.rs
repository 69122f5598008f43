//! Whole jobs over a link that delays and reorders, without a socket: both sessions must agree to every step.
//!
//! A seed decides the source tree, what each side does next and when each message arrives. A failure prints its seed.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;
use crate::code::Operation;
use crate::message::*;
use crate::meta::*;
use crate::options::{Durability, JobPolicy};
use crate::path::{Name, RelPath};
use crate::verdict::*;
use crate::version;

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

/// The source tree in the order of its paths: the root and up to two levels below.
fn tree(dice: &mut Dice) -> Vec<(RelPath, Vec<Entry>)> {
    let mut paths = vec![RelPath::ROOT];
    for top in 0..1 + dice.below(4) {
        let top = RelPath::from(Name::new(format!("d{top}").into_bytes()).unwrap());
        paths.push(top.clone());
        for sub in 0..dice.below(3) {
            paths.push(top.join(&Name::new(format!("s{sub}").into_bytes()).unwrap()).unwrap());
        }
    }
    paths
        .into_iter()
        .map(|path| (path, (0..dice.below(9)).map(|n| entry(dice, n)).collect()))
        .collect()
}

fn entry(dice: &mut Dice, n: usize) -> Entry {
    let (kind, size_bytes) = match dice.below(8) {
        0 => (Kind::Directory, 0),
        1 => (Kind::Link { target: Box::from(*b"x") }, 0),
        2 => (Kind::File, 0),
        _ => (Kind::File, dice.below(100) as u64),
    };
    Entry {
        name: Name::new(format!("e{n}").into_bytes()).unwrap(),
        kind,
        meta: Meta { size_bytes, ..Meta::default() },
        skip: dice.one_in(6).then_some(Skip::Named),
    }
}

fn denied() -> Failure {
    Failure::new(Operation::CopyFile, 5, "denied")
}

const DIGEST: Digest = Digest([0; 32]);

/// The sender: lists its tree, serves wishes.
struct Sender {
    session: SenderSession,
    parts: VecDeque<Listing>,
    directories: u64,
    is_scanned: bool,
    sizes: BTreeMap<EntryId, u64>,
    serving: BTreeMap<WantId, Serving>,
}

/// A wish being served: what is still to be sent, as offset, length and whether it is a hole.
struct Serving {
    size: u64,
    pieces: VecDeque<(u64, u64, bool)>,
    /// Chunks that are listed and not answered, with a basis.
    lists: VecDeque<ChunkList>,
    waiting: VecDeque<Vec<(u64, u32)>>,
    answered: u32,
}

impl Sender {
    fn new(dice: &mut Dice) -> Self {
        let tree = tree(dice);
        let (mut parts, mut sizes) = (VecDeque::new(), BTreeMap::new());
        for (dir, (path, entries)) in tree.iter().enumerate() {
            let dir = DirId(dir as u64);
            for (index, entry) in entries.iter().enumerate() {
                let id = EntryId { dir, index: index as u32 };
                sizes.insert(id, entry.meta.size_bytes);
            }
            let cut = dice.below(entries.len() + 1);
            let part = |entries: &[Entry], state| Listing {
                dir,
                path: path.clone(),
                meta: Meta::default(),
                attributes: Vec::new(),
                entries: entries.to_vec(),
                state,
            };
            if cut > 0 {
                parts.push_back(part(&entries[..cut], ListingState::More));
            }
            let end = if dice.one_in(5) {
                ListingState::Incomplete(denied())
            } else {
                ListingState::Complete
            };
            parts.push_back(part(&entries[cut..], end));
        }
        Self {
            session: SenderSession::new(version::hello("sender")),
            parts,
            directories: tree.len() as u64,
            is_scanned: false,
            sizes,
            serving: BTreeMap::new(),
        }
    }

    fn receive(&mut self, dice: &mut Dice, message: Message) -> Vec<Message> {
        match message {
            Message::Hello(_) => vec![
                OpenJob {
                    job: JobId([0; 16]),
                    attempt: 0,
                    share: "s".into(),
                    path: RelPath::ROOT,
                    policy: JobPolicy::default(),
                    origin: Origin { machine: [0; 32], chain: Vec::new() },
                    label: String::new(),
                }
                .into(),
            ],
            Message::Ping(ping) => vec![Message::Pong(ping)],
            Message::Want(want) => {
                let serving = Serving::new(dice, want, self.sizes[&want.entry]);
                self.serving.insert(want.want, serving);
                Vec::new()
            }
            Message::Lack(lack) => {
                self.serving.get_mut(&lack.want).unwrap().answer(&lack);
                Vec::new()
            }
            Message::JobDone(_) => vec![Goodbye { complete: true }.into()],
            _ => Vec::new(),
        }
    }

    /// Something it may do by itself, if there is anything.
    fn act(&mut self, dice: &mut Dice) -> Option<Message> {
        if !matches!(self.session.phase(), Phase::Running | Phase::Scanned) {
            return None;
        }
        if dice.one_in(2) {
            if let Some(part) = self.parts.pop_front() {
                return Some(part.into());
            }
            if !std::mem::replace(&mut self.is_scanned, true) {
                return Some(ScanEnd { directories: self.directories }.into());
            }
        }
        let at = (!self.serving.is_empty()).then(|| dice.below(self.serving.len()))?;
        let want = *self.serving.keys().nth(at)?;
        let gives_up = self.session.is_cancelled(want) || dice.one_in(20);
        if gives_up && self.session.may_end(want) {
            self.serving.remove(&want);
            return Some(self.session.file_failed(want, denied()).unwrap().into());
        }
        let serving = self.serving.get_mut(&want)?;
        let message = serving.next(want, self.session.may_end(want))?;
        if matches!(message, Message::WholeFile(_) | Message::FileEnd(_)) {
            self.serving.remove(&want);
        }
        Some(message)
    }
}

impl Serving {
    fn new(dice: &mut Dice, want: Want, size: u64) -> Self {
        let mut pieces = VecDeque::new();
        let mut offset = 0;
        while offset < size {
            let length = (1 + dice.below(40) as u64).min(size - offset);
            pieces.push_back((offset, length, dice.one_in(4)));
            offset += length;
        }
        let mut serving =
            Self { size, pieces, lists: VecDeque::new(), waiting: VecDeque::new(), answered: 0 };
        if want.basis == Basis::Bytes {
            let (holes, chunks) =
                std::mem::take(&mut serving.pieces).into_iter().partition(|p| p.2);
            serving.pieces = holes;
            for (offset, length, _) in chunks {
                serving.lists.push_back(ChunkList {
                    want: want.want,
                    average_bytes: 8,
                    offset,
                    chunks: vec![(length as u32, DIGEST)],
                    last: false,
                });
            }
            // A file without data has nothing to list, and may say so or not.
            if !serving.lists.is_empty() || dice.one_in(2) {
                serving.lists.push_back(ChunkList {
                    want: want.want,
                    average_bytes: 8,
                    offset: size,
                    chunks: Vec::new(),
                    last: true,
                });
            }
        }
        serving
    }

    fn answer(&mut self, lack: &Lack) {
        let list = self.waiting.pop_front().unwrap();
        for &(first, count) in &lack.runs {
            let from = (first - self.answered) as usize;
            for (offset, length) in &list[from..from + count as usize] {
                self.pieces.push_back((*offset, u64::from(*length), false));
            }
        }
        self.answered = lack.answered;
    }

    fn next(&mut self, want: WantId, may_end: bool) -> Option<Message> {
        if let Some(list) = self.lists.pop_front() {
            let mut at = list.offset;
            let mut place = |length: u32| {
                let offset = at;
                at += u64::from(length);
                (offset, length)
            };
            self.waiting.push_back(list.chunks.iter().map(|(length, _)| place(*length)).collect());
            return Some(list.into());
        }
        let data = |length: u64| vec![0; length as usize].into();
        match self.pieces.pop_front() {
            Some((0, length, false)) if length == self.size && self.answered == 0 && may_end => {
                Some(
                    WholeFile { want, digest: DIGEST, attributes: Vec::new(), data: data(length) }
                        .into(),
                )
                .filter(|_| self.waiting.is_empty())
            }
            Some((offset, length, true)) => Some(Hole { want, offset, length }.into()),
            Some((offset, length, false)) => {
                Some(Chunk { want, offset, digest: DIGEST, data: data(length) }.into())
            }
            None if may_end => {
                let (size_bytes, attributes) = (self.size, Vec::new());
                Some(FileEnd { want, size_bytes, digest: DIGEST, attributes }.into())
            }
            None => None,
        }
    }
}

/// The agent: plans, wants, reports.
struct Agent {
    session: AgentSession,
    listed: VecDeque<(DirId, Vec<Entry>)>,
    open: Vec<Entry>,
    /// Entries to copy whose content is not wanted yet, or wanted again.
    to_want: Vec<EntryId>,
    wanted: BTreeMap<WantId, EntryId>,
    next_want: u64,
    /// Chunks of each wish that are answered.
    answered: BTreeMap<WantId, u32>,
    finished: Vec<Outcome>,
    unfinished: BTreeSet<EntryId>,
    planned: u64,
    settled: u64,
    scanned: Option<u64>,
    owed: VecDeque<Message>,
}

impl Agent {
    fn new() -> Self {
        Self {
            session: AgentSession::new(version::hello("agent")),
            listed: VecDeque::new(),
            open: Vec::new(),
            to_want: Vec::new(),
            wanted: BTreeMap::new(),
            next_want: 0,
            answered: BTreeMap::new(),
            finished: Vec::new(),
            unfinished: BTreeSet::new(),
            planned: 0,
            settled: 0,
            scanned: None,
            owed: VecDeque::new(),
        }
    }

    fn receive(&mut self, dice: &mut Dice, message: Message) -> Vec<Message> {
        match message {
            Message::Hello(_) => return vec![version::hello("agent").into()],
            Message::OpenJob(_) => {
                let durability = Durability::Group;
                let opened = JobOpened {
                    time_step_nanos: 1,
                    conflicts_known: false,
                    first_job: true,
                    durability,
                    trash_days: None,
                };
                return vec![opened.into(), Notice { text: "first job".into() }.into()];
            }
            Message::Listing(part) => {
                self.open.extend(part.entries);
                if part.state != ListingState::More {
                    self.listed.push_back((part.dir, std::mem::take(&mut self.open)));
                }
            }
            Message::ScanEnd(end) => self.scanned = Some(end.directories),
            Message::ChunkList(list) => self.answer(dice, &list),
            Message::WholeFile(_)
            | Message::FileEnd(_)
            | Message::FileFailed(_)
            | Message::Chunk(_)
            | Message::Hole(_) => self.collect(dice, matches!(message, Message::FileFailed(_))),
            _ => {}
        }
        Vec::new()
    }

    fn answer(&mut self, dice: &mut Dice, list: &ChunkList) {
        let count = list.chunks.len() as u32;
        let answered = self.answered.entry(list.want).or_default();
        let before = *answered;
        *answered += count;
        let lacks = count > 0 && !self.session.is_cancelled(list.want) && dice.one_in(2);
        let runs = if lacks { vec![(before, count)] } else { Vec::new() };
        self.owed.push_back(Lack { want: list.want, runs, answered: before + count }.into());
    }

    /// Finds the wishes that are over: their files are done, or tried again.
    fn collect(&mut self, dice: &mut Dice, failed: bool) {
        let over: Vec<_> =
            self.wanted.keys().copied().filter(|want| !self.session.is_open(*want)).collect();
        for want in over {
            let entry = self.wanted.remove(&want).unwrap();
            if failed && dice.one_in(2) {
                self.owed.push_back(Retrying { entry, failure: denied(), wait_seconds: 1 }.into());
                self.to_want.push(entry);
            } else {
                self.finish(entry, failed);
            }
        }
    }

    fn finish(&mut self, entry: EntryId, failed: bool) {
        let result = if failed {
            OutcomeResult::Failed(denied())
        } else {
            OutcomeResult::Done(Origins::default())
        };
        self.finished.push(Outcome { entry, result });
    }

    fn act(&mut self, dice: &mut Dice) -> Option<Message> {
        if !matches!(self.session.phase(), Phase::Running | Phase::Scanned) {
            return None;
        }
        if let Some(owed) = self.owed.pop_front() {
            return Some(owed);
        }
        match dice.below(5) {
            0 => self.plan(dice),
            1 => self.want(dice),
            2 => self.report(),
            3 if dice.one_in(8) => {
                let want = *self.wanted.keys().next()?;
                let fresh = self.session.is_open(want) && !self.session.is_cancelled(want);
                fresh.then(|| Cancel { want }.into())
            }
            4 if self.scanned == Some(self.settled)
                && self.finished.is_empty()
                && self.session.open_wants() == 0 =>
            {
                let directories = DirId(self.settled - 1);
                Some(
                    JobDone {
                        deleted: 0,
                        trashed: 0,
                        protected_dirs: 0,
                        guard: None,
                        plan: None,
                        directories,
                    }
                    .into(),
                )
            }
            _ => None,
        }
    }

    fn plan(&mut self, dice: &mut Dice) -> Option<Message> {
        let (dir, entries) = self.listed.pop_front()?;
        let mut verdicts = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let index = index as u32;
            if entry.skip.is_some() || entry.kind == Kind::Directory || dice.one_in(4) {
                continue;
            }
            let action = if dice.one_in(6) { Action::Fail } else { Action::Copy };
            verdicts.push(Verdict { index, class: FileClass::Lonely, action, conflict: false });
            let id = EntryId { dir, index };
            self.unfinished.insert(id);
            match (action, &entry.kind) {
                (Action::Copy, Kind::File) => self.to_want.push(id),
                (action, _) => self.finish(id, action == Action::Fail),
            }
        }
        self.planned += 1;
        let state = DirState::Existing;
        Some(Plan { dir, state, verdicts, same: Tally::default(), last: true }.into())
    }

    fn want(&mut self, dice: &mut Dice) -> Option<Message> {
        let entry = self.to_want.pop()?;
        let want = WantId(self.next_want);
        self.next_want += 1;
        self.wanted.insert(want, entry);
        let basis = if dice.one_in(2) { Basis::Bytes } else { Basis::Nothing };
        Some(Want { want, entry, basis }.into())
    }

    fn report(&mut self) -> Option<Message> {
        let entries = std::mem::take(&mut self.finished);
        entries.iter().for_each(|outcome| {
            self.unfinished.remove(&outcome.entry);
        });
        let settled = self.unfinished.first().map_or(self.planned, |first| first.dir.0);
        if entries.is_empty() && settled == self.settled {
            return None;
        }
        self.settled = settled;
        Some(Outcomes { entries, removals: Vec::new(), settled: DirId(settled) }.into())
    }
}

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
