//! A link with both sites' servers, on which contestants run one after the other: [`Stage`].

use std::{
    fs, io,
    net::Ipv4Addr,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use quicopy_tests::lab::{
    ADDRESS_B, Lab, LabSpec, Site,
    change::Moment,
    emulator::{Sample, SelfReport},
    link::Counters,
    report::{SiteDrops, bottleneck},
    spec::LinkSpec,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::{
    contestant::{By, Contestant, Memory, Policy},
    programs::Programs,
    series::Series,
    server::{AGENT, Pairing, RsyncDaemon, SHARE, SshDaemon},
    usage::{Usage, Watch, process_cpu},
    work::{Work, count},
};

/// The port of the first agent; a second one has the next.
pub(crate) const PORT: u16 = 47_470;
/// How often a run's memory is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// No stage stands longer.
const DEADLINE: Duration = Duration::from_secs(2 * 60 * 60);

/// Where the client runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// At site a, across the link.
    Across,
    /// At site b beside the server, over the loopback interface.
    Beside,
}

/// A lab, and what runs in it between the runs.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    programs: &'a Programs,
    place: Place,
    runs: u32,
    /// What it writes; whoever gave it a place removes it.
    folder: PathBuf,
    pairings: Vec<Pairing>,
    // Last, for the others run in it.
    lab: Lab,
}

impl<'a> Stage<'a> {
    /// Starts the link; servers come with the first run that needs them. All data lies below `folder`.
    pub(crate) fn start(
        programs: &'a Programs,
        folder: &Path,
        link: LinkSpec,
        seed: u64,
        place: Place,
    ) -> Result<Self> {
        let spec = LabSpec { seed, deadline: DEADLINE, ..LabSpec::new(link) };
        let lab = Lab::start(spec).context("the lab does not start")?;
        let folder = tempfile::Builder::new().prefix("quicopy-bench-").tempdir_in(folder)?.keep();
        fs::create_dir(folder.join("done"))?;
        Ok(Self { programs, place, runs: 0, folder, pairings: Vec::new(), lab })
    }

    /// The link.
    pub(crate) fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Runs one contestant to its end or for as long as `limit`. The times of `events` count from its start.
    ///
    /// Returns `None` for one that should remember a link over which no job has come to its end.
    pub(crate) fn run(
        &mut self,
        contestant: Contestant,
        work: &Work,
        limit: Duration,
        events: &[Moment],
    ) -> Result<Option<Run>> {
        match contestant {
            Contestant::Quicopy { memory: Memory::Fresh, .. } => {
                self.pairings.clear();
                self.pair()?;
            }
            Contestant::Quicopy { memory: Memory::Remembered, .. } if self.pairings.is_empty() => {
                return Ok(None);
            }
            Contestant::Quicopy { .. } | Contestant::Rsync { .. } => {}
        }
        // What the last run wrote is not this one's business.
        rustix::fs::sync();
        let job = self.start_job(0, contestant, work)?;
        let began = job.began;
        self.lab
            .schedule(events.iter().map(|event| Moment { at: began + event.at, ..event.clone() }));
        let run = self.finish_job(job, limit)?;
        if contestant.is_quicopy() && run.end != End::Done {
            // The agent still waits for the rest.
            self.pairings.clear();
        }
        Ok(Some(run))
    }

    /// Starts one more agent and pairs one more sender with it.
    pub(crate) fn pair(&mut self) -> Result<()> {
        let number = self.pairings.len() as u16;
        self.runs += 1;
        let folder = self.folder.join(format!("pairing-{}", self.runs));
        let sites = [self.lab.site(self.client()), self.lab.site(Site::B)];
        self.pairings.push(Pairing::start(
            self.programs,
            sites,
            self.address(),
            PORT + number,
            &folder,
        )?);
        Ok(())
    }

    /// Starts a contestant; for Quicopy with this one of the pairings.
    pub(crate) fn start_job(
        &mut self,
        pairing: usize,
        contestant: Contestant,
        work: &Work,
    ) -> Result<Job> {
        self.runs += 1;
        let name = format!("run-{}", self.runs);
        let mut servers = Servers::default();
        let (mut command, share) = match contestant {
            Contestant::Quicopy { policy, .. } => self.quicopy(pairing, policy, work, &name)?,
            Contestant::Rsync { by, compress, tcp } => {
                self.lab.tcp_congestion_control(tcp.name())?;
                self.rsync(by, compress, work, &name, &mut servers)?
            }
        };
        let log = self.folder.join(format!("{name}.log"));
        let output = fs::File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        // Nothing of what was before this counts.
        let watches =
            [Watch::begin(self.lab.site(self.client()))?, Watch::begin(self.lab.site(Site::B))?];
        let (drops, before) = (self.lab.drops()?, self.lab.counters());
        self.lab.take_emulator();
        let (began, clock) = (self.lab.now(), Instant::now());
        let child = command.spawn().with_context(|| format!("{command:?}"))?;
        let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        Ok(Job {
            contestant,
            files: work.files,
            bytes: work.bytes,
            child,
            ended,
            began,
            clock,
            before,
            drops,
            watches,
            log,
            destination: share.join(name),
            _servers: servers,
        })
    }

    /// Waits for a contestant that was started, but no longer than `limit` since then, and clears away what it made.
    pub(crate) fn finish_job(&self, mut job: Job, limit: Duration) -> Result<Run> {
        while job.clock.elapsed() < limit && !job.has_ended_within(LOOK) {
            job.watches.iter_mut().for_each(Watch::look);
        }
        let seconds = job.clock.elapsed().as_secs_f64();
        let has_ended = job.has_ended_within(Duration::ZERO);
        let after = self.lab.counters();
        // Its children are among its own time, now that it has ended; so it is not among those of the site.
        let client_cpu = process_cpu(job.child.id()).unwrap_or_default();
        let [there, here] = job.watches.each_ref().map(Watch::usage);
        let usage = match self.place {
            Place::Across => [Usage { cpu: client_cpu, ..there }, here],
            Place::Beside => [Usage { cpu: client_cpu, memory_bytes: 0 }, here],
        };
        // Killing what has ended does nothing.
        job.child.kill()?;
        let status = job.child.wait()?;
        let end =
            if has_ended { End::of(job.contestant, status.code(), &job.log) } else { End::CutOff };
        let end = match end {
            End::Done => check(&job)?,
            other => other,
        };
        // What has not come to its end may still be written to; it stays.
        if end == End::Done {
            self.clear_away(&job)?;
        }
        fs::remove_file(&job.log)?;
        let drops = self.lab.drops()?;
        let drops = [0, 1].map(|site| SiteDrops {
            interface: drops[site].interface - job.drops[site].interface,
            udp_receive: drops[site].udp_receive - job.drops[site].udp_receive,
        });
        Ok(Run {
            contestant: job.contestant,
            bytes: job.bytes,
            end,
            seconds,
            began: job.began,
            ended: job.began + Duration::from_secs_f64(seconds),
            there: after.there.since(job.before.there),
            back: after.back.since(job.before.back),
            series: Series::new(self.lab.samples()),
            usage,
            emulator: self.lab.take_emulator(),
            drops,
        })
    }

    /// Takes what was copied out of the share, so that the next job finds nothing of it.
    fn clear_away(&self, job: &Job) -> io::Result<()> {
        if job.files == 1 {
            return fs::remove_dir_all(&job.destination);
        }
        // Many files are not deleted while anything is measured: for minutes ext4 would not use their inodes again, and search
        // long for others, which would slow down whoever comes next.
        let name = job.destination.file_name().unwrap_or_default();
        fs::rename(&job.destination, self.folder.join("done").join(name))
    }

    fn quicopy(
        &self,
        pairing: usize,
        policy: Policy,
        work: &Work,
        name: &str,
    ) -> Result<(Command, PathBuf)> {
        let pairing = self.pairings.get(pairing).context("no such pairing")?;
        let mut command = self.lab.command(self.client(), &self.programs.sender);
        command.env("QUICOPY_HOME", &pairing.sender_home).env("HOME", &pairing.sender_home);
        command.env_remove("RUST_LOG").arg(&work.folder).arg(format!("{AGENT}:{SHARE}/{name}"));
        command.args(["/E", "/NP", "/NFL", "/NDL"]);
        if policy == Policy::Low {
            command.arg("/POLICY:low");
        }
        Ok((command, pairing.share.clone()))
    }

    fn rsync(
        &self,
        by: By,
        compress: bool,
        work: &Work,
        name: &str,
        servers: &mut Servers,
    ) -> Result<(Command, PathBuf)> {
        let share = self.folder.join("rsync");
        fs::create_dir_all(&share)?;
        let mut command = self.lab.command(self.client(), "rsync");
        command.arg("-a");
        if compress {
            command.arg("-z");
        }
        // The content of the folder, not the folder.
        command.arg(work.folder.join(""));
        let site = self.lab.site(Site::B);
        match by {
            By::Daemon => {
                servers.rsync = Some(RsyncDaemon::start(site, &self.folder, &share)?);
                command.arg(RsyncDaemon::destination(self.address(), name));
            }
            By::Ssh => {
                let sshd = servers.ssh.insert(SshDaemon::start(site, &self.folder)?);
                command.arg("-e").arg(sshd.shell());
                command.arg(format!("{}:{}/", self.address(), share.join(name).display()));
            }
        }
        Ok((command, share))
    }

    fn client(&self) -> Site {
        match self.place {
            Place::Across => Site::A,
            Place::Beside => Site::B,
        }
    }

    fn address(&self) -> Ipv4Addr {
        match self.place {
            Place::Across => ADDRESS_B,
            Place::Beside => Ipv4Addr::LOCALHOST,
        }
    }
}

/// Servers that live for one run.
#[derive(Debug, Default)]
struct Servers {
    rsync: Option<RsyncDaemon>,
    ssh: Option<SshDaemon>,
}

/// A contestant at work.
#[derive(Debug)]
pub(crate) struct Job {
    contestant: Contestant,
    files: u64,
    bytes: u64,
    child: Child,
    /// Readable when it has ended.
    ended: OwnedFd,
    began: Duration,
    clock: Instant,
    before: Sample,
    drops: [SiteDrops; 2],
    watches: [Watch; 2],
    log: PathBuf,
    destination: PathBuf,
    _servers: Servers,
}

impl Job {
    /// Waits until it has ended, but no longer than that. It stays to be waited for.
    pub(crate) fn has_ended_within(&self, limit: Duration) -> bool {
        let mut watched = [PollFd::from_borrowed_fd(self.ended.as_fd(), PollFlags::IN)];
        let timeout = Timespec::try_from(limit).ok();
        poll(&mut watched, timeout.as_ref()).is_ok_and(|ready| ready > 0)
    }
}

/// How a run ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// With everything copied.
    Done,
    /// It was still at work at its limit.
    CutOff,
    /// With an error, which is this.
    Failed(String),
}

impl End {
    fn of(contestant: Contestant, code: Option<i32>, log: &Path) -> Self {
        let is_success = match contestant {
            // As Robocopy's: below 8 nothing has failed.
            Contestant::Quicopy { .. } => code.is_some_and(|code| code < 8),
            Contestant::Rsync { .. } => code == Some(0),
        };
        if is_success {
            return Self::Done;
        }
        let log = fs::read_to_string(log).unwrap_or_default();
        let reason = log.lines().find(|line| line.to_ascii_lowercase().contains("error"));
        let code = code.map_or("a signal".to_owned(), |code| format!("exit code {code}"));
        Self::Failed(format!("{code}: {}", reason.unwrap_or("nothing was said")))
    }
}

fn check(job: &Job) -> Result<End> {
    ensure!(job.destination.exists(), "{} has made nothing", job.contestant);
    let (files, bytes) = count(&job.destination)?;
    if (files, bytes) == (job.files, job.bytes) {
        return Ok(End::Done);
    }
    Ok(End::Failed(format!(
        "{files} files and {bytes} bytes arrived of {} and {}",
        job.files, job.bytes
    )))
}

/// What one contestant did.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) contestant: Contestant,
    /// Bytes of the work.
    pub(crate) bytes: u64,
    pub(crate) end: End,
    /// From the start of the command to its exit.
    pub(crate) seconds: f64,
    /// Both since the start of the lab.
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
    /// What went over the link in each direction.
    pub(crate) there: Counters,
    pub(crate) back: Counters,
    pub(crate) series: Series,
    /// Of the client and the server.
    pub(crate) usage: [Usage; 2],
    pub(crate) emulator: SelfReport,
    /// What both sites' kernels dropped.
    pub(crate) drops: [SiteDrops; 2],
}

impl Run {
    /// Seconds, if it has done its work.
    pub(crate) fn done(&self) -> Option<f64> {
        (self.end == End::Done).then_some(self.seconds)
    }

    /// Bytes of content a second; by what came out of the link if the work is not done.
    pub(crate) fn goodput(&self) -> f64 {
        /// Share of a full packet of TCP that is content: 1448 of 1500 bytes.
        const CONTENT: f64 = 0.965;
        match self.end {
            End::Done => self.bytes as f64 / self.seconds,
            End::CutOff | End::Failed(_) => {
                self.there.delivered_bytes as f64 * CONTENT / self.seconds
            }
        }
    }

    /// Share of packets towards site b that found the queue full, 0 to 1.
    pub(crate) fn own_drops(&self) -> f64 {
        self.there.overflowed as f64 / self.there.sent.max(1) as f64
    }

    /// Why this run says more of this machine than of the contestant.
    pub(crate) fn doubt(&self) -> Option<String> {
        bottleneck(&self.emulator, &self.drops)
    }
}
