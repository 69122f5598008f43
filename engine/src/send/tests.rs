#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use quicopy_protocol::meta::{Attribute, Digest};
use quicopy_protocol::options::{CopyFlags, LinkPolicy, Retry};
use quicopy_protocol::path::{Name, RelPath};
use quicopy_protocol::verdict::Basis;

use super::*;
use crate::source::{Links, Source, Stat, StopFlag};

const MIB: usize = 1 << 20;

/// A tree with one file `f`, and the file as a listing would offer it.
struct Fixture {
    dir: tempfile::TempDir,
    context: Context,
    offered: OfferedFile,
}

impl Fixture {
    fn new(content: &[u8]) -> Self {
        Self::with(|path| fs::write(path, content).unwrap())
    }

    fn with(make: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        make(&dir.path().join("f"));
        let source = Source::open(dir.path(), LinkPolicy::default()).unwrap();
        let stat = Stat::of_entry(source.root(), b"f", Links::Refuse).unwrap();
        let path = RelPath::from(Name::new(*b"f").unwrap());
        let context = Context {
            source: Arc::new(source),
            copy: CopyFlags::DAT,
            retry: Retry { retries: 1, wait_seconds: 0 },
            unbuffered: false,
            stop: StopFlag::default(),
            on_retry: OnRetry::default(),
        };
        Self {
            dir,
            context,
            offered: OfferedFile { path, meta: stat.meta, identity: stat.identity },
        }
    }

    /// Serves the file while the agent answers that it lacks the chunks that `lacks` says.
    fn serve(&self, basis: Basis, agent: &mut Agent<'_>) -> Served {
        let (sender, answers) = async_channel::unbounded();
        agent.answers = Some(sender);
        serve(&self.context, self.offered.clone(), basis, &answers, agent)
    }

    fn append(&self) {
        let mut file = OpenOptions::new().append(true).open(self.dir.path().join("f")).unwrap();
        std::io::Write::write_all(&mut file, b"more").unwrap();
    }
}

/// The other side: puts the file together again, and answers lists at once.
struct Agent<'a> {
    lacks: &'a dyn Fn(u32) -> bool,
    answers: Option<async_channel::Sender<Lacking>>,
    listed: Vec<(u64, u32, Digest)>,
    last_seen: bool,
    chunks: Vec<(u64, Bytes)>,
    holes: Vec<(u64, u64)>,
    ended: Option<(u64, Digest)>,
    whole: Option<Bytes>,
    failure: Option<Failure>,
    /// Called with each piece of content.
    on_content: &'a mut dyn FnMut() -> Result<(), Closed>,
}

impl<'a> Agent<'a> {
    fn new(
        lacks: &'a dyn Fn(u32) -> bool,
        on_content: &'a mut dyn FnMut() -> Result<(), Closed>,
    ) -> Self {
        Self {
            lacks,
            answers: None,
            listed: Vec::new(),
            last_seen: false,
            chunks: Vec::new(),
            holes: Vec::new(),
            ended: None,
            whole: None,
            failure: None,
            on_content,
        }
    }

    /// What was received, with zeros where nothing came.
    fn content(&self) -> Vec<u8> {
        if let Some(whole) = &self.whole {
            return whole.to_vec();
        }
        let mut content = vec![0; self.ended.unwrap().0 as usize];
        for (offset, data) in &self.chunks {
            content[*offset as usize..][..data.len()].copy_from_slice(data);
        }
        content
    }
}

impl ContentSink for Agent<'_> {
    fn whole_file(&mut self, digest: Digest, _: Vec<Attribute>, data: Bytes) -> Result<(), Closed> {
        assert_eq!(Digest::of(&data), digest);
        self.whole = Some(data);
        (self.on_content)()
    }

    fn chunk(&mut self, offset: u64, digest: Digest, data: Bytes) -> Result<(), Closed> {
        assert_eq!(Digest::of(&data), digest);
        self.chunks.push((offset, data));
        (self.on_content)()
    }

    fn hole(&mut self, offset: u64, length: u64) -> Result<(), Closed> {
        self.holes.push((offset, length));
        Ok(())
    }

    fn chunk_list(&mut self, list: ChunkListing) -> Result<(), Closed> {
        assert!(!self.last_seen && (1..=1024).contains(&list.chunks.len()));
        self.last_seen = list.last;
        let first = self.listed.len() as u32;
        let mut offset = list.offset;
        for (length, digest) in list.chunks {
            self.listed.push((offset, length, digest));
            offset += u64::from(length);
        }
        let answered = self.listed.len() as u32;
        let runs = (first..answered).filter(|&index| (self.lacks)(index)).map(|index| (index, 1));
        let answer = Lacking { runs: runs.collect(), answered };
        self.answers.as_ref().unwrap().send_blocking(answer).unwrap();
        Ok(())
    }

    fn end(&mut self, size_bytes: u64, digest: Digest, _: Vec<Attribute>) -> Result<(), Closed> {
        self.ended = Some((size_bytes, digest));
        Ok(())
    }

    fn failed(&mut self, failure: Failure) -> Result<(), Closed> {
        self.failure = Some(failure);
        Ok(())
    }
}

/// Bytes that repeat nowhere, the same in every run.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn sent(literal_bytes: usize) -> Served {
    Served { literal_bytes: literal_bytes as u64, end: ServeEnd::Sent }
}

#[test]
fn a_small_file_travels_whole() {
    for size in [0, 1, MIB] {
        let content = noise(size);
        let (mut go_on, none) = (|| Ok(()), |_| false);
        let mut agent = Agent::new(&none, &mut go_on);
        assert_eq!(Fixture::new(&content).serve(Basis::Nothing, &mut agent), sent(size));
        assert_eq!(agent.content(), content);
        assert!(agent.chunks.is_empty() && agent.ended.is_none());
    }
}

#[test]
fn a_large_file_travels_as_chunks_in_file_order() {
    let content = noise(3 * MIB + 5);
    let (mut go_on, none) = (|| Ok(()), |_| false);
    let mut agent = Agent::new(&none, &mut go_on);
    assert_eq!(Fixture::new(&content).serve(Basis::Nothing, &mut agent), sent(content.len()));
    assert!(agent.content() == content && agent.chunks.is_sorted_by_key(|chunk| chunk.0));
    assert_eq!(agent.ended, Some((content.len() as u64, Digest::of(&content))));
    assert!(agent.listed.is_empty());
}

/// Data at three places of a large file of zeros.
fn sparse() -> (Fixture, Vec<u8>) {
    let mut content = vec![0; 16 * MIB];
    for offset in [2 * MIB, 9 * MIB] {
        content[offset..offset + MIB].copy_from_slice(&noise(MIB));
    }
    let fixture = Fixture::with(|path| {
        let file = fs::File::create(path).unwrap();
        file.set_len(content.len() as u64).unwrap();
        for offset in [2 * MIB, 9 * MIB] {
            file.write_all_at(&content[offset..offset + MIB], offset as u64).unwrap();
        }
    });
    (fixture, content)
}

#[test]
fn holes_travel_as_holes_and_count_as_zeros_in_the_hash() {
    for basis in [Basis::Nothing, Basis::Bytes] {
        let (fixture, content) = sparse();
        let (mut go_on, all) = (|| Ok(()), |_| true);
        let mut agent = Agent::new(&all, &mut go_on);
        let served = fixture.serve(basis, &mut agent);
        assert!(agent.content() == content);
        assert_eq!(agent.ended, Some((content.len() as u64, Digest::of(&content))));
        let holes: u64 = agent.holes.iter().map(|hole| hole.1).sum();
        assert_eq!(served, sent(content.len() - holes as usize));
        assert!(basis == Basis::Nothing || agent.last_seen);
    }
}

#[test]
fn a_file_that_is_one_hole_has_no_list() {
    let fixture = Fixture::with(|path| fs::File::create(path).unwrap().set_len(4 << 20).unwrap());
    let (mut go_on, all) = (|| Ok(()), |_| true);
    let mut agent = Agent::new(&all, &mut go_on);
    let served = fixture.serve(Basis::Bytes, &mut agent);
    assert!(agent.content() == vec![0; 4 << 20]);
    if agent.holes.is_empty() {
        println!("skipped: this file system does not tell holes");
    } else {
        assert!(agent.listed.is_empty() && served == sent(0));
    }
}

#[test]
fn only_lacking_chunks_travel_when_the_agent_has_something() {
    let content = noise(20 * MIB);
    for (lacks, all) in
        [((|_| false) as fn(u32) -> bool, false), (|_| true, true), (|index| index % 7 == 3, false)]
    {
        let mut go_on = || Ok(());
        let mut agent = Agent::new(&lacks, &mut go_on);
        let served = Fixture::new(&content).serve(Basis::Bytes, &mut agent);
        let expected: Vec<_> = (0..)
            .zip(&agent.listed)
            .filter(|(index, _)| lacks(*index))
            .map(|(_, chunk)| chunk.0)
            .collect();
        let offsets: Vec<_> = agent.chunks.iter().map(|chunk| chunk.0).collect();
        assert_eq!(offsets, expected);
        assert_eq!(served, sent(agent.chunks.iter().map(|chunk| chunk.1.len()).sum()));
        assert!(agent.last_seen && (!all || agent.content() == content));
        assert_eq!(agent.ended, Some((content.len() as u64, Digest::of(&content))));
        let lengths: u64 = agent.listed.iter().map(|chunk| u64::from(chunk.1)).sum();
        assert_eq!(lengths, content.len() as u64);
    }
}

#[test]
fn an_empty_file_with_a_basis_is_just_its_end() {
    let (mut go_on, all) = (|| Ok(()), |_| true);
    let mut agent = Agent::new(&all, &mut go_on);
    assert_eq!(Fixture::new(b"").serve(Basis::Bytes, &mut agent), sent(0));
    assert_eq!(agent.ended, Some((0, Digest::of(b""))));
}

#[test]
fn a_file_that_changes_while_it_is_read_fails_and_has_no_end() {
    for basis in [Basis::Nothing, Basis::Bytes] {
        let fixture = Fixture::new(&noise(8 * MIB));
        let mut changed = false;
        let mut change = || {
            if !std::mem::replace(&mut changed, true) {
                fixture.append();
            }
            Ok(())
        };
        let all = |_| true;
        let mut agent = Agent::new(&all, &mut change);
        let served = fixture.serve(basis, &mut agent);
        let failure = agent.failure.clone().unwrap();
        assert_eq!((failure.windows_code, agent.ended), (32, None));
        assert_eq!(served.end, ServeEnd::Failed(failure));
        assert!(served.literal_bytes > 0);
    }
}

#[test]
fn a_truncated_file_is_not_padded() {
    let fixture = Fixture::new(&noise(8 * MIB));
    let mut truncate = || {
        let file = OpenOptions::new().write(true).open(fixture.dir.path().join("f")).unwrap();
        file.set_len(3 << 20).unwrap();
        Ok(())
    };
    let none = |_| false;
    let mut agent = Agent::new(&none, &mut truncate);
    let served = fixture.serve(Basis::Nothing, &mut agent);
    assert!(matches!(served.end, ServeEnd::Failed(failure) if failure.windows_code == 32));
    assert!(served.literal_bytes < 4 << 20 && agent.ended.is_none());
}

#[test]
fn a_listed_chunk_that_changed_before_it_was_sent_is_noticed() {
    let fixture = Fixture::new(&noise(2 * MIB));
    let mut serving =
        Serving::open(fixture.context.clone(), fixture.offered.clone(), Basis::Bytes).unwrap();
    let (mut go_on, all) = (|| Ok(()), |_| true);
    let (sender, answers) = async_channel::unbounded();
    let mut agent = Agent::new(&all, &mut go_on);
    agent.answers = Some(sender);
    while serving.advance(&mut agent).unwrap() == Step::More {}
    let file = OpenOptions::new().write(true).open(fixture.dir.path().join("f")).unwrap();
    file.write_all_at(b"changed", 10).unwrap();
    while let Ok(answer) = answers.try_recv() {
        serving.handle_answer(&answer).unwrap();
    }
    let error = serving.advance(&mut agent).unwrap_err();
    assert!(matches!(error, SendError::File(crate::source::FileError::Changed)));
    assert!(agent.chunks.is_empty());
}

#[test]
fn a_file_that_is_gone_fails_with_robocopys_error_2() {
    let fixture = Fixture::new(b"content");
    fs::remove_file(fixture.dir.path().join("f")).unwrap();
    let (mut go_on, none) = (|| Ok(()), |_| false);
    let mut agent = Agent::new(&none, &mut go_on);
    let served = fixture.serve(Basis::Nothing, &mut agent);
    assert!(matches!(served.end, ServeEnd::Failed(failure) if failure.windows_code == 2));
}

#[test]
fn serving_ends_when_nobody_wants_the_rest() {
    let fixture = Fixture::new(&noise(8 * MIB));
    let none = |_| false;

    let mut count = 0;
    let mut close = || {
        count += 1;
        if count == 3 { Err(Closed) } else { Ok(()) }
    };
    let mut agent = Agent::new(&none, &mut close);
    assert_eq!(fixture.serve(Basis::Nothing, &mut agent).end, ServeEnd::Closed);

    for basis in [Basis::Nothing, Basis::Bytes] {
        let (_, cancelled) = async_channel::unbounded();
        let mut go_on = || Ok(());
        let (sender, _answers) = async_channel::unbounded();
        let mut agent = Agent::new(&none, &mut go_on);
        agent.answers = Some(sender);
        let served =
            serve(&fixture.context, fixture.offered.clone(), basis, &cancelled, &mut agent);
        assert_eq!(served.end, ServeEnd::Cancelled);
        assert!(agent.failure.is_none() && agent.ended.is_none());
    }

    let mut stop = || {
        fixture.context.stop.set();
        Ok(())
    };
    let mut agent = Agent::new(&none, &mut stop);
    assert_eq!(fixture.serve(Basis::Nothing, &mut agent).end, ServeEnd::Cancelled);
}

#[test]
fn an_answer_that_nobody_asked_for_ends_the_wish() {
    let fixture = Fixture::new(&noise(8 * MIB));
    let (sender, answers) = async_channel::unbounded();
    sender.send_blocking(Lacking { runs: vec![(0, 1)], answered: 1 }).unwrap();
    let (mut go_on, none) = (|| Ok(()), |_| false);
    let mut agent = Agent::new(&none, &mut go_on);
    let served =
        serve(&fixture.context, fixture.offered.clone(), Basis::Nothing, &answers, &mut agent);
    assert_eq!(served.end, ServeEnd::BadAnswer(BadAnswer::NoLists));
}
