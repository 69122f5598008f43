//! The sender: a tree that the dice make, listed in parts, and its wishes served.

use super::*;

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

/// The sender: lists its tree, serves wishes.
pub(super) struct Sender {
    pub(super) session: SenderSession,
    pub(super) parts: VecDeque<Listing>,
    directories: u64,
    is_scanned: bool,
    sizes: BTreeMap<EntryId, u64>,
    pub(super) serving: BTreeMap<WantId, Serving>,
}

/// A wish being served: what is still to be sent, as offset, length and whether it is a hole.
pub(super) struct Serving {
    size: u64,
    pieces: VecDeque<(u64, u64, bool)>,
    /// Chunks that are listed and not answered, with a basis.
    lists: VecDeque<ChunkList>,
    waiting: VecDeque<Vec<(u64, u32)>>,
    answered: u32,
}

impl Sender {
    pub(super) fn new(dice: &mut Dice) -> Self {
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

    pub(super) fn receive(&mut self, dice: &mut Dice, message: Message) -> Vec<Message> {
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
    pub(super) fn act(&mut self, dice: &mut Dice) -> Option<Message> {
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
