//! Robocopy's spelling turned into the long form that clap reads: `a b /R:3 /XD c d` becomes `--source-dir=a --dest-dir=b
//! --retries=3 --exclude-dir=c --exclude-dir=d`, in this order, and `/JOB` what its file holds.
//!
//! Whether a token that looks like a switch is a path depends on the disk; that question is the caller's to answer.

mod job;
mod token;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use token::{Place, Token, looks_like_a_switch, slash_switch};

use super::job::longs;
use super::not_yet;
use super::raw::RawOptions;
use super::switch::{Switch, Takes, Treatment, switches};
use super::{Surroundings, UsageError};
use crate::job_file::CodePage;
pub(super) use token::head_of;

/// What a command line asks for.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Translated {
    /// A copy: the arguments in their long form.
    Copy(Vec<OsString>),
    /// `/?`, or nothing at all.
    RobocopyHelp,
    /// `--help`
    Help,
    /// `--version`
    Version,
}

/// Translates the arguments of a copy, without the program's name.
pub(super) fn translate(
    args: &[OsString],
    surroundings: Surroundings<'_>,
) -> Result<Translated, UsageError> {
    if args.is_empty() {
        return Ok(Translated::RobocopyHelp);
    }
    let mut line = Line {
        surroundings,
        options: vec![],
        source: Slot::Free,
        destination: Slot::Free,
        expect: Expect::Anything,
        code_page: CodePage::default(),
        has_read_jobs: false,
        open_jobs: vec![],
    };
    for (text, number) in args.iter().zip(1..) {
        if let Some(asked) = line.take(Token { text, place: Place::Argument(number) })? {
            return Ok(asked);
        }
    }
    if let Expect::Value(row) = line.expect {
        // Without its value: clap says so.
        line.option(row.long, None);
    }
    Ok(Translated::Copy(line.options))
}

/// What the next token may be.
enum Expect {
    Anything,
    /// The value of the long option before it.
    Value(&'static Switch),
    /// One more item of a list, or what ends it.
    Item(&'static Switch),
    /// A path, whatever it looks like: `--` came before.
    Path,
}

/// Whether the command line has said, yet, what the source is, or the destination.
#[derive(Clone, Copy, PartialEq)]
enum Slot {
    Free,
    /// It has, or has said that it will not.
    Taken,
}

struct Line<'a> {
    surroundings: Surroundings<'a>,
    options: Vec<OsString>,
    source: Slot,
    destination: Slot,
    expect: Expect,
    /// That of job files to come.
    code_page: CodePage,
    has_read_jobs: bool,
    /// The job file that is read, and the one that named it.
    open_jobs: Vec<PathBuf>,
}

impl Line<'_> {
    fn take(&mut self, token: Token<'_>) -> Result<Option<Translated>, UsageError> {
        match self.expect {
            Expect::Value(row) => {
                self.expect = Expect::Anything;
                return self.given(row, Some(token.text), token).map(|()| None);
            }
            Expect::Path => return self.positional(token).map(|()| None),
            Expect::Anything | Expect::Item(_) => {}
        }
        let bytes = token.text.as_bytes();
        let is_argument = matches!(token.place, Place::Argument(_));
        match bytes {
            b"--" if is_argument => self.expect = Expect::Path,
            b"/?" | b"-?" if is_argument => return Ok(Some(Translated::RobocopyHelp)),
            b"--help" | b"-h" if is_argument => return Ok(Some(Translated::Help)),
            b"--version" if is_argument => return Ok(Some(Translated::Version)),
            _ if not_yet::is_not_yet(bytes) => return Err(token.not_yet()),
            [b'-', b'-', ..] => self.long(token)?,
            _ => match slash_switch(bytes) {
                Some(row) => self.switch(row, token)?,
                None => self.item_or_positional(token)?,
            },
        }
        Ok(None)
    }

    /// Takes a long option. One that is none is passed on: clap says what it may have meant.
    fn long(&mut self, token: Token<'_>) -> Result<(), UsageError> {
        let name = &token.text.as_bytes()[2..];
        let (name, value) = match name.iter().position(|&byte| byte == b'=') {
            Some(at) => (&name[..at], Some(OsStr::from_bytes(&name[at + 1..]))),
            None => (name, None),
        };
        self.expect = Expect::Anything;
        let row = switches().find(|row| row.long.as_bytes() == name);
        match (row.map(|row| (row, row.takes)), value, token.place) {
            (None, _, Place::Job { .. }) => {
                return Err(token.invalid("there is no such option".into()));
            }
            (None, ..) | (Some((_, Takes::Nothing(_))), Some(_), Place::Argument(_)) => {
                self.options.push(token.text.to_owned());
            }
            (Some((row, Takes::Value { .. } | Takes::List { .. })), None, _) => {
                self.expect = Expect::Value(row);
            }
            (Some((row, Takes::Nothing(_))), Some(_), Place::Job { .. }) => {
                return Err(token.invalid(format!("--{} takes no value", row.long)));
            }
            (Some((row, _)), value, _) => self.given(row, value, token)?,
        }
        Ok(())
    }

    fn switch(&mut self, row: &'static Switch, token: Token<'_>) -> Result<(), UsageError> {
        let bytes = token.text.as_bytes();
        let value = bytes.iter().position(|&byte| byte == b':').map(|colon| &bytes[colon + 1..]);
        let value = value.map(OsStr::from_bytes);
        self.expect = Expect::Anything;
        match (row.takes, value) {
            (Takes::Nothing(_) | Takes::Optional { .. }, None)
            | (Takes::Value { .. } | Takes::Optional { .. }, Some(_)) => {
                self.check_value(row, value, token)?;
                self.given(row, value, token)
            }
            (Takes::List { .. }, None) => {
                self.expect = Expect::Item(row);
                Ok(())
            }
            (Takes::Nothing(_) | Takes::List { .. }, Some(_)) | (Takes::Value { .. }, None) => {
                Err(token.invalid(format!("write {}", row.spelling())))
            }
        }
    }

    fn check_value(
        &self,
        row: &Switch,
        value: Option<&OsStr>,
        token: Token<'_>,
    ) -> Result<(), UsageError> {
        let (
            Takes::Value { set, .. } | Takes::Optional { set, .. } | Takes::List { add: set, .. },
            Some(value),
        ) = (row.takes, value)
        else {
            return Ok(());
        };
        set(&mut RawOptions::default(), value)
            .map_err(|bad| token.invalid(format!("{} takes {bad}", row.spelling())))
    }

    /// Takes a switch with its value, or one item of a list.
    fn given(
        &mut self,
        row: &'static Switch,
        value: Option<&OsStr>,
        token: Token<'_>,
    ) -> Result<(), UsageError> {
        if let Treatment::Refuse(reason) = row.treatment {
            return Err(token.invalid(reason.into()));
        }
        let is_argument = matches!(token.place, Place::Argument(_));
        if !is_argument {
            self.check_value(row, value, token)?;
        }
        match (row.long, value) {
            (longs::JOB, Some(name)) => return self.job(row, name, token),
            (longs::JOB_ENCODING, Some(name)) if is_argument => {
                if self.has_read_jobs {
                    return Err(token.invalid("it holds for job files that come after it".into()));
                }
                self.code_page = CodePage::parse(name).unwrap_or_default();
            }
            (longs::SAVE | longs::JOB_ENCODING, _) if !is_argument => {
                return Err(token.invalid("it stands on the command line only".into()));
            }
            // What the command line says holds, wherever it stands: it is what is looked at before a mirror runs.
            (longs::SOURCE, _) if !is_argument && self.source == Slot::Taken => return Ok(()),
            (longs::DESTINATION, _) if !is_argument && self.destination == Slot::Taken => {
                return Ok(());
            }
            (longs::SOURCE | longs::NO_SOURCE, _) if is_argument => {
                take_slot(&mut self.source, "SOURCE", token)?;
            }
            (longs::DESTINATION | longs::NO_DESTINATION, _) if is_argument => {
                take_slot(&mut self.destination, "DESTINATION", token)?;
            }
            _ => {}
        }
        self.push(row, value);
        Ok(())
    }

    fn item_or_positional(&mut self, token: Token<'_>) -> Result<(), UsageError> {
        self.check_not_a_switch(token)?;
        match (&self.expect, token.place) {
            (Expect::Item(row), _) => self.given(row, Some(token.text), token),
            (_, Place::Argument(_)) => self.positional(token),
            (_, Place::Job { .. }) => {
                Err(token.invalid("neither a switch nor an item of a list".into()))
            }
        }
    }

    /// A mistyped switch must not become a folder or an exclusion of that name.
    fn check_not_a_switch(&self, token: Token<'_>) -> Result<(), UsageError> {
        if !looks_like_a_switch(token.text.as_bytes()) || self.exists(token.text) {
            return Ok(());
        }
        let wants_path = [self.source, self.destination].contains(&Slot::Free);
        let reason = match token.place {
            Place::Argument(_) if wants_path => {
                "neither a switch nor an existing path; a new folder is written /./name"
            }
            Place::Argument(_) | Place::Job { .. } => "there is no such switch",
        };
        Err(token.invalid(reason.to_owned()))
    }

    fn positional(&mut self, token: Token<'_>) -> Result<(), UsageError> {
        if token.text.is_empty() {
            return Err(token.invalid("an empty text".into()));
        }
        let bytes = token.text.as_bytes();
        let holds_path = bytes.iter().any(|byte| b"/\\:".contains(byte));
        // Folders have no wildcards in Robocopy, so that FILE may stand without them: `*.txt /SAVE:texts /QUIT`.
        let is_pattern = bytes.iter().any(|byte| b"*?".contains(byte)) && !holds_path;
        let (slot, long) = if is_pattern && !self.exists(token.text) {
            (None, "include-file")
        } else if self.source == Slot::Free {
            (Some(&mut self.source), longs::SOURCE)
        } else if self.destination == Slot::Free {
            (Some(&mut self.destination), longs::DESTINATION)
        } else if holds_path {
            return Err(token.invalid(
                "after SOURCE and DESTINATION come names of files, without a path".into(),
            ));
        } else {
            (None, "include-file")
        };
        if let Some(slot) = slot {
            *slot = Slot::Taken;
        }
        self.option(long, Some(token.text));
        Ok(())
    }

    fn exists(&self, path: &OsStr) -> bool {
        (self.surroundings.exists)(Path::new(path))
    }

    fn push(&mut self, row: &Switch, value: Option<&OsStr>) {
        self.option(row.long, value);
    }

    fn option(&mut self, long: &str, value: Option<&OsStr>) {
        let mut option = OsString::from(format!("--{long}"));
        if let Some(value) = value {
            option.push("=");
            option.push(value);
        }
        self.options.push(option);
    }
}

fn take_slot(slot: &mut Slot, name: &str, token: Token<'_>) -> Result<(), UsageError> {
    match std::mem::replace(slot, Slot::Taken) {
        Slot::Free => Ok(()),
        Slot::Taken => Err(token.invalid(format!("{name} was given before"))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::cli::tests::testing;

    fn check(line: &str, long_form: &str) {
        assert_eq!(run(line).unwrap_or_else(|error| error), long_form, "{line}");
    }

    /// The long form, or the error's first line. Only `/data` and `-old` exist.
    fn run(line: &str) -> Result<String, String> {
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let exists = |path: &Path| path == Path::new("/data") || path == Path::new("-old");
        match translate(&args, Surroundings { exists: &exists, ..testing::surroundings() }) {
            Ok(Translated::Copy(args)) => Ok(args.join(OsStr::new(" ")).into_string().unwrap()),
            Ok(asked) => Ok(format!("{asked:?}")),
            Err(error) => Err(error.to_string().lines().next().unwrap().to_owned()),
        }
    }

    #[test]
    fn switches_are_known_in_any_case_and_with_either_sign() {
        check(
            "a b /mir -R:3 /Lev:2",
            "--source-dir=a --dest-dir=b --mirror --retries=3 --levels=2",
        );
        check("a /mt b -MT:16", "--source-dir=a --threads --dest-dir=b --threads=16");
    }

    #[test]
    fn a_list_ends_at_the_next_switch() {
        check(
            "a b /XD .git obj /XF *.log /E",
            "--source-dir=a --dest-dir=b --exclude-dir=.git --exclude-dir=obj --exclude-file=*.log --empty-subdirs",
        );
        check("a b /XD x --mirror", "--source-dir=a --dest-dir=b --exclude-dir=x --mirror");
        check(
            "a b /XF x /COPYALL /XF y",
            "--source-dir=a --dest-dir=b --exclude-file=x --copy-all --exclude-file=y",
        );
        check(
            "a b /XD /src/x /data -- *.txt",
            "--source-dir=a --dest-dir=b --exclude-dir=/src/x --exclude-dir=/data --include-file=*.txt",
        );
    }

    #[test]
    fn a_slash_token_is_a_path_only_if_it_exists() {
        check("/data ./new /L", "--source-dir=/data --dest-dir=./new --list-only");
        check("/date ./new", "ERROR : Invalid Parameter #1 : \"/date\"");
        check("/data /./new", "--source-dir=/data --dest-dir=/./new");
        check("/data /a/b", "--source-dir=/data --dest-dir=/a/b");
        check("/data -mri", "ERROR : Invalid Parameter #2 : \"-mri\"");
        check("-old x", "--source-dir=-old --dest-dir=x");
        check("a b /XD x /MRI", "ERROR : Invalid Parameter #5 : \"/MRI\"");
    }

    #[test]
    fn unknown_and_malformed_parameters_are_named_by_number() {
        for (line, number) in [
            ("a b /NOSUCH", 3),
            ("a b /MT:0", 3),
            ("a b /MT:129", 3),
            ("a b /E /R:x", 4),
            ("a b /R", 3),
            ("a b /R:", 3),
            ("a b /E:1", 3),
            ("a b /LEV:0", 3),
            ("a b /COPY:DATU", 3),
            ("a b /LOG:", 3),
            ("a b c/d", 3),
            ("a b c:d", 3),
            ("a b /E=1", 3),
        ] {
            let error = run(line).unwrap_err();
            assert!(
                error.starts_with(&format!("ERROR : Invalid Parameter #{number} : ")),
                "{line}: {error}"
            );
        }
    }

    #[test]
    fn a_switch_that_is_not_built_is_refused_by_its_name() {
        for switch in ["/KEEPBASIS:1G", "/inplace", "-INPLACE", "--no-index"] {
            let error = run(&format!("a b {switch}")).unwrap_err();
            assert!(error.contains("not supported yet"), "{error}");
        }
    }

    #[test]
    fn the_value_of_a_long_option_is_not_looked_at() {
        check("a --exclude-dir /MIR b", "--source-dir=a --exclude-dir=/MIR --dest-dir=b");
        check("a --retries=3 b", "--source-dir=a --retries=3 --dest-dir=b");
        check("a --log /tmp b", "--source-dir=a --log=/tmp --dest-dir=b");
    }

    #[test]
    fn two_dashes_end_the_switches() {
        check("/E -- /MIR -x", "--empty-subdirs --source-dir=/MIR --dest-dir=-x");
    }

    #[test]
    fn help_is_asked_for_in_four_ways() {
        check("", "RobocopyHelp");
        check("a b /?", "RobocopyHelp");
        check("--help", "Help");
        check("--version", "Version");
    }
}
