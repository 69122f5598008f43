//! Robocopy's logs, read as the scripts out there read them.
//!
//! Nothing here knows how the sender writes a log. The rules are those of widely used readers: a line is told by its tabs; the
//! summary is what holds a colon after the last long rule, by its place (RoboSharp), and what stands at fixed distances from the
//! end (Copy-ItemWithProgress, Get-FolderSize); an error is a line with `ERROR number (0xhex)` and the line after it (RobocopyPS).

mod line;
mod summary;

#[cfg(test)]
mod tests;

pub use line::{Directory, Failure, File};
pub use summary::{Row, Speed, Summary, Times};

/// One job's log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoboLog {
    /// What the header says.
    pub header: Header,
    /// Directory lines, in order.
    pub directories: Vec<Directory>,
    /// File lines, in order.
    pub files: Vec<File>,
    /// Error lines, in order.
    pub errors: Vec<Failure>,
    /// `NOTE : ...`, without the label.
    pub notes: Vec<String>,
    /// `ERROR : ...`, without the label: what stopped the job, or held deletions back.
    pub fatal: Vec<String>,
    /// The table; `None` with `/NJS`, or when the log was cut off.
    pub summary: Option<Summary>,
    /// The exit code as the log itself tells it, if it does: no line of Robocopy's.
    pub exit_code: Option<u8>,
}

/// A log's header; every field is empty with `/NJH`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Header {
    /// When the job began, as written.
    pub started: String,
    /// `None` if the mark behind the label says that there is none.
    pub source: Option<String>,
    /// `None` if the mark behind the label says that there is none.
    pub destination: Option<String>,
    /// File patterns.
    pub files: Vec<String>,
    /// Items of `/XF`.
    pub exclude_files: Vec<String>,
    /// Items of `/XD`.
    pub exclude_dirs: Vec<String>,
    /// The switches, one each.
    pub options: Vec<String>,
    /// Job files.
    pub job_files: Vec<String>,
}

impl RoboLog {
    /// Reads the log of one job. Takes whatever comes: a line that is none of the known ones is passed over.
    pub fn parse(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().map(after_progress).collect();
        Self::of_lines(&lines)
    }

    fn of_lines(lines: &[&str]) -> Self {
        let mut log = Self { summary: Summary::parse(lines), ..Self::default() };
        let mut at = log.header.parse(lines);
        while let Some(line) = lines.get(at) {
            at += 1;
            if let Some(directory) = Directory::parse(line) {
                log.directories.push(directory);
            } else if let Some(file) = File::parse(line) {
                log.files.push(file);
            } else if let Some((failure, taken)) = Failure::parse(&lines[at - 1..]) {
                log.errors.push(failure);
                at += taken - 1;
            } else if let Some(note) = line.trim_start().strip_prefix("NOTE : ") {
                log.notes.push(note.to_owned());
            } else if let Some(reason) = line.strip_prefix("ERROR : ") {
                log.fatal.push(reason.to_owned());
            } else if let Some(exit) = line.trim_start().strip_prefix("Exit : ") {
                log.exit_code = exit.split(' ').next().and_then(|number| number.parse().ok());
            }
        }
        log
    }

    /// Reads a log to which several jobs have appended, cut before each banner.
    pub fn parse_all(text: &str) -> Vec<Self> {
        let lines: Vec<&str> = text.lines().map(after_progress).collect();
        let is_banner = |at: usize| {
            let around = (lines.get(at + 1), lines.get(at + 3));
            around == (Some(&BANNER_RULE), Some(&BANNER_RULE)) && lines[at].is_empty()
        };
        let mut begins: Vec<usize> = (0..lines.len()).filter(|at| is_banner(*at)).collect();
        if begins.first() != Some(&0) {
            begins.insert(0, 0);
        }
        let ends = begins.iter().copied().skip(1).chain([lines.len()]);
        let parts = begins.iter().zip(ends).map(|(&begin, end)| &lines[begin..end]);
        parts.map(Self::of_lines).collect()
    }

    /// The files whose line has one of these labels, in order.
    pub fn labelled(&self, label: &str) -> Vec<&str> {
        let labelled = self.files.iter().filter(|file| file.label == label);
        labelled.map(|file| file.name.as_str()).collect()
    }

    /// What Robocopy would exit with after such a summary. Failures that stand in no row, and fatal ends, do not show in it.
    pub fn exit_code_by_table(&self) -> Option<u8> {
        let Summary { dirs, files, .. } = self.summary.as_ref()?;
        let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        Some(
            bit(files.copied > 0, 1)
                | bit(dirs.extras + files.extras > 0, 2)
                | bit(dirs.mismatched + files.mismatched > 0, 4)
                | bit(dirs.failed + files.failed > 0, 8),
        )
    }
}

/// The text of a log file: UTF-16 behind a byte order mark, otherwise UTF-8.
///
/// # Errors
///
/// When it is not in the encoding that it claims, or is in both.
pub fn decode(bytes: &[u8]) -> Result<String, String> {
    let Some(wide) = bytes.strip_prefix(b"\xff\xfe") else {
        return String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string());
    };
    if wide.len() % 2 == 1 {
        return Err("it ends in half a character".to_owned());
    }
    let units: Vec<u16> =
        wide.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let text = String::from_utf16(&units).map_err(|error| error.to_string())?;
    match text.contains('\u{feff}') {
        true => Err("it has a second byte order mark".to_owned()),
        false => Ok(text),
    }
}

/// The rules around the banner are a dash longer than all others.
const BANNER_RULE: &str =
    "-------------------------------------------------------------------------------";

/// What is left of a line once a terminal has shown it: percentages stand before carriage returns.
fn after_progress(line: &str) -> &str {
    let line = line.rsplit('\r').next().unwrap_or(line);
    match line.trim_start().split_once('%') {
        Some((percent, rest)) if percent.chars().all(|c| c.is_ascii_digit() || c == '.') => rest,
        Some(_) | None => line,
    }
}

impl Header {
    /// Reads the header, and says how many lines it has.
    fn parse(&mut self, lines: &[&str]) -> usize {
        let Some(started) = lines.iter().position(|line| label(line) == Some("Started")) else {
            return 0;
        };
        let mut list = None;
        for (at, line) in lines.iter().enumerate().skip(started) {
            if line.starts_with("-----------------------") {
                return at + 1;
            }
            if let Some(item) = line.strip_prefix("\t    ") {
                if let (Some(list), false) = (self.list(list), item.trim().is_empty()) {
                    list.push(item.to_owned());
                }
                continue;
            }
            list = label(line);
            let Some(label) = list else { continue };
            let value = line.get(12..).unwrap_or_default();
            let folder = || line[..11].ends_with([':', '=']).then(|| value.to_owned());
            match label {
                "Started" => value.clone_into(&mut self.started),
                "Source" => self.source = folder(),
                "Dest" => self.destination = folder(),
                "Options" => self.options = value.split_whitespace().map(str::to_owned).collect(),
                "Job File" => self.job_files.push(value.to_owned()),
                _ => self.list(list).into_iter().for_each(|list| list.push(value.to_owned())),
            }
        }
        lines.len()
    }

    fn list(&mut self, label: Option<&str>) -> Option<&mut Vec<String>> {
        match label? {
            "Files" => Some(&mut self.files),
            "Exc Files" => Some(&mut self.exclude_files),
            "Exc Dirs" => Some(&mut self.exclude_dirs),
            _ => None,
        }
    }
}

/// The label of a header line: it ends at the twelfth column, with a mark of the folder's kind in the eleventh.
fn label(line: &str) -> Option<&str> {
    let (label, mark) = (line.get(..9)?.trim(), line.get(9..12)?);
    (!label.is_empty() && matches!(mark, " : " | " - " | " = ")).then_some(label)
}
