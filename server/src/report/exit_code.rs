//! Robocopy's exit code: a bit mask made from the summary.

use std::fmt;

use super::summary::Summary;

/// What the program exits with: 0 to 15, or 16.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ExitCode(u8);

/// How a job ended, apart from its counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// It did what it found to do.
    Complete,
    /// It reached its end, but a guard held back deletions or overwrites.
    HeldBack,
    /// It could not begin, or broke off.
    Fatal,
}

impl ExitCode {
    /// Usage error, nothing reached, or broken off. Never joined with the other bits.
    pub const FATAL: Self = Self(16);

    const COPIED: u8 = 1;
    const EXTRAS: u8 = 2;
    const MISMATCHED: u8 = 4;
    const FAILED: u8 = 8;

    /// The code of a job that ended so.
    ///
    /// Only files set the first bit; making directories does not. Extras count whether or not they were deleted.
    ///
    /// Source: Robocopy's documented return values, and Microsoft's notes on directories.
    pub fn of(summary: &Summary, ending: Ending) -> Self {
        let Summary { dirs, files, .. } = summary;
        let held_back = match ending {
            Ending::Complete => false,
            Ending::HeldBack => true,
            Ending::Fatal => return Self::FATAL,
        };
        let failed = dirs.failed + files.failed + summary.other_failures > 0;
        let mut code = 0;
        for (holds, bit) in [
            (files.copied > 0, Self::COPIED),
            (dirs.extras + files.extras > 0, Self::EXTRAS),
            (dirs.mismatched + files.mismatched > 0, Self::MISMATCHED),
            (failed || held_back, Self::FAILED),
        ] {
            if holds {
                code |= bit;
            }
        }
        Self(code)
    }

    /// What several runs come to: the bits of all of them. One that broke off says nothing of the others, and is left out.
    pub fn of_runs(codes: impl IntoIterator<Item = Self>) -> Self {
        let whole = codes.into_iter().filter(|code| *code != Self::FATAL);
        Self(whole.fold(0, |bits, code| bits | code.0))
    }

    /// The number for the operating system.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// What the number means, in words.
    pub fn meaning(self) -> String {
        match self.0 {
            0 => return "nothing to copy, both sides agree".to_owned(),
            16 => return "the job could not begin, or broke off".to_owned(),
            _ => {}
        }
        let parts = [
            (Self::COPIED, "files copied"),
            (Self::EXTRAS, "extra files or directories at the destination"),
            (Self::MISMATCHED, "files and directories of the same name"),
            (Self::FAILED, "SOME FAILED"),
        ];
        let parts = parts.iter().filter(|(bit, _)| self.0 & bit != 0).map(|(_, words)| *words);
        parts.collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for ExitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Column;

    fn summary(code: u8) -> Summary {
        let mut summary = Summary::default();
        for (bit, column) in
            [(1, Column::Copied), (2, Column::Extras), (4, Column::Mismatched), (8, Column::Failed)]
        {
            if code & bit != 0 {
                summary.add_file(column, 10);
            }
        }
        summary
    }

    #[test]
    fn every_combination_has_its_number_and_its_words() {
        let mut seen = std::collections::HashSet::new();
        for number in 0..16 {
            let code = ExitCode::of(&summary(number), Ending::Complete);
            assert_eq!(code.number(), number);
            assert!(seen.insert(code.meaning()), "{number}");
        }
    }

    #[test]
    fn a_job_that_broke_off_is_16_whatever_it_did() {
        for number in 0..16 {
            assert_eq!(ExitCode::of(&summary(number), Ending::Fatal).number(), 16);
        }
    }

    #[test]
    fn several_runs_have_all_their_bits_but_those_of_one_that_broke_off() {
        for (codes, whole) in [(vec![1, 2, 8], 11), (vec![0, 16, 2], 2), (vec![16], 0), (vec![], 0)]
        {
            assert_eq!(ExitCode::of_runs(codes.into_iter().map(ExitCode)).number(), whole);
        }
    }

    #[test]
    fn a_guard_that_held_something_back_is_a_failure() {
        assert_eq!(ExitCode::of(&summary(2), Ending::HeldBack).number(), 10);
    }

    #[test]
    fn directories_set_every_bit_but_the_first() {
        let mut summary = Summary::default();
        summary.dirs.copied = 3;
        summary.dirs.skipped = 1;
        assert_eq!(ExitCode::of(&summary, Ending::Complete).number(), 0);
        summary.dirs.extras = 1;
        summary.dirs.mismatched = 1;
        summary.dirs.failed = 1;
        assert_eq!(ExitCode::of(&summary, Ending::Complete).number(), 14);
    }

    #[test]
    fn a_deletion_that_failed_is_a_failure() {
        let summary = Summary { other_failures: 1, ..Summary::default() };
        assert_eq!(ExitCode::of(&summary, Ending::Complete).number(), 8);
    }
}
