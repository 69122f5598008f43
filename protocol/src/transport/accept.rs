//! Taking the streams that the peer opens: [`accept_lanes`].

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use async_channel::Sender;
use quinn::{Connection, RecvStream};
use tokio::task::JoinSet;

use super::compress::Agreement;
use super::lane::StreamKind;
use super::read::{self, Reader};
use crate::link::Close;
use crate::link_end::Ending;
use crate::message::{Lane, Message};

/// A lane that the peer writes, and how many streams it may open for it.
pub(super) struct Seat {
    lane: Lane,
    streams: usize,
    messages: Sender<Message>,
    compressible: Arc<AtomicUsize>,
}

impl Seat {
    /// For `streams` streams, of which the peer may compress as many as `compressed`.
    pub(super) fn new(
        lane: Lane,
        streams: usize,
        compressed: usize,
        messages: Sender<Message>,
    ) -> Self {
        Self { lane, streams, messages, compressible: Arc::new(AtomicUsize::new(compressed)) }
    }
}

/// Takes as many streams as there are seats and reads each to its end. Returns when all have ended.
pub(super) async fn accept_lanes(
    connection: Connection,
    seats: Vec<Seat>,
    agreement: Arc<Agreement>,
    ending: Arc<Ending>,
) {
    let streams: usize = seats.iter().map(|seat| seat.streams).sum();
    let seats = Arc::new(Mutex::new(seats));
    let mut readers = JoinSet::new();
    for _ in 0..streams {
        let Ok(stream) = connection.accept_uni().await else { break };
        let (agreement, ending) = (Arc::clone(&agreement), Arc::clone(&ending));
        readers.spawn(read_lane(stream, Arc::clone(&seats), agreement, ending));
    }
    // The channels end with their last reader.
    drop(seats);
    while readers.join_next().await.is_some() {}
}

async fn read_lane(
    mut stream: RecvStream,
    seats: Arc<Mutex<Vec<Seat>>>,
    agreement: Arc<Agreement>,
    ending: Arc<Ending>,
) {
    let Ok(kind) = read::kind_of(&mut stream).await else { return };
    let Some(reader) = take_seat(&seats, kind, agreement) else {
        ending.asked.set(Close::protocol("a stream that is not one of the lanes, or one too many"));
        return;
    };
    drop(seats);
    if let Err(error) = reader.pump(&mut stream).await {
        error.report(&ending);
    }
}

fn take_seat(
    seats: &Mutex<Vec<Seat>>,
    kind: Option<StreamKind>,
    agreement: Arc<Agreement>,
) -> Option<Reader> {
    let Some(StreamKind::Lane(lane)) = kind else { return None };
    let mut seats = seats.lock().unwrap_or_else(PoisonError::into_inner);
    let at = seats.iter().position(|seat| seat.lane == lane)?;
    let seat = &mut seats[at];
    seat.streams -= 1;
    let (messages, compressible) = (seat.messages.clone(), Arc::clone(&seat.compressible));
    if seat.streams == 0 {
        seats.remove(at);
    }
    Some(Reader { lane, messages, agreement, compressible })
}
