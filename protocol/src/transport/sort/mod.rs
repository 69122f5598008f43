//! From a lane's channel to its streams: [`Sorter`] gathers messages into batches, apart by what is worth compressing.
//!
//! ```text
//!                      +-- dense batches --> the first few streams, which compress them
//! channel --> Sorter --+
//!                      +-- raw batches ----> whichever stream is free
//! ```
//!
//! A batch leaves as soon as a stream takes it, or a moment later while it is small and the peer far; while none does it
//! grows. So small messages travel by hundreds on a link that is behind, and at once on one that is not.

mod batch;
mod meter;

pub(super) use batch::{Batch, Outlets};
pub(super) use meter::Meter;

use std::sync::Arc;
use std::time::Duration;

use async_channel::Receiver;
use quinn::{Connection, PathStats};
use tokio::time::{Instant, sleep_until};

use super::compress::effort::{Effort, Interval, Regulator};
use super::compress::probe::Probe;
use super::compress::{Agreement, Compression};
use super::controller::{Glance, glance};
use crate::codec::{EncodeError, Encoded, FRAME_HEAD_BYTES, encode};
use crate::limits::{CONTENT_BYTES_MAX, EXPANDED_BYTES_MAX};
use crate::message::Message;
use meter::Counts;

/// A dense batch below that waits for company: in smaller ones the tables of each zstd block weigh too much.
const DENSE_BYTES_AIM: usize = 64 << 10;
/// How long it waits, as a share of the round trip, and at most. A shorter wait than the least is none.
const LINGER_SHARE: u32 = 32;
const LINGER_MIN: Duration = Duration::from_millis(1);
const LINGER_MAX: Duration = Duration::from_millis(4);
/// How often the effort is thought over: a link that is faster than was thought must not wait for long.
const REGULATE_INTERVAL: Duration = Duration::from_millis(50);
/// Level of lanes that carry little, whatever the link.
const LEVEL_STEADY: i32 = 3;

// One message always fits a batch.
const _: () = assert!(FRAME_HEAD_BYTES + CONTENT_BYTES_MAX <= EXPANDED_BYTES_MAX);

/// How the level of a lane comes about.
enum Choice {
    Fixed(Option<i32>),
    Regulated(Box<Regulator>),
}

/// Carries one lane from its channel to its outlets.
pub(super) struct Sorter {
    queue: Receiver<Message>,
    outlets: Outlets,
    connection: Connection,
    agreement: Arc<Agreement>,
    choice: Choice,
    probe: Probe,
    dense: Batch,
    raw: Batch,
    /// A frame that found no room, and whether it is worth compressing.
    held: Option<(Encoded, bool)>,
    /// Nothing more comes.
    ended: bool,
    linger: Duration,
    /// When the dense batch has waited long enough.
    linger_until: Instant,
    watch: Watch,
}

/// The counters at the beginning of an interval, and what only the sorter sees of it.
struct Watch {
    since: Instant,
    starved: Duration,
    taken: u64,
    counts: Counts,
    sent: u64,
    lost: u64,
    hungry: Duration,
}

impl Sorter {
    pub(super) fn new(
        queue: Receiver<Message>,
        outlets: Outlets,
        connection: Connection,
        agreement: Arc<Agreement>,
        compression: Compression,
    ) -> Self {
        let choice = match compression {
            Compression::Off => Choice::Fixed(None),
            Compression::Level(level) => Choice::Fixed(Some(level.into())),
            Compression::Auto if outlets.raw.is_none() => Choice::Fixed(Some(LEVEL_STEADY)),
            Compression::Auto => {
                let path = connection.stats().path;
                let regulator = Regulator::new(path.rtt, allowed_rate(&path), outlets.dense.len());
                Choice::Regulated(Box::new(regulator))
            }
        };
        let now = Instant::now();
        Self {
            queue,
            connection,
            agreement,
            choice,
            probe: Probe::new(),
            dense: Batch::default(),
            raw: Batch::default(),
            held: None,
            ended: false,
            linger: Duration::ZERO,
            linger_until: now,
            watch: Watch {
                since: now,
                starved: Duration::ZERO,
                taken: 0,
                counts: Counts::default(),
                sent: 0,
                lost: 0,
                hungry: Duration::ZERO,
            },
            outlets,
        }
    }

    /// Works until the channel is closed and empty, or no stream takes anything any more.
    pub(super) async fn run(mut self) -> Result<(), EncodeError> {
        self.linger = linger(self.connection.rtt());
        loop {
            self.gather()?;
            self.regulate();
            let is_held = self.has_ample();
            let is_due = self.is_dense_due() && !is_held;
            let is_lingering = !self.dense.is_empty() && !is_due && !is_held;
            if self.ended && self.dense.is_empty() && self.raw.is_empty() {
                return Ok(());
            }
            let begin = Instant::now();
            let is_starved = !is_due && self.raw.is_empty();
            let Effort { level, streams } = self.effort();
            let message = tokio::select! {
                biased;
                place = self.outlets.dense_place(streams), if is_due => {
                    let Some(place) = place else { return Ok(()) };
                    place.send(self.dense.seal(level));
                    None
                }
                place = self.outlets.raw_place(), if !self.raw.is_empty() => {
                    let Some(place) = place else { return Ok(()) };
                    place.send(self.raw.seal(None));
                    None
                }
                message = self.queue.recv(), if self.held.is_none() && !self.ended => Some(message),
                () = sleep_until(self.watch.since + REGULATE_INTERVAL), if is_held => None,
                () = sleep_until(self.linger_until), if is_lingering => None,
            };
            if is_starved {
                self.watch.starved += begin.elapsed();
            }
            match message {
                Some(Ok(message)) => self.take(&message)?,
                Some(Err(_)) => self.ended = true,
                None => {}
            }
        }
    }

    /// Puts what waits in the channel into the batches, as far as they have room.
    fn gather(&mut self) -> Result<(), EncodeError> {
        self.place();
        while self.held.is_none() {
            let Ok(message) = self.queue.try_recv() else { break };
            self.take(&message)?;
        }
        Ok(())
    }

    fn take(&mut self, message: &Message) -> Result<(), EncodeError> {
        let is_worth = self.effort().level.is_some() && self.probe.is_worth(message);
        let frame = encode(message)?;
        self.watch.taken += frame.len() as u64;
        self.held = Some((frame, is_worth));
        self.place();
        Ok(())
    }

    /// Moves the frame that is held to its batch, if there is room, and nothing before it that must stay before it.
    fn place(&mut self) {
        let Some((frame, is_worth)) = self.held.take() else { return };
        let (batch, other) = match is_worth {
            true => (&mut self.dense, &self.raw),
            false => (&mut self.raw, &self.dense),
        };
        let keeps_order = self.outlets.raw.is_none();
        if !batch.has_room_for(&frame) || (keeps_order && !other.is_empty()) {
            self.held = Some((frame, is_worth));
            return;
        }
        if is_worth && batch.is_empty() {
            self.linger_until = Instant::now() + self.linger;
        }
        batch.push(frame);
    }

    fn is_dense_due(&self) -> bool {
        let is_awaited = self.ended || self.held.is_some() || self.dense.bytes >= DENSE_BYTES_AIM;
        !self.dense.is_empty() && (is_awaited || Instant::now() >= self.linger_until)
    }

    /// What holds at this moment.
    fn effort(&self) -> Effort {
        if !self.agreement.has_zstd() {
            return Effort { level: None, streams: self.outlets.dense.len() };
        }
        match &self.choice {
            Choice::Fixed(level) => Effort { level: *level, streams: self.outlets.dense.len() },
            Choice::Regulated(regulator) => regulator.effort(),
        }
    }

    /// Whether dense batches are better kept a while.
    fn has_ample(&self) -> bool {
        let Choice::Regulated(regulator) = &self.choice else { return false };
        let written = self.outlets.meter.written();
        regulator.has_ample(written - self.watch.counts.written)
    }

    fn regulate(&mut self) {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(self.watch.since);
        if elapsed < REGULATE_INTERVAL {
            return;
        }
        let stats = self.connection.stats();
        self.linger = linger(stats.path.rtt);
        let Choice::Regulated(regulator) = &mut self.choice else {
            self.watch.since = now;
            return;
        };
        let meter = &self.outlets.meter;
        let Glance { hungry, rate_max } = glance(&self.connection);
        let next = Watch {
            since: now,
            starved: Duration::ZERO,
            taken: 0,
            counts: meter.read(),
            sent: stats.udp_tx.bytes,
            lost: stats.path.lost_bytes,
            hungry,
        };
        let last = std::mem::replace(&mut self.watch, next);
        let (counts, before) = (self.watch.counts, last.counts);
        let interval = Interval {
            elapsed,
            starved: last.starved,
            hungry: self.watch.hungry.saturating_sub(last.hungry),
            compressing: counts.compressing - before.compressing,
            nominal: counts.nominal - before.nominal,
            busy_streams: meter.busy_streams(),
            taken: last.taken,
            dense: counts.dense - before.dense,
            squeezed: counts.squeezed - before.squeezed,
            written: counts.written - before.written,
            sent: self.watch.sent - last.sent,
            // Another path begins anew.
            lost: self.watch.lost.saturating_sub(last.lost),
            allowed_rate: allowed_rate(&stats.path)
                .min(rate_max.map_or(f64::INFINITY, |rate| rate as f64)),
        };
        let before = regulator.effort();
        regulator.handle_interval(&interval);
        let after = regulator.effort();
        tracing::trace!(?before, ?after, ?interval, "effort");
    }
}

/// Bytes a second that the congestion controller lets leave.
fn allowed_rate(path: &PathStats) -> f64 {
    path.cwnd as f64 / path.rtt.max(Duration::from_micros(1)).as_secs_f64()
}

/// How long a small batch waits for company on a link of this round trip: nobody notices a thirtieth of it.
fn linger(round_trip: Duration) -> Duration {
    match (round_trip / LINGER_SHARE).min(LINGER_MAX) {
        linger if linger < LINGER_MIN => Duration::ZERO,
        linger => linger,
    }
}
