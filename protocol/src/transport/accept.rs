//! Taking the streams that the peer opens: [`accept_lanes`].

use std::sync::{Arc, Mutex, PoisonError};

use async_channel::Sender;
use quinn::{Connection, RecvStream};
use tokio::task::JoinSet;

use super::lane::StreamKind;
use super::link::report;
use super::read;
use crate::link::Close;
use crate::link_end::Ending;
use crate::message::{Lane, Message};

/// A lane that the peer writes, and how many streams it may open for it.
pub(super) struct Seat {
    pub(super) lane: Lane,
    pub(super) streams: usize,
    pub(super) messages: Sender<Message>,
}

/// Takes as many streams as there are seats and reads each to its end. Returns when all have ended.
pub(super) async fn accept_lanes(connection: Connection, seats: Vec<Seat>, ending: Arc<Ending>) {
    let streams: usize = seats.iter().map(|seat| seat.streams).sum();
    let seats = Arc::new(Mutex::new(seats));
    let mut readers = JoinSet::new();
    for _ in 0..streams {
        let Ok(stream) = connection.accept_uni().await else { break };
        readers.spawn(read_lane(stream, Arc::clone(&seats), Arc::clone(&ending)));
    }
    // The channels end with their last reader.
    drop(seats);
    while readers.join_next().await.is_some() {}
}

async fn read_lane(mut stream: RecvStream, seats: Arc<Mutex<Vec<Seat>>>, ending: Arc<Ending>) {
    let Ok(kind) = read::kind_of(&mut stream).await else { return };
    let Some((lane, messages)) = take_seat(&seats, kind) else {
        ending.asked.set(Close::protocol("a stream that is not one of the lanes, or one too many"));
        return;
    };
    drop(seats);
    if let Err(error) = read::pump(&mut stream, lane, &messages).await {
        report(&ending, &error);
    }
}

fn take_seat(
    seats: &Mutex<Vec<Seat>>,
    kind: Option<StreamKind>,
) -> Option<(Lane, Sender<Message>)> {
    let Some(StreamKind::Lane(lane)) = kind else { return None };
    let mut seats = seats.lock().unwrap_or_else(PoisonError::into_inner);
    let at = seats.iter().position(|seat| seat.lane == lane)?;
    let seat = &mut seats[at];
    seat.streams -= 1;
    let messages = seat.messages.clone();
    if seat.streams == 0 {
        seats.remove(at);
    }
    Some((lane, messages))
}
