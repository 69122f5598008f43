//! What is legal where, and what is not: both ends of a connection, and how a test says each message.

#![allow(clippy::unwrap_used)]

mod listings;
mod phases;
mod plans;
mod wishes;

use super::*;
use crate::code::{Operation, RefusalCode};
use crate::limits::*;
use crate::message::*;
use crate::meta::*;
use crate::options::{Durability, JobPolicy};
use crate::path::{Name, RelPath};
use crate::verdict::*;
use crate::version;

const PHASES: [Phase; 7] = [
    Phase::Greeting,
    Phase::Ready,
    Phase::Opening,
    Phase::Running,
    Phase::Scanned,
    Phase::Done,
    Phase::Ended,
];

/// Both ends of a connection on which everything arrives at once. A message is checked on both, and both must agree.
#[derive(Clone)]
struct Both {
    sender: SenderSession,
    agent: AgentSession,
}

impl Both {
    fn new() -> Self {
        let hello = || version::hello("test");
        Self { sender: SenderSession::new(hello()), agent: AgentSession::new(hello()) }
    }

    fn say(&mut self, author: Role, message: impl Into<Message>) -> Result<(), Violation> {
        let message = message.into();
        let (sent, received) = match author {
            Role::Sender => {
                (self.sender.handle_send(&message), self.agent.handle_message(&message))
            }
            Role::Agent => (self.agent.handle_send(&message), self.sender.handle_message(&message)),
        };
        assert_eq!(sent, received, "the sides judge {} differently", message.name());
        received
    }

    #[track_caller]
    fn sender(&mut self, message: impl Into<Message>) -> &mut Self {
        self.say(Role::Sender, message).unwrap();
        self
    }

    #[track_caller]
    fn agent(&mut self, message: impl Into<Message>) -> &mut Self {
        self.say(Role::Agent, message).unwrap();
        self
    }

    /// Checks that a message is refused, and changes nothing.
    #[track_caller]
    fn refuses(&mut self, author: Role, message: impl Into<Message>, reason: &str) -> &mut Self {
        let violation = self.clone().say(author, message).unwrap_err();
        assert!(violation.to_string().contains(reason), "{violation}");
        assert_eq!(violation.refusal().code, RefusalCode::Protocol);
        self
    }

    fn until(phase: Phase) -> Self {
        let mut both = Self::new();
        let steps: [&dyn Fn(&mut Both); 6] = [
            &|both| {
                both.sender(version::hello("s")).agent(version::hello("a"));
            },
            &|both| {
                both.sender(open_job(JobPolicy::default()));
            },
            &|both| {
                both.agent(opened());
            },
            &|both| {
                both.sender(listing(0, "", &["a"])).sender(ScanEnd { directories: 1 });
            },
            &|both| {
                both.agent(plan(0, &[])).agent(settled(1)).agent(done(0));
            },
            &|both| {
                both.sender(Goodbye { complete: true });
            },
        ];
        for step in &steps[..phase as usize] {
            step(&mut both);
        }
        assert_eq!((both.sender.phase(), both.agent.phase()), (phase, phase));
        both
    }

    fn running() -> Self {
        Self::until(Phase::Running)
    }

    /// A job with one directory of five files of 100 bytes, all to be copied.
    fn copying() -> Self {
        let mut both = Self::running();
        both.sender(listing(0, "", &["a", "b", "c", "d", "e"])).agent(plan(0, &[0, 1, 2, 3, 4]));
        both
    }
}

fn open_job(policy: JobPolicy) -> OpenJob {
    OpenJob {
        job: JobId([1; 16]),
        attempt: 0,
        share: "share".into(),
        path: RelPath::ROOT,
        policy,
        origin: Origin { machine: [0; 32], chain: Vec::new() },
        label: String::new(),
    }
}

fn opened() -> JobOpened {
    JobOpened {
        time_step_nanos: 1,
        conflicts_known: true,
        first_job: false,
        durability: Durability::Group,
        trash_days: None,
    }
}

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

/// Files of 100 bytes; a name that begins with `-` is left out, one that ends in `/` is a directory.
fn entry(name: &str) -> Entry {
    let kind = if name.ends_with('/') { Kind::Directory } else { Kind::File };
    let size_bytes = if kind == Kind::File { 100 } else { 0 };
    Entry {
        name: Name::new(name.trim_end_matches('/').as_bytes()).unwrap(),
        kind,
        meta: Meta { size_bytes, ..Meta::default() },
        skip: name.starts_with('-').then_some(Skip::Named),
    }
}

fn part(dir: u64, at: &str, names: &[&str], state: ListingState) -> Listing {
    Listing {
        dir: DirId(dir),
        path: path(at),
        meta: Meta::default(),
        attributes: Vec::new(),
        entries: names.iter().copied().map(entry).collect(),
        state,
    }
}

fn listing(dir: u64, at: &str, names: &[&str]) -> Listing {
    part(dir, at, names, ListingState::Complete)
}

fn verdict(index: u32, action: Action) -> Verdict {
    Verdict { index, class: FileClass::Lonely, action, conflict: false }
}

fn plan_part(dir: u64, verdicts: Vec<Verdict>, last: bool) -> Plan {
    Plan { dir: DirId(dir), state: DirState::New, verdicts, same: Tally::default(), last }
}

fn plan(dir: u64, copies: &[u32]) -> Plan {
    plan_part(dir, copies.iter().map(|index| verdict(*index, Action::Copy)).collect(), true)
}

fn at(dir: u64, index: u32) -> EntryId {
    EntryId { dir: DirId(dir), index }
}

fn outcomes(entries: &[(u64, u32)], settled: u64) -> Outcomes {
    let outcome = |&(dir, index): &(u64, u32)| Outcome {
        entry: at(dir, index),
        result: OutcomeResult::Done(Origins::default()),
    };
    Outcomes {
        entries: entries.iter().map(outcome).collect(),
        removals: Vec::new(),
        settled: DirId(settled),
    }
}

fn settled(directories: u64) -> Outcomes {
    outcomes(&[], directories)
}

fn done(last: u64) -> JobDone {
    JobDone {
        deleted: 0,
        trashed: 0,
        protected_dirs: 0,
        guard: None,
        plan: None,
        directories: DirId(last),
    }
}

fn want(want: u64, index: u32, basis: Basis) -> Want {
    Want { want: WantId(want), entry: at(0, index), basis }
}

fn chunk(want: u64, offset: u64, length: usize) -> Chunk {
    Chunk { want: WantId(want), offset, digest: Digest([0; 32]), data: vec![0; length].into() }
}

fn hole(want: u64, offset: u64, length: u64) -> Hole {
    Hole { want: WantId(want), offset, length }
}

fn list(want: u64, offset: u64, lengths: &[u32], last: bool) -> ChunkList {
    let chunks = lengths.iter().map(|length| (*length, Digest([0; 32]))).collect();
    ChunkList { want: WantId(want), average_bytes: 16, offset, chunks, last }
}

fn lack(want: u64, runs: &[(u32, u32)], answered: u32) -> Lack {
    Lack { want: WantId(want), runs: runs.to_vec(), answered }
}

fn whole(want: u64, length: usize) -> WholeFile {
    WholeFile {
        want: WantId(want),
        digest: Digest([0; 32]),
        attributes: Vec::new(),
        data: vec![0; length].into(),
    }
}

fn end(want: u64, size_bytes: u64) -> FileEnd {
    FileEnd { want: WantId(want), size_bytes, digest: Digest([0; 32]), attributes: Vec::new() }
}

fn denied() -> Failure {
    Failure::new(Operation::CopyFile, 5, "denied")
}

fn failed(want: u64, sent_bytes: u64) -> FileFailed {
    FileFailed { want: WantId(want), sent_bytes, failure: denied() }
}
