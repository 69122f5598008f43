//! What is legal where, and what is not.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::code::{Operation, RefusalCode};
use crate::codec::samples;
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

/// Which phases each message is legal in, by their first letters: S by the sender, A by the agent.
#[rustfmt::skip]
const LEGAL: &[(&str, &str, &str)] = &[
    // Greeting Ready Opening Running Scanned Done Ended; `-` means never.
    ("Hello",       "G------", "G------"),
    ("Refused",     "GROrsD-", "GROrsD-"),
    ("Ping",        "-ROrsD-", "-ROrsD-"),
    ("Pong",        "-ROrsD-", "-ROrsD-"),
    ("PairRequest", "-------", "-------"),
    ("PairReply",   "-------", "-------"),
    ("OpenJob",     "GR-----", "-------"),
    ("JobOpened",   "-------", "--O----"),
    ("Goodbye",     "-ROrsD-", "-------"),
    ("Listing",     "G-Or---", "-------"),
    ("ScanEnd",     "G-Or---", "-------"),
    ("Plan",        "-------", "---rs--"),
    ("Extras",      "-------", "---rs--"),
    ("Want",        "-------", "---rs--"),
    ("Lack",        "-------", "---rs--"),
    ("Cancel",      "-------", "---rs--"),
    ("ChunkList",   "---rs--", "-------"),
    ("Chunk",       "---rs--", "-------"),
    ("Hole",        "---rs--", "-------"),
    ("WholeFile",   "---rs--", "-------"),
    ("FileEnd",     "---rs--", "-------"),
    ("FileFailed",  "---rs--", "-------"),
    ("Outcomes",    "-------", "---rs--"),
    ("Retrying",    "-------", "---rs--"),
    ("Notice",      "-------", "--Ors--"),
    ("JobDone",     "-------", "----s--"),
];

#[test]
fn every_message_in_every_wrong_phase_is_refused_on_both_sides() {
    for message in samples::one_of_each() {
        let row = LEGAL.iter().find(|row| row.0 == message.name()).unwrap();
        for phase in PHASES {
            for (author, legal) in [(Role::Sender, row.1), (Role::Agent, row.2)] {
                let is_legal = legal.as_bytes()[phase as usize] != b'-';
                let mut both = Both::until(phase);
                let (sent, received) = match author {
                    Role::Sender => {
                        (both.sender.handle_send(&message), both.agent.handle_message(&message))
                    }
                    Role::Agent => {
                        (both.agent.handle_send(&message), both.sender.handle_message(&message))
                    }
                };
                let out_of_place = |result| matches!(result, Err(Violation::OutOfPlace { .. }));
                let label = format!("{} from the {author} in {phase:?}", message.name());
                assert_eq!(out_of_place(sent), !is_legal, "{label}, sent");
                // After its own end a side hears what the other said before it knew.
                let is_deaf = phase == Phase::Ended && author == Role::Agent;
                assert_eq!(out_of_place(received), !is_legal && !is_deaf, "{label}, received");
            }
        }
    }
}

#[test]
fn each_side_greets_once_and_in_any_order() {
    let mut both = Both::new();
    both.agent(version::hello("a")).refuses(Role::Agent, version::hello("a"), "said before");
    assert_eq!(both.sender.agreed().unwrap().version, version::VERSION);
    both.sender(version::hello("s"));
    assert_eq!(both.agent.phase(), Phase::Ready);
}

#[test]
fn a_job_may_be_opened_before_the_agents_hello_has_come_but_once_and_not_before_the_senders() {
    let open = || open_job(JobPolicy::default());
    let mut both = Both::new();
    both.refuses(Role::Sender, open(), "hello comes first");
    let mut both = Both::new();
    both.sender(version::hello("s")).sender(open());
    assert_eq!((both.sender.phase(), both.agent.phase()), (Phase::Greeting, Phase::Greeting));
    both.refuses(Role::Sender, open(), "opened before");
    let mut both = Both::new();
    both.sender(version::hello("s")).sender(open()).agent(version::hello("a"));
    assert_eq!((both.sender.phase(), both.agent.phase()), (Phase::Opening, Phase::Opening));
    both.agent(opened());
    assert_eq!(both.sender.phase(), Phase::Running);
}

#[test]
fn the_scan_may_run_and_end_before_the_job_is_opened() {
    let mut both = Both::new();
    both.sender(version::hello("s"))
        .refuses(Role::Sender, listing(0, "", &["a"]), "no job was asked for")
        .sender(open_job(JobPolicy::default()))
        .sender(listing(0, "", &["a"]))
        .sender(ScanEnd { directories: 1 })
        .refuses(Role::Sender, ScanEnd { directories: 1 }, "scan has ended")
        .refuses(Role::Sender, listing(1, "b", &[]), "scan has ended")
        .agent(version::hello("a"));
    assert_eq!(both.agent.phase(), Phase::Opening);
    both.refuses(Role::Agent, plan(0, &[0]), "while the job is being opened")
        .agent(opened())
        .agent(plan(0, &[0]));
    assert_eq!((both.sender.phase(), both.agent.phase()), (Phase::Scanned, Phase::Scanned));
}

#[test]
fn without_a_common_version_the_peer_is_told_which_side_to_upgrade() {
    let theirs = Hello { version_min: 7, version_max: 9, ..version::hello("future") };
    let mut agent = AgentSession::new(version::hello("now"));
    let refused = agent.handle_message(&theirs.into()).unwrap_err().refusal();
    assert_eq!(refused.code, RefusalCode::Version);
    assert!(refused.reason.ends_with("upgrade the agent"), "{}", refused.reason);
}

#[test]
fn directories_come_numbered_in_order_and_under_a_parent_that_was_listed() {
    let sender = Role::Sender;
    let mut both = Both::running();
    both.refuses(sender, listing(0, "a", &[]), "does not follow")
        .refuses(sender, listing(1, "", &[]), "not the next")
        .sender(listing(0, "", &["b/", "c/"]))
        .refuses(sender, listing(1, "", &[]), "does not follow")
        .refuses(sender, listing(0, "b", &[]), "not the next")
        .refuses(sender, listing(2, "b", &[]), "not the next")
        .refuses(sender, listing(u64::MAX, "b", &[]), "not the next")
        .sender(listing(1, "b", &["x/"]))
        .refuses(sender, listing(2, "a", &[]), "does not follow")
        .refuses(sender, listing(2, "b", &[]), "does not follow")
        .refuses(sender, listing(2, "b/y/z", &[]), "does not follow")
        .sender(listing(2, "b/x", &[]))
        .sender(listing(3, "c", &[]))
        .refuses(sender, listing(4, "b/z", &[]), "does not follow");
}

#[test]
fn parts_of_a_directory_come_in_a_row_and_end_once() {
    let sender = Role::Sender;
    let more = |dir, names: &[&str]| part(dir, "", names, ListingState::More);
    let mut both = Both::running();
    both.sender(more(0, &["b"]))
        .refuses(sender, listing(0, "a", &["c"]), "not listed to its end")
        .refuses(sender, listing(1, "a", &["c"]), "not listed to its end")
        .refuses(sender, listing(0, "", &["b"]), "do not ascend")
        .refuses(sender, ScanEnd { directories: 1 }, "not listed to its end")
        .refuses(Role::Agent, plan(0, &[]), "not listed to its end")
        .sender(more(0, &["ba"]))
        .refuses(sender, more(0, &["a"]), "do not ascend")
        .sender(listing(0, "", &["c"]))
        .refuses(sender, listing(0, "", &["d"]), "not the next");
}

#[test]
fn the_scan_ends_with_the_right_count() {
    let mut both = Both::running();
    both.refuses(Role::Sender, ScanEnd { directories: 0 }, "root was not listed")
        .sender(listing(0, "", &[]))
        .refuses(Role::Sender, ScanEnd { directories: 2 }, "1 directories");
}

fn thousands(dir: u64, at: &str, round: u32, state: ListingState) -> Listing {
    let names = (0..BATCH_ITEMS_MAX).map(|n| entry(&format!("{round:05}{n:05}")));
    Listing { entries: names.collect(), ..part(dir, at, &[], state) }
}

#[test]
fn listings_wait_for_settling_beyond_the_window() {
    let mut both = Both::running();
    both.sender(listing(0, "", &[]));
    let mut parts = 0;
    loop {
        let next = thousands(1, "a", parts, ListingState::More);
        if !both.sender.listing_credit().covers(ListingCost::of(&next, parts == 0)) {
            both.refuses(Role::Sender, next, "settled in time");
            break;
        }
        both.sender(next);
        parts += 1;
    }
    // The two directories count one each.
    assert_eq!(parts as usize, (UNSETTLED_ENTRIES_MAX - 2) / BATCH_ITEMS_MAX);
    // The root is settled, nothing else can be: the large directory goes on alone.
    both.agent(plan(0, &[])).agent(settled(1));
    for round in parts..parts + 4 {
        both.sender(thousands(1, "a", round, ListingState::More));
    }
    both.sender(part(1, "a", &["z"], ListingState::Complete))
        .refuses(Role::Sender, listing(2, "b", &[]), "settled in time")
        .agent(plan(1, &[]))
        .agent(settled(2))
        .sender(listing(2, "b", &[]));
}

#[test]
fn a_directory_that_is_listed_alone_has_a_bound_too() {
    let mut both = Both::running();
    let mut bytes = 0;
    for round in 0.. {
        let mut next = thousands(0, "", round, ListingState::More);
        next.entries.iter_mut().for_each(|entry| {
            entry.kind = Kind::Link { target: vec![b'x'; LINK_TARGET_BYTES_MAX].into() };
        });
        bytes += ListingCost::of(&next, round == 0).bytes;
        if bytes > DIRECTORY_BYTES_MAX {
            both.refuses(Role::Sender, next, "settled in time");
            break;
        }
        both.sender(next);
    }
}

#[test]
fn plans_come_in_order_for_what_is_listed_and_offered() {
    let agent = Role::Agent;
    let copy = |index| vec![verdict(index, Action::Copy)];
    let mut both = Both::running();
    both.refuses(agent, plan(0, &[]), "not listed")
        .sender(listing(0, "", &["-x", "a", "b"]))
        .sender(listing(1, "d", &[]))
        .refuses(agent, plan(1, &[]), "not the next")
        .refuses(agent, plan(0, &[3]), "not there")
        .refuses(agent, plan(0, &[u32::MAX]), "not there")
        .refuses(agent, plan(0, &[0]), "leaves out")
        .agent(plan_part(0, copy(1), false))
        .refuses(agent, plan_part(0, copy(1), true), "do not ascend")
        .refuses(agent, Extras { dir: DirId(0), entries: Vec::new() }, "not planned")
        .agent(plan_part(0, copy(2), true))
        .refuses(agent, plan(0, &[]), "not the next")
        .agent(Extras { dir: DirId(0), entries: Vec::new() })
        .agent(plan(1, &[]));
}

#[test]
fn nothing_is_extra_where_the_source_was_not_read_in_full() {
    let extra = ExtraEntry {
        path: path("x"),
        is_dir: false,
        size_bytes: 0,
        modified: Timestamp::default(),
        kept: None,
        conflict: false,
    };
    let mut both = Both::running();
    both.sender(part(0, "", &[], ListingState::Incomplete(denied()))).agent(plan(0, &[])).refuses(
        Role::Agent,
        Extras { dir: DirId(0), entries: vec![extra] },
        "not read in full",
    );
}

#[test]
fn outcomes_come_once_for_what_was_planned() {
    let agent = Role::Agent;
    let mut both = Both::running();
    both.sender(listing(0, "", &["a", "b", "c"]))
        .agent(plan_part(0, vec![verdict(0, Action::Copy), verdict(1, Action::Fail)], true))
        .refuses(agent, outcomes(&[(0, 2)], 0), "no such outcome is due")
        .refuses(agent, outcomes(&[(0, 9)], 0), "no such outcome is due")
        .refuses(agent, outcomes(&[(1, 0)], 0), "no such outcome is due")
        .refuses(agent, outcomes(&[(0, 1)], 0), "no such outcome is due")
        .refuses(agent, outcomes(&[(0, 0)], 1), "outcomes due")
        .agent(outcomes(&[(0, 0)], 0))
        .refuses(agent, outcomes(&[(0, 0)], 0), "no such outcome is due")
        .refuses(
            agent,
            Retrying { entry: at(0, 0), failure: denied(), wait_seconds: 1 },
            "done with",
        )
        .refuses(agent, want(0, 0, Basis::Nothing), "done with");
    let fails = Outcome { entry: at(0, 1), result: OutcomeResult::Failed(denied()) };
    both.agent(Outcomes { entries: vec![fails], removals: Vec::new(), settled: DirId(1) })
        .refuses(agent, settled(0), "out of range")
        .refuses(agent, settled(2), "out of range")
        .refuses(agent, want(0, 2, Basis::Nothing), "settled");
}

#[test]
fn only_a_job_that_purges_removes() {
    let removal = Removal { path: path("x"), is_dir: false, failure: None };
    let outcomes = || Outcomes { removals: vec![removal.clone()], ..settled(0) };
    Both::running().refuses(Role::Agent, outcomes(), "deletes nothing");
    let mut both = Both::until(Phase::Ready);
    both.sender(open_job(JobPolicy { purge: true, ..JobPolicy::default() })).agent(opened());
    both.agent(outcomes());
}

#[test]
fn a_job_that_only_lists_wants_nothing_and_owes_no_outcomes() {
    let mut both = Both::until(Phase::Ready);
    both.sender(open_job(JobPolicy { list_only: true, ..JobPolicy::default() }))
        .agent(opened())
        .sender(listing(0, "", &["a"]))
        .agent(plan(0, &[0]))
        .refuses(Role::Agent, want(0, 0, Basis::Nothing), "only lists")
        .agent(settled(1));
}

#[test]
fn a_job_that_only_lists_may_compare_content_and_then_owes_what_it_found() {
    let mut both = Both::until(Phase::Ready);
    both.sender(open_job(JobPolicy { list_only: true, ..JobPolicy::default() }))
        .agent(opened())
        .sender(listing(0, "", &["a", "b"]))
        .agent(plan_part(0, vec![verdict(0, Action::Check), verdict(1, Action::Copy)], true))
        .agent(want(0, 0, Basis::Digest))
        .refuses(Role::Sender, chunk(0, 0, 1), "more content")
        .sender(end(0, 100))
        .refuses(Role::Agent, settled(1), "outcomes due")
        .agent(Outcomes {
            entries: vec![Outcome { entry: at(0, 0), result: OutcomeResult::Unchanged }],
            ..settled(1)
        });
}

#[test]
fn lists_that_nobody_works_on_any_more_can_be_answered_all_the_same() {
    let mut both = Both::running();
    both.sender(listing(0, "", &["a", "b"])).agent(want(0, 0, Basis::Bytes));
    assert_eq!(both.agent.unanswered(), None);
    both.sender(list(0, 0, &[30, 20], false)).sender(list(0, 50, &[50], true));
    assert_eq!(both.agent.unanswered(), Some(lack(0, &[], 2)));
    both.agent(lack(0, &[], 2));
    assert_eq!(both.agent.unanswered(), Some(lack(0, &[], 3)));
    both.agent(lack(0, &[], 3)).sender(failed(0, 0));
    assert_eq!((both.agent.unanswered(), both.agent.open_wants()), (None, 0));
}

#[test]
fn content_stays_only_where_it_was_compared_or_fixed() {
    let stays = |index| Outcomes {
        entries: vec![Outcome { entry: at(0, index), result: OutcomeResult::Unchanged }],
        ..settled(0)
    };
    let actions = [Action::Copy, Action::Restamp, Action::Check, Action::Fix];
    let verdicts = (0..).zip(actions).map(|(index, action)| verdict(index, action));
    let mut both = Both::running();
    both.sender(listing(0, "", &["a", "b", "c", "d"]))
        .agent(plan_part(0, verdicts.collect(), true))
        .refuses(Role::Agent, stays(0), "no such outcome is due")
        .refuses(Role::Agent, stays(1), "no such outcome is due")
        .agent(stays(2))
        .refuses(Role::Agent, outcomes(&[(0, 3)], 0), "no such outcome is due")
        .agent(stays(3));
}

#[test]
fn a_wish_for_a_hash_gets_no_content_and_the_file_may_be_wanted_again() {
    let mut both = Both::running();
    both.sender(listing(0, "", &["a", "b"]))
        .agent(want(0, 0, Basis::Digest))
        .agent(want(1, 0, Basis::Content))
        .refuses(Role::Sender, hole(0, 0, 1), "more content")
        .sender(end(0, 100))
        .sender(end(1, 100))
        .agent(want(2, 0, Basis::Bytes));
}

#[test]
fn wishes_are_numbered_and_for_files_that_are_offered() {
    let agent = Role::Agent;
    let mut both = Both::running();
    both.sender(listing(0, "", &["-x", "a", "b", "d/"]))
        .refuses(agent, want(1, 1, Basis::Nothing), "next number is 0")
        .refuses(agent, want(0, 0, Basis::Nothing), "not a file")
        .refuses(agent, want(0, 3, Basis::Nothing), "not a file")
        .refuses(agent, want(0, 4, Basis::Nothing), "not listed")
        .agent(want(0, 1, Basis::Nothing))
        .refuses(agent, want(0, 2, Basis::Nothing), "next number is 1")
        .agent(want(1, 1, Basis::Bytes));
    for number in 2..WANTS_MAX as u64 {
        both.agent(want(number, 1, Basis::Nothing));
    }
    both.refuses(agent, want(WANTS_MAX as u64, 1, Basis::Nothing), "16384 are open");
    both.sender(whole(0, 100)).agent(want(WANTS_MAX as u64, 1, Basis::Nothing));
}

#[test]
fn wishes_for_large_files_are_fewer() {
    let mut both = Both::running();
    let mut large = listing(0, "", &["a", "b"]);
    large.entries[0].meta.size_bytes = WHOLE_FILE_BYTES_MAX + 1;
    both.sender(large);
    let limit = LARGE_WANTS_MAX as u64;
    for number in 0..limit {
        both.agent(want(number, 0, Basis::Nothing));
    }
    both.refuses(Role::Agent, want(limit, 0, Basis::Nothing), "64 large ones")
        .agent(want(limit, 1, Basis::Nothing))
        .sender(failed(0, 0))
        .agent(want(limit + 1, 0, Basis::Nothing));
    assert_eq!(both.agent.open_large_wants(), LARGE_WANTS_MAX);
}

#[test]
fn a_small_file_comes_whole_and_once() {
    let sender = Role::Sender;
    let mut both = Both::copying();
    both.refuses(sender, whole(0, 100), "never made")
        .agent(want(0, 0, Basis::Nothing))
        .refuses(sender, whole(0, 99), "not as long")
        .sender(whole(0, 100))
        .refuses(sender, whole(0, 100), "over")
        .refuses(sender, chunk(0, 0, 1), "over")
        .agent(want(1, 1, Basis::Bytes))
        .refuses(sender, whole(1, 100), "in chunks");
    assert_eq!(both.agent.open_wants(), 1);
}

#[test]
fn a_file_comes_in_chunks_and_holes_up_to_its_size() {
    let sender = Role::Sender;
    let mut both = Both::copying();
    both.agent(want(0, 0, Basis::Nothing))
        .refuses(sender, list(0, 0, &[1], true), "no basis")
        .sender(chunk(0, 0, 60))
        .refuses(sender, chunk(0, 60, 41), "beyond the file's end")
        .refuses(sender, hole(0, 99, 2), "beyond the file's end")
        .refuses(sender, whole(0, 100), "in chunks")
        .refuses(sender, end(0, 60), "not as long")
        .sender(hole(0, 60, 40))
        .sender(end(0, 100))
        .refuses(sender, end(0, 100), "over");
    assert_eq!(both.agent.open_wants(), 0);
}

#[test]
fn content_may_overtake_and_a_wish_is_over_when_all_is_there() {
    let mut agent = Both::copying().agent(want(0, 0, Basis::Nothing)).agent.clone();
    agent.handle_message(&chunk(0, 50, 50).into()).unwrap();
    agent.handle_message(&end(0, 100).into()).unwrap();
    assert!(agent.is_open(WantId(0)));
    assert!(agent.handle_message(&end(0, 100).into()).is_err());
    assert!(agent.clone().handle_message(&chunk(0, 0, 51).into()).is_err());
    agent.handle_message(&chunk(0, 0, 50).into()).unwrap();
    assert!(!agent.is_open(WantId(0)));
    assert!(agent.handle_message(&chunk(0, 0, 50).into()).is_err());
}

#[test]
fn what_was_sent_before_a_failure_may_arrive_after_it() {
    let mut both = Both::copying();
    both.agent(want(0, 0, Basis::Nothing)).agent(want(1, 1, Basis::Nothing));
    let mut agent = both.agent.clone();
    agent.handle_message(&failed(0, 30).into()).unwrap();
    assert!(agent.clone().handle_message(&chunk(0, 0, 31).into()).is_err());
    agent.handle_message(&chunk(0, 10, 20).into()).unwrap();
    assert!(agent.is_open(WantId(0)));
    agent.handle_message(&chunk(0, 0, 10).into()).unwrap();
    assert!(!agent.is_open(WantId(0)));
    both.sender(chunk(1, 0, 10));
    let message = both.sender.file_failed(WantId(1), denied()).unwrap();
    assert_eq!(message.sent_bytes, 10);
    both.refuses(Role::Sender, failed(1, 101), "more content");
    assert!(both.sender.clone().handle_send(&failed(1, 11).into()).is_err());
    both.sender(message);
}

#[test]
fn the_sender_keeps_its_own_content_in_order() {
    let mut sender = Both::copying().agent(want(0, 0, Basis::Nothing)).sender.clone();
    assert!(sender.clone().handle_send(&chunk(0, 1, 10).into()).is_err());
    sender.handle_send(&chunk(0, 0, 10).into()).unwrap();
    assert!(sender.handle_send(&end(0, 100).into()).is_err());
}

#[test]
fn chunks_of_a_known_file_are_listed_answered_and_sent() {
    let (sender, agent) = (Role::Sender, Role::Agent);
    let mut both = Both::copying();
    both.agent(want(0, 0, Basis::Bytes))
        .refuses(agent, lack(0, &[], 0), "no list waits")
        .sender(list(0, 0, &[30, 20], false))
        .refuses(sender, list(0, 49, &[1], false), "do not ascend")
        .refuses(sender, list(0, 50, &[51], true), "beyond the file's end")
        .refuses(
            sender,
            ChunkList { average_bytes: 32, ..list(0, 50, &[1], false) },
            "another average",
        )
        .refuses(sender, chunk(0, 0, 30), "more content")
        .sender(list(0, 60, &[40], true))
        .refuses(sender, list(0, 100, &[], true), "last list came before")
        .refuses(agent, lack(0, &[], 3), "covers one list")
        .refuses(agent, lack(0, &[(1, 2)], 2), "outside the list")
        .agent(lack(0, &[(1, 1)], 2))
        .refuses(agent, lack(0, &[(1, 1)], 3), "outside the list")
        .refuses(sender, end(0, 100), "not over")
        .refuses(sender, failed(0, 0), "not answered")
        .agent(lack(0, &[], 3))
        .refuses(agent, lack(0, &[], 3), "no list waits")
        .sender(hole(0, 50, 10))
        .refuses(sender, hole(0, 0, 1), "more content")
        .sender(chunk(0, 30, 20))
        .refuses(sender, chunk(0, 30, 20), "more content")
        .sender(end(0, 100));
    assert!(!both.agent.is_open(WantId(0)));
}

#[test]
fn a_file_without_data_has_no_list() {
    let mut both = Both::copying();
    both.agent(want(0, 0, Basis::Bytes))
        .sender(hole(0, 0, 100))
        .sender(end(0, 100))
        .agent(want(1, 1, Basis::Bytes))
        .sender(list(1, 0, &[50], false))
        .agent(lack(1, &[], 1))
        .sender(hole(1, 50, 50))
        .refuses(Role::Sender, end(1, 100), "not over");
    assert!(!both.agent.is_open(WantId(0)));
    // The end may overtake the holes.
    let mut agent = Both::copying().agent(want(0, 0, Basis::Bytes)).agent.clone();
    agent.handle_message(&end(0, 100).into()).unwrap();
    assert!(agent.is_open(WantId(0)));
    agent.handle_message(&hole(0, 0, 100).into()).unwrap();
    assert!(!agent.is_open(WantId(0)));
}

#[test]
fn lists_run_ahead_of_their_answers_by_a_bounded_number_of_chunks() {
    let mut both = Both::running();
    let mut big = listing(0, "", &["a"]);
    big.entries[0].meta.size_bytes = 1 << 40;
    both.sender(big).agent(plan(0, &[0])).agent(want(0, 0, Basis::Bytes));
    let lengths = [1; BATCH_ITEMS_MAX];
    for n in 0..4 {
        both.sender(list(0, n * BATCH_ITEMS_MAX as u64, &lengths, false));
    }
    assert_eq!(both.sender.chunk_list_credit(), 0);
    both.refuses(Role::Sender, list(0, CHUNK_LIST_AHEAD_MAX as u64, &[1], false), "too far ahead")
        .agent(lack(0, &[], BATCH_ITEMS_MAX as u32))
        .sender(list(0, CHUNK_LIST_AHEAD_MAX as u64, &lengths, false));
}

#[test]
fn a_cancelled_wish_still_ends() {
    let mut both = Both::copying();
    both.agent(want(0, 0, Basis::Bytes))
        .sender(list(0, 0, &[100], true))
        .agent(Cancel { want: WantId(0) })
        .refuses(Role::Agent, Cancel { want: WantId(0) }, "cancelled before")
        .refuses(Role::Agent, Cancel { want: WantId(1) }, "never made");
    assert!(both.sender.is_cancelled(WantId(0)) && both.agent.is_cancelled(WantId(0)));
    assert!(!both.sender.may_end(WantId(0)));
    both.agent(lack(0, &[], 1));
    assert!(both.sender.may_end(WantId(0)));
    both.sender(failed(0, 0));
    // A cancel that crosses the end on the way is late, one after the end was seen is wrong.
    both.sender.handle_message(&Cancel { want: WantId(0) }.into()).unwrap();
    assert!(both.agent.handle_send(&Cancel { want: WantId(0) }.into()).is_err());
}

#[test]
fn a_job_is_done_when_all_is_settled_and_no_wish_is_open() {
    let agent = Role::Agent;
    let mut both = Both::copying();
    both.sender(ScanEnd { directories: 1 })
        .refuses(agent, done(0), "not settled")
        .agent(want(0, 0, Basis::Nothing))
        .agent(outcomes(&[(0, 0), (0, 1), (0, 2), (0, 3), (0, 4)], 1))
        .refuses(agent, done(0), "wishes are open")
        .sender(failed(0, 0))
        .refuses(agent, done(1), "last directory is 0")
        .refuses(agent, done(u64::MAX), "last directory is 0")
        .refuses(Role::Sender, Goodbye { complete: true }, "only then")
        .agent(done(0))
        .refuses(Role::Sender, Goodbye { complete: false }, "only then")
        .sender(Goodbye { complete: true });
}

#[test]
fn a_pong_answers_a_ping() {
    let pong = |number| Message::Pong(Ping { number });
    let ping = |number| Message::Ping(Ping { number });
    let mut both = Both::running();
    both.refuses(Role::Sender, pong(1), "not asked")
        .agent(ping(1))
        .agent(ping(2))
        .refuses(Role::Agent, pong(1), "not asked")
        .refuses(Role::Sender, pong(2), "not asked")
        .sender(pong(1))
        .sender(pong(2));
    for number in 0..PINGS_MAX as u64 {
        both.sender(ping(number));
    }
    both.refuses(Role::Sender, ping(9), "wait for their answer");
}

#[test]
fn after_an_early_end_late_messages_mean_nothing_and_new_ones_are_refused() {
    let mut both = Both::copying();
    let refused = Message::from(Refused { code: RefusalCode::Stopping, reason: String::new() });
    let late = Message::from(listing(1, "x", &[]));
    both.agent(refused.clone());
    assert_eq!(both.agent.handle_message(&late), Ok(()));
    assert_eq!(both.agent.handle_message(&Message::Ping(Ping { number: 1 })), Ok(()));
    assert!(both.agent.handle_send(&settled(0).into()).is_err());
    assert_eq!(both.sender.handle_message(&settled(0).into()), Ok(()));
    assert!(both.sender.handle_message(&refused).is_err());
    assert!(both.sender.handle_send(&late).is_err());
}

#[test]
fn the_largest_file_overflows_nothing() {
    let mut both = Both::running();
    let mut large = listing(0, "", &["a"]);
    large.entries[0].meta.size_bytes = FILE_BYTES_MAX;
    both.sender(large).agent(want(0, 0, Basis::Bytes)).sender(hole(0, 0, FILE_BYTES_MAX));
    both.refuses(Role::Sender, hole(0, 0, FILE_BYTES_MAX), "more content")
        .refuses(Role::Sender, hole(0, u64::MAX, 1), "beyond the file's end")
        .refuses(Role::Sender, list(0, u64::MAX, &[1], true), "beyond the file's end")
        .sender(list(0, FILE_BYTES_MAX, &[], true))
        .agent(lack(0, &[], 0))
        .sender(end(0, FILE_BYTES_MAX));
}

proptest! {
    #[test]
    fn any_message_in_any_phase_is_taken_or_refused(
        phase in 0..PHASES.len(),
        messages in proptest::collection::vec(samples::any_message(), 1..8),
    ) {
        let Both { mut sender, mut agent } = Both::until(PHASES[phase]);
        for message in messages {
            // Each side's own and its peer's; neither panics.
            let _ = (sender.clone().handle_send(&message), agent.clone().handle_send(&message));
            let _ = (sender.handle_message(&message), agent.handle_message(&message));
        }
    }
}
