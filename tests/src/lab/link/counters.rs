//! What became of the packets: [`Counters`].

/// What a link did with its packets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Packets that were given to it.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Packets that came out, duplicates too.
    pub delivered: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Packets that found the queue full.
    pub overflowed: u64,
    /// Packets lost by chance.
    pub lost: u64,
    /// Packets that came while the link was down, or too large.
    pub cut: u64,
    /// Packets that came out a second time.
    pub duplicated: u64,
    /// Packets that came out before one sent earlier.
    pub reordered: u64,
    /// Most bytes that ever waited in the queue.
    pub queue_bytes_max: usize,
}

impl Counters {
    /// What happened since `earlier`. Its longest queue stays: that cannot be told apart.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            sent: self.sent - earlier.sent,
            sent_bytes: self.sent_bytes - earlier.sent_bytes,
            delivered: self.delivered - earlier.delivered,
            delivered_bytes: self.delivered_bytes - earlier.delivered_bytes,
            overflowed: self.overflowed - earlier.overflowed,
            lost: self.lost - earlier.lost,
            cut: self.cut - earlier.cut,
            duplicated: self.duplicated - earlier.duplicated,
            reordered: self.reordered - earlier.reordered,
            queue_bytes_max: self.queue_bytes_max,
        }
    }
}
