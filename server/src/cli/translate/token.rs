//! One argument, or one line of a job file: [`Token`]; and whether it is a switch.

use std::ffi::OsStr;
use std::path::Path;

use crate::cli::UsageError;
use crate::cli::switch::{Switch, switches};

/// A text with the place that a message about it names.
#[derive(Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) text: &'a OsStr,
    pub(super) place: Place<'a>,
}

/// Where a token stands.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// On the command line, counted from 1.
    Argument(usize),
    /// In a job file: its line, counted from 1, and the text of it.
    Job { file: &'a Path, number: usize, line: &'a str },
}

impl Token<'_> {
    pub(super) fn invalid(&self, reason: String) -> UsageError {
        match self.place {
            Place::Argument(number) => {
                UsageError::Invalid { number, text: self.text.to_owned(), reason }
            }
            Place::Job { file, number, line } => UsageError::InvalidJob {
                file: file.to_owned(),
                line: number,
                text: line.to_owned(),
                reason,
            },
        }
    }

    pub(super) fn not_yet(&self) -> UsageError {
        match self.place {
            Place::Argument(number) => UsageError::NotYet { number, text: self.text.to_owned() },
            Place::Job { .. } => self.invalid("it is not supported yet".into()),
        }
    }
}

/// A switch's name as the table and the list of what is not built spell it: in capitals, with a slash for a single dash, up to the value.
pub(in crate::cli) fn head_of(token: &[u8]) -> Vec<u8> {
    let end = token.iter().position(|byte| matches!(byte, b':' | b'=')).unwrap_or(token.len());
    let mut head = token[..end].to_ascii_uppercase();
    if !head.starts_with(b"--")
        && let Some(dash @ b'-') = head.first_mut()
    {
        *dash = b'/';
    }
    head
}

/// The row of a token that is a switch in Robocopy's spelling.
pub(super) fn slash_switch(token: &[u8]) -> Option<&'static Switch> {
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
pub(super) fn looks_like_a_switch(token: &[u8]) -> bool {
    match token {
        [b'/' | b'-', rest @ ..] => !rest.contains(&b'/'),
        _ => false,
    }
}
