//! A destination on another site: links over QUIC to an agent that was paired.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use quicopy_certs::tls::{ClientTls, Purpose, client_tls};
use quicopy_certs::{Fingerprint, Identity, KnownAgents, StateDir};
use quicopy_engine::source::StopFlag;
use quicopy_protocol::code::RefusalCode;
use quicopy_protocol::congestion::{Estimate, Gauge, Policy, Settings};
use quicopy_protocol::limits::TEXT_BYTES_MAX;
use quicopy_protocol::link::{Capacities, SenderLink};
use quicopy_protocol::message::Refused;
use quicopy_protocol::path::RelPath;
use quicopy_protocol::text::with_causes;
use quicopy_protocol::transport::{Compression, DialError, Dialer, sender_link};
use tokio::runtime::Handle;

use super::dial::NoLink;
use super::link_limit::LinkLimit;
use super::memory::{self, LinkMemory};
use super::stopped;
use crate::cli::{Address, DEFAULT_PORT, Pace, RemoteFolder};

/// How long the packet that ends a connection may take to leave. The conversation has ended in order before; should that
/// packet be lost, the agent's idle timeout does its work.
const PATIENCE: Duration = Duration::from_millis(30);

/// An agent that was paired, and the folder that is asked of it.
pub(super) struct Remote {
    folder: RemoteFolder,
    name: String,
    addresses: Vec<String>,
    pinned: Fingerprint,
    tls: ClientTls,
    dialer: Dialer,
    way: Way,
    memory: LinkMemory,
    /// What the way gave when the job began.
    remembered: Option<Estimate>,
    /// What it gives now, over all connections.
    gauge: Arc<Gauge>,
    _limit: LinkLimit,
    runtime: Handle,
}

/// How the way to the agent is used.
#[derive(Clone, Copy)]
pub(super) struct Way {
    pub(super) policy: Policy,
    pub(super) compression: Compression,
    pub(super) pace: Pace,
}

impl Remote {
    /// Finds the agent among those that are paired.
    ///
    /// # Errors
    /// It is none of them, or this sender's own state cannot be used.
    pub(super) fn new(
        folder: RemoteFolder,
        way: Way,
        state: &Path,
        runtime: Handle,
    ) -> Result<Self, String> {
        let state = StateDir::open_or_create(state).map_err(|error| with_causes(&error))?;
        let agents = KnownAgents::new(&state).list().map_err(|error| with_causes(&error))?;
        let asked = &folder.agent;
        let port = asked.port.unwrap_or(DEFAULT_PORT);
        let typed = Address { host: asked.host.clone(), port: Some(port) }.to_string();
        let known = agents
            .find_named(&asked.host)
            .or_else(|| agents.find_address(&typed))
            .ok_or_else(|| {
                format!(
                    "no agent called {} is paired with this sender; on its host run quicopy-agent invite, then here: \
                     quicopy pair {asked} -",
                    asked.host
                )
            })?;
        // An address that was typed with a port comes first; a name stands for the addresses it was paired with.
        let mut addresses = known.addresses.clone();
        if known.name.as_str() != asked.host || asked.port.is_some() {
            addresses.retain(|address| *address != typed);
            if known.name.as_str() != asked.host {
                addresses.insert(0, typed);
            } else if let Some(first) =
                addresses.first().and_then(|first| Address::parse(first).ok())
            {
                let moved = Address { host: first.host, port: Some(port) };
                addresses.insert(0, moved.to_string());
            }
        }
        let identity = Identity::load_or_create(&state).map_err(|error| with_causes(&error))?;
        let tls = client_tls(&identity, known.fingerprint, Purpose::Job);
        let dialer = {
            let _inside = runtime.enter();
            Dialer::bind().map_err(|error| with_causes(&error))?
        };
        let (name, pinned) = (known.name.to_string(), known.fingerprint);
        let memory = LinkMemory::new(state.path(), &pinned);
        let remembered = memory.recall(Timestamp::now());
        let gauge = Arc::default();
        let limit = LinkLimit::start(way.pace, &gauge, &runtime);
        Ok(Self {
            folder,
            name,
            addresses,
            pinned,
            tls,
            dialer,
            way,
            memory,
            remembered,
            gauge,
            _limit: limit,
            runtime,
        })
    }

    pub(super) fn folder(&self) -> (String, RelPath) {
        (self.folder.share.clone(), self.folder.path.clone())
    }

    /// Waits until the agent was told that the connection has ended, and remembers what the way gave to so many bytes.
    pub(super) fn finish(&self, sent_bytes: u64) {
        // Another policy takes what it is given, and learns nothing of what there is; nor does a limit.
        if let (Policy::Fair, true, Some(estimate)) =
            (self.way.policy, self.way.pace.is_open(), self.gauge.read())
        {
            let learned = memory::learned(self.remembered, estimate, sent_bytes);
            if let Err(error) = self.memory.note(learned, Timestamp::now()) {
                tracing::warn!(%error, "what the link gave could not be remembered");
            }
        }
        let told = async {
            let _ = tokio::time::timeout(PATIENCE, self.dialer.wait_idle()).await;
        };
        self.runtime.block_on(told);
    }

    /// Makes one connection, to the first address that answers, unless the user asks to stop.
    pub(super) fn link(&self, stop: &StopFlag) -> Result<SenderLink, NoLink> {
        self.runtime.block_on(async {
            tokio::select! {
                linked = self.dial_any() => linked,
                () = stopped(stop) => Err(NoLink::Later("stopped".to_owned())),
            }
        })
    }

    async fn dial_any(&self) -> Result<SenderLink, NoLink> {
        let mut reasons = Vec::new();
        for address in &self.addresses {
            match self.dial(address).await {
                Ok(link) => return Ok(link),
                Err(NoLink::Later(reason)) => reasons.push(reason),
                Err(fatal) => return Err(fatal),
            }
        }
        let mut reason = match reasons.is_empty() {
            true => format!("no address of the agent {} is known; pair it again", self.name),
            false => reasons.join("; "),
        };
        quicopy_protocol::text::cut(&mut reason, TEXT_BYTES_MAX);
        Err(NoLink::Later(reason))
    }

    async fn dial(&self, address: &str) -> Result<SenderLink, NoLink> {
        let later = |reason: String| NoLink::Later(format!("{address}: {reason}"));
        let resolved: Vec<SocketAddr> = tokio::net::lookup_host(address)
            .await
            .map_err(|error| later(format!("the name cannot be resolved: {error}")))?
            .collect();
        let mut last = "the name has no address".to_owned();
        for socket in resolved {
            let dialer = self.dialer.clone().with_congestion(self.congestion());
            match dialer.connect(socket, self.tls.config.clone()).await {
                Ok(connection) => {
                    let linked =
                        sender_link(connection, Capacities::default(), self.way.compression);
                    return linked.await.map_err(|error| {
                        if error.is_denied() {
                            return NoLink::Fatal(not_known().reason);
                        }
                        later(with_causes(&error))
                    });
                }
                Err(error) => {
                    if let Some(shown) = self.tls.stranger() {
                        return Err(NoLink::Fatal(self.changed_key(shown)));
                    }
                    if error.is_denied() {
                        return Err(NoLink::Fatal(not_known().reason));
                    }
                    last = match error {
                        DialError::TimedOut { .. } => format!(
                            "no answer over UDP: is the agent running, and does a firewall let UDP port {} through?",
                            socket.port()
                        ),
                        _ => with_causes(&error),
                    };
                }
            }
        }
        Err(later(last))
    }

    /// A connection begins with what the one before it gave, or an earlier job.
    fn congestion(&self) -> Settings {
        Settings {
            policy: self.way.policy,
            remembered: self.gauge.read().or(self.remembered),
            gauge: Arc::clone(&self.gauge),
        }
    }

    fn changed_key(&self, shown: Fingerprint) -> String {
        format!(
            "the agent {name} shows another key than the one it was paired with, and nothing was sent; pinned: {pinned}; \
             shown: {shown}; if the agent was set up anew, let its administrator confirm the key, then: quicopy agents \
             forget {name}, and pair it again",
            name = self.name,
            pinned = self.pinned,
        )
    }
}

/// What to say when the agent's TLS denies this sender access.
pub(super) fn not_known() -> Refused {
    Refused::new(
        RefusalCode::NotPermitted,
        "the agent does not know this sender, or knows it no longer; on its host run quicopy-agent invite, then here: \
         quicopy pair",
    )
}
