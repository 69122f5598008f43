//! The clap command, built from the switch table; and the way back from clap's matches to [`RawOptions`].

use std::ffi::{OsStr, OsString};

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use clap_complete::Shell;

use super::raw::{Given, RawOptions};
use super::switch::{SetValue, Switch, TABLE, Takes, switches};
use super::{UsageError, help};

/// Names of the subcommands. A folder of such a name is written `./pair`.
pub(super) const SUBCOMMANDS: &[&str] =
    &["pair", "agents", "jobs", "identity", "completions", "man"];

/// The whole command line in its long form: what completions and the man page are made from.
pub fn command() -> Command {
    let mut command = Command::new("quicopy")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Replicates folders from one site to another, with Robocopy's command line")
        .override_help(help::page())
        .args_override_self(true)
        .args_conflicts_with_subcommands(true)
        .subcommand_negates_reqs(true)
        .disable_help_subcommand(true)
        .arg(positional("SOURCE", "Folder to read"))
        .arg(positional("DESTINATION", "Folder to write: a path, quicopy://HOST[:PORT]/SHARE[/path], \\\\HOST\\SHARE\\path or NAME:SHARE[/path]"))
        .arg(positional("FILE", "Names of the files to copy, with * and ?").action(ArgAction::Append));
    for group in TABLE {
        command = command.next_help_heading(group.title).args(group.rows.iter().map(argument));
    }
    command.next_help_heading(None::<&str>).subcommands(subcommands())
}

fn positional(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).value_parser(value_parser!(OsString)).value_name(name).help(help)
}

fn argument(row: &Switch) -> Arg {
    let mut help = match row.slash {
        Some(_) => format!("{}: {}", row.spelling(), row.help),
        None => row.help.to_owned(),
    };
    if let Some(default) = row.default {
        help = format!("{help} [default: {default}]");
    }
    let argument = Arg::new(row.long).long(row.long).help(help);
    let text = ValueParser::os_string();
    match row.takes {
        // As an empty value, so that each has its place among the others when it is given twice.
        Takes::Nothing(_) => argument
            .action(ArgAction::Append)
            .num_args(0)
            .value_parser(text)
            .default_missing_value(""),
        // A value may begin with a dash: `--exclude-file -x`.
        Takes::Value { name, .. } | Takes::List { name, .. } => argument
            .action(ArgAction::Append)
            .value_name(name)
            .value_parser(text)
            .allow_hyphen_values(true),
        Takes::Optional { name, absent, .. } => argument
            .action(ArgAction::Append)
            .value_name(name)
            .value_parser(text)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value(absent),
    }
}

fn subcommands() -> Vec<Command> {
    let state_dir = || {
        let help = "Keep identity, trust and history under DIR, as QUICOPY_HOME does";
        Arg::new("state-dir")
            .long("state-dir")
            .value_name("DIR")
            .value_parser(ValueParser::os_string())
            .help(help)
    };
    let text = |name: &'static str, help: &'static str| {
        Arg::new(name).value_name(name).help(help).required(true)
    };
    vec![
        Command::new("pair")
            .about("Trust an agent, and be trusted by it")
            .arg(text("HOST[:PORT]", "Where the agent listens; UDP port 47470 if none is given"))
            .arg(text(
                "TOKEN",
                "What `quicopy-agent invite` printed; - reads it from standard input",
            ))
            .arg(
                Arg::new("name")
                    .long("name")
                    .value_name("NAME")
                    .help("Name for the agent here [default: its host]"),
            )
            .arg(state_dir()),
        Command::new("agents")
            .about("Show or forget the agents that this sender trusts")
            .arg(state_dir())
            .subcommand(Command::new("list").about("Show them (the default)"))
            .subcommand(
                Command::new("forget")
                    .about("Trust an agent no longer")
                    .arg(text("NAME", "Its name here")),
            ),
        Command::new("jobs")
            .about("Show this sender's past jobs")
            .arg(
                Arg::new("json")
                    .long("json")
                    .action(ArgAction::SetTrue)
                    .help("One JSON object a line"),
            )
            .arg(state_dir()),
        Command::new("identity").about("Print this sender's fingerprint").arg(state_dir()),
        Command::new("completions")
            .about("Print a completion script")
            .arg(text("SHELL", "The shell").value_parser(value_parser!(Shell))),
        Command::new("man").about("Print the man page"),
    ]
}

/// Applies what clap found to fresh options, in the order of the command line, so that of two contrary switches the later
/// one holds. SOURCE, DESTINATION and FILE are among the switches: the translation has made them so.
pub(super) fn raw_options(matches: &ArgMatches) -> Result<RawOptions, UsageError> {
    let mut raw = RawOptions::default();
    let mut given: Vec<Occurrence<'_>> =
        switches().flat_map(|row| occurrences(matches, row)).collect();
    given.sort_by_key(|given| given.index);
    for Occurrence { row, value, .. } in given {
        apply(&mut raw, row, value)?;
    }
    Ok(raw)
}

struct Occurrence<'a> {
    index: usize,
    row: &'static Switch,
    value: &'a OsStr,
}

fn occurrences<'a>(matches: &'a ArgMatches, row: &'static Switch) -> Vec<Occurrence<'a>> {
    if matches.value_source(row.long) != Some(clap::parser::ValueSource::CommandLine) {
        return vec![];
    }
    let indices = matches.indices_of(row.long).into_iter().flatten();
    let values = matches.get_many::<OsString>(row.long).into_iter().flatten();
    indices.zip(values).map(|(index, value)| Occurrence { index, row, value }).collect()
}

fn apply(raw: &mut RawOptions, row: &Switch, value: &OsStr) -> Result<(), UsageError> {
    set(raw, row, value)?;
    raw.given.push(Given { long: row.long, value: value.to_owned() });
    Ok(())
}

fn set(raw: &mut RawOptions, row: &Switch, value: &OsStr) -> Result<(), UsageError> {
    let set: SetValue = match row.takes {
        Takes::Nothing(set) => {
            set(raw);
            return Ok(());
        }
        Takes::Value { set, .. } | Takes::Optional { set, .. } | Takes::List { add: set, .. } => {
            set
        }
    };
    set(raw, value).map_err(|wanted| UsageError::LongValue {
        long: row.long,
        value: value.to_owned(),
        wanted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn the_subcommands_are_those_that_the_parser_looks_for() {
        let command = command();
        let names: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
        assert_eq!(names, SUBCOMMANDS);
    }

    #[test]
    fn every_row_is_in_the_man_page() {
        let mut page = vec![];
        clap_mangen::Man::new(command()).render(&mut page).expect("a vector takes all");
        let page = String::from_utf8_lossy(&page).replace("\\-", "-");
        for row in switches() {
            assert!(page.contains(&format!("--{}", row.long)), "{}", row.long);
        }
    }
}
