//! The tasks that move the messages of a link: [`Tasks`].

use std::num::NonZeroUsize;
use std::sync::Arc;

use async_channel::{Receiver, Sender};
use quinn::{Connection, RecvStream, SendStream};
use tokio::task::{JoinHandle, JoinSet};

use super::accept::{Seat, accept_lanes};
use super::compress::{Agreement, Compression};
use super::guard::Guard;
use super::lane::StreamKind;
use super::plumbing::plumb;
use super::read::Reader;
use super::sort::{Outlets, Sorter};
use super::write::{self, Intake};
use crate::limits::ZSTD_CONTENT_STREAMS_MAX;
use crate::link_end::{Ending, Once};
use crate::message::{Lane, Message};

/// Above all other streams, which have 0.
const CONTROL_PRIORITY: i32 = 1;

/// One task a stream and one a sorter, and the queues from which they take what is to be sent.
pub(super) struct Tasks {
    connection: Connection,
    ending: Arc<Ending>,
    agreement: Arc<Agreement>,
    control_queue: Receiver<Message>,
    bulk_queues: Vec<Receiver<Message>>,
    control_writer: JoinSet<()>,
    bulk_writers: JoinSet<()>,
    control_reader: Option<JoinHandle<()>>,
    bulk_reader: Option<JoinHandle<()>>,
    /// Set when writers shall throw away what they have left.
    give_up_control: Arc<Once<()>>,
    give_up_bulk: Arc<Once<()>>,
}

impl Tasks {
    /// None yet. What they find wrong they tell `ending`.
    pub(super) fn new(
        connection: Connection,
        control_queue: Receiver<Message>,
        ending: Arc<Ending>,
    ) -> Self {
        Self {
            connection,
            ending,
            agreement: Arc::default(),
            control_queue,
            bulk_queues: Vec::new(),
            control_writer: JoinSet::new(),
            bulk_writers: JoinSet::new(),
            control_reader: None,
            bulk_reader: None,
            give_up_control: Arc::default(),
            give_up_bulk: Arc::default(),
        }
    }

    /// What the control lane has settled.
    pub(super) fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// The control lane of the side that opens it.
    pub(super) fn write_control(&mut self, stream: SendStream) {
        self.spawn_control_writer(stream, Some(StreamKind::Lane(Lane::Control)));
    }

    /// The other direction of a stream that already says what it is.
    pub(super) fn answer_control(&mut self, stream: SendStream) {
        self.spawn_control_writer(stream, None);
    }

    fn spawn_control_writer(&mut self, stream: SendStream, kind: Option<StreamKind>) {
        // Fails only once the connection is gone, and then so does every write.
        let _ = stream.set_priority(CONTROL_PRIORITY);
        let (queue, agreement) = (self.control_queue.clone(), Arc::clone(&self.agreement));
        let guard = self.guard(&self.give_up_control);
        self.control_writer.spawn(guard.write(stream, async move |stream| {
            write::pump(stream, kind, &queue, &agreement).await
        }));
    }

    /// A lane of one stream, which keeps its order.
    pub(super) fn write(
        &mut self,
        stream: SendStream,
        lane: Lane,
        queue: &Receiver<Message>,
        compression: Compression,
    ) {
        let (outlets, intakes) = plumb(1, 1);
        self.write_batches(vec![stream], intakes, lane);
        self.sort(queue, outlets, compression);
    }

    /// A lane of many streams that take turns.
    pub(super) fn write_content(
        &mut self,
        streams: Vec<SendStream>,
        queue: &Receiver<Message>,
        compression: Compression,
    ) {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let compressed = cores.clamp(2, ZSTD_CONTENT_STREAMS_MAX);
        let (outlets, intakes) = plumb(streams.len(), compressed);
        self.write_batches(streams, intakes, Lane::Content);
        self.sort(queue, outlets, compression);
    }

    fn write_batches(&mut self, streams: Vec<SendStream>, intakes: Vec<Intake>, lane: Lane) {
        for (stream, intake) in streams.into_iter().zip(intakes) {
            let guard = self.guard(&self.give_up_bulk);
            self.bulk_writers.spawn(guard.write(stream, async move |stream| {
                write::pump_batches(stream, StreamKind::Lane(lane), intake).await
            }));
        }
    }

    fn sort(&mut self, queue: &Receiver<Message>, outlets: Outlets, compression: Compression) {
        let agreement = Arc::clone(&self.agreement);
        let connection = self.connection.clone();
        let sorter = Sorter::new(queue.clone(), outlets, connection, agreement, compression);
        let guard = self.guard(&self.give_up_bulk);
        self.bulk_writers.spawn(guard.sort(sorter));
        self.bulk_queues.push(queue.clone());
    }

    fn guard(&self, give_up: &Arc<Once<()>>) -> Guard {
        Guard::new(Arc::clone(give_up), Arc::clone(&self.ending))
    }

    /// The other direction of the control lane.
    pub(super) fn read_control(&mut self, mut stream: RecvStream, arrived: Sender<Message>) {
        let ending = Arc::clone(&self.ending);
        let reader = Reader {
            lane: Lane::Control,
            messages: arrived,
            agreement: Arc::clone(&self.agreement),
            compressible: Arc::default(),
        };
        self.control_reader = Some(tokio::spawn(async move {
            if let Err(error) = reader.pump(&mut stream).await {
                error.report(&ending);
            }
        }));
    }

    /// All streams that the peer opens.
    pub(super) fn read(&mut self, seats: Vec<Seat>) {
        let (connection, ending) = (self.connection.clone(), Arc::clone(&self.ending));
        let agreement = Arc::clone(&self.agreement);
        self.bulk_reader = Some(tokio::spawn(accept_lanes(connection, seats, agreement, ending)));
    }

    /// Takes no more control messages.
    pub(super) fn close_control_queue(&self) {
        self.control_queue.close();
    }

    /// Takes no more messages.
    pub(super) fn close_queues(&self) {
        self.control_queue.close();
        self.bulk_queues.iter().for_each(|queue| {
            queue.close();
        });
    }

    /// Throws away what is left to send on all lanes but control.
    pub(super) fn give_up_bulk(&self) {
        self.give_up_bulk.set(());
    }

    /// Throws away what is left to send.
    pub(super) fn give_up(&self) {
        self.give_up_control.set(());
        self.give_up_bulk.set(());
    }

    /// Waits until all that was to be sent has arrived, or was given up.
    pub(super) async fn written(&mut self) {
        drain(&mut self.control_writer).await;
        drain(&mut self.bulk_writers).await;
    }

    /// Waits until the peer has finished its control stream.
    pub(super) async fn control_read(&mut self) {
        ended(&mut self.control_reader).await;
    }

    /// Waits until the peer has finished all other streams.
    pub(super) async fn bulk_read(&mut self) {
        ended(&mut self.bulk_reader).await;
    }
}

async fn drain(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

/// Waits for a task; at once if it was waited for before.
async fn ended(task: &mut Option<JoinHandle<()>>) {
    if let Some(running) = task {
        let _ = running.await;
        *task = None;
    }
}
