//! From what was typed to what is done: [`resolve`] settles conflicts and defaults, once.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use jiff::Zoned;
use quicopy_protocol::attributes::DosAttributes;
use quicopy_protocol::congestion::Policy;
use quicopy_protocol::options::{
    AttributeFilter, ContentCheck, CopyFlags, CopyMode, JobPolicy, Recurse, Rule, Selection,
};
use quicopy_protocol::text::Escaped;
use quicopy_protocol::transport::Compression;

use super::copy::THREADS_DEFAULT;
use super::destination::Destination;
use super::echo::{self, Effective};
use super::folders::{FolderError, Folders};
use super::pace::{Pace, rate_of_gap};
use super::raw::{RawOptions, Saved};
use super::rules::{self, Converted, Roots, RuleError};
use super::schedule::{Monitor, RunHours};
use super::{Surroundings, ages, notices};
use crate::report::{HeaderText, LogFile, ReportOptions};

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
    /// A path that leads nowhere.
    #[error(transparent)]
    Folder(#[from] FolderError),
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
    /// `/SECFIX` without anything of security to copy.
    #[error("/SECFIX needs one of /SEC, /COPYALL, /COPY:S, /COPY:O.")]
    NothingToFix,
    /// `/COPY:T` without D.
    #[error(
        "/COPY : T without D would make files that differ look the same to the next job, which would never copy them : write /COPY:DAT, or /TIMFIX, which sets the times of files that are the same."
    )]
    TimesAlone,
    /// `/B` in a process that may not read everything.
    #[error(
        "You do not have the Backup and Restore Files user rights.\n*****  You need these to perform Backup copies (/B or /ZB).\n        Here they are: to be root, or to have CAP_DAC_READ_SEARCH."
    )]
    NoBackupRight,
    /// `/REG` with no place to store anything.
    #[error(
        "/REG : no folder for the configuration : set HOME or QUICOPY_HOME, or give --state-dir."
    )]
    NoConfiguration,
}

/// Settles conflicts and defaults.
///
/// # Errors
/// Something is missing, contradictory or not what it should be; no job can come of it.
pub(super) fn resolve(raw: RawOptions, folders: Folders<'_>) -> Result<Job, ResolveError> {
    let typed_source = raw.source.as_deref().ok_or(ResolveError::NoSource)?;
    let typed_destination = raw.destination.as_deref().ok_or(ResolveError::NoDestination)?;
    let Surroundings { cwd, now, reads_all, .. } = *folders.surroundings;
    check_conflicts(&raw, reads_all)?;
    let source = folders.source(typed_source)?;
    let destination = folders.destination(typed_destination)?;
    let roots = Roots {
        source: &source,
        destination: match &destination {
            Destination::Local(path) => path,
            Destination::Remote(_) => Path::new(typed_destination),
        },
        cwd,
        canonical: folders.surroundings.canonical,
    };
    let pace = Pace {
        rate: raw.io_rate.into_iter().chain(raw.gap_milliseconds.and_then(rate_of_gap)).min(),
        bandwidth: raw.bandwidth,
        threshold_bytes: raw.threshold_bytes.unwrap_or_default(),
    };
    let mut notices = notices::of(&raw, &pace, reads_all);
    let mut exclude = |switch, items: &[OsString]| {
        let plain = |item: &OsString| {
            folders.item(item, (typed_source, &source), (typed_destination, &destination))
        };
        let items: Vec<_> = items.iter().map(plain).collect::<Result<_, _>>()?;
        rules(switch, &items, roots, &mut notices)
    };
    let (exclude_files, exclude_dirs) =
        (exclude("/XF", &raw.exclude_files)?, exclude("/XD", &raw.exclude_dirs)?);
    let selection = Selection { exclude_files, exclude_dirs, ..selection(&raw, now)? };
    let effective = Effective::of(&raw, folders.config.retry);
    let log = match raw.report.log {
        Some(ref log) => Some(LogFile { path: folders.file(&log.path)?, ..log.clone() }),
        None => None,
    };
    Ok(Job {
        policy: policy(&raw, selection, &effective),
        threads: raw.threads.unwrap_or(THREADS_DEFAULT),
        move_mode: match (raw.move_files, raw.move_all) {
            (_, true) => MoveMode::FilesAndDirectories,
            (true, false) => MoveMode::Files,
            (false, false) => MoveMode::Keep,
        },
        reset_archive: raw.archive_reset,
        monitor: Monitor::of(raw.monitor_changes, raw.monitor_minutes),
        run_hours: raw.run_hours.map(|hours| RunHours { hours, per_file: raw.run_hours_per_file }),
        tbd: raw.tbd,
        pace,
        link_policy: raw.link_policy.unwrap_or_default(),
        compression: raw.compression.unwrap_or_default(),
        header: header(&raw, folders, Some(&source), Some(&destination))?,
        report: ReportOptions {
            multi_threaded: raw.threads.is_some(),
            list_only: raw.list_only,
            log,
            ..raw.report
        },
        notices,
        state_dir: raw.state_dir.map(|dir| cwd.join(dir)),
        source,
        destination,
    })
}

/// What the report of a job would begin with; source and destination may be missing.
pub(super) fn header_of(
    raw: &RawOptions,
    folders: Folders<'_>,
) -> Result<HeaderText, ResolveError> {
    check_conflicts(raw, folders.surroundings.reads_all)?;
    let source = raw.source.as_deref().map(|typed| folders.source(typed)).transpose()?;
    let destination =
        raw.destination.as_deref().map(|typed| folders.destination(typed)).transpose()?;
    Ok(header(raw, folders, source.as_deref(), destination.as_ref())?)
}

/// The job files that are read, and those that are written, as they are found on this machine.
fn job_files(raw: &RawOptions, folders: Folders<'_>) -> Result<Vec<String>, FolderError> {
    let saved = |saved: &Saved| folders.job_to_save(&saved.path);
    let saved: Vec<_> = raw.saves.iter().map(saved).collect::<Result<_, _>>()?;
    let files = raw.job_files.iter().chain(&saved);
    Ok(files.map(|file| shown(file.as_os_str()).to_string()).collect())
}

fn header(
    raw: &RawOptions,
    folders: Folders<'_>,
    source: Option<&Path>,
    destination: Option<&Destination>,
) -> Result<HeaderText, FolderError> {
    let effective = Effective::of(raw, folders.config.retry);
    Ok(HeaderText {
        source: source
            .map(|path| with_slash(shown(path.as_os_str()).to_string()))
            .unwrap_or_default(),
        destination: destination.map(|to| with_slash(to.to_string())).unwrap_or_default(),
        job_files: job_files(raw, folders)?,
        files: if raw.include_files.is_empty() {
            vec!["*.*".to_owned()]
        } else {
            echo::shown(&raw.include_files)
        },
        exclude_files: echo::shown(&raw.exclude_files),
        exclude_dirs: echo::shown(&raw.exclude_dirs),
        options: echo::options_line(raw, &effective),
    })
}

fn check_conflicts(raw: &RawOptions, reads_all: bool) -> Result<(), ResolveError> {
    let moves = raw.move_files || raw.move_all;
    let conflict = |one, other, reason| Err(ResolveError::Conflict(one, other, reason));
    if raw.create && raw.no_copy {
        return conflict("/CREATE", "/NOCOPY", "one makes files, the other none");
    }
    if moves && (raw.create || raw.no_copy) {
        let kept = if raw.create { "/CREATE" } else { "/NOCOPY" };
        let reason = "the source would be deleted without its content having been copied";
        return conflict("/MOV", kept, reason);
    }
    if raw.create && raw.archive_reset {
        let reason = "files would lose their mark for archiving without having been copied";
        return conflict("/CREATE", "/M", reason);
    }
    if raw.gap_milliseconds.is_some() && raw.threads.is_some() {
        let reason =
            "gaps between the blocks of several files make no rate; write /BWLIMIT:RATE instead";
        return conflict("/IPG", "/MT", reason);
    }
    let copy = raw.copy.unwrap_or(CopyFlags::DAT);
    if raw.fix.security && !(copy.security || copy.owner) {
        return Err(ResolveError::NothingToFix);
    }
    if !copy.data {
        check_without_content(raw, copy)?;
    }
    if raw.backup && !reads_all {
        return Err(ResolveError::NoBackupRight);
    }
    Ok(())
}

/// What a job that copies only metadata (`/COPY` without D) cannot do.
fn check_without_content(raw: &RawOptions, copy: CopyFlags) -> Result<(), ResolveError> {
    let reason = "no content would be copied";
    let refused = [
        (raw.move_files || raw.move_all, "/MOV"),
        (raw.include_modified, "/IM"),
        (raw.verify, "/VERIFY"),
        (raw.links.hard_links, "/HARDLINKS"),
    ];
    match refused.into_iter().find(|(is_given, _)| *is_given) {
        Some((_, name)) => Err(ResolveError::Conflict(name, "/COPY without D", reason)),
        None if copy.times => Err(ResolveError::TimesAlone),
        None => Ok(()),
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
        content_check: match (raw.verify, raw.include_modified) {
            (true, _) => ContentCheck::Always,
            (false, true) => ContentCheck::LooksSame,
            (false, false) => ContentCheck::Never,
        },
        fix: raw.fix,
        attributes_add: raw.add_attributes,
        attributes_remove: raw.remove_attributes,
        writing: raw.writing,
        space_floor: raw.space_floor,
        purge: raw.purge || raw.mirror,
        list_only: raw.list_only,
        conflict: raw.conflict.unwrap_or_default(),
        max_delete: raw.max_delete,
        marker: raw.marker.clone(),
        trash_days: raw.trash_days,
        plan: raw.plan,
        force: raw.force,
        retry: effective.retry,
        delta: true,
        report_same: raw.report.verbose,
        report_all_extras: raw.report.all_extras,
    }
}

/// All but the exclusions.
fn selection(raw: &RawOptions, now: &Zoned) -> Result<Selection, ResolveError> {
    let lists = [&raw.include_files, &raw.exclude_files, &raw.exclude_dirs];
    if lists.into_iter().flatten().map(|item| item.len()).sum::<usize>() > PATTERN_BYTES_MAX {
        return Err(ResolveError::PatternsTooLong);
    }
    let is_archive = raw.archive || raw.archive_reset;
    let all_dirs = raw.empty_subdirs || raw.mirror;
    Ok(Selection {
        include_files: file_patterns(raw)?,
        max_bytes: raw.max_bytes,
        min_bytes: raw.min_bytes,
        recurse: match (all_dirs, raw.subdirs) {
            (true, _) => Recurse::All,
            (false, true) => Recurse::NonEmpty,
            (false, false) => Recurse::RootOnly,
        },
        levels: raw.levels,
        links: raw.links,
        attributes: AttributeFilter {
            all_of: if is_archive { DosAttributes::ARCHIVE } else { DosAttributes::NONE },
            any_of: raw.include_attributes,
            none_of: raw.exclude_attributes,
        },
        modified: ages::range(raw.max_age, raw.min_age, now),
        accessed: ages::range(raw.max_access_age, raw.min_access_age, now),
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
