//! What the machine does with packets, event by event.

use std::time::Duration;

use proptest::prelude::*;

use super::{super::spec::Loss, *};

const MBIT: u64 = 1_000_000;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn us(count: u64) -> Duration {
    Duration::from_micros(count)
}

/// 12 Mbit/s, at which a packet of 1500 bytes takes a millisecond, and 10 ms each way.
fn spec() -> LinkSpec {
    LinkSpec { queue_bytes: 1 << 20, ..LinkSpec::new(12 * MBIT, ms(20)) }
}

/// Sends `count` packets of 1500 bytes at time 0.
fn burst(link: &mut Link<u32>, count: u32) {
    (0..count).for_each(|number| link.send(Duration::ZERO, 1500, number));
}

/// Takes all that ever comes out, each with its time, stepping from event to event.
fn drain(link: &mut Link<u32>) -> Vec<(Duration, u32)> {
    let mut out = Vec::new();
    while let Some(now) = link.next_event() {
        while let Some(arrived) = link.receive_timed(now) {
            out.push(arrived);
        }
    }
    out
}

fn payloads(out: &[(Duration, u32)]) -> Vec<u32> {
    out.iter().map(|(_, payload)| *payload).collect()
}

/// Sends packets one by one over a link without a bottleneck, and returns the runs of lost ones.
fn lost_runs(loss: Loss, count: u32) -> (Counters, Vec<u32>) {
    let mut link = Link::new(LinkSpec { rate_bps: None, loss, ..spec() }, 7);
    burst(&mut link, count);
    let out = payloads(&drain(&mut link));
    let ends = out.iter().copied().chain([count]);
    let starts = [0].into_iter().chain(out.iter().map(|number| number + 1));
    let runs = starts.zip(ends).map(|(start, end)| end - start).filter(|run| *run > 0);
    (link.counters(), runs.collect())
}

#[test]
fn packets_leave_at_the_rate_and_arrive_after_the_delay() {
    let mut link = Link::new(spec(), 1);
    burst(&mut link, 3);
    assert_eq!(drain(&mut link), [(ms(11), 0), (ms(12), 1), (ms(13), 2)]);
}

#[test]
fn an_idle_link_begins_to_serve_when_a_packet_comes() {
    let mut link = Link::new(spec(), 1);
    link.send(ms(5), 1500, 0);
    link.send(ms(50), 750, 1);
    assert_eq!(drain(&mut link), [(ms(16), 0), (us(60_500), 1)]);
}

#[test]
fn without_a_bottleneck_only_the_delay_is_left() {
    let mut link = Link::new(LinkSpec { rate_bps: None, ..spec() }, 1);
    burst(&mut link, 2);
    assert_eq!(drain(&mut link), [(ms(10), 0), (ms(10), 1)]);
}

#[test]
fn nothing_is_lost_to_rounding_in_a_million_packets() {
    // At this rate a packet takes no whole number of nanoseconds.
    let rate = 7 * MBIT + 1;
    let mut link = Link::new(
        LinkSpec { queue_bytes: usize::MAX, delay: Duration::ZERO, ..LinkSpec::new(rate, ms(1)) },
        1,
    );
    burst(&mut link, 1_000_000);
    let last = drain(&mut link).last().map(|(at, _)| at.as_secs_f64()).expect("none is lost");
    let exact = 1e6 * 1500.0 * 8.0 / rate as f64;
    assert!((last - exact).abs() < 1e-6, "{last} instead of {exact}");
}

#[test]
fn a_full_queue_drops_what_comes_last() {
    let mut link = Link::new(LinkSpec { queue_bytes: 3000, ..spec() }, 1);
    burst(&mut link, 5);
    assert_eq!(link.queued_bytes(), 3000);
    assert_eq!(payloads(&drain(&mut link)), [0, 1]);
    assert_eq!(link.counters().overflowed, 3);
    assert_eq!(link.counters().queue_bytes_max, 3000);
    assert_eq!(link.queued_bytes(), 0);
}

#[test]
fn a_queue_smaller_than_a_packet_still_passes_one_at_a_time() {
    let mut link = Link::new(LinkSpec { queue_bytes: 0, ..spec() }, 1);
    burst(&mut link, 2);
    link.send(ms(2), 1500, 2);
    assert_eq!(payloads(&drain(&mut link)), [0, 2]);
}

#[test]
fn a_change_of_rate_bends_the_line_in_the_middle_of_a_packet() {
    let mut link = Link::new(spec(), 1);
    burst(&mut link, 2);
    link.change(us(500), LinkSpec { rate_bps: Some(6 * MBIT), ..spec() });
    // Half a packet at 12 Mbit/s, the other half in a whole millisecond, the next in two.
    assert_eq!(drain(&mut link), [(us(11_500), 0), (us(13_500), 1)]);
}

#[test]
fn a_queue_empties_at_once_when_the_bottleneck_goes_away() {
    let mut link = Link::new(spec(), 1);
    burst(&mut link, 3);
    link.change(ms(1), LinkSpec { rate_bps: None, ..spec() });
    assert_eq!(drain(&mut link), [(ms(11), 0), (ms(11), 1), (ms(11), 2)]);
}

#[test]
fn a_rate_of_nothing_holds_what_waits_until_it_rises() {
    let mut link = Link::new(LinkSpec { rate_bps: Some(0), ..spec() }, 1);
    burst(&mut link, 1);
    assert_eq!(link.next_event(), None);
    link.change(ms(30), spec());
    assert_eq!(drain(&mut link), [(ms(41), 0)]);
}

#[test]
fn what_is_on_its_way_is_not_overtaken_when_the_delay_falls() {
    let mut link = Link::new(spec(), 1);
    link.send(Duration::ZERO, 1500, 0);
    link.change(ms(1), LinkSpec { delay: ms(1), ..spec() });
    link.send(ms(1), 1500, 1);
    assert_eq!(drain(&mut link), [(ms(11), 0), (ms(11), 1)]);
    assert_eq!(link.counters().reordered, 0);
}

#[test]
fn a_link_that_reorders_lets_packets_overtake() {
    let mut link =
        Link::new(LinkSpec { rate_bps: None, jitter: ms(5), reorders: true, ..spec() }, 1);
    burst(&mut link, 1000);
    let out = drain(&mut link);
    assert!(out.is_sorted_by_key(|(at, _)| *at));
    assert!(out.iter().all(|(at, _)| (ms(10)..=ms(15)).contains(at)));
    assert!(!payloads(&out).is_sorted());
    assert!(link.counters().reordered > 900);
}

#[test]
fn jitter_alone_keeps_the_order() {
    let mut link = Link::new(LinkSpec { jitter: ms(5), ..spec() }, 1);
    burst(&mut link, 1000);
    assert!(payloads(&drain(&mut link)).is_sorted());
    assert_eq!(link.counters().reordered, 0);
}

#[test]
fn chance_takes_its_share() {
    let (counters, _) = lost_runs(Loss::Random(0.01), 100_000);
    assert!((900..1100).contains(&counters.lost), "{counters:?}");
    assert_eq!(counters.delivered + counters.lost, 100_000);
}

#[test]
fn losses_in_bursts_have_their_share_and_length() {
    let (counters, runs) = lost_runs(Loss::Bursts { share: 0.02, mean_packets: 5.0 }, 1_000_000);
    assert!((19_000..21_000).contains(&counters.lost), "{counters:?}");
    let mean = counters.lost as f64 / runs.len() as f64;
    assert!((4.7..5.3).contains(&mean), "{mean}");
}

#[test]
fn more_than_half_can_be_lost_in_bursts() {
    for (share, least, most) in [(0.9, 89_000, 91_000), (1.0, 99_990, 100_000)] {
        let (counters, _) = lost_runs(Loss::Bursts { share, mean_packets: 5.0 }, 100_000);
        assert!((least..=most).contains(&counters.lost), "{share}: {counters:?}");
    }
}

#[test]
fn duplicates_come_out_twice() {
    let mut link = Link::new(LinkSpec { duplicates: 1.0, ..spec() }, 1);
    burst(&mut link, 2);
    assert_eq!(payloads(&drain(&mut link)), [0, 0, 1, 1]);
    assert_eq!((link.counters().duplicated, link.counters().delivered), (2, 4));
}

#[test]
fn packets_above_the_mtu_vanish() {
    let mut link = Link::new(LinkSpec { mtu: 1400, ..spec() }, 1);
    link.send(Duration::ZERO, 1400, 0);
    link.send(Duration::ZERO, 1401, 1);
    assert_eq!(payloads(&drain(&mut link)), [0]);
    assert_eq!(link.counters().cut, 1);
}

#[test]
fn an_outage_cuts_what_leaves_meanwhile_and_nothing_else() {
    let mut link = Link::new(spec(), 1);
    burst(&mut link, 4);
    link.change(us(1500), LinkSpec { is_down: true, ..spec() });
    link.change(us(3500), spec());
    assert_eq!(drain(&mut link), [(ms(11), 0), (ms(14), 3)]);
    assert_eq!(link.counters().cut, 2);
}

/// A link with a bit of everything.
fn rough(reorders: bool) -> LinkSpec {
    LinkSpec {
        jitter: ms(3),
        reorders,
        loss: Loss::Bursts { share: 0.1, mean_packets: 3.0 },
        duplicates: 0.05,
        queue_bytes: 20_000,
        ..spec()
    }
}

#[test]
fn a_seed_repeats_every_fate() {
    let fates = |seed| {
        let mut link = Link::new(rough(true), seed);
        for number in 0..500 {
            link.send(us(u64::from(number) * 900), 1500, number);
        }
        drain(&mut link)
    };
    assert_eq!(fates(1), fates(1));
    assert_ne!(fates(1), fates(2));
}

proptest! {
    #[test]
    fn every_packet_has_one_fate(
        gaps_us in prop::collection::vec(0_u64..3000, 1..300),
        reorders: bool,
        seed: u64,
    ) {
        let mut link = Link::new(rough(reorders), seed);
        let (mut now, mut number, mut last) = (Duration::ZERO, 0, Duration::ZERO);
        for gap in gaps_us {
            now += us(gap);
            link.send(now, 1000, number);
            number += 1;
            // Looking at it now and then changes nothing, and nothing comes out before its time or in the past.
            while let Some((at, _)) = link.receive_timed(now) {
                prop_assert!(at <= now && at >= last);
                last = at;
            }
        }
        drain(&mut link);
        let all = link.counters();
        prop_assert_eq!(all.sent, u64::from(number));
        prop_assert_eq!(all.sent + all.duplicated, all.delivered + all.lost + all.overflowed + all.cut);
        prop_assert_eq!(link.queued_bytes(), 0);
        prop_assert!(reorders || all.reordered == 0);
    }
}
