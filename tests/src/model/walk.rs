//! One run over two trees.

use std::{collections::BTreeMap, time::Duration};

use super::{
    nodes::{Directory, File, Node},
    pattern::matches,
    switches::Switches,
};
use crate::tree::Content;

/// What a run leaves.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The source: `/MOV` takes from it.
    pub source: Directory,
    /// The destination.
    pub destination: Directory,
    /// The exit code.
    pub code: u8,
}

const COPIED: u8 = 1;
const EXTRAS: u8 = 2;
const MISMATCHED: u8 = 4;
const FAILED: u8 = 8;
const FATAL: u8 = 16;

/// Times no further apart than this are equal under `/FFT`.
const FAT_STEP: Duration = Duration::from_secs(2);
/// What daylight saving shifts times by.
const HOUR: Duration = Duration::from_secs(3600);
/// The attribute that stands in the mode.
const READ_ONLY: u32 = 0x1;
/// More links in a row than this are a circle.
const LINKS: usize = 40;

/// What Robocopy would make of the two trees.
pub fn run(source: &Directory, destination: &Directory, switches: &Switches) -> Outcome {
    let mut outcome =
        Outcome { source: source.clone(), destination: destination.clone(), code: FATAL };
    let purges = switches.purge && !switches.exclude_extra;
    let empties = purges && source.entries.is_empty() && !destination.entries.is_empty();
    if empties && !switches.force {
        return outcome;
    }
    let mut walk = Walk { switches, code: 0 };
    walk.directory(&mut outcome.source, &mut outcome.destination, 1);
    if switches.list_only {
        outcome = Outcome { source: source.clone(), destination: destination.clone(), code: 0 };
    }
    outcome.code = walk.code;
    outcome
}

struct Walk<'a> {
    switches: &'a Switches,
    code: u8,
}

/// What a name of the source takes part as.
enum Part {
    File(File),
    Directory(Directory),
    Link(String),
    /// A link that leads nowhere and should have been followed.
    Broken,
    /// Left out: it does not take part, and what the destination has under its name is left alone.
    LeftOut,
}

/// What becomes of a file.
#[derive(PartialEq)]
enum Action {
    Copy,
    /// Only attributes differ: only they are set.
    Tweak,
    FixTime,
    Skip,
}

impl Walk<'_> {
    /// One directory that both sides have.
    fn directory(&mut self, source: &mut Directory, destination: &mut Directory, level: u32) {
        let siblings = source.entries.clone();
        let mut has_failed = false;
        for (name, node) in &siblings {
            match self.part(name, node, &siblings, level) {
                Part::LeftOut => {}
                Part::Broken => {
                    // It cannot be read, whatever would be done with it.
                    self.code |= FAILED;
                    has_failed = true;
                }
                Part::File(file) => {
                    if self.file(name, &file, destination) && self.switches.move_files {
                        source.entries.remove(name);
                        source.modified = None;
                    }
                }
                Part::Link(target) => {
                    if self.link(name, &target, destination) && self.switches.move_files {
                        source.entries.remove(name);
                        source.modified = None;
                    }
                }
                Part::Directory(mut below) => {
                    self.subdirectory(name, &mut below, destination, level);
                    // What a link leads to is not the link's to give away.
                    if let Node::Directory(_) = node {
                        let is_there =
                            matches!(destination.entries.get(name), Some(Node::Directory(_)));
                        let is_empty = is_there && below.entries.is_empty();
                        source.entries.insert(name.clone(), Node::Directory(below));
                        if self.switches.move_directories && is_empty {
                            source.entries.remove(name);
                            source.modified = None;
                        }
                    }
                }
            }
        }
        self.extras(&siblings, destination, level, has_failed);
    }

    fn part(&self, name: &str, node: &Node, siblings: &BTreeMap<String, Node>, level: u32) -> Part {
        let switches = self.switches;
        let is_link = matches!(node, Node::Link(_));
        let target = target(node, siblings);
        if let Some(Node::Directory(directory)) = target {
            return match () {
                () if is_link && switches.exclude_directory_links => Part::LeftOut,
                () if excludes(&switches.exclude_directories, name) => Part::LeftOut,
                () if !self.enters_below(level) => Part::LeftOut,
                () if is_link && switches.links => link_part(node),
                () => Part::Directory(directory.clone()),
            };
        }
        if is_link && switches.exclude_file_links {
            return Part::LeftOut;
        }
        if !self.takes(name) {
            return Part::LeftOut;
        }
        if is_link && switches.links {
            // It may have led to a directory, or may do so one day.
            let is_excluded = excludes(&switches.exclude_directories, name);
            return if is_excluded { Part::LeftOut } else { link_part(node) };
        }
        match target {
            Some(Node::File(file)) if self.passes_filters(file) => Part::File(file.clone()),
            Some(Node::File(_)) => Part::LeftOut,
            _ => Part::Broken,
        }
    }

    /// Whether the names of files let this one take part.
    fn takes(&self, name: &str) -> bool {
        let include = &self.switches.include;
        (include.is_empty() || excludes(include, name))
            && !excludes(&self.switches.exclude_files, name)
    }

    fn passes_filters(&self, file: &File) -> bool {
        let switches = self.switches;
        let size_bytes = file.content.size_bytes;
        let attributes = attributes(file);
        switches.max_bytes.is_none_or(|max| size_bytes <= max)
            && switches.min_bytes.is_none_or(|min| size_bytes >= min)
            && switches.newer_than.is_none_or(|bound| file.modified >= bound)
            && switches.older_than.is_none_or(|bound| file.modified <= bound)
            && attributes & switches.without_attributes == 0
            && (switches.with_attributes == 0 || attributes & switches.with_attributes != 0)
    }

    fn enters_below(&self, level: u32) -> bool {
        self.switches.recurse && self.switches.levels.is_none_or(|levels| level < levels)
    }

    /// Returns whether the file was copied.
    fn file(&mut self, name: &str, file: &File, destination: &mut Directory) -> bool {
        let action = match destination.entries.get(name) {
            None if self.switches.exclude_lonely => Action::Skip,
            None => Action::Copy,
            // It stands for a file that is there already.
            Some(Node::File(_)) if self.switches.create => Action::Skip,
            Some(Node::File(there)) => self.action(file, there),
            Some(Node::Directory(_) | Node::Link(_)) => {
                if !self.makes_way(name, destination, false) {
                    return false;
                }
                Action::Copy
            }
        };
        let there = destination.entries.get(name).cloned();
        let switches = self.switches;
        match (action, there) {
            (Action::Skip, _) => return false,
            _ if switches.no_copy => return false,
            (Action::FixTime, Some(Node::File(there))) => {
                let fixed = File { modified: file.modified, ..there };
                destination.entries.insert(name.to_owned(), Node::File(fixed));
                return false;
            }
            (Action::Tweak, Some(Node::File(there))) => {
                let tweaked = self.stamped(File { content: there.content, ..file.clone() });
                destination.entries.insert(name.to_owned(), Node::File(tweaked));
                self.code |= COPIED;
                // Nobody has compared its content: it is not moved.
                return false;
            }
            _ => {
                let mut copy = self.stamped(file.clone());
                if switches.create {
                    copy.content = Content { size_bytes: 0, ..copy.content };
                }
                destination.entries.insert(name.to_owned(), Node::File(copy));
            }
        }
        self.code |= COPIED;
        true
    }

    /// A copy with the mode and attributes that it gets.
    fn stamped(&self, mut copy: File) -> File {
        let switches = self.switches;
        if switches.no_attributes {
            (copy.mode, copy.attributes) = (None, None);
        }
        if switches.add_attributes & READ_ONLY != 0 {
            copy.mode = copy.mode.map(|mode| mode & !0o222);
        }
        if switches.remove_attributes & READ_ONLY != 0 {
            copy.mode = copy.mode.map(|mode| mode | 0o200);
        }
        let kept = copy.attributes.map(|attributes| {
            (attributes | switches.add_attributes) & !switches.remove_attributes & !READ_ONLY
        });
        copy.attributes = kept;
        copy
    }

    fn action(&self, source: &File, destination: &File) -> Action {
        let switches = self.switches;
        let copy_unless = |excluded| if excluded { Action::Skip } else { Action::Copy };
        // Another file with the source's time would look the same to the next run.
        let left = if switches.fix_times { Action::FixTime } else { Action::Skip };
        if !self.same_time(source.modified, destination.modified) {
            let is_newer = source.modified > destination.modified;
            return copy_unless(if is_newer {
                switches.exclude_newer
            } else {
                switches.exclude_older
            });
        }
        if source.content.size_bytes != destination.content.size_bytes {
            return copy_unless(switches.exclude_changed);
        }
        // What is not copied makes no difference.
        let other_attributes = source.attributes != destination.attributes;
        let is_tweaked = !switches.no_attributes
            && (source.mode != destination.mode || switches.include_tweaked && other_attributes);
        let is_modified = source.content != destination.content && source.content.size_bytes > 0;
        if is_tweaked {
            return match switches.include_tweaked {
                // With its attributes set it would look the same ever after.
                true if switches.include_modified && is_modified => Action::Copy,
                true => Action::Tweak,
                false => left,
            };
        }
        if switches.include_same || switches.include_modified && is_modified {
            return Action::Copy;
        }
        left
    }

    fn same_time(&self, one: Duration, other: Duration) -> bool {
        let tolerance = if self.switches.fat_times { FAT_STEP } else { Duration::ZERO };
        let apart = one.abs_diff(other);
        apart <= tolerance || self.switches.dst_times && apart.abs_diff(HOUR) <= tolerance
    }

    /// Returns whether the link was made.
    fn link(&mut self, name: &str, target: &str, destination: &mut Directory) -> bool {
        let switches = self.switches;
        let is_skipped = match destination.entries.get(name) {
            None => switches.exclude_lonely,
            Some(Node::Link(_)) if switches.create => true,
            Some(Node::Link(there)) if there == target => !switches.include_same,
            Some(Node::Link(_)) => switches.exclude_changed,
            Some(Node::File(_) | Node::Directory(_)) => !self.makes_way(name, destination, false),
        };
        if is_skipped || switches.no_copy {
            return false;
        }
        destination.entries.insert(name.to_owned(), Node::Link(target.to_owned()));
        self.code |= COPIED;
        true
    }

    fn subdirectory(
        &mut self,
        name: &str,
        source: &mut Directory,
        destination: &mut Directory,
        level: u32,
    ) {
        let was_there = destination.entries.contains_key(name);
        let (is_new, mut below) = match destination.entries.get(name) {
            None => (true, Directory::default()),
            Some(Node::Directory(below)) => (false, below.clone()),
            Some(_) => {
                if !self.makes_way(name, destination, true) {
                    return;
                }
                (true, Directory::default())
            }
        };
        if is_new && self.switches.exclude_lonely {
            return;
        }
        let (modified, mode) = (source.modified, source.mode);
        self.directory(source, &mut below, level + 1);
        // What took the place of something else is there, even if it is empty.
        if !was_there && !self.switches.empty && below.entries.is_empty() {
            return;
        }
        below.modified = if self.switches.restamp_directories { modified } else { None };
        let keeps_mode = self.switches.no_directory_attributes;
        below.mode = if keeps_mode { below.mode.filter(|_| !is_new) } else { mode };
        destination.entries.insert(name.to_owned(), Node::Directory(below));
    }

    /// Whether what stands in the place of something else is removed; if not, that is a mismatch.
    fn makes_way(&mut self, name: &str, destination: &mut Directory, is_directory: bool) -> bool {
        // `/XX` keeps what is not the source's, and what nothing, or an empty file, would replace stays.
        let switches = self.switches;
        let makes_files = !switches.no_copy && !switches.create;
        let is_replaced = !switches.exclude_lonely && (is_directory || makes_files);
        // File patterns bound what is deleted.
        let is_bounded = match destination.entries.get(name) {
            Some(Node::File(_) | Node::Link(_)) => !self.takes(name),
            Some(Node::Directory(_)) | None => false,
        };
        // A directory goes as a whole or stays as a whole.
        let goes = |node: &Node| self.purged(name, node.clone()).is_none();
        if switches.purge
            && !switches.exclude_extra
            && is_replaced
            && !is_bounded
            && destination.entries.get(name).is_none_or(goes)
        {
            destination.entries.remove(name);
            return true;
        }
        self.code |= MISMATCHED;
        false
    }

    /// What only the destination has.
    fn extras(
        &mut self,
        siblings: &BTreeMap<String, Node>,
        destination: &mut Directory,
        level: u32,
        has_failed: bool,
    ) {
        let switches = self.switches;
        let extra: Vec<_> = destination
            .entries
            .keys()
            .filter(|name| !siblings.contains_key(*name))
            .cloned()
            .collect();
        for name in extra {
            let node = &destination.entries[&name];
            let is_directory = matches!(node, Node::Directory(_));
            let is_beyond = switches.levels.is_some_and(|levels| level >= levels);
            let is_left_out = match is_directory {
                true => excludes(&switches.exclude_directories, &name) || is_beyond,
                false => !self.takes(&name) || self.is_protected(&name, node),
            };
            if is_left_out || switches.exclude_extra {
                continue;
            }
            self.code |= EXTRAS;
            let is_purged = switches.purge && !has_failed && (switches.recurse || !is_directory);
            if is_purged
                && let Some(node) = destination.entries.remove(&name)
                && let Some(left) = self.purged(&name, node)
            {
                destination.entries.insert(name, left);
            }
        }
    }

    /// Whether an excluded name protects this entry. A link may lead to a directory, so either list protects it.
    fn is_protected(&self, name: &str, node: &Node) -> bool {
        let switches = self.switches;
        let (files, directories) = (&switches.exclude_files, &switches.exclude_directories);
        match node {
            Node::File(_) => excludes(files, name),
            Node::Directory(_) => excludes(directories, name),
            Node::Link(_) => excludes(files, name) || excludes(directories, name),
        }
    }

    /// What is left of an extra entry when all has gone that may go.
    fn purged(&self, name: &str, node: Node) -> Option<Node> {
        match node {
            node if self.is_protected(name, &node) => Some(node),
            Node::File(_) | Node::Link(_) => None,
            Node::Directory(mut directory) => {
                let entries = std::mem::take(&mut directory.entries);
                directory.modified = None;
                directory.entries = entries
                    .into_iter()
                    .filter_map(|(name, node)| Some((name.clone(), self.purged(&name, node)?)))
                    .collect();
                (!directory.entries.is_empty()).then_some(Node::Directory(directory))
            }
        }
    }
}

fn link_part(link: &Node) -> Part {
    match link {
        Node::Link(target) => Part::Link(target.clone()),
        Node::File(_) | Node::Directory(_) => Part::LeftOut,
    }
}

fn excludes(patterns: &[&str], name: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, name))
}

/// What a link leads to in the end, among the entries beside it; what is no link leads to itself.
fn target<'a>(mut node: &'a Node, siblings: &'a BTreeMap<String, Node>) -> Option<&'a Node> {
    for _ in 0..LINKS {
        match node {
            Node::Link(target) => node = siblings.get(target)?,
            Node::File(_) | Node::Directory(_) => return Some(node),
        }
    }
    None
}

/// The attributes of a file, those in its mode included.
fn attributes(file: &File) -> u32 {
    let is_read_only = file.mode.is_some_and(|mode| mode & 0o222 == 0);
    file.attributes.unwrap_or(0) | if is_read_only { READ_ONLY } else { 0 }
}
