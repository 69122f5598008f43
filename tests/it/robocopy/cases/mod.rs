//! The test cases of the reference, a line each.
//!
//! A table is a text file beside this one. Between the bars of a row:
//!
//! | column | what it holds |
//! | --- | --- |
//! | id | of the case; without one the row is a further run in the same trees |
//! | source, destination | what is built before the run, as [`tree`](quicopy_tests::tree)s; `-` for nothing |
//! | switches | between spaces; `{SRC}`, `{DST}` and `{DIR}` are the two trees and the folder around them |
//! | exit | the exit code |
//! | after | what the destination holds afterwards; `=`: what it held before, `source`: what the source holds |
//! | says | what the output says, and does not say, between semicolons; see [`row::Say`] |
//! | more | what else, between semicolons; see [`row::More`] |
//!
//! Unless a row says otherwise the source is left alone, as is everything around the destination. Without `/R:` a case
//! tries once.
//!
//! A row that `waits` for a switch, or is `wrong` today, is marked so. Once the program knows the switch, or is right, the
//! mark is an error; `UPDATE_CASES=1` lifts all marks whose rows hold.

mod row;
mod run;

use std::{
    fmt::Write,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use row::{Case, More};
use run::{Outcome, Site};

/// Cases that run side by side: they wait for the disk more than for a processor.
const SIDE_BY_SIDE: usize = 8;

macro_rules! tables {
    ($($name:ident)*) => {
        $(#[test] fn $name() {
            check(stringify!($name), include_str!(concat!(stringify!($name), ".txt")));
        })*
    };
}

tables! { classes recursion purge filters moving network output jobs links sets contents }

/// What became of the cases of a table.
#[derive(Debug, Default)]
struct Tally {
    holding: Vec<String>,
    waiting: Vec<String>,
    wrong: Vec<String>,
    skipped: Vec<String>,
    /// Rows whose mark may go.
    unmarked: Vec<usize>,
    faults: Vec<(usize, String)>,
}

/// Runs all cases of a table; reports all that came out otherwise together.
#[expect(clippy::print_stderr, reason = "what waits must not look like what holds")]
fn check(name: &str, table: &'static str) {
    let cases = row::parse(table);
    let runs: Vec<_> = cases
        .iter()
        .flat_map(|case| {
            let there = case.has(&More::Remote).then_some((case, Site::There));
            [Some((case, Site::Here)), there].into_iter().flatten()
        })
        .collect();
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE.min(runs.len()) {
            scope.spawn(|| {
                while let Some((case, site)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = outcome(case, *site);
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    tally.take(case, *site, outcome);
                }
            });
        }
    });
    let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    tally.faults.sort();
    eprintln!(
        "{name}: {} hold, {} wait, {} are wrong, {} were skipped",
        tally.holding.len(),
        tally.waiting.len(),
        tally.wrong.len(),
        tally.skipped.len()
    );
    for (what, ids) in [("wait", &tally.waiting), ("wrong", &tally.wrong)] {
        if !ids.is_empty() {
            eprintln!("  {what}: {}", ids.join(" "));
        }
    }
    if std::env::var_os("UPDATE_CASES").is_some_and(|value| value == "1") {
        lift_marks(name, table, &tally.unmarked);
    }
    let faults = tally.faults.iter().fold(String::new(), |mut all, (_, fault)| {
        let _ = write!(all, "{fault}\n\n");
        all
    });
    assert!(faults.is_empty(), "{} of {} runs\n\n{faults}", tally.faults.len(), runs.len());
}

/// Runs a case; a panic, such as that of a disk that refuses, is a failure like any other.
fn outcome(case: &Case, site: Site) -> Outcome {
    match catch_unwind(AssertUnwindSafe(|| run::run(case, site))) {
        Ok(outcome) => outcome,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            Outcome::Fails(text.unwrap_or_else(|| "a panic without a text".to_owned()))
        }
    }
}

impl Tally {
    fn take(&mut self, case: &Case, site: Site, outcome: Outcome) {
        let id = match site {
            Site::Here => case.id.to_owned(),
            Site::There => format!("{} (remote)", case.id),
        };
        let waits = case.find(|item| match item {
            More::Waits(switch) => Some(*switch),
            _ => None,
        });
        let wrong = case.find(|item| match item {
            More::Wrong(reason) => Some(*reason),
            _ => None,
        });
        let fault = match (outcome, waits, wrong) {
            (Outcome::Skipped, ..) => return self.skipped.push(id),
            (Outcome::NotYet, Some(_), _) => return self.waiting.push(id),
            (Outcome::NotYet, None, _) => "a switch is not supported yet".to_owned(),
            (Outcome::Holds, None, None) => return self.holding.push(id),
            (Outcome::Fails(_), None, Some(_)) => return self.wrong.push(id),
            (Outcome::Fails(fault), None, None) => fault,
            (Outcome::Fails(fault), Some(switch), _) => {
                format!("{switch} is known now: lift the mark, for it does not hold:\n{fault}")
            }
            (Outcome::Holds, ..) => {
                self.unmarked.push(case.line);
                "it holds now: lift the mark".to_owned()
            }
        };
        self.faults.push((case.line, format!("{id}, line {}: {fault}", case.line)));
    }
}

/// Writes the table anew without the marks of the cases that begin at these lines.
fn lift_marks(name: &str, table: &str, lines: &[usize]) {
    let mut lifting = false;
    let mut text = String::new();
    for (number, line) in table.lines().enumerate() {
        if !line.trim_start().is_empty() && !line.starts_with(char::is_whitespace) {
            lifting = lines.contains(&(number + 1));
        }
        let mut line = line.to_owned();
        if lifting && let Some((cells, more)) = line.rsplit_once('|') {
            let is_mark = |item: &&str| {
                let item = item.trim();
                item.starts_with("waits ") || item.starts_with("wrong ")
            };
            if more.split(';').any(|item| is_mark(&item)) {
                let kept: Vec<_> =
                    more.split(';').map(str::trim).filter(|item| !is_mark(item)).collect();
                line = format!("{cells}| {}", kept.join("; ")).trim_end().to_owned();
            }
        }
        text += line.trim_end();
        text.push('\n');
    }
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("it/robocopy/cases").join(format!("{name}.txt"));
    fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
