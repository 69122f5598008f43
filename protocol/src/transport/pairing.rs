//! The dialogue of a pairing: requests and replies in turn, on one stream of a connection made for nothing else.

use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream, WriteError};
use tokio::time::timeout;

use super::lane::StreamKind;
use super::read;
use crate::codec::{DecodeError, EncodeError, FrameDecoder, FrameError, decode, encode};
use crate::message::{Message, PairReply, PairRequest};

/// Time for one turn of the other side: enough for a slow link, none for a person.
const TURN_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes taken off the stream at once.
const READ_BYTES: usize = 4 << 10;

/// Why a pairing could not go on.
#[derive(Debug, thiserror::Error)]
pub enum PairingError {
    /// The connection ended; the peer's reason is in it.
    #[error("the connection ended during pairing")]
    Ended(#[from] ConnectionError),
    /// The stream ended.
    #[error("the pairing was cut short")]
    Read(#[from] ReadError),
    /// The stream was refused.
    #[error("the pairing was cut short")]
    Write(#[from] WriteError),
    /// The other side took too long.
    #[error("no answer within {} s", TURN_TIMEOUT.as_secs())]
    TimedOut,
    /// The other side said what is no part of a pairing, or nothing more.
    #[error("the peer does not keep to the pairing")]
    Unexpected,
    /// What came is not a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// What came is not a message.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A turn of ours is too long.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// The sender's end of a pairing.
#[derive(Debug)]
pub struct PairingSender(Turns);

impl PairingSender {
    /// Begins a pairing on a fresh connection.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn open(connection: &Connection) -> Result<Self, PairingError> {
        let (mut send, receive) = connection.open_bi().await?;
        send.write_all(&[StreamKind::Pairing.to_wire()]).await?;
        Ok(Self(Turns { send, receive, decoder: FrameDecoder::new() }))
    }

    /// Says something and waits for what the agent says to it.
    ///
    /// # Errors
    /// No answer, or not that of a pairing.
    pub async fn ask(&mut self, body: Bytes) -> Result<Bytes, PairingError> {
        self.0.send(&PairRequest { body }.into()).await?;
        match self.0.receive().await? {
            Some(Message::PairReply(reply)) => Ok(reply.body),
            _ => Err(PairingError::Unexpected),
        }
    }

    /// Ends the dialogue.
    pub fn finish(mut self) {
        // Fails only if the agent has ended it already.
        let _ = self.0.send.finish();
    }
}

/// The agent's end of a pairing.
#[derive(Debug)]
pub struct PairingAgent(Turns);

impl PairingAgent {
    /// Waits for the stream of a pairing on a connection that was accepted.
    ///
    /// # Errors
    /// The peer does not begin a pairing.
    pub async fn accept(connection: &Connection) -> Result<Self, PairingError> {
        let accepted = timeout(TURN_TIMEOUT, async {
            let (send, mut receive) = connection.accept_bi().await?;
            let kind = read::kind_of(&mut receive).await?;
            Ok::<_, PairingError>((kind, send, receive))
        });
        match accepted.await.map_err(|_| PairingError::TimedOut)?? {
            (Some(StreamKind::Pairing), send, receive) => {
                Ok(Self(Turns { send, receive, decoder: FrameDecoder::new() }))
            }
            _ => Err(PairingError::Unexpected),
        }
    }

    /// Waits for what the sender says; `None` once it has ended the dialogue.
    ///
    /// # Errors
    /// Nothing came, or not that of a pairing.
    pub async fn request(&mut self) -> Result<Option<Bytes>, PairingError> {
        match self.0.receive().await? {
            Some(Message::PairRequest(request)) => Ok(Some(request.body)),
            None => Ok(None),
            Some(_) => Err(PairingError::Unexpected),
        }
    }

    /// Answers.
    ///
    /// # Errors
    /// The connection ended, or the answer is too long.
    pub async fn reply(&mut self, body: Bytes) -> Result<(), PairingError> {
        self.0.send(&PairReply { body }.into()).await
    }
}

#[derive(Debug)]
struct Turns {
    send: SendStream,
    receive: RecvStream,
    decoder: FrameDecoder,
}

impl Turns {
    async fn send(&mut self, message: &Message) -> Result<(), PairingError> {
        let encoded = encode(message)?;
        self.send.write_all(&encoded.head).await?;
        Ok(())
    }

    async fn receive(&mut self) -> Result<Option<Message>, PairingError> {
        timeout(TURN_TIMEOUT, async {
            loop {
                if let Some(frame) = self.decoder.next_frame()? {
                    return Ok(Some(decode(frame)?));
                }
                match self.receive.read_chunk(READ_BYTES, true).await? {
                    Some(chunk) => self.decoder.push(&chunk.bytes),
                    None if self.decoder.is_inside_frame() => return Err(PairingError::Unexpected),
                    None => return Ok(None),
                }
            }
        })
        .await
        .map_err(|_| PairingError::TimedOut)?
    }
}
