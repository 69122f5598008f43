//! Outages: what may be sent while nothing is heard.
//!
//! quinn doubles its probe timeout without end, so that after an outage it stays silent for as long again. Its other packets
//! wait for the congestion window. Two packets more each quarter of a second let whoever wakes the connection send a probe
//! that soon finds the path working again; they are too few to harm one that is merely full.

use std::time::Duration;

/// Shortest silence that is an outage.
const PATIENCE_MIN: Duration = Duration::from_secs(1);
/// How often the window grows meanwhile, and by how many packets: one probe, and one more should it be lost.
const PERIOD: Duration = Duration::from_millis(250);
const PACKETS: f64 = 2.0;
/// More than this in sum is of no use: an outage of a minute.
const PACKETS_MAX: f64 = 480.0;

/// Whether so long without an acknowledgement is an outage: longer than a second and three round trips.
pub(super) fn is_outage(silent: Duration, rtt: Duration) -> bool {
    silent > patience(rtt)
}

/// Packets that may leave beyond what is in flight after so long a silence.
pub(super) fn credit_packets(silent: Duration, rtt: Duration) -> f64 {
    let periods = silent.saturating_sub(patience(rtt)).as_secs_f64() / PERIOD.as_secs_f64();
    (PACKETS * periods.floor()).min(PACKETS_MAX)
}

fn patience(rtt: Duration) -> Duration {
    rtt.saturating_mul(3).max(PATIENCE_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(silent_ms: u64, rtt_ms: u64, packets: f64) {
        let (silent, rtt) = (Duration::from_millis(silent_ms), Duration::from_millis(rtt_ms));
        assert_eq!(credit_packets(silent, rtt), packets);
        assert!(is_outage(silent, rtt) || packets == 0.0);
    }

    #[test]
    fn silence_earns_two_packets_a_quarter_of_a_second() {
        check(1000, 100, 0.0);
        check(1249, 100, 0.0);
        check(1250, 100, 2.0);
        check(3000, 100, 16.0);
        check(1500, 500, 0.0); // three round trips
        check(1750, 500, 2.0);
        check(3_600_000, 100, 480.0);
    }
}
