//! One job of a known sender: what it asks for, whether it may, its place, its lock, and its end in the history.

use quicopy_protocol::text::with_causes;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use async_channel::Receiver;
use jiff::Timestamp;
use quicopy_certs::{Fingerprint, KnownSender, Permit};
use quicopy_engine::destination::{self, Setup, TrashRules};
use quicopy_engine::disk::advised;
use quicopy_engine::purge::{DefaultLimit, GuardRules};
use quicopy_protocol::code::RefusalCode;
use quicopy_protocol::limits::TEXT_BYTES_MAX;
use quicopy_protocol::link::{AgentLink, Capacities, CloseCode};
use quicopy_protocol::message::{JobOpened, OpenJob, Refused};
use quicopy_protocol::options::Durability;
use quicopy_protocol::text::{self, Escaped};
use quicopy_protocol::transport::{Connection, agent_link};

use super::Agent;
use super::accept::wire_code;
use super::admit::admit;
use super::live::{COMMANDS_MAX, LiveJob};
use super::lock_table::{Owner, Tree};
use super::trust::Rights;
use crate::history::{JobRecord, JobState};
use crate::job::{self, Asked, Command, JobEnd, JobReport, failed_inside, origin};
use crate::office::OpenShare;
use crate::share::{OutsideLinks, Share};

/// What the agent calls itself in its hello.
const PROGRAM: &str = concat!("quicopy-agent ", env!("CARGO_PKG_VERSION"));

/// Serves the job of a connection whose peer is known.
pub(super) async fn serve(agent: Arc<Agent>, connection: Connection, peer: Fingerprint) {
    let address = connection.remote_address();
    let _seat = match agent.live.take_connection(peer) {
        Ok(seat) => seat,
        Err(full) => {
            tracing::warn!(%address, "no job: {full}");
            let code = wire_code(CloseCode::Refused(RefusalCode::Overloaded));
            return connection.close(code, full.to_string().as_bytes());
        }
    };
    let link = match agent_link(connection.clone(), Capacities::default()).await {
        Ok(link) => link,
        Err(error) => return tracing::info!(%address, "no job: {}", with_causes(&error)),
    };
    let asked = match job::greet(&link, PROGRAM).await {
        Ok(asked) => asked,
        Err(closed) => return tracing::info!(%address, "no job: {closed}"),
    };
    let (id, label) = (asked.open.job, label_of(&asked.open));
    if let Err(refused) = serve_asked(&agent, connection, link, peer, asked).await {
        tracing::warn!(job = %id, %address, "{label}: refused: {}", refused.reason);
    }
}

/// Serves a job, or refuses it and says why.
async fn serve_asked(
    agent: &Arc<Agent>,
    connection: Connection,
    link: AgentLink,
    peer: Fingerprint,
    asked: Asked,
) -> Result<(), Refused> {
    let owner = Owner { peer, job: asked.open.job };
    let prepared = match prepare(agent, owner, &asked.open).await {
        Ok(prepared) => prepared,
        Err(refused) => return refuse(link, asked, refused).await,
    };
    let seat = match agent.live.take_job(owner) {
        Ok(seat) => seat,
        Err(full) => return refuse(link, asked, overloaded(&full)).await,
    };
    let (commands_tx, commands) = async_channel::bounded(COMMANDS_MAX);
    let job = Arc::new(LiveJob {
        owner,
        rights: prepared.rights.clone(),
        record: prepared.record.clone(),
        commands: commands_tx,
        connection,
    });
    seat.occupy(Arc::clone(&job));
    let tree = Tree { share: prepared.share.name.clone(), path: asked.open.path.clone() };
    let locked = tokio::select! {
        locked = agent.locks.acquire(&tree, owner, Arc::clone(&job)) => {
            locked.map_err(|busy| Refused::new(RefusalCode::Busy, busy.to_string()))
        }
        refused = parked(&commands) => Err(refused),
        // The sender has given up waiting.
        _ = link.end.closed() => return Ok(()),
    };
    let _lock = match locked {
        Ok(lock) => lock,
        Err(refused) => return refuse(link, asked, refused).await,
    };
    // While it waited, somebody may have revoked what it was let in with.
    if !agent.trust.still_allows(&agent.office, &peer, &prepared.rights) {
        return refuse(link, asked, Refused::new(RefusalCode::Revoked, super::REVOKED)).await;
    }
    let record = carry_out(link, asked, prepared, owner, commands).await;
    remember(agent, &record);
    Ok(())
}

async fn refuse(link: AgentLink, asked: Asked, refused: Refused) -> Result<(), Refused> {
    asked.refuse(link, refused.clone()).await;
    Err(refused)
}

fn overloaded(full: &super::live::Overloaded) -> Refused {
    Refused::new(RefusalCode::Overloaded, full.to_string())
}

/// Waits for the command to end a job that has not begun.
async fn parked(commands: &Receiver<Command>) -> Refused {
    loop {
        match commands.recv().await {
            Ok(Command::Park(refused)) => return refused,
            // Nobody asks a job that holds no lock whether it lives.
            Ok(Command::Ping(_)) => {}
            Err(_) => return std::future::pending().await,
        }
    }
}

/// What a job needs before it begins.
struct Prepared {
    share: Share,
    open: OpenShare,
    rights: Rights,
    record: JobRecord,
}

async fn prepare(agent: &Arc<Agent>, owner: Owner, open: &OpenJob) -> Result<Prepared, Refused> {
    if agent.is_stopping() {
        return Err(Refused::new(RefusalCode::Stopping, super::STOPPING));
    }
    let senders = agent.trust.senders(&agent.office);
    let sender = senders.find(&owner.peer);
    let admitted = admit(open, sender, agent.office.share(&open.share), SystemTime::now())?;
    let (share, sender) = (admitted.share.clone(), admitted.sender);
    let looking = {
        let (agent, share) = (Arc::clone(agent), share.clone());
        let (from, path) = (open.origin.clone(), open.path.clone());
        tokio::task::spawn_blocking(move || {
            (origin::overlaps(&from, &share.path, &path), agent.office.online(&share))
        })
    };
    let opened = match looking.await {
        Ok((Ok(false), Ok(opened))) => opened,
        Ok((Ok(true), _)) => {
            let reason =
                "source and destination are one tree, or one holds the other; nothing was changed";
            return Err(Refused::new(RefusalCode::Overlap, reason));
        }
        Ok((_, Err(offline))) => {
            return Err(Refused::new(RefusalCode::ShareOffline, with_causes(&offline)));
        }
        Ok((Err(error), Ok(_))) => {
            let reason = format!("share {}: {error}", share.name);
            return Err(Refused::new(RefusalCode::ShareOffline, reason));
        }
        Err(panic) => {
            return Err(Refused::new(RefusalCode::DestinationFailed, failed_inside(&panic)));
        }
    };
    let record = begin_record(open, &share, sender);
    Ok(Prepared { share, open: opened, rights: admitted.rights, record })
}

/// What the sender says of itself, safe to show.
fn label_of(open: &OpenJob) -> String {
    let mut label = Escaped(open.label.as_bytes()).to_string();
    text::cut(&mut label, TEXT_BYTES_MAX);
    label
}

fn begin_record(open: &OpenJob, share: &Share, sender: &KnownSender) -> JobRecord {
    JobRecord {
        job: open.job.to_string(),
        peer: sender.name.to_string(),
        share: share.name.to_string(),
        path: open.path.to_string(),
        label: label_of(open),
        attempt: open.attempt,
        started: Timestamp::now(),
        ended: None,
        state: JobState::Running,
        detail: None,
        files: 0,
        bytes: 0,
        deleted: 0,
        failed: 0,
    }
}

/// Lets the job run to its end or its link's; returns it as the history keeps it.
async fn carry_out(
    link: AgentLink,
    asked: Asked,
    prepared: Prepared,
    owner: Owner,
    commands: Receiver<Command>,
) -> JobRecord {
    let Prepared { share, open: OpenShare { folder, index, time_step_nanos }, rights, record } =
        prepared;
    let OpenJob { job, attempt, path, policy, .. } = asked.open.clone();
    tracing::info!(%job, attempt, "{} ({}): into {}/{path}", record.label, record.peer, share.name);
    let remembered = index.as_ref().and_then(|index| index.has_any_below(&path).ok());
    let durability = match share.durability {
        Durability::Group => advised(folder.root()),
        chosen @ (Durability::File | Durability::None) => chosen,
    };
    let opened = JobOpened {
        time_step_nanos,
        conflicts_known: remembered == Some(true),
        first_job: remembered == Some(false),
        durability,
        trash_days: share.trash_days,
    };
    let outside_links =
        share.outside_links == OutsideLinks::Consent && rights.permits.allows(Permit::OutsideLinks);
    let setup = Setup {
        share: folder,
        root: path,
        peer: *owner.peer.as_bytes(),
        policy,
        rights: destination::Rights { owner: rights.permits.allows(Permit::Owner), outside_links },
        index,
        guards: GuardRules { default_limit: DefaultLimit::Refuse, share_max: share.max_delete },
        trash: share.trash_days.map(|days| TrashRules {
            job: job.0,
            by: record.peer.clone(),
            days,
        }),
        require_marker: share.require_marker,
        durability,
        time_step_nanos,
        started: SystemTime::now(),
        clock: Instant::now,
    };
    let report = job::serve(link, asked, opened, setup, commands).await;
    end_record(record, report)
}

fn end_record(record: JobRecord, report: JobReport) -> JobRecord {
    let (state, detail) = match report.end {
        JobEnd::Complete => (JobState::Complete, None),
        JobEnd::GivenUp => (JobState::Parked, Some("the sender gave it up".into())),
        JobEnd::LinkLost(reason) => (JobState::Parked, Some(reason)),
        JobEnd::Refused(refused) if refused.code.may_pass() => {
            (JobState::Parked, Some(refused.reason))
        }
        JobEnd::Refused(refused) => (JobState::Failed, Some(refused.reason)),
    };
    JobRecord {
        ended: Some(Timestamp::now()),
        state,
        // Some of these words are the peer's.
        detail: detail.map(|words| Escaped(words.as_bytes()).to_string()),
        files: report.files_copied,
        bytes: report.bytes_copied,
        deleted: report.deleted,
        failed: report.failed,
        ..record
    }
}

fn remember(agent: &Agent, record: &JobRecord) {
    let JobRecord { job, label, state, files, bytes, deleted, failed, detail, .. } = record;
    let detail = detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default();
    tracing::info!(%job, "{label}: {state}{detail}; {files} files, {bytes} bytes, {deleted} deleted, {failed} failed");
    if let Err(error) = agent.office.history.add(record) {
        tracing::error!("the job cannot be written into the history: {error}");
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(end: JobEnd, state: JobState, detail: Option<&str>) {
        let report = JobReport { end, files_copied: 1, bytes_copied: 2, failed: 3, deleted: 4 };
        let record = end_record(crate::history::tests::record(7), report);
        assert_eq!((record.state, record.detail.as_deref()), (state, detail));
        let counts = (record.files, record.bytes, record.failed, record.deleted);
        assert_eq!(counts, (1, 2, 3, 4));
    }

    #[test]
    fn the_history_tells_what_goes_on_later_from_what_failed() {
        let refused = |code| JobEnd::Refused(Refused::new(code, "a\nb"));
        check(JobEnd::Complete, JobState::Complete, None);
        check(JobEnd::GivenUp, JobState::Parked, Some("the sender gave it up"));
        check(JobEnd::LinkLost("timed out".into()), JobState::Parked, Some("timed out"));
        check(refused(RefusalCode::Stopping), JobState::Parked, Some("a\\nb"));
        check(refused(RefusalCode::Revoked), JobState::Failed, Some("a\\nb"));
    }
}
