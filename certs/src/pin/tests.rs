//! Peer files on a disk, changed by calls, editors and other processes.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    thread,
    time::{Duration, SystemTime},
};

use super::*;
use crate::{
    fingerprint::Fingerprint,
    permit::{Permit, Shares},
};

fn state() -> (tempfile::TempDir, StateDir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = StateDir::open_or_create(temp.path().join("state")).unwrap();
    (temp, dir)
}

fn moment() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000)
}

/// A sender with a key that only `key` has.
fn sender(name: &str, key: &str) -> KnownSender {
    KnownSender {
        name: name.parse().unwrap(),
        fingerprint: Fingerprint::of_spki(key.as_bytes()),
        permits: Permits::DEFAULT,
        shares: Shares::only(["www", "Scripts$"]).unwrap(),
        paired_at: moment(),
        not_after: None,
    }
}

fn agent(name: &str, key: &str) -> KnownAgent {
    KnownAgent {
        name: name.parse().unwrap(),
        fingerprint: Fingerprint::of_spki(key.as_bytes()),
        addresses: vec!["Agent.example:47470".into()],
        shares: Shares::All,
        permits: Permits::DEFAULT,
        paired_at: moment(),
    }
}

fn names(senders: &KnownSenders) -> Vec<String> {
    senders.list().unwrap().iter().map(|peer| peer.name.to_string()).collect()
}

#[test]
fn a_known_sender_is_found_by_key_and_by_name() {
    let (_temp, dir) = state();
    let senders = KnownSenders::new(&dir);
    senders.add(sender("web01", "one")).unwrap();
    senders.add(KnownSender { not_after: Some(moment()), ..sender("web02", "two") }).unwrap();
    // Another process sees the same.
    let list = KnownSenders::new(&dir).list().unwrap();
    let print = Fingerprint::of_spki(b"two");
    assert_eq!(list.find(&print).unwrap().not_after, Some(moment()));
    assert_eq!(list.find_named("WEB01"), Some(&sender("web01", "one")));
    assert_eq!(list.select(&print.to_string()), list.select("web02"));
    assert_eq!(list.find(&Fingerprint::of_spki(b"three")), None);
    assert_eq!(list.select("web03"), None);
}

#[test]
fn an_agent_is_found_by_the_address_it_was_paired_under() {
    let (_temp, dir) = state();
    let agents = KnownAgents::new(&dir);
    agents.add(agent("b", "one")).unwrap();
    let list = agents.list().unwrap();
    assert_eq!(list.find_address("agent.example:47470"), Some(&agent("b", "one")));
    assert_eq!(list.find_address("agent.example:1"), None);
}

#[test]
fn the_file_is_readable_private_and_says_what_it_is() {
    let (_temp, dir) = state();
    let senders = KnownSenders::new(&dir);
    senders.add(KnownSender { not_after: Some(moment()), ..sender("web01", "") }).unwrap();
    let path = dir.path().join("known-senders.toml");
    let text = fs::read_to_string(&path).unwrap();
    let entry = "\
version = 1

[[peer]]
name = \"web01\"
fingerprint = \"e3b0-c442-98fc-1c14-9afb-f4c8-996f-b924-27ae-41e4-649b-934c-a495-991b-7852-b855\"
permits = [\"write\"]
shares = [\"Scripts$\", \"www\"]
paired-at = \"2030-03-17T17:46:40Z\"
not-after = \"2030-03-17T17:46:40Z\"
";
    assert!(text.starts_with("# The senders that this agent trusts"), "{text}");
    assert!(text.ends_with(entry), "{text}");
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
fn the_same_key_replaces_its_entry_and_another_key_needs_to_be_told() {
    let (_temp, dir) = state();
    let agents = KnownAgents::new(&dir);
    agents.add(agent("b", "old")).unwrap();
    agents.add(agent("site-b", "old")).unwrap();
    let error = agents.add(agent("SITE-B", "new")).unwrap_err();
    let AddPeerError::NameTaken { pinned, presented, .. } = error else { panic!("{error}") };
    assert_eq!(pinned, Fingerprint::of_spki(b"old"));
    assert_eq!(presented, Fingerprint::of_spki(b"new"));
    agents.replace(agent("site-b", "new")).unwrap();
    let list = agents.list().unwrap();
    assert_eq!(list.iter().collect::<Vec<_>>(), [&agent("site-b", "new")]);
}

#[test]
fn a_second_sender_of_a_name_gets_a_number() {
    let (_temp, dir) = state();
    let senders = KnownSenders::new(&dir);
    for key in ["one", "two", "three", "two"] {
        senders.add_under_free_name(sender("web", key)).unwrap();
    }
    assert_eq!(names(&senders), ["web", "web-2", "web-3"]);
}

#[test]
fn a_revoked_sender_is_a_stranger() {
    let (_temp, dir) = state();
    let senders = KnownSenders::new(&dir);
    for key in ["one", "two", "three"] {
        senders.add(sender(key, key)).unwrap();
    }
    assert_eq!(senders.revoke("ONE").unwrap().name.as_str(), "one");
    senders.revoke(&Fingerprint::of_spki(b"two").to_string()).unwrap();
    assert!(matches!(senders.revoke("two"), Err(ChangePeerError::Unknown(_))));
    assert_eq!(names(&senders), ["three"]);
}

#[test]
fn permits_are_given_and_taken_by_name_or_key() {
    let (_temp, dir) = state();
    let senders = KnownSenders::new(&dir);
    senders.add(sender("web01", "one")).unwrap();
    let now = senders.permit("web01", "write,delete".parse().unwrap()).unwrap();
    assert!(now.permits.allows(Permit::Delete));
    let print = Fingerprint::of_spki(b"one").to_string();
    senders.permit(&print, Permits::NONE).unwrap();
    assert_eq!(senders.list().unwrap().find_named("web01").unwrap().permits, Permits::NONE);
    let unknown = senders.permit("web02", Permits::NONE);
    assert!(matches!(unknown, Err(ChangePeerError::Unknown(_))));
}

#[test]
fn an_entry_past_its_time_says_when_that_was() {
    let sender = KnownSender { not_after: Some(moment()), ..sender("web01", "one") };
    let before = moment() - Duration::from_secs(1);
    assert_eq!(sender.check_expiry(before), Ok(()));
    let error = sender.check_expiry(moment()).unwrap_err();
    assert_eq!(error.to_string(), "the trust in this sender expired on 2030-03-17");
}

#[test]
fn a_file_that_does_not_parse_is_an_error_and_never_overwritten() {
    let entry = |extra: &str| {
        format!(
            "[[peer]]\nname = \"a\"\nfingerprint = \"{}\"\npermits = [\"write\"]\n\
                 shares = \"all\"\npaired-at = \"2030-01-31T00:00:00Z\"\n{extra}",
            Fingerprint::of_spki(b"one"),
        )
    };
    let check = |text: &str, reason: &str| {
        let (_temp, dir) = state();
        let path = dir.path().join("known-senders.toml");
        dir.lock().unwrap().replace("known-senders.toml", text.as_bytes()).unwrap();
        let senders = KnownSenders::new(&dir);
        let error = senders.list().unwrap_err().to_string();
        assert!(error.contains(reason) && error.lines().count() == 1, "{error}");
        assert!(senders.add(sender("web01", "one")).is_err());
        assert!(senders.revoke("a").is_err());
        assert_eq!(fs::read_to_string(path).unwrap(), text);
    };
    check("", "version");
    check("version = 1\n[[peer", "line 2");
    check("version = 2\nwhatever = 1", "format 2, this program knows up to 1; update");
    check(&format!("version = 1\n{}", entry("permit = 1")), "unknown field");
    check(&format!("version = 1\n{}{}", entry(""), entry("")), "two peers are called a");
    check(&format!("version = 1\n{}", entry("not-after = \"soon\"")), "\"soon\" is not a time");
    let wrong = entry("").replace("\"write\"", "\"wirte\"");
    check(&format!("version = 1\n{wrong}"), "choose from write, delete");
    let wrong = entry("").replace("\"all\"", "\"al\"");
    check(&format!("version = 1\n{wrong}"), "shares are \"all\" or a list");
    let good = format!("version = 1\n{}", entry("")).into_bytes();
    let (_temp, dir) = state();
    dir.lock().unwrap().replace("known-senders.toml", &good).unwrap();
    assert_eq!(names(&KnownSenders::new(&dir)), ["a"]);
}

#[test]
fn a_file_that_others_can_write_is_refused() {
    let (_temp, dir) = state();
    let senders = KnownSenders::new(&dir);
    senders.add(sender("web01", "one")).unwrap();
    let path = dir.path().join("known-senders.toml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let error = senders.list().unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
}

#[test]
fn a_change_by_an_editor_counts_at_once() {
    let (_temp, dir) = state();
    let senders = KnownSenders::new(&dir);
    senders.add(sender("web01", "one")).unwrap();
    let path = dir.path().join("known-senders.toml");
    // Same length, and within the same tick of the file system's clock.
    let text = fs::read_to_string(&path).unwrap().replace("web01", "web02");
    fs::write(&path, text).unwrap();
    assert_eq!(names(&senders), ["web02"]);
    fs::remove_file(&path).unwrap();
    assert_eq!(names(&senders), [""; 0]);
}

#[test]
fn changes_made_at_once_are_all_kept() {
    let (_temp, dir) = state();
    thread::scope(|scope| {
        for worker in 0..4 {
            let dir = &dir;
            scope.spawn(move || {
                let senders = KnownSenders::new(dir);
                for number in 0..5 {
                    let name = format!("s{worker}-{number}");
                    senders.add(sender(&name, &name)).unwrap();
                }
            });
        }
    });
    assert_eq!(names(&KnownSenders::new(&dir)).len(), 20);
}
