//! Invitations through their lives, by both clocks.

use std::{fs, os::unix::fs::PermissionsExt, thread};

use ring::rand::SystemRandom;

use super::{list::REMEMBERED, *};
use crate::{fingerprint::Fingerprint, name::PeerName, pairing::exchange::join_request};

const MINUTE: Duration = Duration::from_secs(60);

struct Agent {
    _temp: tempfile::TempDir,
    dir: StateDir,
    invitations: Invitations,
    start: Now,
}

impl Agent {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::open_or_create(temp.path().join("state")).unwrap();
        // Half a second: the files keep whole ones.
        let wall = SystemTime::UNIX_EPOCH + Duration::from_millis(1_900_000_000_500);
        let start = Now { wall, monotonic: Instant::now() };
        Self { _temp: temp, invitations: Invitations::new(&dir), dir, start }
    }

    /// Both clocks, `after` the start.
    fn at(&self, after: Duration) -> Now {
        Now { wall: self.start.wall + after, monotonic: self.start.monotonic + after }
    }

    fn invite(&self, now: Now) -> Secret {
        let (permits, shares) = (Permits::DEFAULT, Shares::All);
        let random = SystemRandom::new();
        self.invitations.create(now, TTL_DEFAULT, permits, shares, &random).unwrap().0
    }

    fn redeem(&self, now: Now, secret: &Secret) -> Result<Invitation, Refusal> {
        redeem(&self.invitations, now, secret, "sender")
    }

    /// The agent, started again: what was in memory only is gone.
    fn restart(&mut self) {
        self.invitations = Invitations::new(&self.dir);
    }
}

fn redeem(
    invitations: &Invitations,
    now: Now,
    secret: &Secret,
    sender: &str,
) -> Result<Invitation, Refusal> {
    let channel = Channel {
        exporter: [1; 32],
        sender: Fingerprint::of_spki(sender.as_bytes()),
        agent: Fingerprint::of_spki(b"agent"),
    };
    let request = join_request(secret, &channel, &PeerName::resembling(sender));
    let request = JoinRequest::decode(&request).unwrap();
    invitations.redeem(now, &request, &channel).map_err(|error| match error {
        RedeemError::Refused(refusal) => refusal,
        RedeemError::Store(error) => panic!("{error}"),
    })
}

fn wrong_secret() -> Secret {
    Secret::generate(&SystemRandom::new()).unwrap()
}

#[test]
fn an_invitation_works_once() {
    let mut agent = Agent::new();
    let secret = agent.invite(agent.start);
    assert!(agent.invitations.any_open(agent.start).unwrap());
    let redeemed = agent.redeem(agent.start, &secret).unwrap();
    assert_eq!(redeemed.permits, Permits::DEFAULT);
    assert_eq!(redeemed.used_by, Some(Fingerprint::of_spki(b"sender")));
    assert!(!agent.invitations.any_open(agent.start).unwrap());
    assert_eq!(agent.redeem(agent.start, &secret), Err(Refusal::Used));
    agent.restart();
    assert_eq!(agent.redeem(agent.start, &secret), Err(Refusal::Used));
}

#[test]
fn of_several_open_invitations_the_right_one_is_redeemed() {
    let agent = Agent::new();
    let secrets = [(); 3].map(|()| agent.invite(agent.start));
    agent.redeem(agent.start, &secrets[1]).unwrap();
    agent.redeem(agent.start, &secrets[2]).unwrap();
    assert!(agent.invitations.any_open(agent.start).unwrap());
    agent.redeem(agent.start, &secrets[0]).unwrap();
    assert!(!agent.invitations.any_open(agent.start).unwrap());
}

#[test]
fn of_those_who_redeem_at_once_exactly_one_wins() {
    let agent = Agent::new();
    let secret = agent.invite(agent.start);
    let outcomes = thread::scope(|scope| {
        let try_it = |sender: String| {
            // Its own handles, as another process would have.
            redeem(&Invitations::new(&agent.dir), agent.start, &secret, &sender).map(drop)
        };
        let threads = (0..8).map(|number| scope.spawn(move || try_it(number.to_string())));
        let threads = threads.collect::<Vec<_>>();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(Refusal::Used)).count(), 7);
}

#[test]
fn a_redemption_that_cannot_be_written_does_not_count() {
    let agent = Agent::new();
    let secret = agent.invite(agent.start);
    let in_the_way = agent.dir.path().join("invitations.toml.new");
    fs::create_dir(&in_the_way).unwrap();
    let channel = Channel {
        exporter: [1; 32],
        sender: Fingerprint::of_spki(b"sender"),
        agent: Fingerprint::of_spki(b"agent"),
    };
    let request = join_request(&secret, &channel, &PeerName::resembling("sender"));
    let request = JoinRequest::decode(&request).unwrap();
    let outcome = agent.invitations.redeem(agent.start, &request, &channel);
    assert!(matches!(outcome, Err(RedeemError::Store(_))));
    fs::remove_dir(&in_the_way).unwrap();
    agent.redeem(agent.start, &secret).unwrap();
}

#[test]
fn an_invitation_expires() {
    let agent = Agent::new();
    let secret = agent.invite(agent.start);
    assert!(agent.invitations.any_open(agent.at(14 * MINUTE)).unwrap());
    assert!(!agent.invitations.any_open(agent.at(15 * MINUTE)).unwrap());
    assert_eq!(agent.redeem(agent.at(15 * MINUTE), &secret), Err(Refusal::Expired));
}

#[test]
fn setting_the_clock_back_does_not_extend_an_invitation() {
    let agent = Agent::new();
    let secret = agent.invite(agent.start);
    let set_back = Now { wall: agent.start.wall, ..agent.at(15 * MINUTE) };
    assert!(!agent.invitations.any_open(set_back).unwrap());
    assert_eq!(agent.redeem(set_back, &secret), Err(Refusal::Expired));
}

#[test]
fn what_has_expired_stays_so_after_a_restart_with_the_clock_set_back() {
    let mut agent = Agent::new();
    let secret = agent.invite(agent.start);
    agent.invitations.prune(agent.at(15 * MINUTE)).unwrap();
    agent.restart();
    assert_eq!(agent.redeem(agent.at(MINUTE), &secret), Err(Refusal::Expired));
}

#[test]
fn before_it_was_made_an_invitation_does_not_work() {
    let mut agent = Agent::new();
    let secret = agent.invite(agent.start);
    agent.restart();
    let early = Now { wall: agent.start.wall - MINUTE, ..agent.start };
    assert!(!agent.invitations.any_open(early).unwrap());
    assert_eq!(agent.redeem(early, &secret), Err(Refusal::Expired));
    // A clock that was wrong for a moment does no lasting harm.
    agent.redeem(agent.start, &secret).unwrap();
}

#[test]
fn five_wrong_tries_void_every_open_invitation() {
    let mut agent = Agent::new();
    let secrets = [(); 2].map(|()| agent.invite(agent.start));
    for _ in 0..WRONG_TRIES_MAX - 1 {
        assert_eq!(agent.redeem(agent.start, &wrong_secret()), Err(Refusal::NotInvited));
        agent.restart();
    }
    agent.redeem(agent.start, &secrets[0]).unwrap();
    assert_eq!(agent.redeem(agent.start, &wrong_secret()), Err(Refusal::NotInvited));
    assert!(!agent.invitations.any_open(agent.start).unwrap());
    assert_eq!(agent.redeem(agent.start, &secrets[1]), Err(Refusal::Burnt));
    // The next invitation starts from zero.
    let next = agent.invite(agent.start);
    agent.redeem(agent.start, &next).unwrap();
}

#[test]
fn guessing_with_nothing_open_writes_nothing() {
    let agent = Agent::new();
    assert_eq!(agent.redeem(agent.start, &wrong_secret()), Err(Refusal::NotInvited));
    assert!(!agent.dir.path().join("invitations.toml").exists());
}

#[test]
fn an_invitation_is_remembered_for_a_day_and_then_forgotten() {
    let agent = Agent::new();
    let secret = agent.invite(agent.start);
    agent.redeem(agent.start, &secret).unwrap();
    agent.invitations.prune(agent.at(REMEMBERED)).unwrap();
    assert_eq!(agent.invitations.list(agent.start).unwrap().len(), 1);
    agent.invitations.prune(agent.at(REMEMBERED + TTL_DEFAULT)).unwrap();
    assert_eq!(agent.invitations.list(agent.start).unwrap(), []);
    assert_eq!(agent.redeem(agent.start, &secret), Err(Refusal::NotInvited));
}

#[test]
fn the_time_to_live_is_bounded() {
    let agent = Agent::new();
    let create = |ttl| {
        let random = SystemRandom::new();
        let all = Shares::All;
        agent.invitations.create(agent.start, ttl, Permits::NONE, all, &random).map(drop)
    };
    for ttl in [Duration::ZERO, TTL_MAX + Duration::from_secs(1), Duration::MAX] {
        assert!(matches!(create(ttl), Err(InviteError::BadTtl { .. })));
    }
    create(TTL_MAX).unwrap();
}

#[test]
fn the_number_of_invitations_is_bounded() {
    let agent = Agent::new();
    let secret = agent.invite(agent.start);
    agent.redeem(agent.start, &secret).unwrap();
    let template = agent.invitations.list(agent.start).unwrap().remove(0);
    let full = agent.invitations.change(agent.start, |list| {
        list.invitations.resize(INVITATIONS_MAX, template.clone());
        list.add(Invitation { state: InvitationState::Open, ..template.clone() })?;
        assert_eq!(list.invitations.len(), 1, "what is used makes room");
        let open = Invitation { state: InvitationState::Open, ..template.clone() };
        list.invitations.resize(INVITATIONS_MAX, open.clone());
        list.add(open)
    });
    assert!(matches!(full, Err(InviteError::Full)));
}

#[test]
fn the_file_is_secret_and_does_not_hold_the_secret() {
    let agent = Agent::new();
    let secret = agent.invite(agent.start);
    let path = agent.dir.path().join("invitations.toml");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let hex = secret.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert!(!fs::read_to_string(&path).unwrap().contains(&hex));
    let invitation = agent.invitations.list(agent.start).unwrap().remove(0);
    assert!(format!("{invitation:?}").contains("verifier: Verifier(..)"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(agent.invitations.any_open(agent.start).is_err());
}

#[test]
fn a_file_that_was_tampered_with_lets_nobody_in_and_stays_as_it_is() {
    let agent = Agent::new();
    let secret = agent.invite(agent.start);
    let path = agent.dir.path().join("invitations.toml");
    let good = fs::read_to_string(&path).unwrap();
    let line = good.lines().find(|line| line.starts_with("verifier")).unwrap();
    for bad in [
        good.replace(line, "verifier = \"abcd\""),
        good.replace("state = \"open\"", "state = \"wide-open\""),
        good.replace("wrong-tries = 0", "wrong-tries = -1"),
        good.replace("2030", "2031").replacen("2031", "2032", 1),
        good[..good.len() / 2].to_owned(),
    ] {
        fs::write(&path, &bad).unwrap();
        let error = agent.invitations.any_open(agent.start).unwrap_err().to_string();
        assert!(!error.contains("abcd"), "{error}");
        let random = SystemRandom::new();
        let (none, all) = (Permits::NONE, Shares::All);
        assert!(agent.invitations.create(agent.start, MINUTE, none, all, &random).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), bad);
    }
    fs::write(&path, &good).unwrap();
    agent.redeem(agent.start, &secret).unwrap();
}
