//! What the attempts of a job hand on.

use std::collections::HashMap;

use quicopy_protocol::path::RelPath;

use super::accounts::Told;
use super::moving::{Moved, Standing};
use super::progress::Share;

/// What attempts hand on to the next.
#[derive(Debug, Default)]
pub(super) struct Carried {
    pub(super) told: Told,
    pub(super) moved: Moved,
    pub(super) standing: Standing,
    /// What there is of the files that are not done, by their paths.
    pub(super) unfinished: HashMap<RelPath, Share>,
}

impl Carried {
    /// Takes what an attempt leaves unfinished. Sent bytes add up; held ones are the same ones again, and may be more.
    pub(super) fn leave(&mut self, path: RelPath, share: Share) {
        let left = self.unfinished.entry(path).or_default();
        left.sent_bytes += share.sent_bytes;
        left.held_bytes = left.held_bytes.max(share.held_bytes);
    }

    /// Bytes of unfinished files that are durable, as far as the agent has said so: those it did not ask for again.
    pub(super) fn held_bytes(&self) -> u64 {
        self.unfinished.values().map(|share| share.held_bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_file_counts_as_progress_only_as_far_as_the_agent_holds_more_of_it() {
        let mut carried = Carried::default();
        let mut leave = |sent_bytes, held_bytes| {
            carried.leave(RelPath::ROOT, Share { sent_bytes, held_bytes });
            carried.held_bytes()
        };
        assert_eq!(leave(50, 0), 0);
        assert_eq!(leave(50, 40), 40);
        assert_eq!(leave(50, 10), 40);
        assert_eq!(leave(50, 80), 80);
    }
}
