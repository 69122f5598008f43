//! A QUIC connection as a link: [`sender_link`], [`agent_link`].
//!
//! | stream | opened by | lane |
//! | --- | --- | --- |
//! | one, both ways | sender | control |
//! | one | sender | listing |
//! | 16 | sender | content |
//! | one | agent | verdict |
//!
//! A supervisor task ends the connection in order. QUIC throws away what was received and not read when the connection
//! ends, and quinn may hold back the end itself while data waits for the congestion window. So the side that ends it
//! finishes its streams, waits until they have arrived and until the peer has finished its control stream in turn, and
//! only then closes; none of that takes longer than [`END_TIMEOUT`].

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_channel::{Receiver, bounded};
use quinn::{Connection, ConnectionError, SendStream, TransportErrorCode, VarInt, WriteError};
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};

use super::accept::{Seat, accept_lanes};
use super::compress::{Agreement, Compression};
use super::config::HANDSHAKE_TIMEOUT;
use super::lane::StreamKind;
use super::pacing::keep_awake;
use super::read::{self, Reader};
use super::sort::{Meter, Outlets, Sorter};
use super::watch::{Reading, SEND_BYTES_MIN, WATCH_INTERVAL, Watch};
use super::write::{self, Intake};
use crate::limits::{CONTENT_STREAMS, TEXT_BYTES_MAX, ZSTD_CONTENT_STREAMS_MAX};
use crate::link::{
    AgentLink, Capacities, Close, CloseCode, LinkClosed, LinkEnd, SenderLink, WireStats,
};
use crate::link_end::{Ending, Once};
use crate::message::{Lane, Message};
use crate::text;

/// Time that an orderly end may take.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a peer may stay after it has stopped a stream: longer than any orderly end takes.
const STOPPED_GRACE: Duration = Duration::from_secs(10);
/// Above all other streams, which have 0.
const CONTROL_PRIORITY: i32 = 1;

/// Why a connection did not become a link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The connection ended before.
    #[error("the connection ended before its streams were open")]
    Ended(#[from] ConnectionError),
    /// The peer did not open its control stream, or did not let us open ours, in time.
    #[error("the peer opened no streams within {} s", HANDSHAKE_TIMEOUT.as_secs())]
    TimedOut,
    /// The first stream is not what a job begins with.
    #[error("the connection does not begin with a control stream")]
    NotControl,
}

impl LinkError {
    /// Whether the peer's TLS denied access: it does not know this side's key.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Ended(error) if is_denied(error))
    }
}

/// Whether the peer ended a connection with the TLS alert `access_denied`, number 49.
///
/// Source: RFC 8446, section 6; RFC 9001, section 4.8, for its place among QUIC's error codes.
pub(super) fn is_denied(error: &ConnectionError) -> bool {
    let denied = TransportErrorCode::crypto(49);
    matches!(error, ConnectionError::ConnectionClosed(close) if close.error_code == denied)
}

/// Makes the sender's end of a link from a connection that it has dialled. Within a tokio runtime. `compression` is for what
/// this side sends, if the peer can read it.
///
/// # Errors
/// The streams could not be opened.
pub async fn sender_link(
    connection: Connection,
    capacities: Capacities,
    compression: Compression,
) -> Result<SenderLink, LinkError> {
    let opened = timeout(HANDSHAKE_TIMEOUT, async {
        let control = connection.open_bi().await?;
        let listing = connection.open_uni().await?;
        let mut content = Vec::with_capacity(CONTENT_STREAMS);
        for _ in 0..CONTENT_STREAMS {
            content.push(connection.open_uni().await?);
        }
        Ok::<_, ConnectionError>((control, listing, content))
    });
    let ((control_out, control_in), listing, content) =
        opened.await.map_err(|_| LinkError::TimedOut)??;

    let (control_tx, control_queue) = bounded(capacities.control);
    let (listing_tx, listing_queue) = bounded(capacities.listing);
    let (content_tx, content_queue) = bounded(capacities.content);
    let (control_arrived, control_rx) = bounded(capacities.control);
    let (verdict_arrived, verdict_rx) = bounded(capacities.verdict);

    let mut supervisor = Supervisor::new(connection, control_queue);
    supervisor.write_control(control_out);
    supervisor.write(listing, Lane::Listing, &listing_queue, compression);
    supervisor.write_content(content, &content_queue, compression);
    supervisor.read_control(control_in, control_arrived);
    supervisor.read(vec![Seat::new(Lane::Verdict, 1, 1, verdict_arrived)]);
    let (end, wire) = supervisor.start();
    Ok(SenderLink { control_tx, listing_tx, content_tx, control_rx, verdict_rx, end, wire })
}

/// Makes the agent's end of a link from a connection that it has accepted. Within a tokio runtime.
///
/// # Errors
/// The peer does not open its control stream. The connection is closed then.
pub async fn agent_link(
    connection: Connection,
    capacities: Capacities,
) -> Result<AgentLink, LinkError> {
    let opened = timeout(HANDSHAKE_TIMEOUT, async {
        let (out, mut incoming) = connection.accept_bi().await?;
        let kind = read::kind_of(&mut incoming).await.ok().flatten();
        let verdict = connection.open_uni().await?;
        Ok::<_, ConnectionError>((kind, out, incoming, verdict))
    });
    let opened = match opened.await {
        Err(_) => Err(LinkError::TimedOut),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok((Some(StreamKind::Lane(Lane::Control)), out, incoming, verdict))) => {
            Ok((out, incoming, verdict))
        }
        Ok(Ok(_)) => Err(LinkError::NotControl),
    };
    let (control_out, control_in, verdict) = match opened {
        Ok(streams) => streams,
        Err(error) => {
            let close = Close::protocol(error.to_string());
            connection.close(wire_code(close.code), close.reason.as_bytes());
            return Err(error);
        }
    };

    let (control_tx, control_queue) = bounded(capacities.control);
    let (verdict_tx, verdict_queue) = bounded(capacities.verdict);
    let (control_arrived, control_rx) = bounded(capacities.control);
    let (listing_arrived, listing_rx) = bounded(capacities.listing);
    let (content_arrived, content_rx) = bounded(capacities.content);

    let mut supervisor = Supervisor::new(connection, control_queue);
    supervisor.answer_control(control_out);
    supervisor.write(verdict, Lane::Verdict, &verdict_queue, Compression::Auto);
    supervisor.read_control(control_in, control_arrived);
    supervisor.read(vec![
        Seat::new(Lane::Listing, 1, 1, listing_arrived),
        Seat::new(Lane::Content, CONTENT_STREAMS, ZSTD_CONTENT_STREAMS_MAX, content_arrived),
    ]);
    let (end, wire) = supervisor.start();
    Ok(AgentLink { control_tx, verdict_tx, control_rx, listing_rx, content_rx, end, wire })
}

/// The code of a QUIC connection's end.
pub(super) fn wire_code(code: CloseCode) -> VarInt {
    VarInt::from_u64(code.to_wire()).unwrap_or(VarInt::MAX)
}

/// Owns the connection and the tasks that move messages, and sees to their end.
struct Supervisor {
    connection: Connection,
    ending: Arc<Ending>,
    wire: Arc<WireStats>,
    /// As it was set last.
    send_window: Arc<AtomicU64>,
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

impl Supervisor {
    fn new(connection: Connection, control_queue: Receiver<Message>) -> Self {
        Self {
            connection,
            ending: Arc::default(),
            wire: Arc::default(),
            send_window: Arc::new(AtomicU64::new(SEND_BYTES_MIN.into())),
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

    fn write_control(&mut self, stream: SendStream) {
        self.spawn_control_writer(stream, Some(StreamKind::Lane(Lane::Control)));
    }

    /// The other direction of a stream that already says what it is.
    fn answer_control(&mut self, stream: SendStream) {
        self.spawn_control_writer(stream, None);
    }

    fn spawn_control_writer(&mut self, stream: SendStream, kind: Option<StreamKind>) {
        // Fails only once the connection is gone, and then so does every write.
        let _ = stream.set_priority(CONTROL_PRIORITY);
        let (queue, agreement) = (self.control_queue.clone(), Arc::clone(&self.agreement));
        let writer = self.writer(&self.give_up_control);
        self.control_writer.spawn(
            writer.run(stream, async move |stream| {
                write::pump(stream, kind, &queue, &agreement).await
            }),
        );
    }

    /// A lane of one stream, which keeps its order.
    fn write(
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

    fn write_content(
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
            let writer = self.writer(&self.give_up_bulk);
            self.bulk_writers.spawn(writer.run(stream, async move |stream| {
                write::pump_batches(stream, StreamKind::Lane(lane), intake).await
            }));
        }
    }

    fn sort(&mut self, queue: &Receiver<Message>, outlets: Outlets, compression: Compression) {
        let agreement = Arc::clone(&self.agreement);
        let connection = self.connection.clone();
        let sorter = Sorter::new(queue.clone(), outlets, connection, agreement, compression);
        let writer = self.writer(&self.give_up_bulk);
        self.bulk_writers.spawn(writer.sort(sorter));
        self.bulk_queues.push(queue.clone());
    }

    fn writer(&self, give_up: &Arc<Once<()>>) -> Writer {
        Writer { give_up: Arc::clone(give_up), ending: Arc::clone(&self.ending) }
    }

    fn read_control(
        &mut self,
        mut stream: quinn::RecvStream,
        arrived: async_channel::Sender<Message>,
    ) {
        let ending = Arc::clone(&self.ending);
        let reader = Reader {
            lane: Lane::Control,
            messages: arrived,
            agreement: Arc::clone(&self.agreement),
            compressible: Arc::default(),
        };
        self.control_reader = Some(tokio::spawn(async move {
            if let Err(error) = reader.pump(&mut stream).await {
                report(&ending, &error);
            }
        }));
    }

    fn read(&mut self, seats: Vec<Seat>) {
        let (connection, ending) = (self.connection.clone(), Arc::clone(&self.ending));
        let agreement = Arc::clone(&self.agreement);
        self.bulk_reader = Some(tokio::spawn(accept_lanes(connection, seats, agreement, ending)));
    }

    fn start(self) -> (LinkEnd, Arc<WireStats>) {
        let (end, wire) = (LinkEnd::new(Arc::clone(&self.ending)), Arc::clone(&self.wire));
        let awake = keep_awake(self.connection.clone(), Arc::clone(&self.send_window));
        tokio::spawn(async {
            tokio::select! {
                () = self.run() => {}
                () = awake => {}
            }
        });
        (end, wire)
    }

    async fn run(mut self) {
        let mut watch = Watch::new(Instant::now());
        let mut tick = interval(WATCH_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // In this order: a reader that found a breach has asked for the end before it ended.
            tokio::select! {
                biased;
                _ = self.connection.closed() => break,
                close = self.ending.asked.wait() => {
                    let close = close.clone();
                    self.end(&close).await;
                    break;
                }
                () = ended(&mut self.control_reader) => {
                    self.follow().await;
                    break;
                }
                _ = tick.tick() => self.look_after(&mut watch),
            }
        }
        self.give_up_control.set(());
        self.give_up_bulk.set(());
        self.close_queues();
        let error = self.connection.closed().await;
        self.look_after(&mut watch);
        let closed = closed(error, &self.ending);
        tracing::debug!(%closed, "link ended");
        self.ending.closed.set(closed);
    }

    /// Ends the connection: what must arrive arrives first.
    async fn end(&mut self, close: &Close) {
        let deadline = Instant::now() + END_TIMEOUT;
        if close.code != CloseCode::Finished {
            self.give_up_bulk.set(());
        }
        self.close_queues();
        let _ = timeout_at(deadline, async {
            drain(&mut self.control_writer).await;
            drain(&mut self.bulk_writers).await;
            ended(&mut self.control_reader).await;
        })
        .await;
        // Nothing may wait for the congestion window, or the end waits with it.
        self.give_up_control.set(());
        self.give_up_bulk.set(());
        drain(&mut self.control_writer).await;
        drain(&mut self.bulk_writers).await;
        self.connection.close(wire_code(close.code), close.reason.as_bytes());
    }

    /// The peer has finished its control stream: it is about to end the connection. Lets it know when all has arrived.
    async fn follow(&mut self) {
        let deadline = Instant::now() + END_TIMEOUT;
        let _ = timeout_at(deadline, ended(&mut self.bulk_reader)).await;
        self.control_queue.close();
        if timeout(END_TIMEOUT, self.connection.closed()).await.is_err() {
            let close = self.ending.asked.get().cloned().unwrap_or_else(Close::abandoned);
            self.end(&close).await;
        }
    }

    fn close_queues(&self) {
        self.control_queue.close();
        self.bulk_queues.iter().for_each(|queue| {
            queue.close();
        });
    }

    /// Counts what the link has cost, and gives the connection what it needs.
    fn look_after(&self, watch: &mut Watch) {
        let stats = self.connection.stats();
        self.wire.count(stats.udp_tx.bytes, stats.udp_rx.bytes);
        let now = Instant::now();
        let windows = watch.look(
            now,
            Reading {
                sent_frames: stats.frame_tx.stream + stats.frame_tx.ping,
                received_datagrams: stats.udp_rx.datagrams,
                received_bytes: stats.udp_rx.bytes,
                is_opened: self.agreement.is_opened(),
                congestion_window: stats.path.cwnd,
                round_trip: stats.path.rtt,
            },
        );
        tracing::trace!(path = ?stats.path, received = stats.udp_rx.bytes, ?windows, "link");
        self.wire.note_outages(watch.lost(now), watch.outage(now));
        // This also wakes the connection, which then looks at its congestion window again.
        self.send_window.store(windows.send.into(), Ordering::Relaxed);
        self.connection.set_send_window(windows.send.into());
        self.connection.set_receive_window(windows.receive.into());
    }
}

/// What every task that moves messages outwards must heed.
struct Writer {
    give_up: Arc<Once<()>>,
    ending: Arc<Ending>,
}

impl Writer {
    /// Writes one stream.
    async fn run(
        self,
        mut stream: SendStream,
        pump: impl AsyncFnOnce(&mut SendStream) -> Result<(), write::PumpError>,
    ) {
        let written = tokio::select! {
            biased;
            _ = self.give_up.wait() => None,
            written = pump(&mut stream) => Some(written),
        };
        match written {
            None => drop(stream.reset(VarInt::from_u32(0))),
            Some(Err(write::PumpError::Write(WriteError::Stopped(_)))) => self.miss_end().await,
            // The connection is gone: its end says why.
            Some(Err(write::PumpError::Write(_)) | Ok(())) => {}
            Some(Err(error)) => self.fail(&error),
        }
    }

    /// The peer takes no more from this stream. It does so on its way out, too; but if it stays, the job would wait for ever.
    async fn miss_end(&self) {
        tokio::select! {
            _ = self.give_up.wait() => {}
            _ = self.ending.asked.wait() => {}
            _ = self.ending.closed.wait() => {}
            () = sleep(STOPPED_GRACE) => {
                self.ending.asked.set(Close::protocol("a stream of the job was stopped"));
            }
        }
    }

    /// Feeds the streams of a lane.
    async fn sort(self, sorter: Sorter) {
        tokio::select! {
            biased;
            _ = self.give_up.wait() => {}
            sorted = sorter.run() => if let Err(error) = sorted { self.fail(&error) },
        }
    }

    fn fail(&self, error: &(dyn std::error::Error + 'static)) {
        tracing::error!(error, "message not sent");
        self.ending.asked.set(Close::protocol(error.to_string()));
    }
}

/// The ways from a sorter to the streams of its lane. One stream alone takes all there is, in its order.
fn plumb(streams: usize, compressed: usize) -> (Outlets, Vec<Intake>) {
    let (freed, meter) = (Arc::new(Notify::new()), Arc::new(Meter::default()));
    let (raw, shared) = match streams {
        1 => (None, None),
        _ => {
            let (raw, shared) = mpsc::channel(1);
            (Some(raw), Some(Arc::new(Mutex::new(shared))))
        }
    };
    let mut dense = Vec::with_capacity(compressed);
    let intakes = (0..streams).map(|index| {
        let own = (index < compressed).then(|| {
            let (place, own) = mpsc::channel(1);
            dense.push(place);
            own
        });
        Intake::new(own, shared.clone(), Arc::clone(&freed), Arc::clone(&meter))
    });
    let intakes = intakes.collect();
    (Outlets { dense, raw, freed, meter }, intakes)
}

/// Ends the link for what the peer did, if it did wrong.
pub(super) fn report(ending: &Ending, error: &read::PumpError) {
    if let Some(breach) = error.breach() {
        ending.asked.set(Close::protocol(breach));
    }
}

fn closed(error: ConnectionError, ending: &Ending) -> LinkClosed {
    match error {
        ConnectionError::ApplicationClosed(frame) => {
            let mut reason = String::from_utf8_lossy(&frame.reason).into_owned();
            text::cut(&mut reason, TEXT_BYTES_MAX);
            let code = CloseCode::from_wire(frame.error_code.into_inner());
            LinkClosed::Peer(Close { code, reason })
        }
        error if is_denied(&error) => LinkClosed::Denied,
        ConnectionError::LocallyClosed => {
            LinkClosed::Local(ending.asked.get().cloned().unwrap_or_else(Close::abandoned))
        }
        error @ (ConnectionError::VersionMismatch
        | ConnectionError::TransportError(_)
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::Reset
        | ConnectionError::TimedOut
        | ConnectionError::CidsExhausted) => LinkClosed::Lost { reason: error.to_string() },
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
