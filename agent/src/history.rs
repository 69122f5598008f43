//! The jobs that this agent has served, one JSON object a line in the state folder.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use quicopy_certs::StateDir;
use serde::{Deserialize, Serialize};

use crate::state;

/// The file in the state folder.
const HISTORY_FILE: &str = "history.jsonl";
/// Jobs that are kept; the oldest go first.
pub const HISTORY_JOBS_MAX: usize = 1000;
/// How far the file may grow past that before it is written anew, so that this happens once in a hundred jobs.
const SLACK: usize = 100;
/// Most bytes of the file: the longest entry has some 6 KiB, with a path of 4096 bytes that are all escaped.
const HISTORY_BYTES_MAX: u64 = 64 << 20;

/// One job as people and scripts read it: `quicopy-agent jobs --json` prints this, one a line.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct JobRecord {
    /// The job's id, 32 hexadecimal digits.
    pub job: String,
    /// What the agent calls the sender.
    pub peer: String,
    /// The share.
    pub share: String,
    /// The directory below the share, escaped; empty for the share itself.
    pub path: String,
    /// What the sender says about itself, escaped: host and folder.
    pub label: String,
    /// How often the sender has connected for this job before.
    pub attempt: u32,
    /// When this connection's part began.
    pub started: Timestamp,
    /// When it ended; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// How it stands or ended.
    pub state: JobState,
    /// What is to be said about that, such as why the job failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Files put in place.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Entries deleted.
    pub deleted: u64,
    /// Entries that failed.
    pub failed: u64,
}

/// How a job stands or ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// It is being served.
    Running,
    /// It reached its end.
    Complete,
    /// The link was lost, or the agent stopped: the sender goes on where it was when it comes again.
    Parked,
    /// It was ended because it could not go on.
    Failed,
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Parked => "parked",
            Self::Failed => "failed",
        })
    }
}

/// The file of past jobs.
#[derive(Debug)]
pub struct History {
    dir: StateDir,
    /// Lines in the file, once counted. The lock also keeps two writers apart.
    lines: Mutex<Option<usize>>,
}

impl History {
    /// Takes the history of a state folder, which need not exist yet.
    pub fn new(dir: &StateDir) -> Self {
        Self { dir: dir.clone(), lines: Mutex::default() }
    }

    /// The past jobs, the oldest first. A line that does not parse, as a power cut may leave, is passed over.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self) -> io::Result<Vec<JobRecord>> {
        let bytes =
            state::read_file(&self.dir, HISTORY_FILE, HISTORY_BYTES_MAX)?.unwrap_or_default();
        let lines = bytes.split(|&byte| byte == b'\n');
        let records =
            lines.filter_map(|line| serde_json::from_slice(line).ok()).collect::<Vec<_>>();
        let surplus = records.len().saturating_sub(HISTORY_JOBS_MAX);
        Ok(records.into_iter().skip(surplus).collect())
    }

    /// Adds a job that has ended.
    ///
    /// # Errors
    /// The disk refuses; what was there before still is.
    pub fn add(&self, record: &JobRecord) -> io::Result<()> {
        let mut known = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = match *known {
            Some(lines) => lines,
            None => self.read()?.len(),
        };
        *known = None;
        if lines >= HISTORY_JOBS_MAX + SLACK {
            let kept = self.read()?;
            state::replace_file(&self.dir, HISTORY_FILE, &as_lines(&kept)?)?;
            *known = Some(kept.len());
        } else {
            *known = Some(lines);
        }
        // In one write, and led by a line break, so that a torn line before spoils nothing but itself.
        let mut line = vec![b'\n'];
        line.extend(as_lines(std::slice::from_ref(record))?);
        state::append_to(&self.dir, HISTORY_FILE)?.write_all(&line)?;
        *known = known.map(|lines| lines + 1);
        Ok(())
    }
}

fn as_lines(records: &[JobRecord]) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for record in records {
        serde_json::to_writer(&mut lines, record)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn record(job: usize) -> JobRecord {
        JobRecord {
            job: format!("{job:032x}"),
            peer: "web01".into(),
            share: "data".into(),
            path: "a/b".into(),
            label: "web01:/srv".into(),
            attempt: 0,
            started: Timestamp::UNIX_EPOCH,
            ended: Some(Timestamp::UNIX_EPOCH),
            state: JobState::Complete,
            detail: None,
            files: 1,
            bytes: 2,
            deleted: 3,
            failed: 4,
        }
    }

    fn ids(history: &History) -> Vec<String> {
        history.read().unwrap().into_iter().map(|record| record.job).collect()
    }

    #[test]
    fn jobs_are_kept_in_their_order() {
        let (_temp, dir) = state::tests::folder();
        let history = History::new(&dir);
        assert_eq!(history.read().unwrap(), []);
        history.add(&record(1)).unwrap();
        History::new(&dir).add(&record(2)).unwrap();
        assert_eq!(history.read().unwrap(), [record(1), record(2)]);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let (_temp, dir) = state::tests::folder();
        let history = History::new(&dir);
        let all = HISTORY_JOBS_MAX + SLACK + 5;
        (0..all).for_each(|job| history.add(&record(job)).unwrap());
        let kept = ids(&history);
        assert_eq!(kept.len(), HISTORY_JOBS_MAX);
        assert_eq!(kept.last(), Some(&format!("{:032x}", all - 1)));
        let text = std::fs::read_to_string(dir.path().join(HISTORY_FILE)).unwrap();
        assert!(text.lines().filter(|line| !line.is_empty()).count() <= HISTORY_JOBS_MAX + SLACK);
    }

    #[test]
    fn a_torn_line_costs_no_other() {
        let (_temp, dir) = state::tests::folder();
        let history = History::new(&dir);
        history.add(&record(1)).unwrap();
        state::append_to(&dir, HISTORY_FILE).unwrap().write_all(b"{\"job\":\"0").unwrap();
        history.add(&record(2)).unwrap();
        assert_eq!(history.read().unwrap(), [record(1), record(2)]);
    }
}
