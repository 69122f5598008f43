//! The agent over loopback: who is let in, who is not, and what ends a job.

#![allow(clippy::unwrap_used)]

use quicopy_certs::pairing::exchange::{Channel, EXPORTER_LABEL, JoinReply, Refusal, join_request};
use quicopy_certs::pairing::token::Token;
use quicopy_certs::tls::{Purpose, client_tls};
use quicopy_certs::{Identity, KnownSender, Shares};
use quicopy_protocol::link::{Capacities, LinkClosed, SenderLink};
use quicopy_protocol::message::{JobId, Message, OpenJob, Origin, Refused};
use quicopy_protocol::options::JobPolicy;
use quicopy_protocol::path::RelPath;
use quicopy_protocol::transport::pairing::PairingSender;
use quicopy_protocol::transport::{
    Compression, Connection, Dialer, export_keying_material, sender_link,
};
use quicopy_protocol::version;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

/// A running agent with the share `data`.
struct World {
    _temp: tempfile::TempDir,
    dir: StateDir,
    agent: Arc<Agent>,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), RunError>>,
}

impl World {
    async fn start() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let config = Config { listen, ..crate::command::tests::config(temp.path()) };
        let dir = StateDir::open_or_create(&config.state_folder).unwrap();
        let started = Running::start(&dir, config).await.unwrap();
        let (agent, address) = (Arc::clone(&started.agent), started.listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(started.until(async move {
            let _ = stopped.await;
        }));
        Self { _temp: temp, dir, agent, address, stop, running }
    }

    fn trust(&self, identity: &Identity, permits: &str) {
        let sender = KnownSender {
            name: "web".parse().unwrap(),
            fingerprint: identity.fingerprint(),
            permits: permits.parse().unwrap(),
            shares: Shares::All,
            paired_at: std::time::SystemTime::UNIX_EPOCH,
            not_after: None,
        };
        self.agent.office.senders.add(sender).unwrap();
    }

    fn invite(&self) -> Token {
        let permits = "write".parse().unwrap();
        let request = Request::Invite { shares: vec![], permits, ttl_seconds: 60 };
        match self.agent.office.carry_out(request) {
            Reply::Invited(invited) => invited.token.parse().unwrap(),
            reply => panic!("{reply:?}"),
        }
    }

    async fn dial(&self, identity: &Identity, purpose: Purpose) -> Option<Connection> {
        let agent = self.agent.office.identity.fingerprint();
        let tls = client_tls(identity, agent, purpose);
        Dialer::bind().unwrap().connect(self.address, tls.config).await.ok()
    }

    /// What the agent says to a join; `None` if it hangs up.
    async fn join(&self, identity: &Identity, token: &Token) -> Option<JoinReply> {
        let connection = self.dial(identity, Purpose::Join).await?;
        let exporter = export_keying_material(&connection, EXPORTER_LABEL, b"", 32)?;
        let channel = Channel {
            exporter: exporter.try_into().unwrap(),
            sender: identity.fingerprint(),
            agent: token.agent(),
        };
        let request = join_request(token.secret(), &channel, &"web".parse().unwrap());
        let mut dialogue = PairingSender::open(&connection).await.ok()?;
        let reply = dialogue.ask(request.into()).await.ok()?;
        dialogue.finish();
        Some(JoinReply::decode(&reply).unwrap())
    }

    /// Asks for a job; `None` if the agent hangs up before it has heard of it.
    async fn ask(&self, identity: &Identity, job: u8, path: &str) -> Option<(SenderLink, Message)> {
        let connection = self.dial(identity, Purpose::Job).await?;
        let link = sender_link(connection, Capacities::default(), Compression::Auto).await.ok()?;
        let open = OpenJob {
            job: JobId([job; 16]),
            attempt: 0,
            share: "data".into(),
            path: RelPath::parse(path.as_bytes()).unwrap(),
            policy: JobPolicy::default(),
            origin: Origin { machine: [0; 32], chain: vec![] },
            label: format!("host{job}:/srv"),
        };
        link.control_tx.send(Message::from(version::hello("test"))).await.ok()?;
        link.control_tx.send(Message::OpenJob(Box::new(open))).await.ok()?;
        let Message::Hello(_) = link.control_rx.recv().await.ok()? else { panic!("no hello") };
        let answer = link.control_rx.recv().await.ok()?;
        Some((link, answer))
    }

    /// As [`ask`](Self::ask), for a job that is opened.
    async fn open(&self, identity: &Identity, job: u8, path: &str) -> SenderLink {
        match self.ask(identity, job, path).await {
            Some((link, Message::JobOpened(_))) => link,
            other => panic!("{other:?}"),
        }
    }

    /// As [`ask`](Self::ask), for a job that is refused.
    async fn refusal(&self, identity: &Identity, job: u8, path: &str) -> Refused {
        match self.ask(identity, job, path).await {
            Some((_, Message::Refused(refused))) => refused,
            other => panic!("{other:?}"),
        }
    }
}

/// The code with which the agent ends a link. Answers its pings until then, as a sender does.
async fn end_of(link: SenderLink) -> RefusalCode {
    while let Ok(message) = link.control_rx.recv().await {
        if let Message::Refused(refused) = message {
            return refused.code;
        }
    }
    match link.end.closed().await {
        LinkClosed::Peer(Close { code: CloseCode::Refused(code), .. }) => code,
        closed => panic!("{closed}"),
    }
}

/// Answers the agent's pings for as long as the link lives.
fn keep_answering(link: SenderLink) -> JoinHandle<()> {
    tokio::spawn(async move {
        // Whole, or its end stays behind and is dropped.
        let link = link;
        while let Ok(message) = link.control_rx.recv().await {
            if let Message::Ping(ping) = message {
                let _ = link.control_tx.send(Message::Pong(ping)).await;
            }
        }
    })
}

fn identity() -> Identity {
    Identity::generate().unwrap()
}

#[tokio::test]
async fn a_token_lets_one_sender_in_once() {
    let world = World::start().await;
    let (first, second) = (identity(), identity());
    let (token, _other_open) = (world.invite(), world.invite());
    let reply = world.join(&first, &token).await;
    assert!(matches!(reply, Some(JoinReply::Accepted(_))), "{reply:?}");
    let known = world.agent.office.senders.list().unwrap();
    assert_eq!(known.find(&first.fingerprint()).unwrap().permits.to_string(), "write");
    let reply = world.join(&second, &token).await;
    assert!(matches!(reply, Some(JoinReply::Refused(Refusal::Used))), "{reply:?}");
    assert!(world.agent.office.senders.list().unwrap().find(&second.fingerprint()).is_none());
    drop(world.open(&first, 1, "").await);
}

#[tokio::test]
async fn without_an_open_invitation_nobody_joins() {
    let world = World::start().await;
    let token = world.invite();
    assert!(matches!(world.join(&identity(), &token).await, Some(JoinReply::Accepted(_))));
    assert!(world.join(&identity(), &token).await.is_none(), "the only invitation is used up");
}

#[tokio::test]
async fn an_unknown_key_has_no_job_even_while_an_invitation_is_open() {
    let world = World::start().await;
    assert!(world.ask(&identity(), 1, "").await.is_none());
    let _open = world.invite();
    assert!(world.ask(&identity(), 1, "").await.is_none());
}

#[tokio::test]
async fn a_revoked_sender_loses_its_job_at_once() {
    let world = World::start().await;
    let sender = identity();
    world.trust(&sender, "write");
    let link = world.open(&sender, 1, "").await;
    world.agent.office.senders.revoke("web").unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(1), end_of(link)).await;
    assert_eq!(ended.unwrap(), RefusalCode::Revoked);
    assert!(world.ask(&sender, 2, "").await.is_none());
}

#[tokio::test]
async fn a_tree_in_use_is_refused_with_the_name_of_who_uses_it() {
    let world = World::start().await;
    let sender = identity();
    world.trust(&sender, "write");
    let holder = keep_answering(world.open(&sender, 1, "a").await);
    let refused = world.refusal(&sender, 2, "a/b").await;
    assert_eq!(refused.code, RefusalCode::Busy);
    assert!(refused.reason.contains("host1:/srv (peer web, since "), "{}", refused.reason);
    drop(world.open(&sender, 3, "c").await);
    holder.abort();
}

#[tokio::test]
async fn a_connection_too_many_is_closed_before_it_may_say_anything() {
    let world = World::start().await;
    let sender = identity();
    world.trust(&sender, "write");
    let take = || world.agent.live.take_connection(sender.fingerprint()).ok();
    let _seats = std::iter::from_fn(take).collect::<Vec<_>>();
    let connection = world.dial(&sender, Purpose::Job).await.unwrap();
    let quinn::ConnectionError::ApplicationClosed(close) = connection.closed().await else {
        panic!()
    };
    let code = CloseCode::from_wire(close.error_code.into_inner());
    assert_eq!(code, CloseCode::Refused(RefusalCode::Overloaded));
}

#[tokio::test]
async fn a_job_that_comes_again_takes_over_from_its_former_connection() {
    let world = World::start().await;
    let sender = identity();
    world.trust(&sender, "write");
    let former = world.open(&sender, 1, "").await;
    let (_later, end) = tokio::join!(world.open(&sender, 1, ""), end_of(former));
    assert_eq!(end, RefusalCode::Busy);
}

#[tokio::test]
async fn a_share_without_its_identity_takes_no_job() {
    let world = World::start().await;
    let sender = identity();
    world.trust(&sender, "write");
    let share = &world.agent.office.shares[0];
    std::fs::remove_file(share.path.join(".quicopy/id")).unwrap();
    let refused = world.refusal(&sender, 1, "").await;
    assert_eq!(refused.code, RefusalCode::ShareOffline);
    assert!(refused.reason.ends_with("quicopy-agent adopt data"), "{}", refused.reason);
}

#[tokio::test]
async fn a_running_job_is_listed_and_a_past_one_is_in_the_history() {
    let world = World::start().await;
    let sender = identity();
    world.trust(&sender, "write");
    let link = world.open(&sender, 1, "").await;
    let Reply::Jobs { jobs } = world.agent.answer_now(Request::Jobs) else { panic!() };
    assert_eq!((jobs.len(), jobs[0].state), (1, crate::history::JobState::Running));
    drop(link);
    world.agent.live.all_ended().await;
    let past = world.agent.office.history.read().unwrap();
    assert_eq!((past.len(), past[0].state), (1, crate::history::JobState::Parked));
}

#[tokio::test]
async fn an_agent_that_stops_parks_its_jobs_and_says_so_in_time() {
    let world = World::start().await;
    let sender = identity();
    world.trust(&sender, "write");
    let link = world.open(&sender, 1, "").await;
    let begin = Instant::now();
    world.stop.send(()).unwrap();
    let (code, running) = tokio::join!(end_of(link), world.running);
    running.unwrap().unwrap();
    assert_eq!(code, RefusalCode::Stopping);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn commands_reach_the_running_agent_through_its_socket() {
    let world = World::start().await;
    world.trust(&identity(), "write");
    let (dir, permits) = (world.dir.clone(), "write,delete".parse().unwrap());
    let request = Request::Permit { peer: "web".into(), permits };
    let asked = tokio::task::spawn_blocking(move || crate::control::ask(&dir, &request));
    let Some(Reply::Peers { peers }) = asked.await.unwrap().unwrap() else { panic!() };
    assert_eq!(peers[0].permits, "write,delete");
}
