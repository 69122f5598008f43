//! What is set on an entry of the destination, and what of a sender's wishes is refused.

use std::sync::OnceLock;

use quicopy_protocol::attributes::DosAttributes;
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
    /// Which extended attributes are set; the others are ignored.
    pub scope: Scope,
    /// DOS attributes that it gets, and then loses, whatever the source has.
    pub dos: DosChange,
}

/// Which extended attributes are set at all. `security.*`, `trusted.*` and the rest of `system.*` would give a sender more
/// than the share.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Scope {
    /// `user.*`
    #[default]
    User,
    /// `user.*` and POSIX access lists.
    UserAndAccessLists,
    /// POSIX access lists.
    AccessLists,
}

impl Scope {
    /// Whether access lists are in it.
    pub(super) fn has_access_lists(self) -> bool {
        matches!(self, Self::UserAndAccessLists | Self::AccessLists)
    }

    /// Whether an attribute is in it.
    pub fn holds(self, attribute: &Attribute) -> bool {
        let name = &*attribute.name;
        if name.contains(&0) {
            return false;
        }
        match name.strip_prefix(b"user.") {
            Some(rest) => self != Self::AccessLists && !rest.is_empty(),
            None => {
                self.has_access_lists()
                    && matches!(name, b"system.posix_acl_access" | b"system.posix_acl_default")
            }
        }
    }
}

/// DOS attributes to add (`/A+`) and, after that, to remove (`/A-`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DosChange {
    /// Added.
    pub add: DosAttributes,
    /// Removed.
    pub remove: DosAttributes,
}

impl DosChange {
    const READ_ONLY: DosAttributes = DosAttributes::READ_ONLY;

    /// This change after one that makes `there` what the source has.
    pub fn after(self, source: DosAttributes, there: DosAttributes) -> Self {
        let add = source.without(there).with(self.add);
        Self { add, remove: there.without(source).without(self.add).with(self.remove) }
    }

    /// The set after the change.
    pub(super) fn apply(self, attributes: DosAttributes) -> DosAttributes {
        attributes.with(self.add).without(self.remove)
    }

    /// The permission bits after the change: nobody may write to what is read-only, and what is not its owner may.
    pub(super) fn apply_to_mode(self, mode: u16) -> u16 {
        if self.remove.intersects(Self::READ_ONLY) {
            mode | 0o200
        } else if self.add.intersects(Self::READ_ONLY) {
            mode & !0o222
        } else {
            mode
        }
    }

    /// Whether it concerns the permission bits.
    pub(super) fn sets_mode(self) -> bool {
        self.add.with(self.remove).intersects(Self::READ_ONLY)
    }

    /// Whether it may concern more than the permission bits: read-only may be noted beside them, too.
    pub(super) fn sets_others(self) -> bool {
        !(self.add.without(Self::READ_ONLY).is_empty() && self.remove.is_empty())
    }
}

impl MetaChange {
    /// What `flags` ask to be copied from an entry of the source. Owners and access lists only if the peer has the right (`may_own`).
    pub fn new(source: &Meta, flags: CopyFlags, may_own: bool) -> Self {
        Self {
            mode: flags.attributes.then_some(source.mode & MODE_MAX),
            owner: (flags.owner && may_own).then_some((source.owner, source.group)),
            modified: flags.times.then_some(source.modified),
            scope: match flags.security && may_own {
                true => Scope::UserAndAccessLists,
                false => Scope::User,
            },
            dos: DosChange::default(),
        }
    }

    /// Whether there is nothing to set.
    pub fn is_empty(&self) -> bool {
        self.mode.is_none()
            && self.owner.is_none()
            && self.modified.is_none()
            && self.dos == DosChange::default()
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

    fn check(name: &str, scope: Scope, allowed: bool) {
        let attribute = Attribute { name: name.as_bytes().into(), value: Box::default() };
        assert_eq!(scope.holds(&attribute), allowed, "{name}");
    }

    #[test]
    fn only_user_attributes_pass_and_access_lists_when_asked_for() {
        let (user, both, lists) = (Scope::User, Scope::UserAndAccessLists, Scope::AccessLists);
        check("user.comment", user, true);
        check("user.comment", lists, false);
        check("user.", user, false);
        check("user.a\0b", user, false);
        check("security.capability", both, false);
        check("trusted.overlay.opaque", both, false);
        check("system.posix_acl_access", user, false);
        check("system.posix_acl_access", both, true);
        check("system.posix_acl_default", lists, true);
        check("system.nfs4_acl", both, false);
    }

    #[test]
    fn flags_choose_what_is_set_and_special_bits_never_are() {
        let source = Meta { mode: 0o6755, owner: 5, group: 6, ..Meta::default() };
        let all = MetaChange::new(&source, CopyFlags { owner: true, ..CopyFlags::DAT }, true);
        assert_eq!((all.mode, all.owner), (Some(0o755), Some((5, 6))));
        let owning = CopyFlags { owner: true, security: true, ..CopyFlags::NONE };
        assert_eq!(MetaChange::new(&source, owning, true).scope, Scope::UserAndAccessLists);
        let no_right = MetaChange::new(&source, owning, false);
        assert!(no_right.is_empty() && no_right.scope == Scope::User);
    }

    #[test]
    fn dos_attributes_are_added_and_then_removed() {
        let letters = |text: &str| DosAttributes::parse(text).unwrap_or_default();
        let change = |add, remove| DosChange { add: letters(add), remove: letters(remove) };
        assert_eq!(change("AH", "HS").apply(letters("SR")), letters("RA"));
        let whole = change("S", "A").after(letters("AH"), letters("HC"));
        assert_eq!(whole.apply(letters("HC")), letters("HS"));
        assert_eq!(change("R", "").apply_to_mode(0o664), 0o444);
        assert_eq!(change("", "R").apply_to_mode(0o444), 0o644);
        assert_eq!(change("R", "R").apply_to_mode(0o444), 0o644);
        assert!(change("R", "").sets_mode() && !change("R", "").sets_others());
        assert!(change("", "R").sets_others() && change("", "R").sets_mode());
        assert!(change("", "SH").sets_others() && !change("", "SH").sets_mode());
    }
}
