//! Which trees are locked by whom: the rules, without waiting for anybody.

use quicopy_certs::Fingerprint;
use quicopy_protocol::message::JobId;
use quicopy_protocol::path::RelPath;

use crate::share::ShareName;

/// A directory of a share and all below it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Tree {
    pub(crate) share: ShareName,
    pub(crate) path: RelPath,
}

impl Tree {
    /// Whether the two have anything in common: one is the other, or holds it. Shares never overlap.
    fn overlaps(&self, other: &Self) -> bool {
        self.share == other.share
            && (self.path.is_at_or_below(&other.path) || other.path.is_at_or_below(&self.path))
    }
}

/// To whom a lock belongs: a job, and only under the key that it began with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Owner {
    pub(crate) peer: Fingerprint,
    pub(crate) job: JobId,
}

/// One lock, by a number that is never used again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct LockId(u64);

/// The answer to a request for a lock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// It is yours.
    Granted(LockId),
    /// These connections serve the same job: they are to stop at once, then ask again.
    Superseded(Vec<LockId>),
    /// Other jobs hold trees that overlap: find out whether they are alive, then ask again.
    Contested(Vec<LockId>),
}

/// The locks that are held. Those of different owners never overlap.
#[derive(Debug, Default)]
pub(crate) struct LockTable {
    held: Vec<(LockId, Tree, Owner)>,
    last: u64,
}

impl LockTable {
    /// Grants `tree` to `owner`, or says who stands in the way.
    ///
    /// A job that reconnects supersedes its former self even where it now names another tree: one job never runs
    /// twice.
    pub(crate) fn request(&mut self, tree: &Tree, owner: Owner) -> Verdict {
        let of = |wanted: &dyn Fn(&Tree, Owner) -> bool| {
            let held = self.held.iter().filter(|(_, tree, owner)| wanted(tree, *owner));
            held.map(|(id, _, _)| *id).collect::<Vec<_>>()
        };
        let former_self = of(&|_, holder| holder == owner);
        if !former_self.is_empty() {
            return Verdict::Superseded(former_self);
        }
        let others = of(&|held, _| held.overlaps(tree));
        if !others.is_empty() {
            return Verdict::Contested(others);
        }
        self.last += 1;
        let id = LockId(self.last);
        self.held.push((id, tree.clone(), owner));
        Verdict::Granted(id)
    }

    /// Frees a lock. One that is free already stays so.
    pub(crate) fn release(&mut self, id: LockId) {
        self.held.retain(|(held, _, _)| *held != id);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn tree(text: &str) -> Tree {
        let (share, path) = text.split_once('/').unwrap_or((text, ""));
        Tree { share: share.parse().unwrap(), path: RelPath::parse(path.as_bytes()).unwrap() }
    }

    pub(crate) fn owner(peer: u8, job: u8) -> Owner {
        Owner { peer: Fingerprint::from_bytes([peer; 32]), job: JobId([job; 16]) }
    }

    /// Asks for each tree in turn; returns the verdict on the last.
    fn check(requests: &[(&str, (u8, u8))], verdict: Verdict) {
        let mut table = LockTable::default();
        let verdicts = requests
            .iter()
            .map(|(text, (peer, job))| table.request(&tree(text), owner(*peer, *job)));
        assert_eq!(verdicts.last(), Some(verdict), "{requests:?}");
    }

    #[test]
    fn trees_with_nothing_in_common_are_locked_side_by_side() {
        check(&[("data", (1, 1))], Verdict::Granted(LockId(1)));
        check(&[("data", (1, 1)), ("www", (2, 2))], Verdict::Granted(LockId(2)));
        check(&[("data/a", (1, 1)), ("data/b", (2, 2))], Verdict::Granted(LockId(2)));
        check(&[("data/a", (1, 1)), ("data/ab", (1, 2))], Verdict::Granted(LockId(2)));
    }

    #[test]
    fn a_tree_contests_itself_what_holds_it_and_what_it_holds() {
        let contested = Verdict::Contested(vec![LockId(1)]);
        check(&[("data/a", (1, 1)), ("data/a", (2, 2))], contested.clone());
        check(&[("data/a", (1, 1)), ("data", (2, 2))], contested.clone());
        check(&[("data", (1, 1)), ("data/a/b", (2, 2))], contested.clone());
        check(&[("data/a", (1, 1)), ("data/a", (1, 2))], contested);
        let both = Verdict::Contested(vec![LockId(1), LockId(2)]);
        check(&[("data/a", (1, 1)), ("data/b", (2, 2)), ("data", (3, 3))], both);
    }

    #[test]
    fn a_job_supersedes_itself_wherever_it_goes() {
        let superseded = Verdict::Superseded(vec![LockId(1)]);
        check(&[("data", (1, 1)), ("data", (1, 1))], superseded.clone());
        check(&[("data", (1, 1)), ("www", (1, 1))], superseded);
    }

    #[test]
    fn the_same_id_under_another_key_is_another_job() {
        check(&[("data", (1, 1)), ("data", (2, 1))], Verdict::Contested(vec![LockId(1)]));
    }

    #[test]
    fn a_released_tree_is_free_and_its_number_is_not_used_again() {
        let mut table = LockTable::default();
        let first = table.request(&tree("data"), owner(1, 1));
        assert_eq!(first, Verdict::Granted(LockId(1)));
        table.release(LockId(1));
        table.release(LockId(1));
        assert_eq!(table.request(&tree("data"), owner(2, 2)), Verdict::Granted(LockId(2)));
    }
}
