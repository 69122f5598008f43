//! The reference page of the switches, `docs/switches.md`, made from the table: a switch cannot be parsed and undocumented.

use std::fmt::Write;
use std::path::Path;

use super::not_yet::NOT_YET;
use super::switch::{Group, Switch, TABLE, Takes, Treatment};

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
  below SOURCE or DESTINATION, without wildcards.
";

/// Where Robocopy's own documents leave it open, or what they say would lose data.
const CHOICES: &str = "\
## Where Robocopy's documents leave it open

- `/IT`: attributes beside read-only, which Samba keeps in `user.DOSATTRIB`, are compared only under `/IT`, which sets them. To
  read them takes a call for each file on both sides.
- `/TIMFIX` sets times only on files that look the same, to the nanosecond. With the source's time any other file would look the
  same to the next run, and would never be copied.
- `/MAXAGE`, `/MINAGE` and the like: a file of that very moment is neither too old nor too new.
- `/MOV`, `/MOVE`: of a link to a file that was followed the link goes, and what it leads to stays, unless it is moved under its
  own name: then it goes once all its listed names are copied. What a link to a directory leads to is copied and stays, for it may
  lie outside the source; the report says so once.
- `/M` takes the mark for archiving from nothing that a link leads to.
- `/SJ`: under a directory that the source lists as empty, nothing is extra at the destination: it may be a mount point, of which
  nobody knows what it lacks.
- `/CREATE` gives empty files the times, modes and attributes of the source's, and never replaces a file.
- `/HARDLINKS`: the first name that takes part is copied, and the others become links to it. If the first fails, so do they.
- `/SAVE` writes out what a switch implies, as Robocopy does: `/S /E /PURGE /MIR` for `/MIR`.
";

const NOT_YET_HEAD: &str = "\
## Not supported yet

A command line with one of these is refused with exit code 16 before anything happens, so that no script runs without what it
asks for:
";

/// So that the page's text is no wider than its other lines.
const NAMES_A_LINE: usize = 12;

fn page() -> String {
    let mut page =
        format!("<!-- Made from the table in server/src/cli. Do not edit: {UPDATE} -->\n\n{HEAD}");
    TABLE.iter().for_each(|group| section(&mut page, group));
    write!(page, "\n{CHOICES}").expect("a String takes all");
    let names = NOT_YET.iter().map(|name| match name.strip_prefix("--") {
        Some(long) => format!("`--{}`", long.to_ascii_lowercase()),
        None => format!("`{name}`"),
    });
    let names = names.collect::<Vec<_>>();
    let lines = names.chunks(NAMES_A_LINE).map(|names| names.join(" ")).collect::<Vec<_>>();
    write!(page, "\n{NOT_YET_HEAD}\n{}\n", lines.join("\n")).expect("a String takes all");
    page
}

fn section(page: &mut String, group: &Group) {
    let Group { title, rows } = group;
    let heads = "| Robocopy | long form | default | what it does |\n| --- | --- | --- | --- |";
    write!(page, "\n## {title}\n\n{heads}\n").expect("a String takes all");
    for row in *rows {
        let slash = row.slash.map(|_| code(&row.spelling())).unwrap_or_default();
        let (long, default) = (code(&long_form(row)), row.default.map(code).unwrap_or_default());
        let help = match row.takes {
            Takes::Optional { name, absent, .. } => {
                format!("{}; without {name}: {absent}", cell(row.help))
            }
            Takes::Nothing(_) | Takes::Value { .. } | Takes::List { .. } => cell(row.help),
        };
        let here = treated(row.treatment);
        writeln!(page, "| {slash} | {long} | {default} | {help}{here} |")
            .expect("a String takes all");
    }
}

/// What a switch does that does not mean what it means to Robocopy.
fn treated(treatment: Treatment) -> String {
    match treatment {
        Treatment::Native => String::new(),
        Treatment::Translate(text) => format!(". Here: {}", cell(text)),
        Treatment::Note(text) => format!(". Accepted, changes nothing: {}", cell(text)),
        Treatment::Refuse(text) => format!(". Refused: {}", cell(text)),
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
