//! All that one command line of a copy asks for: files to write, and then the job, or a look at it.

use std::path::PathBuf;

use super::echo::Effective;
use super::folders::Folders;
use super::raw::{RawOptions, Saved};
use super::resolve::{self, Job, ResolveError};
use super::{Command, Surroundings, UsageError};
use crate::job_file::{self, Author, Contents};
use crate::report::HeaderText;

/// A text file that is written before anything else is done, in place of an older one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileToWrite {
    /// Where.
    pub path: PathBuf,
    /// Whether its folder is the configuration's, which is made if it is missing.
    pub is_ours: bool,
    /// Its content.
    pub text: String,
}

/// What follows when the files are written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Then {
    /// The job.
    Run(Box<Job>),
    /// The header of the job's report, and exit code 0 (`/QUIT`). Its folders are empty as long as nobody has given them.
    Show {
        /// The header.
        header: Box<HeaderText>,
        /// Whether standard output is for JSON (`--json`), and not for it.
        json: bool,
    },
}

pub(super) fn of(raw: RawOptions, surroundings: &Surroundings<'_>) -> Result<Command, UsageError> {
    let config = (surroundings.config)(raw.state_dir.as_deref())?;
    let folders = Folders { surroundings, config: &config };
    let mut first = vec![];
    for saved in &raw.saves {
        let (path, text) = job_file(saved, folders)?;
        first.push(FileToWrite { path, is_ours: false, text });
    }
    if raw.remember {
        let retry = Effective::of(&raw, config.retry).retry;
        let (path, text) = config.defaults(retry).ok_or(ResolveError::NoConfiguration)?;
        first.push(FileToWrite { path, is_ours: true, text });
    }
    let then = if raw.quit {
        let header = Box::new(resolve::header_of(&raw, folders)?);
        Then::Show { header, json: raw.report.json }
    } else {
        Then::Run(Box::new(resolve::resolve(raw, folders)?))
    };
    Ok(Command::Copy { first, then })
}

fn job_file(saved: &Saved, folders: Folders<'_>) -> Result<(PathBuf, String), UsageError> {
    let Surroundings { user, now, .. } = *folders.surroundings;
    let path = folders.job_to_save(&saved.path).map_err(ResolveError::Folder)?;
    let folder = |typed: &Option<_>| typed.as_deref().map(|typed| folders.saved(typed));
    let (source, destination) = (folder(&saved.source), folder(&saved.destination));
    let contents = Contents {
        source: source.as_deref(),
        destination: destination.as_deref(),
        given: &saved.given,
        retry: folders.config.retry,
    };
    match job_file::write(&contents, Author { file: &path, user, at: now }) {
        Ok(text) => Ok((path, text)),
        Err(source) => Err(UsageError::Saving { file: path, source }),
    }
}
