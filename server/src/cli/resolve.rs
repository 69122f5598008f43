//! From what was typed to what is done: [`resolve`] settles conflicts and defaults, once.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use quicopy_protocol::congestion::Policy;
use quicopy_protocol::options::{CopyFlags, CopyMode, JobPolicy, Recurse, Retry, Rule, Selection};
use quicopy_protocol::text::Escaped;
use quicopy_protocol::transport::Compression;

use super::Surroundings;
use super::copy::THREADS_DEFAULT;
use super::destination::{Destination, DestinationError};
use super::echo::{self, Effective};
use super::pace::Pace;
use super::raw::RawOptions;
use super::rules::{self, Converted, Roots, RuleError};
use super::schedule::{Monitor, RunHours};
use crate::report::{HeaderText, ReportOptions};

/// Bytes in all patterns of one job together. They travel in one control frame of 64 KiB, which holds more than they.
pub const PATTERN_BYTES_MAX: usize = 32 << 10;

/// One job as the programs act on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Job {
    /// The folder to read, absolute; it may not exist.
    pub source: PathBuf,
    /// The folder to write; a local one is absolute.
    pub destination: Destination,
    /// What both sites must agree on, retries included.
    pub policy: JobPolicy,
    /// Files to work on side by side, 1 to 128.
    pub threads: u8,
    /// What becomes of source files once they are copied.
    pub move_mode: MoveMode,
    /// Whether the Archive attribute of a source file is cleared once it is safely copied (`/M`).
    pub reset_archive: bool,
    /// Run again and again (`/MON`, `/MOT`).
    pub monitor: Option<Monitor>,
    /// When copies may start (`/RH`, `/PF`).
    pub run_hours: Option<RunHours>,
    /// Whether a share that the agent does not know, yet, is tried again like a link that is down (`/TBD`).
    pub tbd: bool,
    /// How fast the job may send.
    pub pace: Pace,
    /// How much of the link it takes.
    pub link_policy: Policy,
    /// What is compressed on the way to another site, and how hard.
    pub compression: Compression,
    /// How the report looks, and where it goes.
    pub report: ReportOptions,
    /// What the report's header says of the job.
    pub header: HeaderText,
    /// What the report should say once, before anything else.
    pub notices: Vec<String>,
    /// `--state-dir`
    pub state_dir: Option<PathBuf>,
}

/// What becomes of source files once they are copied.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MoveMode {
    /// They stay.
    #[default]
    Keep,
    /// They go (`/MOV`).
    Files,
    /// They go, and the directories that this empties (`/MOVE`).
    FilesAndDirectories,
}

/// Why a command line that can be read is no job.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResolveError {
    /// No first positional.
    #[error("No Source Directory Specified.")]
    NoSource,
    /// No second positional.
    #[error("No Destination Directory Specified.")]
    NoDestination,
    /// Data flows away from here only.
    #[error("Source \"{}\" is on another machine : run the sender there.", shown(.0))]
    RemoteSource(OsString),
    /// A source or destination that cannot be read.
    #[error("\"{}\" is no folder : {source}.", shown(.typed))]
    Folder {
        /// What was typed.
        typed: OsString,
        /// What is wrong with it.
        source: DestinationError,
    },
    /// An item of `/XF` or `/XD`.
    #[error("{switch} : {source}.")]
    Rule {
        /// The list.
        switch: &'static str,
        /// What is wrong with the item.
        source: RuleError,
    },
    /// A file pattern with a path or bytes that are no text.
    #[error("\"{}\" is no pattern for file names.", shown(.0))]
    FilePattern(OsString),
    /// Too many patterns to send.
    #[error("The file and directory patterns are over {PATTERN_BYTES_MAX} bytes long together.")]
    PatternsTooLong,
    /// Two switches that contradict each other.
    #[error("{0} and {1} cannot stand together : {2}.")]
    Conflict(&'static str, &'static str, &'static str),
}

/// Settles conflicts and defaults.
///
/// # Errors
/// Something is missing, contradictory or not what it should be; no job can come of it.
pub fn resolve(raw: RawOptions, surroundings: &Surroundings<'_>) -> Result<Job, ResolveError> {
    let typed_source = raw.source.as_deref().ok_or(ResolveError::NoSource)?;
    let typed_destination = raw.destination.as_deref().ok_or(ResolveError::NoDestination)?;
    check_conflicts(&raw)?;
    let source = match folder(typed_source, surroundings)? {
        Destination::Local(path) => path,
        Destination::Remote(_) => return Err(ResolveError::RemoteSource(typed_source.to_owned())),
    };
    let destination = folder(typed_destination, surroundings)?;
    let roots = Roots {
        source: &source,
        destination: match &destination {
            Destination::Local(path) => path,
            Destination::Remote(_) => Path::new(typed_destination),
        },
        cwd: surroundings.cwd,
    };
    let mut notices = vec![];
    let selection = selection(&raw, roots, &mut notices)?;
    if raw.copy_all {
        notices.push("/COPYALL : auditing information (U) is not carried".to_owned());
    }
    let retry_default = Retry::default();
    let effective = Effective {
        copy: raw.copy.unwrap_or(CopyFlags::DAT),
        dcopy: raw.dcopy.unwrap_or(CopyFlags::DA),
        retry: Retry {
            retries: raw.retries.unwrap_or(retry_default.retries),
            wait_seconds: raw.wait_seconds.unwrap_or(retry_default.wait_seconds),
        },
    };
    let header = HeaderText {
        source: with_slash(Escaped(source.as_os_str().as_bytes()).to_string()),
        destination: with_slash(destination.to_string()),
        job_files: vec![],
        files: if raw.include_files.is_empty() {
            vec!["*.*".to_owned()]
        } else {
            echo::shown(&raw.include_files)
        },
        exclude_files: echo::shown(&raw.exclude_files),
        exclude_dirs: echo::shown(&raw.exclude_dirs),
        options: echo::options_line(&raw, &effective),
    };
    Ok(Job {
        policy: policy(&raw, selection, &effective),
        threads: raw.threads.unwrap_or(THREADS_DEFAULT),
        move_mode: match (raw.move_files, raw.move_all) {
            (_, true) => MoveMode::FilesAndDirectories,
            (true, false) => MoveMode::Files,
            (false, false) => MoveMode::Keep,
        },
        reset_archive: false,
        monitor: None,
        run_hours: None,
        tbd: false,
        pace: Pace { bandwidth: raw.bandwidth, ..Pace::default() },
        link_policy: raw.link_policy.unwrap_or_default(),
        compression: raw.compression.unwrap_or_default(),
        report: ReportOptions {
            multi_threaded: raw.threads.is_some(),
            list_only: raw.list_only,
            log: raw.report.log.map(|log| log.below(surroundings.cwd)),
            ..raw.report
        },
        header,
        notices,
        state_dir: raw.state_dir.map(|dir| surroundings.cwd.join(dir)),
        source,
        destination,
    })
}

fn check_conflicts(raw: &RawOptions) -> Result<(), ResolveError> {
    let moves = raw.move_files || raw.move_all;
    if raw.create && raw.no_copy {
        return Err(ResolveError::Conflict(
            "/CREATE",
            "/NOCOPY",
            "one makes files, the other none",
        ));
    }
    if moves && (raw.create || raw.no_copy) {
        let kept = if raw.create { "/CREATE" } else { "/NOCOPY" };
        let reason = "the source would be deleted without its content having been copied";
        return Err(ResolveError::Conflict("/MOV", kept, reason));
    }
    Ok(())
}

fn folder(typed: &OsStr, surroundings: &Surroundings<'_>) -> Result<Destination, ResolveError> {
    match Destination::parse(typed, surroundings.home) {
        Ok(Destination::Local(path)) => {
            Ok(Destination::Local(rules::clean(&surroundings.cwd.join(path))))
        }
        Ok(remote @ Destination::Remote(_)) => Ok(remote),
        Err(source) => Err(ResolveError::Folder { typed: typed.to_owned(), source }),
    }
}

fn policy(raw: &RawOptions, selection: Selection, effective: &Effective) -> JobPolicy {
    JobPolicy {
        selection,
        classes: raw.classes,
        copy: effective.copy,
        dcopy: effective.dcopy,
        tolerance: raw.tolerance,
        mode: match (raw.create, raw.no_copy) {
            (true, _) => CopyMode::CreateEmpty,
            (false, true) => CopyMode::Nothing,
            (false, false) => CopyMode::Copy,
        },
        purge: raw.purge || raw.mirror,
        list_only: raw.list_only,
        conflict: raw.conflict.unwrap_or_default(),
        max_delete: raw.max_delete,
        force: raw.force,
        retry: effective.retry,
        delta: true,
        report_same: raw.report.verbose,
        report_all_extras: raw.report.all_extras,
        ..JobPolicy::default()
    }
}

fn selection(
    raw: &RawOptions,
    roots: Roots<'_>,
    notices: &mut Vec<String>,
) -> Result<Selection, ResolveError> {
    let lists = [&raw.include_files, &raw.exclude_files, &raw.exclude_dirs];
    if lists.into_iter().flatten().map(|item| item.len()).sum::<usize>() > PATTERN_BYTES_MAX {
        return Err(ResolveError::PatternsTooLong);
    }
    let all_dirs = raw.empty_subdirs || raw.mirror;
    Ok(Selection {
        include_files: file_patterns(raw)?,
        exclude_files: rules("/XF", &raw.exclude_files, roots, notices)?,
        exclude_dirs: rules("/XD", &raw.exclude_dirs, roots, notices)?,
        max_bytes: raw.max_bytes,
        min_bytes: raw.min_bytes,
        recurse: match (all_dirs, raw.subdirs) {
            (true, _) => Recurse::All,
            (false, true) => Recurse::NonEmpty,
            (false, false) => Recurse::RootOnly,
        },
        levels: raw.levels,
        links: raw.links,
        ..Selection::default()
    })
}

/// The patterns of which a name must match one. `*.*` takes names without a dot as well, so it stands for all.
fn file_patterns(raw: &RawOptions) -> Result<Vec<String>, ResolveError> {
    let mut patterns = vec![];
    for item in &raw.include_files {
        match item.to_str() {
            Some(text) if !text.is_empty() && !text.contains(['/', '\\', ':']) => {
                patterns.push(text.to_owned());
            }
            Some(_) | None => return Err(ResolveError::FilePattern(item.clone())),
        }
    }
    if echo::takes_all_files(raw) { Ok(vec![]) } else { Ok(patterns) }
}

fn rules(
    switch: &'static str,
    items: &[OsString],
    roots: Roots<'_>,
    notices: &mut Vec<String>,
) -> Result<Vec<Rule>, ResolveError> {
    let mut rules = vec![];
    for item in items {
        match rules::convert(item, roots) {
            Ok(Converted::Rule(rule)) => rules.push(rule),
            Ok(Converted::Outside) => notices.push(format!(
                "{switch} : \"{}\" lies below neither SOURCE nor DESTINATION and leaves nothing out",
                shown(item)
            )),
            Err(source) => return Err(ResolveError::Rule { switch, source }),
        }
    }
    Ok(rules)
}

fn with_slash(mut path: String) -> String {
    if !path.ends_with('/') {
        path.push('/');
    }
    path
}

fn shown(item: &OsStr) -> Escaped<'_> {
    Escaped(item.as_bytes())
}
