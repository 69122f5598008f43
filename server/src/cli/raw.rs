//! What the user typed, [`RawOptions`], before conflicts and defaults are settled.

use std::ffi::OsString;
use std::path::PathBuf;

use quicopy_protocol::congestion::Policy;
use quicopy_protocol::options::{
    ClassFilter, ConflictPolicy, CopyFlags, DeleteLimit, LinkPolicy, Tolerance,
};
use quicopy_protocol::transport::Compression;

use super::rate::Bandwidth;
use crate::report::ReportOptions;

/// The command line of a copy, switch by switch. `None` and `false` mean that a switch was not given.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RawOptions {
    /// First positional.
    pub source: Option<OsString>,
    /// Second positional.
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
    /// `/SL /XJ /XJD /XJF`
    pub links: LinkPolicy,
    /// `/MAX`
    pub max_bytes: Option<u64>,
    /// `/MIN`
    pub min_bytes: Option<u64>,
    /// `/MAXDELETE`
    pub max_delete: Option<DeleteLimit>,
    /// `/FORCE`
    pub force: bool,
    /// `/CONFLICT`
    pub conflict: Option<ConflictPolicy>,
    /// `/R`
    pub retries: Option<u32>,
    /// `/W`
    pub wait_seconds: Option<u32>,
    /// `/BWLIMIT`
    pub bandwidth: Option<Bandwidth>,
    /// `/POLICY`
    pub link_policy: Option<Policy>,
    /// `/COMPRESS`
    pub compression: Option<Compression>,
    /// How the report looks, and where it goes.
    pub report: ReportOptions,
    /// `--state-dir`
    pub state_dir: Option<PathBuf>,
}
