//! Messages that are well formed and out of place.

use super::*;

#[test]
fn a_job_before_the_hello_is_refused() {
    check(PROTOCOL, "", async |hostile| hostile.say(open(policy())).await);
}

#[test]
fn an_unknown_version_is_refused() {
    check(CloseCode::Refused(RefusalCode::Version), "", async |hostile| {
        let hello = Hello { version_min: 900, version_max: 999, ..version::hello("hostile") };
        hostile.say(hello).await;
    });
}

#[test]
fn a_second_job_on_one_connection_is_refused() {
    check(PROTOCOL, "", async |hostile| {
        hostile.open(policy()).await;
        hostile.say(open(policy())).await;
    });
}

#[test]
fn the_other_sides_words_are_refused() {
    check(PROTOCOL, "", async |hostile| {
        hostile.open(policy()).await;
        let done = JobDone {
            deleted: 0,
            trashed: 0,
            protected_dirs: 0,
            guard: None,
            plan: None,
            directories: DirId(0),
        };
        hostile.say_on(Lane::Listing, done).await;
    });
}

#[test]
fn a_message_on_the_wrong_lane_is_refused() {
    check(PROTOCOL, "", async |hostile| {
        hostile.open(policy()).await;
        hostile.say_on(Lane::Control, listing(0, "", vec![])).await;
    });
    check(PROTOCOL, "", async |hostile| {
        hostile.open(policy()).await;
        hostile.say_on(Lane::Content, Message::Ping(Ping { number: 1 })).await;
    });
}

#[test]
fn a_scan_that_ends_early_or_twice_is_refused() {
    check(PROTOCOL, "", async |hostile| {
        hostile.open(policy()).await;
        hostile.say(ScanEnd { directories: 0 }).await;
    });
    check(PROTOCOL, "", async |hostile| {
        hostile.open(policy()).await;
        hostile.say(listing(0, "", vec![])).await;
        hostile.say(ScanEnd { directories: 2 }).await;
    });
    check(PROTOCOL, "", async |hostile| {
        hostile.open(policy()).await;
        hostile.say(listing(0, "", vec![file("wanted", 5)])).await;
        hostile.say(ScanEnd { directories: 1 }).await;
        hostile.say(ScanEnd { directories: 1 }).await;
    });
}

#[test]
fn a_goodbye_that_claims_too_much_is_refused() {
    check(PROTOCOL, "", async |hostile| {
        hostile.open(policy()).await;
        hostile.say(Goodbye { complete: true }).await;
    });
}

#[test]
fn a_directory_that_its_parent_does_not_name_is_refused() {
    // The first is not there at all, the second is at the destination, the others are named as what cannot be entered.
    for (named, listed) in [
        (vec![directory("a")], "b"),
        (vec![directory("a")], "deep"),
        (vec![file("f", 5)], "f"),
        (vec![link("l", "/tmp")], "l"),
        (vec![Entry { skip: Some(quicopy_protocol::meta::Skip::Named), ..directory("x") }], "x"),
    ] {
        check(PROTOCOL, "", async |hostile| {
            hostile.open(policy()).await;
            hostile.say(listing(0, "", named)).await;
            hostile.say(listing(1, listed, vec![directory("below")])).await;
        });
    }
}

#[test]
fn directories_out_of_order_are_refused() {
    check(PROTOCOL, "", async |hostile| {
        hostile.open(policy()).await;
        hostile.say(listing(0, "a", vec![])).await;
    });
    check(PROTOCOL, "", async |hostile| {
        hostile.open(policy()).await;
        hostile.say(listing(1, "", vec![])).await;
    });
    check(PROTOCOL, "b/ 0755", async |hostile| {
        hostile.open(policy()).await;
        hostile.say(listing(0, "", vec![directory("a"), directory("b")])).await;
        hostile.say(listing(1, "b", vec![])).await;
        // What was in order before it is made, and locks nobody out.
        hostile.planned(2).await;
        hostile.say(listing(2, "a", vec![])).await;
    });
}

#[test]
fn a_sender_that_opens_a_job_and_falls_silent_loses_its_place() {
    let site = Site::new();
    let silent = site.runtime.block_on(async {
        let silent = Hostile::new(site.connect().await).await;
        silent.open(policy()).await;
        silent
    });
    // Its connection lives on, and answers whatever QUIC asks.
    site.sites.run("/E /R:5 /W:1").exits(&[3]);
    let ended = site.runtime.block_on(async { timeout(CALL, silent.end()).await });
    let ended = ended.expect("the agent ends it in time");
    site.check(ended, CloseCode::Refused(RefusalCode::Busy), "honest, d/e 3M");
}
