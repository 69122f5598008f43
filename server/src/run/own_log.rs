//! A log in one of the trees of its own job is no file of that job.
//!
//! It grows as long as the job runs. As a file of the source it would change whenever it is read, and each line about that
//! would change it again; as an extra file of the destination a mirror would remove what it writes.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use quicopy_engine::source::Identity;
use quicopy_protocol::options::Rule;
use quicopy_protocol::path::RelPath;

use crate::cli::{Destination, Job};

/// Which file the log is, by whatever name the source holds it. The log must be open; a device or a pipe is none.
pub(super) fn identity(job: &Job) -> Option<Identity> {
    let log = fs::metadata(&job.report.log.as_ref()?.path).ok().filter(fs::Metadata::is_file)?;
    Some(Identity { device: log.dev(), inode: log.ino(), ..Identity::default() })
}

/// The job with an exclusion, as by `/XF`, where its log lies in the source or in a local destination. Thus it counts for
/// nobody: the scan, what watches the source, the purge. The log must be open.
pub(super) fn leave_out(mut job: Job) -> Job {
    for log in job.report.log.as_ref().map(|log| names(&log.path)).unwrap_or_default() {
        let destination = match &job.destination {
            Destination::Local(path) => below(path, &log),
            Destination::Remote(_) => None,
        };
        for (tree, path) in [("source", below(&job.source, &log)), ("destination", destination)] {
            let Some(path) = path else { continue };
            let notice = format!("{path}: the log of this job lies in the {tree} and is left out");
            job.notices.push(notice);
            job.policy.selection.exclude_files.push(Rule::Path(path));
        }
    }
    job
}

/// Where the log is, and the link that was named instead, if one was.
fn names(log: &Path) -> Vec<PathBuf> {
    let named = log.parent().zip(log.file_name()).and_then(|(above, name)| {
        // `f` lies in the directory ``.
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        Some(above.canonicalize().ok()?.join(name))
    });
    let mut names: Vec<_> = log.canonicalize().ok().into_iter().chain(named).collect();
    names.dedup();
    names
}

/// The path of `log`, which runs through no link, below `root`, which may.
fn below(root: &Path, log: &Path) -> Option<RelPath> {
    let root = root.canonicalize().ok()?;
    RelPath::parse(log.strip_prefix(root).ok()?.as_os_str().as_bytes()).ok()
}
