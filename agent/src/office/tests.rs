use quicopy_certs::pairing::invite::Now;
use quicopy_certs::pairing::token::Token;
use quicopy_certs::{Permits, Shares};

use super::invite::address_hints;
use super::*;
use crate::{share, state};

/// An office with one share, `data`, in a folder that goes away with the first of the three.
pub(crate) fn office() -> (tempfile::TempDir, StateDir, Office) {
    let (temp, dir) = state::tests::folder();
    let path = temp.path().join("data");
    std::fs::create_dir(&path).unwrap();
    let shares = vec![share::tests::plain("data", &path)];
    let office = Office::open(&dir, shares, "127.0.0.1:47470".parse().unwrap()).unwrap();
    (temp, dir, office)
}

fn invite(shares: &[&str], ttl_seconds: u64) -> Request {
    let shares = shares.iter().map(|name| name.parse().unwrap()).collect();
    Request::Invite { shares, permits: Permits::DEFAULT, ttl_seconds }
}

fn check_failed(office: &Office, request: Request, says: &str) {
    match office.carry_out(request) {
        Reply::Failed { reason } => assert!(reason.contains(says), "{reason}"),
        reply => panic!("{reply:?}"),
    }
}

#[test]
fn an_invitation_names_the_agent_and_is_kept_without_its_secret() {
    let (_temp, dir, office) = office();
    let Reply::Invited(invited) = office.carry_out(invite(&["DATA"], 60)) else { panic!() };
    let token: Token = invited.token.parse().unwrap();
    assert_eq!(token.agent(), office.identity.fingerprint());
    assert_eq!(token.addresses(), ["127.0.0.1:47470"]);
    let open = office.invitations.list(Now::read()).unwrap();
    assert_eq!(open[0].shares, Shares::only(["data"]).unwrap());
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(&invited.token));
    }
    assert!(!format!("{invited:?}").contains(&invited.token));
}

#[test]
fn what_cannot_be_done_is_answered_with_what_can() {
    let (_temp, _dir, office) = office();
    check_failed(&office, invite(&["www"], 60), "there are: data");
    check_failed(&office, invite(&[], 0), "1 second to 7 days");
    check_failed(&office, Request::Revoke { peer: "web".into() }, "no known peer");
    let permit = Request::Permit { peer: "web".into(), permits: Permits::DEFAULT };
    check_failed(&office, permit, "no known peer");
    check_failed(&office, Request::Adopt { share: "www".parse().unwrap() }, "there are: data");
}

#[test]
fn a_share_goes_offline_without_its_id_and_online_again_when_adopted() {
    let (_temp, _dir, office) = office();
    let share = office.share("data").unwrap();
    office.online(share).unwrap();
    std::fs::remove_file(share.path.join(".quicopy/id")).unwrap();
    assert!(matches!(office.online(share), Err(ShareOffline::Missing { .. })));
    let reply = office.carry_out(Request::Adopt { share: share.name.clone() });
    let found = "its id was missing, and it has a new one now".into();
    assert_eq!(reply, Reply::Adopted { found });
    office.online(share).unwrap();
}

#[test]
fn an_invitation_may_name_shares_that_the_agent_will_be_started_with() {
    let (_temp, dir) = state::tests::folder();
    let office = Office::open(&dir, vec![], "[::1]:1".parse().unwrap()).unwrap();
    assert!(matches!(office.carry_out(invite(&["later"], 60)), Reply::Invited(_)));
    let many = (0..100).map(|number| format!("{number:064}")).collect::<Vec<_>>();
    let many = many.iter().map(String::as_str).collect::<Vec<_>>();
    check_failed(&office, invite(&many, 60), "leave them away for all");
}

#[test]
fn a_share_whose_disk_failed_takes_no_job_until_it_is_adopted() {
    let (_temp, _dir, office) = office();
    let share = office.share("data").unwrap();
    office.online(share).unwrap().folder.mark_degraded();
    assert!(matches!(office.online(share), Err(ShareOffline::Degraded { .. })));
    office.carry_out(Request::Adopt { share: share.name.clone() });
    office.online(share).unwrap();
}

#[test]
fn a_folder_is_opened_once_and_anew_when_it_is_another() {
    let (_temp, _dir, office) = office();
    let share = office.share("data").unwrap();
    let (one, same) = (office.folder(share).unwrap(), office.folder(share).unwrap());
    assert!(Arc::ptr_eq(&one, &same));
    std::fs::rename(&share.path, share.path.with_extension("old")).unwrap();
    assert!(office.folder(share).is_err());
    std::fs::create_dir(&share.path).unwrap();
    assert!(!Arc::ptr_eq(&one, &office.folder(share).unwrap()));
}

#[test]
fn a_token_says_where_the_agent_is_as_far_as_it_knows() {
    assert_eq!(address_hints("192.0.2.7:1".parse().unwrap()), ["192.0.2.7:1"]);
    let any = address_hints("[::]:47470".parse().unwrap());
    assert!(any.iter().all(|hint| hint.ends_with(":47470") && !hint.contains("::")));
}
