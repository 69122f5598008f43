//! Which message belongs to which phase, from the hellos to the end.

use proptest::prelude::*;

use super::*;
use crate::codec::samples;

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
