//! What the emulator's thread and its owner share: [`Shared`].

use std::{
    collections::BTreeMap,
    mem,
    net::Ipv4Addr,
    os::fd::OwnedFd,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rustix::{
    event::{EventfdFlags, eventfd},
    io::write,
};

use super::super::{
    change::{Change, Moment},
    flow::Flow,
    lateness::Lateness,
    link::{Counters, Link},
    nat::Nat,
    report::backlog_drops,
    spec::LinkSpec,
};

/// Time between two samples of the counters.
pub const SAMPLE: Duration = Duration::from_millis(100);
/// Flows that are told apart: more than any measurement compares.
const FLOWS_MAX: usize = 256;

/// The two directions' links, by [`THERE`] and [`BACK`].
type Links = [Link<Box<[u8]>>; 2];

/// Index of the direction from site a to site b.
pub const THERE: usize = 0;
/// Index of the direction from site b to site a.
pub const BACK: usize = 1;

/// The counters of both directions at one time since the lab began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// When they were taken.
    pub at: Duration,
    /// From site a to site b.
    pub there: Counters,
    /// From site b to site a.
    pub back: Counters,
}

/// What the emulator says of itself.
#[derive(Clone, Debug, Default)]
pub struct SelfReport {
    /// How long after its arrival each packet was delivered.
    pub delivering: Lateness,
    /// How long packets may have waited to be read, for every round that found some after a nap.
    pub reading: Lateness,
    /// Packets that a side did not take, as while its address changed.
    pub refused: u64,
    /// Packets of the whole machine that a processor's backlog had no room for.
    pub backlog_drops: u64,
    /// CPU time of the thread.
    pub cpu: Duration,
}

/// What the thread and its owner share.
#[derive(Debug)]
pub struct Shared {
    state: Mutex<State>,
    pub(super) wake: OwnedFd,
    began: Instant,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) links: Links,
    pub(super) nat: Nat,
    /// Changes to come; the second number keeps those of one moment in order.
    pub(super) schedule: BTreeMap<(Duration, usize), Vec<Change>>,
    pub(super) address_a: Ipv4Addr,
    pub(super) addresses_used: u8,
    pub(super) samples: Vec<Sample>,
    /// Bytes of each flow that site b has received.
    pub(super) flows: BTreeMap<Flow, u64>,
    pub(super) report: SelfReport,
    /// CPU time of the thread so far, and how much of it is in no report any more.
    pub(super) cpu: Duration,
    pub(super) cpu_told: Duration,
    pub(super) backlog_told: u64,
    pub(super) is_stopped: bool,
}

impl Shared {
    /// The state between the packets of `links`, and nothing sent yet.
    ///
    /// # Errors
    ///
    /// When the process has too many open files.
    pub fn new(
        links: [LinkSpec; 2],
        seed: u64,
        schedule: Vec<Moment>,
        address_a: Ipv4Addr,
    ) -> std::io::Result<Self> {
        let [there, back] = links;
        let schedule = schedule
            .into_iter()
            .enumerate()
            .map(|(index, moment)| ((moment.at, index), moment.changes));
        let state = State {
            links: [Link::new(there, seed), Link::new(back, seed ^ u64::MAX)],
            nat: Nat::default(),
            schedule: schedule.collect(),
            address_a,
            addresses_used: 0,
            samples: vec![Sample::default()],
            flows: BTreeMap::new(),
            report: SelfReport::default(),
            cpu: Duration::ZERO,
            cpu_told: Duration::ZERO,
            backlog_told: backlog_drops(),
            is_stopped: false,
        };
        let wake = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self { state: Mutex::new(state), wake, began: Instant::now() })
    }

    /// Time since the lab began.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Lets `changes` happen at `at`, or at once if that is past.
    pub fn schedule(&self, at: Duration, changes: Vec<Change>) {
        let mut state = self.lock();
        let index = state.schedule.keys().map(|(_, index)| index + 1).max().unwrap_or(0);
        state.schedule.insert((at, index), changes);
        drop(state);
        self.wake();
    }

    /// The counters now.
    pub fn sample(&self) -> Sample {
        let state = self.lock();
        state.sample(self.now())
    }

    /// All samples so far, one every [`SAMPLE`].
    pub fn samples(&self) -> Vec<Sample> {
        self.lock().samples.clone()
    }

    /// Bytes of each flow that site b has received so far. Flows beyond the first 256 are not told apart
    /// and not listed.
    pub fn flows(&self) -> BTreeMap<Flow, u64> {
        self.lock().flows.clone()
    }

    /// What the emulator says of itself since this was last asked.
    pub fn take_report(&self) -> SelfReport {
        let mut state = self.lock();
        let cpu = state.cpu.saturating_sub(state.cpu_told);
        state.cpu_told = state.cpu;
        let backlog = backlog_drops();
        let backlog_drops = backlog.saturating_sub(state.backlog_told);
        state.backlog_told = backlog;
        SelfReport { cpu, backlog_drops, ..mem::take(&mut state.report) }
    }

    /// The address of site a now.
    pub fn address_a(&self) -> Ipv4Addr {
        self.lock().address_a
    }

    /// Ends the thread.
    pub fn stop(&self) {
        self.lock().is_stopped = true;
        self.wake();
    }

    fn wake(&self) {
        // It can only fail when it is already awake.
        let _ = write(&self.wake, &1_u64.to_ne_bytes());
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn sample(&self, at: Duration) -> Sample {
        Sample { at, there: self.links[THERE].counters(), back: self.links[BACK].counters() }
    }

    pub(super) fn count_flow(&mut self, packet: &[u8]) {
        let Some(flow) = Flow::of(packet) else { return };
        if self.flows.len() < FLOWS_MAX || self.flows.contains_key(&flow) {
            *self.flows.entry(flow).or_default() += packet.len() as u64;
        }
    }

    /// An address that nothing has had yet, from 10.201.0.101 on.
    pub(super) fn fresh_address(&mut self) -> Ipv4Addr {
        self.addresses_used = (self.addresses_used + 1) % 100;
        let [a, b, c, _] = self.address_a.octets();
        Ipv4Addr::new(a, b, c, 100 + self.addresses_used)
    }
}
