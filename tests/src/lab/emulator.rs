//! The link between two TUN devices on the real clock: [`Emulator`].
//!
//! One thread reads what either side sends, and writes it to the other side when the [`Link`] says that it has arrived.
//! While packets flow it naps a moment between two rounds instead of waking for each packet: a round then moves several, and
//! the programs that are measured keep the cores. That is the delay it adds, each way at most twice, and measures.

use std::{
    collections::BTreeMap,
    mem,
    net::Ipv4Addr,
    num::NonZeroU64,
    os::fd::{AsFd, OwnedFd},
    process::Command,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::{Errno, read, write},
    thread::{gettid, set_current_timer_slack},
    time::{ClockId, clock_gettime},
};

use super::{
    change::{Change, Directions, Moment},
    flow::Flow,
    lateness::Lateness,
    link::{Counters, Link},
    namespace::{INTERFACE, Namespace},
    nat::{Nat, Verdict, Way},
    report::backlog_drops,
    spec::LinkSpec,
};

/// Rest between two rounds while packets flow. Eight packets of a gigabit, and far below any round trip of interest.
const NAP: Duration = Duration::from_micros(100);
/// Packets read from one side before the other has its turn.
const BATCH: usize = 64;
/// Time between two samples of the counters.
pub const SAMPLE: Duration = Duration::from_millis(100);
/// Flows that are told apart: more than any measurement compares.
const FLOWS_MAX: usize = 256;
/// Room for the largest IP packet.
const PACKET_BYTES: usize = 1 << 16;

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
    wake: OwnedFd,
    began: Instant,
}

#[derive(Debug)]
struct State {
    links: Links,
    nat: Nat,
    /// Changes to come; the second number keeps those of one moment in order.
    schedule: BTreeMap<(Duration, usize), Vec<Change>>,
    address_a: Ipv4Addr,
    addresses_used: u8,
    samples: Vec<Sample>,
    /// Bytes of each flow that site b has received.
    flows: BTreeMap<Flow, u64>,
    report: SelfReport,
    /// CPU time of the thread so far, and how much of it is in no report any more.
    cpu: Duration,
    cpu_told: Duration,
    backlog_told: u64,
    is_stopped: bool,
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn sample(&self, at: Duration) -> Sample {
        Sample { at, there: self.links[THERE].counters(), back: self.links[BACK].counters() }
    }
}

/// The thread's own part.
#[derive(Debug)]
pub struct Emulator {
    /// What it shares.
    pub shared: Arc<Shared>,
    /// The devices of site a and site b.
    pub tuns: [OwnedFd; 2],
    /// Site a and site b.
    pub sites: [Arc<Namespace>; 2],
    /// When it ends by itself, with all processes of both sites.
    pub deadline: Duration,
}

impl Emulator {
    /// Carries packets until it is stopped or its time is up.
    pub fn run(self) {
        be_punctual();
        let mut scratch = vec![0; PACKET_BYTES];
        let mut last_read = None;
        loop {
            let mut state = self.shared.lock();
            let now = self.shared.now();
            if state.is_stopped {
                break;
            }
            if now >= self.deadline {
                drop(state);
                self.sites.iter().for_each(|site| site.kill_all());
                break;
            }
            self.apply_due(&mut state, now);
            let read = self.read_batches(&mut state, &mut scratch);
            if let (Some(last), true) = (last_read, read > 0) {
                state.report.reading.record(now.saturating_sub(last));
            }
            let written = self.deliver_due(&mut state);
            self.take_sample(&mut state, now);
            let next = self.next_event(&state);
            drop(state);

            let is_busy = read + written > 0;
            last_read = is_busy.then_some(now);
            match read {
                // There may be more.
                BATCH.. => {}
                _ if is_busy => self.nap_until(now + NAP),
                _ => self.wait_until(next),
            }
        }
    }

    fn apply_due(&self, state: &mut State, now: Duration) {
        while let Some(entry) = state.schedule.first_entry().filter(|entry| entry.key().0 <= now) {
            for change in entry.remove() {
                self.apply(state, now, change);
            }
        }
    }

    fn apply(&self, state: &mut State, now: Duration, change: Change) {
        match change {
            Change::Link(directions, setting) => {
                let which: &[usize] = match directions {
                    Directions::There => &[THERE],
                    Directions::Back => &[BACK],
                    Directions::Both => &[THERE, BACK],
                };
                for link in which {
                    let mut spec = state.links[*link].spec().clone();
                    setting.apply(&mut spec);
                    state.links[*link].change(now, spec);
                }
            }
            Change::RebindPort => state.nat.rebind_ports(),
            Change::RebindAddress => {
                let outside = state.fresh_address();
                state.nat.rebind_address(outside);
            }
            Change::Readdress => {
                let (old, new) = (state.address_a, state.fresh_address());
                state.address_a = new;
                let site = Arc::clone(&self.sites[0]);
                // The `ip` program takes milliseconds, in which packets would be late.
                thread::spawn(move || readdress(&site, old, new));
            }
        }
    }

    /// Returns how many it read.
    fn read_batches(&self, state: &mut State, scratch: &mut [u8]) -> usize {
        let mut most = 0;
        for (link, tun) in self.tuns.iter().enumerate() {
            let mut count = 0;
            while count < BATCH {
                let Some(length) = read_packet(tun, scratch) else { break };
                count += 1;
                let packet = &mut scratch[..length];
                if link == THERE {
                    state.nat.translate(Way::Out, packet);
                }
                let now = self.shared.now();
                state.links[link].send(now, length, Box::from(&*packet));
            }
            most = most.max(count);
        }
        most
    }

    /// Returns how many it wrote.
    fn deliver_due(&self, state: &mut State) -> usize {
        let mut count = 0;
        for (link, tun) in [(THERE, &self.tuns[1]), (BACK, &self.tuns[0])] {
            loop {
                let now = self.shared.now();
                let Some((due, mut packet)) = state.links[link].receive_timed(now) else { break };
                count += 1;
                if link == THERE {
                    state.count_flow(&packet);
                }
                state.report.delivering.record(now.saturating_sub(due));
                if link == BACK && state.nat.translate(Way::In, &mut packet) == Verdict::Drop {
                    continue;
                }
                if write(tun, &packet).is_err() {
                    state.report.refused += 1;
                }
            }
        }
        count
    }

    fn take_sample(&self, state: &mut State, now: Duration) {
        let due = SAMPLE * u32::try_from(state.samples.len()).unwrap_or(u32::MAX);
        if now >= due {
            let sample = state.sample(now);
            // One for each that was missed, so that their number is their time.
            while SAMPLE * u32::try_from(state.samples.len()).unwrap_or(u32::MAX) <= now {
                state.samples.push(sample);
            }
            state.cpu = thread_cpu();
        }
    }

    fn next_event(&self, state: &State) -> Duration {
        let sample = SAMPLE * u32::try_from(state.samples.len()).unwrap_or(u32::MAX);
        let change = state.schedule.keys().next().map(|(at, _)| *at);
        let arrivals = state.links.iter().filter_map(Link::next_event);
        arrivals.chain(change).chain([sample, self.deadline]).min().unwrap_or(sample)
    }

    /// Waits for that time and nothing else.
    fn nap_until(&self, at: Duration) {
        let nap = at.saturating_sub(self.shared.now());
        if !nap.is_zero() {
            // Woken early, it looks early.
            let _ = poll(&mut [], Some(&timespec(nap)));
        }
    }

    /// Waits for that time, a packet or its owner.
    fn wait_until(&self, at: Duration) {
        let wait = at.saturating_sub(self.shared.now());
        let [a, b] = &self.tuns;
        let mut watched =
            [a, b, &self.shared.wake].map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN));
        let _ = poll(&mut watched, Some(&timespec(wait)));
        if watched[2].revents().contains(PollFlags::IN) {
            // Only there to be seen.
            let _ = read(&self.shared.wake, &mut [0; 8]);
        }
    }
}

impl State {
    fn count_flow(&mut self, packet: &[u8]) {
        let Some(flow) = Flow::of(packet) else { return };
        if self.flows.len() < FLOWS_MAX || self.flows.contains_key(&flow) {
            *self.flows.entry(flow).or_default() += packet.len() as u64;
        }
    }

    /// An address that nothing has had yet, from 10.201.0.101 on.
    fn fresh_address(&mut self) -> Ipv4Addr {
        self.addresses_used = (self.addresses_used + 1) % 100;
        let [a, b, c, _] = self.address_a.octets();
        Ipv4Addr::new(a, b, c, 100 + self.addresses_used)
    }
}

fn read_packet(tun: &OwnedFd, scratch: &mut [u8]) -> Option<usize> {
    loop {
        match read(tun, &mut *scratch) {
            Ok(length) => return Some(length),
            Err(Errno::INTR) => {}
            // Nothing there, or the device is gone, which its owner sees.
            Err(_) => return None,
        }
    }
}

/// Puts the calling thread before every program that is measured, for it wants little and wants it soon. What fails here
/// shows in the lateness.
fn be_punctual() {
    let _ = set_current_timer_slack(NonZeroU64::new(1));
    // No niceness would do: with the kernel's automatic groups it counts within a session only. Threads and programs
    // that come from this one are none of that kind again.
    let own = gettid().as_raw_nonzero().to_string();
    let _ = Command::new("chrt").args(["--reset-on-fork", "--fifo", "--pid", "1", &own]).output();
}

/// Gives the site its new address first, so that it always has one.
#[expect(clippy::print_stderr, reason = "nobody waits for this thread")]
fn readdress(site: &Namespace, old: Ipv4Addr, new: Ipv4Addr) {
    let added = site.ip(&["address", "add", &format!("{new}/24"), "dev", INTERFACE]);
    // Without this the kernel would remove the new one too, as a secondary of the old.
    let kept =
        site.inside(|| std::fs::write("/proc/sys/net/ipv4/conf/all/promote_secondaries", "1"));
    let removed = site.ip(&["address", "delete", &format!("{old}/24"), "dev", INTERFACE]);
    for error in [added.err(), kept.err(), removed.err()].into_iter().flatten() {
        eprintln!("the address of {} does not change: {error}", site.name());
    }
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn timespec(time: Duration) -> Timespec {
    // Longer than any lab lives never happens.
    Timespec::try_from(time).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 })
}
