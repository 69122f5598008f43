//! A sender whose key is trusted and that keeps to no rule: the agent refuses, changes nothing that the rules do not allow,
//! and serves an honest job right afterwards.

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

/// The same with bytes that are no messages: what follows the hello on the control stream, and what the listing stream
/// carries.
#[track_caller]
fn check_bytes(control: &[u8], listing: &[u8]) {
    let site = Site::new();
    let ended = site.runtime.block_on(async {
        let connection = site.connect().await;
        timeout(CALL, send_bytes(&connection, control, listing)).await
    });
    site.check(ended.expect("the agent ends it in time"), PROTOCOL, "");
}

async fn send_bytes(connection: &Connection, control: &[u8], listing: &[u8]) -> CloseCode {
    let (mut control_out, mut control_in) = connection.open_bi().await.expect("a stream");
    let mut listing_out = connection.open_uni().await.expect("a stream");
    let mut talk = vec![CONTROL_STREAM];
    talk.extend(frame(&hello()));
    talk.extend(control);
    // The agent may end a stream, or all of them, before it has read what is sent.
    let _ = control_out.write_all(&talk).await;
    let _ = listing_out.write_all(&[&[LISTING_STREAM], listing].concat()).await;
    let _ = control_in.read_to_end(1 << 20).await;
    let _ = control_out.finish();
    match connection.closed().await {
        quinn::ConnectionError::ApplicationClosed(close) => {
            CloseCode::from_wire(close.error_code.into_inner())
        }
        error => panic!("not ended by the agent: {error}"),
    }
}

/// The byte that begins the control stream, and the one that begins the listing stream.
const CONTROL_STREAM: u8 = 1;
const LISTING_STREAM: u8 = 2;

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

fn frame(message: &Message) -> Vec<u8> {
    encode(message).expect("within the limits").to_vec()
}

/// The frame of a message in which `from`, once, is replaced by as many other bytes.
#[track_caller]
fn forged(message: impl Into<Message>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = frame(&message.into());
    let found = bytes.windows(from.len()).position(|window| window == from).expect("it is there");
    bytes[found..found + from.len()].copy_from_slice(to);
    bytes
}

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
fn content_that_nobody_wanted_is_refused() {
    let data = bytes::Bytes::from_static(b"hello");
    let digest = Digest::of(&data);
    check(PROTOCOL, "", async |hostile| {
        hostile.open(policy()).await;
        hostile.say(Chunk { want: WantId(99), offset: 0, digest, data: data.clone() }).await;
    });
    check(PROTOCOL, "", async |hostile| {
        hostile.open(policy()).await;
        let attributes = Vec::new();
        hostile.say(WholeFile { want: WantId(0), digest, attributes, data: data.clone() }).await;
    });
}

#[test]
fn content_that_is_not_what_it_claims_is_refused() {
    let data = bytes::Bytes::from_static(b"hello");
    let (right, wrong) = (Digest::of(&data), Digest::of(b"other"));
    for (listed_bytes, digest) in [(5, wrong), (4, right), (6, right)] {
        check(PROTOCOL, "", async |hostile| {
            hostile.open(policy()).await;
            hostile.say(listing(0, "", vec![file("lie", listed_bytes)])).await;
            let want = hostile.wanted().await.want;
            let attributes = Vec::new();
            hostile.say(WholeFile { want, digest, attributes, data: data.clone() }).await;
        });
    }
}

/// Offers a file of two chunks and sends it with these offsets, digests of chunks, and digest of the whole.
async fn send_large(hostile: &Hostile, second_offset: u64, chunk: Option<Digest>, whole: Digest) {
    let size_bytes = 2 * WHOLE_FILE_BYTES_MAX;
    let data = bytes::Bytes::from(vec![1; CHUNK_BYTES_MAX]);
    let digest = chunk.unwrap_or(Digest::of(&data));
    hostile.open(policy()).await;
    hostile.say(listing(0, "", vec![file("lie", size_bytes)])).await;
    let want = hostile.wanted().await.want;
    for offset in [0, second_offset] {
        hostile.say(Chunk { want, offset, digest, data: data.clone() }).await;
    }
    hostile.say(FileEnd { want, size_bytes, digest: whole, attributes: Vec::new() }).await;
}

#[test]
fn a_large_file_whose_parts_are_not_what_they_claim_is_refused() {
    let whole = Digest::of(&vec![1; 2 * CHUNK_BYTES_MAX]);
    let second = CHUNK_BYTES_MAX as u64;
    check(PROTOCOL, "", async |hostile| {
        send_large(&hostile, second, Some(Digest::of(b"other")), whole).await;
    });
    check(PROTOCOL, "", async |hostile| send_large(&hostile, second - 1, None, whole).await);
    check(PROTOCOL, "", async |hostile| send_large(&hostile, second + 1, None, whole).await);
    check(PROTOCOL, "", async |hostile| send_large(&hostile, 1 << 60, None, whole).await);
}

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

#[test]
fn names_that_are_none_are_refused() {
    let honest = || listing(0, "", vec![file("xyz", 5)]);
    let job = frame(&open(policy()).into());
    for name in [b"x/z", b"../", b"x\0z"] {
        check_bytes(&job, &forged(honest(), b"xyz", name));
    }
    let two = || listing(0, "", vec![file("abc", 5), file("xyz", 5)]);
    check_bytes(&job, &forged(two(), b"xyz", b"abc"));
    check_bytes(&job, &forged(two(), b"xyz", b"aaa"));
    let dots = listing(0, "", vec![file("xy", 5)]);
    check_bytes(&job, &forged(dots, b"xy", b".."));
}

#[test]
fn paths_that_climb_out_or_are_too_deep_are_refused() {
    let into = |path: &str| {
        let path = RelPath::parse(path.as_bytes()).expect("a path");
        OpenJob { path, ..open(policy()) }
    };
    check_bytes(&forged(into("a/xy/b"), b"xy", b".."), &[]);
    check_bytes(&forged(into("xyz"), b"xyz", b"/yz"), &[]);
    check_bytes(&forged(into("xyz"), b"xyz", b"x//"), &[]);
    // Twice as many components as the honest path has, and more than a path may have.
    let honest = vec!["xyz"; 200].join("/");
    let deep = honest.replace("xyz", "x/z");
    check_bytes(&forged(into(&honest), honest.as_bytes(), deep.as_bytes()), &[]);
}

#[test]
fn frames_that_are_none_are_refused() {
    let head =
        |length: u32, number: u16| [&length.to_le_bytes()[..], &number.to_le_bytes()].concat();
    let job = frame(&open(policy()).into());
    // Longer than any frame, with and without the bytes; unknown numbers; bytes that no message has.
    check_bytes(&head(u32::MAX, 0x10), &[]);
    check_bytes(&[head(1 << 20, 0x10), vec![0; 1 << 20]].concat(), &[]);
    check_bytes(&job, &head(u32::MAX, 0x20));
    check_bytes(&job, &head(0, 0xfff0));
    check_bytes(&job, &[head(100, 0x20), vec![0xff; 100]].concat());
    check_bytes(&[0xff; 64], &[]);
}
