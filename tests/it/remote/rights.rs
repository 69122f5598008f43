//! Who may do what, and how one comes to be trusted.

use std::time::{Duration, Instant};

use quicopy_tests::{
    connected::Connected,
    poll::wait_until,
    sites::{SHARE, Sender, destination},
    tree::Snapshot,
    world::World,
};

#[test]
fn a_mirror_without_the_permit_to_delete_is_refused_before_it_copies() {
    let (sites, _agent) = Connected::new("a", "x", "write");
    sites.run("/MIR").exits(&[16]).says("quicopy-agent peers permit");
    sites.world.share_now().must_equal(&Snapshot::described("x"), "the share");
    sites.run("/MIR /L").exits(&[3]);
    sites.run("/E").exits(&[3]);
    sites.world.share_now().must_equal(&Snapshot::described("a, x"), "the share");
}

#[test]
fn a_permit_that_is_given_later_holds_at_once() {
    let (sites, _agent) = Connected::new("a", "x", "write");
    sites.run("/MIR").exits(&[16]);
    let peer = fingerprint(&sites.sender);
    sites.site.run(&["peers", "permit", &peer, "write,delete"]).exits(&[0]);
    sites.run("/MIR").exits(&[3]);
    sites.site.run(&["peers", "permit", &peer, "none"]).exits(&[0]);
    sites.run("/E").exits(&[16]);
}

#[test]
fn a_revoked_sender_is_a_stranger() {
    let (sites, _agent) = Connected::new("a", "", "write");
    sites.run("/E").exits(&[1]);
    sites.site.run(&["peers"]).exits(&[0]);
    sites.site.run(&["peers", "revoke", &fingerprint(&sites.sender)]).exits(&[0]);
    sites.run("/E /IS").exits(&[16]);
}

#[test]
fn a_revoked_sender_is_told_so_while_somebody_else_is_invited() {
    let (sites, _agent) = Connected::new("a", "", "write");
    sites.site.run(&["peers", "revoke", &fingerprint(&sites.sender)]).exits(&[0]);
    // From now on TLS lets strangers in.
    sites.site.run(&["invite", "--share", "data"]).exits(&[0]);
    for _ in 0..4 {
        let refused = sites.run("/E /R:1 /W:0");
        refused.exits(&[16]).says("the agent does not know this sender");
        assert!(!refused.to_string().contains("Retrying"), "{refused}");
    }
}

#[test]
fn what_does_not_exist_and_what_is_not_allowed_sound_alike() {
    let (sites, _agent) = Connected::new("a", "", "write");
    for share in
        ["nothing", "..", "data/..", "data/../../home-b", "data/.quicopy", "data/.quicopy/partial"]
    {
        let destination = format!("quicopy://{}/{share}", sites.reach());
        sites.sender.run(&sites.world.arguments(&destination, "/E")).exits(&[16]);
    }
    sites.world.share_now().must_equal(&Snapshot::default(), "the share");
}

#[test]
fn an_invitation_works_once() {
    let (sites, _agent) = Connected::new("a", "", "write");
    let second = Sender::new(sites.world.folder().join("other-home"));
    let reach = sites.reach().to_string();
    let refused = second.run(&["pair", &reach, &sites.token]);
    assert_ne!(refused.status.code(), Some(0), "{refused}");
    refused.hides(&sites.token);
    second.run(&sites.world.arguments(&destination(sites.reach()), "/E")).exits(&[16]);
}

#[test]
fn an_invitation_expires() {
    let world = World::new("a", "");
    let (sender, site) = (world.sender(), world.agent_site());
    let _agent = site.start();
    let invited = Instant::now();
    let invitation = site.run(&["invite", "--share", SHARE, "--ttl", "1s"]);
    let token = invitation.exits(&[0]).last_line();
    let over = Duration::from_millis(1100);
    wait_until(2 * over, "the invitation is over", || invited.elapsed() > over);
    let refused = sender.run(&["pair", &site.address().to_string(), token]);
    assert_ne!(refused.status.code(), Some(0), "{refused}");
    refused.hides(token);
}

#[test]
fn a_broken_token_is_refused_without_being_repeated() {
    let world = World::new("a", "");
    let (sender, site) = (world.sender(), world.agent_site());
    let _agent = site.start();
    let reach = site.address().to_string();
    let token = site.run(&["invite", "--share", SHARE]).exits(&[0]).last_line().to_owned();
    let middle = token.len() / 2;
    let replacement = if token.as_bytes()[middle] == b'a' { "b" } else { "a" };
    let mut broken = token.clone();
    broken.replace_range(middle..=middle, replacement);
    for wrong in ["", "x", broken.as_str(), &token[..middle]] {
        let refused = sender.run(&["pair", &reach, wrong]);
        assert_ne!(refused.status.code(), Some(0), "{refused}");
        assert!(!refused.stderr.contains(&broken[..middle]), "{refused}");
    }
}

#[test]
fn an_invitation_gives_no_right_to_delete_unless_told_to() {
    let world = World::new("a", "x");
    let (sender, site) = (world.sender(), world.agent_site());
    let _agent = site.start();
    let token = site.run(&["invite", "--share", SHARE]).exits(&[0]).last_line().to_owned();
    sender.run(&["pair", &site.address().to_string(), &token]).exits(&[0]);
    sender.run(&world.arguments(&destination(site.address()), "/MIR")).exits(&[16]);
    sender.run(&world.arguments(&destination(site.address()), "/E")).exits(&[3]);
}

#[test]
fn an_agent_with_another_key_gets_nothing() {
    let (sites, agent) = Connected::new("a", "", "write");
    sites.run("/E").exits(&[1]);
    agent.kill();
    let impostor = sites.site.impostor(sites.world.folder().join("home-c"));
    let _agent = impostor.start();
    sites.run("/E /IS").exits(&[16]);
}

#[test]
fn a_forgotten_agent_must_be_paired_again() {
    let (sites, _agent) = Connected::new("a", "", "write");
    sites.sender.run(&["agents", "forget", "site-b"]).exits(&[0]);
    sites.run("/E").exits(&[16]).says("quicopy pair");
}

#[test]
fn keys_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let (sites, _agent) = Connected::new("a", "", "write");
    sites.run("/E").exits(&[1]);
    for home in [sites.sender.home(), sites.site.home()] {
        for (path, entry) in Snapshot::of(home).entries {
            let mode = entry.mode.unwrap_or(0);
            assert_eq!(mode & 0o022, 0, "{}: {mode:o}", path.display());
            let bytes = std::fs::read(home.join(&path)).unwrap_or_default();
            let is_key = String::from_utf8_lossy(&bytes).contains("PRIVATE KEY");
            assert!(!is_key || mode & 0o077 == 0, "{}: {mode:o}", path.display());
        }
        let own = std::fs::read_dir(home).expect("it was made");
        for folder in own.map(|found| found.expect("it can be listed")) {
            let mode = folder.metadata().expect("it was just listed").permissions().mode();
            assert_eq!(mode & 0o077, 0, "{:?}: {mode:o}", folder.path());
        }
    }
}

/// What the agent knows the sender by.
fn fingerprint(sender: &Sender) -> String {
    sender.run(&["identity"]).exits(&[0]).last_line().trim().to_owned()
}
