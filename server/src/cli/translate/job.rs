//! Job files in the place of `/JOB`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::token::{Place, Token, slash_switch};
use super::{Expect, Line};
use crate::cli::UsageError;
use crate::cli::switch::{Switch, Takes};
use crate::job_file::{self, Item};

/// Job files within job files: one level. Source: ours; what Robocopy does is not known.
const JOBS_DEEP_MAX: usize = 2;

impl Line<'_> {
    /// Reads a job file in the place of its switch.
    pub(super) fn job(
        &mut self,
        row: &Switch,
        name: &OsStr,
        token: Token<'_>,
    ) -> Result<(), UsageError> {
        let names = job_file::candidates(Path::new(name), self.surroundings.cwd);
        let found = names.iter().find(|name| (self.surroundings.exists)(name)).or(names.first());
        let file = found.cloned().unwrap_or_default();
        if self.open_jobs.contains(&file) {
            return Err(token.invalid("a job file cannot hold itself".into()));
        }
        if self.open_jobs.len() >= JOBS_DEEP_MAX {
            return Err(
                token.invalid("a job file that another one names may not name a third".into())
            );
        }
        let bytes = (self.surroundings.read)(&file)
            .map_err(|source| UsageError::OpeningJob { file: file.clone(), source })?;
        self.push(row, Some(file.as_os_str()));
        self.has_read_jobs = true;
        self.open_jobs.push(file.clone());
        self.expect = Expect::Anything;
        for (number, line, item) in job_file::items(&job_file::decode(&bytes, self.code_page)) {
            let place = Place::Job { file: &file, number, line };
            let whole = Token { text: OsStr::new(line), place };
            match item.map_err(|error| whole.invalid(error.to_string()))? {
                Item::Quoted(item) => match self.expect {
                    Expect::Item(row) => self.given(row, Some(OsStr::new(&item)), whole)?,
                    Expect::Anything | Expect::Value(_) | Expect::Path => {
                        return Err(whole.invalid("no list is open".into()));
                    }
                },
                Item::Switch(item) => {
                    self.take(Token { text: OsStr::new(&item), place })?;
                }
                Item::Bare(item) => self.bare(&item, place)?,
            }
        }
        self.expect = Expect::Anything;
        self.open_jobs.pop();
        Ok(())
    }

    /// Takes a line of a job file without its comment.
    fn bare(&mut self, item: &str, place: Place<'_>) -> Result<(), UsageError> {
        let words: Vec<_> = item.split_whitespace().map(OsStr::new).collect();
        let row = |word: &OsStr| slash_switch(word.as_bytes());
        let takes_items = words
            .first()
            .and_then(|word| row(word))
            .is_some_and(|row| matches!(row.takes, Takes::List { .. }));
        // Several switches in a line, or a list with its first item, as people write them.
        if words.iter().all(|word| row(word).is_some()) || takes_items && words.len() == 2 {
            return words
                .into_iter()
                .try_for_each(|text| self.take(Token { text, place }).map(drop));
        }
        let whole = Token { text: OsStr::new(item), place };
        if takes_items {
            return Err(whole.invalid("each item of a list stands in a line of its own".into()));
        }
        self.take(whole)?;
        match self.expect {
            Expect::Value(_) => Err(whole.invalid("its value is missing".into())),
            Expect::Anything | Expect::Item(_) | Expect::Path => Ok(()),
        }
    }
}
