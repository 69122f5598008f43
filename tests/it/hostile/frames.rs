//! Bytes that are no messages, and names and paths that are none.

use super::*;

/// The byte that begins the control stream, and the one that begins the listing stream.
const CONTROL_STREAM: u8 = 1;
const LISTING_STREAM: u8 = 2;

/// Requires the same as [`check`] of an attack with bytes that are no messages: what follows the hello on the control stream,
/// and what the listing stream carries.
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
