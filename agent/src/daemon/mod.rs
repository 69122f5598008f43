//! What runs: the listener, the jobs, the control socket, and their end.

mod accept;
mod admit;
mod live;
mod lock_table;
mod locks;
mod notify;
mod pair;
mod serve;
mod trust;

use quicopy_protocol::text::with_causes;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quicopy_certs::{IdentityError, StateDir, StoreError, tls};
use quicopy_engine::disk::Share as Folder;
use quicopy_engine::disk::share::PARTIAL_AGE_MAX;
use quicopy_engine::trash::{Sweep, Swept};
use quicopy_protocol::code::RefusalCode;
use quicopy_protocol::link::{Close, CloseCode};
use quicopy_protocol::message::JobId;
use quicopy_protocol::transport::{Listener, SocketError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use self::accept::Strangers;
use self::live::{Live, LiveJob};
use self::lock_table::{Owner, Tree};
use self::locks::Locks;
use self::notify::ServiceManager;
use self::pair::JoinRate;
use self::trust::Trust;
use crate::config::{Config, Limits};
use crate::control::ControlSocket;
use crate::history::JobRecord;
use crate::job::failed_inside;
use crate::office::Office;
use crate::request::{Reply, Request};
use crate::share::{self, Share, ShareError, ShareName};
use crate::state::{AgentLock, AgentLockError};
use crate::trash;

/// How often the peer file is looked at while jobs run: half of the second within which a revocation acts.
const TRUST_INTERVAL: Duration = Duration::from_millis(500);
/// How often expired invitations and partial files that nobody came back for are cleared away.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// Time for jobs to park when the agent stops, and for their senders to hear of it.
const PARK_PATIENCE: Duration = Duration::from_millis(1700);
/// When the agent is gone, whatever hangs.
const STOP_DEADLINE: Duration = Duration::from_millis(1950);

/// Entries that one sweep removes from one share's trash: some ten seconds of work. The rest goes an hour later.
const SWEEP_ENTRIES_MAX: u64 = 200_000;

/// As whom the administrator's commands hold locks.
const OFFICE_JOB: JobId = JobId([0; 16]);

/// Said to senders whose job ends because the agent does.
const STOPPING: &str = "the agent is stopping; the job goes on where it was when the agent is back";
/// Said to senders whose rights were withdrawn.
const REVOKED: &str = "the right to this was withdrawn on the agent";

/// Why the agent does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A share cannot be served.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StoreError),
    /// Another agent runs on it.
    #[error(transparent)]
    Lock(#[from] AgentLockError),
    /// There is no key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// There is nothing to serve.
    #[error("no share is configured; name one with --share NAME=PATH, or in {}", config_file(.file))]
    NoShares {
        /// The configuration file, if one was read.
        file: Option<PathBuf>,
    },
    /// The address cannot be used.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The control socket cannot be made.
    #[error("cannot make the control socket in {folder}", folder = .folder.display())]
    Control {
        /// The state folder.
        folder: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The UDP socket failed while the agent ran.
    #[error("the UDP socket has failed; the agent cannot go on")]
    SocketLost,
    /// Threads or signals cannot be had.
    #[error("the system does not let the agent start")]
    System(#[source] io::Error),
}

fn config_file(file: &Option<PathBuf>) -> String {
    file.as_ref().map_or("the configuration file".into(), |file| file.display().to_string())
}

/// The running agent.
#[derive(Debug)]
pub(crate) struct Agent {
    office: Office,
    trust: Trust,
    live: Arc<Live>,
    locks: Arc<Locks<LiveJob>>,
    joins: JoinRate,
    strangers: Strangers,
    stopping: AtomicBool,
}

/// Runs the agent until a signal ends it.
///
/// # Errors
/// It cannot start; once it runs, it returns when it is told to stop.
pub fn run(config: Config) -> Result<(), RunError> {
    if config.shares.is_empty() {
        return Err(RunError::NoShares { file: config.file });
    }
    let dir = StateDir::open_or_create(&config.state_folder)?;
    let _lock = AgentLock::take(&dir)?;
    share::check_folders(&config.shares, dir.path())?;
    forbid_core_dumps();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(RunError::System)?;
    let stopped = runtime.block_on(async {
        let stop = StopSignal::listen().map_err(RunError::System)?;
        let running = Running::start(&dir, config).await?;
        running.until(stop.wait()).await
    });
    // What hangs in a system call must not keep the process: partial files are made to survive that.
    runtime.shutdown_background();
    stopped
}

/// A core dump would hold the key.
fn forbid_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!("core dumps cannot be switched off: {error}");
    }
}

/// SIGTERM or SIGINT, heard from the moment this is made.
struct StopSignal {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    /// Heard and passed over: a file beyond the size limit is an error of that file, not the end of the agent.
    _oversize: tokio::signal::unix::Signal,
}

/// Source: signal(7), the same number on every Linux that Rust compiles for but MIPS.
const SIGXFSZ: i32 = 25;

impl StopSignal {
    fn listen() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let oversize = signal(SignalKind::from_raw(SIGXFSZ))?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())?, _oversize: oversize })
    }

    async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// An agent that listens.
struct Running {
    agent: Arc<Agent>,
    listener: Listener,
    control: ControlSocket,
}

impl Running {
    async fn start(dir: &StateDir, config: Config) -> Result<Self, RunError> {
        let limits = config.limits;
        let listen = config.listen;
        let agent = Arc::new(Agent::open(dir, config, limits)?);
        let identity = &agent.office.identity;
        let tls = tls::server_config(identity, accept::admission(&agent));
        let listener = Listener::bind(listen, tls, &reset_key(&agent))?;
        let address = listener.local_addr().unwrap_or(listen);
        agent.office.found_at(address);
        let control = ControlSocket::bind(dir)
            .map_err(|source| RunError::Control { folder: dir.path().into(), source })?;
        agent.announce(address, &listener);
        Ok(Self { agent, listener, control })
    }

    /// Serves until `stop` comes, then parks what runs.
    async fn until(self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        let Self { agent, listener, control } = self;
        let manager = ServiceManager::of_process();
        manager.say("READY=1");
        let mut accepting = tokio::spawn(accept::accept(Arc::clone(&agent), listener.clone()));
        let answering = Arc::clone(&agent);
        let answer = move |request| Arc::clone(&answering).answer(request);
        let end = tokio::select! {
            () = stop => Ok(()),
            _ = &mut accepting => Err(RunError::SocketLost),
            () = control.serve(answer) => Ok(()),
            () = agent.watch_trust() => Ok(()),
            () = agent.sweep_now_and_then() => Ok(()),
            () = manager.keep_alive() => Ok(()),
        };
        manager.say("STOPPING=1");
        accepting.abort();
        agent.stop(&listener).await;
        end
    }
}

impl Agent {
    fn open(dir: &StateDir, config: Config, limits: Limits) -> Result<Self, RunError> {
        let office = Office::open(dir, config.shares, config.listen)?;
        let trust = Trust::begin(&office)?;
        Ok(Self {
            office,
            trust,
            live: Live::new(limits),
            locks: Locks::new(),
            joins: JoinRate::default(),
            strangers: Strangers::new(),
            stopping: AtomicBool::new(false),
        })
    }

    /// Says once what somebody looks for who just started an agent.
    fn announce(&self, address: SocketAddr, listener: &Listener) {
        let version = env!("CARGO_PKG_VERSION");
        let fingerprint = self.office.identity.fingerprint();
        tracing::info!(
            "quicopy-agent {version} listening on {address} (UDP), fingerprint {fingerprint}"
        );
        for share in &self.office.shares {
            match self.office.online(share) {
                Ok(_) => tracing::info!("share {}: {}", share.name, share.path.display()),
                Err(offline) => tracing::error!("{}", with_causes(&offline)),
            }
        }
        let buffers = listener.buffers();
        if !buffers.are_ample() {
            tracing::info!(
                "UDP buffers are {} and {} bytes; for fast links raise net.core.rmem_max and net.core.wmem_max to 8388608",
                buffers.receive,
                buffers.send
            );
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Carries out what comes through the control socket. What looks at a trash takes as long as there is in it.
    async fn answer(self: Arc<Self>, request: Request) -> Reply {
        let answered = tokio::task::spawn_blocking(move || self.answer_now(request)).await;
        answered.unwrap_or_else(|panic| Reply::Failed { reason: failed_inside(&panic) })
    }

    fn answer_now(&self, request: Request) -> Reply {
        let lists_jobs = request == Request::Jobs;
        let mut reply = match request {
            Request::Restore { id, to, share } => self.restore(&id, to.as_deref(), share.as_ref()),
            request => self.office.carry_out(request),
        };
        if let Reply::Jobs { jobs } = &mut reply
            && lists_jobs
        {
            jobs.extend(self.live.jobs().iter().map(|job| JobRecord::clone(&job.record)));
        }
        self.enforce_trust();
        reply
    }

    /// Gives something back from the trash while no job works where it goes.
    fn restore(&self, id: &str, to: Option<&str>, share: Option<&ShareName>) -> Reply {
        let restoring = match self.office.find_in_trash(id, to, share) {
            Ok(restoring) => restoring,
            Err(error) => return Reply::Failed { reason: with_causes(&error) },
        };
        let tree = Tree { share: restoring.share.clone(), path: restoring.tree() };
        let owner = Owner { peer: self.office.identity.fingerprint(), job: OFFICE_JOB };
        match self.locks.try_hold(&tree, owner) {
            Ok(_lock) => Reply::Restored(restoring.carry_out()),
            Err(busy) => Reply::Failed { reason: busy.to_string() },
        }
    }

    /// Ends jobs whose rights were withdrawn.
    fn enforce_trust(&self) {
        for job in self.live.jobs() {
            let LiveJob { owner, rights, record, .. } = &*job;
            if !self.trust.still_allows(&self.office, &owner.peer, rights) {
                tracing::warn!(job = %owner.job, "{}: {REVOKED}", record.label);
                job.park(RefusalCode::Revoked, REVOKED);
            }
        }
    }

    async fn watch_trust(&self) {
        let mut tick = interval(TRUST_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.enforce_trust();
        }
    }

    async fn sweep_now_and_then(self: &Arc<Self>) {
        let mut tick = interval(SWEEP_INTERVAL);
        loop {
            tick.tick().await;
            let agent = Arc::clone(self);
            // A panic in there has been reported, and costs one sweep.
            let _ = tokio::task::spawn_blocking(move || agent.sweep()).await;
        }
    }

    /// Clears away what nobody came back for.
    fn sweep(&self) {
        if let Err(error) =
            self.office.invitations.prune(quicopy_certs::pairing::invite::Now::read())
        {
            tracing::warn!("{}", with_causes(&error));
        }
        for share in &self.office.shares {
            if let Ok(open) = self.office.online(share) {
                sweep(share, &open.folder);
            }
        }
    }

    /// Parks every job, tells the senders, and gives up waiting after [`STOP_DEADLINE`].
    async fn stop(&self, listener: &Listener) {
        let begin = Instant::now();
        self.stopping.store(true, Ordering::Release);
        let jobs = self.live.jobs();
        tracing::info!("stopping; {} jobs are parked", jobs.len());
        jobs.iter().for_each(|job| job.park(RefusalCode::Stopping, STOPPING));
        if timeout_at(begin + PARK_PATIENCE, self.live.all_ended()).await.is_err() {
            tracing::warn!(
                "some jobs did not park in time; they resume from their last checkpoint"
            );
        }
        let close =
            Close { code: CloseCode::Refused(RefusalCode::Stopping), reason: STOPPING.into() };
        // The rest learn it from the first packet they send to the next agent.
        let _ = timeout_at(begin + STOP_DEADLINE, listener.close(&close)).await;
    }
}

/// Clears away what is too old in a share's private folder.
fn sweep(share: &Share, folder: &Folder) {
    let (name, now) = (&share.name, trash::now());
    match folder.sweep(PARTIAL_AGE_MAX, now) {
        Ok(0) => {}
        Ok(count) => tracing::info!("share {name}: {count} partial files were given up"),
        Err(error) => tracing::warn!("share {name}: {}", with_causes(&error)),
    }
    let rules = Sweep { days: share.trash_days, now: Some(now), entries_max: SWEEP_ENTRIES_MAX };
    match quicopy_engine::trash::sweep(folder, &rules) {
        Ok(Swept { batches: 0, .. }) => {}
        Ok(Swept { size, .. }) => {
            let (entries, bytes) = (size.entries, size.bytes);
            tracing::info!(
                "share {name}: {entries} entries of the trash were given up, {bytes} bytes"
            );
        }
        Err(error) => tracing::warn!("share {name}: its trash: {error}"),
    }
}

/// The same for every start of an agent with this identity, so that a restart ends old connections at once.
fn reset_key(agent: &Agent) -> [u8; 64] {
    let identity = &agent.office.identity;
    let mut key = [0; 64];
    let (first, second) = key.split_at_mut(32);
    first.copy_from_slice(&*identity.derive_key("quicopy-agent 1 stateless reset, first half"));
    second.copy_from_slice(&*identity.derive_key("quicopy-agent 1 stateless reset, second half"));
    key
}

#[cfg(test)]
mod tests;
