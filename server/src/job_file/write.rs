//! The text of a job file: [`write`](write()).

use std::ffi::OsStr;
use std::path::Path;

use jiff::Zoned;
use quicopy_protocol::options::Retry;
use quicopy_protocol::text::Escaped;

use super::read::is_fit;
use crate::cli::switch::{Switch, TABLE, Takes, switches};
use crate::cli::{Given, in_force, longs};

/// What a job file's first lines say of it.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// The file.
    pub file: &'a Path,
    /// Who saves it.
    pub user: Option<&'a str>,
    /// When.
    pub at: &'a Zoned,
}

/// What a job file is made of.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    /// The source, if it is to be the file's.
    pub source: Option<&'a OsStr>,
    /// The destination, if it is to be the file's.
    pub destination: Option<&'a OsStr>,
    /// The switches in the order in which they were given.
    pub given: &'a [Given],
    /// `/R` and `/W` as they are if they were not given: Robocopy writes them out.
    pub retry: Retry,
}

/// Why something cannot stand in a job file.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WriteError {
    /// A value that is no text, or that a line cannot hold.
    #[error("\"{}\" cannot stand in a job file: it holds control characters, or bytes that are not UTF-8", Escaped(.0))]
    Unfit(Vec<u8>),
}

/// Lists have sections of their own, in Robocopy's order: long name, title, what the list does, what stands for an empty one.
const LISTS: [(&str, &str, &str, &str); 3] = [
    (
        "include-file",
        "Include These Files",
        "Include Files matching these names",
        "*.*\t:: Include all names",
    ),
    (
        "exclude-dir",
        "Exclude These Directories",
        "eXclude Directories matching these names",
        "\t:: eXclude no names",
    ),
    (
        "exclude-file",
        "Exclude These Files",
        "eXclude Files matching these names",
        "\t:: eXclude no names",
    ),
];

/// Switches of which one is always written: the second, with this value, if none of the first was given.
const SPELT_OUT: [(&[&str], &str, &str); 2] = [
    (&["copy", "security", "copy-all"], "copy", "DAT"),
    (&["dir-copy", "no-dir-copy"], "dir-copy", "DA"),
];

/// Switches that bring others, which Robocopy writes out before them.
const BRINGS: [(&str, &[&str]); 2] =
    [("empty-subdirs", &["subdirs"]), ("mirror", &["subdirs", "empty-subdirs", "purge"])];

/// Writes a job file as Robocopy does: its sections, defaults spelt out, lines ending with CR LF; in UTF-8.
///
/// Of a switch that was given twice the last one is written, of a list all. Read again, the file means the same job.
///
/// # Errors
/// Something that was given cannot stand in a line of text.
pub fn write(contents: &Contents<'_>, author: Author<'_>) -> Result<String, WriteError> {
    let mut page = Page::default();
    page.heading(author);
    page.folder("Source Directory", longs::SOURCE, longs::NO_SOURCE, contents.source)?;
    page.folder(
        "Destination Directory",
        longs::DESTINATION,
        longs::NO_DESTINATION,
        contents.destination,
    )?;
    for (long, title, does, empty) in LISTS {
        page.title(title);
        let row = row(long);
        page.line(&format!("\t{}\t\t:: {does}", row.name()));
        let items: Vec<_> = contents.given.iter().filter(|given| given.long == long).collect();
        if items.is_empty() {
            page.line(&format!("::\t\t{empty} (currently - Command Line may override)"));
        }
        for item in items {
            page.line(&format!("\t\t{}", item_text(&item.value)?));
        }
    }
    let switches = switches_of(contents);
    for group in TABLE {
        let is_of_group = |given: &&Given| group.rows.iter().any(|row| row.long == given.long);
        let in_group: Vec<_> = switches.iter().filter(is_of_group).collect();
        if !in_group.is_empty() {
            page.title(&format!("{} Options", group.title));
        }
        for given in in_group {
            page.switch(row(given.long), &given.value)?;
        }
    }
    Ok(page.text)
}

/// What is written as switches, in the table's order: those in force, what they bring, and defaults.
fn switches_of(contents: &Contents<'_>) -> Vec<Given> {
    let is_saved = |given: &&Given| {
        !LISTS.iter().any(|list| list.0 == given.long) && !longs::UNSAVED.contains(&given.long)
    };
    let mut written: Vec<Given> =
        in_force(contents.given).into_iter().filter(is_saved).cloned().collect();
    let is_written = |longs: &[&str]| written.iter().any(|given| longs.contains(&given.long));
    let brought = BRINGS.into_iter().filter(|(long, _)| is_written(&[long]));
    let brought = brought.flat_map(|(_, brings)| brings).map(|&long| (long, String::new()));
    let spelt_out = SPELT_OUT.into_iter().filter(|(longs, ..)| !is_written(longs));
    let spelt_out = spelt_out.map(|(_, long, value)| (long, value.to_owned()));
    let Retry { retries, wait_seconds } = contents.retry;
    let retry = [("retries", retries.to_string()), ("wait", wait_seconds.to_string())];
    let more: Vec<_> = brought.chain(spelt_out).chain(retry).collect();
    for (long, value) in more {
        if !written.iter().any(|given| given.long == long) {
            written.push(Given { long, value: value.into() });
        }
    }
    written.sort_by_key(|given| switches().position(|row| row.long == given.long));
    written
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text += line;
        self.text += "\r\n";
    }

    fn heading(&mut self, author: Author<'_>) {
        let Author { file, user, at } = author;
        let by = user.map(|user| format!(" by {}", user.escape_default())).unwrap_or_default();
        self.line("::");
        self.line(&format!(":: Quicopy Job {}", Escaped(file.as_os_str().as_encoded_bytes())));
        self.line("::");
        self.line(&format!(":: Created{by} on {}", at.strftime("%A, %B %-d, %Y at %-I:%M:%S %p")));
        self.line("::");
    }

    fn title(&mut self, title: &str) {
        self.line("");
        self.line("::");
        self.line(&format!(":: {title} :"));
        self.line("::");
    }

    fn folder(
        &mut self,
        title: &str,
        long: &str,
        absent: &str,
        path: Option<&OsStr>,
    ) -> Result<(), WriteError> {
        self.title(title);
        match path {
            Some(path) => {
                self.line(&format!("\t{}:{}\t:: {title}.", row(long).name(), value_text(path)?))
            }
            None => {
                self.line(&format!("\t{}\t\t:: NO {title} is specified.", row(absent).name()));
                self.line("::\t\t\t:: To Be Specified on the Command Line");
            }
        }
        Ok(())
    }

    fn switch(&mut self, row: &Switch, value: &OsStr) -> Result<(), WriteError> {
        let name = row.name();
        let mark = if row.slash.is_some() { ':' } else { '=' };
        let item = match row.takes {
            Takes::Nothing(_) => name,
            Takes::Value { .. } | Takes::Optional { .. } | Takes::List { .. } => {
                format!("{name}{mark}{}", value_text(value)?)
            }
        };
        let tabs = if item.len() < 8 { "\t\t" } else { "\t" };
        self.line(&format!("\t{item}{tabs}:: {}.", row.help));
        Ok(())
    }
}

fn row(long: &str) -> &'static Switch {
    switches().find(|row| row.long == long).expect("only rows of the table are given")
}

/// An item of a list, in quotes if it would be read as something else.
fn item_text(value: &OsStr) -> Result<String, WriteError> {
    let text = value_text(value)?;
    let looks_like_a_switch = text.starts_with(['/', '-']);
    Ok(if looks_like_a_switch { format!("\"{text}\"") } else { text })
}

/// A value, in quotes if blanks at its ends, quotes, `::`, or a switch behind a blank would be read as something else.
fn value_text(value: &OsStr) -> Result<String, WriteError> {
    let unfit = || WriteError::Unfit(value.as_encoded_bytes().to_vec());
    let text = value.to_str().filter(|text| is_fit(text)).ok_or_else(unfit)?;
    let holds_switch = text.split_whitespace().skip(1).any(|word| word.starts_with(['/', '-']));
    let is_plain = text.trim() == text && !text.contains('"') && !text.contains("::");
    if !text.is_empty() && is_plain && !holds_switch {
        return Ok(text.to_owned());
    }
    Ok(format!("\"{}\"", text.replace('"', "\"\"")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(contents: &Contents<'_>) -> String {
        let at: Zoned = "2025-04-21T14:25:51+00:00[UTC]".parse().unwrap();
        let author = Author { file: Path::new("/jobs/nightly.RCJ"), user: Some("ann"), at: &at };
        write(contents, author).unwrap()
    }

    fn given(long: &'static str, value: &str) -> Given {
        Given { long, value: value.into() }
    }

    #[test]
    fn a_job_has_the_sections_that_robocopy_gives_it() {
        let given = [
            given("mirror", ""),
            given("exclude-dir", ".git"),
            given("retries", "1"),
            given("retries", "7"),
            given("exclude-dir", "/srv/a b"),
            given("trash", "7"),
            given("save", "x"),
        ];
        let contents = Contents {
            source: Some(OsStr::new("/srv/data/")),
            destination: None,
            given: &given,
            retry: Retry::default(),
        };
        let expected = "\
::
:: Quicopy Job /jobs/nightly.RCJ
::
:: Created by ann on Monday, April 21, 2025 at 2:25:51 PM
::

::
:: Source Directory :
::
\t/SD:/srv/data/\t:: Source Directory.

::
:: Destination Directory :
::
\t/NODD\t\t:: NO Destination Directory is specified.
::\t\t\t:: To Be Specified on the Command Line

::
:: Include These Files :
::
\t/IF\t\t:: Include Files matching these names
::\t\t*.*\t:: Include all names (currently - Command Line may override)

::
:: Exclude These Directories :
::
\t/XD\t\t:: eXclude Directories matching these names
\t\t.git
\t\t\"/srv/a b\"

::
:: Exclude These Files :
::
\t/XF\t\t:: eXclude Files matching these names
::\t\t\t:: eXclude no names (currently - Command Line may override)

::
:: Copy Options :
::
\t/S\t\t:: Copy subdirectories, but not empty ones.
\t/E\t\t:: Copy subdirectories, empty ones too.
\t/MIR\t\t:: Mirror: /E, and delete what the source lacks.
\t/PURGE\t\t:: Delete files and dirs that the source lacks.
\t/COPY:DAT\t:: Of files copy Data, Attributes, Times, Security, Owner; X: no xattrs.
\t/DCOPY:DA\t:: Of directories copy Data, Attributes, Times, Ea; X: no xattrs.

::
:: Guard Options :
::
\t/TRASH:7\t:: Keep what is overwritten or deleted aside for so many days.

::
:: Retry Options :
::
\t/R:7\t\t:: Try a failed file, or a lost link, N times again.
\t/W:5\t\t:: Wait N seconds before each retry.
";
        assert_eq!(text(&contents).replace("\r\n", "\n"), expected);
        assert!(!text(&contents).replace("\r\n", "").contains('\n'));
    }

    #[test]
    fn what_no_line_can_hold_is_refused() {
        let given = [given("exclude-file", "a\nb")];
        let contents =
            Contents { source: None, destination: None, given: &given, retry: Retry::default() };
        let at: Zoned = "2025-04-21T14:25:51+00:00[UTC]".parse().unwrap();
        let author = Author { file: Path::new("j"), user: None, at: &at };
        assert_eq!(write(&contents, author), Err(WriteError::Unfit(b"a\nb".to_vec())));
    }
}
