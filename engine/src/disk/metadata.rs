//! What is set on an entry of the destination, and what of a sender's wishes is refused.

use std::sync::OnceLock;

use quicopy_protocol::meta::{Attribute, Meta, Timestamp};
use quicopy_protocol::options::CopyFlags;

/// Permission bits a sender may set: read, write and execute. Set-user-id, set-group-id and sticky never.
pub const MODE_MAX: u16 = 0o777;

/// Metadata to set on one entry. `None` leaves that part as it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MetaChange {
    /// Permission bits; what exceeds [`MODE_MAX`] is dropped when they are set.
    pub mode: Option<u16>,
    /// Owner and group.
    pub owner: Option<(u32, u32)>,
    /// Last write time; the last access time is never touched.
    pub modified: Option<Timestamp>,
    /// Whether POSIX access lists among the attributes are set; otherwise they are ignored.
    pub access_lists: bool,
}

impl MetaChange {
    /// What `flags` ask to be copied from an entry of the source. Owners and access lists only if the peer has the right (`may_own`).
    pub fn new(source: &Meta, flags: CopyFlags, may_own: bool) -> Self {
        Self {
            mode: flags.attributes.then_some(source.mode & MODE_MAX),
            owner: (flags.owner && may_own).then_some((source.owner, source.group)),
            modified: flags.times.then_some(source.modified),
            access_lists: flags.security && may_own,
        }
    }

    /// Whether there is nothing to set.
    pub fn is_empty(&self) -> bool {
        self.mode.is_none() && self.owner.is_none() && self.modified.is_none()
    }
}

/// What could not be kept because the file system does not know it. Worth one notice a job, not a failure.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Ignored {
    /// Extended attributes or access lists were left out.
    pub attributes: bool,
    /// The permission bits could not be set.
    pub mode: bool,
}

impl Ignored {
    /// What either left out.
    pub fn or(self, other: Self) -> Self {
        Self { attributes: self.attributes || other.attributes, mode: self.mode || other.mode }
    }
}

/// Whether an attribute may be set at all: `user.*`, and POSIX access lists when asked for. `security.*`, `trusted.*` and
/// the rest of `system.*` would give a sender more than the share.
pub fn is_allowed(attribute: &Attribute, access_lists: bool) -> bool {
    let name = &*attribute.name;
    if name.contains(&0) {
        return false;
    }
    match name.strip_prefix(b"user.") {
        Some(rest) => !rest.is_empty(),
        None => {
            access_lists && matches!(name, b"system.posix_acl_access" | b"system.posix_acl_default")
        }
    }
}

/// The mode that this process gives new files whose own is not copied.
pub fn new_file_mode() -> u16 {
    0o666 & !umask()
}

/// Asked for once, and without changing it: the call that returns the mask also sets it, under the feet of other threads.
#[expect(clippy::disallowed_methods, reason = "the kernel tells it in a file of its own")]
fn umask() -> u16 {
    /// What most systems set.
    const USUAL: u16 = 0o022;
    static UMASK: OnceLock<u16> = OnceLock::new();
    *UMASK.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
        mask.and_then(|mask| u16::from_str_radix(mask.trim(), 8).ok()).unwrap_or(USUAL) & MODE_MAX
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, access_lists: bool, allowed: bool) {
        let attribute = Attribute { name: name.as_bytes().into(), value: Box::default() };
        assert_eq!(is_allowed(&attribute, access_lists), allowed, "{name}");
    }

    #[test]
    fn only_user_attributes_pass_and_access_lists_when_asked_for() {
        check("user.comment", false, true);
        check("user.", false, false);
        check("user.a\0b", false, false);
        check("security.capability", true, false);
        check("trusted.overlay.opaque", true, false);
        check("system.posix_acl_access", false, false);
        check("system.posix_acl_access", true, true);
        check("system.nfs4_acl", true, false);
    }

    #[test]
    fn flags_choose_what_is_set_and_special_bits_never_are() {
        let source = Meta { mode: 0o6755, owner: 5, group: 6, ..Meta::default() };
        let all = MetaChange::new(&source, CopyFlags { owner: true, ..CopyFlags::DAT }, true);
        assert_eq!((all.mode, all.owner), (Some(0o755), Some((5, 6))));
        let owning = CopyFlags { owner: true, security: true, ..CopyFlags::NONE };
        assert!(MetaChange::new(&source, owning, true).access_lists);
        let no_right = MetaChange::new(&source, owning, false);
        assert!(no_right.is_empty() && !no_right.access_lists);
    }
}
