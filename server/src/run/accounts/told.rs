//! What attempts have told, so that a reconnect does not tell it again.

use std::collections::{HashMap, HashSet};

use quicopy_protocol::message::JobOpened;
use quicopy_protocol::options::Durability;
use quicopy_protocol::path::{Name, RelPath};

/// What an earlier attempt has told already, so that a reconnect does not tell it again.
#[derive(Debug, Default)]
pub(in crate::run) struct Told {
    /// The last directory whose plan was told in full.
    pub(super) mark: Option<RelPath>,
    /// What the agent said of itself.
    opened: Option<JobOpened>,
    /// Files and links whose copy was told and is not done, by directory.
    pub(super) unfinished: HashMap<RelPath, Wished>,
    /// Directories that were to be made with their first entry, and of which no entry is done.
    pub(super) begun: HashSet<RelPath>,
}

/// Names that are to be copied, and whether that overwrites a conflict.
pub(super) type Wished = HashMap<Name, bool>;

impl Told {
    pub(super) fn covers(&self, dir: &RelPath) -> bool {
        self.mark.as_ref().is_some_and(|mark| dir <= mark)
    }

    /// Notes that an entry is done with, and says whether it overwrites a conflict.
    pub(super) fn finish(&mut self, dir: &RelPath, name: &Name) -> bool {
        let Some(wished) = self.unfinished.get_mut(dir) else { return false };
        let conflict = wished.remove(name).unwrap_or(false);
        if wished.is_empty() {
            self.unfinished.remove(dir);
        }
        conflict
    }

    /// Takes what the agent says of itself, and gives what the report should say of that, once.
    pub(super) fn opened(&mut self, opened: &JobOpened, list_only: bool) -> Vec<&'static str> {
        let mut notices = Vec::new();
        let told = self.opened.replace(opened.clone());
        if !opened.conflicts_known
            && !opened.first_job
            && told.as_ref().is_none_or(|told| told.conflicts_known || told.first_job)
        {
            notices.push("the agent has no memory of earlier jobs here: conflicts are not known");
        }
        if told.is_none_or(|told| told.durability != opened.durability) && !list_only {
            notices.extend(match opened.durability {
                Durability::Group => None,
                Durability::File => Some(
                    "durability: file; this destination makes each file durable by itself, which takes longer",
                ),
                Durability::None => Some(
                    "durability: none; what is reported as copied may be lost if the destination loses power",
                ),
            });
        }
        notices
    }

    /// What the report says of deletions that can be taken back.
    pub(super) fn kept(&self, trashed: u64) -> String {
        let days = self.opened.as_ref().and_then(|opened| opened.trash_days);
        let days = days.map_or(String::new(), |days| format!(" for {days} days"));
        format!(
            "of what was deleted or had to make way, {trashed} entries are kept in the destination's trash{days}: quicopy-agent trash"
        )
    }
}
