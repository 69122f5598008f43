//! Wishes, and what answers them.

use super::*;

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
