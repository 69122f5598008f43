//! The agent: what it plans, wants and reports, as the dice say.

use super::*;

/// The agent: plans, wants, reports.
pub(super) struct Agent {
    pub(super) session: AgentSession,
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
    pub(super) fn new() -> Self {
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

    pub(super) fn receive(&mut self, dice: &mut Dice, message: Message) -> Vec<Message> {
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

    pub(super) fn act(&mut self, dice: &mut Dice) -> Option<Message> {
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
