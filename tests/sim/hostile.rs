//! What no link would do.

use std::time::Duration;

use proptest::prelude::*;
use quicopy_protocol::congestion::{Controller, Estimate, Policy, Settings};

/// A call, with figures of any size.
#[derive(Clone, Debug)]
enum Call {
    /// Lets time pass.
    Wait(u64),
    Sent(u64),
    /// A packet that left so long ago, whether it was ever sent or not.
    Ack(u64, u64, bool),
    EndAcks(u64, bool),
    Loss(u64, u64),
    Mtu(u16),
}

fn nanos() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..2_000_000u64, 1_000_000..500_000_000u64, 0..100_000_000_000u64]
}

fn bytes() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1452), 1..100_000u64, Just(u64::MAX / 4)]
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        nanos().prop_map(Call::Wait),
        bytes().prop_map(Call::Sent),
        (nanos(), bytes(), any::<bool>())
            .prop_map(|(ago, bytes, idle)| Call::Ack(ago, bytes, idle)),
        (bytes(), any::<bool>()).prop_map(|(bytes, idle)| Call::EndAcks(bytes, idle)),
        (nanos(), bytes()).prop_map(|(ago, bytes)| Call::Loss(ago, bytes)),
        any::<u16>().prop_map(Call::Mtu),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    let policy =
        prop_oneof![Just(Policy::Fair), Just(Policy::Low), any::<u64>().prop_map(Policy::Fixed)];
    let estimate = (any::<u64>(), nanos(), prop_oneof![0.0..1.0, Just(f64::NAN), Just(2.0)])
        .prop_map(|(rate, rtt, loss)| Estimate { rate, min_rtt: Duration::from_nanos(rtt), loss });
    (policy, proptest::option::of(any::<u64>()), proptest::option::of(estimate)).prop_map(
        |(policy, rate_max, remembered)| {
            let settings = Settings { policy, remembered, ..Settings::default() };
            settings.gauge.set_rate_max(rate_max);
            settings
        },
    )
}

proptest! {
    #[test]
    fn the_window_stays_within_bounds_whatever_is_reported(
        settings in settings(),
        calls in proptest::collection::vec(call(), 1..200),
    ) {
        let mut controller = Controller::new(settings, 1452);
        let mut now = Duration::ZERO;
        let mut packet_bytes = 1452;
        for call in calls {
            match call {
                Call::Wait(nanos) => now += Duration::from_nanos(nanos),
                Call::Sent(bytes) => controller.handle_sent(now, bytes),
                Call::Ack(ago, bytes, idle) => {
                    controller.handle_ack(now, now.saturating_sub(Duration::from_nanos(ago)), bytes, idle);
                }
                Call::EndAcks(bytes, idle) => controller.handle_end_acks(now, bytes, idle),
                Call::Loss(ago, bytes) => {
                    controller.handle_loss(now.saturating_sub(Duration::from_nanos(ago)), bytes);
                }
                Call::Mtu(mtu) => {
                    controller.handle_mtu(mtu);
                    packet_bytes = u64::from(mtu.max(1));
                }
            }
            let window = controller.window(now);
            prop_assert!(window >= 4 * packet_bytes, "{window}");
            if let Some(estimate) = controller.estimate() {
                prop_assert!((0.0..=1.0).contains(&estimate.loss));
            }
        }
    }
}
