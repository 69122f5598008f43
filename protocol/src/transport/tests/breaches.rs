//! What breaks the rules of streams and frames closes the connection.

use super::*;

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
