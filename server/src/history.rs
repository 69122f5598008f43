//! This sender's past jobs: the last thousand, a JSON object a line, for `quicopy jobs`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::report::{Counts, ExitCode, HeaderText, Summary};

/// Jobs that are remembered.
pub const RECORDS_MAX: usize = 1000;
/// Bytes that are read of a history: a thousand records with the longest paths. What lies beyond is not ours.
const BYTES_MAX: u64 = 16 << 20;

const FILE: &str = "history.jsonl";
const NEW_FILE: &str = "history.jsonl.new";
const LOCK_FILE: &str = "history.lock";

/// One past job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    /// The job's random name.
    pub id: String,
    /// When it began, as RFC 3339 writes it, in UTC.
    pub started: String,
    /// How long it took.
    pub seconds: f64,
    /// The source, escaped.
    pub source: String,
    /// The destination, escaped.
    pub destination: String,
    /// What the program exited with.
    pub exit_code: u8,
    /// Directories.
    pub dirs: RecordCounts,
    /// Files and links.
    pub files: RecordCounts,
    /// Bytes of these files.
    pub bytes: RecordCounts,
    /// Entries deleted at the destination.
    pub deleted: u64,
    /// Connections after the first.
    pub reconnects: u64,
}

/// One row of a past job's summary.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct RecordCounts {
    /// All that the source had.
    pub total: u64,
    /// Copied, or made.
    pub copied: u64,
    /// Left alone.
    pub skipped: u64,
    /// A file here and a directory there.
    pub mismatched: u64,
    /// Not copied.
    pub failed: u64,
    /// Only at the destination.
    pub extras: u64,
}

impl From<Counts> for RecordCounts {
    fn from(counts: Counts) -> Self {
        let Counts { copied, skipped, mismatched, failed, extras } = counts;
        Self { total: counts.total(), copied, skipped, mismatched, failed, extras }
    }
}

impl JobRecord {
    /// The record of a job that has ended.
    pub fn new(
        id: String,
        started: jiff::Timestamp,
        header: &HeaderText,
        summary: &Summary,
        exit_code: ExitCode,
    ) -> Self {
        Self {
            id,
            started: started.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            seconds: summary.times.total.as_secs_f64(),
            source: header.source.clone(),
            destination: header.destination.clone(),
            exit_code: exit_code.number(),
            dirs: summary.dirs.into(),
            files: summary.files.into(),
            bytes: summary.bytes.into(),
            deleted: summary.deleted,
            reconnects: summary.reconnects,
        }
    }
}

/// Why the history cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the history of jobs in {}: {source}", folder.display())]
pub struct HistoryError {
    /// The state folder.
    pub folder: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

/// Reads all records, the oldest first. Lines that are no records are passed over: a record is never worth a failed job.
///
/// # Errors
/// The file is there and cannot be read.
pub fn read(folder: &Path) -> Result<Vec<JobRecord>, HistoryError> {
    let lines =
        lines(folder).map_err(|source| HistoryError { folder: folder.to_owned(), source })?;
    Ok(lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// Adds a record, and forgets the oldest beyond [`RECORDS_MAX`]. Senders that end at the same time take turns.
///
/// # Errors
/// The folder, which must exist, cannot be written. The records that were there stay.
pub fn append(folder: &Path, record: &JobRecord) -> Result<(), HistoryError> {
    write(folder, record).map_err(|source| HistoryError { folder: folder.to_owned(), source })
}

fn write(folder: &Path, record: &JobRecord) -> io::Result<()> {
    let lock = private().create(true).truncate(false).open(folder.join(LOCK_FILE))?;
    lock.lock()?;
    let mut lines = lines(folder)?;
    lines.push(serde_json::to_string(record)?);
    let kept = lines.len().saturating_sub(RECORDS_MAX);
    let mut text = lines.split_off(kept).join("\n");
    text.push('\n');
    let new = folder.join(NEW_FILE);
    let mut file = private().create(true).truncate(true).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(new, folder.join(FILE))
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn lines(folder: &Path) -> io::Result<Vec<String>> {
    let file = match File::open(folder.join(FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![];
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
}

/// The table that `quicopy jobs` prints: a job a line, the latest last.
pub fn table(records: &[JobRecord]) -> String {
    let mut table = format!(
        "{:<20} {:>9} {:>4} {:>9} {:>9} {:>7}  {}\n",
        "STARTED", "SECONDS", "EXIT", "COPIED", "DELETED", "FAILED", "SOURCE -> DESTINATION"
    );
    for record in records {
        let JobRecord { started, seconds, exit_code, files, deleted, source, destination, .. } =
            record;
        let (copied, failed) = (files.copied, files.failed);
        table += &format!(
            "{started:<20} {seconds:>9.1} {exit_code:>4} {copied:>9} {deleted:>9} {failed:>7}  {source} -> {destination}\n"
        );
    }
    table
}

/// What `quicopy jobs --json` prints: a job a line, the latest last.
pub fn json(records: &[JobRecord]) -> String {
    let lines = records.iter().filter_map(|record| serde_json::to_string(record).ok());
    lines.map(|line| line + "\n").collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::Ending;

    fn record(id: &str) -> JobRecord {
        let header = HeaderText {
            source: "/src/".to_owned(),
            destination: "quicopy://b/data/".to_owned(),
            ..HeaderText::default()
        };
        let mut summary = Summary { deleted: 4, ..Summary::default() };
        summary.files = Counts { copied: 2, skipped: 1, ..Counts::default() };
        summary.times.total = std::time::Duration::from_millis(1500);
        let started = "2026-11-21T21:00:00.5Z".parse().unwrap();
        let exit_code = ExitCode::of(&summary, Ending::Complete);
        JobRecord::new(id.to_owned(), started, &header, &summary, exit_code)
    }

    #[test]
    fn what_is_added_is_read_in_its_order() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), []);
        append(dir.path(), &record("a")).unwrap();
        append(dir.path(), &record("b")).unwrap();
        assert_eq!(read(dir.path()).unwrap(), [record("a"), record("b")]);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let lines: String = (0..RECORDS_MAX + 5)
            .map(|id| serde_json::to_string(&record(&id.to_string())).unwrap() + "\n")
            .collect();
        fs::write(dir.path().join(FILE), lines).unwrap();
        append(dir.path(), &record("last")).unwrap();
        let records = read(dir.path()).unwrap();
        assert_eq!(records.len(), RECORDS_MAX);
        assert_eq!((&*records[0].id, &*records[RECORDS_MAX - 1].id), ("6", "last"));
    }

    #[test]
    fn a_damaged_line_costs_that_line() {
        let dir = tempfile::tempdir().unwrap();
        append(dir.path(), &record("a")).unwrap();
        let mut file = OpenOptions::new().append(true).open(dir.path().join(FILE)).unwrap();
        file.write_all(b"{\"id\":\xff\n").unwrap();
        append(dir.path(), &record("b")).unwrap();
        assert_eq!(read(dir.path()).unwrap(), [record("a"), record("b")]);
    }

    #[test]
    fn the_table_shows_a_job_a_line() {
        let table = table(&[record("a")]);
        assert_eq!(
            table.lines().nth(1),
            Some(
                "2026-11-21T21:00:00Z       1.5    1         2         4       0  /src/ -> quicopy://b/data/"
            )
        );
    }

    #[test]
    fn senders_that_end_together_lose_no_record() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for id in 0..8 {
                let folder = dir.path();
                scope.spawn(move || append(folder, &record(&id.to_string())).unwrap());
            }
        });
        assert_eq!(read(dir.path()).unwrap().len(), 8);
    }
}
