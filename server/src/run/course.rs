//! What the attempts of a job came to: [`Course`].

use std::time::{Duration, Instant};

use super::attempt::{Attempted, Setting};
use super::carried::Carried;
use super::counted::Counted;
use super::ending::End;
use super::outages::Outages;
use crate::report::{Summary, Times};

/// What the attempts of a job came to.
#[derive(Default)]
pub(super) struct Course {
    pub(super) counted: Counted,
    links: u64,
    /// Links that were made with none lost before: after a pause, or for files that had changed.
    pub(super) further_links: u64,
    literal_bytes: u64,
    /// Bytes sent and received.
    wire: (u64, u64),
    copying: Duration,
    /// Spent between a failure and its retry, and in pauses.
    pub(super) waiting: Duration,
    /// Outages that links outlived.
    link_lost: Duration,
    /// Outages between them.
    pub(super) outages: Outages,
}

impl Course {
    /// Joins what an attempt came to, and says how it ended.
    pub(super) fn add(
        &mut self,
        attempted: Attempted,
        took: Duration,
        setting: &Setting<'_>,
        carried: &mut Carried,
    ) -> End {
        let Attempted { end, counted, literal_bytes, wire, carried: next, .. } = attempted;
        let before = std::mem::take(&mut self.counted);
        self.counted = before.join(counted, &setting.open.policy, setting.mover.moves());
        self.links += 1;
        self.literal_bytes += literal_bytes;
        self.wire = (self.wire.0 + wire.sent(), self.wire.1 + wire.received());
        self.link_lost += wire.lost();
        if literal_bytes > 0 {
            self.copying += took;
        }
        *carried = next;
        end
    }

    /// Adds what a rehearsal sent and received: it is part of what the job cost.
    pub(super) fn add_wire(&mut self, rehearsal: &Self) {
        let (sent, received) = rehearsal.wire;
        self.wire = (self.wire.0 + sent, self.wire.1 + received);
    }

    /// Bytes that went over links.
    pub(super) fn sent_bytes(&self) -> u64 {
        self.wire.0
    }

    /// What the report shows, after so long.
    pub(super) fn summary(&self, total: Duration) -> Summary {
        let times = Times {
            total,
            copying: self.copying,
            waiting: self.waiting,
            other: total.saturating_sub(self.copying + self.waiting),
            lost: self.link_lost + self.outages.total(Instant::now()),
        };
        Summary {
            literal_bytes: self.literal_bytes,
            wire_bytes_sent: self.wire.0,
            wire_bytes_received: self.wire.1,
            reconnects: self.links.saturating_sub(1 + self.further_links),
            times,
            ..self.counted.clone().summary()
        }
    }
}
