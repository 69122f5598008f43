//! The reference page of the switches, `docs/switches.md`, made from the table: a switch cannot be parsed and undocumented.

use std::fmt::Write;
use std::path::Path;

use super::not_yet::NOT_YET;
use super::switch::{Group, Switch, TABLE, Takes};

/// How the page is written anew.
const UPDATE: &str = "UPDATE_DOCS=1 cargo test -p quicopy --lib switch_reference";

const HEAD: &str = "\
# Switches

```text
quicopy SOURCE DESTINATION [FILE]... [SWITCH]...
```

- Switches may stand anywhere after SOURCE, in any case, with `-` as well as `/`: `/MIR`, `-mir`. Each has a long form in the
  manner of GNU. Of two contrary switches the later one holds.
- A value follows a colon (`/R:3`) or, in the long form, a space or an equals sign (`--retries 3`, `--retries=3`). `[:N]` may be
  left away.
- A list ends at the next switch: `/XD .git node_modules /XF *.tmp`. The long form names one item at a time:
  `--exclude-dir .git --exclude-dir node_modules`. Quote `*` and `?`, or the shell replaces them.
- `--` ends the switches. A path that looks like a switch is taken for a path if it exists; a new one is written `/./name`.
- FILE and NAME patterns know `*` and `?` and are blind to ASCII case. FILE holds no path; an item of `/XF` and `/XD` may be a path
  below SOURCE or DESTINATION, without wildcards and as blind to case; links that lead to these folders, and hosts and shares in
  another case, are known. Folders have no wildcards, so `*.txt` is FILE even before them.
- The names of the two sides are compared byte for byte, unless the destination's file system folds them:
  [operations.md](operations.md#shares).
- Paths of Windows (`D:\\data`, `\\\\SRV\\share$`) mean what the configuration says: [operations.md](operations.md#job-files-and-unc-paths).

Every switch of Robocopy has one of four treatments, and none is silently ignored:

| | |
| --- | --- |
| native | it means what it means to Robocopy, or it is ours |
| translate | it means the closest thing; the report says once which |
| note | it is accepted and changes nothing; the report says once why |
| refuse | exit code 16 with the reason, before anything happens |
";

const TOGETHER: &str = "\
## Together

Refused with exit code 16, as by Robocopy: `/IPG` with `/MT` (write `/BWLIMIT:RATE`, which bounds all files together); `/SECFIX`
without `/SEC`, `/COPYALL`, `/COPY:S` or `/COPY:O`; `/B` without the right to read everything; `/COPY:U`. Ours: `/CREATE` with
`/NOCOPY`, and `/MOV` or `/MOVE` with either, which would delete what was not copied; `/CREATE` with `/M`, which would take the mark
from it; `/COPY` with T and without D, and without D beside `/MOV`, `/MOVE`, `/IM`, `/VERIFY` or `/HARDLINKS`.

Robocopy refuses `/LFSM` with `/MT`, `/B` or `/ZB`; here they work together. `/Z` with `/MT` works in both. Under `/B` and `/ZB`
the X of `/COPY` has no effect. Of `/BWLIMIT`, `/IORATE` and `/IPG` the lowest holds, and there is no lowest rate.
";

/// What is not known of Robocopy, and what is done here.
///
/// Source: where Microsoft's texts and published logs leave it open, the choice is the one that cannot lose data.
const DECISIONS: &[(&str, &str)] = &[
    (
        "Extras under `/XX`, and those that `/XF` or `/XD` name: do they count, and set bit 2 of the exit code?",
        "No. What is left out is no extra. What is kept by its name gets a line, `*named file` or `*named dir`; so do mount points, and what a file system has in its root for itself.",
    ),
    (
        "The exit code of a purged mismatch, and of `/TIMFIX` and `/SECFIX`",
        "A mismatch that is exchanged for the source's entry counts as copied. What is only fixed sets no bit.",
    ),
    (
        "A mismatched directory that holds what is protected, under `/PURGE`",
        "It stays with all that it holds, as a mismatch: it gives way as a whole or not at all.",
    ),
    (
        "A mismatch under `/PURGE` with `/XL`, or of a file with `/NOCOPY` or `/CREATE`",
        "It stays. `/PURGE` takes away what has another kind at the source only for what comes instead, and an empty file is no \
         replacement for content.",
    ),
    (
        "Does `/PURGE` without `/S` and `/E` delete directories in the top directory?",
        "No. They are reported and stay: what nobody asked to enter is not deleted.",
    ),
    (
        "Excluded names inside an extra directory",
        "They stay, at every depth, with the directories above them; the rest of the extra goes.",
    ),
    (
        "`/IS` and files that differ in attributes alone",
        "`/IS` copies Same ones only; `/IT` sets the attributes of Tweaked ones.",
    ),
    (
        "`/COPY` without D",
        "No content travels: no file or link is made, but for the empty ones of `/CREATE`, and nothing is replaced or taken away for one. A file that both sides have and whose class would be copied gets the metadata that is named, as `/SECFIX` would set it, and counts as skipped. T without D is refused: with the source's time it would look the same ever after; `/TIMFIX` sets times where files are the same.",
    ),
    (
        "What does `/M` do to files of which `/IT` sets the attributes alone?",
        "They keep their mark for archiving: nobody has compared their content.",
    ),
    (
        "`/MON:n`: n changes, or more than n? What is the other of `/MON` and `/MOT` if one is missing?",
        "n are enough, and both must hold. The missing one is 1.",
    ),
    (
        "The mark after `Source` and `Dest`",
        "A colon; a dash where there is no folder yet, as under `/QUIT`.",
    ),
    (
        "The zone of `/TS`; the count of an excluded directory; places of rare switches in the Options line",
        "UTC; -1; where switches of their kind stand.",
    ),
    (
        "Lines of extra directories under `/MT`, which leaves out those of others",
        "They stay: such a directory goes with all it holds. `/NDL` leaves them out.",
    ),
    (
        "The line ends of logs",
        "A line feed in UTF-8 (`/LOG`), as files here have; CR LF in UTF-16 (`/UNILOG`), a format of Windows.",
    ),
    (
        "The width of sizes over eight digits with `/BYTES`",
        "As wide as they are: the columns behind them move.",
    ),
    (
        "Where `/Z` keeps its place",
        "At the agent, beside the partial file, checked by hashes. Never under the file's own name, so no time is made up for it.",
    ),
    (
        "`/JOB` in a job file; variables such as `%TEMP%`; the exit code of `/QUIT`",
        "One level, no cycles; they are not replaced; 0.",
    ),
    ("Is `/IORATE` for the process or for each thread?", "For the job, over all files together."),
    (
        "Does a second `/MIR /XJ` remove directories that an earlier run made by following links?",
        "No. A name that the source has, left out or not, is no extra.",
    ),
    (
        "`lost+found`, `System Volume Information` and `$RECYCLE.BIN`",
        "In the root of a file system they are its own: left out at the source, and never entered or deleted at the destination.",
    ),
    ("A destination inside the source", "Refused with 16, as is the reverse."),
    ("Does `/MOVE` remove the source's root?", "No."),
    ("`/DCOPY:T` and directories without changes", "Their times are set like those of others."),
    (
        "`/S` and directories of which every file is left out",
        "They are not made: nothing in them would be. `/E` makes them.",
    ),
    (
        "Paths with wildcards in `/XD`, such as `*\\bar`",
        "Refused: what matches nothing would protect nothing.",
    ),
    (
        "A folder on the command line and another in a job file",
        "The command line's holds, wherever it stands. Of other switches the later one holds.",
    ),
    (
        "Several items of a list in one line of a job file",
        "Refused: whether `My files` is one name or two decides what a mirror keeps.",
    ),
];

/// What single switches do that their line has no room for.
const CHOICES: &str = "\
## In detail

- `/IT`: attributes beside read-only, which Samba keeps in `user.DOSATTRIB`, are compared only under `/IT`, which sets them. To
  read them takes a call for each file on both sides. With `/VERIFY` or `/IM` the content of a tweaked file is compared first, and copied
  if it differs.
- `/TIMFIX` sets times only on files that look the same, to the nanosecond or the step that the destination keeps. With the source's
  time any other file would look the same to the next run, and would never be copied.
- `/MAXAGE`, `/MINAGE` and the like: a file of that very moment is neither too old nor too new.
- `/MOV`, `/MOVE`: of a link to a file that was followed the link goes, and what it leads to stays, unless it is moved under its
  own name: then it goes once all its listed names are copied. What a link to a directory leads to is copied and stays, for it may
  lie outside the source; the report says so once.
- `/M` takes the mark for archiving from nothing that a link leads to.
- `/SJ`: under a directory that the source lists as empty, nothing is extra at the destination: it may be a mount point, of which
  nobody knows what it lacks.
- `/CREATE` gives empty files the times, modes and attributes of the source's, and never replaces a file.
- `/HARDLINKS`: the first name that takes part is copied, and the others become links to it. If the first fails, so do they, and
  so they do if it stays another version at the destination (`/XO`, `/XL`, `/CONFLICT:skip` and the like).
- `/SAVE` writes out what a switch implies, as Robocopy does: `/S /E /PURGE /MIR` for `/MIR`.
";

const NOT_YET_HEAD: &str = "\
## Not supported yet

A command line with one of these is refused with exit code 16 before anything happens, so that no script runs without what it
asks for:
";

fn page() -> String {
    let mut page =
        format!("<!-- Made from the table in server/src/cli. Do not edit: {UPDATE} -->\n\n{HEAD}");
    TABLE.iter().for_each(|group| section(&mut page, group));
    write!(
        page,
        "\n{TOGETHER}\n## Where Robocopy is not known\n\n| open | here |\n| --- | --- |\n"
    )
    .expect("a String takes all");
    for (open, here) in DECISIONS {
        writeln!(page, "| {open} | {here} |").expect("a String takes all");
    }
    write!(page, "\n{CHOICES}").expect("a String takes all");
    let names = NOT_YET.iter().map(|name| match name.strip_prefix("--") {
        Some(long) => format!("`--{}`", long.to_ascii_lowercase()),
        None => format!("`{name}`"),
    });
    let names = names.collect::<Vec<_>>().join(" ");
    write!(page, "\n{NOT_YET_HEAD}\n{names}\n").expect("a String takes all");
    page
}

fn section(page: &mut String, group: &Group) {
    let Group { title, rows } = group;
    let heads = "| Robocopy | long form | default | what it does | treatment |\n\
                 | --- | --- | --- | --- | --- |";
    write!(page, "\n## {title}\n\n{heads}\n").expect("a String takes all");
    for row in *rows {
        let slash = row.slash.map(|_| code(&row.spelling())).unwrap_or_default();
        let (long, default) = (code(&long_form(row)), row.default.map(code).unwrap_or_default());
        let help = match row.takes {
            Takes::Optional { name, absent, .. } => {
                format!("{}; without {}: {absent}", cell(row.help), cell(name))
            }
            Takes::Nothing(_) | Takes::Value { .. } | Takes::List { .. } => cell(row.help),
        };
        let treatment = match row.treatment.text() {
            Some(text) => format!("{}: {}", row.treatment.name(), cell(text)),
            None => row.treatment.name().to_owned(),
        };
        writeln!(page, "| {slash} | {long} | {default} | {help} | {treatment} |")
            .expect("a String takes all");
    }
}

fn long_form(row: &Switch) -> String {
    let long = row.long;
    match row.takes {
        Takes::Nothing(_) => format!("--{long}"),
        Takes::Value { name, .. } | Takes::List { name, .. } => format!("--{long} {name}"),
        Takes::Optional { name, .. } => format!("--{long}[={name}]"),
    }
}

fn code(text: &str) -> String {
    format!("`{}`", cell(text))
}

/// A bar ends a cell, within code too.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[test]
#[allow(clippy::unwrap_used)]
fn the_switch_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/switches.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some_and(|wanted| wanted == "1") {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/switches.md is not what the table says: {UPDATE}");
}
