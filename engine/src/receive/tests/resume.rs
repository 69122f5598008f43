//! What an interruption leaves, and what may be made of it.

use super::*;

#[test]
fn an_interrupted_file_goes_on_from_its_partial() {
    let content = noise(1, 3 * MIB);
    let chunks = cut(Params::from_average(64 << 10).unwrap(), &content);
    let half = chunks.len() / 2;
    let world = World::new();
    assert_eq!(world.begin(0, world.target("a", content.len())), Basis::Nothing);
    let mut offset = 0;
    for chunk in &chunks[..half] {
        world.chunk(0, offset, chunk).unwrap();
        offset += chunk.len();
    }
    let world = world.parked();
    assert_eq!(world.begin(0, world.target("a", content.len())), Basis::Bytes);
    let (sent, ready) = world.send_lacking(0, &content);
    assert_eq!(sent, content.len() - offset);
    let committed = world.commit(ready);
    assert_eq!(committed.origins.resumed_bytes, offset as u64);
    assert_eq!(committed.origins.literal_bytes, sent as u64);
    assert_eq!(world.read("a"), content);
    assert!(world.left_behind().is_empty());
}

#[test]
fn what_was_sent_in_blocks_is_found_in_chunks() {
    let content = noise(1, 3 * MIB);
    let world = World::new();
    world.begin(0, world.target("a", content.len()));
    // Of two blocks, the first comes last.
    let sent = 2 * PART;
    world.chunk(0, PART, &content[PART..sent]).unwrap();
    world.chunk(0, 0, &content[..PART]).unwrap();
    let world = world.parked();
    assert_eq!(world.begin(0, world.target("a", content.len())), Basis::Bytes);
    let (sent_again, ready) = world.send_lacking(0, &content);
    let chunk_max = Params::from_average(64 << 10).unwrap().max_bytes();
    assert!((1..=chunk_max).contains(&(sent_again + sent - content.len())), "{sent_again}");
    world.commit(ready);
    assert_eq!(world.read("a"), content);
}

#[test]
fn after_a_kill_what_a_checkpoint_recorded_is_not_sent_again() {
    let content = noise(2, 2 * MIB);
    let mut world = World::new();
    world.begin(0, world.target("a", content.len()));
    let chunks = cut(Params::from_average(64 << 10).unwrap(), &content);
    world.chunk(0, 0, &chunks[0]).unwrap();
    world.now += CHECKPOINT_INTERVAL;
    world.chunk(0, chunks[0].len(), &chunks[1]).unwrap();
    world.chunk(0, chunks[0].len() + chunks[1].len(), &chunks[2]).unwrap();
    let world = world.killed();
    assert_eq!(world.begin(0, world.target("a", content.len())), Basis::Bytes);
    let (sent, ready) = world.send_lacking(0, &content);
    assert_eq!(sent, content.len() - chunks[0].len() - chunks[1].len());
    world.commit(ready);
    assert_eq!(world.read("a"), content);
}

#[test]
fn after_a_kill_a_chunk_that_was_recorded_in_part_is_found_if_it_is_whole() {
    let content = noise(8, 3 * MIB);
    let mut world = World::new();
    world.begin(0, world.target("a", content.len()));
    let block = |at: usize| &content[at * PART..(at + 1) * PART];
    world.chunk(0, 0, block(0)).unwrap();
    world.now += CHECKPOINT_INTERVAL;
    world.chunk(0, PART, block(1)).unwrap();
    world.chunk(0, 2 * PART, block(2)).unwrap();
    let recorded = 2 * PART;
    let mut found = 0;
    for chunk in cut(Params::from_average(64 << 10).unwrap(), &content) {
        if found < recorded {
            found += chunk.len();
        }
    }
    assert!(
        (recorded + 1..3 * PART).contains(&found),
        "{found}: no chunk lies across the record's end"
    );
    let world = world.killed();
    assert_eq!(world.begin(0, world.target("a", content.len())), Basis::Bytes);
    let (sent, ready) = world.send_lacking(0, &content);
    assert_eq!(sent, content.len() - found);
    world.commit(ready);
    assert_eq!(world.read("a"), content);
}

#[test]
fn what_no_record_claims_is_swept_when_the_share_is_used_again() {
    let world = World::new();
    world.begin(0, world.target("a", 2 * MIB));
    world.chunk(0, 0, &noise(3, PART)).unwrap();
    world.begin(1, world.target("b", 1));
    drop(world.whole(1, b"b"));
    assert_eq!(world.left_behind().len(), 2);
    let world = world.killed();
    world.share.private().unwrap();
    assert!(world.left_behind().is_empty());
}

#[test]
fn a_partial_that_nobody_comes_back_for_is_swept_by_age() {
    let world = World::new();
    world.begin(0, world.target("a", 2 * MIB));
    world.chunk(0, 0, &noise(3, PART)).unwrap();
    world.receiver.park(world.now);
    assert_eq!(world.left_behind().len(), 2);
    let written = fs::metadata(world.path(".quicopy/partial")).unwrap().mtime();
    let at = |days: i64| Timestamp { seconds: written + days * 24 * 3600, nanos: 0 };
    let age = crate::disk::share::PARTIAL_AGE_MAX;
    assert_eq!(world.share.sweep(age, at(13)).unwrap(), 0);
    assert_eq!(world.share.sweep(age, at(15)).unwrap(), 1);
    assert!(world.left_behind().is_empty());
}

/// Parks a file with its first part received, tampers with the partial, and returns what the next try is offered.
fn tamper(name: &str, tamper: impl FnOnce(&World, PathBuf)) -> (World, Vec<u8>, Basis) {
    let content = noise(4, 2 * MIB);
    let world = World::new();
    world.begin(0, world.target(name, content.len()));
    let chunks = cut(Params::from_average(64 << 10).unwrap(), &content);
    world.chunk(0, 0, &chunks[0]).unwrap();
    world.receiver.park(world.now);
    let left = world.left_behind();
    let partial = left.iter().find(|name| name.ends_with(".part")).unwrap();
    let partial = world.path(".quicopy/partial").join(partial);
    tamper(&world, partial);
    let world = world.killed();
    let basis = world.begin(0, world.target(name, content.len()));
    (world, content, basis)
}

#[test]
fn a_byte_flipped_inside_a_claimed_chunk_is_found_and_sent_again() {
    let (world, content, basis) = tamper("a", |_, partial| {
        let mut bytes = fs::read(&partial).unwrap();
        bytes[100] ^= 1;
        fs::write(&partial, bytes).unwrap();
    });
    assert_eq!(basis, Basis::Bytes);
    let (sent, ready) = world.send_lacking(0, &content);
    assert_eq!(sent, content.len());
    world.commit(ready);
    assert_eq!(world.read("a"), content);
}

#[test]
fn a_partial_that_became_a_link_or_a_second_name_is_left_alone_and_begun_anew() {
    for kind in ["symlink", "hard link", "copy"] {
        let (world, content, basis) = tamper("a", |world, partial| {
            fs::write(world.path("foreign"), b"foreign").unwrap();
            // Moved, not removed: its inode's number must not be given to what takes its place.
            let aside = world.path("aside");
            fs::rename(&partial, &aside).unwrap();
            match kind {
                "symlink" => symlink(world.path("foreign"), &partial).unwrap(),
                "hard link" => fs::hard_link(world.path("foreign"), &partial).unwrap(),
                _ => drop(fs::copy(&aside, &partial).unwrap()),
            }
        });
        assert_eq!(basis, Basis::Nothing, "{kind}");
        world.chunk(0, 0, &content[..MIB]).unwrap();
        world.chunk(0, MIB, &content[MIB..]).unwrap();
        world.commit(ready(world.end(0, &content).unwrap()));
        assert_eq!(world.read("a"), content);
        assert_eq!(world.read("foreign"), b"foreign", "{kind}");
    }
}

#[test]
fn a_partial_that_became_a_directory_is_worked_around() {
    let (world, content, basis) = tamper("a", |_, partial| {
        fs::remove_file(&partial).unwrap();
        fs::create_dir(&partial).unwrap();
        fs::write(partial.join("kept"), b"").unwrap();
    });
    assert_eq!(basis, Basis::Nothing);
    world.chunk(0, 0, &content[..MIB]).unwrap();
    world.chunk(0, MIB, &content[MIB..]).unwrap();
    world.commit(ready(world.end(0, &content).unwrap()));
    assert_eq!(world.read("a"), content);
}

#[test]
fn another_sender_gets_nothing_of_a_partial() {
    let world = World::new();
    world.begin(0, world.target("a", 2 * MIB));
    world.chunk(0, 0, &noise(5, PART)).unwrap();
    world.receiver.park(world.now);
    let tree = world.share.tree(&RelPath::ROOT).unwrap().unwrap();
    let other = Receiver::new(&tree, b"other", Arc::clone(&world.durable));
    let basis = other.begin(WantId(0), world.target("a", 2 * MIB), world.now).unwrap();
    assert_eq!(basis, Basis::Nothing);
}

#[test]
fn a_hole_is_zeros_even_where_an_earlier_try_left_bytes() {
    let mut content = noise(7, 3 * MIB);
    let world = World::new();
    world.begin(0, world.target("a", content.len()));
    for offset in (0..3 * MIB).step_by(MIB) {
        world.chunk(0, offset, &content[offset..offset + MIB]).unwrap();
    }
    let world = world.parked();
    content[MIB..2 * MIB].fill(0);
    assert_eq!(world.begin(0, world.target("a", content.len())), Basis::Bytes);
    let list = |offset: usize| [(MIB as u32, Digest::of(&content[offset..offset + MIB]))];
    for offset in [0, 2 * MIB] {
        let last = offset > 0;
        let answer = world
            .receiver
            .chunk_list(WantId(0), 64 << 10, offset as u64, &list(offset), last, world.now)
            .unwrap();
        assert!(answer.lacking.runs.is_empty());
    }
    world.end(0, &content).unwrap();
    let step = world.receiver.hole(WantId(0), MIB as u64, MIB as u64, world.now).unwrap();
    let committed = world.commit(ready(step));
    assert_eq!(committed.origins.hole_bytes, MIB as u64);
    assert_eq!(world.read("a"), content);
}

#[test]
fn a_sync_that_fails_at_a_checkpoint_is_final() {
    let mut world = World::new();
    world.begin(0, world.target("a", 4 * MIB));
    world.begin(1, world.target("b", 4 * MIB));
    world.chunk(1, 0, &noise(9, PART)).unwrap();
    world.chunk(0, 0, &noise(9, PART)).unwrap();
    world.now += CHECKPOINT_INTERVAL;
    world.fails.store(true, Ordering::Relaxed);
    let error = world.chunk(0, PART, &noise(9, PART)).unwrap_err();
    assert!(matches!(error, ReceiveError::Sync(_)) && !error.is_transient());
    world.fails.store(false, Ordering::Relaxed);
    assert!(world.share.is_degraded());
    assert!(matches!(world.chunk(1, PART, &noise(9, PART)), Err(ReceiveError::Degraded)));
    world.receiver.park(world.now);
    assert!(world.left_behind().is_empty(), "nothing that the failed sync covered is kept");
}
