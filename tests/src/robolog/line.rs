//! Lines between header and summary.

/// A directory's line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Directory {
    /// `New Dir`, `*EXTRA Dir`, `named dir`; empty for one that both sides have.
    pub label: String,
    /// Files in it; -1 for one that is not entered.
    pub count: i64,
    /// Its path, with a slash at the end.
    pub path: String,
}

impl Directory {
    /// One tab, a label twelve wide, a number eight wide, one tab, a path.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (head, path) = line.strip_prefix('\t')?.split_once('\t')?;
        if path.contains('\t') || head.chars().count() < 20 {
            return None;
        }
        let (label, count) = head.split_at_checked(12)?;
        let (label, path) = (label.trim().to_owned(), path.to_owned());
        Some(Self { label, count: count.trim().parse().ok()?, path })
    }
}

/// A file's line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct File {
    /// `New File`, `newer`, `*EXTRA File`; empty with `/NC`.
    pub label: String,
    /// In bytes, as exactly as the line tells; `None` with `/NS`.
    pub size_bytes: Option<u64>,
    /// `YYYY/MM/DD HH:MM:SS` (`/TS`).
    pub time: Option<String>,
    /// Its name or path.
    pub name: String,
    /// `HH:MM -> HH:MM` (`/ETA`).
    pub arrival: Option<String>,
}

impl File {
    /// One tab, two blanks, a label twelve wide or none, two tabs, a size, maybe a time, one tab, a name; maybe two tabs and an
    /// arrival.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let parts: Vec<&str> = line.strip_prefix("\t  ")?.split('\t').collect();
        let (label, amount, name, arrival) = match parts[..] {
            [label, "", amount, name] => (label, amount, name, None),
            [label, "", amount, name, "", arrival] => (label, amount, name, Some(arrival)),
            _ => return None,
        };
        if !matches!(label.chars().count(), 0 | 12) {
            return None;
        }
        let (size, time) = match amount.len().checked_sub(TIME_WIDTH) {
            Some(at) if amount.get(at..).is_some_and(is_time) => amount.split_at(at),
            Some(_) | None => (amount, ""),
        };
        Some(Self {
            label: label.trim().to_owned(),
            size_bytes: size_bytes(size.trim()),
            time: (!time.is_empty()).then(|| time.to_owned()),
            name: name.to_owned(),
            arrival: arrival.map(str::to_owned),
        })
    }
}

/// An operation that failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// `YYYY/MM/DD HH:MM:SS`, local.
    pub time: String,
    /// Windows error number; the hexadecimal one behind it says the same.
    pub code: u32,
    /// The operation and the path, such as `Copying File /src/a`.
    pub what: String,
    /// What the system says.
    pub reason: String,
    /// Seconds until the next try, if there is one.
    pub retry_after: Option<u64>,
    /// Whether it was the last try.
    pub is_last: bool,
}

impl Failure {
    /// Reads the error that begins with the first line, and says how many lines it has.
    pub(super) fn parse(lines: &[&str]) -> Option<(Self, usize)> {
        let (time, rest) = lines.first()?.split_once(" ERROR ")?;
        let (code, rest) = rest.split_once(" (0x")?;
        let (hex, what) = rest.split_once(") ")?;
        let code: u32 = code.parse().ok()?;
        if !is_time(time) || hex.len() != 8 || u32::from_str_radix(hex, 16) != Ok(code) {
            return None;
        }
        let retry_after = lines.get(2).and_then(|line| {
            let seconds = line.strip_prefix("Waiting ")?.strip_suffix(" seconds... Retrying...")?;
            seconds.parse().ok()
        });
        let limit = ["", "ERROR: RETRY LIMIT EXCEEDED."];
        let is_last = lines.get(2..4) == Some(&limit[..]);
        let reason = lines.get(1).copied().unwrap_or_default().to_owned();
        let taken = if is_last { 4 } else { 2 + usize::from(retry_after.is_some()) };
        let (time, what) = (time.to_owned(), what.to_owned());
        let failure = Self { time, code, what, reason, retry_after, is_last };
        Some((failure, taken.min(lines.len())))
    }
}

const TIME_WIDTH: usize = "YYYY/MM/DD HH:MM:SS".len();

fn is_time(text: &str) -> bool {
    let shape = "0000/00/00 00:00:00";
    text.len() == TIME_WIDTH
        && text.bytes().zip(shape.bytes()).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            mark => byte == mark,
        })
}

/// Bytes of a size such as `39`, `18.0 m` or `17.473 g`.
pub(super) fn size_bytes(text: &str) -> Option<u64> {
    let Some((number, letter)) = text.split_once(' ') else { return text.parse().ok() };
    let power = match letter {
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Some((number * (1_u64 << power) as f64).round() as u64)
}
