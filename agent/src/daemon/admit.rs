//! Whether a sender may do what its job asks for. Decided anew for every job, by the key of the live connection.

use std::time::SystemTime;

use quicopy_certs::{KnownSender, Permit, Permits};
use quicopy_protocol::code::RefusalCode;
use quicopy_protocol::message::{OpenJob, Refused};

use super::trust::Rights;
use crate::share::Share;

/// A job that may be done, once its share is there and its tree is free.
#[derive(Debug)]
pub(super) struct Admitted<'a> {
    /// Who wants it.
    pub(super) sender: &'a KnownSender,
    /// Where.
    pub(super) share: &'a Share,
    /// With what rights.
    pub(super) rights: Rights,
}

/// Decides whether the job may be done, or returns the refusal to send.
///
/// `sender` is the entry of the connection's key, `share` the one that the job names, where there are such. The answer
/// never tells a share that does not exist from one that is out of reach.
pub(super) fn admit<'a>(
    open: &OpenJob,
    sender: Option<&'a KnownSender>,
    share: Option<&'a Share>,
    now: SystemTime,
) -> Result<Admitted<'a>, Refused> {
    let Some(sender) = sender else {
        return refuse(RefusalCode::Revoked, "this sender is not known here any more");
    };
    let name = &sender.name;
    if let Err(expired) = sender.check_expiry(now) {
        return refuse(RefusalCode::NotPermitted, &format!("{expired}; pair again"));
    }
    let reachable = share.filter(|share| sender.shares.contains(share.name.as_str()));
    let Some(share) = reachable.filter(|_| sender.permits.allows(Permit::Write)) else {
        let reason = format!(
            "this sender ({name}) may not write to a share of that name here, or there is none; see on the agent: quicopy-agent peers"
        );
        return refuse(RefusalCode::NotPermitted, &reason);
    };
    if open.path.names().any(|name| name.is_reserved()) {
        return refuse(
            RefusalCode::NotPermitted,
            "the destination folder is one that the agent keeps for itself",
        );
    }
    let needed = needed(open);
    let lacking =
        needed.iter().filter(|permit| !sender.permits.allows(*permit)).collect::<Vec<_>>();
    if let Some(first) = lacking.first() {
        let wanted = sender.permits.iter().chain(lacking.iter().copied()).collect::<Permits>();
        let (code, what) = match first {
            Permit::Delete => (RefusalCode::DeleteNotPermitted, "delete"),
            Permit::Owner => (RefusalCode::NotPermitted, "set owners and access lists"),
            Permit::Write | Permit::OutsideLinks => (RefusalCode::NotPermitted, "do that"),
        };
        let reason = format!(
            "this sender ({name}) may not {what}; allow it on the agent: quicopy-agent peers permit {name} {wanted}"
        );
        return refuse(code, &reason);
    }
    // Links are judged one by one, so the permit for them is passed on and never demanded.
    let used = sender
        .permits
        .iter()
        .filter(|permit| needed.allows(*permit) || *permit == Permit::OutsideLinks);
    let rights = Rights { share: share.name.clone(), permits: used.collect() };
    Ok(Admitted { sender, share, rights })
}

/// What the job cannot do without. To look (`/L`) takes no more than to write.
fn needed(open: &OpenJob) -> Permits {
    let policy = &open.policy;
    let acts = !policy.list_only;
    let deletes = acts && policy.purge;
    // An access list gives rights to others as an owner does.
    let owns = acts && [policy.copy, policy.dcopy].iter().any(|copy| copy.owner || copy.security);
    [(Permit::Write, true), (Permit::Delete, deletes), (Permit::Owner, owns)]
        .into_iter()
        .filter_map(|(permit, needed)| needed.then_some(permit))
        .collect()
}

fn refuse<T>(code: RefusalCode, reason: &str) -> Result<T, Refused> {
    Err(Refused::new(code, reason))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use quicopy_certs::{Fingerprint, Shares};
    use quicopy_protocol::message::{JobId, Origin};
    use quicopy_protocol::options::JobPolicy;
    use quicopy_protocol::path::RelPath;

    use super::*;
    use crate::share;

    fn job(policy: JobPolicy) -> OpenJob {
        OpenJob {
            job: JobId([1; 16]),
            attempt: 0,
            share: "data".into(),
            path: RelPath::ROOT,
            policy,
            origin: Origin { machine: [0; 32], chain: vec![] },
            label: "web01:/srv".into(),
        }
    }

    fn sender(permits: &str) -> KnownSender {
        KnownSender {
            name: "web".parse().unwrap(),
            fingerprint: Fingerprint::from_bytes([1; 32]),
            permits: permits.parse().unwrap(),
            shares: Shares::only(["data"]).unwrap(),
            paired_at: SystemTime::UNIX_EPOCH,
            not_after: None,
        }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// The permits in force, or the code.
    fn check(permits: &str, policy: JobPolicy, share: &str) -> Result<String, RefusalCode> {
        let (sender, share) = (sender(permits), share::tests::plain(share, Path::new("/x")));
        admit(&job(policy), Some(&sender), Some(&share), at(5))
            .map(|admitted| admitted.rights.permits.to_string())
            .map_err(|refused| refused.code)
    }

    fn mirror() -> JobPolicy {
        JobPolicy { purge: true, ..JobPolicy::default() }
    }

    #[test]
    fn a_job_gets_what_it_needs_and_no_more() {
        let plain = JobPolicy::default;
        assert_eq!(check("write", plain(), "data"), Ok("write".into()));
        assert_eq!(check("write,delete,owner", plain(), "data"), Ok("write".into()));
        assert_eq!(check("write,delete", mirror(), "data"), Ok("write,delete".into()));
        let links = Ok("write,outside-links".into());
        assert_eq!(check("write,outside-links", plain(), "data"), links);
    }

    #[test]
    fn what_is_not_permitted_is_refused_before_anything_happens() {
        assert_eq!(check("none", JobPolicy::default(), "data"), Err(RefusalCode::NotPermitted));
        assert_eq!(check("write", mirror(), "data"), Err(RefusalCode::DeleteNotPermitted));
        for owns in [
            (|policy| policy.copy.owner = true) as fn(&mut JobPolicy),
            |policy| policy.dcopy.owner = true,
            |policy| policy.copy.security = true,
            |policy| policy.dcopy.security = true,
        ] {
            let mut owning = JobPolicy::default();
            owns(&mut owning);
            let refused = check("write", owning.clone(), "data");
            assert_eq!(refused, Err(RefusalCode::NotPermitted));
            assert_eq!(check("write,owner", owning, "data"), Ok("write,owner".into()));
        }
    }

    #[test]
    fn to_look_takes_no_more_than_to_write() {
        let look = JobPolicy { list_only: true, ..mirror() };
        assert_eq!(check("write", look, "data"), Ok("write".into()));
    }

    #[test]
    fn a_refused_mirror_names_the_command_that_allows_it() {
        let share = share::tests::plain("data", Path::new("/x"));
        let sender = sender("write");
        let reason = admit(&job(mirror()), Some(&sender), Some(&share), at(5)).unwrap_err().reason;
        assert!(reason.ends_with("quicopy-agent peers permit web write,delete"), "{reason}");
    }

    #[test]
    fn the_answer_does_not_tell_whether_a_share_exists() {
        let other = share::tests::plain("other", Path::new("/x"));
        let sender = sender("write");
        let refused = |share| admit(&job(mirror()), Some(&sender), share, at(5)).unwrap_err();
        assert_eq!(refused(Some(&other)), refused(None));
    }

    #[test]
    fn the_agents_own_folder_is_no_destination() {
        let share = share::tests::plain("data", Path::new("/x"));
        for path in [".quicopy", "a/.QUICOPY/b", ".~quicopy-1"] {
            let path = RelPath::parse(path.as_bytes()).unwrap();
            let job = OpenJob { path, ..job(JobPolicy::default()) };
            let refused = admit(&job, Some(&sender("write")), Some(&share), at(5)).unwrap_err();
            assert_eq!(refused.code, RefusalCode::NotPermitted);
        }
    }

    #[test]
    fn who_was_revoked_or_has_expired_is_refused() {
        let share = share::tests::plain("data", Path::new("/x"));
        let job = job(JobPolicy::default());
        let refused = admit(&job, None, Some(&share), at(5)).unwrap_err();
        assert_eq!(refused.code, RefusalCode::Revoked);
        let expired = KnownSender { not_after: Some(at(5)), ..sender("write") };
        let refused = admit(&job, Some(&expired), Some(&share), at(5)).unwrap_err();
        assert!(refused.reason.contains("expired on 1970-01-01"), "{}", refused.reason);
    }
}
