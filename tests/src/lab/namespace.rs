//! Network namespaces made for one lab: [`Namespace`].

use std::{
    fs, io,
    net::Ipv4Addr,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use rustix::{
    process::{Pid, Signal, getpid, kill_process},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::tun;

/// How the names of all labs' namespaces begin; the number of the process follows.
const PREFIX: &str = "qlab-";
/// Where `ip netns` keeps them.
const FOLDER: &str = "/run/netns";
/// The one interface of each, but for the loopback.
pub const INTERFACE: &str = "lab0";
/// Packets that wait in it for the emulator: a second at a gigabit.
const INTERFACE_PACKETS: &str = "85000";
/// Most memory of a TCP socket, in bytes: two round trips of 200 ms at a gigabit. The system's default is a tenth of it.
const TCP_BYTES_MAX: u32 = 64 << 20;

/// A network namespace with a TUN device. Dropped, it is removed with all processes in it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one called after `name` with a TUN device of this address.
    ///
    /// # Errors
    ///
    /// When the `ip` program is missing or a step fails, as without the rights of root.
    pub fn create(name: &str, address: Ipv4Addr, mtu: u16) -> io::Result<(Self, OwnedFd)> {
        let name = format!("{PREFIX}{}-{name}", std::process::id());
        ip(&["netns", "add", &name])?;
        let created = Self { name };
        let tun = created.inside(|| -> io::Result<OwnedFd> {
            let tun = tun::create(INTERFACE)?;
            // Past runs leave nothing behind that a later one would profit from, and buffers are no limit.
            fs::write("/proc/sys/net/ipv4/tcp_no_metrics_save", "1")?;
            fs::write("/proc/sys/net/ipv4/tcp_rmem", format!("4096 131072 {TCP_BYTES_MAX}"))?;
            fs::write("/proc/sys/net/ipv4/tcp_wmem", format!("4096 65536 {TCP_BYTES_MAX}"))?;
            Ok(tun)
        })??;
        created.ip(&["link", "set", "lo", "up"])?;
        created.ip(&[
            "link",
            "set",
            INTERFACE,
            "mtu",
            &mtu.to_string(),
            "txqueuelen",
            INTERFACE_PACKETS,
        ])?;
        created.ip(&["address", "add", &format!("{address}/24"), "dev", INTERFACE])?;
        if Path::new("/proc/sys/net/ipv6").exists() {
            let v6 = format!("fd51:1ab::{}/64", address.octets()[3]);
            created.ip(&["address", "add", &v6, "dev", INTERFACE, "nodad"])?;
        }
        created.ip(&["link", "set", INTERFACE, "up"])?;
        created.steer();
        Ok((created, tun))
    }

    /// Lets the kernel take in arriving packets on all processors, rather than within the emulator's call that writes them:
    /// TCP on a long, lossy link can take tens of milliseconds for one. What fails here shows in the lateness.
    fn steer(&self) {
        /// As many as one word of the mask has bits.
        const MOST: usize = 32;
        let processors = thread::available_parallelism().map_or(1, usize::from).min(MOST);
        let mask = u64::MAX >> (64 - processors);
        let line = format!("echo {mask:x} > /sys/class/net/{INTERFACE}/queues/rx-0/rps_cpus");
        // Only a program of `ip netns exec` sees the devices of the namespace in `/sys`.
        let _ = self.command("sh").args(["-c", &line]).stderr(Stdio::null()).status();
    }

    /// Removes what labs have left behind whose processes were killed.
    ///
    /// # Errors
    ///
    /// When one of them cannot be removed.
    pub fn remove_abandoned() -> io::Result<()> {
        let entries = match fs::read_dir(FOLDER) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            let process = rest.split('-').next().unwrap_or_default();
            if !Path::new("/proc").join(process).exists() {
                drop(Self { name });
            }
        }
        Ok(())
    }

    /// Its name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A program that will run in it.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs `ip` on its network.
    ///
    /// # Errors
    ///
    /// When that fails, with what it says.
    pub fn ip(&self, arguments: &[&str]) -> io::Result<()> {
        ip(&[&["-n", &self.name], arguments].concat())
    }

    /// Runs `work` on a thread inside.
    ///
    /// # Errors
    ///
    /// When the thread cannot go there.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        let namespace = fs::File::open(self.path())?;
        thread::scope(|scope| {
            let inside = scope.spawn(move || -> io::Result<T> {
                move_into_link_name_space(
                    std::os::fd::AsFd::as_fd(&namespace),
                    Some(LinkNameSpaceType::Network),
                )?;
                Ok(work())
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn path(&self) -> PathBuf {
        Path::new(FOLDER).join(&self.name)
    }

    /// Kills what runs in it.
    pub fn kill_all(&self) {
        let Ok(listed) = Command::new("ip").args(["netns", "pids", &self.name]).output() else {
            return;
        };
        for pid in String::from_utf8_lossy(&listed.stdout).lines() {
            let pid = pid.trim().parse().ok().and_then(Pid::from_raw);
            if let Some(pid) = pid.filter(|pid| *pid != getpid()) {
                // It may have ended by itself.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.kill_all();
        // What fails here is found by the next lab's `remove_abandoned`.
        let _ = ip(&["netns", "delete", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> io::Result<()> {
    let run = Command::new("ip").args(arguments).stdin(Stdio::null()).output()?;
    if run.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&run.stderr);
    Err(io::Error::other(format!("ip {}: {}", arguments.join(" "), said.trim())))
}
