//! A job beside others on its link.

use std::{
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use quicopy_tests::{
    lab::{ADDRESS_B, Site, flow::Flow},
    poll::happens_within,
};

use crate::{
    bench::{Aim, Bench, NamedLink},
    contestant::{Contestant, Tcp},
    page::{Section, Table},
    ping::Ping,
    programs::is_installed,
    series::jain,
    stage::{PORT, Stage},
    work::Work,
};

const IPERF: &str = "iperf3";
/// The first flow of TCP goes to this port, the next to the one above.
const IPERF_PORT: u16 = 5201;

/// A ping beside a transfer.
pub(crate) fn queue(bench: &Bench) -> Result<Section> {
    /// Until then a transfer is looking for its rate.
    const STARTED: Duration = Duration::from_secs(3);
    let link = NamedLink::new(100, 50, 0.0);
    let (work, mut table) = (bench.file()?, Table::default());
    table.columns =
        vec!["link", "program", "ping, median", "p99", "seconds", "own drops", "aim", "met"];
    let others = [Contestant::DAEMON, Contestant::DAEMON_CUBIC];
    let mut notes = Vec::new();
    for contestant in bench.contestants(&[Contestant::QUICOPY, Contestant::LOW], &others) {
        let mut stage = bench.stage(link.spec().with_queue(4.0))?;
        let ping = Ping::start(stage.lab())?;
        let lab_began = stage.lab().now().saturating_sub(ping.now());
        let Some(run) = stage.run(contestant, &work, bench.limit(&link, work.bytes), &[])? else {
            continue;
        };
        let (from, to) = (run.began - lab_began, run.ended - lab_began);
        let trips = ping.stop(from + STARTED.min((to - from) / 4), to);
        let at = |share: f64| {
            trips
                .get(((trips.len() as f64 - 1.0).max(0.0) * share) as usize)
                .copied()
                .unwrap_or_default()
        };
        let limit = match contestant {
            Contestant::QUICOPY => Some(1.5),
            Contestant::LOW => Some(1.2),
            _ => None,
        };
        let factor = at(0.5).as_secs_f64() / link.round_trip.as_secs_f64();
        let aim = limit.map_or(Aim::said(format!("{factor:.2} ×")), |most| {
            Aim::new(
                format!("≤ {most} × the idle round trip: {factor:.2} ×"),
                factor <= most && !trips.is_empty(),
            )
        });
        let milliseconds = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1e3);
        let row = [
            format!("{}, queue 4 BDP", link.name()),
            contestant.to_string(),
            milliseconds(at(0.5)),
            milliseconds(at(0.99)),
            run.done().map_or(format!("> {:.0}", run.seconds), |seconds| format!("{seconds:.2}")),
            format!("{:.2} %", run.own_drops() * 100.0),
        ];
        println!("{}", row.join(" | "));
        table.rows.push(row.into_iter().chain(aim.cells()).collect());
        if let Some(doubt) = run.doubt() {
            notes.push(format!(
                "{}: (!) the emulator was the bottleneck: {doubt}",
                contestant.plain()
            ));
        }
    }
    Ok(Section {
        name: "queue",
        title: "A ping beside a transfer",
        text: "Small datagrams, 50 a second, beside one file over a queue of four bandwidth × delay products; those of the first 3 s are \
               left out. Aims: a median of at most 1.5 idle round trips, 1.2 under `/POLICY:low`."
            .to_owned(),
        table,
        lines: notes,
    })
}

/// Who else is on the link.
#[derive(Clone, Copy, Debug)]
struct Crowd {
    what: &'static str,
    jobs: usize,
    tcp: &'static [Tcp],
}

/// Jobs beside each other and beside TCP.
pub(crate) fn fair(bench: &Bench) -> Result<Section> {
    let link = NamedLink::new(100, 50, 0.0);
    // Long enough that nobody is done before the others were measured.
    let work = bench.file()?;
    let mut table = Table {
        columns: vec![
            "link",
            "together",
            "Mbit/s each",
            "Jain's index",
            "own drops, all",
            "aim",
            "met",
        ],
        rows: Vec::new(),
    };
    let crowds = [
        Crowd { what: "two jobs", jobs: 2, tcp: &[] },
        Crowd { what: "a job, TCP CUBIC", jobs: 1, tcp: &[Tcp::Cubic] },
        Crowd { what: "a job, TCP BBR", jobs: 1, tcp: &[Tcp::Bbr] },
        Crowd { what: "a job, TCP CUBIC, TCP BBR", jobs: 1, tcp: &[Tcp::Cubic, Tcp::Bbr] },
        Crowd { what: "TCP CUBIC, TCP BBR", jobs: 0, tcp: &[Tcp::Cubic, Tcp::Bbr] },
    ];
    for crowd in crowds {
        if !crowd.tcp.is_empty() && (bench.alone || !is_installed(&format!("/usr/bin/{IPERF}"))) {
            continue;
        }
        let mut stage = bench.stage(link.spec())?;
        let shares = measure(&mut stage, crowd, &work, bench.quick)?;
        let least = shares[crowd.jobs..].iter().copied().fold(f64::INFINITY, f64::min);
        let fair = shares.iter().sum::<f64>() / shares.len() as f64;
        let aim = match crowd {
            Crowd { jobs: 2, .. } => Aim::new("Jain's index ≥ 0.95", jain(&shares) >= 0.95),
            Crowd { jobs: 0, .. } => Aim::NONE,
            _ => {
                let percent = least / fair * 100.0;
                Aim::new(format!("TCP ≥ 30 % of its fair share: {percent:.0} %"), percent >= 30.0)
            }
        };
        let there = stage.lab().counters().there;
        let row = [
            link.name(),
            crowd.what.to_owned(),
            shares.iter().map(|share| format!("{:.1}", share / 1e6)).collect::<Vec<_>>().join(", "),
            format!("{:.3}", jain(&shares)),
            format!("{:.2} %", there.overflowed as f64 * 100.0 / there.sent.max(1) as f64),
        ];
        println!("{}", row.join(" | "));
        table.rows.push(row.into_iter().chain(aim.cells()).collect());
    }
    Ok(Section {
        name: "fair",
        title: "Beside others",
        text: "Transfers that begin a second after each other, TCP first, over a queue of one bandwidth × delay; what site b received of each \
               from the 5th to the 20th second after the last began. Aims: Jain's index of two jobs at least 0.95; no flow of TCP below \
               30 % of its fair share."
            .to_owned(),
        table,
        lines: Vec::new(),
    })
}

/// Bits a second of each in the order jobs, TCP.
fn measure(stage: &mut Stage<'_>, crowd: Crowd, work: &Work, quick: bool) -> Result<Vec<f64>> {
    let (settle, window) = if quick { (1, 2) } else { (5, 15) };
    let window = Duration::from_secs(window);
    for _ in 0..crowd.jobs {
        stage.pair()?;
    }
    let mut others = Vec::new();
    for (number, tcp) in (0..).zip(crowd.tcp) {
        others.push(Iperf::start(stage, *tcp, IPERF_PORT + number)?);
        thread::sleep(Duration::from_secs(1));
    }
    let mut jobs = Vec::new();
    for number in 0..crowd.jobs {
        jobs.push(stage.start_job(number, Contestant::QUICOPY, work)?);
        thread::sleep(Duration::from_secs(1));
    }
    thread::sleep(Duration::from_secs(settle));
    let received = || -> Vec<f64> {
        let flows = stage.lab().flows();
        let jobs = (0..crowd.jobs).map(|number| PORT + number as u16);
        let tcp = (0..crowd.tcp.len()).map(|number| IPERF_PORT + number as u16);
        let to = |port: u16| {
            let of_port =
                |(flow, bytes): (&Flow, &u64)| if flow.to_port == port { *bytes } else { 0 };
            flows.iter().map(of_port).sum::<u64>() as f64
        };
        jobs.chain(tcp).map(to).collect()
    };
    let before = received();
    thread::sleep(window);
    let after = received();
    for job in jobs {
        ensure!(!job.has_ended_within(Duration::ZERO), "a job ended while it was measured");
        stage.finish_job(job, Duration::ZERO)?;
    }
    let rate = |(before, after): (f64, f64)| (after - before) * 8.0 / window.as_secs_f64();
    Ok(before.into_iter().zip(after).map(rate).collect())
}

/// A flow of TCP from site a to site b without an end.
#[derive(Debug)]
struct Iperf([Child; 2]);

impl Iperf {
    fn start(stage: &Stage<'_>, tcp: Tcp, port: u16) -> Result<Self> {
        let port = port.to_string();
        let run = |site, arguments: &[&str]| -> Result<Child> {
            let mut command: Command = stage.lab().command(site, IPERF);
            command.args(["-p", &port]).args(arguments);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().context("iperf3 does not start")
        };
        let server = run(Site::B, &["-s"])?;
        let listens = || {
            let bound = stage.lab().site(Site::B).inside(|| {
                std::net::TcpListener::bind((ADDRESS_B, port.parse().unwrap_or(IPERF_PORT)))
                    .is_err()
            });
            bound.unwrap_or(false)
        };
        happens_within(Duration::from_secs(5), listens);
        let address = ADDRESS_B.to_string();
        let client = run(Site::A, &["-c", &address, "-C", tcp.name(), "-t", "300"])?;
        Ok(Self([server, client]))
    }
}

impl Drop for Iperf {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Both fail only if it has ended, which is what they are for.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
