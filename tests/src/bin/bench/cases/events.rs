//! One file over a link to which something happens.

use std::time::Duration;

use anyhow::{Result, anyhow};
use quicopy_tests::lab::change::{Moment, moments};

use crate::{
    bench::{Aim, Bench, MIB, NamedLink, Runs},
    contestant::Contestant,
    page::Section,
    series::line,
    stage::Run,
    work::Work,
};

/// Time after which a transfer is at full speed.
const STARTED: Duration = Duration::from_secs(3);

fn schedule(lines: &[String]) -> Result<Vec<Moment>> {
    let all: Result<Vec<_>, _> = lines.iter().map(|line| moments(line)).collect();
    Ok(all.map_err(|reason| anyhow!(reason))?.concat())
}

fn per_second(what: &str, run: &Run) -> String {
    let rates = run.series.per_second(run.began, run.ended);
    format!("{what}, {}, Mbit/s per second:\n  {}", run.contestant.plain(), line(&rates))
}

/// Nothing passes for a while.
pub(crate) fn outage(bench: &Bench) -> Result<Section> {
    let link = NamedLink::new(100, 100, 0.5);
    let (work, mut runs, mut series) = (bench.file()?, Runs::default(), Vec::new());
    let floor = link.floor(work.bytes);
    let lengths: &[u64] = if bench.quick { &[2] } else { &[2, 5, 20] };
    for length in lengths {
        let what = format!("{}, outage of {length} s", link.name());
        let events = schedule(&[format!("{:.3}s outage={length}s", floor / 2.0)])?;
        for contestant in bench.contestants(&[Contestant::QUICOPY], &[Contestant::DAEMON]) {
            let mut stage = bench.stage(link.spec())?;
            let limit = bench.limit(&link, work.bytes) + Duration::from_secs(2 * length);
            let Some(run) = stage.run(contestant, &work, limit, &events)? else { continue };
            let whole = floor + *length as f64;
            let aim =
                if contestant.is_quicopy() { Aim::seconds(&run, whole + 2.0) } else { Aim::NONE };
            runs.add(&what, &run, Some(whole), &aim);
            series.push(per_second(&what, &run));
        }
    }
    Ok(Section {
        name: "outage",
        title: "An outage in the middle",
        text: "Nothing passes in either direction for 2, 5 or 20 s, after half of the floor's time. The floor here includes the \
               outage. Aim: floor + 2 s."
            .to_owned(),
        table: runs.table,
        lines: [runs.notes, series].concat(),
    })
}

/// The sender appears to be elsewhere, or is.
pub(crate) fn rebinding(bench: &Bench) -> Result<Section> {
    let link = NamedLink::new(100, 100, 0.5);
    let (work, mut runs, mut series) = (bench.file()?, Runs::default(), Vec::new());
    let at = link.floor(work.bytes) / 2.0;
    for (word, what) in [
        ("rebind=port", "the NAT gives another port"),
        ("rebind=address", "the NAT gives another address and port"),
        ("readdress", "the sender's own address is replaced"),
    ] {
        let mut stage = bench.stage(link.spec())?;
        let events = schedule(&[format!("{at:.3}s {word}")])?;
        let Some(run) =
            stage.run(Contestant::QUICOPY, &work, bench.limit(&link, work.bytes), &events)?
        else {
            continue;
        };
        // The last second is of the end, not of the event.
        let to = run.ended.saturating_sub(Duration::from_secs(1));
        let rates = run.series.per_second(run.began + STARTED, to);
        let slow = rates.iter().filter(|rate| **rate < link.rate_bps as f64 / 2.0).count();
        let met = run.done().is_some() && slow <= 1;
        let aim = Aim::new(format!("≤ 1 slow second: {slow}"), met);
        let what = format!("{}, {what}", link.name());
        runs.add(&what, &run, Some(link.floor(work.bytes)), &aim);
        series.push(per_second(&what, &run));
    }
    Ok(Section {
        name: "rebinding",
        title: "A NAT rebinding, a change of address",
        text: "In the middle of the transfer. Aim: but for the first 3 s, no second below half of the link's rate but one.".to_owned(),
        table: runs.table,
        lines: [runs.notes, series].concat(),
    })
}

/// Another rate, another round trip.
pub(crate) fn changes(bench: &Bench) -> Result<Section> {
    /// Within which the transfer is to be back at its rate.
    const BACK: Duration = Duration::from_secs(2);
    /// Of the last piece this much is of the end, not of the change.
    const LAST: Duration = Duration::from_millis(500);
    let link = NamedLink::new(100, 50, 0.5);
    /// Seconds after the start, so far apart that a transfer can settle.
    const TIMES: [f64; 2] = [6.0, 13.0];
    // Long enough for both changes, however quick it is to be.
    let work = bench.make("changes", |folder| Ok(Work::one_file(folder, 256 * MIB)?))?;
    let (mut runs, mut series) = (Runs::default(), Vec::new());
    for (what, setting, values, rates) in [
        ("rate 100, 20, 100 Mbit/s", "rate", ["20mbit", "100mbit"], [20e6, 100e6]),
        ("RTT 50, 150, 50 ms", "rtt", ["150ms", "50ms"], [100e6, 100e6]),
    ] {
        let lines = [0, 1].map(|index| format!("{}s {setting}={}", TIMES[index], values[index]));
        let events = schedule(&lines)?;
        for contestant in bench.contestants(&[Contestant::QUICOPY], &[Contestant::DAEMON]) {
            let mut stage = bench.stage(link.spec())?;
            let Some(run) =
                stage.run(contestant, &work, 2 * bench.limit(&link, work.bytes), &events)?
            else {
                continue;
            };
            let times = TIMES.map(|time| run.began + Duration::from_secs_f64(time));
            let ends = [times[1], run.ended];
            let back = [0, 1].map(|index| {
                let rate = 0.9 * rates[index] * (1.0 - link.loss);
                let first = run.series.recovery(times[index], ends[index], rate);
                let later = run.series.rate(times[index] + BACK, ends[index].saturating_sub(LAST));
                (first, later, first.is_some_and(|time| time <= BACK) && later >= rate)
            });
            let said = back.map(|(first, later, _)| {
                let first = first.map_or("never".to_owned(), |time| {
                    format!("after {:.1} s", time.as_secs_f64())
                });
                format!("{first}, then {:.0} Mbit/s", later / 1e6)
            });
            let met = back.iter().all(|(_, _, met)| *met) && run.own_drops() <= 0.05;
            let text = format!("at 90 % within 2 s: {}; drops ≤ 5 %", said.join("; "));
            let aim = if contestant.is_quicopy() { Aim::new(text, met) } else { Aim::said(text) };
            let what = format!("100 Mbit/s, 0.5 %, {what}");
            runs.add(&what, &run, None, &aim);
            series.push(per_second(&what, &run));
        }
    }
    Ok(Section {
        name: "changes",
        title: "A link that changes",
        text: format!(
            "The rate falls and rises, or the round trip rises and falls, after {} and {} s; the queue stays \
             at the first bandwidth × delay. Aims: back at 90 % of the link's new rate within 2 s, \
             first for half a second and then on average until the next change; at most 5 % of packets dropped by our own queueing.",
            TIMES[0], TIMES[1]
        ),
        table: runs.table,
        lines: [runs.notes, series].concat(),
    })
}
