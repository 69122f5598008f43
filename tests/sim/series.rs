//! A run second by second, for whoever tunes.

use std::time::Duration;

use quicopy_protocol::congestion::{Controller, Estimate, Policy, Settings};
use quicopy_tests::lab::spec::{LinkSpec, Loss};

use crate::model::bbr::Bbr;
use crate::model::cubic::Cubic;
use crate::model::sender::Stack;
use crate::model::source::Supply;
use crate::model::world::World;

fn var(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn link(text: &str) -> LinkSpec {
    let parts: Vec<&str> = text.split(',').collect();
    let rate: f64 = parts[0].parse().expect("Mbit/s");
    let rtt: f64 = parts[1].parse().expect("ms");
    let loss: f64 = parts[2].parse().expect("%");
    let queue: f64 = parts.get(3).map_or(1.0, |q| q.parse().expect("BDP"));
    let jitter: f64 = parts.get(4).map_or(0.0, |q| q.parse().expect("ms"));
    let mut spec = LinkSpec::new((rate * 1e6) as u64, Duration::from_secs_f64(rtt / 1e3))
        .with_loss(loss / 100.0)
        .with_queue(queue);
    spec.jitter = Duration::from_secs_f64(jitter / 1e3);
    if let Some(mean) = parts.get(5).and_then(|text| text.strip_prefix('b')) {
        spec.loss =
            Loss::Bursts { share: loss / 100.0, mean_packets: mean.parse().expect("packets") };
    }
    spec.reorders = parts.get(5) == Some(&"r");
    spec
}

#[test]
#[ignore = "prints a run; the environment says which"]
#[allow(clippy::print_stdout)]
fn series() {
    let seconds: f64 = var("SECONDS", "12").parse().expect("seconds");
    let seed: u64 = var("SEED", "42").parse().expect("seed");
    let forward = link(&var("LINK", "100,100,1"));
    let mut back = forward.clone();
    if var("ACKS", "") != "lost" {
        back.loss = Loss::Never;
    }
    let mut world = World::new(forward.clone(), back.clone(), seed);
    for change in var("CHANGES", "").split(';').filter(|text| !text.is_empty()) {
        let (at, spec) = change.split_once(':').expect("SECONDS:LINK");
        let (mut to, mut from) = (forward.clone(), back.clone());
        if spec == "down" {
            to.is_down = true;
            from.is_down = true;
        } else if spec != "up" {
            to = LinkSpec { queue_bytes: forward.queue_bytes, ..link(spec) };
            from = LinkSpec { loss: Loss::Never, ..to.clone() };
        }
        world.change_at(at.parse().expect("seconds"), to, from);
    }
    for flow in var("FLOWS", "fair").split(',') {
        let (kind, start) = flow.split_once('@').unwrap_or((flow, "0"));
        let start = Duration::from_secs_f64(start.parse().expect("seconds"));
        let ours = |policy| {
            let warm = var("WARM", "");
            let remembered = (!warm.is_empty()).then(|| {
                let spec = link(&warm);
                Estimate {
                    rate: spec.rate_bps.expect("a rate") / 8 * 1452 / 1480,
                    min_rtt: 2 * spec.delay,
                    loss: 0.0,
                }
            });
            let rate_max = var("CAP", "").parse::<f64>().ok().map(|mbit| (mbit * 1.25e5) as u64);
            let settings = Settings { policy, remembered, ..Settings::default() };
            settings.gauge.set_rate_max(rate_max);
            Box::new(Controller::new(settings, 1452))
        };
        match kind {
            "cubic" => world.add(Stack::Tcp, Box::new(Cubic::new()), Supply::Endless, start),
            "bbr" => world.add(Stack::Tcp, Box::new(Bbr::new()), Supply::Endless, start),
            _ if kind.starts_with("fixed") => {
                let mbit: f64 = kind[5..].parse().expect("Mbit/s");
                let policy = Policy::Fixed((mbit * 1.25e5) as u64);
                world.add(Stack::Quinn, ours(policy), Supply::Endless, start)
            }
            "low" => world.add(Stack::Quinn, ours(Policy::Low), Supply::Endless, start),
            _ => world.add(Stack::Quinn, ours(Policy::Fair), Supply::Endless, start),
        };
    }
    let rate = forward.rate_bps.expect("a rate") as f64;
    let step: f64 = var("STEP", "1").parse().expect("seconds");
    let mut at = 0.0;
    while at < seconds {
        world.run(at + step);
        let shares: Vec<String> = world
            .records
            .iter()
            .map(|record| format!("{:5.1}", record.rate_bps(at, at + step) / rate * 100.0))
            .collect();
        let ping = world.median_ping(at, at + step).as_secs_f64() * 1e3;
        let drops: u64 = world.records.iter().map(|record| record.overflowed).sum();
        println!("{at:5.1} [{}] ping {ping:5.1} ms drops {drops}", shares.join(" "));
        for sender in &world.senders {
            println!("        {}", sender.describe());
        }
        at += step;
    }
    for record in &world.records {
        println!(
            "mean {:.2} % second half {:.2} % own drops {:.2} %",
            record.rate_bps(0.0, seconds) / rate * 100.0,
            record.rate_bps(seconds / 2.0, seconds) / rate * 100.0,
            record.own_drops() * 100.0
        );
    }
    println!("median ping {:?}", world.median_ping(1.0, seconds));
}
