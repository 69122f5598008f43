//! The conversation around a job, without an engine.

use async_channel::Sender;
use quicopy_engine::destination::{Done, Event};
use quicopy_protocol::limits::PINGS_MAX;
use quicopy_protocol::link::{Capacities, SenderLink, pair};
use quicopy_protocol::message::{JobId, Listing, ListingState, Origin, ScanEnd};
use quicopy_protocol::meta::{DirId, Meta};
use quicopy_protocol::options::{Durability, JobPolicy};
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::{DirState, Tally as Amount};

use super::*;

/// A job that is open, between a sender that a test plays and events that it tells.
struct World {
    sender: SenderLink,
    link: AgentLink,
    inbox: Inbox,
    outbox: Outbox,
    stop: StopFlag,
}

impl World {
    async fn open() -> Self {
        let (sender, link) = pair(Capacities::default());
        sender.control_tx.send(version::hello("sender").into()).await.unwrap();
        let open = OpenJob {
            job: JobId([1; 16]),
            attempt: 0,
            share: "data".into(),
            path: RelPath::ROOT,
            policy: JobPolicy::default(),
            origin: Origin { machine: [0; 32], chain: vec![] },
            label: String::new(),
        };
        sender.control_tx.send(open.into()).await.unwrap();
        let session = greet(&link, "agent").await.unwrap().session;
        let session = Arc::new(Mutex::new(session));
        let outbox = Outbox::new(&link, Arc::clone(&session));
        let opened = JobOpened {
            time_step_nanos: 1,
            conflicts_known: false,
            first_job: true,
            durability: Durability::Group,
            trash_days: None,
        };
        outbox.send(opened.into()).await.unwrap();
        for _ in ["Hello", "JobOpened"] {
            sender.control_rx.recv().await.unwrap();
        }
        let stop = StopFlag::default();
        let inbox = Inbox::new(session, outbox.clone(), stop.clone());
        let listing = Listing {
            dir: DirId(0),
            path: RelPath::ROOT,
            meta: Meta::default(),
            attributes: Vec::new(),
            entries: Vec::new(),
            state: ListingState::Complete,
        };
        inbox.check(&listing.into()).unwrap();
        inbox.check(&ScanEnd { directories: 1 }.into()).unwrap();
        Self { sender, link, inbox, outbox, stop }
    }

    /// Converses while `engine` tells what it has to tell.
    async fn converse(
        &self,
        commands: &Receiver<Command>,
        engine: impl FnOnce(&Sender<Event>) -> Said + Send + 'static,
    ) -> Said {
        let (events_tx, events) = async_channel::bounded(EVENTS_MAX);
        let engine = tokio::task::spawn_blocking(move || engine(&events_tx));
        let speaking = tokio::spawn(self.outbox.clone().carry(events, EndsJob(self.stop.clone())));
        let work = async { (engine.await.unwrap(), speaking.await.unwrap()) };
        converse(&self.inbox, &self.link, &self.outbox, commands, work).await.0
    }
}

fn end(events: &Sender<Event>) {
    let plan = Event::Plan {
        dir: DirId(0),
        state: DirState::Existing,
        verdicts: Vec::new(),
        same: Amount::default(),
    };
    let done = Event::Done(Done { directories: 1, ..Done::default() });
    for event in [plan, Event::Settled(DirId(1)), done] {
        events.send_blocking(event).unwrap();
    }
}

#[tokio::test]
async fn a_job_is_parked_although_its_sender_reads_nothing() {
    let world = World::open().await;
    let (commands_tx, commands) = async_channel::bounded(1);
    let (stop, verdicts) = (world.stop.clone(), world.link.verdict_tx.clone());
    let stopping = Refused::new(RefusalCode::Stopping, "stopping");
    let refused = stopping.clone();
    let engine = move |events: &Sender<Event>| {
        while events.send_blocking(Event::Notice("x".into())).is_ok() {
            if verdicts.is_full() && events.is_full() {
                let _ = commands_tx.try_send(Command::Park(refused.clone()));
            }
        }
        assert!(stop.is_set());
        Said::Lost
    };
    let said = world.converse(&commands, engine).await;
    assert!(matches!(said, Said::Refused(refused) if refused == stopping));
}

#[tokio::test]
async fn the_job_waits_for_all_to_be_told_and_for_the_goodbye() {
    let world = World::open().await;
    let (_none, commands) = async_channel::bounded(1);
    let engine = |events: &Sender<Event>| {
        (0..200).for_each(|_| events.send_blocking(Event::Notice("x".into())).unwrap());
        end(events);
        Said::Complete
    };
    let hear = async {
        while !matches!(world.sender.verdict_rx.recv().await.unwrap(), Message::JobDone(_)) {}
        let goodbye = quicopy_protocol::message::Goodbye { complete: true };
        world.sender.control_tx.send(goodbye.into()).await.unwrap();
    };
    let (said, ()) = tokio::join!(world.converse(&commands, engine), hear);
    assert!(matches!(said, Said::Complete));
}

#[tokio::test]
async fn many_questions_cost_one_ping_at_a_time() {
    let world = World::open().await;
    let (commands_tx, commands) = async_channel::bounded(1);
    let ask_twice = async {
        for number in [1, 2] {
            let mut answers = Vec::new();
            for _ in 0..2 * PINGS_MAX {
                let (answer, answered) = oneshot::channel();
                commands_tx.send(Command::Ping(answer)).await.unwrap();
                answers.push(answered);
            }
            while !commands_tx.is_empty() {
                tokio::task::yield_now().await;
            }
            let ping = world.sender.control_rx.recv().await.unwrap();
            assert_eq!(ping, Message::Ping(Ping { number }));
            world.sender.control_tx.send(Message::Pong(Ping { number })).await.unwrap();
            for answered in answers {
                answered.await.unwrap();
            }
        }
        assert!(world.sender.control_rx.is_empty());
        commands_tx.send(Command::Park(Refused::new(RefusalCode::Stopping, ""))).await.unwrap();
    };
    let stop = world.stop.clone();
    let engine = move |_: &Sender<Event>| {
        while !stop.wait(Duration::from_secs(60)) {}
        Said::Lost
    };
    let (said, ()) = tokio::join!(world.converse(&commands, engine), ask_twice);
    assert!(matches!(said, Said::Refused(_)));
}
