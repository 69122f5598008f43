//! Robocopy's spelling turned into the long form that clap reads: `/R:3 /XD a b` becomes `--retries=3 --exclude-dir=a
//! --exclude-dir=b`, and what is neither a switch nor one's value becomes a positional behind a `--`.
//!
//! Whether a token that looks like a switch is a path depends on the disk; that question is the caller's to answer.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::UsageError;
use super::not_yet;
use super::raw::RawOptions;
use super::switch::{Switch, Takes, switches};

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

/// Translates the arguments of a copy, without the program's name. `exists` tells whether a path is there.
pub(super) fn translate(
    args: &[OsString],
    exists: &dyn Fn(&Path) -> bool,
) -> Result<Translated, UsageError> {
    if args.is_empty() {
        return Ok(Translated::RobocopyHelp);
    }
    let mut line = Line { exists, options: vec![], positionals: vec![], expect: Expect::Anything };
    for (token, number) in args.iter().zip(1..) {
        if let Some(asked) = line.take(Token { text: token, number })? {
            return Ok(asked);
        }
    }
    let mut long_form = line.options;
    long_form.push("--".into());
    long_form.append(&mut line.positionals);
    Ok(Translated::Copy(long_form))
}

/// A switch's name as the table and the list of what is not built spell it: in capitals, with a slash for a single dash, up to the value.
pub(super) fn head_of(token: &[u8]) -> Vec<u8> {
    let end = token.iter().position(|byte| matches!(byte, b':' | b'=')).unwrap_or(token.len());
    let mut head = token[..end].to_ascii_uppercase();
    if !head.starts_with(b"--")
        && let Some(dash @ b'-') = head.first_mut()
    {
        *dash = b'/';
    }
    head
}

#[derive(Clone, Copy)]
struct Token<'a> {
    text: &'a OsStr,
    /// Its place on the command line, from 1.
    number: usize,
}

/// What the next token may be.
enum Expect {
    Anything,
    /// The value of the long option before it.
    Value,
    /// One more item of a list, or what ends it.
    Item(&'static Switch),
    /// A path, whatever it looks like: `--` came before.
    Path,
}

struct Line<'a> {
    exists: &'a dyn Fn(&Path) -> bool,
    options: Vec<OsString>,
    positionals: Vec<OsString>,
    expect: Expect,
}

impl Line<'_> {
    fn take(&mut self, token: Token<'_>) -> Result<Option<Translated>, UsageError> {
        match self.expect {
            Expect::Value => {
                self.options.push(token.text.to_owned());
                self.expect = Expect::Anything;
                return Ok(None);
            }
            Expect::Path => return self.positional(token).map(|()| None),
            Expect::Anything | Expect::Item(_) => {}
        }
        let bytes = token.text.as_bytes();
        match bytes {
            b"--" => self.expect = Expect::Path,
            b"/?" | b"-?" => return Ok(Some(Translated::RobocopyHelp)),
            b"--help" | b"-h" => return Ok(Some(Translated::Help)),
            b"--version" => return Ok(Some(Translated::Version)),
            _ if not_yet::is_not_yet(bytes) => return Err(token.not_yet()),
            [b'-', b'-', ..] => self.long(token),
            _ => match slash_switch(bytes) {
                Some(row) => self.switch(row, token)?,
                None => self.item_or_positional(token)?,
            },
        }
        Ok(None)
    }

    /// Passes a long option on; clap says what is wrong with it.
    fn long(&mut self, token: Token<'_>) {
        let name = &token.text.as_bytes()[2..];
        let wants_value = switches().any(|row| {
            row.long.as_bytes() == name
                && matches!(row.takes, Takes::Value { .. } | Takes::List { .. })
        });
        self.expect = if wants_value { Expect::Value } else { Expect::Anything };
        self.options.push(token.text.to_owned());
    }

    fn switch(&mut self, row: &'static Switch, token: Token<'_>) -> Result<(), UsageError> {
        let bytes = token.text.as_bytes();
        let value = bytes.iter().position(|&byte| byte == b':').map(|colon| &bytes[colon + 1..]);
        let value = value.map(OsStr::from_bytes);
        self.expect = Expect::Anything;
        match (row.takes, value) {
            (Takes::Nothing(_), None) | (Takes::Optional { .. }, None) => self.push(row, None),
            (Takes::List { .. }, None) => self.expect = Expect::Item(row),
            (Takes::Value { set, .. } | Takes::Optional { set, .. }, Some(value)) => {
                set(&mut RawOptions::default(), value)
                    .map_err(|bad| token.invalid(format!("{} takes {bad}", row.spelling())))?;
                self.push(row, Some(value));
            }
            (Takes::Nothing(_) | Takes::List { .. }, Some(_)) | (Takes::Value { .. }, None) => {
                return Err(token.invalid(format!("write {}", row.spelling())));
            }
        }
        Ok(())
    }

    fn item_or_positional(&mut self, token: Token<'_>) -> Result<(), UsageError> {
        match self.expect {
            Expect::Item(row) => {
                self.check_not_a_switch(token)?;
                self.push(row, Some(token.text));
                Ok(())
            }
            Expect::Anything | Expect::Value | Expect::Path => {
                self.check_not_a_switch(token)?;
                self.positional(token)
            }
        }
    }

    /// A mistyped switch must not become a folder or an exclusion of that name.
    fn check_not_a_switch(&self, token: Token<'_>) -> Result<(), UsageError> {
        if !looks_like_a_switch(token.text.as_bytes()) || (self.exists)(Path::new(token.text)) {
            return Ok(());
        }
        let reason = if self.positionals.len() < 2 {
            "neither a switch nor an existing path; a new folder is written /./name"
        } else {
            "there is no such switch"
        };
        Err(token.invalid(reason.to_owned()))
    }

    fn positional(&mut self, token: Token<'_>) -> Result<(), UsageError> {
        let is_file_pattern = self.positionals.len() >= 2;
        if token.text.is_empty() {
            return Err(token.invalid("an empty text".into()));
        }
        if is_file_pattern && token.text.as_bytes().iter().any(|byte| b"/\\:".contains(byte)) {
            return Err(token.invalid(
                "after SOURCE and DESTINATION come names of files, without a path".into(),
            ));
        }
        self.positionals.push(token.text.to_owned());
        Ok(())
    }

    fn push(&mut self, row: &Switch, value: Option<&OsStr>) {
        let mut option = OsString::from(format!("--{}", row.long));
        if let Some(value) = value {
            option.push("=");
            option.push(value);
        }
        self.options.push(option);
    }
}

impl Token<'_> {
    fn invalid(&self, reason: String) -> UsageError {
        UsageError::Invalid { number: self.number, text: self.text.to_owned(), reason }
    }

    fn not_yet(&self) -> UsageError {
        UsageError::NotYet { number: self.number, text: self.text.to_owned() }
    }
}

fn slash_switch(token: &[u8]) -> Option<&'static Switch> {
    // Cut at the colon alone: `/E=x` is no switch.
    if !matches!(token.first(), Some(b'/' | b'-')) {
        return None;
    }
    let head = head_of(token);
    if token.get(head.len()) == Some(&b'=') {
        return None;
    }
    switches().find(|row| row.slash.is_some_and(|slash| slash.as_bytes() == head))
}

/// Whether a token begins as switches do and holds no further slash: `/MRI`, `-mri`, but not `/data/x`.
fn looks_like_a_switch(token: &[u8]) -> bool {
    match token {
        [b'/' | b'-', rest @ ..] => !rest.contains(&b'/'),
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(line: &str, long_form: &str) {
        assert_eq!(run(line).unwrap_or_else(|error| error), long_form, "{line}");
    }

    /// The long form, or the error's first line. Only `/data` and `-old` exist.
    fn run(line: &str) -> Result<String, String> {
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let exists = |path: &Path| path == Path::new("/data") || path == Path::new("-old");
        match translate(&args, &exists) {
            Ok(Translated::Copy(args)) => Ok(args.join(OsStr::new(" ")).into_string().unwrap()),
            Ok(asked) => Ok(format!("{asked:?}")),
            Err(error) => Err(error.to_string().lines().next().unwrap().to_owned()),
        }
    }

    #[test]
    fn switches_are_known_in_any_case_and_with_either_sign() {
        check("a b /mir -R:3 /Lev:2", "--mirror --retries=3 --levels=2 -- a b");
        check("a /mt b -MT:16", "--threads --threads=16 -- a b");
    }

    #[test]
    fn a_list_ends_at_the_next_switch() {
        check(
            "a b /XD .git obj /XF *.log /E",
            "--exclude-dir=.git --exclude-dir=obj --exclude-file=*.log --empty-subdirs -- a b",
        );
        check("a b /XD x --mirror", "--exclude-dir=x --mirror -- a b");
        check("a b /XF x /COPYALL /XF y", "--exclude-file=x --copy-all --exclude-file=y -- a b");
        check(
            "a b /XD /src/x /data -- *.txt",
            "--exclude-dir=/src/x --exclude-dir=/data -- a b *.txt",
        );
    }

    #[test]
    fn a_slash_token_is_a_path_only_if_it_exists() {
        check("/data ./new /L", "--list-only -- /data ./new");
        check("/date ./new", "ERROR : Invalid Parameter #1 : \"/date\"");
        check("/data /./new", "-- /data /./new");
        check("/data /a/b", "-- /data /a/b");
        check("/data -mri", "ERROR : Invalid Parameter #2 : \"-mri\"");
        check("-old x", "-- -old x");
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
        for switch in ["/ZB", "/ipg:5", "/UNILOG+:f", "-A-:SH", "--no-index", "/VERIFY", "/JOB:x"] {
            let error = run(&format!("a b {switch}")).unwrap_err();
            assert!(error.contains("not supported yet"), "{error}");
        }
    }

    #[test]
    fn the_value_of_a_long_option_is_not_looked_at() {
        check("a --exclude-dir /MIR b", "--exclude-dir /MIR -- a b");
        check("a --retries=3 b", "--retries=3 -- a b");
        check("a --log /tmp b", "--log /tmp -- a b");
    }

    #[test]
    fn two_dashes_end_the_switches() {
        check("/E -- /MIR -x", "--empty-subdirs -- /MIR -x");
    }

    #[test]
    fn help_is_asked_for_in_four_ways() {
        check("", "RobocopyHelp");
        check("a b /?", "RobocopyHelp");
        check("--help", "Help");
        check("--version", "Version");
    }
}
