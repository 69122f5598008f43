//! How long a job had no agent to work with, after it had one.

use std::time::{Duration, Instant};

use quicopy_protocol::code::RefusalCode;

use super::ending::End;

/// Adds up the times between a link that was lost and the next one that serves.
#[derive(Debug, Default)]
pub(super) struct Outages {
    /// Those that are over.
    over: Duration,
    /// Since when there is one.
    since: Option<Instant>,
}

impl Outages {
    /// Takes the end of an attempt that had a link since `begin`.
    pub(super) fn attempted(&mut self, begin: Instant, end: &End, now: Instant) {
        let begins_anew = match end {
            End::Complete { .. } | End::SourceFailed(_) | End::Stopped | End::Paused => false,
            End::Lost(_) => true,
            End::Refused(refused) if refused.code == RefusalCode::Stopping => true,
            // It was not served: an outage goes on.
            End::Refused(_) => return,
        };
        if let Some(since) = self.since.take() {
            self.over += begin.saturating_duration_since(since);
        }
        self.since = begins_anew.then_some(now);
    }

    /// All of them, until `now`.
    pub(super) fn total(&self, now: Instant) -> Duration {
        let current =
            self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.over + current
    }
}

#[cfg(test)]
mod tests {
    use quicopy_protocol::message::Refused;

    use super::*;

    fn refused(code: RefusalCode) -> End {
        End::Refused(Refused::new(code, ""))
    }

    /// Attempts as (begin, end, seconds when they ended), and the seconds lost until the last of them ended.
    fn check(attempts: &[(u64, End, u64)], lost_seconds: u64) {
        let zero = Instant::now();
        let at = |seconds| zero + Duration::from_secs(seconds);
        let mut outages = Outages::default();
        for (begin, end, until) in attempts {
            outages.attempted(at(*begin), end, at(*until));
        }
        let last = attempts.last().map_or(0, |(_, _, until)| *until);
        assert_eq!(outages.total(at(last)), Duration::from_secs(lost_seconds));
    }

    fn lost() -> End {
        End::Lost(String::new())
    }

    #[test]
    fn time_without_a_link_is_lost_and_time_before_the_first_is_not() {
        let complete = || End::Complete { held_back: false };
        check(&[(3, complete(), 9)], 0);
        check(&[(0, lost(), 5), (12, complete(), 20)], 7);
        check(&[(0, lost(), 5), (12, lost(), 20), (21, complete(), 30)], 8);
    }

    #[test]
    fn an_agent_that_stops_is_as_good_as_a_link_that_is_lost() {
        let stopping = || refused(RefusalCode::Stopping);
        check(&[(0, stopping(), 5), (12, End::Stopped, 20)], 7);
        check(&[(0, stopping(), 5), (10, stopping(), 10), (12, End::Stopped, 20)], 7);
    }

    #[test]
    fn an_agent_that_is_busy_does_not_end_an_outage_and_begins_none() {
        let busy = || refused(RefusalCode::Busy);
        check(&[(0, busy(), 1), (6, End::Stopped, 20)], 0);
        check(&[(0, lost(), 5), (10, busy(), 10), (15, End::Stopped, 20)], 10);
    }
}
