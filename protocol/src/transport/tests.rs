//! Links over real sockets on the loopback interface.

#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::VarInt;
use rustls::crypto::ring::default_provider;
use rustls::version::TLS13;
use tokio::time::Instant;

use super::*;
use crate::code::RefusalCode;
use crate::codec::Encoded;
use crate::congestion::{Gauge, Settings};
use crate::limits::{CHUNK_BYTES_MAX, ZSTD_CONTENT_STREAMS_MAX};
use crate::link::{AgentLink, Capacities, Close, CloseCode, LinkClosed, SenderLink};
use crate::message::{Cancel, Chunk, ChunkList, Lane, Message, Notice, Ping, ScanEnd, WholeFile};
use crate::meta::{Digest, WantId};
use crate::version;

const RESET_KEY: [u8; 64] = [7; 64];

fn tls() -> (Arc<rustls::ServerConfig>, Arc<rustls::ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["quicopy".to_owned()]).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(default_provider());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![made.cert.der().clone()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into(),
        )
        .unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

/// Both sockets and a connection between them.
struct Wire {
    listener: Listener,
    _dialer: Dialer,
    at_sender: Connection,
    at_agent: Connection,
}

async fn connect() -> Wire {
    connect_with(Settings::default()).await
}

/// The congestion control is the sender's.
async fn connect_with(congestion: Settings) -> Wire {
    let (server, client) = tls();
    let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), server, &RESET_KEY).unwrap();
    let dialer = Dialer::bind().unwrap().with_congestion(congestion);
    let address = listener.local_addr().unwrap();
    let accept = async { listener.accept().await.unwrap().complete().await.unwrap().0 };
    let (at_agent, at_sender) = tokio::join!(accept, dialer.connect(address, client));
    Wire { at_sender: at_sender.unwrap(), at_agent, listener, _dialer: dialer }
}

async fn links() -> (SenderLink, AgentLink, Wire) {
    links_with(Compression::Auto).await
}

async fn links_with(compression: Compression) -> (SenderLink, AgentLink, Wire) {
    links_over(connect().await, compression).await
}

async fn links_over(wire: Wire, compression: Compression) -> (SenderLink, AgentLink, Wire) {
    let (sender, agent) = tokio::join!(
        sender_link(wire.at_sender.clone(), Capacities::default(), compression),
        agent_link(wire.at_agent.clone(), Capacities::default())
    );
    (sender.unwrap(), agent.unwrap(), wire)
}

fn ping(number: u64) -> Message {
    Message::Ping(Ping { number })
}

fn chunk(want: u64, bytes: usize) -> Message {
    let data = Bytes::from(vec![want as u8; bytes]);
    Chunk { want: WantId(want), offset: 0, digest: Digest::of(&data), data }.into()
}

#[tokio::test]
async fn every_lane_carries_its_messages() {
    let (sender, agent, _wire) = links().await;
    let listed = Message::from(ScanEnd { directories: 1 });
    let notice = Message::from(Notice { text: "coarse times".into() });
    sender.control_tx.send(ping(1)).await.unwrap();
    sender.listing_tx.send(listed.clone()).await.unwrap();
    sender.content_tx.send(chunk(3, 10)).await.unwrap();
    agent.control_tx.send(ping(2)).await.unwrap();
    agent.verdict_tx.send(notice.clone()).await.unwrap();
    assert_eq!(agent.control_rx.recv().await, Ok(ping(1)));
    assert_eq!(agent.listing_rx.recv().await, Ok(listed));
    assert_eq!(agent.content_rx.recv().await, Ok(chunk(3, 10)));
    assert_eq!(sender.control_rx.recv().await, Ok(ping(2)));
    assert_eq!(sender.verdict_rx.recv().await, Ok(notice));
}

#[tokio::test]
async fn a_cap_holds_on_a_short_path_and_can_be_lifted_meanwhile() {
    const RATE: u64 = 2 << 20;
    let gauge: Arc<Gauge> = Arc::default();
    gauge.set_rate_max(Some(RATE));
    let settings = Settings { gauge: Arc::clone(&gauge), ..Settings::default() };
    let wire = connect_with(settings).await;
    let (sender, agent, wire) = links_over(wire, Compression::Off).await;
    let begin = Instant::now();
    let before = wire.at_sender.stats().udp_tx.bytes;
    let send = async {
        for want in 0..100 {
            sender.content_tx.send(chunk(want, 64 << 10)).await.unwrap();
        }
    };
    let receive = async {
        for _ in 0..60 {
            agent.content_rx.recv().await.unwrap();
        }
        let sent = wire.at_sender.stats().udp_tx.bytes - before;
        let rate = sent as f64 / begin.elapsed().as_secs_f64();
        // Nearly two seconds of it and, within the first moment, one burst of a tenth of a second.
        assert!(rate <= 1.15 * RATE as f64, "{rate:.0} bytes/s");
        gauge.set_rate_max(None);
        for _ in 60..100 {
            agent.content_rx.recv().await.unwrap();
        }
    };
    tokio::join!(send, receive);
    assert_eq!(gauge.rate_max(), None);
}

#[tokio::test]
async fn large_content_arrives_whole_over_all_streams() {
    const CHUNKS: u64 = 48;
    let (sender, agent, _wire) = links().await;
    let send = async {
        for want in 0..CHUNKS {
            sender.content_tx.send(chunk(want, CHUNK_BYTES_MAX)).await.unwrap();
        }
        sender.end.close(Close::finished());
        sender.end.closed().await
    };
    let receive = async {
        let mut arrived = Vec::new();
        while let Ok(message) = agent.content_rx.recv().await {
            let Message::Chunk(chunk) = message else { panic!("{}", message.name()) };
            assert_eq!(Digest::of(&chunk.data), chunk.digest);
            arrived.push(chunk.want.0);
        }
        arrived.sort_unstable();
        arrived
    };
    let (closed, arrived) = tokio::join!(send, receive);
    assert_eq!(arrived, (0..CHUNKS).collect::<Vec<_>>());
    assert_eq!(closed, LinkClosed::Local(Close::finished()));
    assert_eq!(agent.end.closed().await, LinkClosed::Peer(Close::finished()));
    let content_bytes = CHUNKS * CHUNK_BYTES_MAX as u64;
    assert!(sender.wire.sent() > content_bytes, "{:?}", sender.wire);
    assert!(agent.wire.received() > content_bytes, "{:?}", agent.wire);
}

fn said_hello() -> Message {
    version::hello("test").into()
}

/// Both sides say hello, and hear it.
async fn agree(sender: &SenderLink, agent: &AgentLink) {
    sender.control_tx.send(said_hello()).await.unwrap();
    agent.control_tx.send(said_hello()).await.unwrap();
    assert_eq!(agent.control_rx.recv().await, Ok(said_hello()));
    assert_eq!(sender.control_rx.recv().await, Ok(said_hello()));
}

/// A small file of text, no two alike.
fn small_file(want: u64) -> Message {
    let line = format!("{want} squared is {}\n", want * want);
    let data = Bytes::from(line.repeat(1 + want as usize % 70));
    WholeFile { want: WantId(want), digest: Digest::of(&data), attributes: Vec::new(), data }.into()
}

fn noise(want: u64) -> Message {
    let mut data = vec![0; CHUNK_BYTES_MAX];
    blake3::Hasher::new().update(&want.to_le_bytes()).finalize_xof().fill(&mut data);
    let digest = Digest::of(&data);
    Chunk { want: WantId(want), offset: 0, digest, data: data.into() }.into()
}

/// Sends messages with this compression, checks that each arrives once, and returns what that took on the wire.
async fn cost(compression: Compression, agreed: bool, sent: Vec<Message>) -> u64 {
    let (sender, agent, _wire) = links_with(compression).await;
    if agreed {
        agree(&sender, &agent).await;
    }
    let number = |message: &Message| match message {
        Message::Chunk(chunk) => chunk.want,
        Message::WholeFile(file) => file.want,
        message => panic!("{}", message.name()),
    };
    let send = async {
        for message in &sent {
            sender.content_tx.send(message.clone()).await.unwrap();
        }
        sender.end.close(Close::finished());
        sender.end.closed().await
    };
    let receive = async {
        let mut arrived = Vec::new();
        while let Ok(message) = agent.content_rx.recv().await {
            arrived.push(message);
        }
        arrived.sort_by_key(number);
        arrived
    };
    let (closed, arrived) = tokio::join!(send, receive);
    assert_eq!(closed, LinkClosed::Local(Close::finished()));
    assert!(arrived == sent, "{} of {}", arrived.len(), sent.len());
    sender.wire.sent()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_files_travel_compressed_together() {
    let files = || (0..5000).map(small_file).collect::<Vec<_>>();
    let plain = cost(Compression::Off, true, files()).await;
    let auto = cost(Compression::Auto, true, files()).await;
    let hard = cost(Compression::Level(19), true, files()).await;
    assert!(auto * 5 < plain && hard * 5 < plain, "{plain}, {auto}, {hard}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_compressed_before_both_sides_have_agreed() {
    let files = (0..2000).map(small_file).collect::<Vec<_>>();
    let bytes: usize = files.iter().map(|file| crate::codec::encode(file).unwrap().len()).sum();
    assert!(cost(Compression::Auto, false, files).await > bytes as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_shrink_travels_as_it_is_between_what_does() {
    let mixed = (0..24).map(|want| if want % 3 == 0 { noise(want) } else { small_file(want) });
    let noise_bytes = 8 * CHUNK_BYTES_MAX as u64;
    for compression in [Compression::Auto, Compression::Level(1)] {
        let wire = cost(compression, true, mixed.clone().collect()).await;
        assert!((noise_bytes..noise_bytes * 11 / 10).contains(&wire), "{wire}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_lanes_keep_their_order() {
    let (sender, agent, _wire) = links().await;
    agree(&sender, &agent).await;
    let told = |number: u64| match number % 3 {
        0 => Message::from(Notice { text: format!("notice {number}") }),
        1 => Cancel { want: WantId(number) }.into(),
        _ => Notice { text: "x".repeat(1024) }.into(),
    };
    let listed = |directories| match directories % 5 {
        // Not worth compressing, so that both kinds of batches take turns.
        0 => ChunkList {
            want: WantId(directories),
            average_bytes: 1,
            offset: 0,
            chunks: vec![(1, Digest([7; 32])); 9],
            last: true,
        }
        .into(),
        _ => Message::from(ScanEnd { directories }),
    };
    let tell = async {
        for number in 0..3000 {
            agent.verdict_tx.send(told(number)).await.unwrap();
            sender.listing_tx.send(listed(number)).await.unwrap();
        }
    };
    let hear = async {
        for number in 0..3000 {
            assert_eq!(sender.verdict_rx.recv().await, Ok(told(number)));
            assert_eq!(agent.listing_rx.recv().await, Ok(listed(number)));
        }
    };
    tokio::join!(tell, hear);
    assert!(agent.wire.sent() < 3000 * 350, "{:?}", agent.wire);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_given_up_does_not_wait_for_compressors() {
    let (sender, agent, _wire) = links_with(Compression::Level(19)).await;
    agree(&sender, &agent).await;
    let text: String = (0..200_000).map(|n| format!("{n} ")).collect();
    for want in 0..16 {
        let data = Bytes::from(text.clone().into_bytes()[..CHUNK_BYTES_MAX].to_vec());
        let chunk = Chunk { want: WantId(want), offset: 0, digest: Digest([0; 32]), data };
        sender.content_tx.send(chunk.into()).await.unwrap();
    }
    sender.end.close(Close::abandoned());
    let ended = tokio::time::timeout(Duration::from_secs(5), sender.end.closed()).await;
    assert_eq!(ended, Ok(LinkClosed::Local(Close::abandoned())));
    assert_eq!(agent.end.closed().await, LinkClosed::Peer(Close::abandoned()));
}

/// A sender that has agreed, and writes these bytes on so many content streams.
async fn breach(bytes: &[u8], streams: usize, lane: u8) -> quinn::ConnectionError {
    let wire = connect().await;
    let agent = tokio::spawn(agent_link(wire.at_agent.clone(), Capacities::default()));
    let (mut control, mut answer) = wire.at_sender.open_bi().await.unwrap();
    let hello = crate::codec::encode(&said_hello()).unwrap().to_vec();
    control.write_all(&[&[1], &*hello].concat()).await.unwrap();
    let agent = agent.await.unwrap().unwrap();
    agent.control_tx.send(said_hello()).await.unwrap();
    answer.read_exact(&mut vec![0; hello.len()]).await.unwrap();
    let mut open = Vec::new();
    if lane == 1 {
        let _ = control.write_all(bytes).await;
    } else {
        for _ in 0..streams {
            let mut stream = wire.at_sender.open_uni().await.unwrap();
            let _ = stream.write_all(&[&[lane], bytes].concat()).await;
            open.push(stream);
        }
    }
    let drain = async { while agent.content_rx.recv().await.is_ok() {} };
    tokio::join!(wire.at_sender.closed(), drain).0
}

fn compressed(inside: &[u8]) -> Vec<u8> {
    let encoded = Encoded { head: Bytes::copy_from_slice(inside), data: Bytes::new() };
    compress::context::Compressor::new().frame(&[encoded], 3).unwrap().to_vec()
}

#[tokio::test]
async fn compressed_frames_that_break_the_rules_close_the_connection() {
    let cancel = Cancel { want: WantId(1) };
    let frame = |message: Message| crate::codec::encode(&message).unwrap().to_vec();
    let content = frame(chunk(1, 500));
    let mut cases = tokio::task::JoinSet::new();
    for (bytes, streams, lane, text) in [
        // What would be content becomes a breach only by how it comes.
        (compressed(&frame(cancel.into())), 1, 3, "on the Content lane"),
        (compressed(&compressed(&content)), 1, 3, "0x0056 is not known"),
        (compressed(&content[..9]), 1, 3, "ends inside a frame"),
        (compressed(&content), ZSTD_CONTENT_STREAMS_MAX + 1, 3, "more streams"),
        (compressed(&frame(ping(1))), 1, 1, "0x0056 is not known"),
        (vec![5, 0, 0, 0, 0x56, 0, 3, 1, 2, 3, 4], 1, 3, "does not expand"),
        (vec![0, 0, 0, 0, 0x56, 0], 1, 2, "does not say its length"),
        (vec![0xff, 0xff, 0xff, 0, 0x56, 0], 1, 3, "are allowed"),
    ] {
        cases.spawn(async move { (breach(&bytes, streams, lane).await, text) });
    }
    while let Some(case) = cases.join_next().await {
        let (error, text) = case.unwrap();
        assert_protocol(error, text);
    }
}

#[tokio::test]
async fn who_has_not_offered_it_refuses_compressed_frames() {
    let wire = connect().await;
    let agent = tokio::spawn(agent_link(wire.at_agent.clone(), Capacities::default()));
    let (mut control, _answer) = wire.at_sender.open_bi().await.unwrap();
    control.write_all(&[1]).await.unwrap();
    let mut stream = wire.at_sender.open_uni().await.unwrap();
    let frame = crate::codec::encode(&chunk(1, 500)).unwrap().to_vec();
    stream.write_all(&[&[3], &*compressed(&frame)].concat()).await.unwrap();
    let _agent = agent.await.unwrap().unwrap();
    assert_protocol(wire.at_sender.closed().await, "0x0056 is not known");
}

#[tokio::test]
async fn the_last_words_arrive_and_then_the_reason() {
    let (sender, agent, _wire) = links().await;
    let close = Close {
        code: CloseCode::Refused(RefusalCode::Busy),
        reason: "held by backup@a since 10:00".into(),
    };
    agent.control_tx.send(ping(9)).await.unwrap();
    agent.end.close(close.clone());
    assert_eq!(sender.control_rx.recv().await, Ok(ping(9)));
    assert!(sender.control_rx.recv().await.is_err());
    assert_eq!(sender.end.closed().await, LinkClosed::Peer(close.clone()));
    assert_eq!(agent.end.closed().await, LinkClosed::Local(close));
    assert!(sender.listing_tx.send(ping(1)).await.is_err());
}

#[tokio::test]
async fn a_link_that_is_dropped_is_abandoned() {
    let (sender, agent, _wire) = links().await;
    drop(sender);
    assert_eq!(agent.end.closed().await, LinkClosed::Peer(Close::abandoned()));
    assert!(agent.listing_rx.recv().await.is_err());
}

#[test]
fn an_agent_that_was_restarted_ends_the_old_connections_at_once() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (ours, agents) = (runtime(), runtime());
    let (server, client) = tls();
    let listen = |address| Listener::bind(address, Arc::clone(&server), &RESET_KEY);
    let listener = agents.block_on(async { listen((Ipv4Addr::LOCALHOST, 0).into()) }).unwrap();
    let address = listener.local_addr().unwrap();
    let agent = agents.spawn(async move {
        let connection = listener.accept().await.unwrap().complete().await.unwrap().0;
        agent_link(connection, Capacities::default()).await.unwrap()
    });
    let sender = ours.block_on(async {
        let connection = Dialer::bind().unwrap().connect(address, client).await.unwrap();
        sender_link(connection, Capacities::default(), Compression::Auto).await.unwrap()
    });
    let agent = ours.block_on(agent).unwrap();
    // As a kill would: its tasks stop where they are, and no last packet is sent.
    agents.shutdown_timeout(Duration::from_secs(1));
    ours.block_on(async {
        let _restarted = listen(address).unwrap();
        // Fails if the sender has noticed by itself already.
        let _ = sender.control_tx.send(ping(1)).await;
        let closed = tokio::time::timeout(Duration::from_secs(5), sender.end.closed()).await;
        let lost = LinkClosed::Lost { reason: "reset by peer".into() };
        assert_eq!(closed, Ok(lost));
    });
    drop(agent);
}

#[tokio::test]
async fn a_frame_beyond_its_limit_closes_the_connection_with_the_code() {
    let wire = connect().await;
    let agent = tokio::spawn(agent_link(wire.at_agent, Capacities::default()));
    let (mut control, _answer) = wire.at_sender.open_bi().await.unwrap();
    control.write_all(&[1]).await.unwrap();
    let agent = agent.await.unwrap().unwrap();
    control.write_all(&[0xff, 0xff, 0xff, 0xff, 1, 0]).await.unwrap();
    let quinn::ConnectionError::ApplicationClosed(frame) = wire.at_sender.closed().await else {
        panic!("closed otherwise")
    };
    assert_eq!(frame.error_code, VarInt::from_u32(0x19));
    assert!(String::from_utf8_lossy(&frame.reason).contains("4294967295 bytes"));
    assert!(matches!(agent.end.closed().await, LinkClosed::Local(_)));
}

#[track_caller]
fn assert_protocol(error: quinn::ConnectionError, text: &str) {
    let quinn::ConnectionError::ApplicationClosed(frame) = error else { panic!("{error}") };
    assert_eq!(frame.error_code, VarInt::from_u32(0x19));
    let reason = String::from_utf8_lossy(&frame.reason).into_owned();
    assert!(reason.contains(text), "{reason}");
}

#[tokio::test]
async fn a_lane_opened_twice_or_unknown_closes_the_connection() {
    async fn check(lane: u8) {
        let wire = connect().await;
        let agent = tokio::spawn(agent_link(wire.at_agent.clone(), Capacities::default()));
        let (mut control, _answer) = wire.at_sender.open_bi().await.unwrap();
        control.write_all(&[1]).await.unwrap();
        let mut streams = Vec::new();
        for _ in 0..2 {
            let mut stream = wire.at_sender.open_uni().await.unwrap();
            stream.write_all(&[lane]).await.unwrap();
            streams.push(stream);
        }
        let _agent = agent.await.unwrap().unwrap();
        assert_protocol(wire.at_sender.closed().await, "not one of the lanes");
    }
    tokio::join!(check(2), check(4), check(16), check(99));
}

#[tokio::test]
async fn a_message_on_another_lane_closes_the_connection() {
    let wire = connect().await;
    let agent = tokio::spawn(agent_link(wire.at_agent.clone(), Capacities::default()));
    let (mut control, _answer) = wire.at_sender.open_bi().await.unwrap();
    let frame = crate::codec::encode(&chunk(1, 5)).unwrap().to_vec();
    control.write_all(&[&[1], &*frame].concat()).await.unwrap();
    let _agent = agent.await.unwrap().unwrap();
    let expected = format!("on the {:?} lane", Lane::Control);
    assert_protocol(wire.at_sender.closed().await, &expected);
}

#[tokio::test]
async fn a_control_frame_that_is_never_finished_closes_the_connection() {
    let wire = connect().await;
    let agent = tokio::spawn(agent_link(wire.at_agent.clone(), Capacities::default()));
    let (mut control, _answer) = wire.at_sender.open_bi().await.unwrap();
    control.write_all(&[1, 4]).await.unwrap();
    let _agent = agent.await.unwrap().unwrap();
    tokio::time::pause();
    assert_protocol(wire.at_sender.closed().await, "not complete after 30 s");
}

#[tokio::test]
async fn a_connection_that_begins_otherwise_is_no_link() {
    let wire = connect().await;
    let agent = tokio::spawn(agent_link(wire.at_agent.clone(), Capacities::default()));
    let _pairing = pairing::PairingSender::open(&wire.at_sender).await.unwrap();
    assert!(matches!(agent.await.unwrap(), Err(LinkError::NotControl)));
    assert_protocol(wire.at_sender.closed().await, "control stream");
}

#[tokio::test]
async fn a_pairing_is_asked_and_answered_and_bound_to_its_session() {
    let wire = connect().await;
    let secret = |connection| export_keying_material(connection, b"pairing", b"", 32).unwrap();
    assert_eq!(secret(&wire.at_sender), secret(&wire.at_agent));
    let at_agent = wire.at_agent.clone();
    let agent = tokio::spawn(async move {
        let mut agent = pairing::PairingAgent::accept(&at_agent).await.unwrap();
        while let Some(body) = agent.request().await.unwrap() {
            agent.reply([&b"re: "[..], &body].concat().into()).await.unwrap();
        }
    });
    let mut sender = pairing::PairingSender::open(&wire.at_sender).await.unwrap();
    for word in [&b"one"[..], b"two"] {
        let answer = sender.ask(Bytes::from_static(word)).await.unwrap();
        assert_eq!(answer, [b"re: ", word].concat());
    }
    sender.finish();
    agent.await.unwrap();
}

#[tokio::test]
async fn a_closed_listener_tells_its_peers() {
    let (sender, _agent, wire) = links().await;
    let close = Close { code: CloseCode::Refused(RefusalCode::Stopping), reason: String::new() };
    wire.listener.close(&close).await;
    assert_eq!(sender.end.closed().await, LinkClosed::Peer(close));
    assert!(wire.listener.accept().await.is_none());
}

#[tokio::test]
async fn a_dial_to_nobody_says_so() {
    let (server, client) = tls();
    let unused = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), server, &RESET_KEY).unwrap();
    let address: SocketAddr = unused.local_addr().unwrap();
    tokio::time::pause();
    let error = Dialer::bind().unwrap().connect(address, client).await.unwrap_err();
    assert!(matches!(error, DialError::TimedOut { .. }), "{error}");
}
