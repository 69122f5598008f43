//! Listings: directories in order, in parts, no further ahead than the window.

use super::*;

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
