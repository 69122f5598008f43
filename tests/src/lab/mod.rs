//! The link laboratory: long, lossy links made to order, in virtual time or between two network namespaces.
//!
//! [`spec`] says what a link is like, [`link`] carries packets over one as a pure machine: no clock, no sockets, one
//! seed. Simulations of controllers and sessions run on it in virtual time. A [`Lab`] runs the same machine on the real
//! clock between two network namespaces, in which real programs do what they do:
//!
//! ```text
//! site a: 10.201.0.1 ── lab0 (TUN) ── NAT ══ Link there ══> lab0 (TUN) ── site b: 10.201.0.2
//!                                         <══ Link back ═══
//! ```
//!
//! It needs root and `/dev/net/tun`, but neither `tc` nor a firewall. [`change`] knows what may change meanwhile,
//! [`report`] what was seen; [`lateness`] says whether this machine was quick enough for it. The program `linklab` is the
//! same for the command line.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs, io,
    net::{IpAddr, Ipv4Addr},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use self::{
    change::{Change, Moment},
    emulator::{Emulator, Sample, SelfReport, Shared},
    flow::Flow,
    namespace::Namespace,
    report::{Report, SiteDrops},
    spec::LinkSpec,
};

pub mod change;
pub mod emulator;
pub mod flow;
pub mod lateness;
pub mod link;
pub mod namespace;
pub mod nat;
pub mod report;
pub mod spec;
mod tun;
pub mod units;

/// The address of site a at the start.
pub const ADDRESS_A: Ipv4Addr = Ipv4Addr::new(10, 201, 0, 1);
/// The address of site b.
pub const ADDRESS_B: Ipv4Addr = Ipv4Addr::new(10, 201, 0, 2);
/// Largest IP packet that the sites send, whatever the link passes.
const MTU: u16 = 1500;

/// One of the two ends of the link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Site {
    /// The one behind the NAT.
    A,
    /// The other one.
    B,
}

/// What a lab is made of.
#[derive(Clone, Debug)]
pub struct LabSpec {
    /// The link from site a to site b.
    pub there: LinkSpec,
    /// The link from site b to site a.
    pub back: LinkSpec,
    /// Decides every loss and delay that is left to chance.
    pub seed: u64,
    /// What changes by itself, at times since the start.
    pub schedule: Vec<Moment>,
    /// When it ends by itself, with all processes in it.
    pub deadline: Duration,
}

impl LabSpec {
    /// The same link both ways, nothing that changes, ten minutes.
    pub fn new(both: LinkSpec) -> Self {
        Self {
            there: both.clone(),
            back: both,
            seed: 42,
            schedule: Vec::new(),
            deadline: Duration::from_secs(600),
        }
    }
}

/// Two network namespaces and the link between them. Dropped, it is gone with all processes in it.
#[derive(Debug)]
pub struct Lab {
    sites: [Arc<Namespace>; 2],
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Lab {
    /// Why no lab can be started here; `None` when one can.
    pub fn unavailable() -> Option<&'static str> {
        if !rustix::process::geteuid().is_root() {
            return Some("a link laboratory makes network namespaces, which takes root");
        }
        if fs::File::options().read(true).write(true).open("/dev/net/tun").is_err() {
            return Some("a link laboratory needs TUN devices: /dev/net/tun cannot be opened");
        }
        None
    }

    /// Makes the namespaces and starts the link. What killed labs have left behind is removed first.
    ///
    /// # Errors
    ///
    /// When that takes rights or programs that are not there.
    pub fn start(spec: LabSpec) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if let Some(reason) = Self::unavailable() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        Namespace::remove_abandoned()?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let (a, tun_a) = Namespace::create(&format!("{number}-a"), ADDRESS_A, MTU)?;
        let (b, tun_b) = Namespace::create(&format!("{number}-b"), ADDRESS_B, MTU)?;
        let sites = [Arc::new(a), Arc::new(b)];
        let shared = Shared::new([spec.there, spec.back], spec.seed, spec.schedule, ADDRESS_A)?;
        let shared = Arc::new(shared);
        let emulator = Emulator {
            shared: Arc::clone(&shared),
            tuns: [tun_a, tun_b],
            sites: sites.clone(),
            deadline: spec.deadline,
        };
        let thread =
            thread::Builder::new().name("link".to_owned()).spawn(move || emulator.run())?;
        Ok(Self { sites, shared, thread: Some(thread) })
    }

    /// A program that will run at a site.
    pub fn command(&self, site: Site, program: impl AsRef<OsStr>) -> Command {
        self.site(site).command(program)
    }

    /// The namespace of a site.
    pub fn site(&self, site: Site) -> &Namespace {
        match site {
            Site::A => &self.sites[0],
            Site::B => &self.sites[1],
        }
    }

    /// The address of a site now.
    pub fn address(&self, site: Site) -> IpAddr {
        match site {
            Site::A => self.shared.address_a().into(),
            Site::B => ADDRESS_B.into(),
        }
    }

    /// Lets TCP at both sites begin its connections with this congestion control: `cubic`, `bbr`.
    ///
    /// The whole machine then allows its users that control, for it cannot be allowed in a namespace alone; the machine's
    /// own default stays.
    ///
    /// # Errors
    ///
    /// When the kernel has none of that name.
    pub fn tcp_congestion_control(&self, name: &str) -> io::Result<()> {
        const ALLOWED: &str = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";
        let allowed = fs::read_to_string(ALLOWED)?;
        if !allowed.split_whitespace().any(|one| one == name) {
            fs::write(ALLOWED, format!("{} {name}", allowed.trim()))?;
        }
        for site in &self.sites {
            site.inside(|| fs::write("/proc/sys/net/ipv4/tcp_congestion_control", name))??;
        }
        Ok(())
    }

    /// Time since the start.
    pub fn now(&self) -> Duration {
        self.shared.now()
    }

    /// Lets something happen now.
    pub fn change(&self, change: Change) {
        self.shared.schedule(Duration::ZERO, vec![change]);
    }

    /// Lets something happen at a time since the start.
    pub fn schedule(&self, moments: impl IntoIterator<Item = Moment>) {
        for moment in moments {
            self.shared.schedule(moment.at, moment.changes);
        }
    }

    /// The counters now.
    pub fn counters(&self) -> Sample {
        self.shared.sample()
    }

    /// The counters so far, one sample every [`SAMPLE`](emulator::SAMPLE).
    pub fn samples(&self) -> Vec<Sample> {
        self.shared.samples()
    }

    /// Bytes of each flow that site b has received so far.
    pub fn flows(&self) -> BTreeMap<Flow, u64> {
        self.shared.flows()
    }

    /// How punctual the emulator was since this was last asked, or since the start.
    pub fn take_emulator(&self) -> SelfReport {
        self.shared.take_report()
    }

    /// What the kernels of site a and site b have dropped so far.
    ///
    /// # Errors
    ///
    /// When they cannot be asked.
    pub fn drops(&self) -> io::Result<[SiteDrops; 2]> {
        Ok([SiteDrops::read(&self.sites[0])?, SiteDrops::read(&self.sites[1])?])
    }

    /// Whether it has ended by itself.
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// When the sites' kernels do not say what they dropped.
    pub fn stop(mut self) -> io::Result<Report> {
        // The devices, and their counters, go with the thread.
        let drops = if self.is_over() { Default::default() } else { self.drops()? };
        let (lasted, total) = (self.now(), self.counters());
        self.end_thread();
        Ok(Report { lasted, total, samples: self.samples(), emulator: self.take_emulator(), drops })
    }

    fn end_thread(&mut self) {
        self.shared.stop();
        if let Some(thread) = self.thread.take() {
            // A panic of it was printed, and leaves nothing to do.
            let _ = thread.join();
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.end_thread();
    }
}
