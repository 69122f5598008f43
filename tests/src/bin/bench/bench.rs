//! What all cases share: [`Bench`], the links, the rows of their tables.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use quicopy_tests::lab::spec::{LinkSpec, floor_seconds};

use crate::{
    contestant::Contestant,
    page::Table,
    programs::Programs,
    stage::{End, Place, Run, Stage},
    work::Work,
};

pub(crate) const MBIT: u64 = 1_000_000;
pub(crate) const MIB: u64 = 1 << 20;

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) programs: Programs,
    /// Small works and few links, to see that everything runs.
    pub(crate) quick: bool,
    /// Ours alone.
    pub(crate) alone: bool,
    /// Where all data lies, until the end of all cases.
    pub(crate) folder: PathBuf,
    /// A tree of source code, instead of a made one.
    pub(crate) source: Option<PathBuf>,
    /// Only links whose name holds this.
    pub(crate) link: Option<String>,
    pub(crate) seed: u64,
}

impl Bench {
    /// A stage across this link.
    pub(crate) fn stage(&self, link: LinkSpec) -> Result<Stage<'_>> {
        Stage::start(&self.programs, &self.folder, link, self.seed, Place::Across)
    }

    /// The file of 256 MiB, or a smaller one.
    pub(crate) fn file(&self) -> Result<Work> {
        let bytes = if self.quick { 32 } else { 256 } * MIB;
        self.make("file", |folder| Ok(Work::one_file(folder, bytes)?))
    }

    /// Longest that a run over this link may take: a minute, or as long as four times the floor.
    pub(crate) fn limit(&self, link: &NamedLink, bytes: u64) -> Duration {
        let least = if self.quick { 15.0 } else { 60.0 };
        Duration::from_secs_f64((4.0 * link.floor(bytes)).max(least))
    }

    /// A work by this name, made now or before.
    pub(crate) fn make(
        &self,
        name: &str,
        make: impl FnOnce(&PathBuf) -> Result<Work>,
    ) -> Result<Work> {
        let folder = self.folder.join(name);
        if folder.exists() { Ok(Work::existing(&folder)?) } else { make(&folder) }
    }

    /// Whether a link of this name was asked for.
    pub(crate) fn wants_link(&self, name: &str) -> bool {
        self.link.as_ref().is_none_or(|wanted| name.contains(wanted))
    }

    /// Ours, and the others unless it is to run alone.
    pub(crate) fn contestants(
        &self,
        ours: &[Contestant],
        others: &[Contestant],
    ) -> Vec<Contestant> {
        let low = self.programs.knows_policies;
        let ours = ours.iter().filter(|one| **one != Contestant::LOW || low);
        let others = others.iter().filter(|_| !self.alone);
        ours.chain(others).copied().collect()
    }
}

/// A link with its name.
#[derive(Clone, Debug)]
pub(crate) struct NamedLink {
    pub(crate) rate_bps: u64,
    pub(crate) round_trip: Duration,
    pub(crate) loss: f64,
}

impl NamedLink {
    pub(crate) fn new(mbit: u64, round_trip_ms: u64, loss_percent: f64) -> Self {
        Self {
            rate_bps: mbit * MBIT,
            round_trip: Duration::from_millis(round_trip_ms),
            loss: loss_percent / 100.0,
        }
    }

    pub(crate) fn name(&self) -> String {
        let percent = self.loss * 100.0;
        format!("{} Mbit/s, {} ms, {percent} %", self.rate_bps / MBIT, self.round_trip.as_millis())
    }

    /// Both directions, with a queue of one bandwidth × delay.
    pub(crate) fn spec(&self) -> LinkSpec {
        LinkSpec::new(self.rate_bps, self.round_trip).with_loss(self.loss)
    }

    /// Least seconds for so many bytes that do not compress.
    pub(crate) fn floor(&self, bytes: u64) -> f64 {
        floor_seconds(bytes, self.rate_bps, self.loss)
    }
}

/// What a run should reach, and whether it did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aim {
    text: String,
    met: Option<bool>,
}

impl Aim {
    /// Nothing is asked of it.
    pub(crate) const NONE: Self = Self { text: String::new(), met: None };

    /// It was met, or not.
    pub(crate) fn new(text: impl Into<String>, met: bool) -> Self {
        Self { text: text.into(), met: Some(met) }
    }

    /// Something worth to be seen beside the aims of others.
    pub(crate) fn said(text: impl Into<String>) -> Self {
        Self { text: text.into(), met: None }
    }

    /// At most so many seconds for the whole run.
    pub(crate) fn seconds(run: &Run, most: f64) -> Self {
        Self::new(format!("≤ {most:.1} s"), run.done().is_some_and(|seconds| seconds <= most))
    }

    /// Both.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        match (self.met, other.met) {
            (None, _) => other,
            (_, None) => self,
            (Some(own), Some(others)) => {
                Self::new(format!("{}; {}", self.text, other.text), own && others)
            }
        }
    }

    /// The two cells that end a row.
    pub(crate) fn cells(&self) -> [String; 2] {
        let met = match self.met {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        [self.text.clone(), met.to_owned()]
    }
}

/// The columns of a table of runs.
pub(crate) const RUN_COLUMNS: [&str; 12] = [
    "link",
    "program",
    "seconds",
    "of the floor",
    "MB there",
    "MB back",
    "own drops",
    "CPU s, a + b",
    "MiB, a + b",
    "emulator late",
    "aim",
    "met",
];

/// A table of runs, and what must be said about some of them.
#[derive(Debug)]
pub(crate) struct Runs {
    pub(crate) table: Table,
    pub(crate) notes: Vec<String>,
}

impl Default for Runs {
    fn default() -> Self {
        Self { table: Table { columns: RUN_COLUMNS.to_vec(), rows: Vec::new() }, notes: Vec::new() }
    }
}

impl Runs {
    /// Adds a run; `floor` in seconds, if one can be told.
    pub(crate) fn add(&mut self, link: &str, run: &Run, floor: Option<f64>, aim: &Aim) {
        let seconds = match &run.end {
            End::Done => format!("{:.2}", run.seconds),
            End::CutOff => format!("> {:.0}", run.seconds),
            End::Failed(_) => format!("failed at {:.0}", run.seconds),
        };
        // Of a run that was cut off, by the rate it had.
        let share = floor.map_or(String::new(), |floor| {
            format!("{:.1} %", run.goodput() * floor / run.bytes as f64 * 100.0)
        });
        let megabytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1e6);
        let [a, b] = run.usage;
        let row = [
            link.to_owned(),
            run.contestant.to_string(),
            seconds,
            share,
            megabytes(run.there.sent_bytes),
            megabytes(run.back.sent_bytes),
            format!("{:.2} %", run.own_drops() * 100.0),
            format!("{:.2} + {:.2}", a.cpu.as_secs_f64(), b.cpu.as_secs_f64()),
            format!("{} + {}", a.memory_bytes / MIB, b.memory_bytes / MIB),
            late(run),
        ];
        self.table.rows.push(row.into_iter().chain(aim.cells()).collect());
        self.note(link, run);
        println!("{}", self.table.rows.last().map(|row| row.join(" | ")).unwrap_or_default());
    }

    fn note(&mut self, link: &str, run: &Run) {
        let mut say =
            |text: String| self.notes.push(format!("{link}, {}: {text}", run.contestant.plain()));
        if let End::Failed(reason) = &run.end {
            say(reason.clone());
        }
        if let Some(doubt) = run.doubt() {
            say(format!("(!) the emulator was the bottleneck: {doubt}"));
        }
        let dropped: u64 = run.drops.iter().map(|site| site.udp_receive).sum();
        if dropped > 0 {
            say(format!("{dropped} datagrams found a socket's receive buffer full"));
        }
    }
}

/// The 99th percentile of the emulator's lateness, marked where it casts doubt.
pub(crate) fn late(run: &Run) -> String {
    let mark = if run.doubt().is_some() { " (!)" } else { "" };
    format!("{:.2} ms{mark}", run.emulator.delivering.quantile(0.99).as_secs_f64() * 1e3)
}
