//! Whom the agent trusts at this moment, as its peer file says, or said last when it could still be read.

use quicopy_protocol::text::with_causes;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use quicopy_certs::pairing::invite::Now;
use quicopy_certs::{Fingerprint, KnownSender, PeerList, Permits, StoreError};

use crate::office::Office;
use crate::share::ShareName;

/// The peer file as it was last read well.
#[derive(Debug)]
pub(super) struct Trust {
    last: Mutex<Last>,
}

#[derive(Debug)]
struct Last {
    senders: Arc<PeerList<KnownSender>>,
    /// What is wrong with the file now. Said once, and again if it changes.
    broken: Option<String>,
}

impl Trust {
    /// Reads the peer file for the first time.
    ///
    /// # Errors
    /// It cannot be read or does not parse: an agent does not start without knowing whom to trust.
    pub(super) fn begin(office: &Office) -> Result<Self, StoreError> {
        let senders = office.senders.list()?;
        Ok(Self { last: Mutex::new(Last { senders, broken: None }) })
    }

    /// The senders that are known. A file that broke is as it was before: one typing mistake must not stop every
    /// backup, nor let anybody in.
    pub(super) fn senders(&self, office: &Office) -> Arc<PeerList<KnownSender>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match office.senders.list() {
            Ok(senders) => {
                if last.broken.take().is_some() {
                    tracing::info!("the peer file can be read again");
                }
                last.senders = senders;
            }
            Err(error) => {
                let reason = with_causes(&error);
                if last.broken.as_ref() != Some(&reason) {
                    tracing::error!(
                        "{reason}; going on with the senders known before, and pairing with nobody"
                    );
                    last.broken = Some(reason);
                }
            }
        }
        Arc::clone(&last.senders)
    }

    /// Whether a sender of this key is known, be its entry expired or not.
    pub(super) fn knows(&self, office: &Office, peer: &Fingerprint) -> bool {
        self.senders(office).find(peer).is_some()
    }

    /// Whether anybody may join: never while the peer file is broken.
    pub(super) fn joins_open(&self, office: &Office) -> bool {
        self.senders(office);
        if self.last.lock().unwrap_or_else(PoisonError::into_inner).broken.is_some() {
            return false;
        }
        office.invitations.any_open(Now::read()).unwrap_or_else(|error| {
            tracing::error!("{}; nobody can join", with_causes(&error));
            false
        })
    }

    /// Whether a job that began with `rights` may go on.
    pub(super) fn still_allows(
        &self,
        office: &Office,
        peer: &Fingerprint,
        rights: &Rights,
    ) -> bool {
        let senders = self.senders(office);
        senders.find(peer).is_some_and(|sender| {
            sender.check_expiry(SystemTime::now()).is_ok()
                && sender.shares.contains(rights.share.as_str())
                && rights.permits.iter().all(|permit| sender.permits.allows(permit))
        })
    }
}

/// What a job was let in with.
#[derive(Clone, Debug)]
pub(super) struct Rights {
    /// The share it works in.
    pub(super) share: ShareName,
    /// What it may do there.
    pub(super) permits: Permits,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use quicopy_certs::Shares;

    use super::*;
    use crate::office::tests::office;

    fn key() -> Fingerprint {
        Fingerprint::from_bytes([1; 32])
    }

    fn sender(permits: &str, shares: Shares) -> KnownSender {
        KnownSender {
            name: "web".parse().unwrap(),
            fingerprint: key(),
            permits: permits.parse().unwrap(),
            shares,
            paired_at: SystemTime::UNIX_EPOCH,
            not_after: None,
        }
    }

    #[test]
    fn a_peer_file_that_breaks_keeps_who_is_known_and_lets_nobody_join() {
        let (_temp, dir, office) = office();
        office.senders.add(sender("write", Shares::All)).unwrap();
        let request = crate::request::Request::Invite {
            shares: vec![],
            permits: Permits::DEFAULT,
            ttl_seconds: 60,
        };
        office.carry_out(request);
        let trust = Trust::begin(&office).unwrap();
        assert!(trust.knows(&office, &key()) && trust.joins_open(&office));
        let file = dir.path().join("known-senders.toml");
        let good = std::fs::read(&file).unwrap();
        std::fs::write(&file, "version = 1\npear = 1\n").unwrap();
        assert!(trust.knows(&office, &key()) && !trust.joins_open(&office));
        assert!(Trust::begin(&office).is_err());
        std::fs::write(&file, good).unwrap();
        assert!(trust.joins_open(&office));
    }

    #[test]
    fn a_job_goes_on_as_long_as_its_rights_stand() {
        let (_temp, _dir, office) = office();
        office.senders.add(sender("write,delete", Shares::All)).unwrap();
        let trust = Trust::begin(&office).unwrap();
        let rights =
            Rights { share: "data".parse().unwrap(), permits: "write,delete".parse().unwrap() };
        let allowed = || trust.still_allows(&office, &key(), &rights);
        assert!(allowed());
        office.senders.permit("web", "write,delete,owner".parse().unwrap()).unwrap();
        assert!(allowed(), "more rights are no reason to stop");
        office.senders.permit("web", "write".parse().unwrap()).unwrap();
        assert!(!allowed());
        office.senders.add(sender("write,delete", Shares::only(["www"]).unwrap())).unwrap();
        assert!(!allowed());
        let not_after = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1));
        let expired = KnownSender { not_after, ..sender("write,delete", Shares::All) };
        office.senders.add(expired).unwrap();
        assert!(!allowed() && trust.knows(&office, &key()));
        office.senders.revoke("web").unwrap();
        assert!(!allowed() && !trust.knows(&office, &key()));
    }
}
