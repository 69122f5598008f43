//! Content that nobody asked for, or that is not what it claims to be.

use super::*;

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
