//! The help of `/?` and `--help`: one screen, made from the switch table.

use std::fmt::Write;

use super::switch::{Switch, TABLE, switches};

/// Switches that get a line of their own; those most jobs use.
const COMMON: &[&str] = &[
    "/MIR",
    "/E",
    "/S",
    "/L",
    "/XD",
    "/XF",
    "/XO",
    "/MT",
    "/R",
    "/W",
    "/BWLIMIT",
    "/MAXDELETE",
    "/LOG+",
    "/TEE",
    "/NP",
];

const COLUMNS: usize = 100;

const HEAD: &str = r"
Quicopy replicates folders from one site to another, with Robocopy's command line.

Usage: quicopy SOURCE DESTINATION [FILE]... [SWITCH]...
       quicopy pair HOST[:PORT] TOKEN     trust an agent with the token that its `invite` printed
       quicopy agents | jobs | identity | completions SHELL | man

DESTINATION is a path, quicopy://HOST/SHARE[/path], \\HOST\SHARE\path or NAME:SHARE[/path].

Examples:
  quicopy ./data /mnt/backup/data /MIR /L            see what a mirror would do; changes nothing
  quicopy ./data /mnt/backup/data /MIR               do it
  quicopy pair branch.example - < token.txt          once: meet the agent at the branch
  quicopy ./data quicopy://branch.example/data /MIR /XD .git /LOG+:sync.log /NP

/MIR and /PURGE DELETE what the source lacks. Switches may stand anywhere after SOURCE, in any case.
";

const TAIL: &str = "
Each has a long form (--mirror, --retries 3); `quicopy man | man -l -` describes all of them.
Exit code: 1 copied + 2 extras + 4 mismatched + 8 failed, so 0 to 7 is success; 16 nothing done.
";

/// The text, with a line feed at its end.
pub fn page() -> String {
    let mut page = HEAD.trim_start().to_owned();
    let common = COMMON.iter().filter_map(|slash| switches().find(|row| row.slash == Some(slash)));
    page.push('\n');
    for row in common {
        let default = row.default.map(|value| format!(" [{value}]")).unwrap_or_default();
        line(&mut page, &format!("  {:<28} {}{default}", row.spelling(), row.help));
    }
    page.push_str("\nAll switches:\n");
    for group in TABLE {
        let names: Vec<_> = group.rows.iter().map(Switch::name).collect();
        wrapped(&mut page, group.title, &names);
    }
    page.push_str(TAIL);
    page
}

fn wrapped(page: &mut String, title: &str, names: &[String]) {
    let mut row = format!("  {title:<9}");
    for name in names {
        if row.len() + 1 + name.len() > COLUMNS {
            line(page, &row);
            row = " ".repeat(11);
        }
        row.push(' ');
        row.push_str(name);
    }
    line(page, &row);
}

fn line(page: &mut String, text: &str) {
    writeln!(page, "{text}").expect("a String takes all");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_fits_one_screen() {
        let page = page();
        assert!(page.lines().count() <= 50, "{} lines\n{page}", page.lines().count());
        for line in page.lines() {
            assert!(line.chars().count() <= COLUMNS, "{line}");
        }
    }

    #[test]
    fn the_help_names_every_switch() {
        let page = page();
        for row in switches() {
            let name = row.slash.map_or_else(|| format!("--{}", row.long), str::to_owned);
            assert!(page.contains(&name), "{name}");
        }
    }

    #[test]
    fn the_common_switches_are_in_the_table() {
        for slash in COMMON {
            assert!(switches().any(|row| row.slash == Some(slash)), "{slash}");
        }
    }
}
