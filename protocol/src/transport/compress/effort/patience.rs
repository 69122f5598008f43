//! Patience with what has failed.

/// How long to wait before something that failed is tried again: twice as long each time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    wait: u32,
    next: u32,
    least: u32,
    most: u32,
}

impl Patience {
    pub(super) fn new((least, most): (u32, u32)) -> Self {
        Self { wait: 0, next: least, least, most }
    }

    pub(super) fn pass_span(&mut self) {
        self.wait = self.wait.saturating_sub(1);
    }

    pub(super) fn is_over(&self) -> bool {
        self.wait == 0
    }

    pub(super) fn fail(&mut self) {
        self.wait = self.next;
        self.next = (self.next * 2).min(self.most);
    }

    pub(super) fn forget_half(&mut self) {
        self.next = (self.next / 2).max(self.least);
    }

    pub(super) fn forget(&mut self) {
        self.next = self.least;
    }
}
