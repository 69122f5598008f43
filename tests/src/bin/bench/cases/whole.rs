//! Whole jobs over links that do not change.

use anyhow::Result;

use crate::{
    bench::{Aim, Bench, MIB, NamedLink, Runs},
    contestant::Contestant,
    page::Section,
    stage::Run,
    work::Work,
};

/// CUBIC is given this long: it would take hours.
const CUBIC: std::time::Duration = std::time::Duration::from_secs(60);

/// One file over each link.
pub(crate) fn links(bench: &Bench) -> Result<Section> {
    let all = [
        NamedLink::new(100, 50, 0.0),
        NamedLink::new(100, 100, 1.0),
        NamedLink::new(100, 200, 3.0),
        NamedLink::new(20, 300, 2.0),
        NamedLink::new(500, 100, 0.1),
        NamedLink::new(1000, 200, 1.0),
    ];
    let wanted = all.iter().filter(|link| bench.wants_link(&link.name()));
    let mut runs = Runs::default();
    for link in wanted.take(if bench.quick && bench.link.is_none() { 2 } else { usize::MAX }) {
        one_link(bench, link, &mut runs)?;
    }
    Ok(Section {
        name: "links",
        title: "One incompressible file over six links",
        text: format!(
            "A file of {} MiB in a new folder, queue of one bandwidth × delay. CUBIC is stopped after {} s. \
             Aims: start to exit within floor / 0.97 + 1 s + 5 RTT, with the link remembered within floor / 0.97 + 0.3 s + 5 RTT; \
             at most 0.5 % of packets dropped by our own queueing; never slower than rsync's daemon over BBR (1.08 times faster \
             at 100 ms and 1 %, 1.3 times at 200 ms and 3 %), 40 times CUBIC's bytes at 1 % loss.",
            bench.file()?.bytes / MIB,
            CUBIC.as_secs()
        ),
        table: runs.table,
        lines: runs.notes,
    })
}

fn one_link(bench: &Bench, link: &NamedLink, runs: &mut Runs) -> Result<()> {
    let (work, name) = (bench.file()?, link.name());
    let floor = link.floor(work.bytes);
    let mut stage = bench.stage(link.spec())?;
    let ours = [Contestant::QUICOPY, Contestant::REMEMBERED, Contestant::LOW];
    let mut fresh: Option<Run> = None;
    for contestant in bench.contestants(&ours, &[Contestant::DAEMON, Contestant::DAEMON_CUBIC]) {
        let limit = if contestant == Contestant::DAEMON_CUBIC {
            CUBIC
        } else {
            bench.limit(link, work.bytes)
        };
        let Some(run) = stage.run(contestant, &work, limit, &[])? else { continue };
        let trips = 5.0 * link.round_trip.as_secs_f64();
        let drops = Aim::new("drops ≤ 0.5 %", run.own_drops() <= 0.005);
        let aim = match contestant {
            Contestant::QUICOPY => Aim::seconds(&run, floor / 0.97 + 1.0 + trips).and(drops),
            Contestant::REMEMBERED => Aim::seconds(&run, floor / 0.97 + 0.3 + trips).and(drops),
            Contestant::LOW => drops,
            Contestant::DAEMON => beside(fresh.as_ref(), &run, daemon_factor(link)),
            Contestant::DAEMON_CUBIC if link.loss == 0.01 => beside(fresh.as_ref(), &run, 40.0),
            _ => beside(fresh.as_ref(), &run, 1.0),
        };
        runs.add(&name, &run, Some(floor), &aim);
        if contestant == Contestant::QUICOPY {
            fresh = Some(run);
        }
    }
    Ok(())
}

/// How much faster than rsync's daemon over BBR.
fn daemon_factor(link: &NamedLink) -> f64 {
    match (link.round_trip.as_millis(), link.loss) {
        (100, 0.01) => 1.08,
        (200, 0.03) => 1.3,
        _ => 1.0,
    }
}

/// How many times faster Quicopy is to be than this other one.
fn beside(quicopy: Option<&Run>, other: &Run, least: f64) -> Aim {
    let Some(quicopy) = quicopy else { return Aim::NONE };
    let factor = quicopy.goodput() / other.goodput().max(1.0);
    Aim::new(format!("quicopy {least} × this: {factor:.2} ×"), factor >= least)
}

/// A queue of a tenth of bandwidth × delay.
pub(crate) fn shallow(bench: &Bench) -> Result<Section> {
    let (work, mut runs) = (bench.file()?, Runs::default());
    for link in [NamedLink::new(100, 100, 0.0), NamedLink::new(100, 100, 1.0)] {
        let (name, floor) = (link.name(), link.floor(work.bytes));
        let mut stage = bench.stage(link.spec().with_queue(0.1))?;
        let ours = [Contestant::QUICOPY, Contestant::LOW];
        for contestant in bench.contestants(&ours, &[Contestant::DAEMON]) {
            let Some(run) = stage.run(contestant, &work, bench.limit(&link, work.bytes), &[])?
            else {
                continue;
            };
            let drops = Aim::new("drops ≤ 2 %", run.own_drops() <= 0.02);
            runs.add(
                &name,
                &run,
                Some(floor),
                &if contestant.is_quicopy() { drops } else { Aim::NONE },
            );
        }
    }
    Ok(Section {
        name: "shallow",
        title: "A shallow queue",
        text: "The same file over a queue of a tenth of bandwidth × delay. Aim: at most 2 % of packets dropped by our own \
               queueing."
            .to_owned(),
        table: runs.table,
        lines: runs.notes,
    })
}

/// Many small files.
pub(crate) fn small(bench: &Bench) -> Result<Section> {
    let files = if bench.quick { 10_000 } else { 100_000 };
    let work = bench.make("small", |folder| Ok(Work::small_files(folder, files)?))?;
    let mut runs = Runs::default();
    // Seconds fresh and remembered: measured against a floor of 8.7 s for 100,000 files.
    let scale = work.files as f64 / 100_000.0;
    for (loss, fresh, remembered) in [(0.0, 11.5, Some(10.5)), (1.0, 15.0, None)] {
        let link = NamedLink::new(100, 200, loss);
        let (name, floor) = (link.name(), link.floor(work.bytes));
        let mut stage = bench.stage(link.spec())?;
        let ours = [Contestant::QUICOPY, Contestant::REMEMBERED];
        for contestant in bench.contestants(&ours, &[Contestant::DAEMON]) {
            let Some(run) = stage.run(contestant, &work, bench.limit(&link, work.bytes), &[])?
            else {
                continue;
            };
            let most = match contestant {
                Contestant::QUICOPY => Some(fresh),
                Contestant::REMEMBERED => remembered,
                _ => None,
            };
            let aim = most.map_or(Aim::NONE, |most| Aim::seconds(&run, most * scale));
            runs.add(&name, &run, Some(floor), &aim);
        }
    }
    Ok(Section {
        name: "small",
        title: "Many small files",
        text: format!(
            "{} new files of 1 KiB of random bytes each, a thousand to a folder. Aims for 100,000: 11.5 s, 10.5 s with the link remembered; 15 s with 1 % loss.",
            work.files
        ),
        table: runs.table,
        lines: runs.notes,
    })
}

/// A tree of source code.
pub(crate) fn source(bench: &Bench) -> Result<Section> {
    let (work, what) = match &bench.source {
        Some(folder) => (Work::existing(folder)?, "real source code"),
        None => {
            let (files, bytes) = if bench.quick { (600, 14_000_000) } else { (5700, 129_000_000) };
            let made = bench.make("source", |folder| Ok(Work::text_tree(folder, files, bytes)?))?;
            (made, "made text")
        }
    };
    let link = NamedLink::new(100, 100, 1.0);
    let mut stage = bench.stage(link.spec())?;
    // rsync's daemon goes first, for its time is the measure.
    let first = bench.contestants(&[], &[Contestant::DAEMON_Z]);
    let ours = [Contestant::QUICOPY, Contestant::REMEMBERED];
    let rest = bench.contestants(&ours, &[Contestant::DAEMON, Contestant::SSH_Z]);
    let (mut runs, mut measure) = (Runs::default(), None);
    for contestant in first.into_iter().chain(rest) {
        let Some(run) = stage.run(contestant, &work, bench.limit(&link, work.bytes), &[])? else {
            continue;
        };
        let share = match contestant {
            Contestant::QUICOPY => Some(0.75),
            Contestant::REMEMBERED => Some(0.6),
            _ => None,
        };
        let aim = match (measure, share) {
            (Some(measure), Some(share)) => Aim::seconds(&run, measure * share),
            _ => Aim::NONE,
        };
        if contestant == Contestant::DAEMON_Z {
            measure = run.done();
        }
        runs.add(&link.name(), &run, None, &aim);
    }
    Ok(Section {
        name: "source",
        title: "A tree of source code",
        text: format!(
            "{} files, {:.0} MB of {what}, all new. Aims: 75 % of the time of `rsync -z` to its daemon over BBR, 60 % with the link remembered.",
            work.files,
            work.bytes as f64 / 1e6
        ),
        table: runs.table,
        lines: runs.notes,
    })
}
