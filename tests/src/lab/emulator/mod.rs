//! The link between two TUN devices on the real clock: [`Emulator`].
//!
//! One thread reads what either side sends, and writes it to the other side when the [`Link`] says that it has arrived.
//! While packets flow it naps a moment between two rounds instead of waking for each packet: a round then moves several, and
//! the programs that are measured keep the cores. That is the delay it adds, each way at most twice, and measures.

use std::{
    net::Ipv4Addr,
    num::NonZeroU64,
    os::fd::{AsFd, OwnedFd},
    process::Command,
    sync::Arc,
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, read, write},
    thread::{gettid, set_current_timer_slack},
    time::{ClockId, clock_gettime},
};

use self::shared::State;
pub use self::shared::{BACK, SAMPLE, Sample, SelfReport, Shared, THERE};
use super::{
    change::{Change, Directions},
    link::Link,
    namespace::{INTERFACE, Namespace},
    nat::{Verdict, Way},
};

mod shared;

/// Rest between two rounds while packets flow. Eight packets of a gigabit, and far below any round trip of interest.
const NAP: Duration = Duration::from_micros(100);
/// Packets read from one side before the other has its turn.
const BATCH: usize = 64;
/// Room for the largest IP packet.
const PACKET_BYTES: usize = 1 << 16;

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
