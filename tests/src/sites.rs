//! The two programs with a state of their own each.

use std::{
    ffi::OsStr,
    fs, io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use crate::{
    poll::wait_until,
    process::{Finished, Running, Signal},
    programs::programs,
};

/// Longest a call may take that copies little or nothing; generous, for a machine that builds at the same time.
pub const CALL: Duration = Duration::from_secs(60);

/// The name under which every agent of a test exports its share.
pub const SHARE: &str = "data";

/// The sender's program with its state.
#[derive(Clone, Debug)]
pub struct Sender {
    home: PathBuf,
    crash_point: Option<String>,
    user: Option<u32>,
}

impl Sender {
    /// A sender whose state lives in `home`.
    pub fn new(home: PathBuf) -> Self {
        Self { home, crash_point: None, user: None }
    }

    /// The same sender, run by this user, who owns its state.
    #[must_use]
    pub fn run_by(mut self, user: u32) -> Self {
        self.user = Some(user);
        self
    }

    /// The same sender, which dies when it passes `point`; `NAME:N` for the N-th time.
    #[must_use]
    pub fn armed(mut self, point: &str) -> Self {
        self.crash_point = Some(point.to_owned());
        self
    }

    /// Where its state lives.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Finished {
        self.start(arguments).finish(CALL)
    }

    /// Starts it.
    #[track_caller]
    pub fn start(&self, arguments: &[impl AsRef<OsStr>]) -> Running {
        let mut command = self.command();
        Running::start(command.args(arguments))
    }

    /// The bare program, for a test that needs more than arguments.
    pub fn command(&self) -> Command {
        let mut command = command(&programs().sender, &self.home, self.crash_point.as_deref());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }
}

/// The agent's program with its state, its share and its address, whether it runs or not.
#[derive(Clone, Debug)]
pub struct AgentSite {
    home: PathBuf,
    share: PathBuf,
    address: SocketAddr,
    crash_point: Option<String>,
    /// Lines of the share's configuration; without any, the share is named on the command line.
    settings: Option<String>,
    /// Commands of a shell that prepare file systems which the daemon alone sees.
    mounts: Option<String>,
}

impl AgentSite {
    /// An agent whose state lives in `home` and that exports `share` as [`SHARE`], on a port that is its own.
    pub fn new(home: PathBuf, share: PathBuf) -> Self {
        let address = free_address();
        Self { home, share, address, crash_point: None, settings: None, mounts: None }
    }

    /// The same agent, whose share is configured with these lines in a file.
    #[must_use]
    pub fn configured(mut self, settings: &str) -> Self {
        self.settings = Some(settings.to_owned());
        self
    }

    /// The same agent, which runs where these commands of a shell have been carried out, in a mount namespace of its own.
    /// `$SHARE` is the share.
    #[must_use]
    pub fn with_mounts(mut self, commands: &str) -> Self {
        self.mounts = Some(commands.to_owned());
        self
    }

    /// The same agent, which dies when it passes `point`; `NAME:N` for the N-th time.
    #[must_use]
    pub fn armed(mut self, point: &str) -> Self {
        self.crash_point = Some(point.to_owned());
        self
    }

    /// Another agent, with a state of its own in `home`, at the same address and with the same share.
    #[must_use]
    pub fn impostor(&self, home: PathBuf) -> Self {
        Self { home, ..self.clone() }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its state lives.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Starts the daemon and waits until it listens.
    #[track_caller]
    pub fn start(&self) -> Agent {
        let mut command = self.daemon_command();
        command.args(["run", "--listen", &self.address.to_string()]);
        match &self.settings {
            None => command.arg("--share").arg(format!("{SHARE}={}", self.share.display())),
            Some(settings) => command.arg("--config").arg(self.write_configuration(settings)),
        };
        let mut running = Running::start(&mut command);
        let started = Duration::from_secs(20);
        wait_until(started, "the agent listens or has ended", || {
            running.stderr().contains("listening on") || !running.is_running()
        });
        assert!(running.is_running(), "the agent does not run\n{}", running.stderr());
        Agent { running }
    }

    fn daemon_command(&self) -> Command {
        let bare = self.bare_command();
        let Some(mounts) = &self.mounts else { return bare };
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c"]);
        command.arg(format!("set -e; {mounts}; exec \"$0\" \"$@\"")).arg(bare.get_program());
        for (name, value) in bare.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("SHARE", &self.share);
        command
    }

    fn write_configuration(&self, settings: &str) -> PathBuf {
        let file = self.home.join("agent/agent.toml");
        let text = format!("[shares.{SHARE}]\npath = {:?}\n{settings}\n", self.share);
        let folder = file.parent().expect("it was joined");
        fs::create_dir_all(folder).and_then(|()| fs::write(&file, text)).unwrap_or_else(|error| {
            panic!("{}: {error}", file.display());
        });
        file
    }

    /// Runs one of the daemon's other subcommands to its end.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Finished {
        Running::start(self.bare_command().args(arguments)).finish(CALL)
    }

    /// Runs one of the daemon's other subcommands to its end, with nobody left to read what it prints.
    pub fn run_unheard(&self, arguments: &[&str]) -> Output {
        let (reader, writer) = io::pipe().expect("there are descriptors left");
        drop(reader);
        let mut command = self.bare_command();
        command.args(arguments).stdin(Stdio::null()).stdout(writer);
        command.output().expect("it was built")
    }

    fn bare_command(&self) -> Command {
        command(&programs().agent, &self.home, self.crash_point.as_deref())
    }
}

/// A daemon at work. Dropped, it is killed.
#[derive(Debug)]
pub struct Agent {
    running: Running,
}

impl Agent {
    /// Kills it on the spot.
    pub fn kill(self) -> Finished {
        self.running.kill()
    }

    /// Asks it to stop, and waits until it has.
    #[track_caller]
    pub fn terminate(self, limit: Duration) -> Finished {
        self.running.signal(Signal::TERM);
        self.running.finish(limit)
    }

    /// Waits until it ends by itself, as one with an armed crash point does.
    #[track_caller]
    pub fn finish(self, limit: Duration) -> Finished {
        self.running.finish(limit)
    }

    /// Whether it is still at work.
    pub fn is_running(&mut self) -> bool {
        self.running.is_running()
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.running.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.running.stderr()
    }
}

/// Makes the sender and the agent trust each other, and returns the token that did it. The sender reaches the agent at
/// `reach`: its address, or a relay's.
///
/// # Panics
///
/// When the agent invites nobody, or the sender cannot join.
#[track_caller]
pub fn pair(sender: &Sender, site: &AgentSite, permits: &str, reach: SocketAddr) -> String {
    let invited = site.run(&["invite", "--share", SHARE, "--permit", permits]);
    let token = invited.exits(&[0]).last_line().to_owned();
    sender.run(&["pair", &reach.to_string(), &token, "--name", "site-b"]).exits(&[0]);
    token
}

/// The destination that is the share of the agent at `reach`.
pub fn destination(reach: SocketAddr) -> String {
    format!("quicopy://{reach}/{SHARE}")
}

/// An address on the loopback interface that nothing else uses, and that nothing takes while its owner restarts: it lies
/// below the ports that the system gives out by itself.
///
/// # Panics
///
/// When there is none.
pub fn free_address() -> SocketAddr {
    const FIRST: u16 = 20_000;
    const PORTS: u16 = 12_000;
    /// More than a test process takes.
    const APART: u32 = 600;
    static NEXT: AtomicU16 = AtomicU16::new(0);

    // Test processes side by side, whose numbers follow each other, begin far apart.
    let own = std::process::id().wrapping_mul(APART) % u32::from(PORTS);
    let own = u16::try_from(own).expect("less than PORTS");
    for _ in 0..PORTS {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % PORTS;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + (own + step) % PORTS));
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port from {FIRST} on");
}

fn command(program: &Path, home: &Path, crash_point: Option<&str>) -> Command {
    let mut command = Command::new(program);
    // Nothing of the user's: neither configuration, nor language, nor time zone.
    for variable in ["RUST_LOG", "QUICOPY_CRASH_POINT", "XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
        command.env_remove(variable);
    }
    command.env("QUICOPY_HOME", home).env("HOME", home).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    if let Some(point) = crash_point {
        command.env("QUICOPY_CRASH_POINT", point);
    }
    command
}
