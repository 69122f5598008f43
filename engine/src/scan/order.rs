//! Work that is done in any order and handed out in one.

use std::collections::BTreeMap;

use quicopy_protocol::path::RelPath;

/// Tasks and their results, by path. A result may bring new tasks, all below its own path.
///
/// The first path of all is always next: whatever is found later lies behind it. It may be begun whatever the budget
/// says, so that a full budget never stops the hand-over.
#[derive(Debug)]
pub(super) struct Order<T, R> {
    // A path is in one of them. `begun` maps to the result once there is one, with its weight.
    pending: BTreeMap<RelPath, T>,
    begun: BTreeMap<RelPath, Option<(R, usize)>>,
    weight: usize,
    weight_max: usize,
}

/// What can be handed out now.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Next<R> {
    /// This result.
    Ready(R),
    /// Nothing until another task is finished.
    Wait,
    /// Nothing any more.
    End,
}

impl<T, R> Order<T, R> {
    /// Begins with one task; results that wait for their turn weigh about `weight_max` at most.
    pub(super) fn new(path: RelPath, task: T, weight_max: usize) -> Self {
        let pending = BTreeMap::from([(path, task)]);
        Self { pending, begun: BTreeMap::new(), weight: 0, weight_max }
    }

    /// The first task that nobody has begun, unless enough results wait already.
    pub(super) fn begin(&mut self) -> Option<(RelPath, T)> {
        let first = self.pending.keys().next()?;
        let is_next = self.begun.keys().next().is_none_or(|begun| first < begun);
        if !is_next && self.weight >= self.weight_max {
            return None;
        }
        let (path, task) = self.pending.pop_first()?;
        self.begun.insert(path.clone(), None);
        Some((path, task))
    }

    /// Takes the result of a task that was begun, and the tasks that came of it.
    pub(super) fn finish(
        &mut self,
        path: RelPath,
        result: R,
        weight: usize,
        tasks: Vec<(RelPath, T)>,
    ) {
        self.weight += weight;
        self.begun.insert(path, Some((result, weight)));
        self.pending.extend(tasks);
    }

    /// The result whose turn it is.
    pub(super) fn next(&mut self) -> Next<R> {
        let Some(first) = self.begun.first_entry() else {
            return if self.pending.is_empty() { Next::End } else { Next::Wait };
        };
        let is_next = self.pending.keys().next().is_none_or(|pending| first.key() < pending);
        if !is_next || first.get().is_none() {
            return Next::Wait;
        }
        match first.remove() {
            Some((result, weight)) => {
                self.weight -= weight;
                Next::Ready(result)
            }
            None => Next::Wait,
        }
    }

    /// Whether no task will ever be there to begin.
    pub(super) fn is_all_begun(&self) -> bool {
        self.pending.is_empty() && self.begun.values().all(Option::is_some)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_full_budget_lets_only_the_next_in_order_begin() {
        let mut order = Order::new(RelPath::ROOT, (), 10);
        let (root, ()) = order.begin().unwrap();
        order.finish(root, "root", 1, ["a", "b", "c"].map(|name| (path(name), ())).into());
        assert_eq!(order.next(), Next::Ready("root"));
        let (a, ()) = order.begin().unwrap();
        let (b, ()) = order.begin().unwrap();
        order.finish(b, "b", 10, Vec::new());
        assert_eq!(order.begin(), None);
        assert_eq!(order.next(), Next::Wait);
        order.finish(a, "a", 10, vec![(path("a/x"), ())]);
        assert_eq!(order.next(), Next::Ready("a"));
        let (x, ()) = order.begin().unwrap();
        assert_eq!(x, path("a/x"));
        assert_eq!(order.begin(), None);
        order.finish(x, "a/x", 1, Vec::new());
        assert_eq!((order.next(), order.next()), (Next::Ready("a/x"), Next::Ready("b")));
        assert!(!order.is_all_begun());
        let (c, ()) = order.begin().unwrap();
        order.finish(c, "c", 1, Vec::new());
        assert!(order.is_all_begun());
        assert_eq!((order.next(), order.next()), (Next::Ready("c"), Next::End));
    }

    /// The directories of a tree in which a directory at `depth` has `fan - depth` others.
    fn children(parent: &RelPath, fan: usize) -> Vec<(RelPath, ())> {
        let count = fan.saturating_sub(parent.depth());
        let names = (0..count).map(|index| path(&format!("{}", (b'a' + index as u8) as char)));
        names.map(|name| (parent.join(&name.names().next().unwrap()).unwrap(), ())).collect()
    }

    proptest! {
        #[test]
        fn results_come_in_order_however_tasks_finish(
            fan in 0_usize..4, weight_max in 0_usize..6, picks in proptest::collection::vec(any::<u8>(), 1..40)
        ) {
            let mut order = Order::new(RelPath::ROOT, (), weight_max);
            let (mut running, mut results, mut picks) = (Vec::new(), Vec::new(), picks.iter().cycle());
            loop {
                while running.len() < 3 {
                    let Some((path, ())) = order.begin() else { break };
                    running.push(path);
                }
                match order.next() {
                    Next::Ready(path) => results.push(path),
                    Next::End => break,
                    Next::Wait => {
                        prop_assert!(!running.is_empty(), "deadlock");
                        let pick = usize::from(*picks.next().unwrap()) % running.len();
                        let path: RelPath = running.swap_remove(pick);
                        let tasks = children(&path, fan);
                        order.finish(path.clone(), path, 1, tasks);
                    }
                }
                let waiting = order.begun.values().flatten().count();
                prop_assert!(waiting <= weight_max + 3);
            }
            prop_assert!(results.is_sorted() && order.is_all_begun());
            let expected = (0..=fan).map(|depth| (fan + 1 - depth..=fan).product::<usize>()).sum::<usize>();
            prop_assert_eq!(results.len(), expected);
        }
    }
}
