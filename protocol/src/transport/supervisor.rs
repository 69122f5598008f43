//! Looking after a link, and its end in order: [`Supervisor`].
//!
//! QUIC throws away what was received and not read when the connection ends, and quinn may hold back the end itself while
//! data waits for the congestion window. So the side that ends it finishes its streams, waits until they have arrived and
//! until the peer has finished its control stream in turn, and only then closes; none of that takes longer than
//! [`END_TIMEOUT`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quinn::{Connection, ConnectionError};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

use super::care::{CARE_INTERVAL, Care, Reading, SEND_BYTES_MIN};
use super::link::{is_denied, wire_code};
use super::pacing::keep_awake;
use super::tasks::Tasks;
use crate::limits::TEXT_BYTES_MAX;
use crate::link::{Close, CloseCode, LinkClosed, LinkEnd, WireStats};
use crate::link_end::Ending;
use crate::text;

/// Time that an orderly end may take.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// Owns the connection and its tasks, and sees to their end.
pub(super) struct Supervisor {
    connection: Connection,
    ending: Arc<Ending>,
    wire: Arc<WireStats>,
    /// As it was set last.
    send_window: Arc<AtomicU64>,
    tasks: Tasks,
}

impl Supervisor {
    /// Lets it work on its own.
    pub(super) fn start(
        connection: Connection,
        tasks: Tasks,
        ending: Arc<Ending>,
    ) -> (LinkEnd, Arc<WireStats>) {
        let (end, wire) = (LinkEnd::new(Arc::clone(&ending)), Arc::<WireStats>::default());
        let send_window = Arc::new(AtomicU64::new(SEND_BYTES_MIN.into()));
        let awake = keep_awake(connection.clone(), Arc::clone(&send_window));
        let supervisor = Self { connection, ending, wire: Arc::clone(&wire), send_window, tasks };
        tokio::spawn(async {
            tokio::select! {
                () = supervisor.run() => {}
                () = awake => {}
            }
        });
        (end, wire)
    }

    async fn run(mut self) {
        let mut care = Care::new(Instant::now());
        let mut tick = interval(CARE_INTERVAL);
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
                () = self.tasks.control_read() => {
                    self.follow().await;
                    break;
                }
                _ = tick.tick() => self.look_after(&mut care),
            }
        }
        self.tasks.give_up();
        self.tasks.close_queues();
        let error = self.connection.closed().await;
        self.look_after(&mut care);
        let closed = closed(error, &self.ending);
        tracing::debug!(%closed, "link ended");
        self.ending.closed.set(closed);
    }

    /// Ends the connection: what must arrive arrives first.
    async fn end(&mut self, close: &Close) {
        let deadline = Instant::now() + END_TIMEOUT;
        if close.code != CloseCode::Finished {
            self.tasks.give_up_bulk();
        }
        self.tasks.close_queues();
        let _ = timeout_at(deadline, async {
            self.tasks.written().await;
            self.tasks.control_read().await;
        })
        .await;
        // Nothing may wait for the congestion window, or the end waits with it.
        self.tasks.give_up();
        self.tasks.written().await;
        self.connection.close(wire_code(close.code), close.reason.as_bytes());
    }

    /// The peer has finished its control stream: it is about to end the connection. Lets it know when all has arrived.
    async fn follow(&mut self) {
        let deadline = Instant::now() + END_TIMEOUT;
        let _ = timeout_at(deadline, self.tasks.bulk_read()).await;
        self.tasks.close_control_queue();
        if timeout(END_TIMEOUT, self.connection.closed()).await.is_err() {
            let close = self.ending.asked.get().cloned().unwrap_or_else(Close::abandoned);
            self.end(&close).await;
        }
    }

    /// Counts what the link has cost, and gives the connection what it needs.
    fn look_after(&self, care: &mut Care) {
        let stats = self.connection.stats();
        self.wire.count(stats.udp_tx.bytes, stats.udp_rx.bytes);
        let now = Instant::now();
        let windows = care.look(
            now,
            Reading {
                sent_frames: stats.frame_tx.stream + stats.frame_tx.ping,
                received_datagrams: stats.udp_rx.datagrams,
                received_bytes: stats.udp_rx.bytes,
                is_opened: self.tasks.agreement().is_opened(),
                congestion_window: stats.path.cwnd,
                round_trip: stats.path.rtt,
            },
        );
        tracing::trace!(path = ?stats.path, received = stats.udp_rx.bytes, ?windows, "link");
        self.wire.note_outages(care.lost(now), care.outage(now));
        // This also wakes the connection, which then looks at its congestion window again.
        self.send_window.store(windows.send.into(), Ordering::Relaxed);
        self.connection.set_send_window(windows.send.into());
        self.connection.set_receive_window(windows.receive.into());
    }
}

fn closed(error: ConnectionError, ending: &Ending) -> LinkClosed {
    match error {
        error if is_denied(&error) => LinkClosed::Denied,
        ConnectionError::ApplicationClosed(frame) => {
            let mut reason = String::from_utf8_lossy(&frame.reason).into_owned();
            text::cut(&mut reason, TEXT_BYTES_MAX);
            let code = CloseCode::from_wire(frame.error_code.into_inner());
            LinkClosed::Peer(Close { code, reason })
        }
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
