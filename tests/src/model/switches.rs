//! The switches that the model knows, a line each.

use std::time::Duration;

/// What a command line asks for.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the names are Robocopy's")]
#[expect(clippy::struct_excessive_bools, reason = "switches are what they are")]
pub struct Switches {
    pub recurse: bool,
    pub empty: bool,
    pub levels: Option<u32>,
    pub purge: bool,
    pub force: bool,
    pub list_only: bool,
    pub move_files: bool,
    pub move_directories: bool,
    pub create: bool,
    pub no_copy: bool,
    pub restamp_directories: bool,
    pub no_directory_attributes: bool,
    pub no_attributes: bool,
    pub links: bool,
    pub exclude_directory_links: bool,
    pub exclude_file_links: bool,
    pub include: Vec<&'static str>,
    pub exclude_files: Vec<&'static str>,
    pub exclude_directories: Vec<&'static str>,
    pub exclude_changed: bool,
    pub exclude_newer: bool,
    pub exclude_older: bool,
    pub exclude_extra: bool,
    pub exclude_lonely: bool,
    pub include_same: bool,
    pub include_tweaked: bool,
    pub include_modified: bool,
    pub max_bytes: Option<u64>,
    pub min_bytes: Option<u64>,
    pub newer_than: Option<Duration>,
    pub older_than: Option<Duration>,
    pub without_attributes: u32,
    pub with_attributes: u32,
    pub add_attributes: u32,
    pub remove_attributes: u32,
    pub fat_times: bool,
    pub dst_times: bool,
    pub fix_times: bool,
}

/// Times that files of random trees have, in seconds since 1970: they are alike under `/FFT`, under `/DST`, under both, or
/// not at all, and lie on both sides of the midnight before.
pub struct Time;

impl Time {
    /// The midnight before all but the last.
    pub const MIDNIGHT: u64 = 999_993_600;
    /// In an order in which the first are the likeliest to be alike.
    pub const ALL: [&str; 7] = [
        "1000000000",
        "1000000001",
        "1000000002.5",
        "1000003600",
        "1000003601",
        "1000000000.000000001",
        "999990000",
    ];
}

/// One switch as typed, and what it asks for.
#[derive(Debug)]
pub struct Word {
    /// As it stands on the command line.
    pub typed: &'static str,
    /// Sets what it asks for.
    pub set: fn(&mut Switches),
}

const fn word(typed: &'static str, set: fn(&mut Switches)) -> Word {
    Word { typed, set }
}

const READ_ONLY: u32 = 0x1;
const HIDDEN: u32 = 0x2;

/// Every switch that random command lines are made of.
pub const WORDS: &[Word] = &[
    word("/S", |s| s.recurse = true),
    word("/E", |s| (s.recurse, s.empty) = (true, true)),
    word("/MIR", |s| (s.recurse, s.empty, s.purge) = (true, true, true)),
    word("/PURGE", |s| s.purge = true),
    word("/FORCE", |s| s.force = true),
    word("/LEV:1", |s| s.levels = Some(1)),
    word("/LEV:2", |s| s.levels = Some(2)),
    word("/L", |s| s.list_only = true),
    word("/MOV", |s| s.move_files = true),
    word("/MOVE", |s| (s.move_files, s.move_directories) = (true, true)),
    word("/CREATE", |s| s.create = true),
    word("/NOCOPY", |s| s.no_copy = true),
    word("/DCOPY:DAT", |s| (s.restamp_directories, s.no_directory_attributes) = (true, false)),
    word("/NODCOPY", |s| (s.restamp_directories, s.no_directory_attributes) = (false, true)),
    word("/COPY:DT", |s| s.no_attributes = true),
    word("/SL", |s| s.links = true),
    word("/XJ", |s| (s.exclude_directory_links, s.exclude_file_links) = (true, true)),
    word("/XJD", |s| s.exclude_directory_links = true),
    word("/XJF", |s| s.exclude_file_links = true),
    word("/IF *.txt", |s| s.include.push("*.txt")),
    word("/IF ?", |s| s.include.push("?")),
    word("/XF b", |s| s.exclude_files.push("b")),
    word("/XF *.TXT", |s| s.exclude_files.push("*.txt")),
    word("/XD d", |s| s.exclude_directories.push("d")),
    word("/XD ?irectory", |s| s.exclude_directories.push("?irectory")),
    word("/XC", |s| s.exclude_changed = true),
    word("/XN", |s| s.exclude_newer = true),
    word("/XO", |s| s.exclude_older = true),
    word("/XX", |s| s.exclude_extra = true),
    word("/XL", |s| s.exclude_lonely = true),
    word("/IS", |s| s.include_same = true),
    word("/IT", |s| s.include_tweaked = true),
    word("/IM", |s| s.include_modified = true),
    word("/MAX:5", |s| s.max_bytes = Some(5)),
    word("/MIN:5", |s| s.min_bytes = Some(5)),
    word("/MAXAGE:20010909", |s| s.newer_than = Some(midnight())),
    word("/MINAGE:20010909", |s| s.older_than = Some(midnight())),
    word("/XA:R", |s| s.without_attributes = READ_ONLY),
    word("/XA:H", |s| s.without_attributes = HIDDEN),
    word("/IA:RH", |s| s.with_attributes = READ_ONLY | HIDDEN),
    word("/A+:R", |s| s.add_attributes = READ_ONLY),
    word("/A-:RH", |s| s.remove_attributes = READ_ONLY | HIDDEN),
    word("/TIMFIX", |s| s.fix_times = true),
    word("/FFT", |s| s.fat_times = true),
    word("/DST", |s| s.dst_times = true),
    word("/MT:4", |_| {}),
    word("/Z", |_| {}),
    word("/V /NP", |_| {}),
];

fn midnight() -> Duration {
    Duration::from_secs(Time::MIDNIGHT)
}

impl Switches {
    /// What these words ask for together.
    pub fn of<'a>(words: impl IntoIterator<Item = &'a Word>) -> Self {
        let mut switches = Self::default();
        for word in words {
            (word.set)(&mut switches);
        }
        switches
    }

    /// Whether Robocopy's grammar has no room for them together.
    pub fn contradict(&self) -> bool {
        self.no_copy && (self.create || self.move_files) || self.create && self.move_files
    }
}
