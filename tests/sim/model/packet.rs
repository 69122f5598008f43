//! What travels: [`Data`] one way, [`Ack`] the other.

use std::rc::Rc;
use std::time::Duration;

/// Bytes of the largest UDP payload: what a controller is told of a packet. Source: quinn's upper bound of MTU discovery.
pub(crate) const DATAGRAM_BYTES: u64 = 1452;
/// IPv4 and UDP headers.
pub(crate) const HEADER_BYTES: usize = 28;
/// Bytes of content in a packet: measured over a real link, 95.8 % of the 1480 bytes that pass it.
pub(crate) const CONTENT_BYTES: u64 = 1418;

/// A packet of content, or a probe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Data {
    pub(crate) flow: usize,
    pub(crate) number: u64,
    /// Which piece of the content it carries; a retransmission carries it again. `None` for a probe.
    pub(crate) piece: Option<u64>,
}

/// What a receiver has, latest ranges first, both ends included.
#[derive(Clone, Debug)]
pub(crate) struct Ack {
    pub(crate) flow: usize,
    pub(crate) ranges: Rc<[(u64, u64)]>,
    pub(crate) delay: Duration,
}

impl Ack {
    /// Size on the link: headers, and about 4 bytes a range.
    pub(crate) fn bytes(&self) -> usize {
        HEADER_BYTES + 40 + 4 * self.ranges.len()
    }
}
