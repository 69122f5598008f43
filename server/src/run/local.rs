//! A destination on this machine: an agent embedded in this process, over the same session, without a network.

use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use quicopy_agent::job::{self, Asked, origin};
use quicopy_engine::destination::{Rights, Setup, TrashRules, time_step_nanos};
use quicopy_engine::disk::share::PARTIAL_AGE_MAX;
use quicopy_engine::disk::{Share, advised};
use quicopy_engine::index::{Index, IndexError};
use quicopy_engine::purge::{DefaultLimit, GuardRules};
use quicopy_engine::trash::{self, Sweep};
use quicopy_protocol::code::RefusalCode;
use quicopy_protocol::link::{self, AgentLink, Capacities, SenderLink};
use quicopy_protocol::message::{JobOpened, Refused};
use quicopy_protocol::meta::Timestamp;
use quicopy_protocol::path::RelPath;
use quicopy_protocol::text::with_causes;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Folder of the sender's state for what it remembers of local destinations.
const INDEX_DIR: &str = "local-indexes";

/// A local destination.
pub(super) struct Embedded {
    /// The folder to write, and the path below it: the path is empty unless the folder must not be made.
    base: PathBuf,
    root: RelPath,
    destination: PathBuf,
    index: PathBuf,
    runtime: Handle,
    /// The agent of the last attempt.
    agent: Mutex<Option<JoinHandle<()>>>,
}

impl Embedded {
    /// A destination that is made when it is missing, but not by a job that only lists.
    pub(super) fn new(
        destination: PathBuf,
        list_only: bool,
        state: &Path,
        runtime: Handle,
    ) -> Self {
        let (base, root) = match list_only {
            true => nearest(&destination),
            false => (destination.clone(), RelPath::ROOT),
        };
        let key = blake3_hex(destination.as_os_str().as_bytes());
        let index = state.join(INDEX_DIR).join(format!("{key}.redb"));
        Self { base, root, destination, index, runtime, agent: Mutex::new(None) }
    }

    pub(super) fn root(&self) -> RelPath {
        self.root.clone()
    }

    /// Starts an agent for one attempt, once that of the last attempt has left everything in order.
    pub(super) fn link(&self) -> SenderLink {
        self.finish();
        let (sender, agent) = link::pair(Capacities::default());
        let (base, destination, index) =
            (self.base.clone(), self.destination.clone(), self.index.clone());
        let agent = self.runtime.spawn(async move {
            let program = concat!("quicopy ", env!("CARGO_PKG_VERSION"), " (embedded)");
            if let Ok(asked) = job::greet(&agent, program).await {
                serve(agent, asked, &base, &destination, &index).await;
            }
        });
        *self.agent.lock().unwrap_or_else(PoisonError::into_inner) = Some(agent);
        sender
    }

    /// Waits until the agent has left everything in order.
    pub(super) fn finish(&self) {
        let agent = self.agent.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(agent) = agent {
            let _ = self.runtime.block_on(agent);
        }
    }
}

/// The longest existing beginning of a path, and the rest.
fn nearest(destination: &Path) -> (PathBuf, RelPath) {
    let mut base = destination.to_owned();
    let mut rest: Vec<Vec<u8>> = Vec::new();
    while !base.is_dir() {
        let Some(name) = base.file_name().map(|name| name.as_bytes().to_vec()) else { break };
        if !base.pop() {
            break;
        }
        rest.insert(0, name);
    }
    match RelPath::parse(&rest.join(&b'/')) {
        Ok(root) => (base, root),
        Err(_) => (destination.to_owned(), RelPath::ROOT),
    }
}

async fn serve(agent: AgentLink, asked: Asked, base: &Path, destination: &Path, index: &Path) {
    let list_only = asked.open.policy.list_only;
    let (folder, rest) = nearest(destination);
    let overlap = match origin::overlaps(&asked.open.origin, &folder, &rest) {
        Ok(false) => None,
        Ok(true) => Some("source and destination are one tree, or one holds the other".to_owned()),
        Err(error) => {
            Some(format!("it cannot be told whether source and destination overlap: {error}"))
        }
    };
    if let Some(reason) = overlap {
        let reason = format!("{reason}; nothing was changed");
        return asked.refuse(agent, Refused { code: RefusalCode::Overlap, reason }).await;
    }
    let share = match list_only {
        true => Share::open(base),
        false => Share::open_or_make(base),
    };
    let share = match share {
        Ok(share) => Arc::new(share),
        Err(error) => {
            let reason = format!("{}; nothing was changed", with_causes(&error));
            let refused = Refused { code: RefusalCode::DestinationFailed, reason };
            return asked.refuse(agent, refused).await;
        }
    };
    let index = match open_index(index, list_only) {
        Ok(index) if list_only || !share.is_in_use() => index,
        Ok(_) | Err(Busy) => {
            let reason =
                "another quicopy job copies into this folder; it is tried again under /R and /W"
                    .to_owned();
            return asked.refuse(agent, Refused { code: RefusalCode::Busy, reason }).await;
        }
    };
    if !list_only {
        sweep(&share);
    }
    let first_job =
        index.as_ref().is_none_or(|index| !index.has_any_below(&asked.open.path).unwrap_or(false));
    let durability = advised(share.root());
    let opened = JobOpened {
        time_step_nanos: time_step_nanos(&share, !list_only),
        conflicts_known: index.is_some() && !first_job,
        first_job,
        durability,
        trash_days: asked.open.policy.trash_days,
    };
    let setup = Setup {
        share: Arc::clone(&share),
        root: asked.open.path.clone(),
        peer: [0; 32],
        policy: asked.open.policy.clone(),
        rights: Rights { owner: true, outside_links: true },
        index,
        guards: GuardRules { default_limit: DefaultLimit::Off, share_max: None },
        trash: asked.open.policy.trash_days.map(|days| TrashRules {
            job: asked.open.job.0,
            by: asked.open.label.clone(),
            days,
        }),
        require_marker: None,
        durability,
        time_step_nanos: opened.time_step_nanos,
        started: SystemTime::now(),
        clock: Instant::now,
    };
    let (_commands, none) = async_channel::bounded(1);
    job::serve(agent, asked, opened, setup, none).await;
    if let Err(error) = share.tidy() {
        tracing::warn!(%error, "the folder .quicopy could not be removed");
    }
}

/// Entries of the trash that one job removes before it begins: nobody waits for long. The rest goes with the next jobs.
const SWEEP_ENTRIES_MAX: u64 = 20_000;

/// Removes partial files of earlier jobs that nobody came back for, and what was in the trash for long enough, as an agent
/// does in its shares.
fn sweep(share: &Share) {
    let now = jiff::Timestamp::now();
    let now = Timestamp { seconds: now.as_second(), nanos: now.subsec_nanosecond().unsigned_abs() };
    match share.sweep(PARTIAL_AGE_MAX, now) {
        Ok(0) => {}
        Ok(count) => tracing::info!("{count} partial files were given up"),
        Err(error) => tracing::warn!("{}", with_causes(&error)),
    }
    let rules = Sweep { days: None, now: Some(now), entries_max: SWEEP_ENTRIES_MAX };
    if let Err(error) = trash::sweep(share, &rules) {
        tracing::warn!(%error, "the destination's trash could not be looked through");
    }
}

/// Another job into the same folder runs.
struct Busy;

/// The memory of earlier jobs into this folder, which also keeps jobs into it apart. Without it only conflicts are not
/// seen.
fn open_index(path: &Path, list_only: bool) -> Result<Option<Arc<Index>>, Busy> {
    if list_only && !path.exists() {
        return Ok(None);
    }
    let open = || -> std::io::Result<std::fs::File> {
        std::fs::create_dir_all(path.parent().unwrap_or(path))?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
    };
    match open().map(Index::open) {
        Ok(Ok(index)) => return Ok(Some(Arc::new(index))),
        Ok(Err(IndexError::InUse)) if !list_only => return Err(Busy),
        Ok(Err(error)) => tracing::warn!(error = with_causes(&error), "conflicts are not known"),
        Err(error) => tracing::warn!(%error, "conflicts are not known"),
    }
    Ok(None)
}

fn blake3_hex(bytes: &[u8]) -> String {
    quicopy_protocol::meta::Digest::of(bytes).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::{self, File};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_job_removes_what_no_job_came_back_for() {
        let temp = tempfile::tempdir().unwrap();
        let share = Share::open(temp.path()).unwrap();
        share.private().unwrap();
        let partial = temp.path().join(".quicopy/partial");
        for (stem, age) in
            [("old", PARTIAL_AGE_MAX + Duration::from_secs(60)), ("new", Duration::ZERO)]
        {
            for extension in ["part", "log"] {
                let file = File::create(partial.join(format!("{stem}.{extension}"))).unwrap();
                file.set_modified(SystemTime::now() - age).unwrap();
            }
        }
        sweep(&share);
        let mut left: Vec<_> =
            fs::read_dir(partial).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["new.log", "new.part"]);
    }
}
