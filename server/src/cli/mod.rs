//! The command line: from arguments to a [`Command`].
//!
//! ```text
//! arguments -> translate -> clap -> RawOptions -> resolve -> Job
//! ```
//!
//! One table of rows ([`switch::TABLE`], in a file for each theme) feeds all of it: [`command()`] builds clap's command from the
//! rows, the translation looks up Robocopy's spelling in them, and the help, the completions and the man page list them.
//! Parsing is pure: what it must know of the machine comes in as [`Surroundings`].

mod address;
mod command;
mod copy;
mod destination;
mod echo;
mod guard;
mod help;
mod job;
mod logging;
mod network;
mod not_yet;
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

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap_complete::Shell;
use quicopy_protocol::text::Escaped;

pub use address::{Address, AddressError, DEFAULT_PORT};
pub use command::command;
pub use copy::{THREADS_DEFAULT, THREADS_MAX};
pub use destination::{Destination, DestinationError, RemoteFolder};
pub use help::page as help_page;
pub use pace::Pace;
pub use rate::{Bandwidth, Hours};
pub use raw::RawOptions;
pub use resolve::{Job, MoveMode, PATTERN_BYTES_MAX, ResolveError, resolve};
pub use rules::RuleError;
pub use schedule::{Monitor, RunHours};
pub use switch::BadValue;

use translate::Translated;

/// What parsing must know of the machine.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The current folder, absolute: where relative paths begin.
    pub cwd: &'a Path,
    /// The user's home, for a leading `~`.
    pub home: Option<&'a Path>,
    /// Whether a path is there.
    pub exists: &'a dyn Fn(&Path) -> bool,
}

/// What the user wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// Run a job.
    Copy(Box<Job>),
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
    #[error("ERROR : Invalid Parameter #{number} : \"{}\"\n        {reason}", Escaped(text.as_bytes()))]
    Invalid {
        /// Its place on the command line, from 1.
        number: usize,
        /// The parameter.
        text: OsString,
        /// What is wrong with it.
        reason: String,
    },
    /// A switch of Robocopy's, or a planned one of ours, that is not built.
    #[error("ERROR : Invalid Parameter #{number} : \"{}\" is not supported yet", Escaped(text.as_bytes()))]
    NotYet {
        /// Its place on the command line, from 1.
        number: usize,
        /// The parameter.
        text: OsString,
    },
    /// A long option with a wrong value.
    #[error("ERROR : Invalid value \"{}\" of --{long}\n        it takes {wanted}", Escaped(value.as_bytes()))]
    LongValue {
        /// The option's name.
        long: &'static str,
        /// The value.
        value: OsString,
        /// What it should have been.
        wanted: BadValue,
    },
    /// An address of an agent that is none.
    #[error("ERROR : \"{}\" is no address : {source}", Escaped(text.as_bytes()))]
    Address {
        /// What was typed.
        text: String,
        /// What is wrong with it.
        source: AddressError,
    },
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
    let long_form = match translate::translate(args, surroundings.exists)? {
        Translated::Copy(long_form) => long_form,
        Translated::RobocopyHelp => return Ok(Command::RobocopyHelp),
        Translated::Help => return Ok(Command::Help(help::page())),
        Translated::Version => return Ok(Command::Version),
    };
    let raw = command::raw_options(&matches(&long_form).map_err(UsageError::Clap)?)?;
    Ok(Command::Copy(Box::new(resolve(raw, &surroundings)?)))
}

fn matches(args: &[OsString]) -> Result<ArgMatches, clap::Error> {
    let program = OsString::from("quicopy");
    command().try_get_matches_from(std::iter::once(&program).chain(args))
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
