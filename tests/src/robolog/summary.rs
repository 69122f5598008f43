//! The table at a log's end.

use super::line::size_bytes;

/// The summary of a log.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Directories.
    pub dirs: Row,
    /// Files.
    pub files: Row,
    /// Bytes of files, as exactly as the table tells.
    pub bytes: Row,
    /// Where the time went.
    pub times: Times,
    /// `None` when nothing was copied.
    pub speed: Option<Speed>,
    /// When the job ended, as written.
    pub ended: String,
}

/// One row. Total = copied + skipped + mismatched + failed; extras stand outside it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are the columns of the table")]
pub struct Row {
    pub total: u64,
    pub copied: u64,
    pub skipped: u64,
    pub mismatched: u64,
    pub failed: u64,
    pub extras: u64,
}

impl Row {
    /// Whether the parts make up the total. Rounded bytes do so only nearly.
    pub fn adds_up(&self) -> bool {
        self.total == self.copied + self.skipped + self.mismatched + self.failed
    }
}

/// The row of times, in seconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are the columns of the table")]
pub struct Times {
    pub total: u64,
    pub copied: u64,
    pub failed: u64,
    pub extras: u64,
}

/// The two lines of speed.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are the units that the lines end with")]
pub struct Speed {
    pub bytes_per_second: u64,
    pub megabytes_per_minute: f64,
}

const HEADS: &str = "               Total    Copied   Skipped  Mismatch    FAILED    Extras";

impl Summary {
    /// Reads the table by the places of its lines, from the last long rule on, and requires that it is found from the end as well.
    pub(super) fn parse(lines: &[&str]) -> Option<Self> {
        let rule = lines.iter().rposition(|line| line.starts_with("-----------------------"))?;
        let table = &lines[rule + 1..];
        if table.get(..2) != Some(&["", HEADS]) {
            return None;
        }
        let marked: Vec<&str> = table.iter().copied().filter(|line| line.contains(':')).collect();
        let (rows, rest) = marked.split_at_checked(4)?;
        let (speed, ended) = match *rest {
            [ended] => (None, ended),
            [bytes, megabytes, ended] => (Some(Speed::parse(bytes, megabytes)?), ended),
            _ => return None,
        };
        let end = lines.len();
        let above_end = if speed.is_some() { 8 } else { 4 };
        if lines[end - 1] != "" || lines.get(end.checked_sub(above_end)?) != Some(&rows[2]) {
            return None;
        }
        let row = |at: usize, label: &str| Row::parse(rows[at].strip_prefix(label)?);
        Some(Self {
            dirs: row(0, "    Dirs :")?,
            files: row(1, "   Files :")?,
            bytes: row(2, "   Bytes :")?,
            times: Times::parse(rows[3].strip_prefix("   Times :")?)?,
            speed,
            ended: ended.strip_prefix("   Ended : ")?.to_owned(),
        })
    }
}

impl Row {
    fn parse(cells: &str) -> Option<Self> {
        let mut sizes = Vec::new();
        for word in cells.split_whitespace() {
            match (word.parse::<f64>(), sizes.last_mut()) {
                (Ok(_), _) => sizes.push(word.to_owned()),
                (Err(_), Some(number)) => *number += &format!(" {word}"),
                (Err(_), None) => return None,
            }
        }
        let sizes: Vec<u64> = sizes.iter().map(|size| size_bytes(size)).collect::<Option<_>>()?;
        let [total, copied, skipped, mismatched, failed, extras] = sizes[..] else { return None };
        Some(Self { total, copied, skipped, mismatched, failed, extras })
    }
}

impl Times {
    fn parse(cells: &str) -> Option<Self> {
        let times: Vec<u64> = cells.split_whitespace().map(seconds).collect::<Option<_>>()?;
        let [total, copied, failed, extras] = times[..] else { return None };
        // The columns between have no times.
        cells.get(20..40)?.trim().is_empty().then_some(Self { total, copied, failed, extras })
    }
}

impl Speed {
    fn parse(bytes: &str, megabytes: &str) -> Option<Self> {
        let value = |line: &str, unit: &str| {
            let value = line.strip_prefix("   Speed :")?.strip_suffix(unit)?;
            (value.len() >= 20).then(|| value.trim().to_owned())
        };
        Some(Self {
            bytes_per_second: value(bytes, " Bytes/sec.")?.parse().ok()?,
            megabytes_per_minute: value(megabytes, " MegaBytes/min.")?.parse().ok()?,
        })
    }
}

/// Seconds of `H:MM:SS`.
fn seconds(text: &str) -> Option<u64> {
    let mut seconds = 0;
    for part in text.split(':') {
        seconds = seconds * 60 + part.parse::<u64>().ok()?;
    }
    Some(seconds)
}
