//! The command line: from arguments to a [`Command`].
//!
//! ```text
//! arguments -> translate -> clap -> RawOptions -> resolve -> Job
//!              ^ job files          |                      ^ configuration
//!                                   v job files
//! ```
//!
//! One table of rows ([`switch::TABLE`], in a file for each theme) feeds all of it: [`command()`] builds clap's command from the
//! rows, the translation looks up Robocopy's spelling in them, and the help, the completions and the man page list them.
//! Parsing is pure: what it must know of the machine comes in as [`Surroundings`].

mod address;
mod ages;
mod attributes;
mod command;
mod copy;
mod destination;
mod echo;
mod errand;
mod folders;
mod guard;
mod help;
mod job;
mod logging;
mod network;
mod not_yet;
mod notices;
mod pace;
mod rate;
mod raw;
mod resolve;
mod retry;
mod rules;
mod schedule;
mod select;
pub mod switch;
mod translate;
mod writing;

#[cfg(test)]
mod jobs;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use clap::ArgMatches;
use clap_complete::Shell;
use jiff::Zoned;
use quicopy_protocol::text::{Escaped, Quoted};

pub use address::{Address, AddressError, DEFAULT_PORT};
pub use ages::Age;
pub use command::command;
pub use copy::{THREADS_DEFAULT, THREADS_MAX};
pub use destination::{Destination, DestinationError, RemoteFolder};
pub use errand::{FileToWrite, Then};
pub use folders::FolderError;
pub use help::page as help_page;
pub(crate) use job::longs;
pub use pace::Pace;
pub use rate::{Bandwidth, Hours};
pub(crate) use raw::in_force;
pub use raw::{Given, RawOptions, Saved};
pub use resolve::{Job, MoveMode, PATTERN_BYTES_MAX, ResolveError};
pub use rules::RuleError;
pub use schedule::{Monitor, RunHours};
pub use switch::{BadValue, Treatment};

use crate::config::{Config, ConfigError};
use crate::job_file::WriteError;
use translate::Translated;

/// What parsing must know of the machine.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The current folder, absolute: where relative paths begin.
    pub cwd: &'a Path,
    /// The user's home, for a leading `~`.
    pub home: Option<&'a Path>,
    /// Who runs the program, as job files name their author.
    pub user: Option<&'a str>,
    /// The time, in the zone in which dates begin and end.
    pub now: &'a Zoned,
    /// Whether this process may read any file: as root, or with `CAP_DAC_READ_SEARCH`.
    pub reads_all: bool,
    /// Whether a path is there.
    pub exists: &'a dyn Fn(&Path) -> bool,
    /// Where a path leads through all links; `None` if it is not there.
    pub canonical: &'a dyn Fn(&Path) -> Option<PathBuf>,
    /// The bytes of a job file.
    pub read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// The configuration, with `--state-dir` if it was given.
    pub config: &'a dyn Fn(Option<&Path>) -> Result<Config, ConfigError>,
}

/// What the user wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// Write these files, then run a job, or only show it.
    Copy {
        /// Job files (`/SAVE`), and defaults (`/REG`).
        first: Vec<FileToWrite>,
        /// What follows.
        then: Then,
    },
    /// Trust an agent, and be trusted by it.
    Pair {
        /// Where it listens.
        address: Address,
        /// The token, or that it comes from standard input.
        token: TokenFrom,
        /// Its name here.
        name: Option<String>,
        /// `--state-dir`
        state_dir: Option<PathBuf>,
    },
    /// Show the agents that this sender trusts.
    ListAgents {
        /// `--state-dir`
        state_dir: Option<PathBuf>,
    },
    /// Trust one of them no longer.
    ForgetAgent {
        /// Its name here.
        name: String,
        /// `--state-dir`
        state_dir: Option<PathBuf>,
    },
    /// Show past jobs.
    Jobs {
        /// One JSON object a line instead of a table.
        json: bool,
        /// `--state-dir`
        state_dir: Option<PathBuf>,
    },
    /// Print this sender's fingerprint.
    Identity {
        /// `--state-dir`
        state_dir: Option<PathBuf>,
    },
    /// Print a completion script.
    Completions(Shell),
    /// Print the man page.
    Man,
    /// `/?`, or no arguments: the help, and exit code 16 as Robocopy.
    RobocopyHelp,
    /// `--help` of the program or of a subcommand: this text, and exit code 0.
    Help(String),
    /// `--version`
    Version,
}

/// Where a token comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TokenFrom {
    /// The command line.
    Argument(String),
    /// Standard input.
    Stdin,
}

/// Why a command line cannot be read. The exit code is 16.
///
/// The first line has the shape of Robocopy's own messages.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// A parameter that is nothing, or has a wrong value.
    #[error("ERROR : Invalid Parameter #{number} : \"{}\"\n        {reason}", Quoted(text.as_bytes()))]
    Invalid {
        /// Its place on the command line, from 1.
        number: usize,
        /// The parameter.
        text: OsString,
        /// What is wrong with it.
        reason: String,
    },
    /// A line of a job file that is nothing, or has a wrong value.
    #[error("ERROR : Invalid Job File, Line #{line} :\"{}\"\n        {} : {reason}", Quoted(text.as_bytes()), Escaped(file.as_os_str().as_bytes()))]
    InvalidJob {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What stands there.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A job file that cannot be read.
    #[error("ERROR : Opening Job File \"{}\" : {source}", Escaped(file.as_os_str().as_bytes()))]
    OpeningJob {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A switch of Robocopy's, or a planned one of ours, that is not built.
    #[error("ERROR : Invalid Parameter #{number} : \"{}\" is not supported yet", Quoted(text.as_bytes()))]
    NotYet {
        /// Its place on the command line, from 1.
        number: usize,
        /// The parameter.
        text: OsString,
    },
    /// A long option with a wrong value.
    #[error("ERROR : Invalid value \"{}\" of --{long}\n        it takes {wanted}", Quoted(value.as_bytes()))]
    LongValue {
        /// The option's name.
        long: &'static str,
        /// The value.
        value: OsString,
        /// What it should have been.
        wanted: BadValue,
    },
    /// An address of an agent that is none.
    #[error("ERROR : \"{}\" is no address : {source}", Quoted(text.as_bytes()))]
    Address {
        /// What was typed.
        text: String,
        /// What is wrong with it.
        source: AddressError,
    },
    /// A job that cannot be saved.
    #[error("ERROR : Saving Job File \"{}\" : {source}", Escaped(file.as_os_str().as_bytes()))]
    Saving {
        /// The file.
        file: PathBuf,
        /// What cannot stand in it.
        source: WriteError,
    },
    /// A configuration that cannot be read.
    #[error("ERROR : {0}")]
    Config(#[from] ConfigError),
    /// Parameters that make no job.
    #[error("ERROR : {0}")]
    Resolve(#[from] ResolveError),
    /// What clap found wrong with a long option or a subcommand, with its advice.
    #[error("{}", .0.render())]
    Clap(clap::Error),
}

/// Reads a command line, without the program's name.
///
/// # Errors
/// It is not one; the message says which parameter, and what to write instead.
pub fn parse(args: &[OsString], surroundings: Surroundings<'_>) -> Result<Command, UsageError> {
    let is_subcommand = |arg: &OsString| command::SUBCOMMANDS.iter().any(|name| arg == name);
    if args.first().is_some_and(is_subcommand) {
        return match matches(args) {
            Ok(matches) => subcommand(&matches),
            Err(error) if error.exit_code() == 0 => Ok(Command::Help(error.render().to_string())),
            Err(error) => Err(UsageError::Clap(error)),
        };
    }
    let long_form = match translate::translate(args, surroundings)? {
        Translated::Copy(long_form) => long_form,
        Translated::RobocopyHelp => return Ok(Command::RobocopyHelp),
        Translated::Help => return Ok(Command::Help(help::page())),
        Translated::Version => return Ok(Command::Version),
    };
    let raw = command::raw_options(&matches(&long_form).map_err(UsageError::Clap)?)?;
    errand::of(raw, &surroundings)
}

fn matches(args: &[OsString]) -> Result<ArgMatches, clap::Error> {
    // Made once: tests read many thousand command lines.
    static COMMAND: LazyLock<clap::Command> = LazyLock::new(|| {
        let mut command = command();
        command.build();
        command
    });
    let program = OsString::from("quicopy");
    COMMAND.clone().try_get_matches_from(std::iter::once(&program).chain(args))
}

fn subcommand(matches: &ArgMatches) -> Result<Command, UsageError> {
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(Command::RobocopyHelp);
    };
    let text = |id: &str| matches.get_one::<String>(id).cloned();
    let state_dir = match name {
        "completions" | "man" => None,
        _ => matches.get_one::<OsString>("state-dir").map(PathBuf::from),
    };
    Ok(match name {
        "pair" => {
            let typed = text("HOST[:PORT]").unwrap_or_default();
            let address = Address::parse(&typed)
                .map_err(|source| UsageError::Address { text: typed, source })?;
            let token = match text("TOKEN").unwrap_or_default() {
                dash if dash == "-" => TokenFrom::Stdin,
                token => TokenFrom::Argument(token),
            };
            Command::Pair { address, token, name: text("name"), state_dir }
        }
        "agents" => match matches.subcommand() {
            Some(("forget", matches)) => Command::ForgetAgent {
                name: matches.get_one::<String>("NAME").cloned().unwrap_or_default(),
                state_dir,
            },
            Some(_) | None => Command::ListAgents { state_dir },
        },
        "jobs" => Command::Jobs { json: matches.get_flag("json"), state_dir },
        "identity" => Command::Identity { state_dir },
        "completions" => match matches.get_one::<Shell>("SHELL") {
            Some(shell) => Command::Completions(*shell),
            None => Command::RobocopyHelp,
        },
        "man" => Command::Man,
        name => unreachable!("clap knows no subcommand {name}"),
    })
}
