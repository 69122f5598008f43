//! One wish under way.

use std::sync::Arc;

use bytes::Bytes;
use quicopy_protocol::limits::WHOLE_FILE_BYTES_MAX;
use quicopy_protocol::meta::Digest;
use quicopy_protocol::options::{CopyFlags, Retry};
use quicopy_protocol::verdict::Basis;

use super::answer::{BadAnswer, Books, Lacking, Listed};
use super::listed::{Turn, next_turn};
use super::pieces::{Blocks, Chunks, Piece};
use super::reader::{OnRetry, Reader};
use super::sink::{ChunkListing, Closed, ContentSink};
use crate::source::{FileError, OfferedFile, Source, StopFlag};

/// What all wishes of a job have in common.
#[derive(Clone, Debug)]
pub struct Context {
    /// The tree that the files are in.
    pub source: Arc<Source>,
    /// What is copied of a file; says which attributes travel.
    pub copy: CopyFlags,
    /// How patiently the source is read.
    pub retry: Retry,
    /// Ends serving early.
    pub stop: StopFlag,
    /// Whether what was read is kept out of memory (`/J`).
    pub unbuffered: bool,
    /// Is told when the source is read again.
    pub on_retry: OnRetry,
}

/// Why a wish is not served to its end.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The file cannot be read as it was listed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The job was stopped.
    #[error("the job was stopped")]
    Stopped,
    /// The sink takes nothing any more.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// The agent answered what nobody asked.
    #[error(transparent)]
    BadAnswer(#[from] BadAnswer),
}

/// What a step of serving led to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// There is more to do at once.
    More,
    /// Nothing can be done until [`Serving::handle_answer`] was called.
    AwaitsAnswer,
    /// The sink has all of it.
    Done,
}

/// One file on its way out: call [`advance`](Self::advance) until it is done, and hand in the answers as they come.
///
/// It reads and may wait for the disk or for `/W`, but never for an answer.
pub struct Serving {
    context: Context,
    reader: Reader,
    way: Way,
    literal_bytes: u64,
}

/// How the file travels.
enum Way {
    Whole,
    Streamed(Blocks),
    Listed {
        chunks: Chunks,
        books: Books,
        all_listed: bool,
    },
    /// Read and hashed, and not sent.
    Hashed(Blocks),
    /// Its attributes alone.
    Attributes,
}

impl Serving {
    /// Opens the file of a wish.
    ///
    /// # Errors
    /// It cannot be opened or is not as it was listed.
    pub fn open(context: Context, file: OfferedFile, basis: Basis) -> Result<Self, FileError> {
        let reader = Reader::open(&context, file)?;
        let size_bytes = reader.size_bytes();
        let way = match basis {
            Basis::Nothing if size_bytes <= WHOLE_FILE_BYTES_MAX => Way::Whole,
            Basis::Nothing => Way::Streamed(Blocks::new()),
            Basis::Digest => Way::Hashed(Blocks::new()),
            Basis::Content => Way::Attributes,
            Basis::Bytes => {
                let chunks = Chunks::new(size_bytes);
                Way::Listed { chunks, books: Books::default(), all_listed: false }
            }
        };
        Ok(Self { context, reader, way, literal_bytes: 0 })
    }

    /// Size of the file in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.reader.size_bytes()
    }

    /// Bytes of content that were given to a sink.
    pub fn literal_bytes(&self) -> u64 {
        self.literal_bytes
    }

    /// Takes the agent's answer to lists.
    ///
    /// # Errors
    /// It fits no list.
    pub fn handle_answer(&mut self, answer: &Lacking) -> Result<(), BadAnswer> {
        match &mut self.way {
            Way::Listed { books, .. } => books.handle_answer(answer),
            Way::Whole | Way::Streamed(_) | Way::Hashed(_) | Way::Attributes => {
                Err(BadAnswer::NoLists)
            }
        }
    }

    /// Sends the next part to `sink`: a chunk, a hole, a list, or the end. Not to be called again after [`Step::Done`] or an error.
    ///
    /// # Errors
    /// See [`SendError`]. The sink is not told; what it was given so far is worth nothing unless the end follows.
    pub fn advance(&mut self, sink: &mut dyn ContentSink) -> Result<Step, SendError> {
        match &mut self.way {
            Way::Whole => self.send_whole(sink),
            Way::Attributes => self.send_end(sink, Digest::of(&[])),
            Way::Hashed(blocks) => {
                match blocks.next_piece(&mut self.reader, &self.context.stop)? {
                    Some(Piece::Data { .. } | Piece::Hole { .. }) => Ok(Step::More),
                    None => {
                        let digest = blocks.digest();
                        self.send_end(sink, digest)
                    }
                }
            }
            Way::Streamed(blocks) => {
                match blocks.next_piece(&mut self.reader, &self.context.stop)? {
                    Some(Piece::Data { offset, data }) => {
                        self.literal_bytes += data.len() as u64;
                        send_chunk(sink, offset, Digest::of(&data), data)?;
                    }
                    Some(Piece::Hole { offset, length }) => sink.hole(offset, length)?,
                    None => {
                        let digest = blocks.digest();
                        return self.send_end(sink, digest);
                    }
                }
                Ok(Step::More)
            }
            Way::Listed { chunks, books, all_listed } => match next_turn(books, *all_listed) {
                Turn::List { chunks_max } => {
                    let stop = &self.context.stop;
                    *all_listed =
                        send_list(chunks, &mut self.reader, books, chunks_max, stop, sink)?;
                    Ok(Step::More)
                }
                Turn::Send => {
                    let lacking = books.take_lacking();
                    lacking.map_or(Ok(()), |chunk| self.send_lacking(sink, chunk))?;
                    Ok(Step::More)
                }
                Turn::Await => Ok(Step::AwaitsAnswer),
                Turn::Finish => {
                    let digest = chunks.digest();
                    self.send_end(sink, digest)
                }
            },
        }
    }

    fn send_whole(&mut self, sink: &mut dyn ContentSink) -> Result<Step, SendError> {
        let size_bytes = self.reader.size_bytes();
        let mut data = vec![0; usize::try_from(size_bytes).expect("a whole file is small")];
        self.reader.read_exact_at(&mut data, 0)?;
        let attributes = self.reader.attributes(self.context.copy)?;
        self.reader.check_unchanged()?;
        crate::crash_point!("sender_before_file_end");
        self.literal_bytes += size_bytes;
        sink.whole_file(Digest::of(&data), attributes, data.into())?;
        self.leave_cache();
        Ok(Step::Done)
    }

    fn leave_cache(&self) {
        if self.context.unbuffered {
            self.reader.leave_cache();
        }
    }

    /// Reads a chunk again that was listed, and sends it if it is still that chunk.
    fn send_lacking(&mut self, sink: &mut dyn ContentSink, chunk: Listed) -> Result<(), SendError> {
        if self.context.stop.is_set() {
            return Err(SendError::Stopped);
        }
        let mut data = vec![0; chunk.length as usize];
        self.reader.read_exact_at(&mut data, chunk.offset)?;
        if Digest::of(&data) != chunk.digest {
            return Err(FileError::Changed.into());
        }
        self.literal_bytes += u64::from(chunk.length);
        send_chunk(sink, chunk.offset, chunk.digest, data.into())
    }

    fn send_end(&mut self, sink: &mut dyn ContentSink, digest: Digest) -> Result<Step, SendError> {
        let attributes = self.reader.attributes(self.context.copy)?;
        self.reader.check_unchanged()?;
        crate::crash_point!("sender_before_file_end");
        sink.end(self.reader.size_bytes(), digest, attributes)?;
        self.leave_cache();
        Ok(Step::Done)
    }
}

fn send_chunk(
    sink: &mut dyn ContentSink,
    offset: u64,
    digest: Digest,
    data: Bytes,
) -> Result<(), SendError> {
    sink.chunk(offset, digest, data)?;
    crate::crash_point!("sender_chunk_sent");
    Ok(())
}

/// Reads on and sends one list, up to a hole, or one hole; whether the file was read to its end.
fn send_list(
    chunks: &mut Chunks,
    reader: &mut Reader,
    books: &mut Books,
    chunks_max: usize,
    stop: &StopFlag,
    sink: &mut dyn ContentSink,
) -> Result<bool, SendError> {
    let average_bytes = chunks.average_bytes();
    let first_offset = chunks.offset();
    let mut listed = Vec::with_capacity(chunks_max);
    loop {
        match chunks.next_piece(reader, stop)? {
            None => return Ok(true),
            Some(Piece::Hole { offset, length }) => {
                sink.hole(offset, length)?;
                return Ok(false);
            }
            Some(Piece::Data { offset, data }) => {
                let length = u32::try_from(data.len()).expect("a chunk is at most 1 MiB");
                let digest = Digest::of(data);
                books.list(Listed { offset, length, digest });
                listed.push((length, digest));
            }
        }
        if listed.len() == chunks_max || !chunks.continues_data(reader)? {
            let last = !chunks.has_more_chunks(reader)?;
            sink.chunk_list(ChunkListing {
                average_bytes,
                offset: first_offset,
                chunks: listed,
                last,
            })?;
            return Ok(false);
        }
    }
}
