//! What every message of its kind keeps, whatever came before it: [`check()`].
//!
//! Rules that need the conversation (which directory is next, what is wanted) are the [`session`](crate::session)'s.

use crate::attributes::DosAttributes;
use crate::code::Failure;
use crate::limits::{
    ATTRIBUTES_BYTES_MAX, ATTRIBUTES_MAX, BATCH_ITEMS_MAX, CHUNK_BYTES_MAX, FILE_BYTES_MAX,
    LINK_TARGET_BYTES_MAX, NAME_BYTES_MAX, PAIRING_BYTES_MAX, PATH_BYTES_MAX, SHARE_BYTES_MAX,
    TEXT_BYTES_MAX, WHOLE_FILE_BYTES_MAX,
};
use crate::message::{
    ChunkList, Extras, Hello, Lack, Listing, ListingState, Message, OpenJob, Outcomes, Plan,
};
use crate::meta::{Attribute, Entry, Kind, Meta, Timestamp};
use crate::options::{AttributeFilter, DeleteLimit, JobPolicy, Rule, SpaceFloor};
use crate::path::RelPath;
use crate::verdict::{DirState, OutcomeResult};

/// The rule that a message breaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Invalid {
    /// A length, count or number outside its range.
    #[error("{what} is {actual}, {min} to {max} are allowed")]
    OutOfRange {
        /// What.
        what: &'static str,
        /// Its value.
        actual: u64,
        /// Smallest value allowed.
        min: u64,
        /// Largest value allowed.
        max: u64,
    },
    /// Items that must ascend do not.
    #[error("{what} are not in ascending order")]
    Unordered {
        /// Which items.
        what: &'static str,
    },
    /// A part of a file that would end beyond the largest offset.
    #[error("{what} ends beyond what 64 bits can count")]
    Overflow {
        /// What.
        what: &'static str,
    },
    /// Two fields that exclude each other.
    #[error("{0}")]
    Contradiction(&'static str),
}

type Checked = Result<(), Invalid>;

/// Checks all rules that concern one message alone.
pub(super) fn check(message: &Message) -> Checked {
    match message {
        Message::Hello(hello) => check_hello(hello),
        Message::Refused(refused) => text("a reason", &refused.reason),
        Message::PairRequest(request) => {
            at_most("a turn of pairing", request.body.len(), PAIRING_BYTES_MAX)
        }
        Message::PairReply(reply) => {
            at_most("a turn of pairing", reply.body.len(), PAIRING_BYTES_MAX)
        }
        Message::OpenJob(open) => check_open(open),
        Message::JobOpened(opened) => {
            range("the step of times", u64::from(opened.time_step_nanos), 1, 2_000_000_000)
        }
        Message::Listing(listing) => check_listing(listing),
        Message::Plan(plan) => check_plan(plan),
        Message::Extras(extras) => check_extras(extras),
        Message::Lack(lack) => check_lack(lack),
        Message::ChunkList(list) => check_chunk_list(list),
        Message::Chunk(chunk) => {
            range("the length of a chunk", size(chunk.data.len()), 1, size(CHUNK_BYTES_MAX))?;
            end_of("a chunk", chunk.offset, size(chunk.data.len()))
        }
        Message::Hole(hole) => {
            range("the length of a hole", hole.length, 1, u64::MAX)?;
            end_of("a hole", hole.offset, hole.length)
        }
        Message::WholeFile(file) => {
            range("the size of a whole file", size(file.data.len()), 0, WHOLE_FILE_BYTES_MAX)?;
            attributes(&file.attributes)
        }
        Message::FileEnd(end) => attributes(&end.attributes),
        Message::FileFailed(failed) => failure(&failed.failure),
        Message::Outcomes(outcomes) => check_outcomes(outcomes),
        Message::Retrying(retrying) => failure(&retrying.failure),
        Message::Notice(notice) => text("a notice", &notice.text),
        Message::JobDone(done) => {
            done.guard.as_deref().map_or(Ok(()), |guard| text("a guard", guard))
        }
        Message::Ping(_)
        | Message::Pong(_)
        | Message::Goodbye(_)
        | Message::ScanEnd(_)
        | Message::Want(_)
        | Message::Cancel(_) => Ok(()),
    }
}

fn check_hello(hello: &Hello) -> Checked {
    range("the newest version", hello.version_max.into(), hello.version_min.into(), u64::MAX)?;
    text("a program", &hello.program)
}

fn check_open(open: &OpenJob) -> Checked {
    range("the length of a share's name", size(open.share.len()), 1, size(SHARE_BYTES_MAX))?;
    text("a label", &open.label)?;
    at_most("the directories above the source", open.origin.chain.len(), BATCH_ITEMS_MAX)?;
    check_policy(&open.policy)
}

fn check_policy(policy: &JobPolicy) -> Checked {
    let selection = &policy.selection;
    at_most("file patterns", selection.include_files.len(), BATCH_ITEMS_MAX)?;
    at_most("excluded files", selection.exclude_files.len(), BATCH_ITEMS_MAX)?;
    at_most("excluded directories", selection.exclude_dirs.len(), BATCH_ITEMS_MAX)?;
    let rules = selection.exclude_files.iter().chain(&selection.exclude_dirs);
    let names = rules.filter_map(|rule| match rule {
        Rule::Name(pattern) => Some(pattern),
        Rule::Path(_) => None,
    });
    for pattern in selection.include_files.iter().chain(names) {
        range("the length of a pattern", size(pattern.len()), 1, size(PATH_BYTES_MAX))?;
    }
    for range in [&selection.modified, &selection.accessed] {
        [range.from, range.to].into_iter().flatten().try_for_each(time)?;
    }
    let AttributeFilter { all_of, any_of, none_of } = selection.attributes;
    let sets = [all_of, any_of, none_of, policy.attributes_add, policy.attributes_remove];
    if !sets.into_iter().all(DosAttributes::is_known) {
        return Err(Invalid::Contradiction("a DOS attribute without a letter"));
    }
    let percentage = |percent: u8| range("a percentage", percent.into(), 0, 100);
    if let Some(SpaceFloor::Percent(percent)) = policy.space_floor {
        percentage(percent)?;
    }
    match policy.max_delete {
        Some(DeleteLimit::Percent(percent)) => percentage(percent),
        Some(DeleteLimit::Count(_)) | None => Ok(()),
    }
}

fn check_listing(listing: &Listing) -> Checked {
    meta(&listing.meta)?;
    attributes(&listing.attributes)?;
    at_most("entries", listing.entries.len(), BATCH_ITEMS_MAX)?;
    listing.entries.iter().try_for_each(check_entry)?;
    ascending("names", &listing.entries, |entry| &entry.name)?;
    match &listing.state {
        ListingState::Incomplete(why) => failure(why),
        ListingState::More if listing.entries.is_empty() => {
            Err(Invalid::Contradiction("a part of a listing without entries that is not the last"))
        }
        ListingState::More | ListingState::Complete => Ok(()),
    }
}

fn check_entry(entry: &Entry) -> Checked {
    meta(&entry.meta)?;
    match &entry.kind {
        Kind::File => return Ok(()),
        Kind::HardLink { first } => return below_root(first),
        Kind::Link { target } => {
            let length = size(target.len());
            range("the length of a link's text", length, 1, size(LINK_TARGET_BYTES_MAX))?;
            if target.contains(&0) {
                return Err(Invalid::Contradiction("a link's text with a zero byte"));
            }
        }
        Kind::Directory | Kind::Special => {}
    }
    range("the size of what is not a file", entry.meta.size_bytes, 0, 0)
}

fn check_plan(plan: &Plan) -> Checked {
    at_most("verdicts", plan.verdicts.len(), BATCH_ITEMS_MAX)?;
    ascending("verdicts", &plan.verdicts, |verdict| &verdict.index)?;
    if !plan.last && plan.same.entries != 0 {
        return Err(Invalid::Contradiction("equal files counted before a plan's last part"));
    }
    match &plan.state {
        DirState::Failed(why) => failure(why),
        DirState::Existing | DirState::New | DirState::Deferred | DirState::Avoided => Ok(()),
    }
}

fn check_extras(extras: &Extras) -> Checked {
    at_most("extra entries", extras.entries.len(), BATCH_ITEMS_MAX)?;
    extras.entries.iter().try_for_each(|entry| {
        below_root(&entry.path)?;
        time(entry.modified)
    })
}

fn check_lack(lack: &Lack) -> Checked {
    at_most("runs", lack.runs.len(), BATCH_ITEMS_MAX)?;
    // A run that touches the one before it would be a second way to write one run.
    let mut free = None;
    for &(first, count) in &lack.runs {
        range("the length of a run", count.into(), 1, u32::MAX.into())?;
        if free.is_some_and(|free| first <= free) {
            return Err(Invalid::Unordered { what: "runs" });
        }
        let end = first.checked_add(count).ok_or(Invalid::Overflow { what: "a run" })?;
        range("the end of a run", end.into(), 1, lack.answered.into())?;
        free = Some(end);
    }
    Ok(())
}

fn check_chunk_list(list: &ChunkList) -> Checked {
    at_most("chunks", list.chunks.len(), BATCH_ITEMS_MAX)?;
    range("the average of chunks", list.average_bytes.into(), 1, size(CHUNK_BYTES_MAX))?;
    if !list.average_bytes.is_power_of_two() {
        return Err(Invalid::Contradiction("an average of chunks that is no power of two"));
    }
    if list.chunks.is_empty() && !list.last {
        return Err(Invalid::Contradiction("a chunk list without chunks that is not the last"));
    }
    let mut total = 0;
    for &(length, _) in &list.chunks {
        range("the length of a chunk", length.into(), 1, size(CHUNK_BYTES_MAX))?;
        total += u64::from(length);
    }
    end_of("a chunk list", list.offset, total)
}

fn check_outcomes(outcomes: &Outcomes) -> Checked {
    at_most("outcomes", outcomes.entries.len(), BATCH_ITEMS_MAX)?;
    at_most("removals", outcomes.removals.len(), BATCH_ITEMS_MAX)?;
    for outcome in &outcomes.entries {
        match &outcome.result {
            OutcomeResult::Failed(why) => failure(why)?,
            OutcomeResult::Done(_) | OutcomeResult::Unchanged => {}
        }
    }
    for removal in &outcomes.removals {
        below_root(&removal.path)?;
        removal.failure.as_ref().map_or(Ok(()), failure)?;
    }
    Ok(())
}

fn meta(meta: &Meta) -> Checked {
    range("a mode", meta.mode.into(), 0, 0o7777)?;
    range("a size", meta.size_bytes, 0, FILE_BYTES_MAX)?;
    if !meta.attributes.is_none_or(DosAttributes::is_known) {
        return Err(Invalid::Contradiction("a DOS attribute without a letter"));
    }
    time(meta.modified)
}

fn time(time: Timestamp) -> Checked {
    range("the nanoseconds of a time", time.nanos.into(), 0, 999_999_999)
}

fn attributes(attributes: &[Attribute]) -> Checked {
    at_most("attributes", attributes.len(), ATTRIBUTES_MAX)?;
    let mut total = 0;
    for attribute in attributes {
        let length = size(attribute.name.len());
        range("the length of an attribute's name", length, 1, size(NAME_BYTES_MAX))?;
        if attribute.name.contains(&0) {
            return Err(Invalid::Contradiction("an attribute's name with a zero byte"));
        }
        total += attribute.name.len() + attribute.value.len();
    }
    at_most("the bytes of attributes", total, ATTRIBUTES_BYTES_MAX)
}

fn failure(failure: &Failure) -> Checked {
    text("a reason", &failure.reason)
}

fn text(what: &'static str, text: &str) -> Checked {
    at_most(what, text.len(), TEXT_BYTES_MAX)
}

fn below_root(path: &RelPath) -> Checked {
    if path.is_root() {
        return Err(Invalid::Contradiction("the job's root named as an entry in it"));
    }
    Ok(())
}

fn ascending<T, K: Ord>(what: &'static str, items: &[T], key: impl Fn(&T) -> &K) -> Checked {
    if items.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])) {
        return Ok(());
    }
    Err(Invalid::Unordered { what })
}

fn end_of(what: &'static str, offset: u64, length: u64) -> Checked {
    offset.checked_add(length).map(|_| ()).ok_or(Invalid::Overflow { what })
}

fn at_most(what: &'static str, actual: usize, max: usize) -> Checked {
    range(what, size(actual), 0, size(max))
}

fn range(what: &'static str, actual: u64, min: u64, max: u64) -> Checked {
    if (min..=max).contains(&actual) {
        return Ok(());
    }
    Err(Invalid::OutOfRange { what, actual, min, max })
}

fn size(bytes: usize) -> u64 {
    // No platform has a `usize` of more than 64 bits.
    bytes as u64
}
