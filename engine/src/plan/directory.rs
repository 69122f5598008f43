//! The whole decision about one directory.

use quicopy_protocol::meta::{Entry, Kind};
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::{Action, DirState, FileClass, Tally, Verdict};

use super::decide::directory_state;
use super::entry::Judgement;
use super::protect::{Place, Site};
use super::{Extra, Rules};
use crate::compare::{Listed, NameKey, Pair, Present, merge};
use crate::purge::Census;

/// Whether what is missing from a listing is known to be missing at the source.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Knowledge {
    /// The directory and all above it were read to their ends without an error.
    Complete,
    /// This directory or one above it was not: nothing here is extra.
    Incomplete,
}

/// One directory as both sides listed it.
pub struct DirectoryInput<'a> {
    /// Its path below the job's root.
    pub path: &'a RelPath,
    /// The source's listing over all its parts, in strictly ascending order of name.
    pub entries: &'a [Entry],
    /// Whether that listing is complete.
    pub knowledge: Knowledge,
    /// The destination's listing in any order; empty when the directory is not there yet.
    pub present: Vec<Listed>,
    /// Whether the destination's directory is the root of a file system; when that is not known, `true` is the safe answer.
    pub file_system_root: bool,
}

/// What is to be done in one directory, and what is to be told about it.
#[derive(Debug, Default)]
pub struct DirectoryPlan {
    /// Decisions in ascending order of index, about all that is not simply the same; about the same files too if the job
    /// reports them. Directories only when mismatched, or left out by class or conflict.
    pub decisions: Vec<Decision>,
    /// Files and links of class Same that `decisions` does not name.
    pub same: Tally,
    /// Every directory of the source that its sender did not skip, in ascending order of index.
    pub directories: Vec<Subdirectory>,
    /// What only the destination has and what is to be told about it: directories first, then the others, each by name.
    pub extras: Vec<Extra>,
    /// How much the destination's listing holds; nothing is counted as extra yet.
    pub census: Census,
}

/// The decision about one entry, and what it meets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decision {
    /// What is told to the sender.
    pub verdict: Verdict,
    /// What stands at the destination, to be checked again before it is replaced. A directory that a file or link
    /// replaces goes with its tree: ask [`purge::survey`](crate::purge::survey) whether all of it may go.
    pub present: Option<Present>,
}

/// A directory of the source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subdirectory {
    /// Index in the listing.
    pub index: u32,
    /// What it is, or is to become: [`DirState::New`] and [`DirState::Deferred`] are still to be made.
    pub state: DirState,
    /// What stands under its name: the directory itself, or with [`DirState::New`] and [`DirState::Deferred`] what must give way.
    pub present: Option<Present>,
}

/// A sender's listing whose names do not ascend. Comparing it would take names that it holds for extra.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the listing's names are not in ascending order at entry {index}")]
pub struct UnsortedListing {
    /// The first entry that is out of order.
    pub index: usize,
}

/// Plans one directory: classes, actions, directories to enter, and what is extra.
///
/// What the sender skipped is neither copied nor extra. Only a complete listing makes anything extra. `/XX` leaves extras
/// out altogether. A file that no pattern includes is named only with `/X`; a directory that only the destination has is
/// extra whatever the patterns are. On the last level of `/LEV` such directories are not looked at; in a job without
/// `/S` and `/E` they are named but stay (as [`Kept::NotIncluded`](quicopy_protocol::verdict::Kept::NotIncluded)): Robocopy's own behaviour is not documented there, and
/// keeping loses nothing.
///
/// # Errors
/// The source's names do not strictly ascend.
pub fn plan_directory(
    rules: &Rules<'_>,
    input: DirectoryInput<'_>,
) -> Result<DirectoryPlan, UnsortedListing> {
    check_order(input.entries)?;
    let DirectoryInput { path, entries, knowledge, mut present, file_system_root } = input;
    let place = if file_system_root { Place::FileSystemRoot } else { Place::Walked };
    let planner = Planner { rules, site: Site { path, place }, knowledge };
    // Some file systems list a name twice when the directory changes meanwhile.
    present.retain(|listed| !listed.name.is_reserved());
    present.sort_by(|a, b| NameKey::of(&a.name).cmp(&NameKey::of(&b.name)));
    present.dedup_by(|a, b| NameKey::of(&a.name) == NameKey::of(&b.name));

    let mut plan = DirectoryPlan::default();
    for listed in &present {
        plan.census.destination_entries += 1;
        plan.census.destination_files += u64::from(!listed.present.is_dir());
    }
    let mut index = 0;
    for pair in merge(entries, present) {
        match pair {
            Pair::Source(entry) => planner.entry(&mut plan, index, entry, None),
            Pair::Both(entry, listed) => planner.entry(&mut plan, index, entry, Some(listed)),
            Pair::Destination(listed) => {
                plan.extras.extend(planner.extra(listed));
                continue;
            }
        }
        index += 1;
    }
    plan.extras.sort_by_key(|extra| !extra.listed.present.is_dir());
    Ok(plan)
}

fn check_order(entries: &[Entry]) -> Result<(), UnsortedListing> {
    let out_of_order = entries
        .windows(2)
        .position(|pair| NameKey::of(&pair[0].name) >= NameKey::of(&pair[1].name));
    match out_of_order {
        Some(index) => Err(UnsortedListing { index: index + 1 }),
        None => Ok(()),
    }
}

/// Plans single names of one directory.
struct Planner<'a> {
    rules: &'a Rules<'a>,
    site: Site<'a>,
    knowledge: Knowledge,
}

impl Planner<'_> {
    fn entry(&self, plan: &mut DirectoryPlan, index: u32, entry: &Entry, there: Option<Listed>) {
        let policy = self.rules.policy;
        let judgement = Judgement::of(self.rules, self.site, self.knowledge, entry, there.as_ref());
        let Some(Judgement { class, action, conflict }) = judgement else { return };
        let is_entered = !there.as_ref().is_some_and(|listed| self.site.keeps_for_itself(listed));
        let present = there.map(|listed| listed.present);
        let verdict = Verdict { index, class, action, conflict };
        if entry.kind == Kind::Directory {
            let state = match is_entered {
                true => directory_state(class, action, policy.selection.recurse),
                false => DirState::Avoided,
            };
            let is_told = class == FileClass::Mismatched || state == DirState::Avoided;
            plan.directories.push(Subdirectory { index, state, present: present.clone() });
            if is_told {
                plan.decisions.push(Decision { verdict, present });
            }
        } else if class == FileClass::Same && action == Action::Skip && !policy.report_same {
            plan.same.entries += 1;
            plan.same.bytes = plan.same.bytes.saturating_add(entry.meta.size_bytes);
        } else {
            plan.decisions.push(Decision { verdict, present });
        }
    }

    fn extra(&self, listed: Listed) -> Option<Extra> {
        match self.knowledge {
            Knowledge::Complete => Extra::beside(self.rules, self.site, listed),
            Knowledge::Incomplete => None,
        }
    }
}
