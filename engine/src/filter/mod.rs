//! Which entries take part in a job, by name, path, size, times and attributes.
//!
//! A [`Filter`] is compiled once from the job's [`Selection`] and answers without looking at a disk, so that both sites
//! use the same one: the source to say what it leaves out, the destination to say what is protected.

mod pattern;

use quicopy_protocol::attributes::DosAttributes;
use quicopy_protocol::limits::TEXT_BYTES_MAX;
use quicopy_protocol::meta::{Meta, Skip, Timestamp};
use quicopy_protocol::options::{AttributeFilter, Rule, Selection, TimeRange};
use quicopy_protocol::path::{Name, RelPath};

use pattern::Pattern;

/// The rules of one job, ready to be asked.
///
/// A file takes part if it matches an include pattern (or there is none), no exclusion, and the bounds of its attributes,
/// size and times. Names and paths are blind to ASCII case.
/// Include patterns say nothing about directories.
///
/// Source: Robocopy's own help text and XP010, "Using file filters"; exclusion protects at the destination too.
#[derive(Clone, Debug)]
pub struct Filter {
    include_files: Vec<Pattern>,
    exclude_files: Rules,
    exclude_dirs: Rules,
    max_bytes: Option<u64>,
    min_bytes: Option<u64>,
    attributes: AttributeFilter,
    modified: TimeRange,
    accessed: TimeRange,
}

/// What of a file of the source, besides its name, decides whether it takes part.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Traits {
    /// Size and time of last write.
    pub meta: Meta,
    /// Last access.
    pub accessed: Timestamp,
    /// DOS attributes; read only for jobs that [ask](Filter::asks_attributes) for them.
    pub attributes: DosAttributes,
}

/// Why a pattern cannot be one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FilterError {
    /// It is empty, so that no name matches it.
    #[error("an empty pattern")]
    Empty,
    /// It holds a slash or a zero byte, so that no name matches it.
    #[error("the pattern {0:?} holds a slash or a zero byte")]
    ForbiddenByte(String),
    /// It is longer than [`TEXT_BYTES_MAX`].
    #[error("a pattern of over {TEXT_BYTES_MAX} bytes")]
    TooLong,
}

impl Filter {
    /// Compiles the rules of `selection`.
    ///
    /// # Errors
    /// A pattern can match no name.
    pub fn new(selection: &Selection) -> Result<Self, FilterError> {
        Ok(Self {
            include_files: selection
                .include_files
                .iter()
                .map(|text| compile(text))
                .collect::<Result<_, _>>()?,
            exclude_files: Rules::new(&selection.exclude_files)?,
            exclude_dirs: Rules::new(&selection.exclude_dirs)?,
            max_bytes: selection.max_bytes,
            min_bytes: selection.min_bytes,
            attributes: selection.attributes,
            modified: selection.modified,
            accessed: selection.accessed,
        })
    }

    /// Why the file `name` in `dir` is left out, if it is.
    pub fn file(&self, dir: &RelPath, name: &Name, traits: &Traits) -> Option<Skip> {
        let Traits { meta, accessed, attributes } = traits;
        self.file_name(dir, name)
            .or_else(|| by_attributes(&self.attributes, *attributes))
            .or_else(|| self.by_size(meta.size_bytes))
            .or_else(|| by_time(&self.modified, meta.modified))
            .or_else(|| by_time(&self.accessed, *accessed))
    }

    fn by_size(&self, size_bytes: u64) -> Option<Skip> {
        if self.max_bytes.is_some_and(|max| size_bytes > max) {
            Some(Skip::Large)
        } else if self.min_bytes.is_some_and(|min| size_bytes < min) {
            Some(Skip::Small)
        } else {
            None
        }
    }

    /// Whether the DOS attributes of a file decide whether it takes part.
    pub fn asks_attributes(&self) -> bool {
        self.attributes != AttributeFilter::default()
    }

    /// Why something that is named like a file, but has no content of its own, is left out, if it is: a link.
    pub fn file_name(&self, dir: &RelPath, name: &Name) -> Option<Skip> {
        let takes_part = self.file_included(name) && !self.file_name_excluded(dir, name);
        (!takes_part).then_some(Skip::Named)
    }

    /// Why the directory `path` is left out, if it is. Asks nothing about the directories above it.
    pub fn directory(&self, path: &RelPath) -> Option<Skip> {
        self.dir_excluded(path).then_some(Skip::Named)
    }

    /// Whether `/XF` names this file: such a file is not copied, and at the destination not deleted, at any depth.
    pub fn file_name_excluded(&self, dir: &RelPath, name: &Name) -> bool {
        self.exclude_files.name_matches(name.as_bytes())
            || self.exclude_files.paths.iter().any(|rule| names_file(rule, dir, name))
    }

    /// Whether `/XD` names this directory itself, or by a path one above it. The root is never excluded.
    pub fn dir_excluded(&self, path: &RelPath) -> bool {
        path.components().last().is_some_and(|name| self.exclude_dirs.name_matches(name))
            || self.exclude_dirs.paths.iter().any(|rule| is_at_or_below(path, rule))
    }

    /// Whether a file pattern includes the name, or there is no file pattern.
    pub fn file_included(&self, name: &Name) -> bool {
        self.include_files.is_empty()
            || self.include_files.iter().any(|pattern| pattern.matches(name.as_bytes()))
    }
}

fn by_attributes(rule: &AttributeFilter, attributes: DosAttributes) -> Option<Skip> {
    if !attributes.contains(rule.all_of) {
        // No switch but those for archiving demands all of a set.
        Some(Skip::Archive)
    } else if attributes.intersects(rule.none_of)
        || !rule.any_of.is_empty() && !attributes.intersects(rule.any_of)
    {
        Some(Skip::Attributes)
    } else {
        None
    }
}

fn by_time(range: &TimeRange, time: Timestamp) -> Option<Skip> {
    if range.from.is_some_and(|from| time < from) {
        Some(Skip::TooOld)
    } else if range.to.is_some_and(|to| time > to) {
        Some(Skip::TooNew)
    } else {
        None
    }
}

/// One exclusion list.
#[derive(Clone, Debug, Default)]
struct Rules {
    names: Vec<Pattern>,
    // Never the root: a rule that names it would leave out everything, which Robocopy's grammar cannot say.
    paths: Vec<RelPath>,
}

impl Rules {
    fn new(rules: &[Rule]) -> Result<Self, FilterError> {
        let mut compiled = Self::default();
        for rule in rules {
            match rule {
                Rule::Name(text) => compiled.names.push(compile(text)?),
                Rule::Path(path) if path.is_root() => {}
                Rule::Path(path) => compiled.paths.push(path.clone()),
            }
        }
        Ok(compiled)
    }

    fn name_matches(&self, name: &[u8]) -> bool {
        self.names.iter().any(|pattern| pattern.matches(name))
    }
}

fn compile(text: &str) -> Result<Pattern, FilterError> {
    if text.is_empty() {
        Err(FilterError::Empty)
    } else if text.len() > TEXT_BYTES_MAX {
        Err(FilterError::TooLong)
    } else if text.contains(['/', '\0']) {
        Err(FilterError::ForbiddenByte(text.to_owned()))
    } else {
        Ok(Pattern::new(text))
    }
}

/// Whether the file `name` in `dir` is `rule` or lies below it; without making its path, which might exceed its limits.
fn names_file(rule: &RelPath, dir: &RelPath, name: &Name) -> bool {
    let is_rule = || {
        let (rule, name) = (rule.as_bytes(), name.as_bytes());
        let at = rule.len().checked_sub(name.len());
        let split =
            at.map(|at| rule.split_at(at)).filter(|(_, last)| last.eq_ignore_ascii_case(name));
        match split {
            Some(([], _)) => dir.is_root(),
            Some(([head @ .., b'/'], _)) => head.eq_ignore_ascii_case(dir.as_bytes()),
            Some(_) | None => false,
        }
    };
    is_at_or_below(dir, rule) || is_rule()
}

/// Whether `path` is `rule` or lies below it. Blind to case as patterns are: what a rule spells otherwise than the disk is left
/// alone, too, rather than purged.
fn is_at_or_below(path: &RelPath, rule: &RelPath) -> bool {
    path.below_ignoring_case(rule).is_some()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text.as_bytes()).unwrap()
    }

    fn path(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes()).unwrap()
    }

    /// Words without a slash are names, `/a/b` is a path below the root.
    fn rules(words: &str) -> Vec<Rule> {
        let rule = |word: &str| match word.strip_prefix('/') {
            Some(below) => Rule::Path(path(below)),
            None => Rule::Name(word.to_owned()),
        };
        words.split_whitespace().map(rule).collect()
    }

    fn filter(include: &str, exclude_files: &str, exclude_dirs: &str) -> Filter {
        Filter::new(&Selection {
            include_files: include.split_whitespace().map(str::to_owned).collect(),
            exclude_files: rules(exclude_files),
            exclude_dirs: rules(exclude_dirs),
            ..Selection::default()
        })
        .unwrap()
    }

    /// Which of the files, given by path, take part.
    fn check_files(filter: &Filter, files: &str, expected: &str) {
        let takes_part = |file: &&str| {
            let (dir, name) = path(file).split_last().unwrap();
            filter.file(&dir, &name, &Traits::default()).is_none()
        };
        let taking_part: Vec<_> = files.split_whitespace().filter(takes_part).collect();
        assert_eq!(taking_part.join(" "), expected);
    }

    fn check_dirs(filter: &Filter, dirs: &str, expected: &str) {
        let entered = dirs.split_whitespace().filter(|dir| filter.directory(&path(dir)).is_none());
        assert_eq!(entered.collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn sizes_are_bounded_strictly() {
        let selection =
            Selection { max_bytes: Some(60), min_bytes: Some(60), ..Selection::default() };
        let filter = Filter::new(&selection).unwrap();
        let skip = |size_bytes| {
            let meta = Meta { size_bytes, ..Meta::default() };
            filter.file(&RelPath::ROOT, &name("a"), &Traits { meta, ..Traits::default() })
        };
        assert_eq!((skip(59), skip(60), skip(61)), (Some(Skip::Small), None, Some(Skip::Large)));
    }

    #[test]
    fn attributes_are_asked_for_and_excluded() {
        let letters = |text: &str| DosAttributes::parse(text).unwrap_or_default();
        let check = |(all_of, any_of, none_of): (&str, &str, &str), has: &str, skip| {
            let attributes = AttributeFilter {
                all_of: letters(all_of),
                any_of: letters(any_of),
                none_of: letters(none_of),
            };
            let selection = Selection { attributes, ..Selection::default() };
            let filter = Filter::new(&selection).unwrap();
            let traits = Traits { attributes: letters(has), ..Traits::default() };
            assert_eq!(filter.file(&RelPath::ROOT, &name("a"), &traits), skip, "{has}");
        };
        check(("A", "", ""), "A", None); // F07
        check(("A", "", ""), "R", Some(Skip::Archive));
        check(("", "", "RH"), "", None); // F09
        check(("", "", "RH"), "H", Some(Skip::Attributes));
        check(("", "RH", ""), "R", None); // F10
        check(("", "RH", ""), "A", Some(Skip::Attributes));
        check(("", "RH", ""), "", Some(Skip::Attributes));
        check(("A", "H", "S"), "AHS", Some(Skip::Attributes));
    }

    #[test]
    fn both_ends_of_a_range_of_times_take_part() {
        let time = |seconds| Timestamp { seconds, nanos: 0 };
        let range = TimeRange { from: Some(time(10)), to: Some(time(20)) };
        for (selection, is_access) in [
            (Selection { modified: range, ..Selection::default() }, false),
            (Selection { accessed: range, ..Selection::default() }, true),
        ] {
            let filter = Filter::new(&selection).unwrap();
            let skip = |seconds| {
                let traits = match is_access {
                    true => Traits { accessed: time(seconds), ..Traits::default() },
                    false => Traits {
                        meta: Meta { modified: time(seconds), ..Meta::default() },
                        ..Traits::default()
                    },
                };
                filter.file(&RelPath::ROOT, &name("a"), &traits)
            };
            assert_eq!((skip(9), skip(10)), (Some(Skip::TooOld), None));
            assert_eq!((skip(20), skip(21)), (None, Some(Skip::TooNew)));
        }
    }

    #[test]
    fn include_patterns_choose_files_and_exclusions_win() {
        check_files(&filter("*.*", "", ""), "README a.txt", "README a.txt");
        check_files(
            &filter("*.txt *.doc", "", ""),
            "a.txt b.doc c.log d/e.TXT",
            "a.txt b.doc d/e.TXT",
        );
        check_files(&filter("*.c*", "*.cpp", ""), "ab.c abc.cpp d.cs", "ab.c d.cs");
        check_files(&filter("", "*", ""), "a b/c", "");
        check_files(&filter("", "a b", ""), "a b c d/a", "c");
    }

    #[test]
    fn an_excluded_path_is_one_entry_and_what_lies_below_it() {
        check_files(&filter("", "/d/a", ""), "a d/a d/ab e/d/a", "a d/ab e/d/a");
        check_files(&filter("", "/d", ""), "d/a d/e/f dd/a", "dd/a");
        check_dirs(&filter("", "", "/s1/obj"), "obj s1 s1/obj s1/obj/x s1/objx", "obj s1 s1/objx");
    }

    #[test]
    fn an_excluded_path_is_blind_to_case() {
        check_files(&filter("", "/D/a", ""), "a D/A d/a d/ab", "a d/ab");
        check_files(&filter("", "/x/D", ""), "X/d X/d/a x/da", "x/da");
        check_dirs(
            &filter("", "", "/S1/obj"),
            "s1 s1/OBJ S1/Obj/x s1/objx s1/ob",
            "s1 s1/objx s1/ob",
        );
    }

    #[test]
    fn an_excluded_directory_name_holds_at_any_depth_and_as_a_whole() {
        check_dirs(&filter("", "", "bar"), "bar barf x/bar x/BAR", "barf");
        check_dirs(&filter("", "", "ab*"), "ab1 ab2 c c/abc", "c");
    }

    #[test]
    fn include_patterns_and_excluded_files_say_nothing_about_directories() {
        check_dirs(&filter("*.txt", "*", ""), "a b/c", "a b/c");
        assert!(!filter("", "", "*").dir_excluded(&RelPath::ROOT));
        assert!(!filter("", "", "/").dir_excluded(&path("a")));
    }

    #[test]
    fn only_exclusion_protects_not_the_lack_of_inclusion() {
        let filter = filter("*.txt", "keep.*", "");
        assert!(filter.file_name_excluded(&path("old/tree"), &name("keep.log")));
        assert!(!filter.file_name_excluded(&RelPath::ROOT, &name("x.log")));
        assert!(!filter.file_included(&name("x.log")));
    }

    #[test]
    fn a_pattern_that_no_name_can_match_is_refused() {
        let error = |text: &str| {
            let include_files = vec![text.to_owned()];
            Filter::new(&Selection { include_files, ..Selection::default() }).unwrap_err()
        };
        assert_eq!(error(""), FilterError::Empty);
        assert_eq!(error("a/b"), FilterError::ForbiddenByte("a/b".to_owned()));
        assert_eq!(error(&"x".repeat(TEXT_BYTES_MAX + 1)), FilterError::TooLong);
    }
}
