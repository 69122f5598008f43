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
  below SOURCE or DESTINATION, without wildcards.
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
        writeln!(page, "| {slash} | {long} | {default} | {help} |").expect("a String takes all");
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
