//! The largest value of the last moments: [`Peak`].

use std::collections::VecDeque;
use std::time::Duration;

/// A maximum over a sliding window of time. Holds only what can still become the maximum.
#[derive(Clone, Debug)]
pub(super) struct Peak {
    length: Duration,
    values: VecDeque<(Duration, f64)>,
}

impl Peak {
    pub(super) fn new(length: Duration) -> Self {
        Self { length, values: VecDeque::new() }
    }

    pub(super) fn insert(&mut self, now: Duration, value: f64) {
        while self.values.back().is_some_and(|(_, other)| *other <= value) {
            self.values.pop_back();
        }
        self.values.push_back((now, value));
        while self.values.front().is_some_and(|(at, _)| *at + self.length < now) {
            self.values.pop_front();
        }
    }

    pub(super) fn get(&self) -> f64 {
        self.values.front().map_or(0.0, |(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_leaves_with_its_window() {
        let mut peak = Peak::new(Duration::from_secs(10));
        for (at, value, highest) in
            [(0, 5.0, 5.0), (4, 9.0, 9.0), (8, 3.0, 9.0), (14, 1.0, 9.0), (15, 1.0, 3.0)]
        {
            peak.insert(Duration::from_secs(at), value);
            assert_eq!(peak.get(), highest, "at {at} s");
        }
    }
}
