//! The command line of `quicopy-agent`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use quicopy_certs::Permits;

use crate::config::{self, Overrides};
use crate::share::ShareName;

/// Shown below `--help`: the way from nothing to a mirror.
const EXAMPLES: &str = "\
Examples:
  Serve one folder, without a configuration file:
      quicopy-agent run --share data=/srv/data

  Let a sender in that may also delete, as a mirror must:
      quicopy-agent invite --share data --permit write,delete
  then, on the sender's machine, with the token that this prints:
      quicopy pair files.example.com -
      quicopy /srv/data files.example.com:data /MIR

  See who may do what, and what is going on:
      quicopy-agent peers
      quicopy-agent jobs";

/// Shown below `run --help`.
const RUN_EXAMPLES: &str = "\
Examples:
  quicopy-agent run --share data=/srv/data --share 'Scripts$=/srv/scripts'
  quicopy-agent run --config /etc/quicopy/agent.toml

The configuration file, all of it optional but a share:
  listen = \"[::]:47470\"
  state_dir = \"/var/lib/quicopy\"

  [shares.data]
  path = \"/srv/data\"
  durability = \"group\"       # group: synced in batches; file: one by one; none
  outside_links = false      # whether links may lead out of the share
  max_delete = \"10%\"         # most that one job may delete: a number, or a part
  trash = \"7d\"               # how long what is deleted can be restored; or off
  require_marker = \".mark\"   # delete only if the source's root holds this name

  [limits]
  jobs = 8
  jobs_per_peer = 2
  connections = 64";

/// Shown below `trash --help`.
const TRASH_EXAMPLES: &str = "\
Examples:
  quicopy-agent trash
  quicopy-agent trash restore k3v9m2         an id from the list, or the beginning of one
  quicopy-agent trash restore k3v9m2 --to old/report.odt
  quicopy-agent trash restore 1c9a60e2       all that this job put there
  quicopy-agent trash empty --share data --older 2

Nothing is ever overwritten by giving back. What is in the trash goes by itself after the days that the
share is configured for (trash = \"7d\"), when it comes to more than a tenth of the disk, or when the
disk is full; the oldest goes first.";

/// Receives replicated folders: the agent of Quicopy, which runs where the data goes.
#[derive(Debug, Parser)]
#[command(name = "quicopy-agent", version, after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    places: PlaceArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Args, Debug)]
struct PlaceArgs {
    /// Read this configuration file instead of the usual one
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Keep keys, peers and history in the folder DIR/agent
    #[arg(long, global = true, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve shares to known senders until stopped
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Make a token that lets one sender in, once
    #[command(
        after_help = "The token is the last line of the output, alone. Carry it to the sender and run there:\n  quicopy pair HOST -\nand paste it. It works once, and only for a while."
    )]
    Invite(InviteArgs),
    /// Show the senders that are known, change what one may do, or shut one out
    #[command(
        after_help = "Examples:\n  quicopy-agent peers\n  quicopy-agent peers permit web01 write,delete\n  quicopy-agent peers revoke web01\n\nA change counts at once, for jobs under way too."
    )]
    Peers {
        /// What to do with them; `list` if nothing is said.
        #[command(subcommand)]
        action: Option<PeersAction>,
    },
    /// Show running and past jobs
    Jobs {
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show what jobs deleted or overwrote, give it back, or remove it for good
    #[command(after_help = TRASH_EXAMPLES)]
    Trash {
        /// What to do with it; `list` if nothing is said.
        #[command(subcommand)]
        action: Option<TrashAction>,
    },
    /// Accept a share whose identity is missing or changed
    #[command(
        after_help = "The agent marks each share with an id in its folder .quicopy. If that is gone or is another, the disk\nis likely not mounted, or not the one it was, and jobs are refused. Look at the folder; if it is as it\nshould be, adopt it."
    )]
    Adopt {
        /// The share
        share: ShareName,
    },
    /// Check the configuration, the shares and the state, and explain them
    Check,
}

/// Arguments of `run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Listen on this address (UDP); without it on all, port 47470
    #[arg(long, value_name = "ADDR:PORT", value_parser = config::parse_listen)]
    pub listen: Option<SocketAddr>,
    /// Serve the folder PATH under NAME; may be given several times
    #[arg(long = "share", value_name = "NAME=PATH", value_parser = parse_share)]
    pub shares: Vec<(ShareName, PathBuf)>,
}

/// Arguments of `invite`.
#[derive(Args, Debug)]
pub struct InviteArgs {
    /// Let the sender reach this share; may be given several times; without it all shares
    #[arg(long = "share", value_name = "NAME")]
    pub shares: Vec<ShareName>,
    /// What the sender may do: write, delete, owner, outside-links, with commas between
    #[arg(long, value_name = "LIST", default_value_t = Permits::DEFAULT)]
    pub permit: Permits,
    /// How long the token works, such as 90s, 15m, 2h or 1d; at most 7d
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = parse_ttl)]
    pub ttl: Duration,
}

/// What `trash` does.
#[derive(Debug, Subcommand)]
pub enum TrashAction {
    /// Show what is in it
    List {
        /// Of this share alone
        #[arg(long, value_name = "NAME")]
        share: Option<ShareName>,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Put something back where it was
    Restore {
        /// Its id as the list shows it, or a job's for all that this job put there
        #[arg(value_name = "ID")]
        id: String,
        /// Put it there instead: a path below the share's root, where nothing stands
        #[arg(long, value_name = "PATH")]
        to: Option<String>,
        /// Look in this share alone
        #[arg(long, value_name = "NAME")]
        share: Option<ShareName>,
    },
    /// Remove what is in it for good
    Empty {
        /// Of this share alone
        #[arg(long, value_name = "NAME")]
        share: Option<ShareName>,
        /// Only what has been in it for so many days
        #[arg(long, value_name = "DAYS", default_value_t = 0)]
        older: u16,
    },
}

/// What `peers` does.
#[derive(Debug, Subcommand)]
pub enum PeersAction {
    /// Show the senders that are known
    List,
    /// Give a sender exactly these permits
    Permit {
        /// Its name or fingerprint
        #[arg(value_name = "NAME")]
        peer: String,
        /// Some of write, delete, owner, outside-links, with commas between; or none
        #[arg(value_name = "LIST")]
        permits: Permits,
    },
    /// Shut a sender out, now and for good
    Revoke {
        /// Its name or fingerprint
        #[arg(value_name = "NAME-OR-FINGERPRINT")]
        peer: String,
    },
}

impl Cli {
    /// What the command line says over the configuration file.
    pub fn overrides(&self) -> Overrides {
        let (listen, shares) = match &self.command {
            Command::Run(run) => (run.listen, run.shares.clone()),
            Command::Invite(_)
            | Command::Peers { .. }
            | Command::Jobs { .. }
            | Command::Trash { .. }
            | Command::Adopt { .. }
            | Command::Check => (None, Vec::new()),
        };
        let PlaceArgs { config, state_dir } = &self.places;
        Overrides { config: config.clone(), state_dir: state_dir.clone(), listen, shares }
    }
}

/// Reads `NAME=PATH`. A relative path is one below the current folder.
fn parse_share(text: &str) -> Result<(ShareName, PathBuf), String> {
    let (name, path) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is not NAME=PATH, such as data=/srv/data"))?;
    let name = name.parse().map_err(|error| format!("{error}"))?;
    let path = std::path::absolute(path).map_err(|error| format!("{path:?}: {error}"))?;
    Ok((name, path))
}

/// Reads a number and its unit. A bare number would be read as minutes by some and as seconds by others.
fn parse_ttl(text: &str) -> Result<Duration, String> {
    let mistake = || format!("{text:?} is not a duration; write 90s, 15m, 2h or 1d");
    let (at, unit) = text.char_indices().next_back().ok_or_else(mistake)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(mistake()),
    };
    let number = text[..at].parse::<u64>().map_err(|_| mistake())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(mistake)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, String> {
        let words = std::iter::once("quicopy-agent").chain(line.split_whitespace());
        Cli::try_parse_from(words).map_err(|error| error.to_string())
    }

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_agent_runs_with_shares_alone() {
        let cli = parse("run --share data=/srv/data --share b=c --listen 127.0.0.1:0").unwrap();
        let overrides = cli.overrides();
        let here = std::env::current_dir().unwrap();
        assert_eq!(overrides.shares[0], ("data".parse().unwrap(), "/srv/data".into()));
        assert_eq!(overrides.shares[1].1, here.join("c"));
        assert_eq!(overrides.listen, Some("127.0.0.1:0".parse().unwrap()));
    }

    #[test]
    fn places_are_named_before_or_after_the_command() {
        for line in ["--state-dir /s --config /c jobs", "jobs --config /c --state-dir /s"] {
            let overrides = parse(line).unwrap().overrides();
            assert_eq!(overrides.state_dir, Some("/s".into()));
            assert_eq!(overrides.config, Some("/c".into()));
        }
    }

    #[test]
    fn an_invitation_gives_write_for_a_quarter_of_an_hour_unless_told_otherwise() {
        let Command::Invite(invite) = parse("invite").unwrap().command else { panic!() };
        assert_eq!((invite.permit, invite.ttl), (Permits::DEFAULT, Duration::from_secs(900)));
        let line = "invite --share a --share b --permit write,delete --ttl 2h";
        let Command::Invite(invite) = parse(line).unwrap().command else { panic!() };
        assert_eq!(invite.shares.len(), 2);
        assert_eq!(invite.permit.to_string(), "write,delete");
        assert_eq!(invite.ttl, Duration::from_secs(7200));
    }

    #[test]
    fn mistakes_are_answered_with_what_would_be_right() {
        for (line, says) in [
            ("run --share data", "NAME=PATH"),
            ("run --share a/b=/x", "cannot name a share"),
            ("run --listen here", "[::]:47470"),
            ("invite --ttl 15", "15m"),
            ("invite --ttl 99999999999999999d", "15m"),
            ("invite --ttl ü", "15m"),
            ("invite --permit wirte", "write, delete, owner, outside-links"),
            ("peers permit web01", "<LIST>"),
            ("adopt", "<SHARE>"),
            ("trash restore", "<ID>"),
            ("trash empty --older x", "DAYS"),
            ("trahs", "unrecognized subcommand"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(says), "{line}: {error}");
        }
    }
}
