//! What a run costs its machine: CPU time and memory of the processes at a site.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use quicopy_tests::lab::namespace::Namespace;

/// CPU time and memory of the processes of one side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// In user and system mode. What the kernel does for arriving packets is nobody's.
    pub(crate) cpu: Duration,
    /// Sum of each process's largest resident memory.
    pub(crate) memory_bytes: u64,
}

/// CPU time of one process and of its children that have ended and were waited for. It can still be read when the
/// process has ended itself and was not waited for.
pub(crate) fn process_cpu(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_cpu(&stat).map(|ticks| {
        Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    })
}

/// Source: `proc(5)`: fields 14 to 17; the name before them may hold anything.
fn parse_cpu(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    fields.get(11..15)?.iter().map(|ticks| ticks.parse::<u64>().ok()).sum()
}

/// The processes of a namespace, watched.
#[derive(Debug)]
pub(crate) struct Watch {
    /// What the link `/proc/PID/ns/net` of each of them says.
    namespace: PathBuf,
    began_cpu: Duration,
    peaks: BTreeMap<u32, u64>,
}

impl Watch {
    /// Begins to watch what runs in `site`.
    pub(crate) fn begin(site: &Namespace) -> io::Result<Self> {
        let namespace = site.inside(|| fs::read_link("/proc/thread-self/ns/net"))??;
        let mut watch = Self { namespace, began_cpu: Duration::ZERO, peaks: BTreeMap::new() };
        for pid in watch.processes() {
            // Forgets the largest memory so far, as `proc(5)` says; what was before this run is not its own.
            let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
        }
        watch.began_cpu = watch.cpu();
        Ok(watch)
    }

    /// Looks how much memory they use.
    pub(crate) fn look(&mut self) {
        for pid in self.processes() {
            let Some(peak) = peak_memory(pid) else { continue };
            let known = self.peaks.entry(pid).or_default();
            *known = peak.max(*known);
        }
    }

    /// What they have used since the beginning. Those that have ended count if their parent is here and knows.
    pub(crate) fn usage(&self) -> Usage {
        Usage {
            cpu: self.cpu().saturating_sub(self.began_cpu),
            memory_bytes: self.peaks.values().sum(),
        }
    }

    fn cpu(&self) -> Duration {
        self.processes().into_iter().filter_map(process_cpu).sum()
    }

    fn processes(&self) -> Vec<u32> {
        let is_here = |pid: &u32| {
            let namespace = Path::new("/proc").join(format!("{pid}/ns/net"));
            fs::read_link(namespace).is_ok_and(|namespace| namespace == self.namespace)
        };
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_here).collect()
    }
}

fn peak_memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_be_called_anything() {
        let stat = "17 (a ) b) S 1 17 17 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5 6 7";
        assert_eq!(parse_cpu(stat), Some(100));
        assert_eq!(parse_cpu("17 (x) S"), None);
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(peak_memory(std::process::id()).is_some_and(|bytes| bytes > 100_000));
    }
}
