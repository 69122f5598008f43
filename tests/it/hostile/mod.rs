//! A sender whose key is trusted and that keeps to no rule: the agent refuses, changes nothing that the rules do not allow,
//! and serves an honest job right afterwards.

mod content;
mod conversation;
mod frames;
mod permits;

use std::{net::SocketAddr, sync::Arc};

use quicopy_certs::{
    Identity, KnownAgents, StateDir,
    tls::{Purpose, client_tls},
};
use quicopy_protocol::{
    code::RefusalCode,
    codec::encode,
    limits::{CHUNK_BYTES_MAX, WHOLE_FILE_BYTES_MAX},
    link::{Capacities, CloseCode, LinkClosed, SenderLink},
    message::{
        Chunk, FileEnd, Goodbye, Hello, JobDone, JobId, Lane, Listing, ListingState, Message,
        OpenJob, Origin, Ping, ScanEnd, Want, WholeFile,
    },
    meta::{Digest, DirId, Entry, Kind, Meta, Timestamp, WantId},
    options::{CopyFlags, JobPolicy, LinkPolicy, Recurse, Selection},
    path::{Name, RelPath},
    transport::{Compression, Connection, Dialer, sender_link},
    version,
};
use quicopy_tests::{
    connected::Connected,
    sites::{CALL, SHARE},
    tree::Snapshot,
};
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};

const PROTOCOL: CloseCode = CloseCode::Refused(RefusalCode::Protocol);

/// What the share holds before an attack, so that there is something to be damaged.
const KEPT: &str = "kept, deep/kept";

/// Lets a hostile sender do its worst over one connection; requires that the agent ends it with `code`, that the share
/// holds what it held and `more`, and that an honest job finds the agent in order.
#[track_caller]
fn check<F: Future<Output = ()>>(
    code: CloseCode,
    more: &str,
    attack: impl FnOnce(Arc<Hostile>) -> F,
) {
    let site = Site::new();
    let ended = site.runtime.block_on(async {
        let hostile = Arc::new(Hostile::new(site.connect().await).await);
        timeout(CALL, async {
            attack(Arc::clone(&hostile)).await;
            hostile.end().await
        })
        .await
    });
    site.check(ended.expect("the agent ends it in time"), code, more);
}

/// Both sites, the agent at work, and a way to it with the sender's own key.
struct Site {
    sites: Connected,
    _agent: quicopy_tests::sites::Agent,
    runtime: Runtime,
}

impl Site {
    fn new() -> Self {
        let (sites, agent) = Connected::new("honest, d/e 3M", KEPT, "write");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self { sites, _agent: agent, runtime: runtime.expect("a runtime") }
    }

    async fn connect(&self) -> Connection {
        let state = StateDir::open_or_create(self.sites.sender.home().join("sender"));
        let state = state.expect("the sender's state");
        let identity = Identity::load(&state).expect("readable").expect("made when it was paired");
        let agents = KnownAgents::new(&state).list().expect("readable");
        let agent = agents.find_named("site-b").expect("paired").fingerprint;
        let tls = client_tls(&identity, agent, Purpose::Job).config;
        let address: SocketAddr = self.sites.site.address();
        let connection = Dialer::bind().expect("a socket").connect(address, tls).await;
        connection.expect("the agent knows this key")
    }

    #[track_caller]
    fn check(&self, ended: CloseCode, code: CloseCode, more: &str) {
        assert_eq!(ended, code);
        let expected = Snapshot::described(&format!("{KEPT}, {more}"));
        let held = self.sites.world.share_now().without_directory_times();
        held.must_equal(&expected, "after the attack");
        self.sites.run("/E").exits(&[2, 3]);
        let expected = Snapshot::described(&format!("{KEPT}, {more}, honest, d/e 3M"));
        let held = self.sites.world.share_now().without_directory_times();
        held.must_equal(&expected, "after an honest job");
    }
}

/// A sender that says what the test wants it to.
struct Hostile {
    link: SenderLink,
}

impl Hostile {
    async fn new(connection: Connection) -> Self {
        let link = sender_link(connection, Capacities::default(), Compression::Auto)
            .await
            .expect("streams");
        Self { link }
    }

    /// Sends a message on the lane where it belongs.
    async fn say(&self, message: impl Into<Message>) {
        let message = message.into();
        let lane = message.lane();
        self.say_on(lane, message).await;
    }

    async fn say_on(&self, lane: Lane, message: impl Into<Message>) {
        let lane = match lane {
            Lane::Control | Lane::Verdict => &self.link.control_tx,
            Lane::Listing => &self.link.listing_tx,
            Lane::Content => &self.link.content_tx,
        };
        // The agent may have ended the link already.
        let _ = lane.send(message.into()).await;
    }

    /// Says hello and opens a job as an honest sender does.
    async fn open(&self, policy: JobPolicy) {
        self.say(hello()).await;
        self.say(open(policy)).await;
        while let Ok(message) = self.link.control_rx.recv().await {
            if let Message::JobOpened(_) = message {
                return;
            }
        }
        panic!("the job was not opened");
    }

    /// The next wish.
    async fn wanted(&self) -> Want {
        while let Ok(message) = self.link.verdict_rx.recv().await {
            if let Message::Want(want) = message {
                return want;
            }
        }
        panic!("nothing was wanted");
    }

    /// Waits until the agent has planned this many directories.
    async fn planned(&self, directories: u64) {
        while let Ok(message) = self.link.verdict_rx.recv().await {
            if let Message::Plan(plan) = message
                && plan.last
                && plan.dir.0 + 1 == directories
            {
                return;
            }
        }
        panic!("not planned");
    }

    /// How the agent ends the link.
    async fn end(&self) -> CloseCode {
        match self.link.end.closed().await {
            LinkClosed::Peer(close) => close.code,
            closed => panic!("not ended by the agent: {closed}"),
        }
    }
}

fn hello() -> Message {
    version::hello("hostile").into()
}

fn open(policy: JobPolicy) -> OpenJob {
    OpenJob {
        job: JobId([7; 16]),
        attempt: 0,
        share: SHARE.to_owned(),
        path: RelPath::ROOT,
        policy,
        origin: Origin { machine: [9; 32], chain: Vec::new() },
        label: "hostile".to_owned(),
    }
}

/// What `/E` means.
fn policy() -> JobPolicy {
    JobPolicy {
        selection: Selection { recurse: Recurse::All, ..Selection::default() },
        copy: CopyFlags::DAT,
        dcopy: CopyFlags::DA,
        ..JobPolicy::default()
    }
}

fn entry(name: &[u8], kind: Kind, size_bytes: u64) -> Entry {
    let modified = Timestamp { seconds: 1_000_000_000, nanos: 0 };
    let mode = if kind == Kind::Directory { 0o755 } else { 0o644 };
    let meta = Meta { size_bytes, modified, mode, ..Meta::default() };
    Entry { name: Name::new(name).expect("a name"), kind, meta, skip: None }
}

fn file(name: &str, size_bytes: u64) -> Entry {
    entry(name.as_bytes(), Kind::File, size_bytes)
}

fn directory(name: &str) -> Entry {
    entry(name.as_bytes(), Kind::Directory, 0)
}

fn link(name: &str, target: &str) -> Entry {
    entry(name.as_bytes(), Kind::Link { target: target.as_bytes().into() }, 0)
}

/// A complete listing of one directory.
fn listing(dir: u64, path: &str, entries: Vec<Entry>) -> Listing {
    Listing {
        dir: DirId(dir),
        path: RelPath::parse(path.as_bytes()).expect("a path"),
        meta: Meta { mode: 0o755, ..Meta::default() },
        attributes: Vec::new(),
        entries,
        state: ListingState::Complete,
    }
}
