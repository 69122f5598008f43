//! `/BWLIMIT`, `/IORATE`, `/IPG` over a link: its congestion control keeps what goes over it, [`LinkLimit`] says what holds.

use std::sync::Arc;
use std::time::Duration;

use jiff::Zoned;
use quicopy_protocol::congestion::Gauge;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::hours::minute_of_day;
use crate::cli::Pace;

/// So soon another hour's limit is followed.
const LOOK: Duration = Duration::from_secs(1);

/// Whether a link can keep this pace by itself. It does not know files, so it cannot let small ones pass.
pub(super) fn keeps(pace: &Pace) -> bool {
    pace.threshold_bytes == 0
}

/// Caps the rate of all links of a gauge at what holds at the time, for as long as it is kept.
pub(super) struct LinkLimit {
    hours: Option<AbortHandle>,
}

impl LinkLimit {
    /// From now on. Only a limit with hours takes a task.
    pub(super) fn start(pace: Pace, gauge: &Arc<Gauge>, runtime: &Handle) -> Self {
        if pace.is_open() || !keeps(&pace) {
            return Self { hours: None };
        }
        let gauge = Arc::clone(gauge);
        let cap =
            move || gauge.set_rate_max(pace.limit_at(minute_of_day(&Zoned::now())).map(u64::from));
        cap();
        let follow = async move {
            loop {
                tokio::time::sleep(LOOK).await;
                cap();
            }
        };
        let has_hours = pace.bandwidth.is_some_and(|bandwidth| bandwidth.hours.is_some());
        Self { hours: has_hours.then(|| runtime.spawn(follow).abort_handle()) }
    }
}

impl Drop for LinkLimit {
    fn drop(&mut self) {
        if let Some(task) = &self.hours {
            task.abort();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::cli::Bandwidth;

    #[tokio::test]
    async fn a_link_is_capped_while_the_hours_last() {
        let minute = minute_of_day(&Zoned::now());
        let hour = |minute: u16| format!("{:02}{:02}", minute / 60 % 24, minute % 60);
        let now = format!("2M@{}-{}", hour(minute + 1380), hour(minute + 60));
        let later = format!("2M@{}-{}", hour(minute + 60), hour(minute + 120));
        for (text, threshold_bytes, expected) in [
            ("2M", 0, Some(2 << 20)),
            (&*now, 0, Some(2 << 20)),
            (&*later, 0, None),
            ("2M", 1, None),
        ] {
            let gauge = Arc::default();
            let bandwidth = Some(Bandwidth::parse(text.as_ref()).unwrap());
            let pace = Pace { bandwidth, threshold_bytes, ..Pace::default() };
            let _kept = LinkLimit::start(pace, &gauge, &Handle::current());
            assert_eq!(gauge.rate_max(), expected, "{text}");
        }
    }
}
