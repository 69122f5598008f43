//! Jobs for what the sender may not touch.

use super::*;

#[test]
fn the_agents_own_names_are_refused() {
    for name in [".quicopy", ".QuiCopy", ".~quicopy-1-1.part"] {
        check(PROTOCOL, "", async |hostile| {
            hostile.open(policy()).await;
            hostile.say(listing(0, "", vec![directory(name)])).await;
            hostile.say(listing(1, name, vec![directory("below")])).await;
        });
    }
}

#[test]
fn a_job_into_the_agents_own_folder_is_refused() {
    for path in [".quicopy", ".quicopy/partial", ".QUICOPY"] {
        check(CloseCode::Refused(RefusalCode::NotPermitted), "", async |hostile| {
            hostile.say(hello()).await;
            let path = RelPath::parse(path.as_bytes()).expect("a path");
            hostile.say(OpenJob { path, ..open(policy()) }).await;
        });
    }
}

#[test]
fn a_share_that_it_may_not_use_is_refused() {
    for share in ["other", "..", "/"] {
        check(CloseCode::Refused(RefusalCode::NotPermitted), "", async |hostile| {
            hostile.say(hello()).await;
            hostile.say(OpenJob { share: share.to_owned(), ..open(policy()) }).await;
        });
    }
}

#[test]
fn a_job_that_would_delete_without_the_permit_is_refused() {
    check(CloseCode::Refused(RefusalCode::DeleteNotPermitted), "", async |hostile| {
        hostile.say(hello()).await;
        hostile.say(open(JobPolicy { purge: true, force: true, ..policy() })).await;
        hostile.say(listing(0, "", vec![])).await;
        hostile.say(ScanEnd { directories: 1 }).await;
    });
}

#[test]
fn owners_without_the_permit_are_refused() {
    check(CloseCode::Refused(RefusalCode::NotPermitted), "", async |hostile| {
        let copy = CopyFlags { owner: true, ..CopyFlags::DAT };
        hostile.say(hello()).await;
        hostile.say(open(JobPolicy { copy, ..policy() })).await;
    });
}

#[test]
fn a_link_that_points_outside_is_not_made() {
    let links = LinkPolicy { recreate: true, ..LinkPolicy::default() };
    let selection = Selection { links, ..policy().selection };
    for target in ["/etc/passwd", "../beside.txt", "deep/../../beside.txt"] {
        // The job itself is in order, and ends so.
        check(CloseCode::Finished, "", async |hostile| {
            hostile.open(JobPolicy { selection: selection.clone(), ..policy() }).await;
            hostile.say(listing(0, "", vec![link("out", target)])).await;
            hostile.say(ScanEnd { directories: 1 }).await;
            while let Ok(message) = hostile.link.verdict_rx.recv().await {
                if let Message::JobDone(_) = message {
                    break;
                }
            }
            hostile.say(Goodbye { complete: true }).await;
        });
    }
}
