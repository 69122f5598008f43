//! What the user typed, [`RawOptions`], before conflicts and defaults are settled.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;

use quicopy_protocol::attributes::DosAttributes;
use quicopy_protocol::congestion::Policy;
use quicopy_protocol::options::{
    ClassFilter, ConflictPolicy, CopyFlags, DeleteLimit, Fix, LinkPolicy, PlanId, SpaceFloor,
    Tolerance, Writing,
};
use quicopy_protocol::path::Name;
use quicopy_protocol::transport::Compression;

use super::ages::Age;
use super::rate::{Bandwidth, Hours};
use crate::report::ReportOptions;

/// The command line of a copy, switch by switch. `None` and `false` mean that a switch was not given.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RawOptions {
    /// All of it in its order, values as typed: what a job file is written from. A job file that was read stands here
    /// with what it holds.
    pub given: Vec<Given>,
    /// First positional, `/SD`.
    pub source: Option<OsString>,
    /// Second positional, `/DD`.
    pub destination: Option<OsString>,
    /// Further positionals, and the items of `/IF`.
    pub include_files: Vec<OsString>,
    /// Items of `/XF`.
    pub exclude_files: Vec<OsString>,
    /// Items of `/XD`.
    pub exclude_dirs: Vec<OsString>,
    /// `/S`
    pub subdirs: bool,
    /// `/E`
    pub empty_subdirs: bool,
    /// `/LEV`
    pub levels: Option<u32>,
    /// `/Z`
    pub restartable: bool,
    /// `/B`
    pub backup: bool,
    /// `/ZB`
    pub restartable_backup: bool,
    /// `/MT`
    pub threads: Option<u8>,
    /// `/COPY`, `/SEC`, `/COPYALL`
    pub copy: Option<CopyFlags>,
    /// `/COPYALL` was the last of them.
    pub copy_all: bool,
    /// `/DCOPY`, `/NODCOPY`
    pub dcopy: Option<CopyFlags>,
    /// `/NOCOPY`
    pub no_copy: bool,
    /// `/SECFIX /TIMFIX`
    pub fix: Fix,
    /// `/J /SPARSE /NOCLONE /READBACK`
    pub writing: Writing,
    /// `/LFSM`
    pub space_floor: Option<SpaceFloor>,
    /// `/CREATE`
    pub create: bool,
    /// `/PURGE`
    pub purge: bool,
    /// `/MIR`
    pub mirror: bool,
    /// `/MOV`
    pub move_files: bool,
    /// `/MOVE`
    pub move_all: bool,
    /// `/L`
    pub list_only: bool,
    /// `/XL /XN /XO /XC /XX /IS /IT`
    pub classes: ClassFilter,
    /// `/FFT /DST`
    pub tolerance: Tolerance,
    /// `/IM`
    pub include_modified: bool,
    /// `/VERIFY`
    pub verify: bool,
    /// `/SL /SJ /HARDLINKS /XJ /XJD /XJF`
    pub links: LinkPolicy,
    /// `/MAX`
    pub max_bytes: Option<u64>,
    /// `/MIN`
    pub min_bytes: Option<u64>,
    /// `/A`
    pub archive: bool,
    /// `/M`
    pub archive_reset: bool,
    /// `/IA`
    pub include_attributes: DosAttributes,
    /// `/XA`
    pub exclude_attributes: DosAttributes,
    /// `/A+`
    pub add_attributes: DosAttributes,
    /// `/A-`
    pub remove_attributes: DosAttributes,
    /// `/MAXAGE`
    pub max_age: Option<Age>,
    /// `/MINAGE`
    pub min_age: Option<Age>,
    /// `/MAXLAD`
    pub max_access_age: Option<Age>,
    /// `/MINLAD`
    pub min_access_age: Option<Age>,
    /// `/MAXDELETE`
    pub max_delete: Option<DeleteLimit>,
    /// `/FORCE`
    pub force: bool,
    /// `/CONFLICT`
    pub conflict: Option<ConflictPolicy>,
    /// `/TRASH`
    pub trash_days: Option<u16>,
    /// `/PLAN`
    pub plan: Option<PlanId>,
    /// `--require-marker`
    pub marker: Option<Name>,
    /// `/R`
    pub retries: Option<u32>,
    /// `/W`
    pub wait_seconds: Option<u32>,
    /// `/REG`
    pub remember: bool,
    /// `/TBD`
    pub tbd: bool,
    /// `/MON`
    pub monitor_changes: Option<u32>,
    /// `/MOT`
    pub monitor_minutes: Option<u32>,
    /// `/RH`
    pub run_hours: Option<Hours>,
    /// `/PF`
    pub run_hours_per_file: bool,
    /// `/IPG`
    pub gap_milliseconds: Option<u32>,
    /// `/IoRate`
    pub io_rate: Option<NonZeroU64>,
    /// `/Threshold`
    pub threshold_bytes: Option<u64>,
    /// `/BWLIMIT`
    pub bandwidth: Option<Bandwidth>,
    /// `/POLICY`
    pub link_policy: Option<Policy>,
    /// `/COMPRESS`
    pub compression: Option<Compression>,
    /// How the report looks, and where it goes.
    pub report: ReportOptions,
    /// `/JOB`: files that were read.
    pub job_files: Vec<PathBuf>,
    /// `/SAVE`
    pub saves: Vec<Saved>,
    /// `/QUIT`
    pub quit: bool,
    /// `--state-dir`
    pub state_dir: Option<PathBuf>,
}

/// One switch, or one item of a list, as it was given.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Given {
    /// The row's long name.
    pub long: &'static str,
    /// Its value; empty for a switch without one.
    pub value: OsString,
}

/// A job file to write, of what stood before `/SAVE`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Saved {
    /// As typed.
    pub path: PathBuf,
    /// The source so far.
    pub source: Option<OsString>,
    /// The destination so far.
    pub destination: Option<OsString>,
    /// The switches so far.
    pub given: Vec<Given>,
}

/// Switches of which only the last one holds. Of one switch only the last one holds anyway, but of lists.
const CONTRARY: [&[&str]; 3] = [
    &["copy", "security", "copy-all"],
    &["dir-copy", "no-dir-copy"],
    &["log", "log-append", "log-utf16", "log-utf16-append"],
];

/// The switches that hold, in the order in which they were given; of a list one of its items.
pub(crate) fn in_force(given: &[Given]) -> Vec<&Given> {
    let holds = |(at, one): &(usize, &Given)| {
        let set = CONTRARY.iter().find(|set| set.contains(&one.long));
        given[at + 1..].iter().all(|later| match set {
            Some(set) => !set.contains(&later.long),
            None => later.long != one.long,
        })
    };
    given.iter().enumerate().filter(holds).map(|(_, one)| one).collect()
}
