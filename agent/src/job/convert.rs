//! Messages as the engine takes them: the same nouns under the engine's own names, since the engine knows no messages.

use quicopy_engine::destination::{Content, Listed, PartEnd};
use quicopy_protocol::message::{
    Chunk, ChunkList, FileEnd, FileFailed, Hole, Listing, ListingState, Message, WholeFile,
};

/// What a message is to the engine.
pub(super) enum Input {
    Listed(Listed),
    Content(Content),
}

/// Converts what a sender sends in bulk; `None` for everything else.
pub(super) fn input(message: Message) -> Option<Input> {
    Some(match message {
        Message::Listing(Listing { dir, path, meta, attributes, entries, state }) => {
            let end = match state {
                ListingState::More => PartEnd::More,
                ListingState::Complete => PartEnd::Complete,
                ListingState::Incomplete(failure) => PartEnd::Incomplete(failure),
            };
            Input::Listed(Listed::Part { dir, path, meta, attributes, entries, end })
        }
        Message::ScanEnd(_) => Input::Listed(Listed::End),
        Message::ChunkList(ChunkList { want, average_bytes, offset, chunks, last }) => {
            Input::Content(Content::Chunks { want, average_bytes, offset, chunks, last })
        }
        Message::Chunk(Chunk { want, offset, digest, data }) => {
            Input::Content(Content::Chunk { want, offset, digest, data })
        }
        Message::Hole(Hole { want, offset, length }) => {
            Input::Content(Content::Hole { want, offset, length })
        }
        Message::WholeFile(WholeFile { want, digest, attributes, data }) => {
            Input::Content(Content::Whole { want, digest, attributes, data })
        }
        Message::FileEnd(FileEnd { want, size_bytes, digest, attributes }) => {
            Input::Content(Content::End { want, size_bytes, digest, attributes })
        }
        Message::FileFailed(FileFailed { want, failure, .. }) => {
            Input::Content(Content::Failed { want, failure })
        }
        _ => return None,
    })
}
