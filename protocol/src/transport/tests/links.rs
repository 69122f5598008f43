//! What honest sides say arrives, and each learns how the link ended.

use super::*;

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
