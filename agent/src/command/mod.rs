//! What each command does, and what it prints.

mod check;
mod trash;

use std::io::{self, IsTerminal, Write};

use quicopy_certs::StateDir;

use crate::cli::{Cli, Command, InviteArgs, PeersAction};
use crate::config::{Config, ConfigError};
use crate::control;
use crate::daemon::{self, RunError};
use crate::history::JobRecord;
use crate::log;
use crate::office::Office;
use crate::places::Environment;
use crate::request::{Invited, PeerRecord, Reply, Request};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The agent does not run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] quicopy_certs::StoreError),
    /// The agent's key cannot be used.
    #[error(transparent)]
    Identity(#[from] quicopy_certs::IdentityError),
    /// The running agent cannot be reached, though one runs.
    #[error("cannot talk to the running agent through {folder}", folder = .folder.display())]
    Control {
        /// The state folder.
        folder: std::path::PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It cannot be done; the reason says what to do.
    #[error("{0}")]
    Refused(String),
    /// Something is wrong with the configuration or the state. It was printed.
    #[error("{count} found; the agent would not serve everything as it is", count = counted(*.problems, "problem"))]
    Check {
        /// How many problems.
        problems: usize,
    },
    /// Nobody reads what is printed.
    #[error("cannot print")]
    Print(#[from] io::Error),
}

impl CommandError {
    /// Whether whoever reads what is printed has had enough, as `head` has: nobody is left to be told.
    pub fn is_unheard(&self) -> bool {
        matches!(self, Self::Print(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Does what the command line says.
///
/// # Errors
/// Says why not.
pub fn carry_out(cli: Cli) -> Result<(), CommandError> {
    let config = Config::load(cli.overrides(), &Environment::of_process());
    let mut out = io::stdout().lock();
    match cli.command {
        Command::Run(_) => {
            drop(out);
            log::start();
            Ok(daemon::run(config?)?)
        }
        Command::Check => check::check(&mut out, &config?),
        Command::Invite(invite) => print_invitation(&mut out, &config?, invite),
        Command::Peers { action } => {
            let request = match action.unwrap_or(PeersAction::List) {
                PeersAction::List => Request::Peers,
                PeersAction::Permit { peer, permits } => Request::Permit { peer, permits },
                PeersAction::Revoke { peer } => Request::Revoke { peer },
            };
            print_peers(&mut out, &config?, request)
        }
        Command::Jobs { json } => print_jobs(&mut out, &config?, json),
        Command::Trash { action } => trash::carry_out(&mut out, &config?, action),
        Command::Adopt { share } => match ask(&config?, Request::Adopt { share: share.clone() })? {
            Reply::Adopted { found } => Ok(writeln!(out, "share {share} is adopted: {found}")?),
            reply => Err(unexpected(&reply)),
        },
    }
}

/// Has the running agent do it or, if none runs, does it on the state itself.
fn ask(config: &Config, request: Request) -> Result<Reply, CommandError> {
    let dir = StateDir::open_or_create(&config.state_folder)?;
    let answered = control::ask(&dir, &request)
        .map_err(|source| CommandError::Control { folder: dir.path().into(), source })?;
    let reply = match answered {
        Some(reply) => reply,
        None => Office::open(&dir, config.shares.clone(), config.listen)?.carry_out(request),
    };
    match reply {
        Reply::Failed { reason } => Err(CommandError::Refused(reason)),
        Reply::Invited(_)
        | Reply::Peers { .. }
        | Reply::Jobs { .. }
        | Reply::Trash(_)
        | Reply::Restored(_)
        | Reply::Emptied(_)
        | Reply::Adopted { .. } => Ok(reply),
    }
}

fn unexpected(reply: &Reply) -> CommandError {
    CommandError::Refused(format!("the running agent gave an answer to something else: {reply:?}"))
}

fn print_invitation(
    out: &mut impl Write,
    config: &Config,
    invite: InviteArgs,
) -> Result<(), CommandError> {
    let InviteArgs { shares, permit, ttl } = invite;
    let names = shares.iter().map(|share| share.as_str()).collect::<Vec<_>>().join(", ");
    let request = Request::Invite { shares, permits: permit, ttl_seconds: ttl.as_secs() };
    let Invited { token, expires, fingerprint } = match ask(config, request)? {
        Reply::Invited(invited) => invited,
        reply => return Err(unexpected(&reply)),
    };
    let names = if names.is_empty() { "all shares".into() } else { format!("share {names}") };
    writeln!(out, "This token lets one sender in, once, until {expires:.0}.")?;
    writeln!(out, "It may then use {names} with the permits: {permit}.")?;
    writeln!(out, "This agent's fingerprint: {fingerprint}")?;
    writeln!(out, "On the sender, run this and paste the token:  quicopy pair HOST -")?;
    writeln!(out, "{token}")?;
    Ok(out.flush()?)
}

fn print_peers(
    out: &mut impl Write,
    config: &Config,
    request: Request,
) -> Result<(), CommandError> {
    let done = match &request {
        Request::Permit { .. } => Some("changed, as of now:"),
        Request::Revoke { .. } => Some("shut out, as of now:"),
        Request::Peers
        | Request::Jobs
        | Request::Invite { .. }
        | Request::Trash { .. }
        | Request::Restore { .. }
        | Request::EmptyTrash { .. }
        | Request::Adopt { .. } => None,
    };
    let peers = match ask(config, request)? {
        Reply::Peers { peers } => peers,
        reply => return Err(unexpected(&reply)),
    };
    if let Some(done) = done {
        writeln!(out, "{done}")?;
    } else if peers.is_empty() {
        writeln!(out, "No sender is known yet; let one in with: quicopy-agent invite")?;
    }
    let width = peers.iter().map(|peer| peer.name.chars().count()).max().unwrap_or(0);
    for PeerRecord { name, fingerprint, permits, shares, paired, not_after } in peers {
        let ends = not_after.map(|end| format!(", until {end:.0}")).unwrap_or_default();
        writeln!(
            out,
            "{name:width$}  permits {permits}  shares {shares}  since {paired:.0}{ends}"
        )?;
        writeln!(out, "{:width$}  {fingerprint}", "")?;
    }
    Ok(())
}

fn print_jobs(out: &mut impl Write, config: &Config, json: bool) -> Result<(), CommandError> {
    let jobs = match ask(config, Request::Jobs)? {
        Reply::Jobs { jobs } => jobs,
        reply => return Err(unexpected(&reply)),
    };
    if json {
        for job in &jobs {
            serde_json::to_writer(&mut *out, job).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        return Ok(());
    }
    if jobs.is_empty() && io::stdout().is_terminal() {
        writeln!(out, "No job yet.")?;
    }
    jobs.iter().try_for_each(|job| writeln!(out, "{}", job_line(job)))?;
    Ok(())
}

fn job_line(job: &JobRecord) -> String {
    let JobRecord { started, state, peer, label, share, path, .. } = job;
    let slash = if path.is_empty() { "" } else { "/" };
    let ended = job.ended.map(|ended| {
        let seconds = ended.duration_since(*started).as_secs();
        let JobRecord { files, bytes, deleted, failed, .. } = job;
        format!("  {seconds} s, {files} files, {bytes} bytes, {deleted} deleted, {failed} failed")
    });
    let detail = job.detail.as_deref().map(|detail| format!("  ({detail})"));
    let (ended, detail) = (ended.unwrap_or_default(), detail.unwrap_or_default());
    format!("{started:.0}  {state:8}  {peer}  {label} -> {share}{slash}{path}{ended}{detail}")
}

/// `1 problem`, `2 problems`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use std::path::Path;

    use quicopy_certs::pairing::token::Token;

    use super::*;
    use crate::config::{DEFAULT_LISTEN, Limits};
    use crate::history::{JobState, tests::record};
    use crate::share;

    /// An agent's configuration with one share, `data`, all below `root`.
    pub(crate) fn config(root: &Path) -> Config {
        let path = root.join("data");
        std::fs::create_dir_all(&path).unwrap();
        Config {
            file: None,
            listen: DEFAULT_LISTEN,
            state_folder: root.join("state/agent"),
            shares: vec![share::tests::plain("data", &path)],
            limits: Limits::default(),
        }
    }

    fn printed(print: impl FnOnce(&mut Vec<u8>) -> Result<(), CommandError>) -> String {
        let mut out = Vec::new();
        print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_token_stands_alone_on_the_last_line() {
        let temp = tempfile::tempdir().unwrap();
        let config = config(temp.path());
        let invite = InviteArgs {
            shares: vec!["data".parse().unwrap()],
            permit: "write,delete".parse().unwrap(),
            ttl: std::time::Duration::from_secs(60),
        };
        let text = printed(|out| print_invitation(out, &config, invite));
        text.lines().last().unwrap().parse::<Token>().unwrap();
        assert!(text.contains("share data with the permits: write,delete"), "{text}");
    }

    #[test]
    fn without_senders_the_list_says_how_to_let_one_in() {
        let temp = tempfile::tempdir().unwrap();
        let text = printed(|out| print_peers(out, &config(temp.path()), Request::Peers));
        assert!(text.contains("quicopy-agent invite"), "{text}");
    }

    #[test]
    fn a_job_is_one_line() {
        let running = JobRecord { ended: None, state: JobState::Running, ..record(1) };
        assert_eq!(
            job_line(&running),
            "1970-01-01T00:00:00Z  running   web01  web01:/srv -> data/a/b"
        );
        let parked =
            JobRecord { detail: Some("lost".into()), state: JobState::Parked, ..record(1) };
        let line = job_line(&parked);
        let end = "data/a/b  0 s, 1 files, 2 bytes, 3 deleted, 4 failed  (lost)";
        assert!(line.ends_with(end), "{line}");
    }

    #[test]
    fn past_jobs_are_json_lines_for_scripts() {
        let temp = tempfile::tempdir().unwrap();
        let config = config(temp.path());
        let dir = StateDir::open_or_create(&config.state_folder).unwrap();
        crate::history::History::new(&dir).add(&record(1)).unwrap();
        let text = printed(|out| print_jobs(out, &config, true));
        assert_eq!(serde_json::from_str::<JobRecord>(&text).unwrap(), record(1));
    }
}
