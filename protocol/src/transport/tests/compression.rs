//! Compressed frames: what they save, when they may be sent, and which are refused.

use super::*;

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
