//! What waits at the destination: our agent, rsync's daemon, an ssh daemon.

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use quicopy_tests::{lab::namespace::Namespace, poll::happens_within, process::Running};

use crate::programs::Programs;

const STARTS_WITHIN: Duration = Duration::from_secs(20);
/// What every agent calls its one share, and every sender its agent.
pub(crate) const SHARE: &str = "data";
pub(crate) const AGENT: &str = "site-b";
const RSYNC_PORT: u16 = 8730;
const SSH_PORT: u16 = 2222;
pub(crate) const SSHD: &str = "/usr/sbin/sshd";

/// An agent at work, and a sender that trusts it.
#[derive(Debug)]
pub(crate) struct Pairing {
    pub(crate) sender_home: PathBuf,
    pub(crate) share: PathBuf,
    _agent: Running,
}

impl Pairing {
    /// Starts an agent with nothing in its share, and pairs a new sender with it over the link.
    pub(crate) fn start(
        programs: &Programs,
        [site_a, site_b]: [&Namespace; 2],
        address: Ipv4Addr,
        port: u16,
        folder: &Path,
    ) -> Result<Self> {
        let [sender_home, agent_home, share] =
            ["sender", "agent", "share"].map(|name| folder.join(name));
        for made in [&sender_home, &agent_home, &share] {
            fs::create_dir_all(made)?;
        }
        let with_home = |mut command: Command, home: &Path| {
            command.env("QUICOPY_HOME", home).env("HOME", home).env_remove("RUST_LOG");
            command
        };
        let agent_command = || with_home(site_b.command(&programs.agent), &agent_home);
        let mut run = agent_command();
        run.args(["run", "--listen", &format!("0.0.0.0:{port}"), "--share"]);
        let mut agent = Running::start(run.arg(format!("{SHARE}={}", share.display())));
        happens_within(STARTS_WITHIN, || {
            agent.stderr().contains("listening on") || !agent.is_running()
        });
        ensure!(agent.is_running(), "the agent does not run: {}", agent.stderr());

        let invited =
            output(agent_command().args(["invite", "--share", SHARE, "--permit", "write,delete"]))?;
        let token = invited.lines().last().unwrap_or_default().to_owned();
        let reach = format!("{address}:{port}");
        let sender = with_home(site_a.command(&programs.sender), &sender_home);
        let pair =
            |mut sender: Command| output(sender.args(["pair", &reach, &token, "--name", AGENT]));
        pair(sender).context("the sites do not pair")?;
        Ok(Self { sender_home, share, _agent: agent })
    }
}

/// rsync's daemon at work. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct RsyncDaemon {
    _running: Running,
}

impl RsyncDaemon {
    /// Starts one that serves `share`.
    pub(crate) fn start(site: &Namespace, folder: &Path, share: &Path) -> Result<Self> {
        let config = folder.join("rsyncd.conf");
        let text = format!(
            "use chroot = no\nuid = 0\ngid = 0\nread only = no\nlog file = {}\n[{SHARE}]\npath = {}\n",
            folder.join("rsyncd.log").display(),
            share.display()
        );
        fs::write(&config, text)?;
        let mut command = site.command("rsync");
        command.args(["--daemon", "--no-detach", &format!("--port={RSYNC_PORT}")]);
        let running = Running::start(command.arg(format!("--config={}", config.display())));
        wait_for(site, RSYNC_PORT, running).map(|running| Self { _running: running })
    }

    /// Where a client finds a folder of the share.
    pub(crate) fn destination(address: Ipv4Addr, name: &str) -> String {
        format!("rsync://{address}:{RSYNC_PORT}/{SHARE}/{name}/")
    }
}

/// An ssh daemon with keys of its own. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct SshDaemon {
    _running: Running,
    key: PathBuf,
}

impl SshDaemon {
    /// Starts one that lets in whoever has [`shell`](Self::shell)'s key, as the user who runs this.
    pub(crate) fn start(site: &Namespace, folder: &Path) -> Result<Self> {
        // Where it separates privileges; its service makes it, which is not running here.
        fs::create_dir_all("/run/sshd")?;
        let [host_key, key, config] =
            ["host_key", "key", "sshd_config"].map(|name| folder.join(name));
        for made in [&host_key, &key] {
            if !made.exists() {
                output(
                    Command::new("ssh-keygen")
                        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                        .arg(made),
                )?;
            }
        }
        let text = format!(
            "Port {SSH_PORT}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\n\
             PermitRootLogin prohibit-password\nPasswordAuthentication no\nPrintMotd no\nUseDNS no\n",
            host_key.display(),
            key.with_extension("pub").display(),
        );
        fs::write(&config, text)?;
        let mut command = site.command(SSHD);
        let running = Running::start(command.args(["-D", "-e", "-f"]).arg(&config));
        wait_for(site, SSH_PORT, running).map(|running| Self { _running: running, key })
    }

    /// The remote shell that a client gives to rsync.
    pub(crate) fn shell(&self) -> String {
        format!(
            "ssh -F none -p {SSH_PORT} -i {} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -o LogLevel=ERROR",
            self.key.display()
        )
    }
}

fn wait_for(site: &Namespace, port: u16, mut running: Running) -> Result<Running> {
    let answers = || {
        let reached = site.inside(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)));
        reached.is_ok_and(|stream| stream.is_ok())
    };
    let started = happens_within(STARTS_WITHIN, || answers() || !running.is_running());
    ensure!(started && running.is_running(), "a server does not start: {}", running.stderr());
    Ok(running)
}

/// Runs a program to its end and returns what it says.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let run = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    if !run.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&run.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&run.stdout).into_owned())
}
