//! What a lab has seen: [`Report`].

use std::{fmt, fs, io, time::Duration};

use super::{
    emulator::{Sample, SelfReport},
    link::Counters,
    namespace::{INTERFACE, Namespace},
};

/// What a site's own kernel dropped, which no link is to blame for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SiteDrops {
    /// Packets that its interface could not hold until the emulator read them.
    pub interface: u64,
    /// UDP datagrams that found a socket's receive buffer full.
    pub udp_receive: u64,
}

impl SiteDrops {
    /// Asks the kernel.
    ///
    /// # Errors
    ///
    /// When the namespace is gone or its kernel speaks otherwise.
    pub fn read(site: &Namespace) -> io::Result<Self> {
        let [devices, protocols] = site.inside(|| {
            ["dev", "snmp"].map(|name| fs::read_to_string(format!("/proc/thread-self/net/{name}")))
        })?;
        let parsed = Self::parse(&devices?, &protocols?);
        parsed
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unknown form of /proc/net"))
    }

    /// Source: `proc(5)`, `/proc/net/dev` and `/proc/net/snmp`.
    fn parse(devices: &str, protocols: &str) -> Option<Self> {
        /// Of the sent packets, which follow eight columns of the received.
        const DROPPED: usize = 8 + 3;
        let device = devices
            .lines()
            .find_map(|line| line.trim_start().strip_prefix(INTERFACE)?.strip_prefix(':'))?;
        let mut udp = protocols.lines().filter_map(|line| line.strip_prefix("Udp: "));
        let names = udp.next()?.split_whitespace();
        let mut columns = names.zip(udp.next()?.split_whitespace());
        Some(Self {
            interface: device.split_whitespace().nth(DROPPED)?.parse().ok()?,
            udp_receive: columns.find(|(name, _)| *name == "RcvbufErrors")?.1.parse().ok()?,
        })
    }
}

/// Packets that this machine's processors had no room for in their backlogs, since it was started; 0 if it does not say.
pub fn backlog_drops() -> u64 {
    parse_backlog(&fs::read_to_string("/proc/net/softnet_stat").unwrap_or_default())
}

/// The second column of each processor's line, in hexadecimal. Source: `softnet_seq_show` of Linux.
fn parse_backlog(softnet: &str) -> u64 {
    let column = |line: &str| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok();
    softnet.lines().filter_map(column).sum()
}

/// What a lab has seen from its start to its end.
#[derive(Clone, Debug)]
pub struct Report {
    /// How long it ran.
    pub lasted: Duration,
    /// Both directions' counters.
    pub total: Sample,
    /// The same over time, one sample every [`SAMPLE`](super::emulator::SAMPLE).
    pub samples: Vec<Sample>,
    /// How punctual the emulator was.
    pub emulator: SelfReport,
    /// What the kernels of site a and site b dropped.
    pub drops: [SiteDrops; 2],
}

impl Report {
    /// Why the numbers say more about this machine than about the programs; `None` when they do not.
    pub fn bottleneck(&self) -> Option<String> {
        bottleneck(&self.emulator, &self.drops)
    }
}

/// Why a measurement with such an emulator is not to be trusted; `None` when it is.
pub fn bottleneck(emulator: &SelfReport, drops: &[SiteDrops; 2]) -> Option<String> {
    /// Share of packets too late from which the emulated delay is no longer what was asked for.
    const MUCH: f64 = 0.01;
    let lost: u64 = drops.iter().map(|site| site.interface).sum();
    if lost > 0 {
        return Some(format!("{lost} packets were lost before it read them"));
    }
    if emulator.backlog_drops > 0 {
        let lost = emulator.backlog_drops;
        return Some(format!(
            "{lost} packets were lost after it delivered them, in a processor's backlog"
        ));
    }
    let [delivering, reading] =
        [&emulator.delivering, &emulator.reading].map(|lateness| lateness.too_late());
    (delivering.max(reading) > MUCH).then(|| {
        format!(
            "{:.1} % of packets delivered and {:.1} % of rounds read later than 1 ms",
            delivering * 100.0,
            reading * 100.0
        )
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "link, for {:.1} s", self.lasted.as_secs_f64())?;
        for (name, counters) in [("a to b", self.total.there), ("b to a", self.total.back)] {
            writeln!(f, "  {name}: {}", Line(counters, self.lasted))?;
        }
        for (name, site) in ["a", "b"].iter().zip(self.drops) {
            if site != SiteDrops::default() {
                writeln!(
                    f,
                    "  site {name} itself dropped {} sent packets at its interface, {} received datagrams at a socket",
                    site.interface, site.udp_receive
                )?;
            }
        }
        let emulator = &self.emulator;
        let load = emulator.cpu.as_secs_f64() / self.lasted.as_secs_f64().max(1e-9);
        writeln!(
            f,
            "emulator, {:.0} % of a core, {} packets not taken",
            load * 100.0,
            emulator.refused
        )?;
        writeln!(f, "  delivered: {}", emulator.delivering)?;
        writeln!(f, "  read:      {}", emulator.reading)?;
        match self.bottleneck() {
            Some(reason) => write!(f, "  THE EMULATOR WAS THE BOTTLENECK: {reason}"),
            None => write!(f, "  it was not the bottleneck"),
        }
    }
}

struct Line(Counters, Duration);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(c, lasted) = self;
        let mbit = c.delivered_bytes as f64 * 8e-6 / lasted.as_secs_f64().max(1e-9);
        let percent = |count: u64| count as f64 * 100.0 / c.sent.max(1) as f64;
        write!(
            f,
            "{} packets, {} bytes sent; {mbit:.2} Mbit/s delivered; {:.2} % overflowed, {:.2} % lost, {} cut, {} twice, {} overtaken; queue up to {} KiB",
            c.sent,
            c.sent_bytes,
            percent(c.overflowed),
            percent(c.lost),
            c.cut,
            c.duplicated,
            c.reordered,
            c.queue_bytes_max >> 10
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICES: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
  lab0:    1000      10    1    2    3     4          5         6     2000      20    7    8    9    10      11         12
";
    const PROTOCOLS: &str = "\
Tcp: RtoAlgorithm RtoMin
Tcp: 1 200
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors
Udp: 10 0 0 10 42 0
";

    #[test]
    fn the_kernels_drops_are_read() {
        let drops = SiteDrops::parse(DEVICES, PROTOCOLS);
        assert_eq!(drops, Some(SiteDrops { interface: 8, udp_receive: 42 }));
        assert_eq!(SiteDrops::parse("", PROTOCOLS), None);
        assert_eq!(SiteDrops::parse(DEVICES, ""), None);
    }

    #[test]
    fn the_processors_drops_are_added_up() {
        assert_eq!(parse_backlog("02cadacd 00000010 00000008\n0297671a 00000002 00000002\n"), 18);
        assert_eq!(parse_backlog(""), 0);
    }

    #[test]
    fn an_emulator_that_is_late_says_so() {
        let mut late = SelfReport::default();
        (0..98).for_each(|_| late.delivering.record(Duration::ZERO));
        assert_eq!(bottleneck(&late, &Default::default()), None);
        (0..2).for_each(|_| late.delivering.record(Duration::from_millis(5)));
        assert!(bottleneck(&late, &Default::default()).is_some());
    }

    #[test]
    fn an_emulator_that_reads_too_slowly_says_so() {
        let drops = [SiteDrops { interface: 1, udp_receive: 0 }, SiteDrops::default()];
        assert!(bottleneck(&SelfReport::default(), &drops).is_some());
    }
}
