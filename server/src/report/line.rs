//! Directory and file lines, to the column as Robocopy writes them.

use quicopy_protocol::meta::{Skip, Timestamp};
use quicopy_protocol::verdict::{Action, ExtraEntry, FileClass};

use super::event::{DirectoryClass, FileVerdict};
use super::options::ReportOptions;
use super::size;

/// The label of an entry, 12 columns wide on its line.
///
/// Leading capitals mean copied, lower case at the right skipped, and a star that somebody should look at it.
pub(super) type Label = String;

/// Label of what is at both sides, or at the source only; `None` for what has no line without `/V`.
pub(super) fn verdict_label(file: &FileVerdict, verbose: bool) -> Option<Label> {
    match file.action {
        Action::Copy | Action::Restamp | Action::Fail => {
            Some(format!("  {}", copied_label(file.class)))
        }
        Action::Mismatch => Some("*MISMATCH".to_owned()),
        Action::Fix => Some(format!("{:>12}", format!("fix {}", fixed_label(file.class)))),
        // Its outcome brings a verdict of its own.
        Action::Check => None,
        Action::SkipConflict => Some(format!("{:>12}", "conflict")),
        Action::Skip => verbose.then(|| format!("{:>12}", skipped_label(file.class))),
    }
}

fn copied_label(class: FileClass) -> &'static str {
    match class {
        FileClass::Lonely => "New File",
        FileClass::Newer => "Newer",
        FileClass::Older => "Older",
        FileClass::Changed => "Changed",
        FileClass::Tweaked => "Tweaked",
        FileClass::Modified => "Modified",
        FileClass::Same => "Same",
        // A mismatch that `/PURGE` resolves is copied as if the destination had nothing.
        FileClass::Mismatched => "New File",
    }
}

/// Robocopy's attributes are no part of what it fixes: what differs in mode alone is the same to it.
fn fixed_label(class: FileClass) -> &'static str {
    match class {
        FileClass::Tweaked => skipped_label(FileClass::Same),
        FileClass::Lonely
        | FileClass::Newer
        | FileClass::Older
        | FileClass::Changed
        | FileClass::Modified
        | FileClass::Same
        | FileClass::Mismatched => skipped_label(class),
    }
}

fn skipped_label(class: FileClass) -> &'static str {
    match class {
        FileClass::Lonely => "lonely",
        FileClass::Newer => "newer",
        FileClass::Older => "older",
        FileClass::Changed => "changed",
        FileClass::Tweaked => "tweaked",
        FileClass::Modified => "modified",
        FileClass::Same => "same",
        FileClass::Mismatched => "mismatch",
    }
}

/// Whether a file's content is going to travel. That of a modified one has: it is known for that once it is in place.
pub(super) fn is_to_travel(file: &FileVerdict) -> bool {
    file.action == Action::Copy && file.class != FileClass::Modified
}

/// Label of a file that a filter leaves out; `None` for what has no line.
///
/// What can never be copied is named without `/V`, too.
pub(super) fn filtered_label(reason: Skip, verbose: bool) -> Option<Label> {
    let (label, always) = match reason {
        Skip::Named => ("named", false),
        Skip::Large => ("large", false),
        Skip::Small => ("small", false),
        Skip::Attributes => ("attrib", false),
        Skip::Archive => ("archive", false),
        Skip::TooOld => ("too old", false),
        Skip::TooNew => ("too new", false),
        Skip::Link => ("junction", false),
        Skip::Loop => ("loop", true),
        Skip::Special => ("special", true),
        Skip::Reserved => ("reserved", true),
        // Robocopy does not look below the last level; an error line tells of what cannot be read.
        Skip::TooDeep | Skip::Unreadable => return None,
    };
    (verbose || always).then(|| format!("{label:>12}"))
}

/// Label of what only the destination has. What counts as extra, and only that, is called so: parsers of logs count the lines.
pub(super) fn extra_label(extra: &ExtraEntry) -> &'static str {
    match (extra.is_left_out(), extra.is_dir) {
        (true, true) => "*named dir",
        (true, false) => " *named file",
        (false, true) => "*EXTRA Dir",
        (false, false) => "*EXTRA File",
    }
}

/// Label of a directory that the job enters.
pub(super) fn directory_label(class: DirectoryClass) -> &'static str {
    match class {
        DirectoryClass::New => "  New Dir",
        DirectoryClass::Existing => "",
        DirectoryClass::Mismatched => "*MISMATCH",
    }
}

/// A directory's line; `count` is -1 for what is not entered.
pub(super) fn directory(label: &str, count: i128, path: &str) -> String {
    format!("\t{label:<12}{count:>8}\t{path}\n")
}

/// What a file's line shows, as far as the options let it.
pub(super) struct FileLine<'a> {
    pub(super) label: &'a str,
    pub(super) size_bytes: u64,
    /// Last write time.
    pub(super) modified: Timestamp,
    pub(super) name: &'a str,
    /// What `/ETA` puts behind the name, with the tabs before it.
    pub(super) arrival: &'a str,
}

/// A file's line. What is left out leaves its tabs behind.
pub(super) fn file(options: &ReportOptions, line: FileLine<'_>) -> String {
    let FileLine { label, size_bytes, modified, name, arrival } = line;
    let label = if options.no_classes { String::new() } else { format!("{label:<12}") };
    let size = match (options.no_sizes, options.bytes) {
        (true, _) => String::new(),
        (false, true) => format!("{size_bytes:>8}"),
        (false, false) => format!("{:>8}", size::on_line(size_bytes)),
    };
    let time = if options.timestamps { format!(" {}", utc(modified)) } else { String::new() };
    format!("\t  {label}\t\t{size}{time}\t{name}{arrival}\n")
}

fn utc(time: Timestamp) -> String {
    let nanos = i32::try_from(time.nanos).unwrap_or_default();
    match jiff::Timestamp::new(time.seconds, nanos) {
        Ok(time) => time.strftime("%Y/%m/%d %H:%M:%S").to_string(),
        // Beyond the year 9999, or before the year -9999: a damaged inode.
        Err(_) => "????/??/?? ??:??:??".to_owned(),
    }
}
