//! What is known of a batch beside its name: a few lines of text in its folder.

use quicopy_protocol::text::{self, Escaped};

/// The format written here; a newer one is left alone.
const VERSION: u32 = 1;
const HEAD: &str = "quicopy trash ";
/// Bytes of the text of who it was.
const BY_BYTES_MAX: usize = 256;

/// Days that things are kept where nothing else is said.
pub const DAYS_DEFAULT: u16 = 7;

/// Who filled a batch, and how long it is kept where the share has no rule of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct About {
    /// Who sent the job, in words.
    pub by: String,
    /// Days after which it is given up.
    pub days: u16,
}

impl About {
    /// Writes it down.
    pub(super) fn encode(&self) -> String {
        let mut by = Escaped(self.by.as_bytes()).to_string();
        text::cut(&mut by, BY_BYTES_MAX);
        format!("{HEAD}{VERSION}\ndays {}\nby {by}\n", self.days)
    }

    /// Reads it. What was cut off by a crash counts as not known: the batch is as good without.
    ///
    /// # Errors
    /// The number of a newer version, which wrote something else there.
    pub(super) fn decode(text: &str) -> Result<Self, u32> {
        let mut about = Self { by: String::new(), days: DAYS_DEFAULT };
        let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let version = lines.next().and_then(|line| line.strip_prefix(HEAD)?.parse().ok());
        if let Some(newer) = version.filter(|version| *version > VERSION) {
            return Err(newer);
        }
        for line in lines {
            match line.split_once(' ') {
                Some(("days", days)) => about.days = days.parse().unwrap_or(DAYS_DEFAULT),
                Some(("by", by)) => about.by = by.to_owned(),
                Some(_) | None => {}
            }
        }
        Ok(about)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_as_it_was_written() {
        let about = About { by: "web01".into(), days: 30 };
        assert_eq!(About::decode(&about.encode()), Ok(about));
        let spiteful = About { by: "a\ndays 0".into(), days: 30 };
        assert_eq!(About::decode(&spiteful.encode()).unwrap().days, 30);
    }

    #[test]
    fn a_text_cut_anywhere_is_read_as_far_as_it_goes() {
        let text = About { by: "web01".into(), days: 30 }.encode();
        for cut in 0..text.len() {
            let about = About::decode(&text[..cut]).unwrap();
            assert!(about.by.is_empty() && (about.days == 30 || about.days == DAYS_DEFAULT));
        }
    }

    #[test]
    fn a_newer_one_is_told_from_a_damaged_one() {
        assert_eq!(About::decode("quicopy trash 2\nx"), Err(2));
        assert_eq!(About::decode("\u{0}").unwrap().days, DAYS_DEFAULT);
    }
}
