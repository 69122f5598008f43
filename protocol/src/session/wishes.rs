//! What the agent asks for, and what answers it: from [`Want`] to the end of a file.
//!
//! Content travels on several streams and arrives in any order. A wish is therefore over not with its end but when its end
//! and all bytes that belong to it are there: the end says how many that are. Sums are enough for that; whether the bytes
//! are the right ones in the right places is for the hash to say.

use std::collections::{BTreeMap, VecDeque};

use super::Violation;
use crate::limits::{CHUNK_LIST_AHEAD_MAX, LARGE_WANTS_MAX, WANTS_MAX, WHOLE_FILE_BYTES_MAX};
use crate::message::{Chunk, ChunkList, FileEnd, FileFailed, Hole, Lack, Want, WholeFile};
use crate::meta::WantId;
use crate::verdict::Basis;
use crate::version::Role;

/// The wishes that are not over.
#[derive(Clone, Debug)]
pub(super) struct Wishes {
    role: Role,
    next: u64,
    open: BTreeMap<WantId, Wish>,
    /// How many of them are for files that do not fit one frame.
    large: usize,
    /// Chunks in lists that are not answered.
    ahead: usize,
}

/// One wish.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    size_bytes: u64,
    is_cancelled: bool,
    /// Bytes that travel, holes included: all of the file's, but for a wish that asks for none.
    due_bytes: u64,
    chunk_bytes: u64,
    hole_bytes: u64,
    /// Set for a wish with a basis.
    lists: Option<Lists>,
    end: Option<End>,
}

/// The chunk lists of a wish with a basis.
#[derive(Clone, Debug, Default)]
struct Lists {
    average_bytes: u32,
    next_offset: u64,
    listed_bytes: u64,
    lacked_bytes: u64,
    is_last_listed: bool,
    /// Chunks that are answered.
    answered: u32,
    /// Lengths of the chunks in each list that is not.
    unanswered: VecDeque<Box<[u32]>>,
}

impl Lists {
    /// Whether all of the file is listed and answered. A file of holes alone, or an empty one, has nothing to list.
    fn are_over(&self) -> bool {
        self.unanswered.is_empty() && (self.is_last_listed || self.listed_bytes == 0)
    }
}

#[derive(Clone, Copy, Debug)]
enum End {
    Whole,
    Failed { sent_bytes: u64 },
}

impl Wish {
    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled
    }

    pub(super) fn unanswered_lists(&self) -> usize {
        self.lists.as_ref().map_or(0, |lists| lists.unanswered.len())
    }

    /// Bytes of chunks and holes so far.
    pub(super) fn moved_bytes(&self) -> u64 {
        self.chunk_bytes + self.hole_bytes
    }

    fn is_over(&self) -> bool {
        match (self.end, &self.lists) {
            (None, _) => false,
            (Some(End::Failed { sent_bytes }), _) => self.moved_bytes() == sent_bytes,
            (Some(End::Whole), None) => self.moved_bytes() == self.due_bytes,
            (Some(End::Whole), Some(lists)) => {
                self.chunk_bytes == lists.lacked_bytes
                    && lists.listed_bytes + self.hole_bytes == self.size_bytes
            }
        }
    }

    /// Whether what has come so far can belong to this wish.
    fn is_within(&self) -> bool {
        let failed_fits = match self.end {
            Some(End::Failed { sent_bytes }) => self.moved_bytes() <= sent_bytes,
            Some(End::Whole) | None => true,
        };
        let fits = match &self.lists {
            None => self.moved_bytes() <= self.due_bytes,
            Some(lists) => {
                self.chunk_bytes <= lists.lacked_bytes
                    && lists.listed_bytes + self.hole_bytes <= self.size_bytes
            }
        };
        failed_fits && fits
    }
}

type Checked = Result<(), Violation>;

fn broken(message: &'static str, want: WantId, rule: &str) -> Checked {
    Err(Violation::named(message, format!("wish {}: {rule}", want.0)))
}

impl Wishes {
    pub(super) fn new(role: Role) -> Self {
        Self { role, next: 0, open: BTreeMap::new(), large: 0, ahead: 0 }
    }

    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    pub(super) fn ahead(&self) -> usize {
        self.ahead
    }

    pub(super) fn large(&self) -> usize {
        self.large
    }

    /// The answer to the next list that waits for one, naming no chunk.
    pub(super) fn unanswered(&self) -> Option<Lack> {
        let mut open = self.open.keys();
        open.find_map(|&want| {
            Some(Lack { want, runs: Vec::new(), answered: self.answer_due(want)? })
        })
    }

    /// How many chunks of a file are answered with the next answer that is due.
    pub(super) fn answer_due(&self, want: WantId) -> Option<u32> {
        let lists = self.open.get(&want)?.lists.as_ref()?;
        let count = u32::try_from(lists.unanswered.front()?.len()).ok()?;
        lists.answered.checked_add(count)
    }

    pub(super) fn get(&self, want: WantId) -> Option<&Wish> {
        self.open.get(&want)
    }

    fn get_for(&mut self, message: &'static str, want: WantId) -> Result<&mut Wish, Violation> {
        let rule = if want.0 < self.next { "over" } else { "never made" };
        self.open
            .get_mut(&want)
            .ok_or_else(|| Violation::named(message, format!("wish {}: {rule}", want.0)))
    }

    pub(super) fn open_wish(&mut self, want: &Want, size_bytes: u64) -> Checked {
        if want.want.0 != self.next {
            return broken("Want", want.want, &format!("the next number is {}", self.next));
        }
        if self.open.len() == WANTS_MAX {
            return broken("Want", want.want, &format!("{WANTS_MAX} are open"));
        }
        let is_large = size_bytes > WHOLE_FILE_BYTES_MAX;
        if is_large && self.large == LARGE_WANTS_MAX {
            return broken("Want", want.want, &format!("{LARGE_WANTS_MAX} large ones are open"));
        }
        self.next += 1;
        self.large += usize::from(is_large);
        let wish = Wish {
            size_bytes,
            is_cancelled: false,
            due_bytes: match want.basis {
                Basis::Nothing | Basis::Bytes => size_bytes,
                Basis::Digest | Basis::Content => 0,
            },
            chunk_bytes: 0,
            hole_bytes: 0,
            lists: match want.basis {
                Basis::Nothing | Basis::Digest | Basis::Content => None,
                Basis::Bytes => Some(Lists::default()),
            },
            end: None,
        };
        self.open.insert(want.want, wish);
        Ok(())
    }

    /// The agent may cancel what the sender has ended already: they cross on the way.
    pub(super) fn cancel(&mut self, want: WantId) -> Checked {
        let may_be_over = self.role == Role::Sender && want.0 < self.next;
        let wish = match self.get_for("Cancel", want) {
            Err(_) if may_be_over => return Ok(()),
            found => found?,
        };
        if std::mem::replace(&mut wish.is_cancelled, true) {
            return broken("Cancel", want, "cancelled before");
        }
        Ok(())
    }

    pub(super) fn list(&mut self, list: &ChunkList) -> Checked {
        let broken = |rule: &str| broken("ChunkList", list.want, rule);
        let ahead = self.ahead + list.chunks.len();
        let wish = self.get_for("ChunkList", list.want)?;
        let Some(lists) = &mut wish.lists else {
            return broken("it has no basis to compare chunks with");
        };
        if wish.end.is_some() || lists.is_last_listed {
            return broken("the last list came before");
        }
        if lists.average_bytes != 0 && lists.average_bytes != list.average_bytes {
            return broken("another average than in the lists before");
        }
        let listed_bytes: u64 = list.chunks.iter().map(|(length, _)| u64::from(*length)).sum();
        if list.offset < lists.next_offset {
            return broken("chunks do not ascend");
        }
        if list.offset.saturating_add(listed_bytes) > wish.size_bytes {
            return broken("chunks beyond the file's end");
        }
        if ahead > CHUNK_LIST_AHEAD_MAX {
            return broken("too far ahead of the answers");
        }
        lists.average_bytes = list.average_bytes;
        lists.next_offset = list.offset + listed_bytes;
        lists.listed_bytes += listed_bytes;
        lists.is_last_listed = list.last;
        lists.unanswered.push_back(list.chunks.iter().map(|(length, _)| *length).collect());
        if !wish.is_within() {
            return broken("chunks and holes overlap");
        }
        self.ahead = ahead;
        Ok(())
    }

    pub(super) fn lack(&mut self, lack: &Lack) -> Checked {
        let broken = |rule: &str| broken("Lack", lack.want, rule);
        let wish = self.get_for("Lack", lack.want)?;
        let Some(lists) = &mut wish.lists else { return broken("it has no lists") };
        let Some(lengths) = lists.unanswered.pop_front() else {
            return broken("no list waits for an answer");
        };
        let first = lists.answered;
        // A file of 2^32 chunks of one byte is the smallest that could overflow.
        let Some(answered) =
            u32::try_from(lengths.len()).ok().and_then(|count| first.checked_add(count))
        else {
            return broken("more chunks than can be counted");
        };
        if lack.answered != answered {
            return broken("an answer covers one list");
        }
        for &(start, count) in &lack.runs {
            let end = start.saturating_add(count);
            if start < first || end > answered {
                return broken("chunks outside the list that it answers");
            }
            let run = &lengths[(start - first) as usize..(end - first) as usize];
            lists.lacked_bytes += run.iter().copied().map(u64::from).sum::<u64>();
        }
        lists.answered = answered;
        self.ahead -= lengths.len();
        Ok(())
    }

    pub(super) fn chunk(&mut self, chunk: &Chunk) -> Checked {
        let length = chunk.data.len() as u64;
        self.content("Chunk", chunk.want, chunk.offset, length, |wish| {
            wish.chunk_bytes += length;
        })
    }

    pub(super) fn hole(&mut self, hole: &Hole) -> Checked {
        self.content("Hole", hole.want, hole.offset, hole.length, |wish| {
            wish.hole_bytes += hole.length;
        })
    }

    fn content(
        &mut self,
        message: &'static str,
        want: WantId,
        offset: u64,
        length: u64,
        add: impl FnOnce(&mut Wish),
    ) -> Checked {
        let role = self.role;
        let wish = self.get_for(message, want)?;
        if offset.checked_add(length).is_none_or(|end| end > wish.size_bytes) {
            return broken(message, want, "content beyond the file's end");
        }
        let in_order = wish.lists.is_some() || offset == wish.moved_bytes();
        if role == Role::Sender && (wish.end.is_some() || !in_order) {
            return broken(message, want, "content out of order");
        }
        add(wish);
        if !wish.is_within() {
            return broken(message, want, "more content than belongs to it");
        }
        if wish.is_over() {
            self.remove(want);
        }
        Ok(())
    }

    pub(super) fn whole_file(&mut self, file: &WholeFile) -> Checked {
        let broken = |rule: &str| broken("WholeFile", file.want, rule);
        let wish = self.get_for("WholeFile", file.want)?;
        if wish.lists.is_some() || wish.moved_bytes() > 0 || wish.end.is_some() {
            return broken("the file comes in chunks");
        }
        if wish.due_bytes != wish.size_bytes {
            return broken("no content is asked for");
        }
        if wish.size_bytes != file.data.len() as u64 || wish.size_bytes > WHOLE_FILE_BYTES_MAX {
            return broken("not as long as it was listed");
        }
        self.remove(file.want);
        Ok(())
    }

    pub(super) fn end(&mut self, end: &FileEnd) -> Checked {
        let broken = |rule: &str| broken("FileEnd", end.want, rule);
        let wish = self.get_for("FileEnd", end.want)?;
        if end.size_bytes != wish.size_bytes {
            return broken("not as long as it was listed");
        }
        if !wish.lists.as_ref().is_none_or(Lists::are_over) {
            return broken("chunk lists are not over");
        }
        self.end_with("FileEnd", end.want, End::Whole)
    }

    pub(super) fn fail(&mut self, failed: &FileFailed) -> Checked {
        let wish = self.get_for("FileFailed", failed.want)?;
        if wish.unanswered_lists() > 0 {
            return broken("FileFailed", failed.want, "chunk lists are not answered");
        }
        if failed.sent_bytes > wish.size_bytes {
            return broken("FileFailed", failed.want, "more content than belongs to it");
        }
        self.end_with("FileFailed", failed.want, End::Failed { sent_bytes: failed.sent_bytes })
    }

    fn end_with(&mut self, message: &'static str, want: WantId, end: End) -> Checked {
        let role = self.role;
        let wish = self.get_for(message, want)?;
        if wish.end.replace(end).is_some() {
            return broken(message, want, "ended before");
        }
        if !wish.is_within() {
            return broken(message, want, "more content than belongs to it");
        }
        if wish.is_over() {
            self.remove(want);
        } else if role == Role::Sender {
            return broken(message, want, "its content was not all sent");
        }
        Ok(())
    }

    fn remove(&mut self, want: WantId) {
        if self.open.remove(&want).is_some_and(|wish| wish.size_bytes > WHOLE_FILE_BYTES_MAX) {
            self.large -= 1;
        }
    }
}
