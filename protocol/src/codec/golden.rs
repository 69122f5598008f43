//! What stands on the wire, byte for byte, and what cannot.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use proptest::prelude::*;

use super::samples::{any_message, one_of_each};
use super::*;
use crate::limits::*;
use crate::message::*;
use crate::meta::*;
use crate::path::{Name, RelPath};
use crate::verdict::*;

/// A frame each, of the messages in [`one_of_each`]. A released line never changes: a peer depends on it.
const GOLDEN: &[(&str, &str)] = &[
    ("Hello", "1900000001000102fd00000000000100000d717569636f707920302e312e30"),
    ("Refused", "060000000200030468656c64"),
    ("Ping", "050000000300fc70110100"),
    ("Pong", "050000000400fc70110100"),
    ("PairRequest", "08000000080007636f6e74656e74"),
    ("PairReply", "08000000090007636f6e74656e74"),
    (
        "OpenJob",
        "c90000001000abababababababababababababababab03077363726970747303612f6201052a2e7478740002\
         00042e6769740103612f6201fd00000000020000000002010400000000000000020101fcffc99a3b00000000\
         00000000000001010100000001010000000000000001010000200000000101000a01000001010a0104686572\
         6501070107070707070707070707070707070707000305000000010101010101010101010101010101010101\
         010101010101010101010101010102020302fb900109686f73743a2f737263",
    ),
    ("JobOpened", "060000001100640100000107"),
    ("Goodbye", "01000000120001"),
    (
        "Listing",
        "a800000020000703612f620001fcffc99a3bfba401fbe80364000106757365722e6102007605036469720100\
         01fcffc99a3bfba401fbe8036400000466696c6500fb001001fcffc99a3bfba401fbe80364010200046c696e\
         6b02042e2e2f780001fcffc99a3bfba401fbe80364000107046e616d650303612f62fb001001fcffc99a3bfb\
         a401fbe803640102000470697065040001fcffc99a3bfba401fbe8036400010a0205050664656e696564",
    ),
    ("ScanEnd", "01000000210008"),
    ("Plan", "0c00000030000700010104000102fb580201"),
    ("Extras", "0d0000003100070103612f6200090200010000"),
    ("Want", "060000004000fb2c01070201"),
    ("Lack", "090000004100fb2c01020002050106"),
    ("Cancel", "030000004200fb2c01"),
    (
        "ChunkList",
        "510000004300fb2c01fb0040fc0000100002fb803e000102030405060708090a0b0c0d0e0f10111213141516\
         1718191a1b1c1d1e1f01000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f01",
    ),
    (
        "Chunk",
        "2f0000005000fb2c01fc00001000000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d\
         1e1f636f6e74656e74",
    ),
    ("Hole", "0f0000005100fb2c01fb0010fd0000000000010000"),
    (
        "WholeFile",
        "350000005200fb2c01000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f010675\
         7365722e61020076636f6e74656e74",
    ),
    (
        "FileEnd",
        "310000005300fb2c01fb0010000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\
         0106757365722e61020076",
    ),
    ("FileFailed", "0f0000005400fb2c01fb001005050664656e696564"),
    ("Outcomes", "1c0000006000020702000102030407020205050664656e6965640103612f62010007"),
    ("Retrying", "0c0000006100070205050664656e6965641e"),
    ("Notice", "0d00000062000c74696d6573206f6620322073"),
    ("JobDone", "1f00000063000101000108746f6f206d616e79010707070707070707070707070707070707"),
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn frame(number: u16, body: impl Into<Bytes>) -> Frame {
    Frame { number, body: body.into() }
}

fn round_trip(message: &Message) -> Message {
    let mut decoder = FrameDecoder::new();
    decoder.push(&encode(message).unwrap().to_vec());
    let decoded = decode(decoder.next_frame().unwrap().unwrap()).unwrap();
    assert!(!decoder.is_inside_frame());
    decoded
}

#[test]
fn every_message_has_the_bytes_it_always_had() {
    let frames: Vec<_> = one_of_each()
        .iter()
        .map(|message| (message.name(), hex(&encode(message).unwrap().to_vec())))
        .collect();
    for (name, hex) in &frames {
        let golden = GOLDEN.iter().find(|(golden, _)| golden == name).map(|(_, hex)| *hex);
        assert_eq!(golden, Some(&**hex), "    (\"{name}\", \"{hex}\"),");
    }
    let names: Vec<_> = frames.iter().map(|(name, _)| *name).collect();
    let table: Vec<_> = NUMBERS.iter().map(|(_, name)| *name).collect();
    assert_eq!(names, table, "a message has no sample");
}

#[test]
fn every_sample_comes_back() {
    for message in one_of_each() {
        assert_eq!(round_trip(&message), message);
    }
}

#[test]
fn bytes_behind_the_last_field_are_an_error() {
    for message in one_of_each() {
        let mut body = encode(&message).unwrap().to_vec().split_off(FRAME_HEAD_BYTES);
        body.push(0);
        let decoded = decode(frame(message.number(), body));
        match message {
            // Their content goes on to the end of the frame.
            Message::Chunk(_) | Message::WholeFile(_) => assert!(decoded.is_ok()),
            _ => assert!(matches!(decoded, Err(DecodeError::TrailingBytes { excess: 1, .. }))),
        }
    }
}

#[test]
fn a_body_that_ends_early_is_an_error() {
    for message in one_of_each() {
        let encoded = encode(&message).unwrap();
        let fields = encoded.head.slice(FRAME_HEAD_BYTES..);
        for cut in 0..fields.len() {
            let decoded = decode(frame(message.number(), fields.slice(..cut)));
            assert!(decoded.is_err(), "{} cut at {cut}: {decoded:?}", message.name());
        }
    }
}

#[test]
fn content_is_not_copied_on_its_way() {
    let data = Bytes::from(vec![7; 10_000]);
    let message = Chunk { want: WantId(0), offset: 0, digest: Digest([0; 32]), data: data.clone() };
    let encoded = encode(&message.into()).unwrap();
    assert_eq!(encoded.data.as_ptr(), data.as_ptr());
    let body = Bytes::from(encoded.to_vec().split_off(FRAME_HEAD_BYTES));
    let end = body.as_ptr_range().end;
    let Ok(Message::Chunk(chunk)) = decode(frame(0x50, body)) else { panic!("not a chunk") };
    assert_eq!(chunk.data.as_ptr_range().end, end);
}

#[test]
fn a_list_that_claims_too_much_is_refused_by_its_claim() {
    // Want 0, then a count as a variable-length integer of 16, 32 and 64 bits; nothing behind it.
    for count in [
        &[251, 0x01, 0x10][..],
        &[252, 255, 255, 255, 255],
        &[253, 255, 255, 255, 255, 255, 255, 255, 255],
    ] {
        let error = decode(frame(0x41, [&[0], count].concat())).unwrap_err();
        let text = format!("{error:?}");
        assert!(text.contains("invalid length") || text.contains("Limit"), "{text}");
    }
}

#[test]
fn a_text_that_claims_too_much_is_refused_by_its_claim() {
    for claim in [&[252, 255, 255, 255, 255][..], &[253, 255, 255, 255, 255, 255, 255, 255, 127]] {
        let error = decode(frame(0x62, claim.to_vec())).unwrap_err();
        assert!(matches!(
            error,
            DecodeError::Malformed { source: bincode::error::DecodeError::LimitExceeded, .. }
        ));
    }
}

fn listing(entries: Vec<Entry>) -> Listing {
    Listing {
        dir: DirId(0),
        path: RelPath::ROOT,
        meta: Meta::default(),
        attributes: Vec::new(),
        entries,
        state: ListingState::Complete,
    }
}

fn entry(name: &str) -> Entry {
    Entry {
        name: Name::new(name.as_bytes()).unwrap(),
        kind: Kind::File,
        meta: Meta::default(),
        skip: None,
    }
}

#[track_caller]
fn check_invalid(message: impl Into<Message>, reason: &str) {
    match encode(&message.into()) {
        Err(EncodeError::Invalid { source, .. }) => assert_eq!(source.to_string(), reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_in_a_listing_ascend_strictly() {
    for names in [["b", "a"], ["a", "a"]] {
        check_invalid(listing(names.map(entry).into()), "names are not in ascending order");
    }
    round_trip(&listing(["a", "b"].map(entry).into()).into());
}

#[test]
fn numbers_outside_their_range_are_refused() {
    let odd = Meta { mode: 0o10000, ..Meta::default() };
    check_invalid(
        listing(vec![Entry { meta: odd, ..entry("a") }]),
        "a mode is 4096, 0 to 4095 are allowed",
    );
    let late = Timestamp { seconds: 0, nanos: 1_000_000_000 };
    check_invalid(
        listing(vec![Entry { meta: Meta { modified: late, ..Meta::default() }, ..entry("a") }]),
        "the nanoseconds of a time is 1000000000, 0 to 999999999 are allowed",
    );
    let fat = Meta { size_bytes: 1, ..Meta::default() };
    check_invalid(
        listing(vec![Entry { kind: Kind::Directory, meta: fat, ..entry("a") }]),
        "the size of what is not a file is 1, 0 to 0 are allowed",
    );
    let link = |length| Kind::Link { target: vec![b'x'; length].into() };
    for length in [0, LINK_TARGET_BYTES_MAX + 1] {
        check_invalid(
            listing(vec![Entry { kind: link(length), ..entry("a") }]),
            &format!("the length of a link's text is {length}, 1 to 4095 are allowed"),
        );
    }
    round_trip(&listing(vec![Entry { kind: link(LINK_TARGET_BYTES_MAX), ..entry("a") }]).into());
}

#[test]
fn texts_keep_their_limit() {
    round_trip(&Notice { text: "x".repeat(TEXT_BYTES_MAX) }.into());
    check_invalid(
        Notice { text: "x".repeat(TEXT_BYTES_MAX + 1) },
        "a notice is 1025, 0 to 1024 are allowed",
    );
}

#[test]
fn runs_ascend_apart_and_within_what_is_answered() {
    let lack = |runs: &[(u32, u32)]| Lack { want: WantId(0), runs: runs.to_vec(), answered: 10 };
    round_trip(&lack(&[(0, 2), (3, 7)]).into());
    check_invalid(lack(&[(3, 1), (0, 1)]), "runs are not in ascending order");
    check_invalid(lack(&[(0, 3), (2, 1)]), "runs are not in ascending order");
    check_invalid(lack(&[(0, 3), (3, 1)]), "runs are not in ascending order");
    check_invalid(lack(&[(0, 0)]), "the length of a run is 0, 1 to 4294967295 are allowed");
    check_invalid(lack(&[(u32::MAX, 1)]), "a run ends beyond what 64 bits can count");
    check_invalid(lack(&[(9, 2)]), "the end of a run is 11, 1 to 10 are allowed");
}

#[test]
fn content_has_a_place_and_a_length() {
    let chunk = |offset, length| Chunk {
        want: WantId(0),
        offset,
        digest: Digest([0; 32]),
        data: vec![0; length].into(),
    };
    round_trip(&chunk(0, CHUNK_BYTES_MAX).into());
    check_invalid(chunk(0, 0), "the length of a chunk is 0, 1 to 1048576 are allowed");
    check_invalid(
        chunk(0, CHUNK_BYTES_MAX + 1),
        "the length of a chunk is 1048577, 1 to 1048576 are allowed",
    );
    check_invalid(chunk(u64::MAX, 1), "a chunk ends beyond what 64 bits can count");
    let hole = |offset, length| Hole { want: WantId(0), offset, length };
    check_invalid(hole(0, 0), "the length of a hole is 0, 1 to 18446744073709551615 are allowed");
    check_invalid(hole(1, u64::MAX), "a hole ends beyond what 64 bits can count");
}

#[test]
fn attributes_are_bounded_together_and_fit_a_frame_at_their_limit() {
    let end = |attributes| FileEnd {
        want: WantId(u64::MAX),
        size_bytes: u64::MAX,
        digest: Digest([255; 32]),
        attributes,
    };
    let of = |name: usize, value: usize| Attribute {
        name: vec![b'n'; name].into(),
        value: vec![b'v'; value].into(),
    };
    round_trip(&end(vec![of(1, ATTRIBUTES_BYTES_MAX - 1)]).into());
    round_trip(&end(vec![of(32, 32); ATTRIBUTES_MAX]).into());
    check_invalid(
        end(vec![of(1, ATTRIBUTES_BYTES_MAX)]),
        "the bytes of attributes is 65537, 0 to 65536 are allowed",
    );
    check_invalid(
        end(vec![of(1, 0); ATTRIBUTES_MAX + 1]),
        "attributes is 1025, 0 to 1024 are allowed",
    );
    let whole = WholeFile {
        want: WantId(u64::MAX),
        digest: Digest([255; 32]),
        attributes: vec![of(32, 32); ATTRIBUTES_MAX],
        data: vec![0; WHOLE_FILE_BYTES_MAX as usize].into(),
    };
    round_trip(&whole.into());
}

#[test]
fn the_largest_batches_of_the_smallest_items_fit_their_frame() {
    let names: Vec<_> = (0..BATCH_ITEMS_MAX).map(|n| entry(&format!("{n:06}"))).collect();
    round_trip(&listing(names).into());
    let mut too_many: Vec<_> = (0..=BATCH_ITEMS_MAX).map(|n| entry(&format!("{n:06}"))).collect();
    check_invalid(listing(too_many.clone()), "entries is 4097, 0 to 4096 are allowed");
    too_many.pop();
    let verdicts = (0..BATCH_ITEMS_MAX as u32).map(|index| Verdict {
        index: u32::MAX - BATCH_ITEMS_MAX as u32 + index,
        class: FileClass::Newer,
        action: Action::Copy,
        conflict: false,
    });
    let plan = Plan {
        dir: DirId(u64::MAX),
        state: DirState::Existing,
        verdicts: verdicts.collect(),
        same: Tally::default(),
        last: false,
    };
    round_trip(&plan.into());
    let list = ChunkList {
        want: WantId(0),
        average_bytes: 1,
        offset: 0,
        chunks: vec![(CHUNK_BYTES_MAX as u32, Digest([255; 32])); BATCH_ITEMS_MAX],
        last: false,
    };
    round_trip(&list.into());
}

proptest! {
    #[test]
    fn any_message_comes_back(message in any_message()) {
        prop_assert_eq!(round_trip(&message), message);
    }

    #[test]
    fn any_body_gives_a_message_or_an_error(
        row in 0..NUMBERS.len(),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let number = NUMBERS[row].0;
        if let Ok(message) = decode(frame(number, body)) {
            prop_assert_eq!(message.number(), number);
            prop_assert!(encode(&message).is_ok());
        }
    }

    #[test]
    fn any_flipped_byte_gives_a_message_or_an_error(
        message in any_message(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut body = encode(&message).unwrap().to_vec().split_off(FRAME_HEAD_BYTES);
        if !body.is_empty() {
            *at.get_mut(&mut body) = byte;
        }
        if let Ok(message) = decode(frame(message.number(), body)) {
            prop_assert_eq!(round_trip(&message), message);
        }
    }
}
