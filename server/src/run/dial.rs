//! Where links come from: [`Dial`].

use std::path::Path;

use quicopy_engine::source::StopFlag;
use quicopy_protocol::link::SenderLink;
use quicopy_protocol::path::RelPath;
use tokio::runtime::Handle;

use super::{local, remote};
use crate::cli::{Destination, Job, Pace};

/// Why there is no link.
pub(super) enum NoLink {
    /// Trying again cannot help.
    Fatal(String),
    /// It may work later.
    Later(String),
}

/// Where links come from.
pub(super) enum Dial {
    Local(local::Embedded),
    Remote(Box<remote::Remote>),
}

impl Dial {
    /// Makes ready for links to a job's destination, which are bounded by `pace`.
    ///
    /// # Errors
    /// There can be none, for the reason given.
    pub(super) fn new(
        job: &Job,
        pace: Pace,
        state: &Path,
        runtime: &Handle,
    ) -> Result<Self, String> {
        Ok(match &job.destination {
            Destination::Local(path) => Self::Local(local::Embedded::new(
                path.clone(),
                job.policy.list_only,
                state,
                runtime.clone(),
            )),
            Destination::Remote(folder) => {
                let way =
                    remote::Way { policy: job.link_policy, compression: job.compression, pace };
                let remote = remote::Remote::new(folder.clone(), way, state, runtime.clone())?;
                Self::Remote(Box::new(remote))
            }
        })
    }

    pub(super) fn link(&self, stop: &StopFlag) -> Result<SenderLink, NoLink> {
        match self {
            Self::Local(embedded) => Ok(embedded.link()),
            Self::Remote(remote) => remote.link(stop),
        }
    }

    /// Waits until the other end has left everything in order, as far as it is this process's business; `sent_bytes` went
    /// over its links.
    pub(super) fn finish(&self, sent_bytes: u64) {
        match self {
            Self::Local(embedded) => embedded.finish(),
            Self::Remote(remote) => remote.finish(sent_bytes),
        }
    }

    /// The share and the path below it that the agent is asked for.
    pub(super) fn folder(&self) -> (String, RelPath) {
        match self {
            Self::Local(embedded) => ("local".to_owned(), embedded.root()),
            Self::Remote(remote) => remote.folder(),
        }
    }
}
