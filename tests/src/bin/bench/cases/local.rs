//! What this machine's processor allows.

use std::path::Path;

use anyhow::Result;
use quicopy_tests::lab::spec::LinkSpec;

use crate::{
    bench::{Aim, Bench, MIB, NamedLink, Runs},
    contestant::Contestant,
    page::Section,
    programs::is_installed,
    server::SSHD,
    stage::{Place, Stage},
    work::Work,
};

/// A folder in memory.
const MEMORY: &str = "/dev/shm";

/// One large file without a link.
pub(crate) fn loopback(bench: &Bench) -> Result<Section> {
    let bytes = if bench.quick { 512 } else { 4096 } * MIB;
    let folder = tempfile::Builder::new().prefix("quicopy-bench-").tempdir_in(Path::new(MEMORY))?;
    let work = Work::one_file(&folder.path().join("large"), bytes)?;
    let idle = LinkSpec::new(1_000_000, std::time::Duration::ZERO);
    let mut stage = Stage::start(&bench.programs, folder.path(), idle, bench.seed, Place::Beside)?;
    let mut others = vec![Contestant::DAEMON];
    if is_installed(SSHD) {
        others.insert(0, Contestant::SSH);
    }
    // The measure goes first.
    let first = bench.contestants(&[], &others);
    let (mut runs, mut measure) = (Runs::default(), None);
    let ours = [Contestant::QUICOPY, Contestant::REMEMBERED];
    for contestant in first.into_iter().chain(ours) {
        let Some(run) = stage.run(contestant, &work, std::time::Duration::from_secs(300), &[])?
        else {
            continue;
        };
        let aim = match measure {
            Some(measure) if contestant.is_quicopy() => Aim::seconds(&run, measure / 1.5),
            _ => Aim::said(format!("{:.2} GB/s", run.goodput() / 1e9)),
        };
        if contestant == Contestant::SSH {
            measure = run.done();
        }
        runs.add("loopback", &run, None, &aim);
    }
    Ok(Section {
        name: "loopback",
        title: "No link",
        text: format!(
            "A file of {} MiB between two memory-backed folders, over the loopback interface. Both programs share the cores; the memory is \
             that of both. Aim: 1.5 times as fast as rsync over ssh.",
            bytes / MIB
        ),
        table: runs.table,
        lines: runs.notes,
    })
}

/// CPU time at the rate of a usual line.
pub(crate) fn cpu(bench: &Bench) -> Result<Section> {
    let link = NamedLink::new(100, 50, 0.0);
    let (work, mut runs) = (bench.file()?, Runs::default());
    let mut stage = bench.stage(link.spec())?;
    let mut others = vec![Contestant::DAEMON];
    if is_installed(SSHD) {
        others.push(Contestant::SSH);
    }
    for contestant in bench.contestants(&[Contestant::QUICOPY], &others) {
        let Some(run) = stage.run(contestant, &work, bench.limit(&link, work.bytes), &[])? else {
            continue;
        };
        let shares = run.usage.map(|usage| usage.cpu.as_secs_f64() / run.seconds * 100.0);
        let text = format!("{:.1} % + {:.1} % of a core", shares[0], shares[1]);
        let aim = if contestant.is_quicopy() {
            Aim::new(
                format!("≤ 25 % each: {text}"),
                run.done().is_some() && shares.iter().all(|share| *share <= 25.0),
            )
        } else {
            Aim::said(text)
        };
        runs.add(&link.name(), &run, Some(link.floor(work.bytes)), &aim);
    }
    Ok(Section {
        name: "cpu",
        title: "CPU time",
        text: "The file at 100 Mbit/s. Aim: at most 25 % of one core on each side.".to_owned(),
        table: runs.table,
        lines: runs.notes,
    })
}
