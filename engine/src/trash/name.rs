//! The name of a batch: when it was begun, and by which job.

use std::fmt;

use quicopy_protocol::path::Name;

/// RFC 3339 in UTC, with dashes for the colons that some file systems refuse.
const STAMP: &str = "%Y-%m-%dT%H-%M-%SZ";
/// Characters of that.
const STAMP_LENGTH: usize = "2026-01-31T23-59-59Z".len();

/// What one run of a job put into the trash, by when it began and which job it was. Older batches come first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BatchName {
    /// When the run began, in seconds of Unix time, by the wall clock.
    pub begun: i64,
    /// The job.
    pub job: [u8; 16],
    /// Tells apart what has the same path in one run, from 1.
    pub number: u16,
}

impl BatchName {
    /// Reads the name of a folder; `None` if no batch is called that.
    pub fn parse(name: &Name) -> Option<Self> {
        let text = std::str::from_utf8(name.as_bytes()).ok()?;
        let (stamp, rest) = text.split_at_checked(STAMP_LENGTH)?;
        let begun = jiff::civil::DateTime::strptime(STAMP, stamp).ok()?;
        let begun = begun.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
        let rest = rest.strip_prefix('-')?;
        let (job, number) = match rest.split_once('.') {
            Some((job, number)) => (job, number.parse().ok()?),
            None => (rest, 1),
        };
        let job = u128::from_str_radix(job, 16).ok()?.to_be_bytes();
        let parsed = Self { begun, job, number };
        // One batch, one spelling.
        (parsed.to_string() == text).then_some(parsed)
    }

    /// The name of the batch's folder.
    pub fn folder(&self) -> Name {
        Name::new(self.to_string().into_bytes()).expect("digits and dashes are a name")
    }

    /// The job's id as it is written everywhere.
    pub fn job_text(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.job))
    }
}

impl fmt::Display for BatchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begun = jiff::Timestamp::from_second(self.begun).unwrap_or_default();
        write!(f, "{}-{}", begun.strftime(STAMP), self.job_text())?;
        if self.number == 1 { Ok(()) } else { write!(f, ".{}", self.number) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BATCH: BatchName = BatchName { begun: 1_795_319_112, job: [0xab; 16], number: 1 };

    #[test]
    fn a_name_says_the_day_the_time_and_the_job() {
        assert_eq!(BATCH.to_string(), "2026-11-22T03-45-12Z-abababababababababababababababab");
        let second = BatchName { number: 2, ..BATCH };
        assert_eq!(second.to_string(), format!("{BATCH}.2"));
        assert!(BATCH < second && second < BatchName { begun: BATCH.begun + 1, ..BATCH });
    }

    #[test]
    fn other_names_are_no_batches() {
        let text = BATCH.to_string();
        let parse = |text: &str| BatchName::parse(&Name::new(text.as_bytes()).unwrap());
        assert_eq!(parse(&text), Some(BATCH));
        for other in [
            "x",
            &text[..20],
            &text[..30],
            &text.to_uppercase(),
            &format!("{text}.1"),
            &format!("{text}.02"),
            &format!("{text}x"),
            &text.replace("11-22", "13-22"),
            "gone-1",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_name_comes_back_as_it_was_written(begun in 0..4_000_000_000i64, job: [u8; 16], number in 1..100u16) {
            let batch = BatchName { begun, job, number };
            prop_assert_eq!(BatchName::parse(&batch.folder()), Some(batch));
        }
    }
}
